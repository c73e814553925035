package rewrite_test

import (
	"slices"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/rewrite"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// liveCase is a program that skep and the live kernel rewrite. Facts that only
// a verifier finds out are given by hand.
type liveCase struct {
	name string
	text string
	// unseen are instructions that no path reaches.
	unseen []int
	facts  func(facts []prog.Fact)
	maps   []mapSpec
	stack  uint16
	// socket says that it is a socket filter: context and packet loads are
	// rewritten. The layout behind the context is not Linux's, so that offsets
	// are not compared.
	socket bool
}

type mapSpec struct {
	kind               uapi.MapType
	valueSize, entries uint32
	innerValue         uint32
}

const operands = "call 7\nr1 = r0\nr2 = 3\n"

var liveCases = []liveCase{
	{name: "unsigned division", text: operands + "r1 /= r2\nw1 /= w2\nr1 %= r2\nw1 %= w2\nr1 /= 3\nw1 %= 3\nr0 = r1\nexit"},
	{name: "signed division", text: operands + "r1 s/= r2\nw1 s/= w2\nr1 s%= r2\nw1 s%= w2\nr0 = r1\nexit"},
	{name: "signed division by minus one", text: operands + "r1 s/= -1\nw1 s/= -1\nr1 s%= -1\nw1 s%= -1\nr1 s/= 2\nr0 = r1\nexit"},
	{name: "dead branch", text: "r0 = 1\nif r0 == 1 goto out\nr0 = 2\nr0 += 3\nout:\nexit", unseen: []int{2, 3}},
	{name: "branch never taken", text: "r0 = 1\nif r0 != 1 goto out\nr0 = 2\nr0 += 3\nexit\nout:\nr0 = 4\nexit", unseen: []int{5, 6}},
	{name: "dead wide load", text: "r0 = 1\nif r0 == 1 goto out\nr0 = 0x1234567890 ll\nout:\nexit", unseen: []int{2, 3}},
	{name: "nops", text: "r0 = 1\ngoto +0\ngoto next\nnext:\ngoto +0\nr0 += 1\nexit"},
	{name: "jumps over patches", text: operands + "if r1 == 7 goto out\nagain:\nr1 /= r2\nr1 %= r2\nr2 += -1\nif r2 != 0 goto again\nout:\nr0 = r1\nexit"},
	{name: "gotol over patches", text: operands + "if r1 == 7 goto a\ngotol b\na:\nr1 /= r2\nb:\nr1 %= r2\nr0 = r1\nexit"},
	{name: "may_goto to the next", text: "r0 = 0\nmay_goto b\nmay_goto +0\nb:\nr0 = 1\nexit"},
	{name: "calls", text: operands + "call f\ncall g\nexit\nf:\nr1 /= r2\nr0 = r1\nexit\ng:\nr0 = 1\nexit", facts: subs(map[int]int32{3: 1, 4: 2})},
	{name: "dead subprogram", text: "r0 = 1\nif r0 == 1 goto out\ncall f\nout:\ncall g\nexit\nf:\nr0 = 2\nexit\ng:\nr0 = 3\nexit",
		unseen: []int{2, 5, 6}, facts: subs(map[int]int32{2: 1, 3: 2})},
	{name: "array lookup", text: lookup, maps: []mapSpec{{kind: uapi.BPF_MAP_TYPE_ARRAY, valueSize: 8, entries: 5}}, facts: mapArg, stack: 8},
	{name: "array lookup of an odd size", text: lookup, maps: []mapSpec{{kind: uapi.BPF_MAP_TYPE_ARRAY, valueSize: 24, entries: 5}}, facts: mapArg, stack: 8},
	{name: "array of maps", text: lookup, maps: []mapSpec{{kind: uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, valueSize: 4, entries: 5, innerValue: 8}}, facts: mapArg, stack: 8},
	{name: "map value", text: "r1 = map[fd:0][0]+16 ll\nr0 = *(u32 *)(r1 +0)\nexit", maps: []mapSpec{{kind: uapi.BPF_MAP_TYPE_ARRAY, valueSize: 64, entries: 1}},
		facts: func(f []prog.Fact) { f[0].Wide, f[0].Imm64 = prog.WideMapValue, 0x1010 }},
	{name: "tail call", text: "r2 = map[fd:0] ll\nr3 = 1\ncall 12\nr0 = 1\nexit", maps: []mapSpec{{kind: uapi.BPF_MAP_TYPE_PROG_ARRAY, valueSize: 4, entries: 3}},
		facts: func(f []prog.Fact) { f[0].Wide, f[0].Imm64 = prog.WideMap, 0x1000 }},
	{name: "packet loads", text: "r6 = r1\nr0 = *(u8 *)skb[4]\nr7 = r0\nr0 = *(u16 *)skb[r7 + 2]\nr0 = *(u32 *)skb[r7 + 0]\nr0 = *(u32 *)skb[-4096]\nexit", socket: true},
	{name: "context word", text: "r0 = *(u32 *)(r1 +8)\nexit", socket: true},
	{name: "parts of a context word", text: "r0 = *(u16 *)(r1 +8)\nr2 = *(u16 *)(r1 +10)\nr0 = *(u8 *)(r1 +8)\nr0 = *(u8 *)(r1 +9)\nr0 = *(u8 *)(r1 +11)\nexit", socket: true},
	{name: "parts of a context word behind two bytes", text: "r0 = *(u32 *)(r1 +16)\nr0 = *(u16 *)(r1 +16)\nr0 = *(u8 *)(r1 +16)\nr0 = *(u8 *)(r1 +17)\nr0 = *(u16 *)(r1 +18)\nexit", socket: true},
	{name: "control buffer", text: "r2 = 7\n*(u32 *)(r1 +48) = r2\n*(u64 *)(r1 +56) = 5\n*(u8 *)(r1 +61) = 9\nr0 = *(u8 *)(r1 +50)\nr0 = *(u64 *)(r1 +48)\nexit", socket: true},
	{name: "jumps over context accesses", text: "r2 = *(u32 *)(r1 +8)\nif r2 == 3 goto out\nr0 = *(u8 *)(r1 +10)\nr2 = *(u8 *)(r1 +17)\nout:\nr0 = 0\nexit", socket: true},
}

// skbFields are the fields of struct __sk_buff that the cases access: mark,
// protocol and cb, each as wide as in Linux.
var skbFields = []desc.CtxField{
	{Name: "mark", Off: 8, Size: 4, Narrow: true, Lower: member(insn.SizeW)},
	{Name: "protocol", Off: 16, Size: 4, Narrow: true, Lower: member(insn.SizeH)},
	{Name: "cb", Off: 48, Size: 20, Elem: 4, AnyWidth: true, Lower: func(p *patch.Patch, a desc.CtxAccess) {
		member(a.Insn.Size())(p, a)
	}},
}

func member(size uint8) func(*patch.Patch, desc.CtxAccess) {
	return func(p *patch.Patch, a desc.CtxAccess) {
		switch {
		case !a.Write:
			p.Emit(insn.LoadMem(size, a.Dst, a.Src, int16(a.Off)))
		case a.Insn.Class() == insn.ClassST:
			p.Emit(insn.StoreImm(size, a.Dst, int16(a.Off), a.Imm))
		default:
			p.Emit(insn.StoreMem(size, a.Dst, int16(a.Off), a.Src))
		}
	}
}

var socketType = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Name: "socket_filter",
	Context:       &desc.Context{Name: "__sk_buff", Size: 192, Fields: skbFields},
	LoadAbsHelper: [3]*desc.Helper{{ID: 1001}, {ID: 1002}, {ID: 1004}},
}

const lookup = `
	*(u32 *)(r10 -4) = 1
	r2 = r10
	r2 += -4
	r1 = map[fd:0] ll
	call 1
	if r0 == 0 goto out
	r0 = 1
	out:
	exit`

// mapArg says that the lookup's map is known.
func mapArg(f []prog.Fact) {
	f[3].Wide, f[3].Imm64 = prog.WideMap, 0x1000
	f[5].Map = f[3].Map
}

func subs(numbers map[int]int32) func([]prog.Fact) {
	return func(f []prog.Fact) {
		for at, sub := range numbers {
			f[at].Sub = sub
		}
	}
}

// TestXlatedLikeKernel holds rewritten programs against what the live kernel
// made of the same: the dump that BPF_OBJ_GET_INFO_BY_FD shows.
func TestXlatedLikeKernel(t *testing.T) {
	oracle.Require(t)
	for _, tc := range liveCases {
		t.Run(tc.name, func(t *testing.T) {
			code, err := insn.Assemble(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			maps, descs := tc.makeMaps(t)
			kind := uapi.BPF_PROG_TYPE_XDP
			if tc.socket {
				kind = uapi.BPF_PROG_TYPE_SOCKET_FILTER
			}
			live := oracle.Load(t, oracle.Prog{Type: kind, Insns: code, Maps: maps, LogLevel: 1})
			if live.Errno != 0 {
				t.Fatalf("the live kernel refuses: %v\n%s", live.Errno, live.Log)
			}
			want, e := live.Xlated()
			if e != 0 {
				t.Fatal(e)
			}
			v, err := rewrite.Run(tc.seal(code, descs), rewrite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			tc.compare(t, rewrite.Xlated(v), want)
		})
	}
}

func (tc *liveCase) makeMaps(t *testing.T) (maps []*oracle.Map, descs []*desc.Map) {
	t.Helper()
	for _, s := range tc.maps {
		spec := oracle.MapSpec{Type: s.kind, KeySize: 4, ValueSize: s.valueSize, MaxEntries: s.entries}
		if s.innerValue != 0 {
			spec.Inner = oracle.NewMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: s.innerValue, MaxEntries: 1})
		}
		m := oracle.NewMap(t, spec)
		info, e := m.Info()
		if e != 0 {
			t.Fatal(e)
		}
		d := &desc.Map{ID: info.ID, Type: s.kind, ValueSize: s.valueSize, MaxEntries: s.entries, Addr: 0x1000}
		layout := &desc.ArrayLayout{Base: 0x1000 + liveArrayOffset(t), ElemSize: (s.valueSize + 7) &^ 7, BypassSpecV1: true}
		if s.kind == uapi.BPF_MAP_TYPE_ARRAY {
			d.Array = layout
		} else {
			d.Slots = layout
		}
		maps, descs = append(maps, m), append(descs, d)
	}
	return maps, descs
}

// liveArrayOffset is where the elements of an array lie behind its struct
// bpf_map in the live kernel, which depends on the kernel's configuration: what
// its own inlined lookup adds.
func liveArrayOffset(t *testing.T) uint64 {
	t.Helper()
	m := oracle.NewMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	code, err := insn.Assemble(lookup)
	if err != nil {
		t.Fatal(err)
	}
	p := oracle.Load(t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_XDP, Insns: code, Maps: []*oracle.Map{m}})
	dump, e := p.Xlated()
	if e != 0 || len(dump) < 6 {
		t.Fatalf("no dump: %v", e)
	}
	return uint64(dump[5].Imm())
}

func (tc *liveCase) seal(code []insn.Instruction, maps []*desc.Map) *prog.Verified {
	raw := &prog.Raw{Insns: code, Info: desc.ProgInfo{Type: uapi.BPF_PROG_TYPE_XDP, Caps: desc.Caps{BPF: true, Perfmon: true}}}
	parts := prog.VerifiedParts{Type: &socketType, Insns: code, Facts: make([]prog.Fact, len(code)), Maps: maps}
	starts := []int{0}
	for at, i := range code {
		f := &parts.Facts[at]
		*f = prog.Fact{Orig: int32(at), Seen: !slices.Contains(tc.unseen, at)}
		if i.IsSubprogCall() {
			starts = append(starts, at+1+int(i.Imm()))
		}
		if i.IsWide() && i.Src() != 0 {
			f.Map = maps[i.Imm()]
		}
		if field := socketType.Context.Field(uint32(i.Off())); tc.socket && field != nil && (i.Class() == insn.ClassLDX || i.IsStore()) {
			f.Mem, f.Ctx = prog.MemCtx, field
		}
	}
	slices.Sort(starts)
	for _, at := range slices.Compact(starts) {
		parts.Subprogs = append(parts.Subprogs, prog.Subprog{Start: int32(at)})
	}
	parts.Subprogs[0].StackDepth = tc.stack
	if tc.facts != nil {
		tc.facts(parts.Facts)
	}
	return prog.Seal(raw, parts)
}

// compare compares instruction by instruction. What depends on addresses or
// structures of the live kernel is left out.
func (tc *liveCase) compare(t *testing.T, got, want []insn.Instruction) {
	t.Helper()
	same := len(got) == len(want)
	for n := 0; same && n < len(want); n++ {
		g, w := got[n], want[n]
		if w.IsHelperCall() {
			g, w = g.WithImm(0), w.WithImm(0)
		}
		if w.IsSubprogCall() {
			g, w = g.WithImm(0), w.WithImm(0) // an address too, unless the host hides it
		}
		if tc.socket && (w.Class() == insn.ClassLDX || w.IsStore()) {
			g, w = g.WithOff(0), w.WithOff(0)
		}
		same = g == w
	}
	if !same {
		t.Errorf("rewritten:\n%s\nlive kernel:\n%s", insn.Disassemble(got), insn.Disassemble(want))
	}
}
