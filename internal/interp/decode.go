package interp

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// decoder turns the instructions of a program into operations.
type decoder struct {
	v   *prog.Verified
	env *exec.Env
	at  int // the instruction at hand

	ops     []op
	opAt    []int32 // the operation at which each instruction begins
	jumps   []fixup
	helpers []exec.HelperFunc
	frames  []uint32 // stack of each subprogram in bytes, rounded up
	sub     int      // the subprogram at hand
	targets []bool   // instructions that are reached otherwise than from the one before
}

// fixup is an operation whose distance is known when all are decoded.
type fixup struct {
	op     int
	target int // instruction
}

func decode(v *prog.Verified, env *exec.Env) (*decoder, error) {
	d := &decoder{v: v, env: env, frames: frameSizes(v), opAt: make([]int32, len(v.Insns)+1)}
	d.ops = make([]op, 0, len(v.Insns)+1)
	d.targets = jumpTargets(v)
	for d.at < len(v.Insns) {
		for d.sub+1 < len(v.Subprogs) && int(v.Subprogs[d.sub+1].Start) <= d.at {
			d.sub++
		}
		d.opAt[d.at] = int32(len(d.ops))
		i := v.Insns[d.at]
		wide := i.IsWide()
		if err := decodeClass[i.Class()](d, i); err != nil {
			return nil, err
		}
		if !d.targets[d.at] {
			d.fuse()
		}
		if d.at++; wide {
			d.opAt[d.at] = int32(len(d.ops))
			d.at++
		}
	}
	d.opAt[len(v.Insns)] = int32(len(d.ops))
	d.ops = append(d.ops, op{code: opTrap})
	return d, d.link()
}

// link fills in the distances of jumps.
func (d *decoder) link() error {
	for _, f := range d.jumps {
		if f.target < 0 || f.target >= len(d.v.Insns) {
			return refuse(d.v, 0, "a jump goes to %d, outside of the program", f.target)
		}
		d.ops[f.op].off = (d.opAt[f.target] - int32(f.op)) * opSize
	}
	return nil
}

var decodeClass = [8]func(*decoder, insn.Instruction) error{
	insn.ClassLD:    (*decoder).wide,
	insn.ClassLDX:   (*decoder).load,
	insn.ClassST:    (*decoder).storeImm,
	insn.ClassSTX:   (*decoder).store,
	insn.ClassALU:   (*decoder).alu,
	insn.ClassALU64: (*decoder).alu,
	insn.ClassJMP:   (*decoder).jump,
	insn.ClassJMP32: (*decoder).jump,
}

func (d *decoder) emit(c code, i insn.Instruction, imm uint64) {
	d.ops = append(d.ops, op{code: c, dst: uint8(i.Dst()), src: uint8(i.Src()), off: int32(i.Off()), imm: imm})
}

func (d *decoder) refuse(format string, args ...any) error {
	return refuse(d.v, d.at, format, args...)
}

// signed and unsigned are the immediate as 64-bit and 32-bit operations see it.
func signed(i insn.Instruction) uint64   { return uint64(int64(i.Imm())) }
func unsigned(i insn.Instruction) uint64 { return uint64(uint32(i.Imm())) }

func (d *decoder) wide(i insn.Instruction) error {
	if !i.IsWide() {
		return d.refuse("packet loads must have been rewritten")
	}
	if d.at+1 >= len(d.v.Insns) {
		return d.refuse("the second slot is missing")
	}
	value := insn.Imm64(i, d.v.Insns[d.at+1])
	if i.Src() == insn.PseudoFunc {
		sub := subprogAt(d.v, d.at+1+int(i.Imm()))
		if sub < 0 {
			return d.refuse("no subprogram begins there")
		}
		value = funcPointer(sub)
	} else if i.Src() != 0 {
		return d.refuse("the address must have been resolved")
	}
	d.emit(opMov64K, i, value)
	return nil
}

// memFamily is the place of a size in a family of memory operations.
func memFamily(i insn.Instruction) code { return code(i.Size() >> 3) }

func (d *decoder) load(i insn.Instruction) error {
	var base code
	switch i.Mode() {
	case insn.ModeMem:
		base = opLdxW
	case insn.ModeMemSX:
		base = opLdxSXW
	case insn.ModeProbeMem:
		base = opProbeW
	case insn.ModeProbeMemSX:
		base = opProbeSXW
	default:
		return d.refuse("no such load")
	}
	if i.Size() == insn.SizeDW && (base == opLdxSXW || base == opProbeSXW) {
		return d.refuse("8 bytes cannot be sign-extended")
	}
	d.emit(base+memFamily(i), i, 0)
	return nil
}

func (d *decoder) storeImm(i insn.Instruction) error {
	switch {
	case i.Op() == insn.OpcodeNospec:
		return nil // nothing is speculated upon here
	case i.Mode() != insn.ModeMem:
		return d.refuse("no such store")
	}
	d.emit(opStW+memFamily(i), i, signed(i))
	return nil
}

func (d *decoder) store(i insn.Instruction) error {
	switch i.Mode() {
	case insn.ModeMem:
		d.emit(opStxW+memFamily(i), i, 0)
		return nil
	case insn.ModeAtomic:
		return d.atomic(i)
	}
	return d.refuse("no such store")
}

func (d *decoder) atomic(i insn.Instruction) error {
	width := i.SizeBytes()
	kind := uint64(kindOf(i.Imm(), width))
	switch i.Imm() {
	case insn.AtomicLoadAcq:
		d.emit(opLoadAcquire, i, kind)
		return nil
	case insn.AtomicStoreRel:
		d.emit(opStoreRelease, i, kind)
		return nil
	}
	if width < 4 {
		return d.refuse("no atomic operation on %d bytes", width)
	}
	c := opAtomic
	switch i.Imm() {
	case insn.AtomicAdd:
		if c = opAtomicAdd64; width == 4 {
			c = opAtomicAdd32
		}
	case insn.AtomicOr, insn.AtomicAnd, insn.AtomicXor:
	case insn.AtomicCmpxchg:
		c = opAtomicCmpxchg
	case insn.AtomicXchg, insn.AtomicAdd | insn.AtomicFetch, insn.AtomicOr | insn.AtomicFetch,
		insn.AtomicAnd | insn.AtomicFetch, insn.AtomicXor | insn.AtomicFetch:
		c = opAtomicFetch
	default:
		return d.refuse("no atomic operation %#x", i.Imm())
	}
	d.emit(c, i, kind)
	return nil
}

// variant is the place of class and source operand in an ALU or jump family.
func variant(narrow bool, i insn.Instruction) code {
	v := code(i.Source() >> 3)
	if narrow {
		v += 2
	}
	return v
}

// operand is the immediate of an ALU or jump operation.
func operand(narrow bool, i insn.Instruction) uint64 {
	if narrow {
		return unsigned(i)
	}
	return signed(i)
}

func (d *decoder) alu(i insn.Instruction) error {
	narrow := i.Class() == insn.ClassALU
	operation := i.ALUOp()
	imm := operand(narrow, i)
	c := opAdd64K + code(operation>>4)*4 + variant(narrow, i)
	switch {
	case operation == insn.OpEnd:
		return d.byteOrder(i)
	case operation > insn.OpEnd:
		return d.refuse("no such arithmetic operation")
	case operation == insn.OpMov && i.Source() == insn.SrcX && i.Off() != 0:
		return d.movsx(i, narrow)
	case operation == insn.OpNeg:
		c = opNeg64K + variant(narrow, i)&2
	case operation == insn.OpDiv && i.Off() == 1:
		c += opSDiv64K - opDiv64K
	case operation == insn.OpMod && i.Off() == 1:
		c += opSMod64K - opMod64K
	case c == opMov32K, c == opAnd32K:
		c -= 2 // the operand is zero-extended already
	}
	d.emit(c, i, imm)
	return nil
}

func (d *decoder) movsx(i insn.Instruction, narrow bool) error {
	bases := [2]code{opMovSX64B, opMovSX32B}
	base := bases[variant(narrow, i)>>1]
	switch {
	case i.Off() == insn.OffPercpu && !narrow:
		d.emit(opPercpu, i, unsigned(i))
		return nil
	case i.Off() == 1 && !narrow:
		return d.refuse("casts between address spaces are for arenas, which there are none of")
	case i.Off() == 8:
	case i.Off() == 16:
		base++
	case i.Off() == 32 && !narrow:
		base += 2
	default:
		return d.refuse("a move cannot extend from %d bits", i.Off())
	}
	d.emit(base, i, 0)
	return nil
}

// byteOrder decodes the conversions of a little-endian machine: to little
// endian only cuts, to big endian and bswap reverse.
func (d *decoder) byteOrder(i insn.Instruction) error {
	cut := i.Class() == insn.ClassALU && i.Source() == insn.EndToLE
	switch {
	case i.Imm() == 16 && cut:
		d.emit(opLow16, i, 0)
	case i.Imm() == 32 && cut:
		d.emit(opLow32, i, 0)
	case i.Imm() == 64 && cut:
	case i.Imm() == 16:
		d.emit(opSwap16, i, 0)
	case i.Imm() == 32:
		d.emit(opSwap32, i, 0)
	case i.Imm() == 64:
		d.emit(opSwap64, i, 0)
	default:
		return d.refuse("no byte order conversion of %d bits", i.Imm())
	}
	return nil
}

// conditions is the place of each conditional jump among the families.
var conditions = [16]code{
	insn.JmpEQ >> 4: opJEq64K, insn.JmpGT >> 4: opJGt64K, insn.JmpGE >> 4: opJGe64K,
	insn.JmpSET >> 4: opJSet64K, insn.JmpNE >> 4: opJNe64K,
	insn.JmpSGT >> 4: opJSGt64K, insn.JmpSGE >> 4: opJSGe64K,
	insn.JmpLT >> 4: opJLt64K, insn.JmpLE >> 4: opJLe64K,
	insn.JmpSLT >> 4: opJSLt64K, insn.JmpSLE >> 4: opJSLe64K,
}

func (d *decoder) jump(i insn.Instruction) error {
	narrow := i.Class() == insn.ClassJMP32
	switch {
	case i.IsMayGoto():
		return d.refuse("may_goto must have been rewritten")
	case i.IsGotox():
		return d.refuse("indirect jumps are not part of Linux 6.18")
	case i.IsExit():
		d.emit(opExit, i, 0)
	case i.Op() == insn.OpcodeTailCall:
		d.emit(opTailCall, i, 0)
	case i.IsCall():
		return d.call(i)
	case i.IsGoto():
		d.jumpTo(opGoto, i, 0, int(i.JumpOffset()))
	case conditions[i.JumpOp()>>4] != opTrap:
		d.jumpTo(conditions[i.JumpOp()>>4]+variant(narrow, i), i, operand(narrow, i), int(i.Off()))
	default:
		return d.refuse("no such jump")
	}
	return nil
}

// jumpTo emits a jump of a distance in instructions.
func (d *decoder) jumpTo(c code, i insn.Instruction, imm uint64, distance int) {
	d.jumps = append(d.jumps, fixup{len(d.ops), d.at + 1 + distance})
	d.emit(c, i, imm)
}

func (d *decoder) call(i insn.Instruction) error {
	frame := uint64(d.frames[d.sub])
	switch {
	case i.IsSubprogCall():
		d.jumpTo(opCall, i, frame, int(i.Imm()))
		return nil
	case !i.IsHelperCall():
		return d.refuse("kernel functions cannot be called")
	}
	fact := &d.v.Facts[d.at]
	if i.Imm() == int32(uapi.BPF_FUNC_tail_call) {
		d.emit(opTailCall, i, 0)
		return nil
	}
	f := d.env.Helper(uapi.FuncID(i.Imm()), fact)
	if f == nil {
		return d.refuse("there is no helper function %d", i.Imm())
	}
	c := opHelper
	if callsBack(fact.Helper) {
		c = opHelperCallback
	}
	d.emit(c, i, frame)
	d.ops[len(d.ops)-1].off = int32(len(d.helpers))
	d.helpers = append(d.helpers, f)
	return nil
}

func callsBack(h *desc.Helper) bool { return h != nil && h.CallsBack }
