package insn_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// slotOf is where inContext places the instruction.
const slotOf = 5

// inContext returns a program whose first path comes to i in slot [slotOf], with
// jumps around it so that no slot within reach of i is unreachable.
func inContext(i, next insn.Instruction) []insn.Instruction {
	exit := insn.Make(insn.ClassJMP|insn.JmpEXIT, 0, 0, 0, 0)
	prog := []insn.Instruction{insn.Make(insn.ClassALU64|insn.OpMov, 0, 0, 0, 0)}
	wide := int16(0)
	if i.IsWide() {
		wide = 1
	}
	for range slotOf - 1 {
		// From slot n, over the others and i, to exit n.
		prog = append(prog, insn.Make(insn.ClassJMP|insn.JmpEQ, 0, 0, slotOf-1+wide, 1))
	}
	prog = append(prog, i)
	if i.IsWide() {
		prog = append(prog, next)
	}
	return append(prog, exit, exit, exit, exit)
}

// kernelLog returns the verifier's log of a program.
func kernelLog(t testing.TB, prog []insn.Instruction) string {
	t.Helper()
	p := oracle.LoadProg(oracle.Prog{Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Insns: prog, LogLevel: 2})
	defer p.Close()
	return p.Log
}

// loggedText returns how the log prints the instruction in a slot, "" if it does not.
func loggedText(log string, slot int) string {
	prefix := fmt.Sprintf("%d: ", slot)
	for l := range strings.Lines(log) {
		if text, ok := strings.CutPrefix(l, prefix); ok && (strings.HasPrefix(text, "(") || strings.HasPrefix(text, "BUG")) {
			text, _, _ = strings.Cut(text, " ;") // the registers that it wrote
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// TestKernelKnowsOpcodes compares KnownOpcode, and the verifier's line for every
// opcode that is not known.
func TestKernelKnowsOpcodes(t *testing.T) {
	oracle.Require(t)
	for op := range 256 {
		i := insn.Make(uint8(op), 0, 0, 0, 0)
		log := kernelLog(t, inContext(i, 0))
		unknown := strings.Contains(log, fmt.Sprintf("unknown opcode %02x\n", op)) ||
			loggedText(log, slotOf) == "" && strings.Contains(log, "BPF_LDX uses reserved fields\n")
		if unknown == insn.KnownOpcode(uint8(op)) {
			t.Errorf("opcode %02x: KnownOpcode returns %v, the kernel says\n%s", op, !unknown, log)
		}
		var e *insn.EncodingError
		if err := i.Check(); unknown && (!errors.As(err, &e) || !strings.Contains(log, e.KernelText()+"\n")) {
			// gotox came after the reference release.
			if !i.IsGotox() {
				t.Errorf("opcode %02x: Check returns %v, the kernel says\n%s", op, err, log)
			}
		}
	}
}

// spoil returns i with a field that its form does not use set to something else.
func spoil(i insn.Instruction, field insn.Field) insn.Instruction {
	switch field {
	case insn.FieldDst:
		return i.WithDst(2)
	case insn.FieldSrc:
		return i.WithSrc(7)
	case insn.FieldOff:
		return i.WithOff(i.Off() ^ 2)
	}
	return i.WithImm(i.Imm() ^ 0x1004)
}

// TestKernelReservedFields sets, in every form, each field that has to be zero,
// and compares the verifier's line. The kernel looks at the references that a
// wide load holds before it looks at the offset: those are TestKernelWideLoads.
func TestKernelReservedFields(t *testing.T) {
	oracle.Require(t)
	compared := 0
	for _, f := range insn.Forms() {
		i := f.Template()
		if !insn.KnownOpcode(i.Op()) || f.Group == insn.GroupInternal || i.IsSubprogCall() || i.IsWide() && i.Src() != 0 {
			continue
		}
		for field := insn.FieldDst; field <= insn.FieldImm; field++ {
			if f.Uses(field) {
				continue
			}
			bad := spoil(i, field)
			log := kernelLog(t, inContext(bad, 0))
			var e *insn.EncodingError
			err := bad.Check()
			switch {
			case errors.As(err, &e) && strings.Contains(log, "\n"+e.KernelText()+"\n"):
			case err == nil && !strings.Contains(log, "reserved") && loggedText(log, slotOf) != "":
			default:
				t.Errorf("%s with %s %#x: %v (%q), the kernel says\n%s", f.Name, field, uint64(bad), err, e.KernelText(), log)
			}
			compared++
		}
	}
	if compared < 200 {
		t.Errorf("only %d fields were compared", compared)
	}
}

// TestKernelBadRegister compares the line on a register that does not exist.
func TestKernelBadRegister(t *testing.T) {
	oracle.Require(t)
	for _, i := range []insn.Instruction{
		insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcX, 0, 12, 0, 0),
		insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcK, 11, 0, 0, 0),
		insn.Make(insn.ClassSTX|insn.ModeMem|insn.SizeW, 15, 0, 0, 0),
		insn.Make(insn.ClassLDX|insn.ModeMem|insn.SizeW, 0, 11, 0, 0),
	} {
		log := kernelLog(t, inContext(i, 0))
		var e *insn.EncodingError
		if err := i.Check(); !errors.As(err, &e) || !strings.Contains(log, "\n"+e.KernelText()+"\n") {
			t.Errorf("%s: %v, the kernel says\n%s", i, err, log)
		}
	}
}

// TestKernelText compares the disassembly of each opcode with many operands,
// right or wrong, with the verifier log.
func TestKernelText(t *testing.T) {
	oracle.Require(t)
	printer := &insn.Printer{CallName: helperName}
	compared := map[uint8]int{}
	compare := func(i, next insn.Instruction) {
		log := kernelLog(t, inContext(i, next))
		want := loggedText(log, slotOf)
		if want == "" {
			return // refused before it was printed
		}
		compared[i.Op()]++
		if got := string(printer.AppendText(nil, i, next)); got != want {
			t.Errorf("%016x\nprinted %q\nkernel  %q", uint64(i), got, want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for op := range 256 {
		if !insn.KnownOpcode(uint8(op)) {
			continue
		}
		for range 12 {
			compare(sample(random, uint8(op)))
		}
	}
	for _, f := range insn.Forms() {
		for range 4 {
			i, next := sample(random, f.Opcode)
			for field := insn.FieldSrc; field <= insn.FieldImm; field++ {
				if f.Uses(field) {
					continue
				}
				switch t := f.Template(); field {
				case insn.FieldSrc:
					i = i.WithSrc(t.Src())
				case insn.FieldOff:
					i = i.WithOff(t.Off())
				case insn.FieldImm:
					i = i.WithImm(t.Imm())
				}
			}
			if f.Group != insn.GroupInternal && insn.KnownOpcode(i.Op()) {
				compare(i, next)
			}
		}
	}
	for op := range 256 {
		if insn.KnownOpcode(uint8(op)) && compared[uint8(op)] < 4 {
			t.Errorf("opcode %02x was compared only %d times", op, compared[uint8(op)])
		}
	}
}

// sample returns an instruction with operands of which some mean something special.
func sample(random *rand.Rand, op uint8) (i, next insn.Instruction) {
	pick := func(of ...int64) int64 { return of[random.IntN(len(of))] }
	dst := insn.Reg(pick(0, 0, 1, 2, 10, 11, 15))
	src := insn.Reg(pick(0, 0, 1, 3, 7, 10, 14))
	off := int16(pick(0, 0, 1, -1, 8, 16, 32, -8, 300, -300, 32767, -32768))
	imm := int32(pick(0, 1, -1, 16, 32, 64, 7, 0x12345678, -0x12345678, 1<<31-1, -1<<31, 1<<16, 0x100))
	i = insn.Make(op, dst, src, off, imm)
	if i.IsJumpClass() { // within reach of inContext
		i = i.WithOff(int16(pick(0, 1, 2, 3, -1, -2, -3)))
	}
	if i.Op() == insn.ClassJMP32|insn.JmpJA {
		i = i.WithImm(int32(pick(0, 1, 2, 3, -1, -2, -3)))
	}
	if i.Class() == insn.ClassLDX && random.IntN(4) > 0 || i.IsWide() || i.IsCall() {
		if !i.IsHelperCall() {
			i = i.WithSrc(insn.Reg(pick(0, 10)))
		}
		if !i.IsCall() && !i.IsWide() {
			i = i.WithImm(0)
		}
	}
	if i.IsWide() {
		next = insn.Instruction(0).WithImm(imm ^ int32(pick(0, -1, 5)))
		i = i.WithSrc(0)
	}
	return i, next
}

// helperName names helpers as the kernel does.
func helperName(i insn.Instruction) string {
	if name, ok := strings.CutPrefix(uapi.FuncID(i.Imm()).String(), "BPF_FUNC_"); ok && i.IsHelperCall() {
		return "bpf_" + name
	}
	return ""
}
