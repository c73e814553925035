package bounds

import "github.com/skep-ebpf/skep/internal/verifier/tnum"

// signed and unsigned are the two readings of a number; 8 bits are for tests,
// which can go through all of them.
type (
	signed   interface{ int8 | int32 | int64 }
	unsigned interface{ uint8 | uint32 | uint64 }
)

// span is what is known of a number's order: the interval that it lies in when
// read as signed, and the one when read as unsigned. S and U are of one width.
type span[S signed, U unsigned] struct {
	smin, smax S
	umin, umax U
}

// top returns the largest signed number.
func top[S signed, U unsigned]() S { return S(^U(0) >> 1) }

// full returns the span of all numbers.
func full[S signed, U unsigned]() span[S, U] {
	return span[S, U]{^top[S, U](), top[S, U](), 0, ^U(0)}
}

// only returns the span of v alone.
func only[S signed, U unsigned](v U) span[S, U] { return span[S, U]{S(v), S(v), v, v} }

// ofUnsigned returns the span of [lo, hi] where all that is known is the
// unsigned order: the signed one follows if the sign cannot change in between.
func ofUnsigned[S signed, U unsigned](lo, hi U) span[S, U] {
	r := full[S, U]()
	r.umin, r.umax = lo, hi
	if S(lo) <= S(hi) {
		r.smin, r.smax = S(lo), S(hi)
	}
	return r
}

// meetSigned intersects the signed interval with [lo, hi].
func (r *span[S, U]) meetSigned(lo, hi S) { r.smin, r.smax = max(r.smin, lo), min(r.smax, hi) }

// meetUnsigned intersects the unsigned interval with [lo, hi].
func (r *span[S, U]) meetUnsigned(lo, hi U) { r.umin, r.umax = max(r.umin, lo), min(r.umax, hi) }

// meet intersects both intervals with those of o.
func (r *span[S, U]) meet(o *span[S, U]) {
	r.meetSigned(o.smin, o.smax)
	r.meetUnsigned(o.umin, o.umax)
}

// meetBits learns from the bits in the span's width: the smallest and the
// largest member in either order.
func (r *span[S, U]) meetBits(t tnum.Tnum) {
	value, mask := U(t.Value), U(t.Mask)
	sign := ^(^U(0) >> 1)
	r.meetSigned(S(value|mask&sign), S(value|mask&^sign))
	r.meetUnsigned(value, value|mask)
}

// agree lets the two intervals learn from each other (__reg64_deduce_bounds and
// the same part of __reg32_deduce_bounds).
func (r *span[S, U]) agree() {
	// An interval that does not cross the point where the other order wraps
	// around is an interval there too.
	if S(r.umin) <= S(r.umax) {
		r.meetSigned(S(r.umin), S(r.umax))
	}
	low, high := U(r.smin), U(r.smax)
	switch {
	case low <= high:
		r.meetUnsigned(low, high)
	// The signed interval crosses zero: in unsigned order it is [low, max] and
	// [0, high]. If the unsigned interval reaches only one of these, the number is
	// in that one.
	case r.umax < low:
		r.smin = S(r.umin)
		r.umax = min(r.umax, high)
	case high < r.umin:
		r.smax = S(r.umax)
		r.umin = max(r.umin, low)
	}
}

// ordered says whether neither interval is empty.
func (r *span[S, U]) ordered() bool { return r.smin <= r.smax && r.umin <= r.umax }

// isOnly says whether both intervals hold v alone.
func (r *span[S, U]) isOnly(v U) bool { return *r == only[S](v) }

// narrow is the knowledge of a subregister, wide that of a register.
type (
	narrow = span[int32, uint32]
	wide   = span[int64, uint64]
)

// meetWide lets a subregister learn from its register (__reg32_deduce_bounds).
func meetWide(r *narrow, w *wide) {
	meetSegment(r, w.umin, w.umax, true)
	meetSegment(r, uint64(w.smin), uint64(w.smax), false)
	r.agree()
}

// meetSegment learns from an interval of the register. isUnsigned: in unsigned
// order, where the lower halves are in order if the upper ones are the same.
func meetSegment(r *narrow, lo, hi uint64, isUnsigned bool) {
	low, high := uint32(lo), uint32(hi)
	switch uint32(hi>>32) - uint32(lo>>32) {
	case 0:
		if isUnsigned || low <= high {
			r.meetUnsigned(low, high)
		}
		if int32(low) <= int32(high) {
			r.meetSigned(int32(low), int32(high))
		}
	case 1:
		// From negative numbers through zero to positive ones.
		if int32(low) < 0 && int32(high) >= 0 {
			r.meetSigned(int32(low), int32(high))
		}
	}
}

// meetNarrow lets a register learn from its subregister: the lower halves of its
// ends lie in the subregister's interval (__reg_deduce_mixed_bounds).
func meetNarrow(w *wide, r *narrow) {
	w.meetUnsigned(withLower(w.umin, r.umin), withLower(w.umax, r.umax))
	w.meetSigned(int64(withLower(uint64(w.smin), r.umin)), int64(withLower(uint64(w.smax), r.umax)))
}

func withLower(v uint64, low uint32) uint64 { return v&^(1<<32-1) | uint64(low) }
