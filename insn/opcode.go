package insn

// Instruction classes: the low three bits of an opcode.
const (
	ClassLD    uint8 = 0x00
	ClassLDX   uint8 = 0x01
	ClassST    uint8 = 0x02
	ClassSTX   uint8 = 0x03
	ClassALU   uint8 = 0x04
	ClassJMP   uint8 = 0x05
	ClassJMP32 uint8 = 0x06
	ClassALU64 uint8 = 0x07

	// ClassMask selects the class.
	ClassMask uint8 = 0x07
)

// Access sizes of load and store instructions.
const (
	SizeW  uint8 = 0x00 // 4 bytes
	SizeH  uint8 = 0x08 // 2 bytes
	SizeB  uint8 = 0x10 // 1 byte
	SizeDW uint8 = 0x18 // 8 bytes

	// SizeMask selects the size.
	SizeMask uint8 = 0x18
)

// Modes of load and store instructions.
const (
	ModeImm    uint8 = 0x00
	ModeAbs    uint8 = 0x20
	ModeInd    uint8 = 0x40
	ModeMem    uint8 = 0x60
	ModeMemSX  uint8 = 0x80
	ModeAtomic uint8 = 0xc0

	// ModeMask selects the mode.
	ModeMask uint8 = 0xe0
)

// Encodings that only a rewritten program carries: the verifier's passes make
// them for the engines, no loaded program may hold them (include/linux/filter.h).
const (
	ModeProbeMem     uint8 = 0x20 // LDX that reads zero where the address is invalid
	ModeProbeMemSX   uint8 = 0x40 // the same, sign-extending
	ModeProbeMem32   uint8 = 0xa0 // LDX, ST, STX on an arena's 32-bit address
	ModeProbeMem32SX uint8 = 0xc0 // LDX on an arena's 32-bit address, sign-extending
	ModeProbeAtomic  uint8 = 0xe0 // STX atomic on an arena's 32-bit address

	// OpcodeTailCall is a JMP: the tail call helper as an instruction.
	OpcodeTailCall uint8 = ClassJMP | 0xf0
	// OpcodeNospec is an ST: a barrier against speculation.
	OpcodeNospec uint8 = ClassST | 0xc0
	// OffPercpu in a 64-bit register move turns a per-CPU offset into an address.
	OffPercpu int16 = -1
)

// Source operand of arithmetic and jump instructions.
const (
	SrcK uint8 = 0x00 // the immediate
	SrcX uint8 = 0x08 // the source register

	// SrcMask selects the source operand.
	SrcMask uint8 = 0x08
)

// Operations of the classes ALU and ALU64.
const (
	OpAdd  uint8 = 0x00
	OpSub  uint8 = 0x10
	OpMul  uint8 = 0x20
	OpDiv  uint8 = 0x30 // SDIV with offset 1
	OpOr   uint8 = 0x40
	OpAnd  uint8 = 0x50
	OpLsh  uint8 = 0x60
	OpRsh  uint8 = 0x70
	OpNeg  uint8 = 0x80
	OpMod  uint8 = 0x90 // SMOD with offset 1
	OpXor  uint8 = 0xa0
	OpMov  uint8 = 0xb0 // MOVSX with offset 8, 16 or 32
	OpArsh uint8 = 0xc0
	OpEnd  uint8 = 0xd0 // byte order; unconditional swap in ALU64

	// OpMask selects the operation, of arithmetic and of jumps.
	OpMask uint8 = 0xf0
)

// Source bit of [OpEnd] in class ALU: to which byte order.
const (
	EndToLE uint8 = 0x00
	EndToBE uint8 = 0x08
)

// Operations of the classes JMP and JMP32.
const (
	JmpJA    uint8 = 0x00
	JmpEQ    uint8 = 0x10
	JmpGT    uint8 = 0x20
	JmpGE    uint8 = 0x30
	JmpSET   uint8 = 0x40
	JmpNE    uint8 = 0x50
	JmpSGT   uint8 = 0x60
	JmpSGE   uint8 = 0x70
	JmpCALL  uint8 = 0x80
	JmpEXIT  uint8 = 0x90
	JmpLT    uint8 = 0xa0
	JmpLE    uint8 = 0xb0
	JmpSLT   uint8 = 0xc0
	JmpSLE   uint8 = 0xd0
	JmpJCOND uint8 = 0xe0 // may_goto
)

// Operations of atomic instructions, in the immediate. Add, or, and, xor may be
// combined with [AtomicFetch].
const (
	AtomicAdd      int32 = 0x00
	AtomicOr       int32 = 0x40
	AtomicAnd      int32 = 0x50
	AtomicXor      int32 = 0xa0
	AtomicFetch    int32 = 0x01
	AtomicXchg     int32 = 0xe0 | AtomicFetch
	AtomicCmpxchg  int32 = 0xf0 | AtomicFetch
	AtomicLoadAcq  int32 = 0x100
	AtomicStoreRel int32 = 0x110
)

// Source register of a 64-bit immediate load: what the immediate stands for.
const (
	PseudoMapFD       Reg = 1 // a map, by file descriptor
	PseudoMapValue    Reg = 2 // an address in a map's first value, by file descriptor
	PseudoBTFID       Reg = 3 // a kernel variable
	PseudoFunc        Reg = 4 // a subprogram, as a callback
	PseudoMapIdx      Reg = 5 // a map, by index into fd_array
	PseudoMapIdxValue Reg = 6 // an address in a map's first value, by index into fd_array
)

// Source register of a call: what is called. Zero is a helper.
const (
	PseudoCall      Reg = 1 // a subprogram
	PseudoKfuncCall Reg = 2 // a kernel function, by BTF id
)

// Source register of [JmpJCOND]: which condition.
const (
	CondMayGoto Reg = 0
)

// AddrSpaceCastOff is the offset of a 64-bit register move that casts between
// address spaces; its immediate holds the destination's in the high half.
const AddrSpaceCastOff int16 = 1
