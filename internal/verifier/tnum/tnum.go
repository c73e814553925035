// Package tnum is the verifier's domain of partly known bits ("tristate
// numbers"): each bit of a 64-bit value is 0, 1 or unknown.
//
// The operations give the results of Linux 6.18's kernel/bpf/tnum.c, no more and
// no less precise: the verifier's log shows them. The addition and subtraction
// are the optimal ones of Vishwanathan et al., "Sound, Precise, and Fast
// Abstract Interpretation with Tristate Numbers" (arXiv:2105.05398).
package tnum

import (
	"math/bits"
	"strconv"
)

// Tnum stands for the set of values v with v &^ Mask == Value. A bit of Mask is
// set where the bit is unknown; Value is 0 there.
type Tnum struct{ Value, Mask uint64 }

// Unknown returns the tnum of all values.
func Unknown() Tnum { return Tnum{Mask: ^uint64(0)} }

// Const returns the tnum of v alone.
func Const(v uint64) Tnum { return Tnum{Value: v} }

// Range returns the smallest tnum with every value of [lo, hi]: the common
// leading bits are known.
func Range(lo, hi uint64) Tnum { return masked(lo, 1<<bits.Len64(lo^hi)-1) }

// masked returns v with the bits of mask unknown.
func masked(v, mask uint64) Tnum { return Tnum{v &^ mask, mask} }

// Max is the largest member as unsigned number; the smallest is Value.
func (a Tnum) Max() uint64 { return a.Value | a.Mask }

// IsConst says whether all bits are known.
func (a Tnum) IsConst() bool { return a.Mask == 0 }

// IsConst32 says whether the lower 32 bits are known.
func (a Tnum) IsConst32() bool { return uint32(a.Mask) == 0 }

// IsUnknown says whether no bit is known.
func (a Tnum) IsUnknown() bool { return a.Mask == ^uint64(0) }

// Is says whether a is the constant v.
func (a Tnum) Is(v uint64) bool { return a == Const(v) }

// Has says whether v is a member.
func (a Tnum) Has(v uint64) bool { return v&^a.Mask == a.Value }

// In says whether every member of a is one of b (tnum_in with the arguments the
// other way round).
func (a Tnum) In(b Tnum) bool { return a.Mask&^b.Mask == 0 && b.Has(a.Value) }

// Overlap says whether a and b can have a member in common.
func (a Tnum) Overlap(b Tnum) bool { return (a.Value^b.Value)&^(a.Mask|b.Mask) == 0 }

// IsAligned says whether every member is a multiple of size, a power of two or
// 0, of which anything is a multiple.
func (a Tnum) IsAligned(size uint64) bool { return size == 0 || a.Max()&(size-1) == 0 }

// Next returns the smallest member greater than v, or the largest member if there
// is none (tnum_step).
func (a Tnum) Next(v uint64) uint64 {
	if v >= a.Max() {
		return a.Max()
	}
	v++
	wrong := (v ^ a.Value) &^ a.Mask // known bits that v has not
	if wrong == 0 {
		return v
	}
	n := bits.Len64(wrong)
	above := ^uint64(0) << n // where v is right
	if a.Value>>(n-1)&1 == 0 {
		// v has a 1 too much: count on in the unknown bits above, with ones in the
		// known ones to carry over them.
		v = (v|^a.Mask)&above + 1<<n
	}
	return v&above&a.Mask | a.Value
}

// ByteSwap returns the lower size bytes of a, 2, 4 or 8, in reverse order.
func (a Tnum) ByteSwap(size int) Tnum {
	n := 64 - 8*size
	return Tnum{bits.ReverseBytes64(a.Value) >> n, bits.ReverseBytes64(a.Mask) >> n}
}

// LShift returns a << n.
func (a Tnum) LShift(n uint8) Tnum { return Tnum{a.Value << n, a.Mask << n} }

// RShift returns a >> n, unsigned.
func (a Tnum) RShift(n uint8) Tnum { return Tnum{a.Value >> n, a.Mask >> n} }

// ARShift returns a >> n, signed. An unknown sign bit fills with unknown bits.
func (a Tnum) ARShift(n uint8) Tnum {
	return Tnum{uint64(int64(a.Value) >> n), uint64(int64(a.Mask) >> n)}
}

// ARShift32 returns the lower half of a >> n, signed, and a zero upper half.
func (a Tnum) ARShift32(n uint8) Tnum {
	return Tnum{uint64(uint32(int32(a.Value) >> n)), uint64(uint32(int32(a.Mask) >> n))}
}

// Add returns a + b. A bit is unknown where it is in an operand, or where the
// carry into it differs between the smallest and the largest sum.
func (a Tnum) Add(b Tnum) Tnum {
	least := a.Value + b.Value
	most := least + a.Mask + b.Mask
	return masked(least, least^most|a.Mask|b.Mask)
}

// Sub returns a - b, as [Tnum.Add] with borrows.
func (a Tnum) Sub(b Tnum) Tnum {
	diff := a.Value - b.Value
	return masked(diff, (diff+a.Mask)^(diff-b.Mask)|a.Mask|b.Mask)
}

// Neg returns -a.
func (a Tnum) Neg() Tnum { return Const(0).Sub(a) }

// And returns a & b.
func (a Tnum) And(b Tnum) Tnum {
	v := a.Value & b.Value
	return Tnum{v, a.Max() & b.Max() &^ v}
}

// Or returns a | b.
func (a Tnum) Or(b Tnum) Tnum {
	v := a.Value | b.Value
	return Tnum{v, (a.Mask | b.Mask) &^ v}
}

// Xor returns a ^ b.
func (a Tnum) Xor(b Tnum) Tnum { return masked(a.Value^b.Value, a.Mask|b.Mask) }

// Mul returns a * b by long multiplication over the bits of a that can be set.
// Where such a bit is unknown, the sums with and without its partial product are
// united (6.18: "bpf: Improve the general precision of tnum_mul").
func (a Tnum) Mul(b Tnum) Tnum {
	var sum Tnum
	for rest := a.Max(); rest != 0; rest &= rest - 1 {
		n := uint8(bits.TrailingZeros64(rest))
		with := sum.Add(b.LShift(n))
		if a.Mask>>n&1 != 0 {
			with = with.Union(sum)
		}
		sum = with
	}
	return sum
}

// Intersect returns what is known if both a and b hold. Where they contradict
// each other the bit is 1.
func (a Tnum) Intersect(b Tnum) Tnum { return masked(a.Value|b.Value, a.Mask&b.Mask) }

// Union returns the smallest tnum with the members of both.
func (a Tnum) Union(b Tnum) Tnum { return masked(a.Value, a.Value^b.Value|a.Mask|b.Mask) }

// Cast returns the lower size bytes of a, zero-extended; size is below 8.
func (a Tnum) Cast(size int) Tnum {
	keep := uint64(1)<<(8*size) - 1
	return Tnum{a.Value & keep, a.Mask & keep}
}

// Subreg returns the lower half of a, zero-extended.
func (a Tnum) Subreg() Tnum { return Tnum{uint64(uint32(a.Value)), uint64(uint32(a.Mask))} }

// WithSubreg returns a with the lower half of sub.
func (a Tnum) WithSubreg(sub Tnum) Tnum {
	return Tnum{a.Value&^lower | sub.Value&lower, a.Mask&^lower | sub.Mask&lower}
}

// ConstSubreg returns a with the lower half v.
func (a Tnum) ConstSubreg(v uint32) Tnum { return a.WithSubreg(Const(uint64(v))) }

// lower is the lower half of a register.
const lower = 1<<32 - 1

// maxDecimal is the largest unsigned number that the log shows as decimal.
const maxDecimal = 1<<16 - 1

// AppendText appends a as the verifier's log shows it: a constant as a number,
// anything else as "(value; mask)" (tnum_strn). The error is nil.
func (a Tnum) AppendText(b []byte) ([]byte, error) {
	if a.IsConst() {
		if a.Value <= maxDecimal {
			return strconv.AppendUint(b, a.Value, 10), nil
		}
		return appendHex(b, a.Value), nil
	}
	b = appendHex(append(b, '('), a.Value)
	b = appendHex(append(b, "; "...), a.Mask)
	return append(b, ')'), nil
}

// String returns the text of [Tnum.AppendText].
func (a Tnum) String() string {
	b, _ := a.AppendText(make([]byte, 0, 48))
	return string(b)
}

func appendHex(b []byte, v uint64) []byte {
	return strconv.AppendUint(append(b, "0x"...), v, 16)
}
