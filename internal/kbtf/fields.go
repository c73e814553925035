package kbtf

import (
	"slices"
	"strings"

	"github.com/skep-ebpf/skep/internal/errno"
)

// maxFields is BTF_FIELDS_MAX.
const maxFields = 11

// finder looks for the special fields of one type (btf_find_field).
type finder struct {
	b    *BTF
	mask Special
	out  []Field
	// seen remembers what was found in structures: the same one may be met very
	// often.
	seen map[ID]findings
}

// findings are the fields of a structure, and how many levels of structures are
// below it.
type findings struct {
	fields []Field
	height int
}

var errMany = errno.Errorf(errno.E2BIG, "a value has more than %d special fields, or two of a kind, or is nested too deeply", maxFields)

// find finds the fields of a structure or section.
func (f *finder) find(id ID) error {
	t := f.b.Type(id)
	switch t.Kind {
	case KindStruct:
		_, err := f.structure(id, 0)
		return err
	case KindDatasec:
		return f.section(t)
	}
	return errno.Errorf(errno.EINVAL, "only structures and sections have special fields")
}

// place is where the finder is: a variable or member, its type and offset.
type place struct {
	owner ID // the declaration that tags stand at
	index int32
	typ   ID
	off   uint32
	size  uint32 // of the variable; 0 for a member
	level int
}

func (f *finder) section(t *Type) error {
	var seen Special
	for _, m := range t.Members {
		at := place{owner: m.Type, index: -1, typ: f.b.types[m.Type].Ref, off: m.Offset, size: m.Bits}
		if _, err := f.one(at, &seen); err != nil {
			return err
		}
	}
	return nil
}

// structure looks at the members of a structure. Offsets count from its start:
// only there are fields aligned.
func (f *finder) structure(id ID, level int) (height int, err error) {
	if x, ok := f.seen[id]; ok {
		if level+x.height >= maxResolveDepth || len(f.out)+len(x.fields) > maxFields {
			return 0, errMany
		}
		f.out = append(f.out, x.fields...)
		return x.height, nil
	}
	var seen Special
	before := len(f.out)
	for i, m := range f.b.types[id].Members {
		if m.Offset%8 != 0 {
			return 0, errno.Errorf(errno.EINVAL, "a member of a structure with special fields starts inside of a byte")
		}
		h, err := f.one(place{owner: id, index: int32(i), typ: m.Type, off: m.Offset / 8, level: level}, &seen)
		if err != nil {
			return 0, err
		}
		height = max(height, h)
	}
	f.seen[id] = findings{slices.Clone(f.out[before:]), height}
	return height, nil
}

// one looks at one variable or member (btf_find_field_one).
func (f *finder) one(at place, seen *Special) (height int, err error) {
	count, err := f.flatten(&at)
	if err != nil || count == 0 {
		return 0, err
	}
	t := &f.b.types[at.typ]
	kind := byStruct[t.Name] & f.mask
	if kind != 0 && kind.info().once {
		if *seen&kind != 0 {
			return 0, errMany
		}
		*seen |= kind
	}
	before, size := len(f.out), uint32(pointerSize)
	switch {
	case kind == 0 && t.Kind == KindStruct:
		return f.nested(at, count)
	case kind == 0 && f.mask&pointers == 0:
		return 0, nil
	case kind != 0:
		size = kind.Size()
		if t.Kind != KindStruct || t.Size != size {
			return 0, nil
		}
	}
	if at.size != 0 && uint64(at.size) != uint64(size)*count {
		return 0, nil
	}
	if err := f.field(at, kind, size); err != nil || len(f.out) == before {
		return 0, err
	}
	return 0, f.repeat(before, count, size)
}

// flatten goes through arrays to the element, and returns how many there are.
func (f *finder) flatten(at *place) (count uint64, err error) {
	n := uint32(1)
	for range maxResolveDepth {
		t := &f.b.types[at.typ]
		if t.Kind != KindArray {
			return uint64(n), nil
		}
		n *= t.Elems
		at.typ = t.Ref
	}
	return 0, errMany
}

// nested looks into a structure that is a member, or an array of them.
func (f *finder) nested(at place, count uint64) (height int, err error) {
	t := &f.b.types[at.typ]
	if at.size != 0 && uint64(at.size) != uint64(t.Size)*count {
		return 0, nil
	}
	if at.level+1 >= maxResolveDepth {
		return 0, errMany
	}
	before := len(f.out)
	height, err = f.structure(at.typ, at.level+1)
	if err != nil || len(f.out) == before {
		return height + 1, err
	}
	for i := before; i < len(f.out); i++ {
		f.out[i].Offset += at.off
	}
	return height + 1, f.repeat(before, count, t.Size)
}

// repeat repeats the fields found since before for each further element of an
// array (btf_repeat_fields).
func (f *finder) repeat(before int, count uint64, size uint32) error {
	if count <= 1 {
		return nil
	}
	found := f.out[before:]
	for i := range found {
		if found[i].Kind&(pointers|graphRoot) == 0 {
			return errno.Errorf(errno.EINVAL, "an array cannot have a %v in its elements", found[i].Kind)
		}
	}
	if uint64(len(found))*count > uint64(maxFields-before) {
		return errMany
	}
	for i := uint32(1); uint64(i) < count; i++ {
		for _, x := range found {
			x.Offset += i * size
			f.out = append(f.out, x)
		}
	}
	return nil
}

// field appends the field at a place, if there is one. kind is 0 where it may be
// a pointer.
func (f *finder) field(at place, kind Special, size uint32) error {
	align := uint32(pointerSize)
	if kind != 0 {
		align = kind.info().align
	}
	if at.off%align != 0 {
		return nil
	}
	x := Field{Kind: kind, Offset: at.off}
	var err error
	switch {
	case kind == 0:
		var ok bool
		if x.Kind, x.Type, ok, err = f.b.kptr(at.typ, f.mask); err != nil || !ok {
			return err
		}
	case kind&graphRoot != 0:
		if x.Type, x.Node, err = f.b.contains(at.owner, at.index); err != nil {
			return err
		}
	}
	if len(f.out) == maxFields {
		return errMany
	}
	f.out = append(f.out, x)
	return nil
}

// kptr says whether a type is a pointer with a tag that makes it special, and
// what it points to (btf_find_kptr).
func (b *BTF) kptr(id ID, mask Special) (kind Special, target ID, ok bool, err error) {
	t := &b.types[id]
	if t.Kind == KindVolatile {
		t = &b.types[t.Ref]
	}
	if t.Kind != KindPtr {
		return 0, 0, false, nil
	}
	tag := &b.types[t.Ref]
	if tag.Kind != KindTypeTag || tag.KindFlag {
		return 0, 0, false, nil
	}
	kind = byTag[tag.Name]
	switch {
	case b.types[tag.Ref].Kind == KindTypeTag:
		return 0, 0, false, errno.Errorf(errno.EINVAL, "a pointer in a value has two type tags")
	case kind == 0:
		return 0, 0, false, errno.Errorf(errno.EINVAL, "the type tag %.64q makes no special pointer", tag.Name)
	case kind&mask == 0:
		return 0, 0, false, nil
	}
	target, st := b.Skip(tag.Ref)
	if st.Kind != KindStruct {
		return 0, 0, false, errno.Errorf(errno.EINVAL, "a %v does not point to a structure", kind)
	}
	return kind, target, true, nil
}

const containsKey = "contains:"

// contains finds what a list or tree holds: the structure and member that its
// one "contains:type:member" tag names (btf_find_graph_root).
func (b *BTF) contains(owner ID, index int32) (id ID, node string, err error) {
	tags := b.tags[tagged{owner, index}]
	if len(tags) != 1 {
		return 0, "", errno.Errorf(errno.EINVAL, "a list or tree has %d contains tags, not one", len(tags))
	}
	name, node, ok := strings.Cut(strings.TrimPrefix(b.types[tags[0]].Name, containsKey), ":")
	if !ok {
		return 0, "", errno.Errorf(errno.EINVAL, "a contains tag names no member")
	}
	if id = b.Lookup(KindStruct, name); id == 0 {
		return 0, "", errno.Errorf(errno.ENOENT, "a contains tag names struct %.64s, which is not there", name)
	}
	if node == "" {
		return 0, "", errno.Errorf(errno.EINVAL, "a contains tag names no member")
	}
	return id, node, nil
}

// tagged is what a declaration tag stands at.
type tagged struct {
	target ID
	index  int32
}
