package insn

import (
	"encoding/binary"
	"fmt"
)

// Size is the number of bytes of an encoded instruction.
const Size = 8

// Instruction is one slot of a program: the eight bytes of struct bpf_insn as a
// little-endian number. The 64-bit immediate load ([Instruction.IsWide]) takes two.
//
//	bits  0–7  opcode
//	bits  8–11 destination register
//	bits 12–15 source register
//	bits 16–31 signed offset
//	bits 32–63 signed immediate
type Instruction uint64

// Reg is a register number. Four bits hold it, so that a decoded instruction can
// name registers up to 15, of which only R0 to R10 exist for a program.
type Reg uint8

// The registers of a program.
const (
	R0 Reg = iota // result
	R1            // first argument; the context at entry
	R2
	R3
	R4
	R5
	R6 // first of those that a call preserves
	R7
	R8
	R9
	R10 // frame pointer, read-only
	// RAX is the register that the kernel's rewriting passes use (BPF_REG_AX).
	RAX

	// RFP is the frame pointer.
	RFP = R10
	// NumRegs is the number of registers that a program may name.
	NumRegs = 11
)

var regNames = [16]string{
	"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
}

// String returns the register as a 64-bit operand is printed: "r0".
func (r Reg) String() string {
	if int(r) < len(regNames) {
		return regNames[r]
	}
	return fmt.Sprintf("r%d", uint8(r))
}

// Make returns the instruction with these fields. Registers above 15 are cut to four bits.
func Make(op uint8, dst, src Reg, off int16, imm int32) Instruction {
	return Instruction(op) |
		Instruction(dst&0xf)<<8 |
		Instruction(src&0xf)<<12 |
		Instruction(uint16(off))<<16 |
		Instruction(uint32(imm))<<32
}

// Op returns the opcode byte.
func (i Instruction) Op() uint8 { return uint8(i) }

// Dst returns the destination register.
func (i Instruction) Dst() Reg { return Reg(i>>8) & 0xf }

// Src returns the source register.
func (i Instruction) Src() Reg { return Reg(i>>12) & 0xf }

// Off returns the signed 16-bit offset.
func (i Instruction) Off() int16 { return int16(i >> 16) }

// Imm returns the signed 32-bit immediate.
func (i Instruction) Imm() int32 { return int32(i >> 32) }

// WithOp returns i with another opcode byte.
func (i Instruction) WithOp(op uint8) Instruction { return i&^0xff | Instruction(op) }

// WithDst returns i with another destination register.
func (i Instruction) WithDst(r Reg) Instruction { return i&^0xf00 | Instruction(r&0xf)<<8 }

// WithSrc returns i with another source register.
func (i Instruction) WithSrc(r Reg) Instruction { return i&^0xf000 | Instruction(r&0xf)<<12 }

// WithOff returns i with another offset.
func (i Instruction) WithOff(off int16) Instruction {
	return i&^0xffff0000 | Instruction(uint16(off))<<16
}

// WithImm returns i with another immediate.
func (i Instruction) WithImm(imm int32) Instruction {
	return i&0xffffffff | Instruction(uint32(imm))<<32
}

// Class returns the instruction class, one of ClassLD to ClassALU64.
func (i Instruction) Class() uint8 { return i.Op() & ClassMask }

// Size returns the access size of a load or store: SizeB, SizeH, SizeW or SizeDW.
func (i Instruction) Size() uint8 { return i.Op() & SizeMask }

// SizeBytes returns the access size of a load or store in bytes.
func (i Instruction) SizeBytes() int {
	const bytes = 4 | 2<<8 | 1<<16 | 8<<24
	return bytes >> (i.Size()) & 0xff
}

// Mode returns the mode of a load or store.
func (i Instruction) Mode() uint8 { return i.Op() & ModeMask }

// Source returns the source operand of an arithmetic or jump instruction: SrcK or SrcX.
func (i Instruction) Source() uint8 { return i.Op() & SrcMask }

// ALUOp returns the operation of an arithmetic instruction.
func (i Instruction) ALUOp() uint8 { return i.Op() & OpMask }

// JumpOp returns the operation of a jump instruction.
func (i Instruction) JumpOp() uint8 { return i.Op() & OpMask }

// IsALU reports whether i is of class ALU or ALU64.
func (i Instruction) IsALU() bool { return i.Class() == ClassALU || i.Class() == ClassALU64 }

// IsJumpClass reports whether i is of class JMP or JMP32: jump, call or exit.
func (i Instruction) IsJumpClass() bool {
	return i.Class() == ClassJMP || i.Class() == ClassJMP32
}

// IsLoad reports whether i is of class LD or LDX.
func (i Instruction) IsLoad() bool { return i.Class() <= ClassLDX }

// IsStore reports whether i is of class ST or STX, atomic instructions included.
func (i Instruction) IsStore() bool { return i.Class() == ClassST || i.Class() == ClassSTX }

// IsWide reports whether i is the first slot of a 64-bit immediate load.
func (i Instruction) IsWide() bool { return i.Op() == ClassLD|ModeImm|SizeDW }

// IsAtomic reports whether i is an atomic operation, a load-acquire or a store-release.
func (i Instruction) IsAtomic() bool {
	return i.Class() == ClassSTX && i.Mode() == ModeAtomic
}

// IsLoadAcquire reports whether i is an atomic load.
func (i Instruction) IsLoadAcquire() bool { return i.IsAtomic() && i.Imm() == AtomicLoadAcq }

// IsStoreRelease reports whether i is an atomic store.
func (i Instruction) IsStoreRelease() bool { return i.IsAtomic() && i.Imm() == AtomicStoreRel }

// IsCall reports whether i is a call of any kind.
func (i Instruction) IsCall() bool { return i.Op() == ClassJMP|JmpCALL }

// IsHelperCall reports whether i calls a helper; Imm is its id.
func (i Instruction) IsHelperCall() bool {
	return i.Op() == ClassJMP|JmpCALL && i.Src() == 0
}

// IsSubprogCall reports whether i calls a subprogram, Imm instructions after the next one.
func (i Instruction) IsSubprogCall() bool {
	return i.Op() == ClassJMP|JmpCALL && i.Src() == PseudoCall
}

// IsKfuncCall reports whether i calls a kernel function: Imm is its BTF id and
// Off selects the BTF in fd_array.
func (i Instruction) IsKfuncCall() bool {
	return i.Op() == ClassJMP|JmpCALL && i.Src() == PseudoKfuncCall
}

// IsFuncRef reports whether i loads the address of a subprogram, Imm
// instructions after the next one counted from the first slot.
func (i Instruction) IsFuncRef() bool { return i.IsWide() && i.Src() == PseudoFunc }

// IsExit reports whether i ends the program or subprogram.
func (i Instruction) IsExit() bool { return i.Op() == ClassJMP|JmpEXIT }

// IsGoto reports whether i is an unconditional direct jump: goto or gotol.
func (i Instruction) IsGoto() bool {
	return i.Op() == ClassJMP|JmpJA || i.Op() == ClassJMP32|JmpJA
}

// IsGotox reports whether i is a jump to an address in a register.
func (i Instruction) IsGotox() bool { return i.Op() == ClassJMP|JmpJA|SrcX }

// IsMayGoto reports whether i is the bounded loop's conditional jump.
func (i Instruction) IsMayGoto() bool {
	return i.Op() == ClassJMP|JmpJCOND && i.Src() == CondMayGoto
}

// IsCondJump reports whether i goes to its target or to the next instruction.
func (i Instruction) IsCondJump() bool {
	if !i.IsJumpClass() {
		return false
	}
	switch i.JumpOp() {
	case JmpJA, JmpCALL, JmpEXIT:
		return false
	case JmpJCOND:
		return i.Op() == ClassJMP|JmpJCOND
	}
	return i.JumpOp() < JmpJCOND
}

// IsJump reports whether i has a direct jump target, so that
// [Instruction.JumpOffset] is defined: goto, gotol, may_goto, conditional jumps.
func (i Instruction) IsJump() bool { return i.IsGoto() || i.IsCondJump() }

// JumpOffset returns the distance from the next instruction to the target of a
// direct jump, in slots. For gotol it is the immediate.
func (i Instruction) JumpOffset() int32 {
	if i.Op() == ClassJMP32|JmpJA {
		return i.Imm()
	}
	return int32(i.Off())
}

// WithJumpOffset returns the direct jump i with another distance. It reports
// false where the field is too narrow.
func (i Instruction) WithJumpOffset(off int32) (Instruction, bool) {
	if i.Op() == ClassJMP32|JmpJA {
		return i.WithImm(off), true
	}
	return i.WithOff(int16(off)), int32(int16(off)) == off
}

// Imm64 returns the 64-bit immediate of a wide load from its two slots.
func Imm64(first, second Instruction) uint64 {
	return uint64(uint32(first.Imm())) | uint64(uint32(second.Imm()))<<32
}

// Decode returns the instructions that b holds in little-endian encoding.
// It fails when the length is not a multiple of [Size].
func Decode(b []byte) ([]Instruction, error) {
	if len(b)%Size != 0 {
		return nil, fmt.Errorf("insn: %d bytes are not a whole number of %d-byte instructions", len(b), Size)
	}
	prog := make([]Instruction, len(b)/Size)
	for n := range prog {
		prog[n] = Instruction(binary.LittleEndian.Uint64(b[n*Size:]))
	}
	return prog, nil
}

// Encode returns the little-endian encoding of prog.
func Encode(prog []Instruction) []byte {
	return AppendEncode(make([]byte, 0, len(prog)*Size), prog)
}

// AppendEncode appends the little-endian encoding of prog to dst.
func AppendEncode(dst []byte, prog []Instruction) []byte {
	for _, i := range prog {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(i))
	}
	return dst
}
