package bounds

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// concrete is what the instructions do.
var concrete = map[Op]func(a, b uint64, w Width) uint64{
	Add: func(a, b uint64, _ Width) uint64 { return a + b },
	Sub: func(a, b uint64, _ Width) uint64 { return a - b },
	Mul: func(a, b uint64, _ Width) uint64 { return a * b },
	Or:  func(a, b uint64, _ Width) uint64 { return a | b },
	And: func(a, b uint64, _ Width) uint64 { return a & b },
	Xor: func(a, b uint64, _ Width) uint64 { return a ^ b },
	Neg: func(a, _ uint64, _ Width) uint64 { return -a },
	Lsh: func(a, b uint64, w Width) uint64 { return a << (b % uint64(w)) },
	Rsh: func(a, b uint64, w Width) uint64 { return a >> (b % uint64(w)) },
	Arsh: func(a, b uint64, w Width) uint64 {
		if w == W32 {
			return uint64(int32(a) >> (b % 32))
		}
		return uint64(int64(a) >> (b % 64))
	},
	Div: func(a, b uint64, _ Width) uint64 {
		if b == 0 {
			return 0
		}
		return a / b
	},
	Mod: func(a, b uint64, _ Width) uint64 {
		if b == 0 {
			return a
		}
		return a % b
	},
}

func compute(op Op, w Width, a, b uint64) uint64 {
	if w == W32 {
		return uint64(uint32(concrete[op](uint64(uint32(a)), uint64(uint32(b)), w)))
	}
	return concrete[op](a, b, w)
}

func holds(c Cond, w Width, a, b uint64) bool {
	s, t := int64(a), int64(b)
	if w == W32 {
		a, b = uint64(uint32(a)), uint64(uint32(b))
		s, t = int64(int32(a)), int64(int32(b))
	}
	switch c {
	case EQ:
		return a == b
	case NE:
		return a != b
	case SET:
		return a&b != 0
	case GT:
		return a > b
	case GE:
		return a >= b
	case LT:
		return a < b
	case LE:
		return a <= b
	case SGT:
		return s > t
	case SGE:
		return s >= t
	case SLT:
		return s < t
	case SLE:
		return s <= t
	}
	panic(c)
}

// members enumerates s, of which few bits are unknown.
func members(s *Scalar) (all []uint64) {
	for sub := uint64(0); ; sub = (sub - s.Var.Mask) & s.Var.Mask {
		if v := s.Var.Value | sub; s.Has(v) {
			all = append(all, v)
		}
		if sub == s.Var.Mask {
			return all
		}
	}
}

// scalarOf returns a scalar with the n unknown bits anywhere, most often where a
// width or a sign ends, and intervals that hold at least one member.
func scalarOf(rnd *rand.Rand, n int) Scalar {
	edges := []int{0, 1, 2, 7, 8, 15, 16, 30, 31, 32, 33, 62, 63}
	s := Unknown()
	s.Var.Mask = 0
	for bits.OnesCount64(s.Var.Mask) < n {
		bit := rnd.IntN(64)
		if rnd.IntN(2) == 0 {
			bit = edges[rnd.IntN(len(edges))]
		}
		s.Var.Mask |= 1 << bit
	}
	s.Var.Value = [...]uint64{0, ^uint64(0), rnd.Uint64(), rnd.Uint64N(256)}[rnd.IntN(4)] &^ s.Var.Mask
	member := func() uint64 { return s.Var.Value | rnd.Uint64()&s.Var.Mask }
	anchor := member()
	if rnd.IntN(2) == 0 {
		m := member()
		s.UMin, s.UMax = min(anchor, m), max(anchor, m)
	}
	if rnd.IntN(2) == 0 {
		m := member()
		s.SMin, s.SMax = min(int64(anchor), int64(m)), max(int64(anchor), int64(m))
	}
	if rnd.IntN(2) == 0 {
		m := member()
		s.U32Min, s.U32Max = min(uint32(anchor), uint32(m)), max(uint32(anchor), uint32(m))
	}
	if rnd.IntN(2) == 0 {
		m := member()
		s.S32Min, s.S32Max = min(int32(anchor), int32(m)), max(int32(anchor), int32(m))
	}
	return s
}

// trials of each property, each over all members of its operands.
const trials = 3000

func generator(salt uint64) *rand.Rand { return rand.New(rand.NewPCG(7, salt)) }

func widthName(w Width) string { return fmt.Sprintf("%d bits", w) }

func TestSyncSound(t *testing.T) {
	rnd := generator(0)
	for range trials {
		s := scalarOf(rnd, 8)
		all := members(&s)
		synced := s
		synced.Sync()
		if !synced.Valid() {
			t.Fatalf("%v becomes %v: %s", &s, &synced, synced.Violation())
		}
		for _, v := range all {
			if !synced.Has(v) {
				t.Fatalf("%v loses %#x: %v", &s, v, &synced)
			}
		}
	}
}

func TestApplySound(t *testing.T) {
	for op := range concrete {
		for _, w := range []Width{W32, W64} {
			t.Run(fmt.Sprintf("%#02x/%s", uint8(op), widthName(w)), func(t *testing.T) {
				rnd := generator(uint64(op))
				for n := range trials / 4 {
					a, b := scalarOf(rnd, 5), scalarOf(rnd, 3)
					if n%2 == 0 {
						b = Const(uint64(rnd.IntN(int(w))))
					}
					a.Sync()
					b.Sync()
					checkApply(t, op, w, &a, &b)
				}
			})
		}
	}
}

func checkApply(t *testing.T, op Op, w Width, a, b *Scalar) {
	t.Helper()
	r := Apply(op, w, *a, *b)
	if !r.Valid() {
		t.Fatalf("%v, %v gives %v: %s", a, b, &r, r.Violation())
	}
	for _, x := range members(a) {
		for _, y := range members(b) {
			if v := compute(op, w, x, y); !r.Has(v) {
				t.Fatalf("%v, %v gives %v without %#x, %#x: %#x", a, b, &r, x, y, v)
			}
		}
	}
}

func TestBranchSound(t *testing.T) {
	for _, c := range conditions {
		for _, w := range []Width{W32, W64} {
			t.Run(fmt.Sprintf("%#02x/%s", uint8(c), widthName(w)), func(t *testing.T) {
				rnd := generator(uint64(c))
				for n := range trials / 4 {
					a, b := scalarOf(rnd, 5), scalarOf(rnd, 3)
					if n%2 == 0 {
						all := members(&a)
						b = Const(all[rnd.IntN(len(all))] + uint64(rnd.IntN(3)) - 1)
					}
					a.Sync()
					b.Sync()
					checkBranch(t, c, w, &a, &b)
				}
			})
		}
	}
}

func checkBranch(t *testing.T, c Cond, w Width, a, b *Scalar) {
	t.Helper()
	taken, r := Taken(c, w, a, b), Refine(c, w, *a, *b)
	if flipped := Taken(c.Flip(), w, b, a); flipped != taken {
		t.Fatalf("%v, %v: taken %d, flipped %d", a, b, taken, flipped)
	}
	for _, x := range members(a) {
		for _, y := range members(b) {
			does, ra, rb := holds(c, w, x, y), &r.TrueA, &r.TrueB
			if !does {
				ra, rb = &r.FalseA, &r.FalseB
			}
			if taken != TakenUnknown && taken != truth(does) {
				t.Fatalf("%v, %v: taken %d but for %#x, %#x", a, b, taken, x, y)
			}
			if !ra.Has(x) || !rb.Has(y) {
				t.Fatalf("%v, %v: %v jumps, but %#x, %#x is not in %v, %v", a, b, does, x, y, ra, rb)
			}
		}
	}
}

func TestRefineSelfSound(t *testing.T) {
	rnd := generator(1)
	for range trials {
		a := scalarOf(rnd, 6)
		a.Sync()
		c, w := conditions[rnd.IntN(len(conditions))], [...]Width{W32, W64}[rnd.IntN(2)]
		onTrue, onFalse := RefineSelf(c, w, a)
		for _, x := range members(&a) {
			r := &onFalse
			if holds(c, w, x, x) {
				r = &onTrue
			}
			if !r.Has(x) {
				t.Fatalf("%v: %#x is not in %v", &a, x, r)
			}
		}
	}
}

func TestResizeSound(t *testing.T) {
	type resize struct {
		name     string
		abstract func(*Scalar)
		concrete func(uint64) uint64
	}
	for _, r := range []resize{
		{"zext", (*Scalar).ZeroExtend, func(v uint64) uint64 { return uint64(uint32(v)) }},
		{"u8", func(s *Scalar) { s.Truncate(1) }, func(v uint64) uint64 { return uint64(uint8(v)) }},
		{"u16", func(s *Scalar) { s.Truncate(2) }, func(v uint64) uint64 { return uint64(uint16(v)) }},
		{"u32", func(s *Scalar) { s.Truncate(4) }, func(v uint64) uint64 { return uint64(uint32(v)) }},
		{"s8", func(s *Scalar) { s.SignExtend(1) }, func(v uint64) uint64 { return uint64(int8(v)) }},
		{"s16", func(s *Scalar) { s.SignExtend(2) }, func(v uint64) uint64 { return uint64(int16(v)) }},
		{"s32", func(s *Scalar) { s.SignExtend(4) }, func(v uint64) uint64 { return uint64(int32(v)) }},
		{"w s8", func(s *Scalar) { s.SignExtend32(1) }, func(v uint64) uint64 { return uint64(uint32(int8(v))) }},
		{"w s16", func(s *Scalar) { s.SignExtend32(2) }, func(v uint64) uint64 { return uint64(uint32(int16(v))) }},
		{"le16", func(s *Scalar) { s.Endian(2, false) }, func(v uint64) uint64 { return uint64(uint16(v)) }},
		{"be16", func(s *Scalar) { s.Endian(2, true) }, func(v uint64) uint64 { return uint64(bits.ReverseBytes16(uint16(v))) }},
		{"be32", func(s *Scalar) { s.Endian(4, true) }, func(v uint64) uint64 { return uint64(bits.ReverseBytes32(uint32(v))) }},
		{"be64", func(s *Scalar) { s.Endian(8, true) }, bits.ReverseBytes64},
	} {
		t.Run(r.name, func(t *testing.T) {
			rnd := generator(2)
			for range trials {
				a := scalarOf(rnd, 6)
				a.Sync()
				s := a
				r.abstract(&s)
				for _, v := range members(&a) {
					if !s.Has(r.concrete(v)) {
						t.Fatalf("%v becomes %v without %#x of %#x", &a, &s, r.concrete(v), v)
					}
				}
			}
		})
	}
}

func TestForkSound(t *testing.T) {
	a := Apply(Arsh, W64, Unknown(), Const(63))
	five := Const(5)
	zero, ones, ok := Fork(And, &a, &five)
	if !ok || !zero.Has(0) || !ones.Has(^uint64(0)) || !zero.IsConst() || !ones.IsConst() {
		t.Errorf("%v forks into %v and %v, %v", &a, &zero, &ones, ok)
	}
	if _, _, ok := Fork(Xor, &a, &five); ok {
		t.Error("xor forks")
	}
	if _, _, ok := Fork(And, &a, &a); ok {
		t.Error("forks for an unknown mask")
	}
}

// fuzzed returns a scalar with the member m, from numbers of the fuzzer: the
// mask tells what is unknown, other values of it tell where the intervals end.
func fuzzed(m, mask, x, y uint64) Scalar {
	s := Unknown()
	s.Var.Value, s.Var.Mask = m&^mask, mask
	x, y = s.Var.Value|x&mask, s.Var.Value|y&mask
	s.UMin, s.UMax = min(m, x), max(m, x)
	s.SMin, s.SMax = min(int64(m), int64(y)), max(int64(m), int64(y))
	s.U32Min, s.U32Max = min(uint32(m), uint32(y)), max(uint32(m), uint32(y))
	s.S32Min, s.S32Max = min(int32(m), int32(x)), max(int32(m), int32(x))
	s.Sync()
	return s
}

func FuzzSound(f *testing.F) {
	f.Add(uint8(0), false, uint64(1), uint64(0xff), uint64(3), uint64(4), uint64(7), uint64(0xf0), uint64(0), ^uint64(0))
	f.Add(uint8(3), true, uint64(1)<<63, ^uint64(0), uint64(3), uint64(4), uint64(31), uint64(0), uint64(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, sel uint8, half bool, am, amask, ax, ay, bm, bmask, bx, by uint64) {
		w := W64
		if half {
			w = W32
		}
		a, b := fuzzed(am, amask, ax, ay), fuzzed(bm, bmask, bx, by)
		if !a.Has(am) || !b.Has(bm) || !a.Valid() || !b.Valid() {
			t.Fatalf("%v without %#x or %v without %#x", &a, am, &b, bm)
		}
		op := arithmetic[int(sel)%len(arithmetic)]
		if op == Lsh || op == Rsh || op == Arsh {
			bm %= uint64(w)
			b = Const(bm)
		}
		if r, v := Apply(op, w, a, b), compute(op, w, am, bm); !r.Has(v) || !r.Valid() {
			t.Errorf("op %#x of %v, %v gives %v without %#x, %#x: %#x", op, &a, &b, &r, am, bm, v)
		}
		c := conditions[int(sel)%len(conditions)]
		does, r := holds(c, w, am, bm), Refine(c, w, a, b)
		if taken := Taken(c, w, &a, &b); taken != TakenUnknown && taken != truth(does) {
			t.Errorf("condition %#x of %v, %v: taken %d but for %#x, %#x", c, &a, &b, taken, am, bm)
		}
		ra, rb := &r.TrueA, &r.TrueB
		if !does {
			ra, rb = &r.FalseA, &r.FalseB
		}
		if !ra.Has(am) || !rb.Has(bm) {
			t.Errorf("condition %#x of %v, %v: %#x, %#x is not in %v, %v", c, &a, &b, am, bm, ra, rb)
		}
	})
}
