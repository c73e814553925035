package interp

// op is one decoded operation. A 64-bit immediate load is one operation, so
// operations and instructions do not run in parallel.
type op struct {
	code     code
	dst, src uint8
	// off is the displacement of a load or store; the distance of a jump in
	// bytes from its own operation; the number of a helper in the image.
	off int32
	// imm is the second operand, extended as the operation wants it. Of a call
	// between subprograms it is the size of the caller's frame.
	imm uint64
}

// code numbers the operations without gaps, which makes the loop's switch one
// jump through a table. Families are laid out in the order of the instruction
// set's fields, so that decoding is arithmetic: an ALU or jump family of four is
// 64-bit immediate, 64-bit register, 32-bit immediate, 32-bit register; a memory
// family of four is word, half word, byte, double word.
type code uint8

const (
	// opTrap is what nothing decodes to; it ends the run.
	opTrap code = iota

	// ALU operations in the order of their field.
	opAdd64K
	opAdd64X
	opAdd32K
	opAdd32X
	opSub64K
	opSub64X
	opSub32K
	opSub32X
	opMul64K
	opMul64X
	opMul32K
	opMul32X
	opDiv64K
	opDiv64X
	opDiv32K
	opDiv32X
	opOr64K
	opOr64X
	opOr32K
	opOr32X
	opAnd64K
	opAnd64X
	opAnd32K
	opAnd32X
	opLsh64K
	opLsh64X
	opLsh32K
	opLsh32X
	opRsh64K
	opRsh64X
	opRsh32K
	opRsh32X
	opNeg64K
	opNeg64X
	opNeg32K
	opNeg32X
	opMod64K
	opMod64X
	opMod32K
	opMod32X
	opXor64K
	opXor64X
	opXor32K
	opXor32X
	opMov64K
	opMov64X
	opMov32K
	opMov32X
	opArsh64K
	opArsh64X
	opArsh32K
	opArsh32X

	opSDiv64K
	opSDiv64X
	opSDiv32K
	opSDiv32X
	opSMod64K
	opSMod64X
	opSMod32K
	opSMod32X

	opMovSX64B
	opMovSX64H
	opMovSX64W
	opMovSX32B
	opMovSX32H

	opPercpu // imm is the distance between CPUs

	opLow16
	opLow32
	opSwap16
	opSwap32
	opSwap64

	opLdxW
	opLdxH
	opLdxB
	opLdxDW
	opLdxSXW
	opLdxSXH
	opLdxSXB
	opProbeW
	opProbeH
	opProbeB
	opProbeDW
	opProbeSXW
	opProbeSXH
	opProbeSXB
	opStW
	opStH
	opStB
	opStDW
	opStxW
	opStxH
	opStxB
	opStxDW

	// Conditional jumps in the order of their field, without JA, CALL and EXIT.
	opJEq64K
	opJEq64X
	opJEq32K
	opJEq32X
	opJGt64K
	opJGt64X
	opJGt32K
	opJGt32X
	opJGe64K
	opJGe64X
	opJGe32K
	opJGe32X
	opJSet64K
	opJSet64X
	opJSet32K
	opJSet32X
	opJNe64K
	opJNe64X
	opJNe32K
	opJNe32X
	opJSGt64K
	opJSGt64X
	opJSGt32K
	opJSGt32X
	opJSGe64K
	opJSGe64X
	opJSGe32K
	opJSGe32X
	opJLt64K
	opJLt64X
	opJLt32K
	opJLt32X
	opJLe64K
	opJLe64X
	opJLe32K
	opJLe32X
	opJSLt64K
	opJSLt64X
	opJSLt32K
	opJSLt32X
	opJSLe64K
	opJSLe64X
	opJSLe32K
	opJSLe32X

	opGoto
	opHelper
	opHelperCallback // a helper that may call a subprogram
	opCall
	opExit
	opTailCall

	// Pairs of instructions that compilers write so often that they are worth an
	// operation of their own: a move and then an operation with an immediate on
	// the copy; a load and then a comparison with an immediate, whose imm holds
	// the displacement above the immediate.
	opMovAdd64K
	opMovLsh64K
	opMovRsh64K
	opMovAnd64K
	opCopyW
	opCopyH
	opCopyB
	opCopyDW
	opLdxWSwap
	opLdxHSwap
	opLdxWJEq64K
	opLdxHJEq64K
	opLdxBJEq64K
	opLdxDWJEq64K
	opLdxWJNe64K
	opLdxHJNe64K
	opLdxBJNe64K
	opLdxDWJNe64K

	// Atomic operations; imm is the atomicKind except for the additions.
	opAtomicAdd64
	opAtomicAdd32
	opAtomic        // the old value is dropped
	opAtomicFetch   // the old value goes to the source register
	opAtomicCmpxchg // the old value goes to R0
	opLoadAcquire
	opStoreRelease
)
