package helpers

import (
	"bytes"
	"math"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// textHelpers read numbers and compare strings.
var textHelpers = []helper{
	fn(uapi.BPF_FUNC_strtol, strtol),
	fn(uapi.BPF_FUNC_strtoul, strtoul),
	fn(uapi.BPF_FUNC_strncmp, strncmp),
}

func strtol(c *exec.CPU, buf, size, flags, out, _ uint64) uint64 {
	mem.Store64(out, 0)
	v, negative, n, e := parseNumber(mem.Bytes(buf, size), flags)
	switch {
	case e != 0:
		return failure(e)
	case negative && v > 1<<63, !negative && v > math.MaxInt64:
		return failure(errno.ERANGE)
	case negative:
		v = -v
	}
	mem.Store64(out, v)
	return uint64(n)
}

func strtoul(c *exec.CPU, buf, size, flags, out, _ uint64) uint64 {
	mem.Store64(out, 0)
	v, negative, n, e := parseNumber(mem.Bytes(buf, size), flags)
	if e != 0 {
		return failure(e)
	}
	if negative {
		return failure(errno.EINVAL)
	}
	mem.Store64(out, v)
	return uint64(n)
}

// maxNumber is how many characters of a number are looked at.
const maxNumber = 63

// parseNumber reads an optionally signed number in the base in flags (0: as its
// prefix says) and returns how many bytes it took (__bpf_strtoull).
func parseNumber(b []byte, flags uint64) (v uint64, negative bool, n int, e errno.Errno) {
	base := flags & 0x1f
	if flags&^0x1f != 0 || base != 0 && base != 8 && base != 10 && base != 16 {
		return 0, false, 0, errno.EINVAL
	}
	for n < len(b) && isSpace(b[n]) {
		n++
	}
	if n < len(b) && b[n] == '-' {
		negative = true
		n++
	}
	digits := b[n:min(len(b), n+maxNumber)]
	if len(digits) == 0 {
		return 0, negative, 0, errno.EINVAL
	}
	base, skip := radix(digits, base)
	v, used, overflow := parseDigits(digits[skip:], base)
	switch {
	case overflow:
		return 0, negative, 0, errno.ERANGE
	case used == 0:
		return 0, negative, 0, errno.EINVAL
	}
	return v, negative, n + skip + used, 0
}

// radix finds the base of a number and the length of its prefix
// (_parse_integer_fixup_radix).
func radix(b []byte, base uint64) (uint64, int) {
	hex := len(b) >= 2 && b[0] == '0' && b[1]|0x20 == 'x'
	if base == 0 {
		switch {
		case hex && len(b) > 2 && digit(b[2]) < 16:
			base = 16
		case b[0] == '0':
			base = 8
		default:
			base = 10
		}
	}
	if base == 16 && hex {
		return base, 2
	}
	return base, 0
}

func parseDigits(b []byte, base uint64) (v uint64, n int, overflow bool) {
	for n < len(b) {
		d := digit(b[n])
		if d >= base {
			break
		}
		if v > (math.MaxUint64-d)/base {
			overflow = true
		}
		v = v*base + d
		n++
	}
	return v, n, overflow
}

// digit is the value of a digit, 255 for anything else.
func digit(c byte) uint64 {
	switch lower := c | 0x20; {
	case c >= '0' && c <= '9':
		return uint64(c - '0')
	case lower >= 'a' && lower <= 'f':
		return uint64(lower-'a') + 10
	}
	return 255
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' || c == 0xa0 }

func strncmp(c *exec.CPU, s1, size, s2, _, _ uint64) uint64 {
	a, b := mem.Bytes(s1, size), cString(s2, size)
	if i := bytes.IndexByte(a, 0); i >= 0 {
		a = a[:i]
	}
	if uint64(len(b)) > size {
		b = b[:size]
	}
	return uint64(int64(bytes.Compare(a, b)))
}

// cString is the bytes at addr up to a NUL, limit at most.
func cString(addr, limit uint64) []byte {
	n := uint64(0)
	for n < limit && mem.Load8(addr+n) != 0 {
		n++
	}
	return mem.Bytes(addr, n)
}
