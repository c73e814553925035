package ktype

import (
	"fmt"
	"strings"

	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// interfaceTypes adds the structures and enumerations of linux/bpf.h: programs
// name them, and relocate enumeration values against them.
func (e *encoder) interfaceTypes() {
	for _, s := range uapi.Structs() {
		out := e.group(fieldsOf(s), 0, uint32(s.Size))
		out.Name = s.Name
		if id, ok := e.composite[s.Name]; ok { // a pointer went ahead
			e.b.Set(id, out)
			continue
		}
		e.composite[s.Name] = e.b.Add(out)
	}
	enumeration[uapi.Cmd](e, "bpf_cmd")
	enumeration[uapi.MapType](e, "bpf_map_type")
	enumeration[uapi.ProgType](e, "bpf_prog_type")
	enumeration[uapi.AttachType](e, "bpf_attach_type")
	enumeration[uapi.LinkType](e, "bpf_link_type")
	enumeration[uapi.FuncID](e, "bpf_func_id")
	e.b.Add(kbtf.Type{Kind: kbtf.KindEnum, Name: "xdp_action", Size: 4, Values: []kbtf.Value{
		{Name: "XDP_ABORTED", N: uapi.XDP_ABORTED}, {Name: "XDP_DROP", N: uapi.XDP_DROP}, {Name: "XDP_PASS", N: uapi.XDP_PASS},
		{Name: "XDP_TX", N: uapi.XDP_TX}, {Name: "XDP_REDIRECT", N: uapi.XDP_REDIRECT},
	}})
}

// enumeration adds an enumeration whose values count from 0.
func enumeration[T interface {
	~uint32
	fmt.Stringer
}](e *encoder, name string) {
	t := kbtf.Type{Kind: kbtf.KindEnum, Name: name, Size: 4}
	for v := T(0); strings.HasPrefix(v.String(), "BPF_") || strings.HasPrefix(v.String(), "__"); v++ {
		t.Values = append(t.Values, kbtf.Value{Name: v.String(), N: uint64(v)})
	}
	e.b.Add(t)
}

// field is a member of a structure of the interface; one with fields is a
// structure itself.
type field struct {
	uapi.Field
	fields []field
}

// fieldsOf undoes the dotted names of nested structures.
func fieldsOf(s *uapi.Struct) []field { return nested(s.Fields) }

func nested(flat []uapi.Field) (out []field) {
	for i := 0; i < len(flat); {
		name, _, dotted := strings.Cut(flat[i].Name, ".")
		if !dotted {
			out = append(out, field{Field: flat[i]})
			i++
			continue
		}
		var members []uapi.Field
		f := field{Field: uapi.Field{Name: name, Offset: flat[i].Offset}}
		for ; i < len(flat) && strings.HasPrefix(flat[i].Name, name+"."); i++ {
			m := flat[i]
			m.Name = strings.TrimPrefix(m.Name, name+".")
			members = append(members, m)
			f.Size = max(f.Size, m.End()-f.Offset)
		}
		f.fields = nested(members)
		out = append(out, f)
	}
	return out
}

// group makes a structure of fields: those that lie over each other become a
// union in it. Offsets count from base.
func (e *encoder) group(fields []field, base int, size uint32) kbtf.Type {
	out := kbtf.Type{Kind: kbtf.KindStruct, Size: size}
	for len(fields) > 0 {
		n, end := overlapping(fields)
		f := fields[0]
		m := kbtf.Member{Name: f.Name, Offset: uint32(8 * (f.Offset - base))}
		switch {
		case n == 1:
			m.Type = e.fieldType(f)
			if f.Bits != 0 {
				out.KindFlag = true
				m.Bits, m.Offset = uint32(f.Bits), m.Offset+uint32(f.Shift)
			}
		case f.Bits != 0 && sharesWord(fields[:n]):
			for _, b := range fields[:n] {
				out.KindFlag = true
				out.Members = append(out.Members, kbtf.Member{Name: b.Name, Type: e.fieldType(b),
					Offset: uint32(8*(b.Offset-base) + b.Shift), Bits: uint32(b.Bits)})
			}
			fields = fields[n:]
			continue
		default:
			m.Name, m.Type = "", e.union(fields[:n], f.Offset, end-f.Offset)
		}
		out.Members = append(out.Members, m)
		fields = fields[n:]
	}
	return out
}

// sharesWord says whether all fields are bits of one word.
func sharesWord(fields []field) bool {
	for _, f := range fields {
		if f.Bits == 0 || f.Offset != fields[0].Offset {
			return false
		}
	}
	return true
}

// overlapping is how many of the first fields lie over each other, and where
// these end. A field may lie over one that is not next to it.
func overlapping(fields []field) (n, end int) {
	n, end = 1, fields[0].End()
	for i := 1; i < len(fields); i++ {
		if fields[i].Offset >= end {
			continue
		}
		for ; n <= i; n++ {
			end = max(end, fields[n].End())
		}
	}
	return n, end
}

// union makes a union of runs of fields that ascend.
func (e *encoder) union(fields []field, base, size int) kbtf.ID {
	out := kbtf.Type{Kind: kbtf.KindUnion, Size: uint32(size)}
	for len(fields) > 0 {
		n := 1
		for n < len(fields) && fields[n].Offset >= fields[n-1].End() {
			n++
		}
		m := kbtf.Member{Name: fields[0].Name}
		if n == 1 && fields[0].Offset == base {
			m.Type = e.fieldType(fields[0])
		} else {
			m.Name, m.Type = "", e.b.Add(e.group(fields[:n], base, uint32(fields[n-1].End()-base)))
		}
		out.Members = append(out.Members, m)
		fields = fields[n:]
	}
	return e.b.Add(out)
}

// pointees are what the pointers of the interface's structures point to; others
// point to nothing that is known.
var pointees = map[string]string{"sk": "bpf_sock", "migrating_sk": "bpf_sock", "flow_keys": "bpf_flow_keys", "skb": "sk_buff"}

func (e *encoder) fieldType(f field) kbtf.ID {
	switch {
	case f.fields != nil:
		return e.b.Add(e.group(f.fields, f.Offset, uint32(f.Size)))
	case f.Pointer:
		to, ok := pointees[f.Name]
		if !ok {
			to = "void"
		}
		return e.pointer(to)
	case f.Elem != 0:
		return e.array(e.integer(bySize[f.Elem]), f.Size/f.Elem)
	}
	if name, ok := bySize[f.Size]; ok {
		return e.integer(name)
	}
	return e.array(e.integer("unsigned char"), f.Size)
}
