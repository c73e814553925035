package main

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

var (
	u8  = &btf.Int{Name: "unsigned char", Size: 1}
	u32 = &btf.Int{Name: "unsigned int", Size: 4}
	chr = &btf.Int{Name: "char", Size: 1, Encoding: btf.Char | btf.Signed}

	inner = &btf.Struct{Name: "inner", Size: 8, Members: []btf.Member{
		{Name: "packets", Type: u32}, {Name: "bytes", Type: u32, Offset: 32}}}
	outer = &btf.Struct{Name: "outer", Size: 28, Members: []btf.Member{
		{Name: "saddr", Type: &btf.Array{Type: u8, Nelems: 4}},
		{Name: "name", Type: &btf.Array{Type: chr, Nelems: 4}, Offset: 32},
		{Name: "count", Type: inner, Offset: 64},
		{Name: "mac", Type: &btf.Array{Type: u8, Nelems: 6}, Offset: 128},
		{Name: "flags", Type: &btf.Struct{Name: "flags", Size: 4, Members: []btf.Member{
			{Name: "a", Type: u32, BitfieldSize: 3}}}, Offset: 192},
	}}
	outerBytes = []byte("\x0a\x14\x00\x01eth\x00\x03\x00\x00\x00\x04\x00\x00\x00\x02\x00\x00\x01\x02\x03\x00\x00\x05\x00\x00\x00")
)

func TestValueText(t *testing.T) {
	for _, tc := range []struct {
		typ  btf.Type
		in   []byte
		want string
	}{
		{nil, []byte{1, 2}, "0102"},
		{u32, []byte{1, 0, 0, 0}, "1"},
		{u32, []byte{1}, "01"},
		{inner, []byte{1, 0, 0, 0, 2, 0, 0, 0}, "{packets: 1, bytes: 2}"},
		{outer, outerBytes, `{saddr: 10.20.0.1, name: "eth", count: {packets: 3, bytes: 4}, mac: 020000010203, flags: {"a":"0x5"}}`},
		{&btf.Struct{Name: "in6_addr", Size: 16, Members: []btf.Member{{Name: "u", Type: &btf.Array{Type: u32, Nelems: 4}}}},
			[]byte("\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), "fd00::1"},
		{&btf.Array{Type: u32, Nelems: 2}, []byte{1, 0, 0, 0, 2, 0, 0, 0}, "[1 2]"},
		{&btf.Array{Type: &btf.Struct{Name: "empty"}, Nelems: 1 << 31}, nil, ""},
	} {
		if got := valueText(tc.typ, tc.in); got != tc.want {
			t.Errorf("%v %x: %s, want %s", tc.typ, tc.in, got, tc.want)
		}
	}
}

// Types that make much of few bytes end.
func TestHostileType(t *testing.T) {
	typ := &btf.Struct{Name: "leaf"}
	for range 40 {
		level := &btf.Struct{Name: "level"}
		for range 100 {
			level.Members = append(level.Members, btf.Member{Name: "m", Type: typ})
		}
		typ = level
	}
	if got := valueText(typ, nil); got != "" {
		t.Errorf("%d bytes of text", len(got))
	}
	if n := len(columnsOf("value", typ)); n != 1 {
		t.Errorf("%d columns", n)
	}
}

func TestTable(t *testing.T) {
	columns := columnsOf("value", outer)
	tab := &table{}
	for _, c := range columns {
		tab.names = append(tab.names, c.name)
	}
	tab.rows = append(tab.rows, cells(columns, outerBytes, 0), cells(columns, outerBytes[:9], 0))
	var got strings.Builder
	tab.write(&got)
	const want = `  saddr      name   count.packets  count.bytes           mac  flags
  10.20.0.1  "eth"              3            4  020000010203  {"a":"0x5"}
  10.20.0.1  "eth"              -            -             -  -
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
