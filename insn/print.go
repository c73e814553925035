package insn

import (
	"strconv"
	"strings"
)

// A Printer disassembles instructions. The zero value and nil print without names.
type Printer struct {
	// CallName returns the name of the function that the call i calls: a helper,
	// a kernel function or (for a dump) a subprogram; "" where it knows none.
	CallName func(i Instruction) string
	// ImmText appends what the 64-bit immediate of i stands for, such as
	// "map[id:5]", to dst and returns it. Where it appends nothing, the number
	// is printed.
	ImmText func(dst []byte, i Instruction, imm uint64) []byte
	// HidePointers prints a map's address as zero, as the kernel does for
	// programs that may not see addresses.
	HidePointers bool
}

const hexDigits = "0123456789abcdef"

// AppendText appends i to dst as the kernel's print_bpf_insn() writes it to the
// verifier log: "(b7) r0 = 0". next is the instruction in the slot after i; only
// a 64-bit immediate load looks at it. Nothing is allocated but what dst needs
// to grow.
func (p *Printer) AppendText(dst []byte, i, next Instruction) []byte {
	f := i.selectForm()
	if f == nil {
		return appendHex8(append(dst, bugText[i.Class()]...), i.Op())
	}
	dst = append(appendHex8(append(dst, '('), i.Op()), ") "...)
	return p.appendElems(dst, f.printKernel, slots{i, next})
}

// AppendAsm appends i to dst in the syntax that [Assemble] reads. Unlike the
// kernel's text this one tells all valid instructions apart.
func (p *Printer) AppendAsm(dst []byte, i, next Instruction) []byte {
	f := i.selectForm()
	if f == nil {
		return appendHex8(append(dst, bugText[i.Class()]...), i.Op())
	}
	return p.appendElems(dst, f.print, slots{i, next})
}

// bugText is what the kernel prints, by class, for an opcode that it has no text for.
var bugText = [8]string{ClassLD: "BUG_ld_", ClassLDX: "BUG_ldx_", ClassST: "BUG_st_", ClassSTX: "BUG_"}

func appendHex8(dst []byte, b uint8) []byte {
	return append(dst, hexDigits[b>>4], hexDigits[b&0xf])
}

func (p *Printer) appendElems(dst []byte, elems []elem, s slots) []byte {
	for n := range elems {
		if e := &elems[n]; e.verb == 0 {
			dst = append(dst, e.lit...)
		} else {
			dst = operands[e.verb].print(dst, p, s)
		}
	}
	return dst
}

// AppendXlated appends prog to dst as "bpftool prog dump xlated" lists it, one
// instruction a line; with opcodes, the bytes of each follow on a line of their own.
func (p *Printer) AppendXlated(dst []byte, prog []Instruction, opcodes bool) []byte {
	for n := 0; n < len(prog); n++ {
		i, next := at(prog, n)
		number := strconv.Itoa(n)
		dst = append(dst, "    "[min(len(number), 4):]...)
		dst = append(append(dst, number...), ": "...)
		dst = append(p.AppendText(dst, i, next), '\n')
		wide := i.IsWide() && n+1 < len(prog)
		if opcodes {
			dst = AppendRaw(append(dst, "       "...), i)
			if wide {
				dst = AppendRaw(append(dst, ' '), next)
			}
			dst = append(dst, '\n')
		}
		if wide {
			n++
		}
	}
	return dst
}

// AppendRaw appends the eight bytes of i to dst as bpftool prints them.
func AppendRaw(dst []byte, i Instruction) []byte {
	for n := range Size {
		if n > 0 {
			dst = append(dst, ' ')
		}
		dst = appendHex8(dst, uint8(i>>(8*n)))
	}
	return dst
}

// at returns slot n and the one after it, zero behind the end.
func at(prog []Instruction, n int) (i, next Instruction) {
	if n+1 < len(prog) {
		next = prog[n+1]
	}
	return prog[n], next
}

// Disassemble returns prog in the syntax that [Assemble] reads, one instruction a line.
func Disassemble(prog []Instruction) string {
	var b []byte
	var p *Printer
	for n := 0; n < len(prog); n++ {
		i, next := at(prog, n)
		b = append(p.AppendAsm(b, i, next), '\n')
		if i.IsWide() {
			n++
		}
	}
	return string(b)
}

// String returns i in the syntax of the verifier log, without the opcode. The
// 64-bit immediate of a wide load shows its lower half only.
func (i Instruction) String() string {
	var p *Printer
	text := string(p.AppendText(make([]byte, 0, 64), i, 0))
	if _, after, ok := strings.Cut(text, ") "); ok && text[0] == '(' {
		return after
	}
	return text
}
