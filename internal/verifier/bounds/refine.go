package bounds

import "math/bits"

// Branches are the operands of a comparison on either way out of it.
type Branches struct {
	TrueA, TrueB, FalseA, FalseB Scalar
}

// Refine returns what is known of a and b where "if a cond b" jumps and where it
// does not (reg_set_min_max). For a branch that [Taken] knows, only the way that
// is taken makes sense.
func Refine(c Cond, w Width, a, b Scalar) Branches {
	r := Branches{a, b, a, b}
	Assume(c, w, &r.TrueA, &r.TrueB)
	Assume(c.Not(), w, &r.FalseA, &r.FalseB)
	return r
}

// RefineSelf is [Refine] for a jump that compares a register with itself. 6.18
// does not treat it apart: the register learns as either operand, on the way that
// is never taken too.
func RefineSelf(c Cond, w Width, a Scalar) (onTrue, onFalse Scalar) {
	onTrue, onFalse = a, a
	Assume(c, w, &onTrue, &onTrue)
	Assume(c.Not(), w, &onFalse, &onFalse)
	return onTrue, onFalse
}

// Assume lets a and b, which may be one, learn that the condition holds
// (regs_refine_cond_op).
func Assume(c Cond, w Width, a, b *Scalar) {
	switch r := c.relation(); {
	case c == EQ:
		assumeEqual(w, a, b)
	case c == NE, c == SET, c == Clear:
		if x, known, ok := withConst(w, a, b); ok {
			assumeConst(c, w, x, known.ConstIn(w))
		}
	case r.order == unordered:
	case r.less:
		assumeLess(r, w, a, b)
	default:
		assumeLess(r.flip.relation(), w, b, a)
	}
	a.Sync()
	b.Sync()
}

func assumeEqual(w Width, a, b *Scalar) {
	if w == W32 {
		an, bn := a.narrow(), b.narrow()
		an.meet(&bn)
		a.setNarrow(an)
		b.setNarrow(an)
		both := a.Var.Subreg().Intersect(b.Var.Subreg())
		a.Var, b.Var = a.Var.WithSubreg(both), b.Var.WithSubreg(both)
		return
	}
	aw, bw := a.wide(), b.wide()
	aw.meet(&bw)
	a.setWide(aw)
	b.setWide(aw)
	a.Var = a.Var.Intersect(b.Var)
	b.Var = a.Var
}

// assumeConst learns from a condition on a constant.
func assumeConst(c Cond, w Width, s *Scalar, v uint64) {
	switch {
	case c == NE && w == W32:
		n := s.narrow()
		n.cutEnds(uint32(v))
		s.setNarrow(n)
	case c == NE:
		r := s.wide()
		r.cutEnds(v)
		s.setWide(r)
	case c == SET:
		// Only of a single bit is it known which one is set.
		if bits.OnesCount64(v) == 1 {
			s.Var.Mask &^= v
			s.Var.Value |= v
		}
	case c == Clear:
		// On a way that cannot be taken the intervals would contradict the bits.
		s.Unbound()
		s.Var.Mask &^= v
		s.Var.Value &^= v
	}
}

// cutEnds takes v away from the intervals that begin or end with it.
func (r *span[S, U]) cutEnds(v U) {
	cut(&r.umin, &r.umax, v)
	cut(&r.smin, &r.smax, S(v))
}

func cut[T signed | unsigned](lo, hi *T, v T) {
	if *lo == v {
		*lo++
	}
	if *hi == v {
		*hi--
	}
}

// assumeLess learns from an inequality of which a is the lesser operand.
func assumeLess(r *relation, w Width, a, b *Scalar) {
	if w == W32 {
		an, bn := a.narrow(), b.narrow()
		orderEnds(r, &an, &bn)
		a.S32Max, a.U32Max = an.smax, an.umax
		b.S32Min, b.U32Min = bn.smin, bn.umin
		return
	}
	aw, bw := a.wide(), b.wide()
	orderEnds(r, &aw, &bw)
	a.SMax, a.UMax = aw.smax, aw.umax
	b.SMin, b.UMin = bw.smin, bw.umin
}

// orderEnds lets the greater operand bound the lesser from above and the other
// way round, a step further in a strict inequality.
func orderEnds[S signed, U unsigned](r *relation, a, b *span[S, U]) {
	step := 1
	if r.equal {
		step = 0
	}
	if r.order == asSigned {
		a.smax = min(a.smax, b.smax-S(step))
		b.smin = max(a.smin+S(step), b.smin)
	} else {
		a.umax = min(a.umax, b.umax-U(step))
		b.umin = max(a.umin+U(step), b.umin)
	}
}
