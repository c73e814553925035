package kbtf

import (
	"os"
	"testing"

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
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse(data, nil)
		if err != nil {
			return
		}
		for id := range b.Len() {
			b.SizeOf(ID(id))
		}
	})
}
