package bounds

import (
	"math"
	"testing"

	"github.com/skep-ebpf/skep/internal/verifier/tnum"
)

func TestText(t *testing.T) {
	wide := Unknown()
	wide.UMin, wide.UMax, wide.SMin, wide.S32Min, wide.S32Max = 0x10000, 0xffff, -0x8000, -0x8001, -1
	for _, c := range []struct {
		s    Scalar
		want string
	}{
		{Unknown(), "scalar()"},
		{Const(5), "5"},
		{Const(^uint64(0)), "-1"},
		{Const(0x7fff), "32767"},
		{Const(0x8000), "0x8000"},
		{Const(1 << 63), "0x8000000000000000"},
		{Range(0, 255), "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))"},
		{Range(1, 0xffff), "scalar(smin=umin=smin32=umin32=1,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff))"},
		{Range(0, math.MaxInt64), "scalar(smin=0,umax=0x7fffffffffffffff,var_off=(0x0; 0x7fffffffffffffff))"},
		{Apply(Arsh, W64, Unknown(), Const(60)), "scalar(smin=smin32=-8,smax=smax32=7)"},
		{Apply(And, W64, Unknown(), Const(0xff00)), "scalar(smin=smin32=0,smax=umax=smax32=umax32=0xff00,var_off=(0x0; 0xff00))"},
		{Apply(Or, W64, Unknown(), Const(1<<63)), "scalar(smax=-1,umin=0x8000000000000000,var_off=(0x8000000000000000; 0x7fffffffffffffff))"},
		{wide, "scalar(smin=-32768,umin=0x10000,umax=65535,smin32=0xffff7fff,smax32=-1)"},
	} {
		if got := c.s.String(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestViolation(t *testing.T) {
	for _, c := range []struct {
		change func(*Scalar)
		want   string
	}{
		{func(*Scalar) {}, ""},
		{func(s *Scalar) { s.UMin = 8 }, "range bounds violation"},
		{func(s *Scalar) { s.SMax = 6 }, "range bounds violation"},
		{func(s *Scalar) { s.U32Min = 8 }, "range bounds violation"},
		{func(s *Scalar) { s.S32Max = 6 }, "range bounds violation"},
		{func(s *Scalar) { s.UMax = 8 }, "const tnum out of sync with range bounds"},
		{func(s *Scalar) { s.SMin = -8 }, "const tnum out of sync with range bounds"},
		{func(s *Scalar) { s.S32Min = -8 }, "const subreg tnum out of sync with range bounds"},
		{(*Scalar).Unbound, "const tnum out of sync with range bounds"},
	} {
		s := Const(7)
		c.change(&s)
		if got := s.Violation(); got != c.want || s.Valid() != (c.want == "") {
			t.Errorf("%+v: %q, want %q", s, got, c.want)
		}
	}
}

func TestWithin(t *testing.T) {
	old, cur := Range(10, 20), Range(12, 14)
	if !Within(&old, &cur) || Within(&cur, &old) || !Within(&old, &old) {
		t.Errorf("%v in %v", &cur, &old)
	}
	all := Unknown()
	// Each fact of the old state counts alone.
	for _, change := range []func(*Scalar){
		func(s *Scalar) { s.Var = tnum.Tnum{Value: 1, Mask: ^uint64(1)} },
		func(s *Scalar) { s.SMin++ }, func(s *Scalar) { s.SMax-- },
		func(s *Scalar) { s.UMin++ }, func(s *Scalar) { s.UMax-- },
		func(s *Scalar) { s.S32Min++ }, func(s *Scalar) { s.S32Max-- },
		func(s *Scalar) { s.U32Min++ }, func(s *Scalar) { s.U32Max-- },
	} {
		s := Unknown()
		change(&s)
		if Within(&s, &all) || !Within(&all, &s) || s.IsUnknown() {
			t.Errorf("%v holds what is unknown", &s)
		}
	}
}

func TestConstIn(t *testing.T) {
	s := Unknown()
	s.SetSubreg(7)
	s.Sync()
	if !s.IsConstIn(W32) || s.IsConstIn(W64) || s.ConstIn(W32) != 7 || s.U32Max != 7 {
		t.Errorf("subregister of %v", &s)
	}
	if s = Const(1<<40 | 7); s.ConstIn(W64) != 1<<40|7 || s.ConstIn(W32) != 7 {
		t.Errorf("%v", &s)
	}
}

func TestConditions(t *testing.T) {
	for _, c := range append([]Cond{Clear}, conditions...) {
		if c.Not().Not() != c || c.Flip().Flip() != c || c.Not() == c {
			t.Errorf("%#x: not %#x, flip %#x", c, c.Not(), c.Flip())
		}
	}
}

// intervals are spans of 8 bits that begin and end at places of note, in either
// order.
func intervals() (all []span[int8, uint8]) {
	ends := []uint8{0, 1, 2, 5, 11, 126, 127, 128, 129, 200, 254, 255}
	for _, lo := range ends {
		for _, hi := range ends {
			if lo <= hi {
				r := full[int8, uint8]()
				r.umin, r.umax = lo, hi
				all = append(all, r)
			}
			if int8(lo) <= int8(hi) {
				r := full[int8, uint8]()
				r.smin, r.smax = int8(lo), int8(hi)
				all = append(all, r)
			}
		}
	}
	return all
}

func has(r *span[int8, uint8], v uint8) bool {
	return r.umin <= v && v <= r.umax && r.smin <= int8(v) && int8(v) <= r.smax
}

func values(r *span[int8, uint8]) (all []uint8) {
	for v := range 256 {
		if has(r, uint8(v)) {
			all = append(all, uint8(v))
		}
	}
	return all
}

// TestSpans goes through all members of 8-bit intervals for what is generic over
// the width.
func TestSpans(t *testing.T) {
	type span8 = span[int8, uint8]
	for name, op := range map[string]struct {
		abstract func(a, b span8, t tnum.Tnum) span8
		concrete func(a, b uint8) uint8
	}{
		"add": {add[int8, uint8], func(a, b uint8) uint8 { return a + b }},
		"sub": {sub[int8, uint8], func(a, b uint8) uint8 { return a - b }},
		"mul": {mul[int8, uint8], func(a, b uint8) uint8 { return a * b }},
		"and": {and[int8, uint8], func(a, b uint8) uint8 { return a & b }},
		"or":  {or[int8, uint8], func(a, b uint8) uint8 { return a | b }},
		"xor": {xor[int8, uint8], func(a, b uint8) uint8 { return a ^ b }},
	} {
		all := intervals()
		for i := range all {
			a, as := all[i], values(&all[i])
			for k := i % 3; k < len(all); k += 3 {
				b, bs := all[k], values(&all[k])
				r := op.abstract(a, b, tnum.Unknown())
				for _, x := range as {
					for _, y := range bs {
						if !has(&r, op.concrete(x, y)) {
							t.Fatalf("%s of %v, %v: %v without %d, %d", name, a, b, r, x, y)
						}
					}
				}
			}
		}
	}
}

func TestSpanShifts(t *testing.T) {
	all := intervals()
	for i := range all {
		a := all[i]
		for n := range uint8(8) {
			l, r, s := lsh(a, n), rsh(a, n), arsh(a, n)
			for _, v := range values(&a) {
				if !has(&l, v<<n) || !has(&r, v>>n) || !has(&s, uint8(int8(v)>>n)) {
					t.Fatalf("%v by %d: %v, %v, %v without %d", a, n, l, r, s, v)
				}
			}
		}
	}
}

func TestSpanAgree(t *testing.T) {
	all := intervals()
	for i := range all {
		for k := range all {
			a := all[i]
			a.meet(&all[k])
			members := values(&a)
			if len(members) == 0 {
				continue
			}
			b := a
			b.agree()
			for _, v := range members {
				if !has(&b, v) || !b.ordered() {
					t.Fatalf("%v becomes %v without %d", a, b, v)
				}
			}
		}
	}
}

func TestOverflowSigned(t *testing.T) {
	fits := func(v int) bool { return v == int(int8(v)) }
	for a := -128; a < 128; a++ {
		for b := -128; b < 128; b++ {
			_, sum := addSigned(int8(a), int8(b))
			_, diff := subSigned(int8(a), int8(b))
			_, product := mulSigned(int8(a), int8(b))
			if sum == fits(a+b) || diff == fits(a-b) || product == fits(a*b) {
				t.Fatalf("%d, %d: %v, %v, %v", a, b, sum, diff, product)
			}
		}
	}
}

func BenchmarkApply(b *testing.B) {
	x, y := Range(3, 1<<20), Range(0, 255)
	for name, op := range map[string]Op{"add": Add, "mul": Mul, "and": And} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Apply(op, W64, x, y)
			}
		})
	}
}

func BenchmarkRefine(b *testing.B) {
	x, y := Range(3, 1<<20), Const(255)
	for b.Loop() {
		Refine(LT, W64, x, y)
	}
}

func BenchmarkAppendRanges(b *testing.B) {
	x := Range(3, 1<<20)
	var buf [256]byte
	for b.Loop() {
		x.AppendRanges(buf[:0])
	}
}
