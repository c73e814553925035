package bounds

import "github.com/skep-ebpf/skep/internal/verifier/tnum"

// Cond is the condition of a jump: bits 4 to 7 of the opcode.
type Cond uint8

// The conditions of BPF_JMP and BPF_JMP32.
const (
	EQ  Cond = 0x10
	GT  Cond = 0x20
	GE  Cond = 0x30
	SET Cond = 0x40
	NE  Cond = 0x50
	SGT Cond = 0x60
	SGE Cond = 0x70
	LT  Cond = 0xa0
	LE  Cond = 0xb0
	SLT Cond = 0xc0
	SLE Cond = 0xd0

	// Clear is the opposite of SET: no bit is set in both operands. No jump has it.
	Clear Cond = 0xf0
)

// relation is what a condition is made of.
type relation struct {
	flip Cond // "a c b" is "b flip a"
	not  Cond // the opposite

	order order // of an inequality
	less  bool  // an inequality that says that the first operand is the lesser one
	equal bool  // holds for equal operands
}

// order is how an inequality reads its operands.
type order uint8

const (
	unordered order = iota
	asUnsigned
	asSigned
)

var relations = [16]relation{
	EQ >> 4:    {flip: EQ, not: NE, equal: true},
	NE >> 4:    {flip: NE, not: EQ},
	SET >> 4:   {flip: SET, not: Clear},
	Clear >> 4: {flip: Clear, not: SET},
	LT >> 4:    {flip: GT, not: GE, order: asUnsigned, less: true},
	LE >> 4:    {flip: GE, not: GT, order: asUnsigned, less: true, equal: true},
	GT >> 4:    {flip: LT, not: LE, order: asUnsigned},
	GE >> 4:    {flip: LE, not: LT, order: asUnsigned, equal: true},
	SLT >> 4:   {flip: SGT, not: SGE, order: asSigned, less: true},
	SLE >> 4:   {flip: SGE, not: SGT, order: asSigned, less: true, equal: true},
	SGT >> 4:   {flip: SLT, not: SLE, order: asSigned},
	SGE >> 4:   {flip: SLE, not: SLT, order: asSigned, equal: true},
}

func (c Cond) relation() *relation { return &relations[c>>4] }

// Flip returns the condition with the operands swapped (flip_opcode).
func (c Cond) Flip() Cond { return c.relation().flip }

// Not returns the opposite condition (rev_opcode).
func (c Cond) Not() Cond { return c.relation().not }

// What is known of a branch.
const (
	TakenUnknown = -1
	TakenNever   = 0
	TakenAlways  = 1
)

// Taken says whether "if a cond b" jumps, with a and b read in the width: always
// (1), never (0), or it is not known (-1) (is_scalar_branch_taken).
func Taken(c Cond, w Width, a, b *Scalar) int {
	switch r := c.relation(); {
	case c == EQ:
		return equal(w, a, b)
	case c == NE:
		if e := equal(w, a, b); e != TakenUnknown {
			return 1 - e
		}
		return TakenUnknown
	case c == SET:
		return anySet(w, a, b)
	case r.order == unordered:
		return TakenUnknown
	case !r.less:
		return less(r.flip.relation(), w, b, a)
	default:
		return less(r, w, a, b)
	}
}

func truth(b bool) int {
	if b {
		return TakenAlways
	}
	return TakenNever
}

// bitsIn returns the bits in the width.
func (s *Scalar) bitsIn(w Width) tnum.Tnum {
	if w == W32 {
		return s.Var.Subreg()
	}
	return s.Var
}

func equal(w Width, a, b *Scalar) int {
	x, y := a.bitsIn(w), b.bitsIn(w)
	if x.IsConst() && y.IsConst() {
		return truth(x == y)
	}
	an, bn := a.narrow(), b.narrow()
	apart := !x.Overlap(y) || disjoint(&an, &bn)
	if w == W64 {
		aw, bw := a.wide(), b.wide()
		apart = apart || disjoint(&aw, &bw)
	}
	if apart {
		return TakenNever
	}
	return TakenUnknown
}

func disjoint[S signed, U unsigned](a, b *span[S, U]) bool {
	return a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin
}

// withConst returns the operands with the one that is known in the width second;
// false if neither is.
func withConst(w Width, a, b *Scalar) (x, known *Scalar, ok bool) {
	if b.IsConstIn(w) {
		return a, b, true
	}
	return b, a, a.IsConstIn(w)
}

func anySet(w Width, a, b *Scalar) int {
	x, known, ok := withConst(w, a, b)
	if !ok {
		return TakenUnknown
	}
	t, mask := x.bitsIn(w), known.ConstIn(w)
	switch {
	case t.Value&mask != 0:
		return TakenAlways
	case t.Max()&mask == 0:
		return TakenNever
	}
	return TakenUnknown
}

// less decides an inequality of which the first operand is the lesser one.
func less(r *relation, w Width, a, b *Scalar) int {
	if w == W32 {
		an, bn := a.narrow(), b.narrow()
		return lessIn(r, &an, &bn)
	}
	aw, bw := a.wide(), b.wide()
	return lessIn(r, &aw, &bw)
}

func lessIn[S signed, U unsigned](r *relation, a, b *span[S, U]) int {
	if r.order == asSigned {
		return lessEnds(r.equal, a.smin, a.smax, b.smin, b.smax)
	}
	return lessEnds(r.equal, a.umin, a.umax, b.umin, b.umax)
}

func lessEnds[T signed | unsigned](orEqual bool, amin, amax, bmin, bmax T) int {
	switch {
	case amax < bmin, orEqual && amax == bmin:
		return TakenAlways
	case amin > bmax, !orEqual && amin == bmax:
		return TakenNever
	}
	return TakenUnknown
}
