package replay

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep"
)

var (
	u8      = &btf.Int{Name: "unsigned char", Size: 1}
	u16     = &btf.Int{Name: "unsigned short", Size: 2}
	s32     = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	u64     = &btf.Typedef{Name: "__u64", Type: &btf.Int{Name: "unsigned long long", Size: 8}}
	boolean = &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}
	verb    = &btf.Enum{Name: "action", Size: 4, Values: []btf.EnumValue{{Name: "DENY"}, {Name: "ALLOW", Value: 1}}}
	address = &btf.Array{Type: u8, Nelems: 4}
	rule    = &btf.Struct{Name: "rule", Size: 8, Members: []btf.Member{
		{Name: "action", Type: verb},
		{Name: "low", Type: u16, Offset: 32, BitfieldSize: 3},
		{Name: "high", Type: u16, Offset: 35, BitfieldSize: 9},
		{Name: "port", Type: u16, Offset: 48},
	}}
)

func TestEncode(t *testing.T) {
	for _, tc := range []struct {
		typ      btf.Type
		in, want string // an error's text, after "!"
	}{
		{u8, "255", "ff"},
		{u8, "256", "!256 does not fit 1 bytes"},
		{u8, "-1", "ff"},
		{u8, "-129", "!does not fit"},
		{u16, `"0x1234"`, "3412"},
		{s32, "-2", "feffffff"},
		{s32, "1.5", "!expected a whole number"},
		{s32, "null", "!expected a number, found nothing"},
		{u64, "18446744073709551615", "ffffffffffffffff"},
		{u64, "18446744073709551616", "!does not fit 8 bytes"},
		{u64, "1e99", "!expected a whole number"},
		{boolean, "true", "01"},
		{boolean, "false", "00"},
		{verb, `"ALLOW"`, "01000000"},
		{verb, "1", "01000000"},
		{verb, `"NONE"`, "!expected a whole number"},
		{address, "[10, 20]", "0a140000"},
		{address, `"ab"`, "61620000"},
		{address, `"abcde"`, "!room for 4"},
		{address, "[1,2,3,4,5]", "!5 elements where the array has 4"},
		{address, "[300]", "![0]: 300 does not fit"},
		{address, `["0x0a", "0x14", "0x00", "0x01"]`, "0a140001"},
		{address, `["0x0a"]`, "!1 bytes where 4 are needed"},
		{rule, `{"action": "ALLOW", "port": 80}`, "0100000000005000"},
		{rule, `{"low": 5, "high": 257}`, "000000000d080000"},
		{rule, `{"low": 8}`, "!low: 8 does not fit 3 bits"},
		{rule, `{"prot": 80}`, "!there is no member \"prot\"; there are action, low, high, port"},
		{rule, `[1]`, "!expected an object for struct rule, found an array"},
		{rule, `["0x01","0x00","0x00","0x00","0x00","0x00","0x50","0x00"]`, "0100000000005000"},
		{&btf.Float{Name: "double", Size: 8}, "1", "!cannot be given in JSON"},
	} {
		size, err := btf.Sizeof(tc.typ)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, size)
		err = encode(b, tc.typ, parsed(t, tc.in))
		if problem, ok := strings.CutPrefix(tc.want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%v %s: %v, want %q", tc.typ, tc.in, err, problem)
			}
		} else if err != nil || hex.EncodeToString(b) != tc.want {
			t.Errorf("%v %s: %x, %v; want %s", tc.typ, tc.in, b, err, tc.want)
		}
	}
}

func TestFill(t *testing.T) {
	coll := loaded(t, skep.Config{}, "examples/firewall/firewall.o")
	for in, want := range map[string]string{
		`{"counters": [{"key": 8, "value": {"packets": 3, "bytes": 4}}]}`: "",
		`{"counters": [{"key": 9, "value": {}}]}`:                         "map counters, element 0",
		`{"nix": []}`:                  `no map "nix"`,
		`[]`:                           "expected {",
		`{"counters": 5}`:              "expected {",
		`{"counters": [`:               "not sound JSON",
		`{"events": [{"key": 1}]}`:     "map events, element 0",
		`{"counters": [{"key": "a"}]}`: "key: expected a whole number",
	} {
		err := Fill(coll.Maps, strings.NewReader(in))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
	value, err := coll.Maps["counters"].Lookup(skep.Uint32Key(8))
	if err != nil || hex.EncodeToString(value) != "03000000000000000400000000000000" {
		t.Errorf("%x, %v", value, err)
	}
}

func FuzzFill(f *testing.F) {
	coll := loaded(f, skep.Config{}, "examples/firewall/firewall.o")
	f.Add(`{"counters": [{"key": 8, "value": {"packets": 3, "bytes": 4}}]}`)
	f.Add(`{"rules4": [{"key": {"prefixlen": 8, "addr": [10]}, "value": {"action": 1}}]}`)
	f.Add(`{".bss": [{"key": ["0x00","0x00","0x00","0x00"], "value": []}]}`)
	f.Fuzz(func(t *testing.T, in string) { Fill(coll.Maps, strings.NewReader(in)) })
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	var v any
	d := newDecoder(strings.NewReader(text))
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
