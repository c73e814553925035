package insn_test

import (
	"math/rand/v2"
	"testing"

	"github.com/skep-ebpf/skep/insn"
)

// mixed returns a program with one instruction of every form.
func mixed() (prog []insn.Instruction) {
	random := rand.New(rand.NewPCG(9, 10))
	for _, f := range insn.Forms() {
		if f.Group == insn.GroupInternal {
			continue
		}
		i, next := valid(random, &f)
		prog = append(prog, i)
		if f.Wide() {
			prog = append(prog, next)
		}
	}
	return prog
}

// TestPrintAllocations holds the printer to allocating nothing: a verifier log
// has a line for every instruction that is walked.
func TestPrintAllocations(t *testing.T) {
	prog := mixed()
	p := insn.Printer{
		CallName: func(insn.Instruction) string { return "bpf_map_lookup_elem" },
		ImmText:  func(dst []byte, _ insn.Instruction, _ uint64) []byte { return append(dst, "map[id:5]"...) },
	}
	buf := make([]byte, 0, 128)
	n := testing.AllocsPerRun(10, func() {
		for _, i := range prog {
			buf = p.AppendText(buf[:0], i, 0)
			buf = p.AppendAsm(buf[:0], i, 0)
		}
	})
	if n != 0 {
		t.Errorf("printing %d instructions allocates %v times", len(prog), n)
	}
}

// TestCheckAllocations holds the check of a valid program to allocating nothing.
func TestCheckAllocations(t *testing.T) {
	prog := mixed()
	if n := testing.AllocsPerRun(10, func() {
		if err := insn.Check(prog); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("checking %d instructions allocates %v times", len(prog), n)
	}
}

// perInstruction reports the time that each of n instructions took.
func perInstruction(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/insn")
}

func BenchmarkAppendText(b *testing.B) {
	prog := mixed()
	var p insn.Printer
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		for _, i := range prog {
			buf = p.AppendText(buf[:0], i, 0)
		}
	}
	perInstruction(b, len(prog))
}

func BenchmarkCheck(b *testing.B) {
	prog := mixed()
	b.ReportAllocs()
	for b.Loop() {
		if err := insn.Check(prog); err != nil {
			b.Fatal(err)
		}
	}
	perInstruction(b, len(prog))
}

func BenchmarkAssemble(b *testing.B) {
	prog := mixed()
	text := insn.Disassemble(prog)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := insn.Assemble(text); err != nil {
			b.Fatal(err)
		}
	}
	perInstruction(b, len(prog))
}
