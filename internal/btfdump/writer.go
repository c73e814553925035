package btfdump

import (
	"bufio"
	"fmt"
	"io"
)

// writer writes JSON as bpftool lays it out: on one line, or with four spaces a
// level.
type writer struct {
	out    *bufio.Writer
	pretty bool
	depth  int
	sep    bool // a comma is due before what comes next
}

func newWriter(w io.Writer, pretty bool) *writer {
	return &writer{out: bufio.NewWriter(w), pretty: pretty}
}

// value writes a finished value.
func (w *writer) value(text string) {
	w.comma()
	w.out.WriteString(text)
}

func (w *writer) valuef(format string, args ...any) {
	w.comma()
	fmt.Fprintf(w.out, format, args...)
}

func (w *writer) comma() {
	if w.sep {
		w.out.WriteByte(',')
	}
	w.sep = true
}

// text writes a string value.
func (w *writer) text(s string) { w.value(quote(s)) }

// name writes the name of a member.
func (w *writer) name(s string) {
	w.comma()
	w.newline()
	w.sep = false
	w.out.WriteString(quote(s))
	w.out.WriteByte(':')
	if w.pretty {
		w.out.WriteByte(' ')
	}
}

func (w *writer) begin(bracket byte) {
	w.comma()
	w.out.WriteByte(bracket)
	w.depth++
	w.sep = false
}

// end closes an object or array; a line of its own if it had members.
func (w *writer) end(bracket byte) {
	w.depth--
	if w.sep {
		w.newline()
	}
	w.out.WriteByte(bracket)
	w.sep = true
}

func (w *writer) newline() {
	if !w.pretty {
		return
	}
	w.out.WriteByte('\n')
	for range w.depth {
		w.out.WriteString("    ")
	}
}

// field writes a member with a value that is a number or text.
func (w *writer) field(name string, v any) {
	w.name(name)
	if s, ok := v.(string); ok {
		w.text(s)
	} else {
		w.valuef("%d", v)
	}
}

// hex writes bytes as bpftool writes them in JSON.
func (w *writer) hex(b []byte) {
	w.begin('[')
	for _, x := range b {
		w.valuef("\"0x%02x\"", x)
	}
	w.end(']')
}

// quote makes a JSON string. It differs from bpftool where that is no JSON: for
// backslashes, control characters and bytes that are no UTF-8.
func quote(s string) string {
	out := make([]byte, 0, len(s)+2)
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case escapes[r] != 0:
			out = append(out, '\\', escapes[r])
		case r < 0x20:
			out = fmt.Appendf(out, "\\u%04x", r)
		default:
			out = append(out, string(r)...)
		}
	}
	return string(append(out, '"'))
}

var escapes = map[rune]byte{'\t': 't', '\n': 'n', '\r': 'r', '\f': 'f', '\b': 'b'}
