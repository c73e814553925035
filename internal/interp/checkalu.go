package interp

import (
	"math/bits"
	"strconv"

	"github.com/skep-ebpf/skep/insn"
)

func signedText(v int64) string {
	if v < 0 {
		return strconv.FormatInt(v, 10)
	}
	return "+" + strconv.FormatInt(v, 10)
}

// second is the second operand of an ALU or jump instruction, 64 bits wide.
func (w *walk) second(i insn.Instruction) uint64 {
	if i.Source() == insn.SrcX {
		return w.reg[i.Src()]
	}
	return uint64(int64(i.Imm()))
}

func (w *walk) stepALU(i insn.Instruction) {
	a, width := w.reg[i.Dst()], 64
	if i.Class() == insn.ClassALU {
		width = 32
	}
	var result uint64
	switch i.ALUOp() {
	case insn.OpEnd:
		result = reorder(i, a)
	case insn.OpMov:
		result = w.second(i)
		switch {
		case i.Source() == insn.SrcK || i.Off() == 0:
		case i.Off() == insn.OffPercpu:
			result += uint64(w.cpu.ID) * uint64(uint32(i.Imm()))
		default:
			result = signExtend(result, int(i.Off())/8)
		}
		result = cut(result, width)
	default:
		result = cut(arithmetic(i, cut(a, width), cut(w.second(i), width), width), width)
	}
	w.set(i.Dst(), result)
	w.at++
}

// cut keeps the low bits.
func cut(v uint64, width int) uint64 { return v << (64 - width) >> (64 - width) }

// arithmetic computes on operands that were cut to width bits.
func arithmetic(i insn.Instruction, a, b uint64, width int) uint64 {
	shift := b % uint64(width)
	switch i.ALUOp() {
	case insn.OpAdd:
		return a + b
	case insn.OpSub:
		return a - b
	case insn.OpMul:
		return a * b
	case insn.OpOr:
		return a | b
	case insn.OpAnd:
		return a & b
	case insn.OpXor:
		return a ^ b
	case insn.OpNeg:
		return -a
	case insn.OpLsh:
		return a << shift
	case insn.OpRsh:
		return a >> shift
	case insn.OpArsh:
		return uint64(int64(signExtend(a, width/8)) >> shift)
	}
	quotient, remainder := divide(a, b, width, i.Off() == 1)
	if i.ALUOp() == insn.OpDiv {
		return quotient
	}
	return remainder
}

// divide follows RFC 9669 section 4.1 through magnitudes and signs.
func divide(a, b uint64, width int, isSigned bool) (quotient, remainder uint64) {
	if b == 0 {
		return 0, a
	}
	if !isSigned {
		return a / b, a % b
	}
	x, y := signExtend(a, width/8), signExtend(b, width/8)
	quotient, remainder = magnitude(x)/magnitude(y), magnitude(x)%magnitude(y)
	if (x^y)>>63 == 1 {
		quotient = -quotient
	}
	if x>>63 == 1 {
		remainder = -remainder
	}
	return quotient, remainder
}

func magnitude(v uint64) uint64 {
	if v>>63 == 1 {
		return -v
	}
	return v
}

// reorder converts the byte order of the low bits on a little-endian machine.
func reorder(i insn.Instruction, v uint64) uint64 {
	width := int(i.Imm())
	if i.Class() == insn.ClassALU && i.Source() == insn.EndToLE {
		return cut(v, width)
	}
	return bits.ReverseBytes64(v) >> (64 - width)
}

// holds evaluates the condition of a jump.
func holds(i insn.Instruction, a, b uint64) bool {
	if i.Class() == insn.ClassJMP32 {
		a, b = signExtend(a, 4), signExtend(b, 4)
		// Sign extension keeps the unsigned order of 32-bit numbers.
	}
	less, below := int64(a) < int64(b), a < b
	switch i.JumpOp() {
	case insn.JmpEQ:
		return a == b
	case insn.JmpNE:
		return a != b
	case insn.JmpSET:
		return cutFor(i, a&b) != 0
	case insn.JmpGT:
		return !below && a != b
	case insn.JmpGE:
		return !below
	case insn.JmpLT:
		return below
	case insn.JmpLE:
		return below || a == b
	case insn.JmpSGT:
		return !less && a != b
	case insn.JmpSGE:
		return !less
	case insn.JmpSLT:
		return less
	}
	return less || a == b
}

func cutFor(i insn.Instruction, v uint64) uint64 {
	if i.Class() == insn.ClassJMP32 {
		return cut(v, 32)
	}
	return v
}
