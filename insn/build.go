package insn

// Mov64Imm returns dst = imm, sign-extended.
func Mov64Imm(dst Reg, imm int32) Instruction { return ALU64Imm(OpMov, dst, imm) }

// Mov64Reg returns dst = src.
func Mov64Reg(dst, src Reg) Instruction { return ALU64Reg(OpMov, dst, src) }

// Mov32Imm returns wdst = imm, which clears the upper half.
func Mov32Imm(dst Reg, imm int32) Instruction { return ALU32Imm(OpMov, dst, imm) }

// Mov32Reg returns wdst = wsrc, which clears the upper half.
func Mov32Reg(dst, src Reg) Instruction { return ALU32Reg(OpMov, dst, src) }

// ALU64Imm returns dst op= imm for one of OpAdd to OpArsh.
func ALU64Imm(op uint8, dst Reg, imm int32) Instruction {
	return Make(ClassALU64|op|SrcK, dst, 0, 0, imm)
}

// ALU64Reg returns dst op= src for one of OpAdd to OpArsh.
func ALU64Reg(op uint8, dst, src Reg) Instruction {
	return Make(ClassALU64|op|SrcX, dst, src, 0, 0)
}

// ALU32Imm returns wdst op= imm for one of OpAdd to OpArsh.
func ALU32Imm(op uint8, dst Reg, imm int32) Instruction {
	return Make(ClassALU|op|SrcK, dst, 0, 0, imm)
}

// ALU32Reg returns wdst op= wsrc for one of OpAdd to OpArsh.
func ALU32Reg(op uint8, dst, src Reg) Instruction {
	return Make(ClassALU|op|SrcX, dst, src, 0, 0)
}

// Signed returns the signed division or modulo that corresponds to the unsigned one.
func (i Instruction) Signed() Instruction { return i.WithOff(1) }

// Neg64 returns dst = -dst.
func Neg64(dst Reg) Instruction { return Make(ClassALU64|OpNeg, dst, 0, 0, 0) }

// Neg32 returns wdst = -wdst.
func Neg32(dst Reg) Instruction { return Make(ClassALU|OpNeg, dst, 0, 0, 0) }

// MovSX64 returns dst = the lower bits of src, sign-extended from 8, 16 or 32 bits.
func MovSX64(dst, src Reg, bits int16) Instruction { return Mov64Reg(dst, src).WithOff(bits) }

// MovSX32 returns wdst = the lower bits of src, sign-extended from 8 or 16 bits.
func MovSX32(dst, src Reg, bits int16) Instruction { return Mov32Reg(dst, src).WithOff(bits) }

// Bswap returns dst = its lower 16, 32 or 64 bits with the bytes reversed.
func Bswap(dst Reg, bits int32) Instruction { return Make(ClassALU64|OpEnd, dst, 0, 0, bits) }

// EndianTo returns dst = its lower 16, 32 or 64 bits converted between the
// machine's byte order and the given one, EndToLE or EndToBE.
func EndianTo(order uint8, dst Reg, bits int32) Instruction {
	return Make(ClassALU|OpEnd|order, dst, 0, 0, bits)
}

// AddrSpaceCast returns dst = src, a pointer to address space from, as a pointer
// to address space to. An arena is space 1, the kernel space 0.
func AddrSpaceCast(dst, src Reg, to, from uint16) Instruction {
	return Mov64Reg(dst, src).WithOff(AddrSpaceCastOff).WithImm(int32(uint32(to)<<16 | uint32(from)))
}

// LoadMem returns dst = the value of this size at src + off, zero-extended.
func LoadMem(size uint8, dst, src Reg, off int16) Instruction {
	return Make(ClassLDX|ModeMem|size, dst, src, off, 0)
}

// LoadMemSX returns dst = the value of this size at src + off, sign-extended.
func LoadMemSX(size uint8, dst, src Reg, off int16) Instruction {
	return Make(ClassLDX|ModeMemSX|size, dst, src, off, 0)
}

// StoreMem returns the store of src to dst + off.
func StoreMem(size uint8, dst Reg, off int16, src Reg) Instruction {
	return Make(ClassSTX|ModeMem|size, dst, src, off, 0)
}

// StoreImm returns the store of imm to dst + off.
func StoreImm(size uint8, dst Reg, off int16, imm int32) Instruction {
	return Make(ClassST|ModeMem|size, dst, 0, off, imm)
}

// Atomic returns an atomic operation, one of AtomicAdd to AtomicCmpxchg, on the
// value of size SizeW or SizeDW at dst + off, with src as the operand.
func Atomic(size uint8, op int32, dst, src Reg, off int16) Instruction {
	return Make(ClassSTX|ModeAtomic|size, dst, src, off, op)
}

// LoadAcquire returns dst = the value of this size at src + off, before anything after it.
func LoadAcquire(size uint8, dst, src Reg, off int16) Instruction {
	return Make(ClassSTX|ModeAtomic|size, dst, src, off, AtomicLoadAcq)
}

// StoreRelease returns the store of src to dst + off, after anything before it.
func StoreRelease(size uint8, dst Reg, off int16, src Reg) Instruction {
	return Make(ClassSTX|ModeAtomic|size, dst, src, off, AtomicStoreRel)
}

// LoadAbs returns r0 = the value of this size at offset imm in the packet, in
// host byte order. R6 holds the context; R1 to R5 are lost.
func LoadAbs(size uint8, imm int32) Instruction { return Make(ClassLD|ModeAbs|size, 0, 0, 0, imm) }

// LoadInd returns r0 = the value of this size at offset src + imm in the packet,
// as [LoadAbs] does.
func LoadInd(size uint8, src Reg, imm int32) Instruction {
	return Make(ClassLD|ModeInd|size, 0, src, 0, imm)
}

// loadWide returns the two slots of a 64-bit immediate load.
func loadWide(dst, kind Reg, low, high int32) []Instruction {
	return []Instruction{
		Make(ClassLD|ModeImm|SizeDW, dst, kind, 0, low),
		Instruction(0).WithImm(high),
	}
}

// LoadImm64 returns dst = v, in two slots.
func LoadImm64(dst Reg, v uint64) []Instruction {
	return loadWide(dst, 0, int32(v), int32(v>>32))
}

// LoadMapFD returns dst = the map with this file descriptor.
func LoadMapFD(dst Reg, fd int32) []Instruction { return loadWide(dst, PseudoMapFD, fd, 0) }

// LoadMapValue returns dst = the address at off in the only value of the map with
// this file descriptor.
func LoadMapValue(dst Reg, fd int32, off uint32) []Instruction {
	return loadWide(dst, PseudoMapValue, fd, int32(off))
}

// LoadMapIdx returns dst = the map at this index of the program's fd_array.
func LoadMapIdx(dst Reg, idx int32) []Instruction { return loadWide(dst, PseudoMapIdx, idx, 0) }

// LoadMapIdxValue returns dst = the address at off in the only value of the map
// at this index of the program's fd_array.
func LoadMapIdxValue(dst Reg, idx int32, off uint32) []Instruction {
	return loadWide(dst, PseudoMapIdxValue, idx, int32(off))
}

// LoadBTFID returns dst = the address of the kernel variable with this BTF id,
// in the module BTF of descriptor btfFD or, if that is zero, in vmlinux.
func LoadBTFID(dst Reg, id, btfFD int32) []Instruction {
	return loadWide(dst, PseudoBTFID, id, btfFD)
}

// LoadFunc returns dst = the subprogram that starts off instructions after the
// slot that follows the first one, as a callback.
func LoadFunc(dst Reg, off int32) []Instruction { return loadWide(dst, PseudoFunc, off, 0) }

// Call returns the call of the helper with this id.
func Call(id int32) Instruction { return Make(ClassJMP|JmpCALL, 0, 0, 0, id) }

// CallSub returns the call of the subprogram that starts off instructions after
// the next one.
func CallSub(off int32) Instruction { return Make(ClassJMP|JmpCALL, 0, PseudoCall, 0, off) }

// CallKfunc returns the call of the kernel function with this BTF id, in the BTF
// at index btf of the program's fd_array or, if that is zero, in vmlinux.
func CallKfunc(id int32, btf int16) Instruction {
	return Make(ClassJMP|JmpCALL, 0, PseudoKfuncCall, btf, id)
}

// Exit returns the end of the program or subprogram.
func Exit() Instruction { return Make(ClassJMP|JmpEXIT, 0, 0, 0, 0) }

// JumpImm returns: if dst op imm, go off instructions after the next one; for
// one of JmpEQ to JmpSLE.
func JumpImm(op uint8, dst Reg, imm int32, off int16) Instruction {
	return Make(ClassJMP|op|SrcK, dst, 0, off, imm)
}

// JumpReg returns: if dst op src, go off instructions after the next one.
func JumpReg(op uint8, dst, src Reg, off int16) Instruction {
	return Make(ClassJMP|op|SrcX, dst, src, off, 0)
}

// Jump32Imm returns: if wdst op imm, go off instructions after the next one.
func Jump32Imm(op uint8, dst Reg, imm int32, off int16) Instruction {
	return Make(ClassJMP32|op|SrcK, dst, 0, off, imm)
}

// Jump32Reg returns: if wdst op wsrc, go off instructions after the next one.
func Jump32Reg(op uint8, dst, src Reg, off int16) Instruction {
	return Make(ClassJMP32|op|SrcX, dst, src, off, 0)
}

// Goto returns: go off instructions after the next one.
func Goto(off int16) Instruction { return Make(ClassJMP|JmpJA, 0, 0, off, 0) }

// Gotol is [Goto] with a 32-bit distance.
func Gotol(off int32) Instruction { return Make(ClassJMP32|JmpJA, 0, 0, 0, off) }

// Gotox returns: go to the address in dst.
func Gotox(dst Reg) Instruction { return Make(ClassJMP|JmpJA|SrcX, dst, 0, 0, 0) }

// MayGoto returns: go off instructions after the next one once the program has
// looped often enough.
func MayGoto(off int16) Instruction {
	return Make(ClassJMP|JmpJCOND, 0, CondMayGoto, off, 0)
}
