// Package kbtf is the kernel's side of BTF: it checks what BTF_LOAD is given,
// looks types up, and holds skep's own kernel types.
package kbtf

// BTF is a checked set of types. It does not change once it is parsed.
type BTF struct {
	data   []byte
	types  []Type // by id; 0 is void
	str    []byte
	byName map[string][]ID
}

// Raw is the BTF as it was loaded. It must not be changed.
func (b *BTF) Raw() []byte { return b.data }

// Len is the number of types, void included: ids are below it.
func (b *BTF) Len() int { return len(b.types) }

// Type is the type with the id, nil if there is none.
func (b *BTF) Type(id ID) *Type {
	if uint64(id) >= uint64(len(b.types)) {
		return nil
	}
	return &b.types[id]
}

// Lookup finds a type by kind and name, 0 if there is none.
func (b *BTF) Lookup(kind Kind, name string) ID {
	for _, id := range b.byName[name] {
		if b.types[id].Kind == kind {
			return id
		}
	}
	return 0
}

// String is the text at an offset in the string section; ok is false outside
// of it.
func (b *BTF) String(off uint32) (s string, ok bool) {
	if uint64(off) >= uint64(len(b.str)) {
		return "", false
	}
	for end := off; int(end) < len(b.str); end++ {
		if b.str[end] == 0 {
			return string(b.str[off:end]), true
		}
	}
	return "", false
}

// IsModifier says whether the kind stands before another type without changing
// its layout.
func (k Kind) IsModifier() bool {
	switch k {
	case KindTypedef, KindVolatile, KindConst, KindRestrict, KindTypeTag:
		return true
	}
	return false
}

// Skip follows modifiers and typedefs to the type behind.
func (b *BTF) Skip(id ID) (ID, *Type) {
	t := b.Type(id)
	for n := 0; t != nil && t.Kind.IsModifier() && n < maxResolveDepth; n++ {
		id = t.Ref
		t = b.Type(id)
	}
	return id, t
}

// SizeOf is the size in bytes of a value of the type; ok is false for types
// without one (functions, void, forward declarations).
func (b *BTF) SizeOf(id ID) (size uint32, ok bool) {
	total := uint64(1)
	for range maxResolveDepth {
		_, t := b.Skip(id)
		if t == nil {
			return 0, false
		}
		switch t.Kind {
		case KindInt, KindFloat, KindStruct, KindUnion, KindEnum, KindEnum64, KindDatasec:
			total *= uint64(t.Size)
		case KindPtr:
			total *= 8
		case KindVar:
			id = t.Ref
			continue
		case KindArray:
			total *= uint64(t.Elems)
			id = t.Ref
			if total > 1<<32-1 {
				return 0, false
			}
			continue
		default:
			return 0, false
		}
		return uint32(total), total <= 1<<32-1
	}
	return 0, false
}
