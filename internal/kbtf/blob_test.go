package kbtf

import (
	"encoding/binary"
	"fmt"
)

// blob builds BTF word by word, sound or not.
type blob struct {
	types   []uint32
	strings []byte
	edit    func([]byte) []byte // the last change to the bytes
}

// s is the offset of a string, which is added if it is not there.
func (b *blob) s(text string) uint32 {
	if len(b.strings) == 0 {
		b.strings = []byte{0}
	}
	if text == "" {
		return 0
	}
	off := len(b.strings)
	b.strings = append(append(b.strings, text...), 0)
	return uint32(off)
}

const flagged = 1 << 31

// t adds a type by name; info is vlen and flags.
func (b *blob) t(name string, k Kind, info uint32, last uint32, words ...uint32) *blob {
	return b.raw(b.s(name), uint32(k)<<24|info, last, words...)
}

func (b *blob) raw(words3 uint32, info, last uint32, words ...uint32) *blob {
	b.types = append(append(b.types, words3, info, last), words...)
	return b
}

// m adds words, the first of which is a name: a member, value or parameter.
func (b *blob) m(name string, words ...uint32) *blob {
	b.types = append(append(b.types, b.s(name)), words...)
	return b
}

// int is an ordinary integer type.
func (b *blob) int() *blob { return b.t("int", KindInt, 0, 4, 1<<24|32) }

func (b *blob) bytes() []byte {
	b.s("")
	out := make([]byte, headerSize, headerSize+4*len(b.types)+len(b.strings))
	le := binary.LittleEndian
	le.PutUint16(out, magic)
	out[2] = version
	for i, v := range []int{headerSize, 0, 4 * len(b.types), 4 * len(b.types), len(b.strings)} {
		le.PutUint32(out[4+4*i:], uint32(v))
	}
	for _, w := range b.types {
		out = le.AppendUint32(out, w)
	}
	out = append(out, b.strings...)
	if b.edit != nil {
		out = b.edit(out)
	}
	return out
}

// sample is BTF with what it is meant to show.
type sample struct {
	name string
	data []byte
}

// set collects samples.
type set []sample

func (s *set) add(name string, b *blob) { *s = append(*s, sample{name, b.bytes()}) }

func (s *set) addf(b *blob, format string, args ...any) { s.add(fmt.Sprintf(format, args...), b) }
