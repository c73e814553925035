package insn_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
)

// TestRoundTrip assembles the text of random instructions of every form.
func TestRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	a := insn.Assembler{Internal: true}
	for _, f := range insn.Forms() {
		for range 20 {
			i, next := valid(random, &f)
			prog := []insn.Instruction{i}
			if f.Wide() {
				prog = append(prog, next)
			}
			text := insn.Disassemble(prog)
			got, err := a.Assemble(text)
			if err != nil || string(insn.Encode(got)) != string(insn.Encode(prog)) {
				t.Fatalf("%s: %q: assembled %x, %v, want %x", f.Name, text, insn.Encode(got), err, insn.Encode(prog))
			}
		}
	}
}

// names is an assembler with some names.
var names = insn.Assembler{
	Helper: func(name string) (int32, bool) { return 1, name == "bpf_map_lookup_elem" },
	Kfunc:  func(name string) (int32, int16, bool) { return 90, 3, name == "bpf_obj_new_impl" },
	Map:    func(name string) (int32, bool) { return 5, name == "flows" },
}

// TestAssemble assembles what the disassembler would write differently.
func TestAssemble(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{" ; only a comment\n// another\n# and one\n", ""},
		{"r0=1;r1=2", "r0 = 1"},
		{"r0 = 0x10 // sixteen", "r0 = 16"},
		{"r0 = 4294967295", "r0 = -1"},
		{"r0 = - r0", "r0 = -r0"},
		{"r0 = -1 ll", "r0 = 0xffffffffffffffff ll"},
		{"r0 = 18446744073709551615 ll", "r0 = 0xffffffffffffffff ll"},
		{"*(u32*)(r10-4)=r1", "*(u32 *)(r10 -4) = r1"},
		{"*(u32 *)(r10 - 4) = w1", "*(u32 *)(r10 -4) = r1"},
		{"w1 = *(u8 *)(r2 + 0)", "r1 = *(u8 *)(r2 +0)"},
		{"r0 = *(u8 *)skb[r2+4]", "r0 = *(u8 *)skb[r2 + 4]"},
		{"r2 = xchg_64(r1 + 8, r2)", "r2 = atomic64_xchg((u64 *)(r1 +8), r2)"},
		{"w0 = cmpxchg32_32(r1 + 8, w0, w2)", "r0 = atomic_cmpxchg((u32 *)(r1 +8), r0, r2)"},
		{"r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)", "r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)"},
		{"if r1 s>-1 goto +0", "if r1 s> 0xffffffff goto pc+0"},
		{"call bpf_map_lookup_elem", "call unknown#1"},
		{"call bpf_map_lookup_elem#1", "call unknown#1"},
		{"call 1", "call unknown#1"},
		{"call #1", "call unknown#1"},
		{"call +1", "call pc+1"},
		{"call bpf_obj_new_impl", "call kfunc unknown#90@3"},
		{"call kfunc bpf_obj_new_impl", "call kfunc unknown#90@3"},
		{"call kfunc bpf_obj_new_impl#7@-1", "call kfunc unknown#7@-1"},
		{"r1 = map[flows] ll", "r1 = map[fd:5] ll"},
		{"r1 = map[flows][0]+8 ll", "r1 = map[fd:5][0]+8 ll"},
		{"loop:\nr1 += 1\nif r1 < 9 goto loop\nexit", "r1 += 1\nif r1 < 0x9 goto pc-2\nexit"},
		{"goto out\nr1 = 1 ll\nout: exit", "goto pc+2\nr1 = 0x1 ll\nexit"},
		{"gotol end\nmay_goto end\nend:", "gotol pc+1\nmay_goto pc+0"},
		{"a: b:\n\ngoto a\ngoto b", "goto pc-1\ngoto pc-2"},
		{"call sub\nexit\nsub: exit", "call pc+1\nexit\nexit"},
		{"r2 = subprog[cb] ll\nexit\ncb: exit", "r2 = subprog[+2] ll\nexit\nexit"},
		{"bpf_map_lookup_elem: call bpf_map_lookup_elem", "call pc-1"}, // a label goes before a helper
		{"s: goto s", "goto pc-1"},
	} {
		prog, err := names.Assemble(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got := strings.TrimSuffix(insn.Disassemble(prog), "\n"); got != c.want {
			t.Errorf("%q:\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestAssembleErrors(t *testing.T) {
	far := "goto out\n" + strings.Repeat("r0 = 0\n", 40000) + "out: exit"
	for _, c := range []struct{ text, want string }{
		{"foo", `1:1: expected an instruction, found "foo"`},
		{"r0 = 0\n  r1 = r11", `2:8: no register r11, the last one is r10`},
		{"r1 = w2", `1:6: expected 64-bit register r0 to r10, number or one of many words, found "w2"`},
		{"r1 += w2", `1:7: expected 64-bit register r0 to r10 or number, found "w2"`},
		{"r1 = 5 5", `1:8: expected "ll" or end of line, found "5"`},
		{"r1 =", `1:5: expected 64-bit register r0 to r10, number or one of many words, found end of line`},
		{"r1 = 0x100000000", `1:6: immediate out of range: must be from -0x80000000 to 0xffffffff; a 64-bit immediate ends in "ll"`},
		{"r1 = 18446744073709551616 ll", `1:6: "18446744073709551616" is not a number of at most 64 bits`},
		{"r1 = -9223372036854775809 ll", `1:6: 64-bit immediate out of range: must be from -0x8000000000000000 to 0xffffffffffffffff`},
		{"r1 = 12ab", `1:6: "12ab" is not a number of at most 64 bits`},
		{"*(u32 *)(r10 -32769) = r1", `1:14: offset out of range: must be from -0x8000 to 0x7fff`},
		{"*(u32 *)(r10) = r1", `1:13: expected + or - and a number, found ")"`},
		{"*(u33 *)(r10 +0) = r1", `1:3: expected "u16", "u32", "u64" or "u8", found "u33"`},
		{"r1 = be16 r2", `1:11: must be the same register as before, this instruction has only one field for both`},
		{"if r1 == 0 goto out", `1:17: label "out" is not defined`},
		{"goto", `1:5: expected pc+N, pc-N or a label, found end of line`},
		{"goto pc", `1:8: expected + or - and a number, found end of line`},
		{far, `1:6: label "out": jump out of range: must be from -0x8000 to 0x7fff`},
		{"call foo", `1:6: "foo" is neither a label nor a known helper`},
		{"call foo#", `1:10: expected a number after #, found end of line`},
		{"call kfunc foo", `1:12: "foo" is not a known kernel function`},
		{"call kfunc foo#1@40000", `1:18: expected a 16-bit number after @, found "40000"`},
		{"r1 = map[nope] ll", `1:10: "nope" is not a known map`},
		{"x: exit\nx: exit", `2:1: label "x" is already defined`},
		{"r1: exit", `1:1: "r1" cannot be a label`},
		{"r1 = `", "1:6: character '`' has no meaning here"},
		{"r1 = é", `1:6: character 'é' has no meaning here`},
		{"r1 = \xff", `1:6: character '�' has no meaning here`},
		{"r1 = addr_space_cast(r2, 65536, 1)", `1:26: address space out of range: must be from 0 to 0xffff`},
		{"probe r1 = *(u8 *)(r2 +0)", `1:1: probe_ldxb is an instruction that only rewriting makes`},
	} {
		_, err := names.Assemble(c.text)
		var e *insn.SyntaxError
		if !errors.As(err, &e) || err.Error() != c.want {
			t.Errorf("%.60q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

// checkAssembled checks what holds of every program that was assembled.
func checkAssembled(t *testing.T, prog []insn.Instruction) {
	if err := insn.Check(prog); err != nil {
		t.Fatalf("%x was assembled: %v", insn.Encode(prog), err)
	}
	text := insn.Disassemble(prog)
	again, err := insn.Assemble(text)
	if err != nil || string(insn.Encode(again)) != string(insn.Encode(prog)) {
		t.Fatalf("%x becomes %x, %v by way of\n%s", insn.Encode(prog), insn.Encode(again), err, text)
	}
}

func FuzzAssemble(f *testing.F) {
	f.Add("loop: r1 += 1\nif r1 < 9 goto loop ; comment\nexit")
	f.Add("r1 = 0x1122334455667788 ll\ncall kfunc x#1@2\n*(u8 *)(r10 -1) = -1")
	f.Add("r2 = subprog[cb] ll\nexit\ncb: lock *(u64 *)(r1 +0) |= r2")
	f.Fuzz(func(t *testing.T, text string) {
		prog, err := insn.Assemble(text)
		if err == nil {
			checkAssembled(t, prog)
			return
		}
		var e *insn.SyntaxError
		if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Msg == "" {
			t.Fatalf("error %#v says too little", err)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(insn.Encode(append(insn.LoadImm64(1, 1<<63), insn.Exit(), insn.CallKfunc(7, -1))))
	for _, form := range insn.Forms() {
		f.Add(insn.Encode([]insn.Instruction{form.Template()}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		prog, err := insn.Decode(b[:len(b)&^7])
		if err != nil {
			t.Fatal(err)
		}
		var p *insn.Printer
		for n, i := range prog {
			p.AppendText(nil, i, insn.Instruction(n)) // prints anything
			if i.Valid() && i.Check() != nil {
				t.Fatalf("%016x is valid, but %v", uint64(i), i.Check())
			}
		}
		p.AppendXlated(nil, prog, true)
		if insn.Check(prog) != nil {
			return
		}
		for n := range prog { // the kernel ignores these, the text has no place for them
			if prog[n].IsExit() {
				prog[n] = prog[n].WithOff(0)
			} else if prog[n].IsFuncRef() {
				prog[n+1] = 0
			}
		}
		checkAssembled(t, prog)
	})
}
