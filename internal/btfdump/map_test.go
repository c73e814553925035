package btfdump

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// zoo has a member of every kind of type that a value can have.
func zoo() *btf.Struct {
	s := &btf.Struct{Name: "zoo"}
	add := func(name string, t btf.Type) {
		size, err := btf.Sizeof(t)
		if err != nil {
			panic(err)
		}
		align := uint32(min(max(size, 1), 8))
		for align&(align-1) != 0 {
			align &= align - 1
		}
		off := (s.Size + align - 1) / align * align
		s.Members = append(s.Members, btf.Member{Name: name, Type: t, Offset: btf.Bits(8 * off)})
		s.Size = off + uint32(size)
	}
	for _, size := range []uint32{1, 2, 4, 8, 16} {
		add(fmt.Sprint("u", 8*size), &btf.Int{Name: fmt.Sprint("u", 8*size), Size: size})
		add(fmt.Sprint("s", 8*size), &btf.Int{Name: fmt.Sprint("s", 8*size), Size: size, Encoding: btf.Signed})
	}
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	realChar := &btf.Int{Name: "character", Size: 1, Encoding: btf.Char}
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	add("flag", &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool})
	add("letter", realChar)
	add("text", &btf.Array{Index: u32, Type: char, Nelems: 8})
	add("word", &btf.Array{Index: u32, Type: &btf.Const{Type: realChar}, Nelems: 6})
	add("blob", &btf.Array{Index: u32, Type: &btf.Typedef{Name: "byte_t", Type: char}, Nelems: 4})
	add("table", &btf.Array{Index: u32, Type: &btf.Array{Index: u32, Type: u32, Nelems: 2}, Nelems: 2})
	add("none", &btf.Array{Index: u32, Type: u32, Nelems: 0})
	add("verdict", &btf.Enum{Name: "verdict", Size: 4, Values: []btf.EnumValue{{Name: "PASS", Value: 0}, {Name: "DROP", Value: 1}, {Name: "ALL", Value: 0xffffffff}}})
	add("signed_enum", &btf.Enum{Name: "se", Size: 4, Signed: true, Values: []btf.EnumValue{{Name: "MINUS", Value: ^uint64(0)}, {Name: "ONE", Value: 1}}})
	add("wide_enum", &btf.Enum{Name: "we", Size: 8, Values: []btf.EnumValue{{Name: "BIG", Value: 1 << 40}, {Name: "SMALL", Value: 2}}})
	add("pointer", &btf.Pointer{Target: u32})
	add("typedef", &btf.Typedef{Name: "alias", Type: &btf.Volatile{Type: u32}})
	add("", &btf.Union{Size: 8, Members: []btf.Member{{Name: "a", Type: u32}, {Name: "b", Type: &btf.Int{Name: "u64", Size: 8}}}})
	add("inner", &btf.Struct{Name: "inner", Size: 4, Members: []btf.Member{
		{Name: "low", Type: u32, BitfieldSize: 3}, {Name: "mid", Type: u32, Offset: 3, BitfieldSize: 13}, {Name: "top", Type: u32, Offset: 31, BitfieldSize: 1}}})
	s.Size = (s.Size + 15) / 16 * 16
	return s
}

// liveMap is a map in the live kernel, described by BTF.
type liveMap struct {
	*oracle.Map
	id         uint32
	key, value btf.Type
}

func newLiveMap(t *testing.T, spec oracle.MapSpec, key, value btf.Type) *liveMap {
	t.Helper()
	b, err := btf.NewBuilder(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &liveMap{key: key, value: value}
	for typ, id := range map[btf.Type]*uint32{key: &spec.BTFKeyID, value: &spec.BTFValueID} {
		if typ == nil {
			continue
		}
		n, err := b.Add(typ)
		if err != nil {
			t.Fatal(err)
		}
		*id = uint32(n)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if spec.BTF = oracle.LoadBTF(t, raw, 1); spec.BTF.Errno != 0 {
		t.Fatalf("BTF: %v\n%s", spec.BTF.Errno, spec.BTF.Log)
	}
	m.Map = oracle.NewMap(t, spec)
	info, e := m.Info()
	if e != 0 {
		t.Fatal(e)
	}
	m.id = info.ID
	return m
}

// elements reads the map in the kernel's order.
func (m *liveMap) elements(t *testing.T, perCPU bool) (out []Element) {
	key, e := m.NextKey(nil)
	for ; e == 0; key, e = m.NextKey(key) {
		value, e := m.Lookup(key)
		if e != 0 {
			t.Fatal(e)
		}
		x := Element{Key: key, Value: value}
		if perCPU {
			step := len(value) / oracle.PossibleCPUs()
			for i := range oracle.PossibleCPUs() {
				x.PerCPU = append(x.PerCPU, value[i*step:][:m.Spec.ValueSize])
			}
		}
		out = append(out, x)
	}
	return out
}

func (m *liveMap) compare(t *testing.T, perCPU bool) {
	t.Helper()
	elements := m.elements(t, perCPU)
	types := Types{Key: m.key, Value: m.value}
	var plain, js bytes.Buffer
	if err := FormatMap(&plain, types, elements); err != nil {
		t.Fatal(err)
	}
	if d := firstLine(plain.String(), bpftool(t, "map", "dump", "id", fmt.Sprint(m.id))); d != "" {
		t.Errorf("plain: %s", d)
	}
	if err := MapJSON(&js, &types, elements); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSuffix(bpftool(t, "-j", "map", "dump", "id", fmt.Sprint(m.id)), "\n")
	if d := firstLine(perObject(js.String()), perObject(want)); d != "" {
		t.Errorf("JSON: %s", d)
	}
	if !json.Valid(js.Bytes()) {
		t.Errorf("not valid JSON: %s", js.String())
	}
}

var mapKey = &btf.Int{Name: "unsigned int", Size: 4}

// fill makes bytes that look like values: zeros, small numbers, text, anything
// but a backslash or a quote, which bpftool's JSON cannot have.
func fill(r *rand.Rand, b []byte) {
	for i := range b {
		switch r.IntN(4) {
		case 0:
			b[i] = 0
		case 1:
			b[i] = byte(r.IntN(4))
		case 2:
			b[i] = byte('a' + r.IntN(26))
		default:
			b[i] = byte(r.IntN(256))
		}
		if b[i] == '\\' || b[i] == '"' {
			b[i] = 0xff
		}
	}
}

func TestMapDumpBpftool(t *testing.T) {
	oracle.Require(t)
	bpftool(t, "version")
	r := rand.New(rand.NewPCG(5, 6))
	s := zoo()
	array := newLiveMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: s.Size, MaxEntries: 200}, mapKey, s)
	for i := range uint32(200) {
		value := make([]byte, s.Size)
		fill(r, value)
		if i == 0 {
			clear(value)
		}
		if e := array.Update([]byte{byte(i), 0, 0, 0}, value, 0); e != 0 {
			t.Fatal(e)
		}
	}
	array.compare(t, false)

	hash := newLiveMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: s.Size, ValueSize: 1, MaxEntries: 20}, s,
		&btf.Int{Name: "char", Size: 1, Encoding: btf.Char})
	for range 20 {
		key, value := make([]byte, s.Size), make([]byte, 1)
		fill(r, key)
		fill(r, value)
		if e := hash.Update(key, value, 0); e != 0 {
			t.Fatal(e)
		}
	}
	hash.compare(t, false)

	percpu := newLiveMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: s.Size, MaxEntries: 3}, mapKey, s)
	for i := range uint32(3) {
		value := make([]byte, percpu.ValueBytes())
		fill(r, value)
		if e := percpu.Update([]byte{byte(i), 0, 0, 0}, value, 0); e != 0 {
			t.Fatal(e)
		}
	}
	percpu.compare(t, true)

	counter := &btf.Var{Name: "counter", Type: &btf.Int{Name: "u64", Size: 8}, Linkage: btf.GlobalVar}
	names := &btf.Var{Name: "names", Type: &btf.Array{Index: mapKey, Type: mapKey, Nelems: 2}, Linkage: btf.StaticVar}
	bss := newLiveMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 16, MaxEntries: 1}, nil,
		&btf.Datasec{Name: ".bss", Size: 16, Vars: []btf.VarSecinfo{{Type: counter, Size: 8}, {Type: names, Offset: 8, Size: 8}}})
	bss.compare(t, false)
}
