package prog

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
)

// MemKind is what a load or store was found to access; an instruction accesses
// the same kind on every path.
type MemKind uint8

// Kinds of memory.
const (
	MemNone  MemKind = iota
	MemPlain         // stack, packet, map value, ring buffer…: real addresses, used as they are
	MemCtx           // the context: rewritten by the program type
	MemProbe         // a pointer that may be bad: loads give 0 outside the region
	MemSock          // a socket's user-visible fields: rewritten
)

// Fact is what the verifier learned about one instruction.
type Fact struct {
	// Orig is the index of the instruction in the program as given; a patch's
	// instructions have that of the instruction they replace.
	Orig int32
	// Seen is false for code that no path reaches.
	Seen bool
	// ZeroExt: the upper half of the destination of this 32-bit operation is
	// read later (zext_dst).
	ZeroExt bool
	// Mem is the kind of memory that a load, store or atomic accesses, and Ctx
	// the field when that is the context.
	Mem MemKind
	Ctx *desc.CtxField
	// Map is the one map that the instruction concerns on every path: of an
	// ld_imm64, or of the map argument of a helper call. MapPoisoned: several.
	Map         *desc.Map
	MapPoisoned bool
	// Key is the constant index of an array lookup or tail call, when KeyKnown.
	Key      uint64
	KeyKnown bool
	// Imm64 is the resolved value of an ld_imm64: a map's address, a map value's
	// address; for a subprogram pointer see Sub.
	Imm64 uint64
	// Helper is the prototype behind a helper call.
	Helper *desc.Helper
	// Sub is the index of the subprogram that a BPF-to-BPF call or a function
	// pointer names.
	Sub int32
	// Wide says, of an ld_imm64, what it loads.
	Wide WideKind

	// Barrier: speculation must stop before this instruction; BarrierAfter:
	// behind it (nospec, nospec_result).
	Barrier, BarrierAfter bool
	// Mask says how this arithmetic must be masked against speculation
	// (alu_state).
	Mask ALUMask
	// LoopInline: every call of bpf_loop here runs the one callback Sub, with no
	// flags.
	LoopInline bool
}

// ALUMask says how arithmetic on pointers is masked.
type ALUMask struct {
	Flags ALUFlags
	// Limit is how far the pointer may move.
	Limit uint32
}

// ALUFlags is a set of BPF_ALU_*.
type ALUFlags uint8

// What a mask is about.
const (
	MaskSrc      ALUFlags = 1 << iota // BPF_ALU_SANITIZE_SRC: the offset is in the source
	MaskDst                           // BPF_ALU_SANITIZE_DST: it is in the destination
	MaskNegative                      // BPF_ALU_NEG_VALUE
	MaskScalar                        // BPF_ALU_NON_POINTER: no pointer here, no masking
	MaskConstant                      // BPF_ALU_IMMEDIATE: the offset is known
)

// WideKind is what a 64-bit immediate load loads.
type WideKind uint8

// Kinds of 64-bit immediates.
const (
	WideConst    WideKind = iota
	WideMap               // address of struct bpf_map
	WideMapValue          // address inside a map's value
	WideFunc              // address of a subprogram
	WideBTF               // address of a kernel variable
)

// Subprog is one function of a program; the first is the main one.
type Subprog struct {
	Start      int32 // index of the first instruction
	Name       string
	StackDepth uint16 // bytes used below the frame pointer
	LineStart  int32  // index of its first line info record
	FuncType   uint32 // BTF type id of the function
	Global     bool

	HasTailCall, TailCallReachable, HasLoadAbs bool
	IsCallback, IsException                    bool
}

// Stats is what the verifier counts ("processed N insns …").
type Stats struct {
	Insns, TotalStates, PeakStates, MaxStatesPerInsn, MarkRead int
	// VerificationNS is the time it took, on the kernel's clock.
	VerificationNS int64
}

// Verified is a program that the verifier accepted. Insns and Facts run in
// parallel.
type Verified struct {
	raw *Raw
	VerifiedParts
}

// VerifiedParts are the fields of a Verified program.
type VerifiedParts struct {
	Type     *desc.ProgType
	Insns    []insn.Instruction
	Facts    []Fact
	Subprogs []Subprog
	Lines    []LineInfo
	Funcs    []FuncInfo
	// Maps are the maps that the program uses, in order of first use; an index
	// into them is what bpftool shows.
	Maps  []*desc.Map
	Stats Stats
	// StackDepth is the largest stack of any chain of calls in bytes.
	StackDepth int
	// States is what the verifier believed of every instruction; recorded only
	// for the checking interpreter.
	States Believed
}

// Believed is asked by the checking interpreter whether a concrete machine
// state is one that the verifier thought possible. Instructions are numbered as
// in the program as given.
type Believed interface {
	// Check returns a sentence saying what is outside of what was believed at
	// the instruction, or "" when the state is contained.
	Check(orig int, depth int, m Machine) string
}

// Machine is a concrete machine state.
type Machine interface {
	// Reg is the value of a register in the current frame.
	Reg(r insn.Reg) uint64
	// FramePointer is R10 of the frame depth (0: the main program).
	FramePointer(depth int) uint64
	// Load reads n (1, 2, 4, 8) bytes.
	Load(addr uint64, n int) uint64
	// Ctx is the address of the context.
	Ctx() uint64
	// Packet is the range of the packet: start of metadata, data and end.
	Packet() (meta, data, end uint64)
}

// Seal makes a Verified program. Only the verifier may call it (a test over the
// source holds this): what it is given must have passed every check.
func Seal(raw *Raw, parts VerifiedParts) *Verified {
	return &Verified{raw: raw, VerifiedParts: parts}
}

// Rewritten makes the program after a rewriting step; only package rewrite may
// call it, and its patches must preserve meaning.
func (v *Verified) Rewritten(parts VerifiedParts) *Verified {
	return &Verified{raw: v.raw, VerifiedParts: parts}
}

// Raw is the program as it was given.
func (v *Verified) Raw() *Raw { return v.raw }
