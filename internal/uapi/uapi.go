// Package uapi is the binary interface of Linux 6.18's eBPF: the numbers, flags
// and layouts that programs, loaders and bpf(2) callers use.
//
// The zz_generated files come from the kernel's own BTF (see the gen
// directory); constants keep the kernel's spelling, and every field names the
// kernel's in its comment. What the kernel defines by macro, which BTF does not
// carry, is in macros.go.
//
// All layouts are those of a little-endian 64-bit host.
package uapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

//go:generate go run ./gen

// LastField returns the offset just after the last field of union bpf_attr that
// the command reads: a non-zero byte from there on is EINVAL (the kernel's
// CHECK_ATTR). ok is false for a command that Linux 6.18 does not have.
func (v Cmd) LastField() (end int, ok bool) {
	if int64(v) >= int64(len(lastFields)) {
		return 0, false
	}
	return lastFields[v], true
}

// Struct is the layout of a structure that programs see.
type Struct struct {
	Name   string // the kernel's
	Size   int    // in bytes, with tail padding
	Fields []Field
}

// Field is a member of a [Struct]. Members of nested structures are flattened:
// their names are dotted paths. Members of a union share an offset.
type Field struct {
	Name    string
	Offset  int  // in bytes
	Size    int  // in bytes, of the whole array where the field is one
	Elem    int  // bytes of one array element, 0 if the field is no array
	Pointer bool // holds a pointer in the eyes of a program
	Bits    int  // width of a bitfield, 0 if it is none
	Shift   int  // of a bitfield, within the Size bytes at Offset
}

// End returns the offset just after the field.
func (f Field) End() int { return f.Offset + f.Size }

// Field returns the field of the kernel's name.
func (s *Struct) Field(name string) (Field, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// StructByName returns the layout of a structure by the kernel's name, such as
// "__sk_buff".
func StructByName(name string) (*Struct, bool) {
	s, ok := structs[name]
	return s, ok
}

// Structs returns every layout in the order of names.
func Structs() []*Struct {
	out := make([]*Struct, 0, len(structs))
	for _, name := range slices.Sorted(maps.Keys(structs)) {
		out = append(out, structs[name])
	}
	return out
}

// CString returns the text of a NUL-terminated array such as a map's name.
func CString(b []byte) string {
	if i := strings.IndexByte(string(b), 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// padded returns b, extended with zeros to n bytes if it is shorter.
func padded(b []byte, n int) []byte {
	if len(b) >= n {
		return b
	}
	out := make([]byte, n)
	copy(out, b)
	return out
}

func enumKnown(names []string, v uint32) bool {
	return int64(v) < int64(len(names)) && names[v] != ""
}

func enumName(names []string, v uint32, typ string) string {
	if enumKnown(names, v) {
		return names[v]
	}
	return typ + "(" + strconv.FormatUint(uint64(v), 10) + ")"
}

func libName(names []string, v uint32, prefix string) string {
	if enumKnown(names, v) {
		return strings.ToLower(strings.TrimPrefix(names[v], prefix))
	}
	return strconv.FormatUint(uint64(v), 10)
}

func enumParse(names []string, prefix, name string) (uint32, bool) {
	if name == "" {
		return 0, false
	}
	for v := range names {
		if names[v] == name || names[v] != "" && libName(names, uint32(v), prefix) == name {
			return uint32(v), true
		}
	}
	return 0, false
}
