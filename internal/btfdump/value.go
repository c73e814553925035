// Package btfdump prints what BTF describes: values by their types, as bpftool
// map dump does, and the types themselves, as bpftool btf dump does in its
// formats raw and c. The text is bpftool's, so that whatever reads the one can
// read the other.
//
// Data and types may be hostile: what does not fit the data or has no end is an
// error.
package btfdump

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// Format writes a value as bpftool writes it in plain text: JSON with
// indentation, except that pointers and wide integers are hexadecimal.
func Format(w io.Writer, t btf.Type, data []byte) error {
	d := &dumper{writer: newWriter(w, true), plain: true}
	if err := d.dump(t, data); err != nil {
		return err
	}
	return d.out.Flush()
}

// JSON makes JSON of a value: members in the order of the type, as in the
// "formatted" part of bpftool -j map dump.
func JSON(t btf.Type, data []byte) (json.RawMessage, error) {
	var out bytes.Buffer
	d := &dumper{writer: newWriter(&out, false)}
	if err := d.dump(t, data); err != nil {
		return nil, err
	}
	err := d.out.Flush()
	return out.Bytes(), err
}

const (
	// maxDepth bounds how deeply types are nested, maxValues how many values are
	// printed: unions and empty structures make many of few bytes.
	maxDepth  = 64
	maxValues = 1 << 21
)

var (
	errDepth = fmt.Errorf("the type is nested more than %d deep", maxDepth)
	errMany  = fmt.Errorf("the type makes more than %d values", maxValues)
	errShort = errors.New("the data is shorter than its type")
)

// dumper prints values.
type dumper struct {
	*writer
	plain  bool
	level  int
	values int
}

// dump prints a value that begins with data; it may be longer.
func (d *dumper) dump(t btf.Type, data []byte) error {
	if d.level++; d.level > maxDepth {
		return errDepth
	}
	defer func() { d.level-- }()
	if d.values++; d.values > maxValues {
		return errMany
	}
	switch t := skipQualifiers(t).(type) {
	case *btf.Typedef:
		return d.dump(t.Type, data)
	case *btf.Int:
		return d.integer(t, data)
	case *btf.Float:
		return d.float(t, data)
	case *btf.Enum:
		return d.enum(t, data)
	case *btf.Pointer:
		return d.pointer(data)
	case *btf.Array:
		return d.array(t, data)
	case *btf.Struct:
		return d.members(t.Members, data)
	case *btf.Union:
		return d.members(t.Members, data)
	case *btf.Var:
		return d.variable(t, data)
	case *btf.Datasec:
		return d.section(t, data)
	case *btf.Void:
		d.value(`"(unknown)"`)
		return nil
	default:
		return fmt.Errorf("a value cannot be of type %v", t)
	}
}

// skipQualifiers follows const, volatile, restrict and tags, but no typedef.
func skipQualifiers(t btf.Type) btf.Type {
	for range maxDepth {
		switch q := t.(type) {
		case *btf.Const:
			t = q.Type
		case *btf.Volatile:
			t = q.Type
		case *btf.Restrict:
			t = q.Type
		case *btf.TypeTag:
			t = q.Type
		default:
			return t
		}
	}
	return t
}

// word reads a little-endian integer of 1, 2, 4 or 8 bytes.
func word(data []byte, size uint32) (uint64, error) {
	if uint64(len(data)) < uint64(size) {
		return 0, errShort
	}
	var b [8]byte
	copy(b[:], data[:min(size, 8)])
	return binary.LittleEndian.Uint64(b[:]), nil
}

// extend extends the sign of an integer of size bytes.
func extend(v uint64, size uint32) int64 {
	shift := 64 - 8*min(size, 8)
	return int64(v<<shift) >> shift
}

func (d *dumper) integer(t *btf.Int, data []byte) error {
	if t.Size == 16 {
		return d.bits(data, 0, 128)
	}
	v, err := word(data, t.Size)
	if err != nil {
		return err
	}
	switch {
	case t.Size == 0 || t.Size > 8 || t.Size&(t.Size-1) != 0:
		return fmt.Errorf("an integer cannot have %d bytes", t.Size)
	case t.Encoding == btf.Char:
		d.char(byte(v))
	case t.Encoding == btf.Bool:
		d.valuef("%t", byte(v) != 0)
	case t.Encoding == btf.Signed:
		d.valuef("%d", extend(v, t.Size))
	default:
		d.valuef("%d", v)
	}
	return nil
}

func (d *dumper) char(c byte) {
	switch {
	case c >= 0x20 && c < 0x7f:
		d.text(string(rune(c)))
	case d.plain:
		d.valuef("0x%x", c)
	default:
		d.valuef("\"\\u00%02x\"", c)
	}
}

// bits prints n bits from an offset in bits, as a hexadecimal number.
func (d *dumper) bits(data []byte, off, n uint32) error {
	if n == 0 || n > 128 || uint64(off)+uint64(n) > 8*uint64(len(data)) {
		return errShort
	}
	var lo, hi uint64
	for i := range n {
		at := off + i
		bit := uint64(data[at/8]>>(at%8)) & 1
		if i < 64 {
			lo |= bit << i
		} else {
			hi |= bit << (i - 64)
		}
	}
	text := fmt.Sprintf("0x%x", lo)
	if hi != 0 {
		text = fmt.Sprintf("0x%x%016x", hi, lo)
	}
	if !d.plain {
		text = `"` + text + `"`
	}
	d.value(text)
	return nil
}

// float prints a floating-point number, which bpftool does not. What JSON has no
// number for is text.
func (d *dumper) float(t *btf.Float, data []byte) error {
	v, err := word(data, t.Size)
	if err != nil {
		return err
	}
	var f float64
	switch t.Size {
	case 4:
		f = float64(math.Float32frombits(uint32(v)))
	case 8:
		f = math.Float64frombits(v)
	default:
		d.begin('[')
		for _, b := range data[:t.Size] {
			d.valuef("\"0x%02x\"", b)
		}
		d.end(']')
		return nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		d.text(fmt.Sprint(f))
	} else {
		d.valuef("%v", f)
	}
	return nil
}

// enum prints the name of a value, or the value as a signed number.
func (d *dumper) enum(t *btf.Enum, data []byte) error {
	v, err := word(data, t.Size)
	if err != nil {
		return err
	}
	n := extend(v, t.Size)
	for _, e := range t.Values {
		if extend(e.Value, t.Size) == n {
			d.text(e.Name)
			return nil
		}
	}
	d.valuef("%d", n)
	return nil
}

func (d *dumper) pointer(data []byte) error {
	v, err := word(data, 8)
	switch {
	case err != nil:
		return err
	case !d.plain:
		d.valuef("%d", v)
	case v == 0:
		d.value("(nil)")
	default:
		d.valuef("0x%x", v)
	}
	return nil
}

func (d *dumper) array(t *btf.Array, data []byte) error {
	if s, ok := charString(t, data); ok {
		d.text(s)
		return nil
	}
	size, err := btf.Sizeof(t.Type)
	if err != nil {
		return fmt.Errorf("the elements of an array: %w", err)
	}
	d.begin('[')
	for i := range uint64(t.Nelems) {
		at := i * uint64(size)
		if at+uint64(size) > uint64(len(data)) {
			return errShort
		}
		if err := d.dump(t.Type, data[at:]); err != nil {
			return err
		}
	}
	d.end(']')
	return nil
}

// charString is the text in an array of char: printable, and with an end. A
// typedef of char is no char.
func charString(t *btf.Array, data []byte) (string, bool) {
	elem, ok := skipQualifiers(t.Type).(*btf.Int)
	if !ok || elem.Size != 1 || elem.Encoding != btf.Char && elem.Name != "char" {
		return "", false
	}
	if uint64(len(data)) > uint64(t.Nelems) {
		data = data[:t.Nelems]
	}
	end := bytes.IndexByte(data, 0)
	if end < 0 {
		return "", false
	}
	for _, c := range data[:end] {
		if c <= 0x1f || c >= 0x7f {
			return "", false
		}
	}
	return string(data[:end]), true
}

func (d *dumper) members(members []btf.Member, data []byte) error {
	d.begin('{')
	for _, m := range members {
		d.name(m.Name)
		at := uint32(m.Offset) / 8
		if uint64(at) > uint64(len(data)) {
			return errShort
		}
		var err error
		if m.BitfieldSize != 0 {
			err = d.bits(data[at:], uint32(m.Offset)%8, uint32(m.BitfieldSize))
		} else {
			err = d.dump(m.Type, data[at:])
		}
		if err != nil {
			return memberError(m.Name, err)
		}
	}
	d.end('}')
	return nil
}

// memberError says in which member an error is.
func memberError(name string, err error) error {
	if errors.Is(err, errDepth) || errors.Is(err, errMany) {
		return err
	}
	if name == "" {
		name = "(anon)"
	}
	if inner := err.Error(); strings.HasPrefix(inner, "member ") {
		return fmt.Errorf("member %s.%s", name, strings.TrimPrefix(inner, "member "))
	}
	return fmt.Errorf("member %s: %w", name, err)
}

func (d *dumper) variable(t *btf.Var, data []byte) error {
	d.begin('{')
	d.name(t.Name)
	if err := d.dump(t.Type, data); err != nil {
		return err
	}
	d.end('}')
	return nil
}

func (d *dumper) section(t *btf.Datasec, data []byte) error {
	d.begin('{')
	d.name(t.Name)
	d.begin('[')
	for _, v := range t.Vars {
		if uint64(v.Offset) > uint64(len(data)) {
			return errShort
		}
		if err := d.dump(v.Type, data[v.Offset:]); err != nil {
			return err
		}
	}
	d.end(']')
	d.end('}')
	return nil
}
