package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/cilium/ebpf/btf"
)

// column is a part of a value that has a place of its own in a table: a member
// of a structure, or all of it.
type column struct {
	name   string
	offset int
	member btf.Member // Type nil: bytes
}

// Structures with more members than this are shown in one column.
const maxColumns = 16

// columnsOf takes a type apart. what is the name of a value that has no
// members.
func columnsOf(what string, t btf.Type) []column {
	whole := []column{{name: what, member: btf.Member{Name: what, Type: t}}}
	if t == nil {
		return whole
	}
	columns := structColumns("", t, 0, 0)
	if len(columns) == 0 || len(columns) > maxColumns {
		return whole
	}
	return columns
}

// structColumns are the members of a structure, and of structures in it; nil for
// what is none, or is better shown as a whole.
func structColumns(prefix string, t btf.Type, offset, depth int) []column {
	s, ok := btf.As[*btf.Struct](t)
	if !ok || depth > maxNesting || hasBitfields(s) || isAddress(s.Name) && (s.Size == 4 || s.Size == 16) {
		return nil
	}
	var out []column
	for _, m := range s.Members {
		at, name := offset+int(m.Offset.Bytes()), prefix+m.Name
		if inner := structColumns(name+".", m.Type, at, depth+1); inner != nil {
			out = append(out, inner...)
		} else {
			out = append(out, column{name, at, m})
		}
		if len(out) > maxColumns {
			break
		}
	}
	return out
}

// cell is the column's text, "-" for a member that the value is too short for.
func (c *column) cell(b []byte) string {
	var out strings.Builder
	switch {
	case c.member.Type != nil && c.offset <= len(b) && writeMember(&out, c.member, b[c.offset:], 0):
		return out.String()
	case c.offset > 0:
		return "-"
	}
	return valueText(nil, b)
}

// table is rows of cells under names.
type table struct {
	names []string
	rows  [][]string
}

// write prints the table, numbers to the right. The last column is as wide as it
// wants.
func (t *table) write(w io.Writer) {
	widths, numeric := make([]int, len(t.names)), make([]bool, len(t.names))
	for i, name := range t.names {
		widths[i], numeric[i] = utf8.RuneCountInString(name), true
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			numeric[i] = numeric[i] && isNumber(row[i])
		}
	}
	line := func(cells []string) {
		var b strings.Builder
		for i, c := range cells {
			switch {
			case numeric[i]:
				fmt.Fprintf(&b, "  %*s", widths[i], c)
			default:
				fmt.Fprintf(&b, "  %-*s", widths[i], c)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	if strings.Join(t.names, "") != "" {
		line(t.names)
	}
	for _, row := range t.rows {
		line(row)
	}
}

func isNumber(s string) bool {
	return s == "-" || s != "" && strings.Trim(strings.TrimPrefix(s, "-"), "0123456789") == ""
}
