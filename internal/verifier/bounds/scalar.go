// Package bounds is the verifier's abstract domain of scalars: what is known of
// the bits of a register and of the intervals that it and its lower half lie in,
// read as signed and as unsigned numbers.
//
// The results are those of Linux 6.18's kernel/bpf/verifier.c, no more and no
// less precise, because the verifier's log shows them and its verdicts depend on
// them. The tests hold them against the live kernel.
package bounds

import (
	"math"

	"github.com/skep-ebpf/skep/internal/verifier/tnum"
)

// Scalar is what is known of a 64-bit register: the members are the values that
// satisfy all of it at once. It is comparable; the zero value is the constant 0.
type Scalar struct {
	Var tnum.Tnum // of the bits

	SMin, SMax int64 // as signed number
	UMin, UMax uint64

	S32Min, S32Max int32 // of the lower half
	U32Min, U32Max uint32
}

// Width is that of an operation: of a whole register or of its lower half.
type Width uint8

// The widths in bits.
const (
	W32 Width = 32
	W64 Width = 64
)

// Unknown returns the scalar of which nothing is known.
func Unknown() Scalar {
	s := Scalar{Var: tnum.Unknown()}
	s.Unbound()
	return s
}

// Const returns the scalar v.
func Const(v uint64) Scalar {
	return Scalar{
		Var:  tnum.Const(v),
		SMin: int64(v), SMax: int64(v), UMin: v, UMax: v,
		S32Min: int32(v), S32Max: int32(v), U32Min: uint32(v), U32Max: uint32(v),
	}
}

// Range returns the scalar of the unsigned interval [lo, hi].
func Range(lo, hi uint64) Scalar {
	s := Unknown()
	s.UMin, s.UMax = lo, hi
	s.Sync()
	return s
}

// SetSubreg makes the lower half v and leaves the rest as it is; Sync lets the
// rest learn from it (__mark_reg32_known).
func (s *Scalar) SetSubreg(v uint32) {
	s.Var = s.Var.ConstSubreg(v)
	s.setNarrow(only[int32](v))
}

// Unbound forgets the intervals and keeps the bits (__mark_reg_unbounded).
func (s *Scalar) Unbound() {
	s.setWide(full[int64, uint64]())
	s.setNarrow(full[int32, uint32]())
}

// IsConst says whether the value is known.
func (s *Scalar) IsConst() bool { return s.Var.IsConst() }

// IsConst32 says whether the lower half is known.
func (s *Scalar) IsConst32() bool { return s.Var.IsConst32() }

// Const returns the known bits; the value, if it is known.
func (s *Scalar) Const() uint64 { return s.Var.Value }

// IsConstIn says whether the value is known in the width (is_reg_const).
func (s *Scalar) IsConstIn(w Width) bool {
	if w == W32 {
		return s.IsConst32()
	}
	return s.IsConst()
}

// ConstIn returns the value that is known in the width (reg_const_value).
func (s *Scalar) ConstIn(w Width) uint64 {
	if w == W32 {
		return uint64(uint32(s.Var.Value))
	}
	return s.Var.Value
}

// IsUnknown says whether nothing is known.
func (s *Scalar) IsUnknown() bool { return *s == Unknown() }

// Has says whether v is a member.
func (s *Scalar) Has(v uint64) bool {
	return s.Var.Has(v) &&
		s.SMin <= int64(v) && int64(v) <= s.SMax && s.UMin <= v && v <= s.UMax &&
		s.S32Min <= int32(v) && int32(v) <= s.S32Max && s.U32Min <= uint32(v) && uint32(v) <= s.U32Max
}

// Within says whether cur satisfies each of the facts known of old (range_within
// and tnum_in): what was proved for old holds for cur.
func Within(old, cur *Scalar) bool {
	return old.UMin <= cur.UMin && cur.UMax <= old.UMax &&
		old.SMin <= cur.SMin && cur.SMax <= old.SMax &&
		old.U32Min <= cur.U32Min && cur.U32Max <= old.U32Max &&
		old.S32Min <= cur.S32Min && cur.S32Max <= old.S32Max &&
		cur.Var.In(old.Var)
}

// Violation says what is inconsistent in s, in the words of the log
// (reg_bounds_sanity_check), or returns "". The kernel then reports a bug of the
// verifier and continues with [Scalar.Unbound].
func (s *Scalar) Violation() string {
	w, n := s.wide(), s.narrow()
	switch {
	case !w.ordered() || !n.ordered():
		return "range bounds violation"
	case s.Var.IsConst() && !w.isOnly(s.Var.Value):
		return "const tnum out of sync with range bounds"
	case s.Var.IsConst32() && !n.isOnly(uint32(s.Var.Value)):
		return "const subreg tnum out of sync with range bounds"
	}
	return ""
}

// Valid says whether s is consistent.
func (s *Scalar) Valid() bool { return s.Violation() == "" }

// Sync lets the bits and the intervals learn from each other (reg_bounds_sync),
// in as many rounds as the kernel makes: more could learn more.
func (s *Scalar) Sync() {
	if s.IsConst() && *s == Const(s.Const()) {
		return // nothing to learn, and frequent
	}
	s.meetBits()
	for range 3 {
		s.deduce()
	}
	s.learnBits()
	s.meetBits()
}

// meetBits lets the intervals learn from the bits (__update_reg_bounds).
func (s *Scalar) meetBits() {
	s.meetBits32()
	w := s.wide()
	w.meetBits(s.Var)
	s.setWide(w)
	if v, ok := s.onlyMember(); ok {
		*s = Const(v)
	}
}

// onlyMember returns the one value that satisfies the bits and lies in the
// unsigned interval, if there is only one (the end of __update_reg64_bounds).
func (s *Scalar) onlyMember() (v uint64, ok bool) {
	next := s.Var.Next(s.UMin)
	switch {
	case s.Var.Has(s.UMin):
		return s.UMin, next > s.UMax
	// The kernel does not ask whether the largest value is in the interval: where
	// none is, it is taken for the one.
	case next == s.Var.Max():
		return next, true
	}
	return next, next <= s.UMax && s.Var.Next(next) > s.UMax
}

func (s *Scalar) meetBits32() {
	n := s.narrow()
	n.meetBits(s.Var)
	s.setNarrow(n)
}

// deduce lets the intervals learn from each other (__reg_deduce_bounds).
func (s *Scalar) deduce() {
	w, n := s.wide(), s.narrow()
	meetWide(&n, &w)
	w.agree()
	meetNarrow(&w, &n)
	// A sign-extended subregister that is not negative is the whole register.
	if n.smin >= 0 && w.smin >= math.MinInt32 && w.smax <= math.MaxInt32 {
		w = wide{int64(n.smin), int64(n.smax), uint64(n.smin), uint64(n.smax)}
		s.Var = s.Var.Intersect(tnum.Range(w.umin, w.umax))
	}
	s.setWide(w)
	s.setNarrow(n)
}

// learnBits lets the bits learn from the unsigned intervals
// (__reg_bound_offset).
func (s *Scalar) learnBits() {
	all := s.Var.Intersect(tnum.Range(s.UMin, s.UMax))
	sub := all.Subreg().Intersect(tnum.Range(uint64(s.U32Min), uint64(s.U32Max)))
	s.Var = all.WithSubreg(sub)
}

func (s *Scalar) wide() wide     { return wide{s.SMin, s.SMax, s.UMin, s.UMax} }
func (s *Scalar) narrow() narrow { return narrow{s.S32Min, s.S32Max, s.U32Min, s.U32Max} }

func (s *Scalar) setWide(w wide) { s.SMin, s.SMax, s.UMin, s.UMax = w.smin, w.smax, w.umin, w.umax }

func (s *Scalar) setNarrow(n narrow) {
	s.S32Min, s.S32Max, s.U32Min, s.U32Max = n.smin, n.smax, n.umin, n.umax
}
