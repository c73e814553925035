package bounds

import "github.com/skep-ebpf/skep/internal/verifier/tnum"

// Transfer functions of one width. Addition, subtraction and multiplication
// follow the ends of the intervals, and know nothing of an interval whose ends
// do not wrap around alike; bitwise operations follow the bits of the result.

func add[S signed, U unsigned](a, b span[S, U], _ tnum.Tnum) span[S, U] {
	r := full[S, U]()
	lo, under := addSigned(a.smin, b.smin)
	hi, over := addSigned(a.smax, b.smax)
	if !under && !over {
		r.smin, r.smax = lo, hi
	}
	low, high := a.umin+b.umin, a.umax+b.umax
	if (low < a.umin) == (high < a.umax) || low < a.umin {
		r.umin, r.umax = low, high
	}
	return r
}

func sub[S signed, U unsigned](a, b span[S, U], _ tnum.Tnum) span[S, U] {
	r := full[S, U]()
	lo, under := subSigned(a.smin, b.smax)
	hi, over := subSigned(a.smax, b.smin)
	if !under && !over {
		r.smin, r.smax = lo, hi
	}
	if a.umin >= b.umax || a.umax < b.umin {
		r.umin, r.umax = a.umin-b.umax, a.umax-b.umin
	}
	return r
}

func mul[S signed, U unsigned](a, b span[S, U], _ tnum.Tnum) span[S, U] {
	r := full[S, U]()
	if lo, hi, ok := productsSigned(a, b); ok {
		r.smin, r.smax = lo, hi
	}
	if high := a.umax * b.umax; a.umax == 0 || high/a.umax == b.umax {
		r.umin, r.umax = a.umin*b.umin, high
	}
	return r
}

// productsSigned returns the least and the greatest product of the signed ends,
// if none overflows.
func productsSigned[S signed, U unsigned](a, b span[S, U]) (lo, hi S, ok bool) {
	lo, hi = top[S, U](), ^top[S, U]()
	for _, x := range [2]S{a.smin, a.smax} {
		for _, y := range [2]S{b.smin, b.smax} {
			p, over := mulSigned(x, y)
			if over {
				return 0, 0, false
			}
			lo, hi = min(lo, p), max(hi, p)
		}
	}
	return lo, hi, true
}

func and[S signed, U unsigned](a, b span[S, U], t tnum.Tnum) span[S, U] {
	return ofUnsigned[S](U(t.Value), min(a.umax, b.umax))
}

func or[S signed, U unsigned](a, b span[S, U], t tnum.Tnum) span[S, U] {
	return ofUnsigned[S](max(a.umin, b.umin), U(t.Max()))
}

func xor[S signed, U unsigned](_, _ span[S, U], t tnum.Tnum) span[S, U] {
	return ofUnsigned[S](U(t.Value), U(t.Max()))
}

// lsh shifts the unsigned interval; if a set bit can be shifted out, or into the
// place above the top one, nothing is known.
func lsh[S signed, U unsigned](a span[S, U], n uint8) span[S, U] {
	r := full[S, U]()
	if sign := ^(^U(0) >> 1); a.umax <= sign>>n {
		r.umin, r.umax = a.umin<<n, a.umax<<n
	}
	return r
}

func rsh[S signed, U unsigned](a span[S, U], n uint8) span[S, U] {
	r := full[S, U]()
	r.umin, r.umax = a.umin>>n, a.umax>>n
	return r
}

func arsh[S signed, U unsigned](a span[S, U], n uint8) span[S, U] {
	r := full[S, U]()
	r.smin, r.smax = a.smin>>n, a.smax>>n
	return r
}

func addSigned[S signed](a, b S) (sum S, over bool) {
	sum = a + b
	return sum, (a^sum)&(b^sum) < 0
}

func subSigned[S signed](a, b S) (diff S, over bool) {
	diff = a - b
	return diff, (a^b)&(a^diff) < 0
}

func mulSigned[S signed](a, b S) (product S, over bool) {
	product = a * b
	if a == 0 {
		return 0, false
	}
	// The division overflows for -1 and the least number, the one product that it
	// would not show as wrapped around.
	least := b != 0 && b == -b
	return product, a == -1 && least || product/a != b
}
