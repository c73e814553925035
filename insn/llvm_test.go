package insn_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
)

// llvmLosesOperands are the forms whose text in LLVM's disassembler does not say
// all that is in the instruction.
var llvmLosesOperands = map[string]bool{
	"call_sub": true, "call_kfunc": true, // all calls are printed as "call 5"
	"ldindb": true, "ldindh": true, "ldindw": true, // the immediate is dropped
}

// TestLLVMSyntax lets LLVM disassemble every form that it knows, and assembles its text.
func TestLLVMSyntax(t *testing.T) {
	mc, err := exec.LookPath("llvm-mc-19") // it has all of v4 but for the ordered loads and stores
	if err != nil {
		t.Skipf("LLVM's assembler is not on this host: %v", err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	var want []insn.Instruction
	var input strings.Builder
	for _, f := range insn.Forms() {
		if f.Group == insn.GroupInternal || f.Wide() || llvmLosesOperands[f.Name] || f.Since > insn.LinuxRelease(6, 9) {
			continue
		}
		for range 3 {
			i, _ := valid(random, &f)
			if i.IsHelperCall() {
				i = i.WithImm(i.Imm() & 0xffff) // here, a number with sign is a distance
			}
			want = append(want, i)
			for b := range insn.Encode([]insn.Instruction{i}) {
				fmt.Fprintf(&input, "0x%02x ", byte(i>>(8*b)))
			}
			input.WriteByte('\n')
		}
	}
	cmd := exec.Command(mc, "-disassemble", "-triple=bpfel", "-mcpu=v4")
	cmd.Stdin = strings.NewReader(input.String())
	var warnings strings.Builder
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || warnings.Len() > 0 {
		t.Fatalf("%v\n%s", err, warnings.String())
	}
	n := 0
	for l := range strings.Lines(string(out)) {
		l = strings.TrimSpace(l)
		if l == "" || l == ".text" {
			continue
		}
		if strings.Contains(l, "warning") || n >= len(want) {
			t.Fatalf("after %d instructions LLVM prints %q\n%s", n, l, out)
		}
		got, err := insn.Assemble(l)
		if err != nil {
			t.Errorf("%s: LLVM's %q: %v", want[n], l, err)
		} else if got[0] != want[n] {
			t.Errorf("%s: LLVM's %q is %016x instead of %016x", want[n], l, uint64(got[0]), uint64(want[n]))
		}
		n++
	}
	if n != len(want) {
		t.Errorf("LLVM printed %d instructions of %d", n, len(want))
	}
}

// valid returns an instruction of the form with random operands, and what may
// stand in the slot after it.
func valid(random *rand.Rand, f *insn.Form) (i, next insn.Instruction) {
	i = f.Template()
	if f.Uses(insn.FieldDst) {
		i = i.WithDst(insn.Reg(random.IntN(insn.NumRegs)))
	}
	if f.Uses(insn.FieldSrc) {
		i = i.WithSrc(insn.Reg(random.IntN(insn.NumRegs)))
	}
	bits := random.Uint64() >> random.IntN(64)
	if random.IntN(2) == 0 {
		bits = -bits
	}
	if f.Uses(insn.FieldOff) {
		i = i.WithOff(int16(bits))
	}
	if f.Uses(insn.FieldImm) {
		i = i.WithImm(int32(bits))
	}
	if f.Uses(insn.FieldNext) {
		next = next.WithImm(int32(bits >> 32))
	}
	return i, next
}
