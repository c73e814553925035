package helpers

import (
	"strconv"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
)

// directive is one conversion of a format string, as bpf_bprintf_prepare parses
// it: % [0 +-]* [width] verb.
type directive struct {
	left, plus, space, zero bool
	width                   int
	verb                    byte // d, u, x, X, c, s, p
	sub                     byte // of p: 0, k, u, K, x, s, S, B, I, i
	ip6                     bool
	wide                    bool // 64 bits
}

// maxWidth is FIELD_WIDTH_MAX.
const maxWidth = 1<<23 - 1

// parseDirective reads the directive behind the % at f[i-1] and returns the index
// of the first byte behind it. The byte behind the string reads as 0.
func parseDirective(f []byte, i int) (d directive, next int, e errno.Errno) {
	at := func(i int) byte {
		if i < len(f) {
			return f[i]
		}
		return 0
	}
	if at(i) >= 0x80 {
		return d, i, errno.EINVAL
	}
	for ; ; i++ {
		switch at(i) {
		case '0':
			d.zero = true
		case '+':
			d.plus = true
		case '-':
			d.left = true
		case ' ':
			d.space = true
		default:
			goto width
		}
	}
width:
	for ; at(i) >= '0' && at(i) <= '9'; i++ {
		d.width = min(d.width*10+int(at(i)-'0'), maxWidth)
	}
	switch c := at(i); c {
	case 'p':
		return parsePointer(d, at, i+1)
	case 's':
		d.verb = 's'
		return d, i + 1, endsWord(at(i + 1))
	case 'c':
		d.verb = 'c'
		return d, i + 1, 0
	}
	for n := 0; n < 2 && at(i) == 'l'; n++ {
		d.wide = true
		i++
	}
	switch d.verb = at(i); d.verb {
	case 'i':
		d.verb = 'd'
	case 'd', 'u', 'x', 'X':
	default:
		return d, i, errno.EINVAL
	}
	return d, i + 1, 0
}

// endsWord: strings and plain pointers must not run into a letter or digit.
func endsWord(c byte) errno.Errno {
	if c == 0 || isSpace(c) || isPunct(c) {
		return 0
	}
	return errno.EINVAL
}

func parsePointer(d directive, at func(int) byte, i int) (directive, int, errno.Errno) {
	d.verb, d.wide = 'p', true
	switch c := at(i); {
	case endsWord(c) == 0:
		return d, i, 0
	case (c == 'k' || c == 'u') && at(i+1) == 's':
		d.sub = c
		return d, i + 2, endsWord(at(i + 2))
	case c == 'K' || c == 'x' || c == 's' || c == 'S' || c == 'B':
		d.sub = c
		i++
	case (c == 'i' || c == 'I') && (at(i+1) == '4' || at(i+1) == '6'):
		d.sub, d.ip6 = c, at(i+1) == '6'
		i += 2
	default:
		return d, i, errno.EINVAL
	}
	return d, i, 0
}

func isPunct(c byte) bool {
	return c > ' ' && c < 0x7f && !isAlnum(c)
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// checkFormat tells whether a format goes with a number of arguments.
func checkFormat(f []byte, args int) errno.Errno {
	_, e := walkFormat(f, args, nil, func(directive, int) errno.Errno { return 0 })
	return e
}

// walkFormat hands out text and directives in order; used counts arguments.
func walkFormat(f []byte, args int, text func(c byte), conv func(d directive, arg int) errno.Errno) (used int, e errno.Errno) {
	for i := 0; i < len(f); {
		c := f[i]
		if c < 0x80 && (c < ' ' || c == 0x7f) && !isSpace(c) {
			return used, errno.EINVAL
		}
		i++
		if c != '%' || i < len(f) && f[i] == '%' {
			if c == '%' {
				i++
			}
			if text != nil {
				text(c)
			}
			continue
		}
		if used >= args {
			return used, errno.EINVAL
		}
		d, next, e := parseDirective(f, i)
		if e == 0 {
			e = conv(d, used)
		}
		if e != 0 {
			return used, e
		}
		used++
		i = next
		// Letters and digits that follow a pointer belong to it for the printing
		// half of the kernel, which shows nothing for them.
		for d.verb == 'p' && i < len(f) && isAlnum(f[i]) {
			i++
		}
	}
	return used, 0
}

// binArgs is MAX_BPRINTF_BIN_ARGS: the room that the kernel has for converted
// arguments.
const binArgs = 512

// printer formats into out.
type printer struct {
	c      *exec.CPU
	room   uint64 // in the buffer that the text is for
	out    []byte
	length int    // of the text, kept in out or not
	args   []byte // 8 bytes each
	used   int    // of binArgs
}

// format returns the formatted text, cut to outputLimit, and how long it would
// be. room is the size of the buffer that it goes to. The text is valid until
// the next call on this CPU.
func format(c *exec.CPU, room uint64, f, args []byte) (text []byte, length int, e errno.Errno) {
	p := printer{c: c, room: room, out: c.Scratch[:0], args: args}
	// All errors come before any output in the kernel; output is dropped then.
	_, e = walkFormat(f, len(args)/8, p.text, p.convert)
	c.Scratch = p.out[:0]
	return p.out, p.length, e
}

// outputLimit is how much text is kept; what is longer only counts.
const outputLimit = 1 << 16

func (p *printer) text(c byte) { p.fill(c, 1) }

func (p *printer) fill(c byte, n int) {
	if n <= 0 {
		return
	}
	p.length += n
	for n = min(n, outputLimit-len(p.out)); n > 0; n-- {
		p.out = append(p.out, c)
	}
}

// take accounts for n bytes of converted arguments; words are aligned.
func (p *printer) take(n int, word bool) errno.Errno {
	if word {
		p.used = (p.used + 3) &^ 3
	}
	if p.used+n > binArgs {
		return errno.ENOSPC
	}
	p.used += n
	return 0
}

func (p *printer) convert(d directive, arg int) errno.Errno {
	v := uint64(0)
	for i := 7; i >= 0; i-- {
		v = v<<8 | uint64(p.args[8*arg+i])
	}
	if d.early() {
		d.width = 0
	}
	switch {
	case d.verb == 's', d.sub == 'k', d.sub == 'u':
		return p.str(d, v)
	case d.sub == 'I', d.sub == 'i':
		return p.ip(d, v)
	case d.verb == 'c':
		if e := p.take(1, false); e != 0 {
			return e
		}
		p.pad(d, []byte{byte(v)})
		return 0
	}
	size := 4
	if d.wide {
		size = 8
	}
	if e := p.take(size, true); e != 0 {
		return e
	}
	switch {
	case d.verb != 'p':
		p.number(d, v)
	case d.sub == 's' || d.sub == 'S' || d.sub == 'B':
		var buf [18]byte
		p.padEarly(d, strconv.AppendUint(append(buf[:0], "0x"...), v, 16))
	default:
		if d.sub != 'x' && v != 0 {
			v = hashPointer(v)
		}
		if d.width == 0 {
			d.width, d.zero = 16, true
		}
		d.verb = 'x'
		p.number(d, v)
	}
	return 0
}

// hashPointer hides an address, as %p does: equal addresses print equal.
func hashPointer(v uint64) uint64 {
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	v ^= v >> 33
	v *= 0xc4ceb9fe1a85ec53
	return v >> 32
}

// str prints a string that may not be there; user strings never are.
func (p *printer) str(d directive, addr uint64) errno.Errno {
	room := binArgs - p.used
	if room == 0 {
		return errno.ENOSPC
	}
	src := probed(p.c, addr, uint64(room))
	n := 0
	for n < len(src) && src[n] != 0 {
		n++
	}
	switch {
	case d.sub == 'u' || n == len(src) && n < room:
		src, n = nil, 0 // fault
	case n == room:
		n = room - 1
	}
	p.used += n + 1
	p.padEarly(d, src[:n])
	return 0
}

// ip prints the address that an argument points to.
func (p *printer) ip(d directive, addr uint64) errno.Errno {
	n := 4
	if d.ip6 {
		n = 16
	}
	if p.used+n > binArgs {
		return errno.ENOSPC
	}
	var ip [16]byte
	if src := probed(p.c, addr, uint64(n)); len(src) == n {
		copy(ip[:], src)
	}
	var buf [40]byte
	s := buf[:0]
	if d.ip6 {
		s = appendIPv6(s, ip, d.sub == 'I')
	} else {
		s = appendIPv4(s, [4]byte(ip[:4]), d.sub == 'i')
	}
	p.used = min(p.used+len(s)+1, binArgs)
	p.padEarly(d, s)
	return 0
}

func appendIPv4(s []byte, ip [4]byte, zeros bool) []byte {
	for i, b := range ip {
		if i > 0 {
			s = append(s, '.')
		}
		if zeros && b < 100 {
			s = append(s, '0')
		}
		if zeros && b < 10 {
			s = append(s, '0')
		}
		s = strconv.AppendUint(s, uint64(b), 10)
	}
	return s
}

func appendIPv6(s []byte, ip [16]byte, colons bool) []byte {
	const hex = "0123456789abcdef"
	for i, b := range ip {
		if colons && i > 0 && i%2 == 0 {
			s = append(s, ':')
		}
		s = append(s, hex[b>>4], hex[b&0xf])
	}
	return s
}

// early tells directives that the kernel formats already when it takes the
// arguments: their field width is lost.
func (d *directive) early() bool {
	return d.verb == 'p' && d.sub != 0 && d.sub != 'K' && d.sub != 'x' && d.sub != 's' && d.sub != 'S'
}

// padEarly is pad, but what was formatted early does not count where the buffer
// is full.
func (p *printer) padEarly(d directive, s []byte) {
	if d.early() && uint64(p.length) >= p.room {
		return
	}
	p.pad(d, s)
}

// pad writes s in its field.
func (p *printer) pad(d directive, s []byte) {
	if !d.left {
		p.fill(' ', d.width-len(s))
	}
	for _, c := range s {
		p.text(c)
	}
	if d.left {
		p.fill(' ', d.width-len(s))
	}
}

func (p *printer) number(d directive, v uint64) {
	if !d.wide && d.verb != 'p' {
		v = uint64(uint32(v))
		if d.verb == 'd' {
			v = uint64(int64(int32(v)))
		}
	}
	var sign byte
	if d.verb == 'd' {
		switch {
		case int64(v) < 0:
			sign, v = '-', -v
		case d.plus:
			sign = '+'
		case d.space:
			sign = ' '
		}
	}
	base := 10
	if d.verb == 'x' || d.verb == 'X' {
		base = 16
	}
	var buf [24]byte
	digits := strconv.AppendUint(buf[:0], v, base)
	if d.verb == 'X' {
		for i, c := range digits {
			if c >= 'a' {
				digits[i] = c - 0x20
			}
		}
	}
	pad := d.width - len(digits)
	if sign != 0 {
		pad--
	}
	if !d.zero && !d.left {
		p.fill(' ', pad)
	}
	if sign != 0 {
		p.text(sign)
	}
	if d.zero && !d.left {
		p.fill('0', pad)
	}
	for _, c := range digits {
		p.text(c)
	}
	if d.left {
		p.fill(' ', pad)
	}
}
