package main

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// goTypes gives the enums among the members their type back: the ABI declares
// them as __u32.
var goTypes = map[string]string{
	"map_type":             "MapType",
	"prog_type":            "ProgType",
	"attach_type":          "AttachType",
	"expected_attach_type": "AttachType",
	"ProgInfo.type":        "ProgType",
	"MapInfo.type":         "MapType",
	"LinkInfo.type":        "LinkType",
}

// goType is the Go type of a field of the structure called owner.
func (f field) goType(owner string) string {
	for _, key := range []string{owner + "." + f.kernel, f.kernel} {
		if t, ok := goTypes[key]; ok {
			return t
		}
	}
	if f.count > 0 {
		return fmt.Sprintf("[%d]%s", f.count, scalarType(f.elem, f.signed && f.elem > 1))
	}
	return scalarType(f.size, f.signed)
}

func scalarType(size int, signed bool) string {
	if size == 1 && !signed {
		return "byte"
	}
	if signed {
		return fmt.Sprintf("int%d", size*8)
	}
	return fmt.Sprintf("uint%d", size*8)
}

// record is a structure that becomes a Go type with Decode and Encode.
type record struct {
	goType string
	path   string // in the kernel
	doc    string
}

// codec writes the Go type of r, and those of its variants.
func (s *source) codec(spec *btf.Spec, r record) error {
	members, _, err := structOf(spec, r.path)
	if err != nil {
		return err
	}
	return s.codecOf(r.goType, r.goType, r.doc, "kernel: "+strings.ReplaceAll(r.path, "bpf_attr", "union bpf_attr"), members, 0)
}

func (s *source) codecOf(name, stem, doc, kernel string, members []btf.Member, base int) error {
	l, err := flatten(members, base, "", false)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(l.fields) > 0 {
		s.codecType(name, doc, kernel, l.fields)
	}
	for _, v := range l.variants {
		sub := strings.TrimSuffix(stem, "Attr") + camel(v.name)
		subName := sub
		if strings.HasSuffix(name, "Attr") {
			subName += "Attr"
		}
		d := fmt.Sprintf("is the part of [%s] for %s", name, v.name)
		if len(l.fields) == 0 {
			d = "is the " + v.name + " form"
		}
		if err := s.codecOf(subName, subName, d, kernel+", "+v.name, v.members, v.offset); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) codecType(name, doc, kernel string, fields []field) {
	end := 0
	for _, f := range fields {
		end = max(end, f.end())
	}
	s.p("// %sEnd is the offset just after the last field of [%s].", name, name)
	s.p("const %sEnd = %d\n", name, end)
	s.p("// %s %s (%s).", name, doc, kernel)
	s.p("type %s struct {", name)
	for _, f := range fields {
		comment := f.kernel
		if len(f.also) > 0 {
			comment += " | " + strings.Join(f.also, " | ")
		}
		s.p("%s %s // %s, at %d", camel(f.kernel), f.goType(name), comment, f.offset)
	}
	s.p("}\n")
	s.p("// Decode reads the fields from b, a little-endian image of the whole; what b")
	s.p("// is too short for reads as zero.")
	s.p("func (a *%s) Decode(b []byte) {", name)
	s.p("b = padded(b, %sEnd)", name)
	for _, f := range fields {
		s.p("%s", f.decode(name))
	}
	s.p("}\n")
	s.p("// Encode writes the fields to b, which must have at least [%sEnd] bytes.", name)
	s.p("func (a *%s) Encode(b []byte) {", name)
	s.p("_ = b[%sEnd-1]", name)
	for _, f := range fields {
		s.p("%s", f.encode(name))
	}
	s.p("}\n")
}

func le(size int) string { return fmt.Sprintf("binary.LittleEndian.Uint%d", size*8) }
func pe(size int) string { return fmt.Sprintf("binary.LittleEndian.PutUint%d", size*8) }

func (f field) decode(owner string) string {
	dst := "a." + camel(f.kernel)
	t := f.goType(owner)
	switch {
	case f.bits > 0:
		return fmt.Sprintf("%s = %s(b[%d:]) >> %d & %#x", dst, le(f.size), f.offset, f.shift, 1<<f.bits-1)
	case f.count > 0 && f.elem == 1:
		return fmt.Sprintf("copy(%s[:], b[%d:%d])", dst, f.offset, f.end())
	case f.count > 0:
		return fmt.Sprintf("for i := range %s {\n%s[i] = %s(b[%d+i*%d:])\n}", dst, dst, le(f.elem), f.offset, f.elem)
	case f.size == 1:
		return fmt.Sprintf("%s = b[%d]", dst, f.offset)
	case t == scalarType(f.size, false):
		return fmt.Sprintf("%s = %s(b[%d:])", dst, le(f.size), f.offset)
	}
	return fmt.Sprintf("%s = %s(%s(b[%d:]))", dst, t, le(f.size), f.offset)
}

func (f field) encode(owner string) string {
	src := "a." + camel(f.kernel)
	switch {
	case f.bits > 0:
		mask := 1<<f.bits - 1
		return fmt.Sprintf("%s(b[%d:], %s(b[%d:]) &^ (%#x << %d) | %s & %#x << %d)",
			pe(f.size), f.offset, le(f.size), f.offset, mask, f.shift, src, mask, f.shift)
	case f.count > 0 && f.elem == 1:
		return fmt.Sprintf("copy(b[%d:%d], %s[:])", f.offset, f.end(), src)
	case f.count > 0:
		return fmt.Sprintf("for i, v := range %s {\n%s(b[%d+i*%d:], v)\n}", src, pe(f.elem), f.offset, f.elem)
	case f.size == 1:
		return fmt.Sprintf("b[%d] = %s", f.offset, src)
	}
	if f.goType(owner) == scalarType(f.size, false) {
		return fmt.Sprintf("%s(b[%d:], %s)", pe(f.size), f.offset, src)
	}
	return fmt.Sprintf("%s(b[%d:], uint%d(%s))", pe(f.size), f.offset, f.size*8, src)
}
