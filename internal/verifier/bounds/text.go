package bounds

import (
	"math"
	"strconv"
)

// AppendSigned appends a signed number as the log shows it: as decimal if it
// fits in 16 bits, else the 64-bit pattern as hexadecimal (verbose_snum).
func AppendSigned(b []byte, v int64) []byte {
	if isDecimal(v) {
		return strconv.AppendInt(b, v, 10)
	}
	return appendHex(b, uint64(v))
}

// AppendUnsigned appends an unsigned number as the log shows it (verbose_unum).
func AppendUnsigned(b []byte, v uint64) []byte {
	if v <= math.MaxUint16 {
		return strconv.AppendUint(b, v, 10)
	}
	return appendHex(b, v)
}

func isDecimal(v int64) bool { return math.MinInt16 <= v && v <= math.MaxInt16 }

func appendHex(b []byte, v uint64) []byte {
	return strconv.AppendUint(append(b, "0x"...), v, 16)
}

// limit is one end of an interval.
type limit struct {
	name   string
	value  uint64
	signed bool
	hidden bool // nothing is known, or it was shown with an equal one
}

func (l *limit) negative() bool { return l.signed && int64(l.value) < 0 }

// limits returns the ends in the order of the log, minima at even places.
func (s *Scalar) limits() [8]limit {
	return [8]limit{
		{"smin=", uint64(s.SMin), true, s.SMin == math.MinInt64},
		{"smax=", uint64(s.SMax), true, s.SMax == math.MaxInt64},
		{"umin=", s.UMin, false, s.UMin == 0},
		{"umax=", s.UMax, false, s.UMax == math.MaxUint64},
		{"smin32=", shown32(s.S32Min), true, s.S32Min == math.MinInt32},
		{"smax32=", shown32(s.S32Max), true, s.S32Max == math.MaxInt32},
		{"umin32=", uint64(s.U32Min), false, s.U32Min == 0},
		{"umax32=", uint64(s.U32Max), false, s.U32Max == math.MaxUint32},
	}
}

// shown32 is the pattern of a signed 32-bit number: sign-extended only if it is
// shown as decimal.
func shown32(v int32) uint64 {
	if isDecimal(int64(v)) {
		return uint64(int64(v))
	}
	return uint64(uint32(v))
}

// AppendRanges appends what the log shows between the parentheses of "scalar()"
// (print_scalar_ranges and var_off): the ends of the intervals that are known,
// equal minima or maxima joined as in "smin=umin=1", and the bits, separated by
// commas. Nothing is appended if nothing is known.
func (s *Scalar) AppendRanges(b []byte) []byte {
	start := len(b)
	ends := s.limits()
	for i := range ends {
		l := &ends[i]
		if l.hidden {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, l.name...)
		for k := i + 2; k < len(ends); k += 2 {
			o := &ends[k]
			if !o.hidden && o.value == l.value && o.negative() == l.negative() {
				o.hidden = true
				b = append(b, o.name...)
			}
		}
		if l.signed {
			b = AppendSigned(b, int64(l.value))
		} else {
			b = AppendUnsigned(b, l.value)
		}
	}
	if s.Var.IsUnknown() {
		return b
	}
	if len(b) > start {
		b = append(b, ',')
	}
	b, _ = s.Var.AppendText(append(b, "var_off="...))
	return b
}

// String returns s as the log shows a scalar register.
func (s *Scalar) String() string {
	if s.IsConst() {
		return string(AppendSigned(nil, int64(s.Const())))
	}
	return string(append(s.AppendRanges([]byte("scalar(")), ')'))
}
