package bounds

import "github.com/skep-ebpf/skep/internal/verifier/tnum"

// Op is an arithmetic operation: bits 4 to 7 of the opcode.
type Op uint8

// The operations of BPF_ALU and BPF_ALU64. Moves and byte swaps are not here: see
// [Scalar.ZeroExtend], [Scalar.SignExtend] and [Scalar.Endian].
const (
	Add  Op = 0x00
	Sub  Op = 0x10
	Mul  Op = 0x20
	Div  Op = 0x30
	Or   Op = 0x40
	And  Op = 0x50
	Lsh  Op = 0x60
	Rsh  Op = 0x70
	Neg  Op = 0x80
	Mod  Op = 0x90
	Xor  Op = 0xa0
	Arsh Op = 0xc0
)

// transfer are the transfer functions of one operation. An operation without any
// gives an unknown result.
type transfer struct {
	// bits and the intervals of either width, each from the operands'; the
	// intervals may use the bits of the result.
	bits   func(a, b tnum.Tnum) tnum.Tnum
	narrow func(a, b narrow, t tnum.Tnum) narrow
	wide   func(a, b wide, t tnum.Tnum) wide

	// bitwise: the intervals learn from the bits of the result once more.
	bitwise bool

	// shift32 and shift64 replace these for a shift by a known number n below the
	// width. They return what they know and forget the rest.
	shift32, shift64 func(s Scalar, n uint8) Scalar
}

var transfers = [16]transfer{
	Add >> 4:  {bits: tnum.Tnum.Add, narrow: add[int32, uint32], wide: add[int64, uint64]},
	Sub >> 4:  {bits: tnum.Tnum.Sub, narrow: sub[int32, uint32], wide: sub[int64, uint64]},
	Mul >> 4:  {bits: tnum.Tnum.Mul, narrow: mul[int32, uint32], wide: mul[int64, uint64]},
	Or >> 4:   {bits: tnum.Tnum.Or, narrow: or[int32, uint32], wide: or[int64, uint64], bitwise: true},
	And >> 4:  {bits: tnum.Tnum.And, narrow: and[int32, uint32], wide: and[int64, uint64], bitwise: true},
	Xor >> 4:  {bits: tnum.Tnum.Xor, narrow: xor[int32, uint32], wide: xor[int64, uint64], bitwise: true},
	Lsh >> 4:  {shift32: lsh32, shift64: lsh64},
	Rsh >> 4:  {shift32: rsh32, shift64: rsh64},
	Arsh >> 4: {shift32: arsh32, shift64: arsh64},
}

// Apply returns dst op src in the width (adjust_scalar_min_max_vals). An immediate
// is the constant that it is sign-extended to, in either width. In W32 the upper
// half of the result is zero, as far as the result is known at all. [Neg] ignores
// src. [Div] and [Mod], signed or not, give an unknown result.
func Apply(op Op, w Width, dst, src Scalar) Scalar {
	if op == Neg {
		op, dst, src = Sub, Const(0), dst
	}
	f := &transfers[op>>4]
	switch {
	case f.bits != nil:
		dst = f.apply(dst, src)
	case f.shift64 != nil && src.isShift(w):
		n := uint8(src.ConstIn(w))
		if w == W32 {
			dst = f.shift32(dst, n)
		} else {
			dst = f.shift64(dst, n)
		}
	default:
		return Unknown()
	}
	if w == W32 {
		dst.clearUpper()
	}
	dst.Sync()
	return dst
}

// apply computes both widths, whichever the operation's is: so 32-bit bounds
// survive 64-bit arithmetic.
func (f *transfer) apply(a, b Scalar) Scalar {
	r := Scalar{Var: f.bits(a.Var, b.Var)}
	r.setNarrow(f.narrow(a.narrow(), b.narrow(), r.Var))
	r.setWide(f.wide(a.wide(), b.wide(), r.Var))
	if f.bitwise {
		r.meetBits()
	}
	return r
}

// isShift says whether s is a known shift count that the width allows
// (is_safe_to_compute_dst_reg_range).
func (s *Scalar) isShift(w Width) bool {
	if s.UMax >= uint64(w) {
		return false
	}
	if w == W32 {
		return s.IsConst32() && s.S32Min == s.S32Max && s.U32Min == s.U32Max
	}
	return s.IsConst() && s.SMin == s.SMax && s.UMin == s.UMax
}

// after32 is the result of a 32-bit shift. The intervals of the register are
// forgotten, and found again when the upper half is cleared.
func after32(n narrow, bits tnum.Tnum) Scalar {
	s := Scalar{Var: bits}
	s.setNarrow(n)
	s.setWide(full[int64, uint64]())
	s.meetBits32()
	return s
}

func lsh32(s Scalar, n uint8) Scalar {
	return after32(lsh(s.narrow(), n), s.Var.Subreg().LShift(n).Subreg())
}

func rsh32(s Scalar, n uint8) Scalar {
	return after32(rsh(s.narrow(), n), s.Var.Subreg().RShift(n))
}

func arsh32(s Scalar, n uint8) Scalar {
	return after32(arsh(s.narrow(), n), s.Var.ARShift32(n))
}

// after64 is the result of a 64-bit shift.
func after64(w wide, n narrow, bits tnum.Tnum) Scalar {
	s := Scalar{Var: bits}
	s.setWide(w)
	s.setNarrow(n)
	s.meetBits()
	return s
}

func lsh64(s Scalar, n uint8) Scalar {
	w, low := lsh(s.wide(), n), full[int32, uint32]()
	if n < 32 {
		low = lsh(s.narrow(), n)
	}
	if n == 32 {
		// Half of a sign extension by two shifts: the order of the subregister is
		// that of the result.
		w.smin, w.smax = int64(s.S32Min)<<32, int64(s.S32Max)<<32
	}
	return after64(w, low, s.Var.LShift(n))
}

// The right shifts forget the subregister: bits come in from above.

func rsh64(s Scalar, n uint8) Scalar {
	return after64(rsh(s.wide(), n), full[int32, uint32](), s.Var.RShift(n))
}

func arsh64(s Scalar, n uint8) Scalar {
	return after64(arsh(s.wide(), n), full[int32, uint32](), s.Var.ARShift(n))
}

// Fork says whether dst op src is to be explored for each of the two values that
// dst can have, 0 and -1, or its lower half if that is all that is known to have
// two: what compilers make of a condition by an arithmetic shift is used as a
// mask (maybe_fork_scalars).
func Fork(op Op, dst, src *Scalar) (zero, ones Scalar, ok bool) {
	if op != And && op != Or || !src.IsConst() {
		return Scalar{}, Scalar{}, false
	}
	switch zero, ones = *dst, *dst; {
	case dst.SMin == -1 && dst.SMax == 0:
		zero, ones = Const(0), Const(^uint64(0))
	case dst.S32Min == -1 && dst.S32Max == 0:
		zero.SetSubreg(0)
		ones.SetSubreg(^uint32(0))
	default:
		return Scalar{}, Scalar{}, false
	}
	return zero, ones, true
}
