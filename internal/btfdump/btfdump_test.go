package btfdump

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/ktype"
)

func Example() {
	u64 := &btf.Int{Name: "unsigned long", Size: 8}
	counter := &btf.Struct{Name: "counter", Size: 16, Members: []btf.Member{
		{Name: "packets", Type: u64}, {Name: "bytes", Type: u64, Offset: 64},
	}}
	if err := Format(os.Stdout, counter, []byte{3, 0, 0, 0, 0, 0, 0, 0, 0xb4, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {
	//     "packets": 3,
	//     "bytes": 180
	// }
}

// What bpftool cannot print, or prints as what is no JSON.
func TestJSON(t *testing.T) {
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Char}
	for _, c := range []struct {
		typ  btf.Type
		data string
		want string
	}{
		{&btf.Float{Name: "double", Size: 8}, "\x00\x00\x00\x00\x00\x00\xf8\x3f", "1.5"},
		{&btf.Float{Name: "float", Size: 4}, "\x00\x00\xc0\x7f", `"NaN"`},
		{&btf.Array{Index: char, Type: char, Nelems: 4}, "a\\\"\x00", `"a\\\""`},
		{char, "\"", `"\""`},
		{char, "\x07", `"\u0007"`},
		{&btf.Pointer{Target: char}, "\x01\x00\x00\x00\x00\x00\x00\x00", "1"},
		{&btf.TypeTag{Value: "user", Type: &btf.Int{Size: 2, Encoding: btf.Signed}}, "\xff\xff", "-1"},
		{&btf.Enum{Size: 1, Values: []btf.EnumValue{{Name: "HIGH", Value: 200}}}, "\xc8", `"HIGH"`},
		{&btf.Struct{Size: 4, Members: []btf.Member{{Name: "bad\nname", Type: char}}}, "x", `{"bad\nname":"x"}`},
	} {
		got, err := JSON(c.typ, []byte(c.data))
		if err != nil || string(got) != c.want || !json.Valid(got) {
			t.Errorf("%v of %q: %s, %v; want %s", c.typ, c.data, got, err, c.want)
		}
	}
}

// Data that is shorter than its type, and types without end, are errors.
func TestHostileValues(t *testing.T) {
	s := zoo()
	whole := make([]byte, s.Size)
	for n := range len(whole) - 16 {
		if err := Format(io.Discard, s, whole[:n]); !errors.Is(err, errShort) {
			t.Fatalf("%d of %d bytes: %v", n, s.Size, err)
		}
	}
	if err := Format(io.Discard, s, whole); err != nil {
		t.Fatal(err)
	}
	empty := &btf.Struct{Name: "empty"}
	many := &btf.Array{Index: mapKey, Type: empty, Nelems: 1 << 31}
	if err := Format(io.Discard, many, nil); !errors.Is(err, errMany) {
		t.Errorf("2^31 empty structures: %v", err)
	}
	var wide btf.Type = mapKey
	for range 40 {
		wide = &btf.Union{Size: 4, Members: []btf.Member{{Name: "a", Type: wide}, {Name: "b", Type: wide}}}
	}
	if err := Format(io.Discard, wide, whole); !errors.Is(err, errMany) {
		t.Errorf("2^40 views of four bytes: %v", err)
	}
	loop := &btf.Struct{Name: "loop", Size: 4}
	loop.Members = []btf.Member{{Name: "self", Type: loop}}
	if err := Format(io.Discard, loop, whole); !errors.Is(err, errDepth) {
		t.Errorf("a structure that holds itself: %v", err)
	}
	if err := Format(io.Discard, &btf.Fwd{Name: "f"}, whole); err == nil {
		t.Error("a forward declaration was printed")
	}
}

// dumpAll writes every form of BTF.
func dumpAll(raw []byte) []error {
	return []error{DumpRaw(io.Discard, raw), DumpRawJSON(io.Discard, raw), DumpC(io.Discard, raw)}
}

// Types that expand without end, or that C cannot say.
func TestHostileTypes(t *testing.T) {
	anonymous := func(n int) []byte { // each holds the next twice, all without names
		var b kbtf.Builder
		for i := range n {
			m := kbtf.Member{Name: "m", Type: kbtf.ID(i + 2)}
			b.Add(kbtf.Type{Kind: kbtf.KindStruct, Members: []kbtf.Member{m, m}})
		}
		b.Add(kbtf.Type{Kind: kbtf.KindInt, Name: "int", Size: 4, Int: kbtf.Int{Bits: 32}})
		b.Add(kbtf.Type{Kind: kbtf.KindStruct, Name: "top", Members: []kbtf.Member{{Name: "m", Type: 1}}})
		return b.Bytes()
	}
	self := func(k kbtf.Kind) []byte {
		var b kbtf.Builder
		b.Add(kbtf.Type{Kind: k, Name: "x", Ref: 1, Index: 1, Members: []kbtf.Member{{Name: "m", Type: 1}}})
		b.Add(kbtf.Type{Kind: kbtf.KindTypedef, Name: "t", Ref: 1})
		return b.Bytes()
	}
	hole := func() []byte {
		var b kbtf.Builder
		b.Add(kbtf.Type{Kind: kbtf.KindStruct, Name: "s", Size: 1<<32 - 1})
		return b.Bytes()
	}
	samples := map[string][]byte{"anonymous": anonymous(40), "hole": hole()}
	for _, k := range []kbtf.Kind{kbtf.KindPtr, kbtf.KindConst, kbtf.KindTypedef, kbtf.KindStruct, kbtf.KindArray, kbtf.KindFuncProto} {
		samples["self "+k.String()] = self(k)
	}
	for name, raw := range samples {
		start := time.Now()
		errs := dumpAll(raw)
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		if errs[0] != nil || errs[1] != nil {
			t.Errorf("%s: raw: %v, %v", name, errs[0], errs[1])
		}
		if (name == "anonymous" || name == "hole" || strings.Contains(name, "CONST")) && errs[2] == nil {
			t.Errorf("%s: C was written", name)
		}
	}
}

// Roots choose the types that are written.
func TestRoots(t *testing.T) {
	b := ktype.Types()
	var raw, c bytes.Buffer
	id := b.Lookup(kbtf.KindStruct, "xdp_md")
	if err := DumpRaw(&raw, ktype.BTF(), id); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(raw.String(), fmt.Sprintf("[%d] STRUCT 'xdp_md' size=24 vlen=6\n\t'data' type_id=", id)) {
		t.Errorf("raw: %s", raw.String())
	}
	if err := DumpC(&c, ktype.BTF(), id); err != nil {
		t.Fatal(err)
	}
	want := cHeader + "struct xdp_md {\n\tunsigned int data;\n\tunsigned int data_end;\n\tunsigned int data_meta;\n" +
		"\tunsigned int ingress_ifindex;\n\tunsigned int rx_queue_index;\n\tunsigned int egress_ifindex;\n};\n\n" + cFooter
	if c.String() != want {
		t.Errorf("C: %s", c.String())
	}
	if err := DumpC(io.Discard, ktype.BTF(), 1<<20); err == nil {
		t.Error("a type that is not there was written")
	}
}

// seed is a little BTF, for the fuzzers.
func seed() []byte {
	var b kbtf.Builder
	num := b.Add(kbtf.Type{Kind: kbtf.KindInt, Name: "int", Size: 4, Int: kbtf.Int{Signed: true, Bits: 32}})
	list := b.Add(kbtf.Type{Kind: kbtf.KindArray, Ref: num, Index: num, Elems: 2})
	ptr := b.Add(kbtf.Type{Kind: kbtf.KindPtr, Ref: 5})
	enum := b.Add(kbtf.Type{Kind: kbtf.KindEnum, Name: "e", Size: 4, Values: []kbtf.Value{{Name: "A", N: 1}}})
	b.Add(kbtf.Type{Kind: kbtf.KindStruct, KindFlag: true, Name: "s", Size: 24, Members: []kbtf.Member{
		{Name: "list", Type: list}, {Name: "next", Type: ptr, Offset: 64}, {Name: "e", Type: enum, Offset: 128},
		{Name: "bits", Type: num, Offset: 160, Bits: 5}}})
	proto := b.Add(kbtf.Type{Kind: kbtf.KindFuncProto, Ref: num, Members: []kbtf.Member{{Name: "s", Type: ptr}}})
	b.Add(kbtf.Type{Kind: kbtf.KindFunc, Name: "f", Ref: proto, Linkage: kbtf.Global})
	return b.Bytes()
}

func FuzzTypes(f *testing.F) {
	f.Add(seed())
	f.Fuzz(func(t *testing.T, raw []byte) { dumpAll(raw) })
}

func FuzzValue(f *testing.F) {
	f.Add(seed(), []byte("some data that is long enough"), uint32(5))
	f.Fuzz(func(t *testing.T, raw, data []byte, id uint32) {
		spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
		if err != nil {
			return
		}
		typ, err := spec.TypeByID(btf.TypeID(id))
		if err != nil {
			return
		}
		if js, err := JSON(typ, data); err == nil && !json.Valid(js) {
			t.Errorf("not valid JSON: %s", js)
		}
		_ = Format(io.Discard, typ, data)
	})
}
