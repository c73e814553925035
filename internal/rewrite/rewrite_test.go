package rewrite

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// sealed makes a verified program of which every instruction is reached.
func sealed(t testing.TB, text string, change func(*prog.Raw, *prog.VerifiedParts)) *prog.Verified {
	t.Helper()
	a := insn.Assembler{Internal: true}
	code, err := a.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	raw := &prog.Raw{Insns: code, Info: desc.ProgInfo{Caps: desc.Caps{BPF: true, Perfmon: true}}}
	parts := prog.VerifiedParts{Type: &desc.ProgType{}, Insns: code, Facts: make([]prog.Fact, len(code)), Subprogs: []prog.Subprog{{}}}
	for at := range code {
		parts.Facts[at] = prog.Fact{Orig: int32(at), Seen: true}
	}
	if change != nil {
		change(raw, &parts)
	}
	return prog.Seal(raw, parts)
}

// expect rewrites and compares with text in the syntax of the assembler.
func expect(t *testing.T, v *prog.Verified, opt Options, want string) *prog.Verified {
	t.Helper()
	before := slices.Clone(v.Insns)
	out, err := Run(v, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(v.Insns, before) {
		t.Error("the program that was given has changed")
	}
	a := insn.Assembler{Internal: true}
	code, err := a.Assemble(want)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out.Insns, code) {
		t.Errorf("got\n%s\nwant\n%s", insn.Disassemble(out.Insns), insn.Disassemble(code))
	}
	if len(out.Facts) != len(out.Insns) {
		t.Errorf("%d facts for %d instructions", len(out.Facts), len(out.Insns))
	}
	return out
}

// The table keeps the order that each pass asks for.
func TestPassOrder(t *testing.T) {
	ran := map[string]bool{}
	for _, p := range passes {
		for _, earlier := range p.after {
			if !ran[earlier] {
				t.Errorf("%s must run after %s", p.name, earlier)
			}
		}
		if ran[p.name] || p.run == nil {
			t.Errorf("%s is in the table twice, or does nothing", p.name)
		}
		ran[p.name] = true
	}
}

func TestDump(t *testing.T) {
	var names []string
	var sizes []int
	expect(t, sealed(t, "r1 %= r2\nr0 = 0\nexit", nil), Options{Dump: func(pass string, insns []insn.Instruction) {
		names, sizes = append(names, pass), append(sizes, len(insns))
	}}, "if r2 == 0 goto +1\nr1 %= r2\nr0 = 0\nexit")
	if !slices.Equal(names, Passes()) {
		t.Errorf("dumped after %v, want %v", names, Passes())
	}
	if sizes[0] != 3 || sizes[len(sizes)-1] != 4 {
		t.Errorf("sizes %v", sizes)
	}
}

// Jumps to the first instruction do not run the prologue again; calls do.
func TestPrologue(t *testing.T) {
	v := sealed(t, "start:\nr0 = 1\nif r1 == 5 goto start\ncall sub\nexit\nsub:\nr0 = 2\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) {
		p.Subprogs = []prog.Subprog{{}, {Start: 4}}
		p.Type.Prologue = func(p *patch.Patch, _ *desc.ProgInfo) {
			p.Jump(insn.JumpImm(insn.JmpEQ, insn.R1, 0, 0), patch.End).Emit(insn.Mov64Imm(insn.R9, 9))
		}
		p.Lines = []prog.LineInfo{{InsnOff: 0}, {InsnOff: 4}}
	})
	out := expect(t, v, Options{}, "if r1 == 0 goto start\nr9 = 9\nstart:\nr0 = 1\nif r1 == 5 goto start\ncall sub\nexit\nsub:\nr0 = 2\nexit")
	if out.Subprogs[0].Start != 0 || out.Subprogs[1].Start != 6 || out.Lines[1].InsnOff != 6 || out.Lines[0].InsnOff != 0 {
		t.Errorf("subprograms %+v, lines %+v", out.Subprogs, out.Lines)
	}
	if out.Subprogs[1].LineStart != 1 {
		t.Errorf("the second subprogram's lines start at %d", out.Subprogs[1].LineStart)
	}
}

func TestMayGoto(t *testing.T) {
	v := sealed(t, "may_goto +1\nr0 = 1\ncall sub\nexit\nsub:\nagain:\nmay_goto out\ngoto again\nout:\nr0 = 0\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) {
		p.Subprogs = []prog.Subprog{{StackDepth: 16}, {Start: 4}}
		p.StackDepth = 16
	})
	out := expect(t, v, Options{}, `
		*(u64 *)(r10 -24) = 8388608
		r11 = *(u64 *)(r10 -24)
		if r11 == 0 goto a
		r11 -= 1
		*(u64 *)(r10 -24) = r11
		r0 = 1
		a:
		call sub
		exit
		sub:
		*(u64 *)(r10 -8) = 8388608
		again:
		r11 = *(u64 *)(r10 -8)
		if r11 == 0 goto out
		r11 -= 1
		*(u64 *)(r10 -8) = r11
		goto again
		out:
		r0 = 0
		exit`)
	if out.Subprogs[0].StackDepth != 24 || out.Subprogs[1].StackDepth != 8 || out.StackDepth != 32 {
		t.Errorf("stacks %+v, together %d", out.Subprogs, out.StackDepth)
	}
}

// The counter does not count against the program's own 512 bytes, as on every
// machine with a JIT.
func TestMayGotoBelowFullStack(t *testing.T) {
	out, err := Run(sealed(t, "may_goto +1\nr0 = 1\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) { p.Subprogs[0].StackDepth = 512 }), Options{})
	if err != nil || out.Subprogs[0].StackDepth != 520 || out.Insns[0].Off() != -520 {
		t.Errorf("got %v, %v", out, err)
	}
}

// Without CAP_BPF dead code stays, as a trap for speculation.
func TestSanitizeDeadCode(t *testing.T) {
	v := sealed(t, "r0 = 1\nif r0 == 1 goto +3\nr0 = 5 ll\nr0 = 3\ngoto +0\nexit", func(r *prog.Raw, p *prog.VerifiedParts) {
		r.Info.Caps = desc.Caps{}
		p.Facts[2].Seen, p.Facts[4].Seen = false, false
	})
	expect(t, v, Options{}, "r0 = 1\nif r0 == 1 goto +3\ngoto -1\ngoto -1\ngoto -1\ngoto +0\nexit")
}

func TestZeroExtend(t *testing.T) {
	text := "w1 = w2\nr3 = *(u32 *)(r10 -8)\nr0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r2)\nr4 = atomic_fetch_add((u32 *)(r10 -8), r4)\nexit"
	mark := func(_ *prog.Raw, p *prog.VerifiedParts) {
		for at := range 4 {
			p.Facts[at].ZeroExt = true
		}
	}
	zext := func(r insn.Reg) insn.Instruction { return insn.Mov32Reg(r, r).WithImm(1) }
	for want, opt := range map[int]Options{6: {}, 9: {ZeroExtend: true}} {
		out, err := Run(sealed(t, text, mark), opt)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Insns) != want || !slices.Contains(out.Insns, zext(insn.R0)) || slices.Contains(out.Insns, zext(insn.R4)) != opt.ZeroExtend {
			t.Errorf("%+v:\n%s", opt, insn.Disassemble(out.Insns))
		}
	}
}

func TestContextErrors(t *testing.T) {
	for _, field := range []*desc.CtxField{nil, {Name: "x", Size: 4}, {Name: "x", Size: 4, Lower: func(*patch.Patch, desc.CtxAccess) {}}} {
		v := sealed(t, "r0 = *(u32 *)(r1 +0)\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) {
			p.Facts[0].Mem, p.Facts[0].Ctx = prog.MemCtx, field
		})
		if _, err := Run(v, Options{}); !errors.Is(err, errno.EINVAL) {
			t.Errorf("field %+v: %v", field, err)
		}
	}
}

// A jump past the end of a lowered field must not jump past the mask of a
// narrow load.
func TestNarrowLoadAfterJump(t *testing.T) {
	field := &desc.CtxField{Name: "x", Size: 4, Lower: func(p *patch.Patch, a desc.CtxAccess) {
		p.Emit(insn.LoadMem(insn.SizeW, a.Dst, a.Src, 100))
		p.Jump(insn.JumpImm(insn.JmpGE, a.Dst, 5, 0), patch.End).Emit(insn.Mov64Imm(a.Dst, 0))
	}}
	v := sealed(t, "r0 = *(s8 *)(r1 +2)\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) { p.Facts[0].Mem, p.Facts[0].Ctx = prog.MemCtx, field })
	expect(t, v, Options{}, `
		r0 = *(u32 *)(r1 +100)
		if r0 >= 5 goto +1
		r0 = 0
		w0 >>= 16
		w0 &= 255
		r0 = (s8)r0
		exit`)
}

func TestProbes(t *testing.T) {
	v := sealed(t, "r0 = *(u32 *)(r1 +0)\nr0 = *(s8 *)(r1 +4)\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) {
		p.Facts[0].Mem, p.Facts[1].Mem = prog.MemProbe, prog.MemProbe
	})
	out, err := Run(v, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if out.Insns[0].Mode() != insn.ModeProbeMem || out.Insns[1].Mode() != insn.ModeProbeMemSX {
		t.Errorf("got\n%s", insn.Disassemble(out.Insns))
	}
	if dump := Xlated(out); dump[0] != v.Insns[0] {
		t.Errorf("the dump shows %s", dump[0])
	}
}

// Programs that may not bypass the defence against Spectre variant 1.
func TestUnprivilegedTailCall(t *testing.T) {
	slots := &desc.ArrayLayout{Mask: 3}
	for _, m := range []*desc.Map{{MaxEntries: 3, Slots: slots}, nil} {
		v := sealed(t, "call 12\nr0 = 0\nexit", func(r *prog.Raw, p *prog.VerifiedParts) {
			r.Info.Caps.Perfmon, p.Facts[0].Map = false, m
		})
		if m == nil {
			if _, err := Run(v, Options{}); !errors.Is(err, errno.EINVAL) {
				t.Errorf("poisoned: %v", err)
			}
			continue
		}
		out, err := Run(v, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := []insn.Instruction{
			insn.JumpImm(insn.JmpGE, insn.R3, 3, 2), insn.ALU32Imm(insn.OpAnd, insn.R3, 3), insn.Call(int32(uapi.BPF_FUNC_tail_call)),
		}
		if got := Xlated(out)[:3]; !slices.Equal(got, want) {
			t.Errorf("got\n%s", insn.Disassemble(got))
		}
	}
}

// A block of elements that is far from the map's header.
func TestLookupFarBlock(t *testing.T) {
	v := sealed(t, "call 1\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) {
		p.Facts[0].Map = &desc.Map{Type: uapi.BPF_MAP_TYPE_ARRAY, MaxEntries: 2, Addr: 0x5000,
			Array: &desc.ArrayLayout{Base: 0x700000001000, ElemSize: 8, Mask: 1}}
	})
	expect(t, v, Options{}, `
		r1 = 0x700000001000 ll
		r0 = *(u32 *)(r2 +0)
		if r0 >= 2 goto +4
		w0 &= 1
		r0 <<= 3
		r0 += r1
		goto +1
		r0 = 0
		exit`)
}

// A jump that no longer fits is refused as Linux refuses it.
func TestRange(t *testing.T) {
	var text strings.Builder
	text.WriteString("if r1 == 0 goto out\n")
	for range 20000 {
		text.WriteString("r1 %= r2\n")
	}
	text.WriteString("out:\nr0 = 0\nexit")
	_, err := Run(sealed(t, text.String(), nil), Options{})
	if !errors.Is(err, errno.ENOMEM) || !strings.Contains(err.Error(), "insn 0 cannot be patched due to 16-bit range") {
		t.Errorf("got %v", err)
	}
}

// Lines of removed code go, unless the code behind inherits the last one.
func TestLinesAfterRemoval(t *testing.T) {
	v := sealed(t, "r0 = 1\nif r0 == 1 goto out\nr0 = 2\nr0 = 3\nr0 = 4\nout:\nr0 = 5\nr0 = 6\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) {
		for at := 2; at <= 4; at++ {
			p.Facts[at].Seen = false
		}
		p.Lines = []prog.LineInfo{{InsnOff: 0, LineCol: 1}, {InsnOff: 2, LineCol: 2}, {InsnOff: 3, LineCol: 3}, {InsnOff: 6, LineCol: 4}}
	})
	out := expect(t, v, Options{}, "r0 = 1\nr0 = 5\nr0 = 6\nexit")
	want := []prog.LineInfo{{InsnOff: 0, LineCol: 1}, {InsnOff: 1, LineCol: 3}, {InsnOff: 2, LineCol: 4}}
	if !slices.Equal(out.Lines, want) {
		t.Errorf("lines %+v, want %+v", out.Lines, want)
	}
}

// A subprogram of which nothing is left goes, with its function info; calls of
// others get their new number.
func TestSubprogramRemoved(t *testing.T) {
	v := sealed(t, "r0 = 1\nif r0 == 1 goto out\ncall dead\nout:\ncall live\nexit\ndead:\nr0 = 2\nexit\nlive:\nr0 = 3\nexit", func(_ *prog.Raw, p *prog.VerifiedParts) {
		for _, at := range []int{2, 5, 6} {
			p.Facts[at].Seen = false
		}
		p.Facts[2].Sub, p.Facts[3].Sub = 1, 2
		p.Subprogs = []prog.Subprog{{Name: "main"}, {Start: 5, Name: "dead"}, {Start: 7, Name: "live"}}
		p.Funcs = []prog.FuncInfo{{InsnOff: 0, TypeID: 1}, {InsnOff: 5, TypeID: 2}, {InsnOff: 7, TypeID: 3}}
	})
	out := expect(t, v, Options{}, "r0 = 1\ncall live\nexit\nlive:\nr0 = 3\nexit")
	if len(out.Subprogs) != 2 || out.Subprogs[1].Name != "live" || out.Subprogs[1].Start != 3 || out.Facts[1].Sub != 1 {
		t.Errorf("subprograms %+v, the call goes to %d", out.Subprogs, out.Facts[1].Sub)
	}
	if want := []prog.FuncInfo{{InsnOff: 0, TypeID: 1}, {InsnOff: 3, TypeID: 3}}; !slices.Equal(out.Funcs, want) {
		t.Errorf("functions %+v", out.Funcs)
	}
}

// randomProgram has jumps of every kind between random places, wide loads, and
// a subprogram that is called and pointed to.
func randomProgram(random *rand.Rand, n int) []insn.Instruction {
	var code []insn.Instruction
	var starts []int // of instructions
	for len(code) < n {
		starts = append(starts, len(code))
		switch random.IntN(8) {
		case 0:
			code = append(code, insn.LoadImm64(insn.R1, random.Uint64())...)
		case 1:
			code = append(code, insn.Goto(0))
		case 2:
			code = append(code, insn.Gotol(0))
		case 3:
			code = append(code, insn.JumpImm(insn.JmpEQ, insn.R1, 1, 0))
		case 4:
			code = append(code, insn.CallSub(0))
		case 5:
			code = append(code, insn.LoadFunc(insn.R2, 0)...)
		default:
			code = append(code, insn.Mov64Imm(insn.R3, int32(len(code))))
		}
	}
	for _, at := range starts {
		to := int32(starts[random.IntN(len(starts))] - at - 1)
		switch i := code[at]; {
		case i.IsJump():
			code[at], _ = i.WithJumpOffset(to)
		case i.IsSubprogCall(), i.IsFuncRef():
			code[at] = i.WithImm(to)
		}
	}
	return append(code, insn.Exit())
}

// Random edits of random programs: whatever referred to an instruction refers
// to what stands for it, and facts tell where each instruction is from.
func TestSpliceKeepsReferences(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		code := randomProgram(random, 5+random.IntN(60))
		raw := &prog.Raw{Insns: code}
		parts := prog.VerifiedParts{Insns: code, Facts: make([]prog.Fact, len(code)), Subprogs: []prog.Subprog{{}}}
		for at := range code {
			parts.Facts[at] = prog.Fact{Orig: int32(at), Seen: true, Key: uint64(at), KeyKnown: true}
		}
		p := newProgram(prog.Seal(raw, parts), Options{})
		randomEdits(t, random, p)
		if err := p.splice(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkReferences(t, seed, code, p)
	}
}

func randomEdits(t *testing.T, random *rand.Rand, p *program) {
	t.Helper()
	nop := insn.Mov64Reg(insn.R9, insn.R9)
	for at := 0; at < len(p.Insns)-1; at += p.slots(at) {
		i := p.Insns[at]
		var err error
		edit := random.IntN(6)
		if edit != 2 && random.IntN(6) == 0 {
			err = p.before(at, p.patch().Emit(nop, nop))
		}
		switch {
		case err != nil:
		case edit == 0 && i.IsJump():
			err = p.replace(at, p.patch().Emit(nop).Jump(i, patch.Target).Emit(nop))
		case edit <= 1 && !i.IsWide():
			err = p.replace(at, p.patch().Emit(nop, nop).Keep(i).Jump(insn.Goto(0), patch.End).Emit(nop))
		case edit == 2 && i.Class() == insn.ClassALU64:
			err = p.remove(at, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func checkReferences(t *testing.T, seed uint64, old []insn.Instruction, p *program) {
	t.Helper()
	first := make([]int, len(old)+1) // where what stands for each old instruction begins
	for n := range first {
		first[n] = -1
	}
	for at := len(p.Facts) - 1; at >= 0; at-- {
		first[p.Facts[at].Orig] = at
	}
	next := len(p.Insns)
	for n := len(old); n >= 0; n-- { // removed: what follows
		if first[n] < 0 {
			first[n] = next
		}
		next = first[n]
	}
	for at := 0; at < len(p.Insns); at += p.slots(at) {
		i, orig := p.Insns[at], int(p.Facts[at].Orig)
		var target, want int
		switch {
		case i.IsSubprogCall(), i.IsFuncRef():
			target, want = at+1+int(i.Imm()), first[orig+1+int(old[orig].Imm())]
			if target != want {
				t.Fatalf("seed %d: insn %d (from %d) refers to %d, want %d", seed, at, orig, target, want)
			}
		case i.IsJump() && old[orig].IsJump() && i.WithOff(0).WithImm(0) == old[orig].WithOff(0).WithImm(0):
			target, want = at+1+int(i.JumpOffset()), orig+1+int(old[orig].JumpOffset())
			inPatch := i.IsGoto() && target > at && target <= len(p.Insns) && p.Facts[target-1].Orig == int32(orig)
			if !inPatch && !standsFor(p, first, target, want) {
				t.Fatalf("seed %d: insn %d (from %d) jumps to %d, which does not stand for %d", seed, at, orig, target, want)
			}
		}
	}
}

// standsFor says whether a jump to target enters the code of old instruction
// want: at its beginning, or behind what was put before it.
func standsFor(p *program, first []int, target, want int) bool {
	return target == first[want] || target == first[want]+2 && p.Facts[target].Orig == int32(want)
}

// A program of 100,000 patched instructions is a matter of milliseconds, not of
// moving the rest for each.
func BenchmarkRun(b *testing.B) {
	var text strings.Builder
	for range 50000 {
		text.WriteString("r1 %= r2\nr3 = 1\n")
	}
	v := sealed(b, text.String()+"exit", nil)
	for b.Loop() {
		if _, err := Run(v, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100001, "ns/insn")
}
