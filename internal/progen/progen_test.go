package progen

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func TestGenerateIsDeterministic(t *testing.T) {
	for seed := range uint64(100) {
		a, b := Generate(Config{}, seed), Generate(Config{}, seed)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d gives two programs:\n%s\n%s", seed, a.Text(), b.Text())
		}
	}
}

// TestCoverage holds that everything the generator means to generate occurs.
func TestCoverage(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(1500) {
		p := Generate(Config{Mistakes: -1}, seed)
		seen["type "+p.Type.LibName()]++
		for i := 0; i < len(p.Insns); i++ {
			in := p.Insns[i]
			seen[form(in)]++
			if in.Op() == insn.ClassJMP|insn.JmpCALL && in.Src() == 0 {
				seen["helper "+uapi.FuncID(in.Imm()).LibName()]++
			}
			if in.IsWide() {
				i++
			}
		}
	}
	want := []string{"type socket_filter", "type sched_cls", "type xdp", "subprogram", "loop"}
	for _, h := range helperTable {
		want = append(want, "helper "+h.id.LibName())
	}
	for _, h := range []string{"map_lookup_elem", "map_update_elem", "map_delete_elem", "tail_call"} {
		want = append(want, "helper "+h)
	}
	for _, class := range []uint8{insn.ClassALU, insn.ClassALU64} {
		for op := insn.OpAdd; op <= insn.OpArsh; op += 0x10 {
			want = append(want, opcode(class|op|insn.SrcK))
			if op != insn.OpNeg {
				want = append(want, opcode(class|op|insn.SrcX))
			}
		}
	}
	for _, class := range []uint8{insn.ClassJMP, insn.ClassJMP32} {
		for _, op := range comparisons {
			want = append(want, opcode(class|op|insn.SrcK), opcode(class|op|insn.SrcX))
		}
	}
	want = append(want, "signed division", "movsx", "ldsx", "bswap", "to big endian", "to little endian",
		"may_goto", "ld_abs", "ld_ind", "map fd", "map value",
		"atomic 0x0", "atomic 0x1", "atomic 0x40", "atomic 0x41", "atomic 0x50", "atomic 0x51", "atomic 0xa0",
		"atomic 0xa1", "atomic 0xe1", "atomic 0xf1", "atomic 0x100", "atomic 0x110")
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("never generated: %s", w)
		}
	}
}

func opcode(op uint8) string {
	return "opcode " + string("0123456789abcdef"[op>>4]) + string("0123456789abcdef"[op&15])
}

// form classifies an instruction for the coverage.
func form(in insn.Instruction) string {
	div := in.IsALU() && (in.ALUOp() == insn.OpDiv || in.ALUOp() == insn.OpMod)
	switch {
	case in.IsWide() && in.Src() == insn.PseudoMapFD:
		return "map fd"
	case in.IsWide() && in.Src() == insn.PseudoMapValue:
		return "map value"
	case in.IsAtomic():
		return "atomic 0x" + strings.TrimLeft(string("0123456789abcdef"[in.Imm()>>8])+string("0123456789abcdef"[in.Imm()>>4&15]), "0") + string("0123456789abcdef"[in.Imm()&15])
	case in.Op() == insn.ClassJMP|insn.JmpCALL && in.Src() == insn.PseudoCall:
		return "subprogram"
	case div && in.Off() == 1:
		return "signed division"
	case in.IsALU() && in.ALUOp() == insn.OpMov && in.Off() != 0:
		return "movsx"
	case in.Class() == insn.ClassLDX && in.Mode() == insn.ModeMemSX:
		return "ldsx"
	case in.Class() == insn.ClassLD && in.Mode() == insn.ModeAbs:
		return "ld_abs"
	case in.Class() == insn.ClassLD && in.Mode() == insn.ModeInd:
		return "ld_ind"
	case in.Op() == insn.ClassALU64|insn.OpEnd:
		return "bswap"
	case in.Op() == insn.ClassALU|insn.OpEnd|insn.EndToBE:
		return "to big endian"
	case in.Op() == insn.ClassALU|insn.OpEnd|insn.EndToLE:
		return "to little endian"
	case in.Op() == insn.ClassJMP|insn.JmpJCOND:
		return "may_goto"
	case in.IsJumpClass() && in.Off() < 0:
		return "loop"
	}
	return opcode(in.Op())
}

func TestConfig(t *testing.T) {
	cfg := Config{
		Types:    []uapi.ProgType{uapi.BPF_PROG_TYPE_XDP},
		Without:  Loops | Subprogs | Atomics | Maps | Helpers | TailCalls | SignExtension,
		Mistakes: -1,
	}
	for seed := range uint64(300) {
		p := Generate(cfg, seed)
		if p.Type != uapi.BPF_PROG_TYPE_XDP || p.Mistake != "" {
			t.Fatalf("seed %d: type %v, mistake %q", seed, p.Type, p.Mistake)
		}
		for i := 0; i < len(p.Insns); i++ {
			switch f := form(p.Insns[i]); {
			case strings.HasPrefix(f, "atomic"), strings.HasPrefix(f, "map"), f == "subprogram", f == "loop", f == "ldsx", f == "movsx",
				p.Insns[i].Op() == insn.ClassJMP|insn.JmpCALL:
				t.Fatalf("seed %d has %s:\n%s", seed, f, p.Text())
			}
			if p.Insns[i].IsWide() {
				i++
			}
		}
	}
	only := Config{Mistakes: -1, Helpers: []uapi.FuncID{uapi.BPF_FUNC_csum_diff}, Without: Maps}
	for seed := range uint64(200) {
		for _, in := range Generate(only, seed).Insns {
			if in.Op() == insn.ClassJMP|insn.JmpCALL && in.Src() == 0 && in.Imm() != int32(uapi.BPF_FUNC_csum_diff) {
				t.Fatalf("seed %d calls helper %d", seed, in.Imm())
			}
		}
	}
}

func TestTextRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		p := Generate(Config{Mistakes: -1}, seed)
		back, err := Parse(p.Text())
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, p.Text())
		}
		if !reflect.DeepEqual(p, back) {
			t.Fatalf("seed %d came back as\n%s\nfrom\n%s", seed, back.Text(), p.Text())
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{
		"; type: nonesuch\n", "; type:  \n; seed: x\n", "; seed: -1\n", "; map: m array key\n",
		"; map: m nonesuch key 4 value 4 entries 4\n", "; map: m array key x value 4 entries 4\n",
		"; element: 00 00\n", "; context: 00\n", "; packet: 0\n", "r0 = = 1\n",
		"; map: m array key 4 value 4 entries 4\n; element: zz 00\n",
	} {
		if p, err := Parse(text); err == nil {
			t.Errorf("%q was read as %+v", text, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("; type: xdp\n; seed: 1\n; map: a array key 4 value 8 entries 4\n; element: 00000000 0102030405060708\n; packet: 0102\n; context: 03\nr1 = map[fd:0] ll\nr0 = 2\nexit\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if _, err := Parse(p.Text()); err != nil && len(p.Insns) > 0 {
			t.Errorf("what was read cannot be read again: %v\n%s", err, p.Text())
		}
	})
}

func TestDelete(t *testing.T) {
	mov := func(r insn.Reg, v int32) insn.Instruction { return insn.Make(0xb7, r, 0, 0, v) }
	exit := insn.Make(0x95, 0, 0, 0, 0)
	ja := func(off int16) insn.Instruction { return insn.Make(0x05, 0, 0, off, 0) }
	jeq := func(off int16) insn.Instruction { return insn.Make(0x15, 0, 0, off, 0) }
	wide, second := insn.Make(0x18, insn.R1, 0, 0, 5), insn.Make(0, 0, 0, 0, 1)
	gotol := func(v int32) insn.Instruction { return insn.Make(0x06, 0, 0, 0, v) }
	call := func(v int32) insn.Instruction { return insn.Make(0x85, 0, insn.PseudoCall, 0, v) }
	for _, tt := range []struct {
		name       string
		code, want []insn.Instruction
		at, n      int
	}{
		{"plain", []insn.Instruction{mov(0, 0), mov(1, 1), exit}, []insn.Instruction{mov(0, 0), exit}, 1, 1},
		{"over the gap", []insn.Instruction{jeq(2), mov(1, 1), mov(2, 2), exit}, []insn.Instruction{jeq(1), mov(2, 2), exit}, 1, 1},
		{"into the gap", []insn.Instruction{jeq(1), mov(1, 1), mov(2, 2), exit}, []insn.Instruction{jeq(1), mov(1, 1), exit}, 2, 1},
		{"back", []insn.Instruction{mov(0, 0), mov(1, 1), ja(-2), exit}, []insn.Instruction{mov(0, 0), ja(-1), exit}, 1, 1},
		{"wide by its first slot", []insn.Instruction{jeq(3), wide, second, mov(0, 0), exit}, []insn.Instruction{jeq(1), mov(0, 0), exit}, 1, 1},
		{"wide by its second slot", []insn.Instruction{jeq(3), wide, second, mov(0, 0), exit}, []insn.Instruction{jeq(1), mov(0, 0), exit}, 2, 1},
		{"long jump", []insn.Instruction{gotol(2), mov(0, 0), mov(1, 1), exit}, []insn.Instruction{gotol(1), mov(0, 0), exit}, 2, 1},
		{"call", []insn.Instruction{call(2), mov(0, 0), exit, exit}, []insn.Instruction{call(1), exit, exit}, 1, 1},
		{"out of the program", []insn.Instruction{jeq(100), mov(0, 0), exit}, []insn.Instruction{jeq(100), exit}, 1, 1},
		{"everything", []insn.Instruction{mov(0, 0), exit}, []insn.Instruction{}, 0, 2},
	} {
		if got := Delete(tt.code, tt.at, tt.n); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got\n%swant\n%s", tt.name, insn.Disassemble(got), insn.Disassemble(tt.want))
		}
	}
}

// TestShrink looks for a byte swap in large programs: nothing but it may be left.
func TestShrink(t *testing.T) {
	hasSwap := func(p *Program) bool {
		return slices.ContainsFunc(p.Insns, func(in insn.Instruction) bool { return form(in) == "bswap" })
	}
	shrunk := 0
	for seed := uint64(0); shrunk < 5; seed++ {
		p := Generate(Config{Mistakes: -1}, seed)
		if !hasSwap(p) {
			continue
		}
		shrunk++
		before := p.Text()
		small := Shrink(p, 2000, hasSwap)
		if len(small.Insns) != 1 || len(small.Inputs) != 1 || !hasSwap(small) {
			t.Errorf("seed %d was shrunk to\n%s", seed, small.Text())
		}
		if p.Text() != before {
			t.Errorf("seed %d: Shrink changed its argument", seed)
		}
	}
	calls := 0
	Shrink(Generate(Config{}, 1), 10, func(*Program) bool { calls++; return false })
	if calls > 10 {
		t.Errorf("%d calls with a budget of 10", calls)
	}
}

func TestDiff(t *testing.T) {
	full := func() *Outcome {
		return &Outcome{
			Runs: []Run{{Retval: 1, Packet: []byte{1}, Ctx: []byte{2}}},
			Maps: [][]Element{{{Key: []byte{0}, Value: []byte{1}}}},
		}
	}
	for want, change := range map[string]func(*Outcome){
		"":                                        func(*Outcome) {},
		"load: EINVAL, expected success":          func(o *Outcome) { o.Errno = errno.EINVAL },
		"0 runs, expected 1":                      func(o *Outcome) { o.Runs = nil },
		"run 0: EFAULT, expected success":         func(o *Outcome) { o.Runs[0].Errno = errno.EFAULT },
		"run 0: returned 0x2, expected 0x1":       func(o *Outcome) { o.Runs[0].Retval = 2 },
		"run 0: packet 02, expected 01":           func(o *Outcome) { o.Runs[0].Packet[0] = 2 },
		"run 0: context 03, expected 02":          func(o *Outcome) { o.Runs[0].Ctx[0] = 3 },
		"map 0 is missing":                        func(o *Outcome) { o.Maps = nil },
		"map 0: key 00 is missing":                func(o *Outcome) { o.Maps[0] = nil },
		"map 0: key 00 has value 02, expected 01": func(o *Outcome) { o.Maps[0][0].Value[0] = 2 },
		"map 0: has key 01, which is not expected": func(o *Outcome) {
			o.Maps[0] = append(o.Maps[0], Element{Key: []byte{1}})
		},
	} {
		got := full()
		change(got)
		if d := Diff(full(), got); d != want {
			t.Errorf("Diff says %q, want %q", d, want)
		}
	}
}

// fixed is a runner that always says the same.
type fixed Outcome

func (f fixed) Run(*Program) (*Outcome, error) { return (*Outcome)(&f), nil }

func TestCompare(t *testing.T) {
	returns := func(v uint32) fixed { return fixed{Runs: []Run{{Retval: v}}} }
	refuses := fixed{Errno: errno.EACCES}
	for _, tt := range []struct {
		name             string
		mistake          string
		ref, again, ours fixed
		differ           bool
	}{
		{"agree", "", returns(1), returns(1), returns(1), false},
		{"differ", "", returns(1), returns(1), returns(2), true},
		{"a valid program has one result", "", returns(1), returns(3), returns(2), true},
		{"mistake, result is stable", "mutate", returns(1), returns(1), returns(2), true},
		{"mistake, result is not stable", "mutate", returns(1), returns(3), returns(2), false},
		{"mistake, verdict differs", "mutate", returns(1), returns(3), refuses, true},
		{"bounds are stable", mistakeBounds, returns(1), returns(3), returns(2), true},
	} {
		d, err := Compare(tt.ref, tt.again, tt.ours, &Program{Mistake: tt.mistake})
		if err != nil || (d != "") != tt.differ {
			t.Errorf("%s: %q, %v", tt.name, d, err)
		}
	}
}
