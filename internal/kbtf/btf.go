// Package kbtf is the kernel's side of BTF: it checks what BTF_LOAD is given,
// looks types up, and finds the fields that the kernel manages.
//
// A type is read three times: its own words first (kinds.go), then what it
// refers to (resolve.go), then whether it is a structure with fields that
// programs may not touch (special.go). Each step logs in the kernel's words and
// in the kernel's order, so that the first complaint is the same.
package kbtf

// BTF is a checked set of types. It does not change once it is parsed.
type BTF struct {
	data    []byte
	types   []Type // by id; 0 is void
	strings stringTable
	byName  map[string][]ID
	// behind is the type that modifiers, pointers, variables, functions and tags
	// lead to, as the resolver found it (btf->resolved_ids).
	behind []ID
	// bytes is the size of arrays (btf->resolved_sizes).
	bytes []uint32
	// records are the structures with special fields, by id (struct_meta_tab).
	records map[ID]*Record
	// tags are the declaration tags that say what lists and trees hold.
	tags map[tagged][]ID
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

// Lookup finds the first type of a kind and name, 0 if there is none
// (btf_find_by_name_kind).
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
func (b *BTF) String(off uint32) (s string, ok bool) { return b.strings.at(off) }

// StringsLen is the size of the string section in bytes.
func (b *BTF) StringsLen() uint32 { return uint32(len(b.strings.text)) }

// Skip follows modifiers and typedefs to the type behind
// (btf_type_skip_modifiers).
func (b *BTF) Skip(id ID) (ID, *Type) {
	t := b.Type(id)
	if t != nil && t.Kind.IsModifier() {
		id = b.behind[id]
		t = &b.types[id]
	}
	return id, t
}

// Sized follows modifiers and variables to the type that gives a value its
// size; nil for what has none: functions, void, forward declarations
// (btf_type_id_size).
func (b *BTF) Sized(id ID) (sized ID, t *Type, size uint32) {
	t = b.Type(id)
	if t == nil {
		return 0, nil, 0
	}
	if t.Kind.IsModifier() || t.Kind == KindVar {
		id = b.behind[id]
		t = &b.types[id]
	}
	switch {
	case t.Kind.hasSize():
		return id, t, t.Size
	case t.Kind == KindArray:
		return id, t, b.bytes[id]
	case t.Kind == KindPtr:
		return id, t, pointerSize
	}
	return 0, nil, 0
}

const pointerSize = 8

// SizeOf is the size in bytes of a value of the type; ok is false for types
// without one.
func (b *BTF) SizeOf(id ID) (size uint32, ok bool) {
	_, t, size := b.Sized(id)
	return size, t != nil
}

// Record is what is known of the special fields of a structure; nil when it has
// none.
func (b *BTF) Record(id ID) *Record { return b.records[id] }
