package insn

import (
	"fmt"
	"strconv"
	"strings"
)

// A template is the text of a form with a directive for each operand. It drives
// the printer and, cut into tokens, the assembler:
//
//	%d %D  destination register, as r1 or w1
//	%s %S  source register, as r1 or w1
//	%i     immediate, decimal
//	%x     immediate, hexadecimal
//	%o     offset with sign: +4
//	%p     immediate as an addend: + 4
//	%j     jump target by offset: pc+4
//	%l     jump target by immediate: pc+4
//	%f     subprogram by immediate: +4
//	%a %b  upper and lower half of the immediate
//	%q     64-bit immediate, hexadecimal
//	%n     second slot's immediate, decimal
//	%v     second slot's immediate as an unsigned addend: +4
//	%h     helper: its name and id
//	%k     kernel function: its name, id and the index of its BTF
//	%m     name of a map; the assembler only
//	%N     name of a kernel function; the assembler only
//	%%     a percent sign
//
// and where the verifier log differs from what the assembler needs:
//
//	%Q     64-bit immediate through the printer's callback
//	%K     kernel function: its name and id
//	%c     subprogram through the printer's callback
type elem struct {
	verb byte   // 0 for literal text
	lit  string // the text
}

// splitTemplate cuts a template into literal text and directives.
func splitTemplate(text string) []elem {
	elems := make([]elem, 0, 2*strings.Count(text, "%")+1)
	lit := ""
	for text != "" {
		before, after, found := strings.Cut(text, "%")
		lit += before
		if !found {
			break
		}
		verb := after[0]
		text = after[1:]
		if verb == '%' {
			lit += "%"
			continue
		}
		if lit != "" {
			elems, lit = append(elems, elem{lit: lit}), ""
		}
		elems = append(elems, elem{verb: verb})
	}
	if lit != "" {
		elems = append(elems, elem{lit: lit})
	}
	return elems
}

// compile prepares the form's templates for printing.
func (f *Form) compile() {
	f.print = splitTemplate(f.text)
	f.printKernel = f.print
	if f.kernel != "" {
		f.printKernel = splitTemplate(f.kernel)
	}
	for _, e := range f.print {
		if e.verb != 0 && operands[e.verb].print == nil {
			panic(fmt.Sprintf("insn: form %s: no directive %%%c", f.Name, e.verb))
		}
	}
}

// slots are the one or two slots of an instruction.
type slots struct{ first, second Instruction }

// An operand says how a directive is printed, what its syntax in assembly is and
// which field it sets there.
type operand struct {
	print  func(dst []byte, p *Printer, s slots) []byte
	syntax syntax
	set    func(b *binding, v value) error
}

// operands is indexed by directive.
var operands = [128]operand{
	'd': {printDst, syntaxReg, setDst},
	'D': {printDst32, syntaxReg32, setDst},
	's': {printSrc, syntaxReg, setSrc},
	'S': {printSrc32, syntaxReg32, setSrc},
	'i': {printImm, syntaxNumber, setImm},
	'x': {printImmHex, syntaxNumber, setImm},
	'o': {printOff, syntaxAddend, setOff},
	'p': {printImmAddend, syntaxAddend, setImm},
	'j': {printTargetOff, syntaxTarget, setTargetOff},
	'l': {printTargetImm, syntaxTarget, setTargetImm},
	'f': {printFuncRef, syntaxFunc, setTargetImm},
	'a': {printImmHigh, syntaxNumber, setImmHigh},
	'b': {printImmLow, syntaxNumber, setImmLow},
	'q': {printImm64, syntaxNumber, setImm64},
	'n': {printSecond, syntaxNumber, setSecond},
	'v': {printSecondAddend, syntaxAddend, setSecond},
	'h': {printHelper, syntaxHelper, setImm},
	'k': {printKfuncExact, syntaxKfunc, setKfunc},
	'm': {nil, syntaxMap, setImm},
	'N': {nil, syntaxKfuncName, setKfunc},
	'Q': {print: printImm64Name},
	'K': {print: printKfunc},
	'c': {print: printSubprog},
}

func appendReg(dst []byte, kind byte, r Reg) []byte {
	return strconv.AppendUint(append(dst, kind), uint64(r), 10)
}

// appendSigned appends v with its sign, as C's %+d.
func appendSigned(dst []byte, v int64) []byte {
	if v >= 0 {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, v, 10)
}

func appendHex(dst []byte, v uint64) []byte {
	return strconv.AppendUint(append(dst, "0x"...), v, 16)
}

func printDst(dst []byte, _ *Printer, s slots) []byte   { return appendReg(dst, 'r', s.first.Dst()) }
func printDst32(dst []byte, _ *Printer, s slots) []byte { return appendReg(dst, 'w', s.first.Dst()) }
func printSrc(dst []byte, _ *Printer, s slots) []byte   { return appendReg(dst, 'r', s.first.Src()) }
func printSrc32(dst []byte, _ *Printer, s slots) []byte { return appendReg(dst, 'w', s.first.Src()) }

func printImm(dst []byte, _ *Printer, s slots) []byte {
	return strconv.AppendInt(dst, int64(s.first.Imm()), 10)
}

func printImmHex(dst []byte, _ *Printer, s slots) []byte {
	return appendHex(dst, uint64(uint32(s.first.Imm())))
}

func printImmAddend(dst []byte, _ *Printer, s slots) []byte {
	return strconv.AppendInt(append(dst, "+ "...), int64(s.first.Imm()), 10)
}

func printImmHigh(dst []byte, _ *Printer, s slots) []byte {
	return strconv.AppendUint(dst, uint64(uint32(s.first.Imm())>>16), 10)
}

func printImmLow(dst []byte, _ *Printer, s slots) []byte {
	return strconv.AppendUint(dst, uint64(uint16(s.first.Imm())), 10)
}

func printOff(dst []byte, _ *Printer, s slots) []byte {
	return appendSigned(dst, int64(s.first.Off()))
}

func printTargetOff(dst []byte, _ *Printer, s slots) []byte {
	return appendSigned(append(dst, "pc"...), int64(s.first.Off()))
}

func printTargetImm(dst []byte, _ *Printer, s slots) []byte {
	return appendSigned(append(dst, "pc"...), int64(s.first.Imm()))
}

func printFuncRef(dst []byte, _ *Printer, s slots) []byte {
	return appendSigned(dst, int64(s.first.Imm()))
}

func printImm64(dst []byte, _ *Printer, s slots) []byte {
	return appendHex(dst, Imm64(s.first, s.second))
}

func printSecond(dst []byte, _ *Printer, s slots) []byte {
	return strconv.AppendInt(dst, int64(s.second.Imm()), 10)
}

func printSecondAddend(dst []byte, _ *Printer, s slots) []byte {
	return strconv.AppendUint(append(dst, '+'), uint64(uint32(s.second.Imm())), 10)
}

// name returns what the printer's callback calls the function, or other.
func (p *Printer) name(i Instruction, other string) string {
	if p != nil && p.CallName != nil {
		if name := p.CallName(i); name != "" {
			return name
		}
	}
	return other
}

// appendFunc appends a function's name and id.
func appendFunc(dst []byte, name string, id int32) []byte {
	return strconv.AppendInt(append(append(dst, name...), '#'), int64(id), 10)
}

func printHelper(dst []byte, p *Printer, s slots) []byte {
	return appendFunc(dst, p.name(s.first, "unknown"), s.first.Imm())
}

func printKfunc(dst []byte, p *Printer, s slots) []byte {
	return appendFunc(dst, p.name(s.first, "kernel-function"), s.first.Imm())
}

func printKfuncExact(dst []byte, p *Printer, s slots) []byte {
	dst = appendFunc(dst, p.name(s.first, "unknown"), s.first.Imm())
	if off := s.first.Off(); off != 0 {
		dst = strconv.AppendInt(append(dst, '@'), int64(off), 10)
	}
	return dst
}

func printSubprog(dst []byte, p *Printer, s slots) []byte {
	if name := p.name(s.first, ""); name != "" {
		return append(append(dst, "pc"...), name...)
	}
	return printTargetImm(dst, p, s)
}

// printImm64Name mirrors the end of print_bpf_insn() for BPF_LD_IMM64: addresses
// are zero for whom they must not leak to.
func printImm64Name(dst []byte, p *Printer, s slots) []byte {
	imm := Imm64(s.first, s.second)
	if p == nil {
		return appendHex(dst, imm)
	}
	if src := s.first.Src(); p.HidePointers && (src == PseudoMapFD || src == PseudoMapValue) {
		imm = 0
	}
	if p.ImmText != nil {
		if out := p.ImmText(dst, s.first, imm); len(out) > len(dst) {
			return out
		}
	}
	return appendHex(dst, imm)
}
