package kbtf

import (
	"encoding/binary"
	"fmt"
)

// Builder makes BTF. The zero value is ready. What it makes is as sound as the
// types it is given: [Parse] tells.
type Builder struct {
	types   []Type
	strings []byte
	offsets map[string]uint32
}

// Add adds a type and returns its id. Types may refer to ids that come later:
// see [Builder.Set].
func (b *Builder) Add(t Type) ID {
	b.types = append(b.types, t)
	return ID(len(b.types))
}

// Set replaces a type.
func (b *Builder) Set(id ID, t Type) { b.types[id-1] = t }

// Bytes is the BTF.
func (b *Builder) Bytes() []byte {
	b.strings, b.offsets = []byte{0}, map[string]uint32{"": 0}
	var types []byte
	for i := range b.types {
		types = b.encode(types, &b.types[i])
	}
	out := make([]byte, headerSize, headerSize+len(types)+len(b.strings))
	le := binary.LittleEndian
	le.PutUint16(out, magic)
	out[2] = version
	for i, v := range []int{headerSize, 0, len(types), len(types), len(b.strings)} {
		le.PutUint32(out[4+4*i:], uint32(v))
	}
	return append(append(out, types...), b.strings...)
}

// name is the offset of a string, which is added if it is new.
func (b *Builder) name(s string) uint32 {
	off, ok := b.offsets[s]
	if !ok {
		off = uint32(len(b.strings))
		b.strings = append(append(b.strings, s...), 0)
		b.offsets[s] = off
	}
	return off
}

func (b *Builder) encode(out []byte, t *Type) []byte {
	words := func(w ...uint32) {
		for _, x := range w {
			out = binary.LittleEndian.AppendUint32(out, x)
		}
	}
	last := uint32(t.Ref)
	switch {
	case t.Kind.hasSize():
		last = t.Size
	case t.Kind == KindArray || t.Kind == KindFwd:
		last = 0
	}
	words(b.name(t.Name), t.info(), last)
	switch t.Kind {
	case KindInt:
		words(t.Int.encode())
	case KindArray:
		words(uint32(t.Ref), uint32(t.Index), t.Elems)
	case KindVar:
		words(uint32(t.Linkage))
	case KindDeclTag:
		words(uint32(t.Component))
	}
	if kinds[t.Kind].entry == 0 {
		return out
	}
	for _, m := range t.Members {
		switch {
		case t.Kind == KindFuncProto:
			words(b.name(m.Name), uint32(m.Type))
		case t.Kind == KindDatasec:
			words(uint32(m.Type), m.Offset, m.Bits)
		case t.KindFlag:
			words(b.name(m.Name), uint32(m.Type), m.Offset|m.Bits<<24)
		default:
			words(b.name(m.Name), uint32(m.Type), m.Offset)
		}
	}
	for _, v := range t.Values {
		words(b.name(v.Name), uint32(v.N))
		if t.Kind == KindEnum64 {
			words(uint32(v.N >> 32))
		}
	}
	return out
}

// info is the type's second word: kind, flag and number of entries.
func (t *Type) info() uint32 {
	n := 0
	switch {
	case t.Kind == KindFunc:
		n = int(t.Linkage)
	case kinds[t.Kind].entry > 0:
		n = len(t.Members) + len(t.Values)
	}
	if n > maxVlen {
		panic(fmt.Sprintf("kbtf: %v %s has %d entries", t.Kind, t.Name, n))
	}
	info := uint32(t.Kind)<<24 | uint32(n)
	if t.KindFlag {
		info |= 1 << 31
	}
	return info
}

func (i Int) encode() uint32 {
	w := uint32(i.Offset)<<16 | uint32(i.Bits)
	for enc, set := range map[uint32]bool{intSigned: i.Signed, intChar: i.Char, intBool: i.Bool} {
		if set {
			w |= enc << 24
		}
	}
	return w
}
