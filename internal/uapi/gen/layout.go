package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// field is one member of a flattened structure.
type field struct {
	kernel string // dotted path in the kernel's spelling
	also   []string
	offset int // in bytes, from the start of the whole
	size   int
	count  int // elements of an array, 0 if it is none
	elem   int // bytes of an element
	signed bool
	ptr    bool
	bits   int // width of a bitfield, 0 if it is none
	shift  int
}

func (f field) end() int { return f.offset + f.size }

// variant is one structure among those that share a union.
type variant struct {
	name    string
	members []btf.Member
	offset  int
}

// layout is a structure with its anonymous parts flattened. The structures
// inside unions do not belong to it; they are its variants.
type layout struct {
	fields   []field
	variants []variant
}

// flatten lays out members. Structures with a name are flattened under a dotted
// path if dotted is set, else their members stand as if they were anonymous.
func flatten(members []btf.Member, base int, prefix string, dotted bool) (*layout, error) {
	l := &layout{}
	for _, m := range members {
		if err := l.add(m, base, prefix, dotted); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *layout) add(m btf.Member, base int, prefix string, dotted bool) error {
	offset := base + int(m.Offset)/8
	switch t := btf.UnderlyingType(m.Type).(type) {
	case *btf.Struct:
		if dotted && m.Name != "" {
			prefix += m.Name + "."
		}
		sub, err := flatten(t.Members, offset, prefix, dotted)
		if err != nil {
			return err
		}
		l.fields = append(l.fields, sub.fields...)
		l.variants = append(l.variants, sub.variants...)
		return nil
	case *btf.Union:
		return l.addUnion(t, m.Name, offset, prefix, dotted)
	}
	f, err := scalar(m, offset)
	if err != nil {
		return err
	}
	f.kernel = prefix + m.Name
	l.fields = append(l.fields, f)
	return nil
}

// addUnion joins the scalars of a union into one field under the first name,
// and makes variants of its structures.
func (l *layout) addUnion(u *btf.Union, name string, offset int, prefix string, dotted bool) error {
	if dotted && name != "" {
		prefix += name + "."
	}
	joined := -1
	for _, m := range u.Members {
		at := offset + int(m.Offset)/8
		st, isStruct := btf.UnderlyingType(m.Type).(*btf.Struct)
		_, isUnion := btf.UnderlyingType(m.Type).(*btf.Union)
		switch {
		case isStruct && dotted, isUnion:
			if err := l.add(m, offset, prefix, dotted); err != nil {
				return err
			}
		case isStruct:
			n := m.Name
			if n == "" {
				n = st.Members[0].Name
			}
			l.variants = append(l.variants, variant{n, st.Members, at})
		default:
			f, err := scalar(m, at)
			if err != nil {
				return err
			}
			f.kernel = prefix + m.Name
			if joined < 0 || dotted {
				joined = len(l.fields)
				l.fields = append(l.fields, f)
				continue
			}
			l.fields[joined].also = append(l.fields[joined].also, m.Name)
		}
	}
	return nil
}

func scalar(m btf.Member, offset int) (field, error) {
	size, err := btf.Sizeof(m.Type)
	if err != nil {
		return field{}, err
	}
	f := field{offset: offset, size: size}
	t := btf.UnderlyingType(m.Type)
	if a, ok := t.(*btf.Array); ok {
		f.count = int(a.Nelems)
		if f.elem, err = btf.Sizeof(a.Type); err != nil {
			return field{}, err
		}
		t = btf.UnderlyingType(a.Type)
	}
	switch t := t.(type) {
	case *btf.Int:
		f.signed = t.Encoding == btf.Signed
	case *btf.Enum:
	case *btf.Pointer:
		f.ptr = true
	case *btf.Struct:
		f.elem = max(f.elem, 1) // an array of structures: known by its size only
	default:
		return field{}, fmt.Errorf("member %s has type %v", m.Name, t)
	}
	if m.BitfieldSize > 0 {
		f.bits = int(m.BitfieldSize)
		// BTF gives the bit offset from the structure's start.
		f.offset = offset / size * size
		f.shift = (offset-f.offset)*8 + int(m.Offset)%8
	}
	return f, nil
}

// structOf finds a structure or union by a path such as "bpf_attr.batch".
func structOf(spec *btf.Spec, path string) ([]btf.Member, int, error) {
	parts := strings.Split(path, ".")
	members, size, err := membersByName(spec, parts[0])
	if len(parts) == 1 && err == nil {
		return whole(spec, parts[0])
	}
	for _, part := range parts[1:] {
		if err != nil {
			return nil, 0, err
		}
		i := slices.IndexFunc(members, func(m btf.Member) bool { return names(m, part) })
		if i < 0 {
			return nil, 0, fmt.Errorf("%s: no member %s", path, part)
		}
		members, size, err = membersOf(members[i].Type)
	}
	return members, size, err
}

// whole returns a type as the only, nameless member: its own structures then are
// variants if it is a union.
func whole(spec *btf.Spec, name string) ([]btf.Member, int, error) {
	members, size, err := membersByName(spec, name)
	if err != nil {
		return nil, 0, err
	}
	var u *btf.Union
	if spec.TypeByName(name, &u) == nil {
		return []btf.Member{{Type: u}}, size, nil
	}
	return members, size, nil
}

// names reports whether m is the member called part, or the nameless structure
// whose first member (of a union: any) is.
func names(m btf.Member, part string) bool {
	if m.Name != "" {
		return m.Name == part
	}
	sub, _, err := membersOf(m.Type)
	if err != nil || len(sub) == 0 {
		return false
	}
	if _, ok := btf.UnderlyingType(m.Type).(*btf.Union); ok {
		return slices.ContainsFunc(sub, func(m btf.Member) bool { return names(m, part) })
	}
	return names(sub[0], part)
}

func membersByName(spec *btf.Spec, name string) ([]btf.Member, int, error) {
	types, err := spec.AnyTypesByName(name)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	for _, t := range types {
		if members, size, err := membersOf(t); err == nil {
			return members, size, nil
		}
	}
	return nil, 0, fmt.Errorf("%s is no structure", name)
}

func membersOf(t btf.Type) ([]btf.Member, int, error) {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return t.Members, int(t.Size), nil
	case *btf.Union:
		return t.Members, int(t.Size), nil
	}
	return nil, 0, fmt.Errorf("%v is no structure", t)
}
