package interp_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/oracle"
)

// edges are the operands that arithmetic goes wrong at.
var edges = []uint64{
	0, 1, 2, 7, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
	0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000, 0x1ffffffff, 0x180000000,
	1<<63 - 1, 1 << 63, 1<<63 + 1, ^uint64(0) - 1, ^uint64(0), 0xfedcba9876543210,
}

// edgeImms are the same for immediates.
var edgeImms = []int32{1, 2, 7, 31, -1, -2, 1<<31 - 1, -1 << 31, 0x12345678}

// form is one instruction of the matrix: R3 op R4 or an immediate.
type form struct {
	name string
	code []insn.Instruction // computes R3 from R3 and R4
	one  bool               // R4 does not matter
}

// operands is memory with the pairs to compute on.
func (f *form) operands() (memory []byte, pairs int) {
	for _, a := range edges {
		for _, b := range edges {
			if f.one && b != edges[0] {
				break
			}
			memory = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(memory, a), b)
			pairs++
		}
	}
	return memory, pairs
}

func aluForms() (forms []form) {
	for op := insn.OpAdd; op <= insn.OpArsh; op += 0x10 {
		for _, class := range []uint8{insn.ClassALU64, insn.ClassALU} {
			for off := int16(0); off <= 1; off++ {
				if off == 1 && op != insn.OpDiv && op != insn.OpMod {
					continue
				}
				forms = append(forms, operandForms(class, op, off)...)
			}
		}
	}
	for _, bits := range []int16{8, 16, 32} {
		forms = append(forms, form{fmt.Sprintf("movsx64 %d", bits), []insn.Instruction{insn.MovSX64(insn.R3, insn.R3, bits)}, true})
		if bits < 32 {
			forms = append(forms, form{fmt.Sprintf("movsx32 %d", bits), []insn.Instruction{insn.MovSX32(insn.R3, insn.R3, bits)}, true})
		}
	}
	for _, bits := range []int32{16, 32, 64} {
		forms = append(forms,
			form{fmt.Sprintf("le%d", bits), []insn.Instruction{insn.EndianTo(insn.EndToLE, insn.R3, bits)}, true},
			form{fmt.Sprintf("be%d", bits), []insn.Instruction{insn.EndianTo(insn.EndToBE, insn.R3, bits)}, true},
			form{fmt.Sprintf("bswap%d", bits), []insn.Instruction{insn.Bswap(insn.R3, bits)}, true})
	}
	return forms
}

func operandForms(class, op uint8, off int16) (forms []form) {
	if op == insn.OpNeg {
		return []form{{fmt.Sprintf("alu %#x", class|op), []insn.Instruction{insn.Make(class|op, insn.R3, 0, 0, 0)}, true}}
	}
	forms = append(forms, form{fmt.Sprintf("alu %#x off %d", class|op|insn.SrcX, off),
		[]insn.Instruction{insn.Make(class|op|insn.SrcX, insn.R3, insn.R4, off, 0)}, false})
	for _, imm := range edgeImms {
		shift := op == insn.OpLsh || op == insn.OpRsh || op == insn.OpArsh
		if shift && (imm < 0 || imm >= 32) {
			continue // refused by the verifier
		}
		forms = append(forms, form{fmt.Sprintf("alu %#x imm %d off %d", class|op, imm, off),
			[]insn.Instruction{insn.Make(class|op|insn.SrcK, insn.R3, 0, off, imm)}, true})
	}
	return forms
}

// jumpForms leave 1 in R3 where the jump was taken, 0 where not.
func jumpForms() (forms []form) {
	outcome := func(i insn.Instruction) []insn.Instruction {
		return []insn.Instruction{insn.Mov64Imm(insn.R5, 1), i, insn.Mov64Imm(insn.R5, 0), insn.Mov64Reg(insn.R3, insn.R5)}
	}
	for op := insn.JmpEQ; op <= insn.JmpSLE; op += 0x10 {
		if op == insn.JmpCALL || op == insn.JmpEXIT {
			continue
		}
		for _, class := range []uint8{insn.ClassJMP, insn.ClassJMP32} {
			forms = append(forms, form{fmt.Sprintf("jump %#x", class|op|insn.SrcX),
				outcome(insn.Make(class|op|insn.SrcX, insn.R3, insn.R4, 1, 0)), false})
			for _, imm := range edgeImms {
				forms = append(forms, form{fmt.Sprintf("jump %#x imm %d", class|op, imm),
					outcome(insn.Make(class|op, insn.R3, 0, 1, imm)), true})
			}
		}
	}
	return forms
}

// program computes the form for pairs of operands in memory; each result
// replaces the first operand.
func (f *form) program(pairs int) []insn.Instruction {
	var code []insn.Instruction
	for n := range pairs {
		off := int16(16 * n)
		code = append(code, insn.LoadMem(insn.SizeDW, insn.R3, insn.R1, off), insn.LoadMem(insn.SizeDW, insn.R4, insn.R1, off+8))
		code = append(code, f.code...)
		code = append(code, insn.StoreMem(insn.SizeDW, insn.R1, off, insn.R3))
	}
	return append(code, insn.Mov64Imm(insn.R0, 0), insn.Exit())
}

// TestMatrix holds every arithmetic and jump form over all pairs of edge
// operands: fast form, checking form and live kernel must agree.
func TestMatrix(t *testing.T) {
	live, reason := oracle.Available()
	if !live {
		t.Logf("oracle: not asked: %s", reason)
	}
	b := newBench(t)
	for _, f := range append(aluForms(), jumpForms()...) {
		memory, pairs := f.operands()
		code := f.program(pairs)
		want := b.run(engines[0], code, memory, false).memory
		for _, e := range engines {
			for _, rewritten := range []bool{false, true} {
				diff(t, &f, fmt.Sprintf("%s (rewritten: %v)", e.Name(), rewritten), memory, b.run(e, code, memory, rewritten).memory, want)
			}
		}
		if live {
			got, refused := runLive(t, code, memory)
			if refused != "" {
				t.Fatalf("%s: the live kernel refuses: %.400s", f.name, refused)
			}
			diff(t, &f, "live kernel", memory, got.memory, want)
		}
	}
}

// diff reports the first pair of operands with another result than the fast
// form's.
func diff(t *testing.T, f *form, who string, operands, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	u64 := binary.LittleEndian.Uint64
	for n := 0; n < len(want); n += 16 {
		if u64(got[n:]) != u64(want[n:]) {
			t.Errorf("%s of %#x and %#x: %s gives %#x, the fast form %#x",
				f.name, u64(operands[n:]), u64(operands[n+8:]), who, u64(got[n:]), u64(want[n:]))
			return
		}
	}
}
