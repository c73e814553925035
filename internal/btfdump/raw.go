package btfdump

import (
	"bufio"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/skep-ebpf/skep/internal/kbtf"
)

// Read takes raw BTF from a file: the .BTF section of an ELF object, or the file
// itself.
func Read(r io.ReaderAt) ([]byte, error) {
	var magic [2]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil {
		return nil, fmt.Errorf("reading BTF: %w", err)
	}
	if binary.LittleEndian.Uint16(magic[:]) == 0xeb9f {
		raw, err := io.ReadAll(io.NewSectionReader(r, 0, kbtf.MaxSize+1))
		if err != nil {
			return nil, fmt.Errorf("reading BTF: %w", err)
		}
		return raw, nil
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("neither BTF nor an ELF object: %w", err)
	}
	s := f.Section(".BTF")
	if s == nil || s.Type == elf.SHT_NOBITS {
		return nil, errors.New("the ELF object has no .BTF section (compile with -g)")
	}
	if s.Size > kbtf.MaxSize {
		return nil, fmt.Errorf("the .BTF section has %d bytes; the limit is %d", s.Size, kbtf.MaxSize)
	}
	raw, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("reading the .BTF section: %w", err)
	}
	return raw, nil
}

// DumpRaw writes raw BTF as bpftool btf dump does with format raw: each type in
// a line, with lines for its members. roots, if any, are the types to write.
func DumpRaw(w io.Writer, raw []byte, roots ...kbtf.ID) error {
	types, err := kbtf.Decode(raw)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	err = each(types, roots, func(id kbtf.ID) {
		t := &types[id]
		fmt.Fprintf(out, "[%d] %v '%s'", id, t.Kind, anon(t.Name))
		d := describe(t)
		for _, p := range d.props {
			comma := ""
			if p.comma {
				comma = ","
			}
			fmt.Fprintf(out, " %s=%v%s", p.name, p.value, comma)
		}
		for _, e := range d.entries {
			out.WriteString("\n\t")
			for i, p := range e {
				switch {
				case p.name == "name":
					fmt.Fprintf(out, "'%s'", p.value)
				case i == 0:
					fmt.Fprintf(out, "%s=%v", p.name, p.value)
				default:
					fmt.Fprintf(out, " %s=%v%s", p.name, p.value, p.suffix)
				}
			}
			if t.Kind == kbtf.KindDatasec {
				v := &types[e[0].value.(kbtf.ID)]
				fmt.Fprintf(out, " (%v '%s')", v.Kind, anon(v.Name))
			}
		}
		out.WriteByte('\n')
	})
	return errors.Join(err, out.Flush())
}

// DumpRawJSON writes raw BTF as bpftool -j btf dump does.
func DumpRawJSON(w io.Writer, raw []byte, roots ...kbtf.ID) error {
	types, err := kbtf.Decode(raw)
	if err != nil {
		return err
	}
	j := newWriter(w, false)
	j.begin('{')
	j.name("types")
	j.begin('[')
	err = each(types, roots, func(id kbtf.ID) {
		t := &types[id]
		d := describe(t)
		j.begin('{')
		j.field("id", id)
		j.field("kind", t.Kind.String())
		j.field("name", anon(t.Name))
		for _, p := range d.props {
			j.field(p.name, p.value)
		}
		if d.list != "" {
			j.name(d.list)
			j.begin('[')
			for _, e := range d.entries {
				j.begin('{')
				for _, p := range e {
					j.field(p.name, p.value)
				}
				j.end('}')
			}
			j.end(']')
		}
		j.end('}')
	})
	j.end(']')
	j.end('}')
	return errors.Join(err, j.out.Flush())
}

// each visits the roots, or all types.
func each(types []kbtf.Type, roots []kbtf.ID, visit func(kbtf.ID)) error {
	for _, id := range roots {
		if int(id) >= len(types) {
			return fmt.Errorf("there is no type %d", id)
		}
		visit(id)
	}
	if len(roots) > 0 {
		return nil
	}
	for id := 1; id < len(types); id++ {
		visit(kbtf.ID(id))
	}
	return nil
}

func anon(name string) string {
	if name == "" {
		return "(anon)"
	}
	return name
}

// property is something that a type or one of its entries says.
type property struct {
	name   string
	value  any
	suffix string // C's suffix of wide constants
	comma  bool
}

// description is all that a type says: properties, and a list of entries.
type description struct {
	props   []property
	list    string // what the entries are
	entries [][]property
}

func (d *description) add(name string, value any) {
	d.props = append(d.props, property{name: name, value: value})
}

func (d *description) entry(p ...property) { d.entries = append(d.entries, p) }

func prop(name string, value any) property { return property{name: name, value: value} }

// describe says what there is to say of a type.
func describe(t *kbtf.Type) (d description) {
	switch t.Kind {
	case kbtf.KindInt:
		d.add("size", t.Size)
		d.add("bits_offset", t.Int.Offset)
		d.add("nr_bits", t.Int.Bits)
		d.add("encoding", encoding(t.Int))
	case kbtf.KindArray:
		d.add("type_id", t.Ref)
		d.add("index_type_id", t.Index)
		d.add("nr_elems", t.Elems)
	case kbtf.KindStruct, kbtf.KindUnion:
		d.composite(t)
	case kbtf.KindEnum, kbtf.KindEnum64:
		d.enumeration(t)
	case kbtf.KindFwd:
		d.add("fwd_kind", forwardKind(t))
	case kbtf.KindFunc:
		d.add("type_id", t.Ref)
		d.add("linkage", linkage(t.Linkage))
	case kbtf.KindFuncProto:
		d.add("ret_type_id", t.Ref)
		d.add("vlen", len(t.Members))
		d.list = "params"
		for _, m := range t.Members {
			d.entry(prop("name", anon(m.Name)), prop("type_id", m.Type))
		}
	case kbtf.KindVar:
		d.props = append(d.props, property{name: "type_id", value: t.Ref, comma: true})
		d.add("linkage", linkage(t.Linkage))
	case kbtf.KindDatasec:
		d.add("size", t.Size)
		d.add("vlen", len(t.Members))
		d.list = "vars"
		for _, m := range t.Members {
			d.entry(prop("type_id", m.Type), prop("offset", m.Offset), prop("size", m.Bits))
		}
	case kbtf.KindFloat:
		d.add("size", t.Size)
	case kbtf.KindDeclTag:
		d.add("type_id", t.Ref)
		d.add("component_idx", t.Component)
	default: // pointers and modifiers
		d.add("type_id", t.Ref)
	}
	return d
}

func (d *description) composite(t *kbtf.Type) {
	d.add("size", t.Size)
	d.add("vlen", len(t.Members))
	d.list = "members"
	for _, m := range t.Members {
		e := []property{prop("name", anon(m.Name)), prop("type_id", m.Type), prop("bits_offset", m.Offset)}
		if m.Bits != 0 {
			e = append(e, prop("bitfield_size", m.Bits))
		}
		d.entry(e...)
	}
}

func (d *description) enumeration(t *kbtf.Type) {
	signed, suffix := "UNSIGNED", ""
	if t.KindFlag {
		signed = "SIGNED"
	}
	if t.Kind == kbtf.KindEnum64 {
		suffix = map[bool]string{true: "LL", false: "ULL"}[t.KindFlag]
	}
	d.add("encoding", signed)
	d.add("size", t.Size)
	d.add("vlen", len(t.Values))
	d.list = "values"
	for _, v := range t.Values {
		var n any = v.N
		if t.KindFlag {
			n = int64(v.N)
		}
		d.entry(prop("name", anon(v.Name)), property{name: "val", value: n, suffix: suffix})
	}
}

func encoding(i kbtf.Int) string {
	switch i {
	case kbtf.Int{Offset: i.Offset, Bits: i.Bits}:
		return "(none)"
	case kbtf.Int{Signed: true, Offset: i.Offset, Bits: i.Bits}:
		return "SIGNED"
	case kbtf.Int{Char: true, Offset: i.Offset, Bits: i.Bits}:
		return "CHAR"
	case kbtf.Int{Bool: true, Offset: i.Offset, Bits: i.Bits}:
		return "BOOL"
	}
	return "UNKN"
}

func linkage(l kbtf.Linkage) string {
	switch l {
	case kbtf.Static:
		return "static"
	case kbtf.Global:
		return "global"
	case kbtf.Extern:
		return "extern"
	}
	return "(unknown)"
}

func forwardKind(t *kbtf.Type) string {
	if t.KindFlag {
		return "union"
	}
	return "struct"
}
