package bounds

import (
	"math"

	"github.com/skep-ebpf/skep/internal/verifier/tnum"
)

// ZeroExtend clears the upper half: the result of a 32-bit move.
func (s *Scalar) ZeroExtend() {
	s.clearUpper()
	s.Sync()
}

// clearUpper makes the register its lower half (zext_32_to_64).
func (s *Scalar) clearUpper() {
	s.Var = s.Var.Subreg()
	s.UMin, s.UMax = uint64(s.U32Min), uint64(s.U32Max)
	if s.S32Min >= 0 && s.S32Max >= 0 {
		s.SMin, s.SMax = int64(s.S32Min), int64(s.S32Max)
	} else {
		s.SMin, s.SMax = 0, math.MaxUint32
	}
}

// Truncate keeps the lower size bytes, 1, 2 or 4, and zero-extends them: the
// result of a load from a wider value (coerce_reg_to_size).
func (s *Scalar) Truncate(size int) {
	s.Var = s.Var.Cast(size)
	keep := uint64(1)<<(8*size) - 1
	if (s.UMin^s.UMax)&^keep == 0 {
		s.UMin &= keep
		s.UMax &= keep
	} else {
		s.UMin, s.UMax = 0, keep
	}
	s.SMin, s.SMax = int64(s.UMin), int64(s.UMax)
	if size < 4 {
		s.setNarrow(full[int32, uint32]())
	}
	s.Sync()
}

// SignExtend extends the lower size bytes, 1, 2 or 4, to the register: the
// result of a 64-bit sign-extending move or load (coerce_reg_to_size_sx). As in
// the kernel there is no Sync at the end.
func (s *Scalar) SignExtend(size int) {
	if s.IsConst() {
		*s = Const(uint64(extend(int64(s.Const()), size)))
		return
	}
	w, ok := signExtend[int64, uint64](s.SMin, s.SMax, size)
	s.setWide(w)
	if ok {
		s.Var = tnum.Range(w.umin, w.umax)
		s.setNarrow(narrow{int32(w.smin), int32(w.smax), uint32(w.umin), uint32(w.umax)})
		return
	}
	s.Var = tnum.Unknown()
	n := full[int32, uint32]()
	n.smin, n.smax = int32(w.smin), int32(w.smax)
	s.setNarrow(n)
}

// SignExtend32 extends the lower size bytes, 1 or 2, to the lower half, and
// clears the upper one: the result of a 32-bit sign-extending move
// (coerce_subreg_to_size_sx and what follows it).
func (s *Scalar) SignExtend32(size int) {
	switch n, ok := signExtend[int32, uint32](s.S32Min, s.S32Max, size); {
	// The whole register, not its lower half, decides whether it is a constant.
	case s.IsConst():
		v := uint32(extend(int32(s.Const()), size))
		s.Var = tnum.Const(uint64(v))
		s.setNarrow(only[int32](v))
	case ok:
		s.Var = tnum.Range(uint64(int64(n.smin)), uint64(int64(n.smax))).Subreg()
		s.setNarrow(n)
	default:
		s.Var = tnum.Unknown().Subreg()
		s.setNarrow(n)
	}
	s.ZeroExtend()
}

// signExtend returns the span of the lower size bytes of [lo, hi], extended, if
// the upper bits are the same throughout and the sign of both ends too; if not,
// the span of all numbers of that size.
func signExtend[S signed, U unsigned](lo, hi S, size int) (_ span[S, U], ok bool) {
	shift := uint(8 * size)
	a, b := extend(lo, size), extend(hi, size)
	if lo>>shift == hi>>shift && (a < 0) == (b < 0) {
		a, b = min(a, b), max(a, b)
		return span[S, U]{a, b, U(a), U(b)}, true
	}
	r := full[S, U]()
	r.smin = S(-1) << (shift - 1)
	r.smax = ^r.smin
	return r, false
}

// extend returns the lower size bytes of v, sign-extended.
func extend[S signed](v S, size int) S {
	switch size {
	case 1:
		return S(int8(v))
	case 2:
		return S(int16(v))
	}
	return S(int32(v))
}

// Endian keeps the lower size bytes, 2, 4 or 8, zero-extends them, and reverses
// their order if swap is set: BPF_END, whose conversion to the byte order that
// the machine has does not swap (scalar_byte_swap).
func (s *Scalar) Endian(size int, swap bool) {
	if swap {
		s.Var = s.Var.ByteSwap(size)
		s.Unbound()
	}
	if size < 8 {
		s.Truncate(size)
	}
	s.Sync()
}
