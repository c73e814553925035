package progen

import "github.com/skep-ebpf/skep/insn"

func (f *fn) emit(op uint8, dst, src insn.Reg, off int, imm int32) {
	f.code = append(f.code, insn.Make(op, dst, src, int16(off), imm))
}

func (f *fn) movImm(r insn.Reg, v int32) {
	f.emit(insn.ClassALU64|insn.OpMov|insn.SrcK, r, 0, 0, v)
	f.set(r, value{kind: scalar, max: uint64(int64(v))})
}

// mov copies a register with all that is known of it.
func (f *fn) mov(dst, src insn.Reg) {
	f.emit(insn.ClassALU64|insn.OpMov|insn.SrcX, dst, src, 0, 0)
	if src < insn.R10 {
		f.set(dst, f.regs[src])
	}
}

func (f *fn) addImm(r insn.Reg, v int32) {
	f.emit(insn.ClassALU64|insn.OpAdd|insn.SrcK, r, 0, 0, v)
}

func (f *fn) wide(r, src insn.Reg, lo, hi int32) {
	f.emit(insn.ClassLD|insn.ModeImm|insn.SizeDW, r, src, 0, lo)
	f.emit(0, 0, 0, 0, hi)
}

// frameAddr loads the address of the stack byte with that index.
func (f *fn) frameAddr(r insn.Reg, at int) {
	f.mov(r, insn.R10)
	f.addImm(r, int32(at-frameSize))
	f.set(r, value{kind: ptr, mem: memory{size: frameSize - at, aligned: true, stack: at}})
}

func (f *fn) call(helper int32) {
	f.emit(insn.ClassJMP|insn.JmpCALL, 0, 0, 0, helper)
	f.clobber()
	f.setScalar(insn.R0)
}

func (f *fn) exit() {
	f.emit(insn.ClassJMP|insn.JmpEXIT, 0, 0, 0, 0)
	f.dead = true
}

// jump is a jump forward whose target is not known yet.
type jump struct {
	at    int
	state state
}

// branch emits a conditional jump.
func (f *fn) branch(op uint8, dst, src insn.Reg, imm int32) jump {
	f.emit(op, dst, src, 0, imm)
	return jump{len(f.code) - 1, f.state}
}

// skip emits an unconditional jump.
func (f *fn) skip() jump {
	f.emit(insn.ClassJMP|insn.JmpJA, 0, 0, 0, 0)
	j := jump{len(f.code) - 1, f.state}
	f.dead = true
	return j
}

// land lets jumps arrive here.
func (f *fn) land(jumps ...jump) {
	for _, j := range jumps {
		f.code[j.at] = f.code[j.at].WithOff(int16(len(f.code) - j.at - 1))
		f.state = merge(f.state, j.state)
	}
}

var sizes = map[int]uint8{1: insn.SizeB, 2: insn.SizeH, 4: insn.SizeW, 8: insn.SizeDW}
