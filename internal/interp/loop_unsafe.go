package interp

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
)

// opSize is the distance between operations in bytes, the unit of op.off in
// jumps.
const opSize = int32(unsafe.Sizeof(op{}))

// at is the operation that lies distance bytes behind o in the same image.
func (o *op) at(distance int32) *op {
	return (*op)(unsafe.Add(unsafe.Pointer(o), int(distance)))
}

// steps runs operations from o on until one that steps cannot do: it returns
// that one. base is the number of the run's first frame.
//
// This is the one function of the project that is long on purpose: one switch
// over dense numbers compiles to one indirect jump for an operation. It contains
// no call of a function that returns, so that nothing but the registers of the
// program lives in memory while it loops: whatever calls is done by [run].
// Register numbers are masked because that is cheaper than a bounds check; the
// program counter is a pointer because the verifier has shown that it stays
// inside the image.
func steps(c *exec.CPU, t *thread, r *[16]uint64, o *op, base int) *op {
	// These two stores, which nothing reads, put the dispatch into one 64-byte line
	// of code whichever way the linker places the function. Across two lines every
	// operation takes about twice as long.
	r[13], r[15] = 0, 0
	next := o
	for {
		o = next
		next = o.at(opSize)
		switch o.code {
		case opTrap, opHelper, opHelperCallback, opTailCall, opAtomic, opAtomicFetch,
			opAtomicCmpxchg, opLoadAcquire, opStoreRelease,
			// Numbers that no operation has: where a byte selects one of 256 cases,
			// the compiler leaves the bounds check of the jump table out.
			169, 170, 171, 172, 173, 174, 175, 176, 177, 178, 179, 180, 181, 182,
			183, 184, 185, 186, 187, 188, 189, 190, 191, 192, 193, 194, 195, 196, 197, 198, 199, 200, 201, 202, 203,
			204, 205, 206, 207, 208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219, 220, 221, 222, 223, 224,
			225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 238, 239, 240, 241, 242, 243, 244, 245,
			246, 247, 248, 249, 250, 251, 252, 253, 254, 255:
			return o

		case opAdd64K:
			r[o.dst&15] += o.imm
		case opAdd64X:
			r[o.dst&15] += r[o.src&15]
		case opAdd32K:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) + uint32(o.imm))
		case opAdd32X:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) + uint32(r[o.src&15]))
		case opSub64K:
			r[o.dst&15] -= o.imm
		case opSub64X:
			r[o.dst&15] -= r[o.src&15]
		case opSub32K:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) - uint32(o.imm))
		case opSub32X:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) - uint32(r[o.src&15]))
		case opMul64K:
			r[o.dst&15] *= o.imm
		case opMul64X:
			r[o.dst&15] *= r[o.src&15]
		case opMul32K:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) * uint32(o.imm))
		case opMul32X:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) * uint32(r[o.src&15]))
		case opDiv64K:
			r[o.dst&15] = div64(r[o.dst&15], o.imm)
		case opDiv64X:
			r[o.dst&15] = div64(r[o.dst&15], r[o.src&15])
		case opDiv32K:
			r[o.dst&15] = div32(r[o.dst&15], o.imm)
		case opDiv32X:
			r[o.dst&15] = div32(r[o.dst&15], r[o.src&15])
		case opOr64K:
			r[o.dst&15] |= o.imm
		case opOr64X:
			r[o.dst&15] |= r[o.src&15]
		case opOr32K:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) | uint32(o.imm))
		case opOr32X:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) | uint32(r[o.src&15]))
		case opAnd64K:
			r[o.dst&15] &= o.imm
		case opAnd64X:
			r[o.dst&15] &= r[o.src&15]
		case opAnd32X:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) & uint32(r[o.src&15]))
		case opLsh64K:
			r[o.dst&15] <<= o.imm & 63
		case opLsh64X:
			r[o.dst&15] <<= r[o.src&15] & 63
		case opLsh32K:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) << (o.imm & 31))
		case opLsh32X:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) << (r[o.src&15] & 31))
		case opRsh64K:
			r[o.dst&15] >>= o.imm & 63
		case opRsh64X:
			r[o.dst&15] >>= r[o.src&15] & 63
		case opRsh32K:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) >> (o.imm & 31))
		case opRsh32X:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) >> (r[o.src&15] & 31))
		case opNeg64K:
			r[o.dst&15] = -r[o.dst&15]
		case opNeg32K:
			r[o.dst&15] = uint64(-uint32(r[o.dst&15]))
		case opMod64K:
			r[o.dst&15] = mod64(r[o.dst&15], o.imm)
		case opMod64X:
			r[o.dst&15] = mod64(r[o.dst&15], r[o.src&15])
		case opMod32K:
			r[o.dst&15] = mod32(r[o.dst&15], o.imm)
		case opMod32X:
			r[o.dst&15] = mod32(r[o.dst&15], r[o.src&15])
		case opXor64K:
			r[o.dst&15] ^= o.imm
		case opXor64X:
			r[o.dst&15] ^= r[o.src&15]
		case opXor32K:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) ^ uint32(o.imm))
		case opXor32X:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) ^ uint32(r[o.src&15]))
		case opMov64K:
			r[o.dst&15] = o.imm
		case opMov64X:
			r[o.dst&15] = r[o.src&15]
		case opMov32X:
			r[o.dst&15] = uint64(uint32(r[o.src&15]))
		case opArsh64K:
			r[o.dst&15] = uint64(int64(r[o.dst&15]) >> (o.imm & 63))
		case opArsh64X:
			r[o.dst&15] = uint64(int64(r[o.dst&15]) >> (r[o.src&15] & 63))
		case opArsh32K:
			r[o.dst&15] = uint64(uint32(int32(r[o.dst&15]) >> (o.imm & 31)))
		case opArsh32X:
			r[o.dst&15] = uint64(uint32(int32(r[o.dst&15]) >> (r[o.src&15] & 31)))
		case opSDiv64K:
			r[o.dst&15] = sdiv64(r[o.dst&15], o.imm)
		case opSDiv64X:
			r[o.dst&15] = sdiv64(r[o.dst&15], r[o.src&15])
		case opSDiv32K:
			r[o.dst&15] = sdiv32(r[o.dst&15], o.imm)
		case opSDiv32X:
			r[o.dst&15] = sdiv32(r[o.dst&15], r[o.src&15])
		case opSMod64K:
			r[o.dst&15] = smod64(r[o.dst&15], o.imm)
		case opSMod64X:
			r[o.dst&15] = smod64(r[o.dst&15], r[o.src&15])
		case opSMod32K:
			r[o.dst&15] = smod32(r[o.dst&15], o.imm)
		case opSMod32X:
			r[o.dst&15] = smod32(r[o.dst&15], r[o.src&15])
		case opMovSX64B:
			r[o.dst&15] = uint64(int64(int8(r[o.src&15])))
		case opMovSX64H:
			r[o.dst&15] = uint64(int64(int16(r[o.src&15])))
		case opMovSX64W:
			r[o.dst&15] = uint64(int64(int32(r[o.src&15])))
		case opMovSX32B:
			r[o.dst&15] = uint64(uint32(int8(r[o.src&15])))
		case opMovSX32H:
			r[o.dst&15] = uint64(uint32(int16(r[o.src&15])))
		case opPercpu:
			r[o.dst&15] = r[o.src&15] + uint64(c.ID)*o.imm
		case opLow16:
			r[o.dst&15] = uint64(uint16(r[o.dst&15]))
		case opLow32:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]))
		case opSwap16:
			r[o.dst&15] = uint64(bits.ReverseBytes16(uint16(r[o.dst&15])))
		case opSwap32:
			r[o.dst&15] = uint64(bits.ReverseBytes32(uint32(r[o.dst&15])))
		case opSwap64:
			r[o.dst&15] = bits.ReverseBytes64(r[o.dst&15])

		case opLdxW:
			r[o.dst&15] = mem.Load32(r[o.src&15] + uint64(o.off))
		case opLdxH:
			r[o.dst&15] = mem.Load16(r[o.src&15] + uint64(o.off))
		case opLdxB:
			r[o.dst&15] = mem.Load8(r[o.src&15] + uint64(o.off))
		case opLdxDW:
			r[o.dst&15] = mem.Load64(r[o.src&15] + uint64(o.off))
		case opLdxSXW:
			r[o.dst&15] = uint64(int64(int32(mem.Load32(r[o.src&15] + uint64(o.off)))))
		case opLdxSXH:
			r[o.dst&15] = uint64(int64(int16(mem.Load16(r[o.src&15] + uint64(o.off)))))
		case opLdxSXB:
			r[o.dst&15] = uint64(int64(int8(mem.Load8(r[o.src&15] + uint64(o.off)))))
		case opStW:
			mem.Store32(r[o.dst&15]+uint64(o.off), o.imm)
		case opStH:
			mem.Store16(r[o.dst&15]+uint64(o.off), o.imm)
		case opStB:
			mem.Store8(r[o.dst&15]+uint64(o.off), o.imm)
		case opStDW:
			mem.Store64(r[o.dst&15]+uint64(o.off), o.imm)
		case opStxW:
			mem.Store32(r[o.dst&15]+uint64(o.off), r[o.src&15])
		case opStxH:
			mem.Store16(r[o.dst&15]+uint64(o.off), r[o.src&15])
		case opStxB:
			mem.Store8(r[o.dst&15]+uint64(o.off), r[o.src&15])
		case opStxDW:
			mem.Store64(r[o.dst&15]+uint64(o.off), r[o.src&15])

		case opJEq64K:
			if r[o.dst&15] == o.imm {
				goto taken
			}
		case opJEq64X:
			if r[o.dst&15] == r[o.src&15] {
				goto taken
			}
		case opJEq32K:
			if uint32(r[o.dst&15]) == uint32(o.imm) {
				goto taken
			}
		case opJEq32X:
			if uint32(r[o.dst&15]) == uint32(r[o.src&15]) {
				goto taken
			}
		case opJGt64K:
			if r[o.dst&15] > o.imm {
				goto taken
			}
		case opJGt64X:
			if r[o.dst&15] > r[o.src&15] {
				goto taken
			}
		case opJGt32K:
			if uint32(r[o.dst&15]) > uint32(o.imm) {
				goto taken
			}
		case opJGt32X:
			if uint32(r[o.dst&15]) > uint32(r[o.src&15]) {
				goto taken
			}
		case opJGe64K:
			if r[o.dst&15] >= o.imm {
				goto taken
			}
		case opJGe64X:
			if r[o.dst&15] >= r[o.src&15] {
				goto taken
			}
		case opJGe32K:
			if uint32(r[o.dst&15]) >= uint32(o.imm) {
				goto taken
			}
		case opJGe32X:
			if uint32(r[o.dst&15]) >= uint32(r[o.src&15]) {
				goto taken
			}
		case opJSet64K:
			if r[o.dst&15]&o.imm != 0 {
				goto taken
			}
		case opJSet64X:
			if r[o.dst&15]&r[o.src&15] != 0 {
				goto taken
			}
		case opJSet32K:
			if uint32(r[o.dst&15])&uint32(o.imm) != 0 {
				goto taken
			}
		case opJSet32X:
			if uint32(r[o.dst&15])&uint32(r[o.src&15]) != 0 {
				goto taken
			}
		case opJNe64K:
			if r[o.dst&15] != o.imm {
				goto taken
			}
		case opJNe64X:
			if r[o.dst&15] != r[o.src&15] {
				goto taken
			}
		case opJNe32K:
			if uint32(r[o.dst&15]) != uint32(o.imm) {
				goto taken
			}
		case opJNe32X:
			if uint32(r[o.dst&15]) != uint32(r[o.src&15]) {
				goto taken
			}
		case opJSGt64K:
			if int64(r[o.dst&15]) > int64(o.imm) {
				goto taken
			}
		case opJSGt64X:
			if int64(r[o.dst&15]) > int64(r[o.src&15]) {
				goto taken
			}
		case opJSGt32K:
			if int32(r[o.dst&15]) > int32(o.imm) {
				goto taken
			}
		case opJSGt32X:
			if int32(r[o.dst&15]) > int32(r[o.src&15]) {
				goto taken
			}
		case opJSGe64K:
			if int64(r[o.dst&15]) >= int64(o.imm) {
				goto taken
			}
		case opJSGe64X:
			if int64(r[o.dst&15]) >= int64(r[o.src&15]) {
				goto taken
			}
		case opJSGe32K:
			if int32(r[o.dst&15]) >= int32(o.imm) {
				goto taken
			}
		case opJSGe32X:
			if int32(r[o.dst&15]) >= int32(r[o.src&15]) {
				goto taken
			}
		case opJLt64K:
			if r[o.dst&15] < o.imm {
				goto taken
			}
		case opJLt64X:
			if r[o.dst&15] < r[o.src&15] {
				goto taken
			}
		case opJLt32K:
			if uint32(r[o.dst&15]) < uint32(o.imm) {
				goto taken
			}
		case opJLt32X:
			if uint32(r[o.dst&15]) < uint32(r[o.src&15]) {
				goto taken
			}
		case opJLe64K:
			if r[o.dst&15] <= o.imm {
				goto taken
			}
		case opJLe64X:
			if r[o.dst&15] <= r[o.src&15] {
				goto taken
			}
		case opJLe32K:
			if uint32(r[o.dst&15]) <= uint32(o.imm) {
				goto taken
			}
		case opJLe32X:
			if uint32(r[o.dst&15]) <= uint32(r[o.src&15]) {
				goto taken
			}
		case opJSLt64K:
			if int64(r[o.dst&15]) < int64(o.imm) {
				goto taken
			}
		case opJSLt64X:
			if int64(r[o.dst&15]) < int64(r[o.src&15]) {
				goto taken
			}
		case opJSLt32K:
			if int32(r[o.dst&15]) < int32(o.imm) {
				goto taken
			}
		case opJSLt32X:
			if int32(r[o.dst&15]) < int32(r[o.src&15]) {
				goto taken
			}
		case opJSLe64K:
			if int64(r[o.dst&15]) <= int64(o.imm) {
				goto taken
			}
		case opJSLe64X:
			if int64(r[o.dst&15]) <= int64(r[o.src&15]) {
				goto taken
			}
		case opJSLe32K:
			if int32(r[o.dst&15]) <= int32(o.imm) {
				goto taken
			}
		case opJSLe32X:
			if int32(r[o.dst&15]) <= int32(r[o.src&15]) {
				goto taken
			}

		case opMovAdd64K:
			r[o.dst&15] = r[o.src&15] + o.imm
		case opMovLsh64K:
			r[o.dst&15] = r[o.src&15] << (o.imm & 63)
		case opMovRsh64K:
			r[o.dst&15] = r[o.src&15] >> (o.imm & 63)
		case opMovAnd64K:
			r[o.dst&15] = r[o.src&15] & o.imm
		case opCopyW:
			v := mem.Load32(r[o.src&15] + uint64(o.off))
			r[o.dst&15] = v
			mem.Store32(r[o.base()&15]+o.low(), v)
		case opCopyH:
			v := mem.Load16(r[o.src&15] + uint64(o.off))
			r[o.dst&15] = v
			mem.Store16(r[o.base()&15]+o.low(), v)
		case opCopyB:
			v := mem.Load8(r[o.src&15] + uint64(o.off))
			r[o.dst&15] = v
			mem.Store8(r[o.base()&15]+o.low(), v)
		case opCopyDW:
			v := mem.Load64(r[o.src&15] + uint64(o.off))
			r[o.dst&15] = v
			mem.Store64(r[o.base()&15]+o.low(), v)
		case opLdxWSwap:
			r[o.dst&15] = uint64(bits.ReverseBytes32(uint32(mem.Load32(r[o.src&15] + uint64(o.off)))))
		case opLdxHSwap:
			r[o.dst&15] = uint64(bits.ReverseBytes16(uint16(mem.Load16(r[o.src&15] + uint64(o.off)))))
		case opLdxWJEq64K:
			v := mem.Load32(r[o.src&15] + o.high())
			if r[o.dst&15] = v; v == o.low() {
				goto taken
			}
		case opLdxWJNe64K:
			v := mem.Load32(r[o.src&15] + o.high())
			if r[o.dst&15] = v; v != o.low() {
				goto taken
			}
		case opLdxHJEq64K:
			v := mem.Load16(r[o.src&15] + o.high())
			if r[o.dst&15] = v; v == o.low() {
				goto taken
			}
		case opLdxHJNe64K:
			v := mem.Load16(r[o.src&15] + o.high())
			if r[o.dst&15] = v; v != o.low() {
				goto taken
			}
		case opLdxBJEq64K:
			v := mem.Load8(r[o.src&15] + o.high())
			if r[o.dst&15] = v; v == o.low() {
				goto taken
			}
		case opLdxBJNe64K:
			v := mem.Load8(r[o.src&15] + o.high())
			if r[o.dst&15] = v; v != o.low() {
				goto taken
			}
		case opLdxDWJEq64K:
			v := mem.Load64(r[o.src&15] + o.high())
			if r[o.dst&15] = v; v == o.low() {
				goto taken
			}
		case opLdxDWJNe64K:
			v := mem.Load64(r[o.src&15] + o.high())
			if r[o.dst&15] = v; v != o.low() {
				goto taken
			}

		case opProbeW, opProbeH, opProbeB, opProbeDW, opProbeSXW, opProbeSXH, opProbeSXB:
			return o

		case opAtomicAdd64:
			atomic.AddUint64((*uint64)(mem.Pointer(r[o.dst&15]+uint64(o.off))), r[o.src&15])
		case opAtomicAdd32:
			atomic.AddUint32((*uint32)(mem.Pointer(r[o.dst&15]+uint64(o.off))), uint32(r[o.src&15]))

		case opGoto:
			goto taken
		case opCall:
			t.depth++
			f := &t.frames[t.depth]
			f.ret, f.img = next, t.img
			f.r6, f.r7, f.r8, f.r9, f.fp = r[6], r[7], r[8], r[9], r[10]
			r[10] -= o.imm
			next = o.at(o.off)
		case opExit:
			if t.depth == base {
				return o
			}
			f := &t.frames[t.depth]
			t.depth--
			next, t.img = f.ret, f.img
			r[6], r[7], r[8], r[9], r[10] = f.r6, f.r7, f.r8, f.r9, f.fp
		}
		continue

	taken:
		if o.off <= 0 { // backward, or to itself
			if c.Budget--; c.Budget < 0 {
				return o
			}
		}
		next = o.at(o.off)
	}
}
