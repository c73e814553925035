package kbtf

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"
)

// small is BTF as a compiler would make it.
func small(t testing.TB) []byte {
	t.Helper()
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	s := &btf.Struct{Name: "stats", Size: 16, Members: []btf.Member{
		{Name: "packets", Type: u32, Offset: 0},
		{Name: "flags", Type: u32, Offset: 32, BitfieldSize: 3},
		{Name: "next", Type: &btf.Pointer{Target: u32}, Offset: 64},
	}}
	s.Members[2].Type = &btf.Pointer{Target: s}
	fn := &btf.Func{Name: "main", Type: &btf.FuncProto{Return: u32,
		Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: s}}}}, Linkage: btf.GlobalFunc}
	v := &btf.Var{Name: "counter", Type: &btf.Array{Index: u32, Type: u32, Nelems: 4}, Linkage: btf.GlobalVar}
	sec := &btf.Datasec{Name: ".bss", Size: 16, Vars: []btf.VarSecinfo{{Type: v, Size: 16}}}
	b, err := btf.NewBuilder([]btf.Type{fn, sec}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestParse(t *testing.T) {
	b, err := Parse(small(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	id := b.Lookup(KindStruct, "stats")
	if id == 0 {
		t.Fatal("struct stats is not found")
	}
	st := b.Type(id)
	if st.Size != 16 || len(st.Members) != 3 || st.Members[1].Bits != 3 || st.Members[2].Offset != 64 {
		t.Errorf("struct stats is %+v", st)
	}
	fn := b.Type(b.Lookup(KindFunc, "main"))
	if proto := b.Type(fn.Ref); fn.Linkage != Global || len(proto.Members) != 1 {
		t.Errorf("main is %+v", fn)
	}
	if size, ok := b.SizeOf(b.Lookup(KindVar, "counter")); !ok || size != 16 {
		t.Errorf("counter has %d bytes, %v", size, ok)
	}
}

// The running kernel's own types are the largest real input there is.
func TestParseVmlinux(t *testing.T) {
	raw, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Skipf("oracle: no kernel BTF on this host: %v", err)
	}
	b, err := Parse(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	if id := b.Lookup(KindStruct, "sk_buff"); id == 0 {
		t.Error("struct sk_buff is not found")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small(f))
	for i, s := range samples() {
		if i%50 == 0 {
			f.Add(s.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse(data, io.Discard)
		if err != nil {
			return
		}
		for id := range b.Len() {
			b.SizeOf(ID(id))
			b.Skip(ID(id))
			if k := b.Type(ID(id)).Kind; k == KindStruct || k == KindDatasec {
				rec, err := (*Kernel)(nil).Fields(b, ID(id), MapFields, b.Type(ID(id)).Size)
				if err == nil {
					_ = b.CheckFields(rec)
				}
			}
		}
	})
}

// The largest inputs, made to be slow: types that all have long names, that
// refer to each other in long chains, that hold each other many times over.
func TestParseHostile(t *testing.T) {
	for name, build := range map[string]func(*blob){
		"names": func(b *blob) {
			b.strings = append(append([]byte{0}, bytes.Repeat([]byte{'x'}, MaxSize/2)...), 0)
			for i := range MaxSize/2/16 - 4 {
				b.raw(uint32(1+i), uint32(KindInt)<<24, 4, 32)
			}
		},
		"modifiers up": func(b *blob) {
			b.int()
			for i := range MaxSize/12 - 10 {
				b.raw(0, uint32(KindConst)<<24, uint32(i+1))
			}
		},
		"members": func(b *blob) {
			b.t("e", KindStruct, 0, 0)
			for i := range 20 { // each holds the one before 65535 times
				b.raw(b.s("s"), uint32(KindStruct)<<24|0xffff, 0)
				for range 0xffff {
					b.types = append(b.types, 0, uint32(i+1), 0)
				}
			}
		},
		"nested holders of a pointer": func(b *blob) {
			b.int().t("t", KindStruct, 0, 1).t("kptr", KindTypeTag, 0, 2).t("", KindPtr, 0, 3)
			b.t("e", KindStruct, 0, 0)
			for i := range 25 { // each holds the one before twenty times
				b.raw(b.s("s"), uint32(KindStruct)<<24|20, 0)
				for range 20 {
					b.types = append(b.types, 0, uint32(5+i), 0)
				}
			}
			for range 100_000 {
				b.raw(b.s("h"), uint32(KindStruct)<<24|2, 8, 0, 4, 0, 0, 30, 0)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b blob
			build(&b)
			raw := b.bytes()
			start := time.Now()
			_, err := Parse(raw, io.Discard)
			took := time.Since(start)
			t.Logf("%d bytes in %v: %v", len(raw), took, err)
			if took > 20*time.Second {
				t.Errorf("%d bytes took %v", len(raw), took)
			}
		})
	}
}
