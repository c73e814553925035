package abi

import (
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// mapType is a type that a key or value can be of.
type mapType struct {
	name string
	id   uint32
	size uint32 // of the map's key or value that goes with it
}

// typeSpec is a type to make.
type typeSpec struct {
	name string
	size uint32
	typ  btf.Type
}

// world is BTF with types, and what it says of their ids.
type world struct {
	raw   []byte
	types []mapType
}

func newWorld(t *testing.T, specs []typeSpec) *world {
	b, err := btf.NewBuilder(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	for _, s := range specs {
		id, err := b.Add(s.typ)
		if err != nil {
			t.Fatal(err)
		}
		w.types = append(w.types, mapType{s.name, uint32(id), s.size})
	}
	w.types = append(w.types, mapType{"no type", 0, 4}, mapType{"no such type", 9999, 4})
	if w.raw, err = b.Marshal(nil, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// typeList collects types to make.
type typeList []typeSpec

func (l *typeList) add(name string, size uint32, t btf.Type) {
	*l = append(*l, typeSpec{name, size, t})
}

func managed(name string, size uint32) *btf.Struct {
	return &btf.Struct{Name: name, Size: size, Members: []btf.Member{{Name: "opaque",
		Type: &btf.Array{Index: u32Type, Type: u32Type, Nelems: size / 4}}}}
}

var u32Type = &btf.Int{Name: "unsigned int", Size: 4}

// plainTypes are types of keys and values without special fields.
func plainTypes() (m typeList) {
	u64 := &btf.Int{Name: "unsigned long", Size: 8}
	pair := &btf.Struct{Name: "pair", Size: 8, Members: []btf.Member{{Name: "a", Type: u32Type}, {Name: "b", Type: u32Type, Offset: 32}}}
	m.add("u32", 4, u32Type)
	m.add("int", 4, &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed})
	m.add("u64", 8, u64)
	m.add("u32 of another size", 8, u32Type)
	m.add("enum", 4, &btf.Enum{Name: "e", Size: 4, Values: []btf.EnumValue{{Name: "X", Value: 1}}})
	m.add("typedef", 4, &btf.Typedef{Name: "__u32", Type: u32Type})
	m.add("const", 4, &btf.Const{Type: &btf.Typedef{Name: "__u32c", Type: u32Type}})
	m.add("float", 4, &btf.Float{Name: "float", Size: 4})
	m.add("struct", 8, pair)
	m.add("typedef of struct", 8, &btf.Typedef{Name: "pair_t", Type: pair})
	m.add("union", 8, &btf.Union{Name: "u", Size: 8, Members: []btf.Member{{Name: "x", Type: u64}}})
	m.add("array", 8, &btf.Array{Index: u32Type, Type: u32Type, Nelems: 2})
	m.add("pointer", 8, &btf.Pointer{Target: pair})
	m.add("forward", 8, &btf.Fwd{Name: "f", Kind: btf.FwdStruct})
	m.add("function", 8, &btf.FuncProto{Return: u32Type})
	v := &btf.Var{Name: "counter", Type: u64, Linkage: btf.GlobalVar}
	m.add("variable", 8, v)
	m.add("section", 8, &btf.Datasec{Name: ".bss", Size: 8, Vars: []btf.VarSecinfo{{Type: v, Size: 8}}})
	return m
}

// managedTypes are structures with special fields, sound and not.
func managedTypes() (m typeList) {
	value := func(name string, size uint32, fields ...btf.Member) *btf.Struct {
		return &btf.Struct{Name: name, Size: size, Members: fields}
	}
	kinds := map[string]uint32{"bpf_spin_lock": 4, "bpf_res_spin_lock": 4, "bpf_timer": 16, "bpf_wq": 16, "bpf_task_work": 8,
		"bpf_refcount": 4, "bpf_list_node": 24, "bpf_rb_node": 32, "bpf_dynptr": 16}
	structs := map[string]*btf.Struct{}
	for _, name := range []string{"bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer", "bpf_wq", "bpf_task_work", "bpf_refcount", "bpf_list_node", "bpf_rb_node", "bpf_dynptr"} {
		s := managed(name, kinds[name])
		structs[name] = s
		m.add(name, 64, value("v_"+name, 64, btf.Member{Name: "f", Type: s}))
		m.add(name+" misplaced", 64, value("m_"+name, 64, btf.Member{Name: "f", Type: s, Offset: 24}))
		m.add(name+" in an array", 64, value("a_"+name, 64, btf.Member{Name: "f", Type: &btf.Array{Index: u32Type, Type: s, Nelems: 2}}))
		m.add(name+" nested", 64, value("n_"+name, 64, btf.Member{Name: "in", Type: value("in_"+name, 32, btf.Member{Name: "f", Type: s})}))
		if kinds[name] <= 16 {
			m.add(name+" twice", 64, value("t_"+name, 64, btf.Member{Name: "f", Type: s}, btf.Member{Name: "g", Type: s, Offset: 256}))
		}
		m.add(name+" alone", kinds[name], s)
	}
	m.add("both locks", 64, value("locks", 64, btf.Member{Name: "f", Type: structs["bpf_spin_lock"]}, btf.Member{Name: "g", Type: structs["bpf_res_spin_lock"], Offset: 32}))
	m.add("lock and timer", 64, value("lt", 64, btf.Member{Name: "f", Type: structs["bpf_spin_lock"]}, btf.Member{Name: "g", Type: structs["bpf_timer"], Offset: 64}))
	for _, tag := range []string{"kptr", "kptr_untrusted", "percpu_kptr", "uptr"} {
		for _, target := range []string{"mine", "task_struct", "sk_buff"} {
			p := &btf.Pointer{Target: &btf.TypeTag{Value: tag, Type: value(target, 8, btf.Member{Name: "x", Type: u32Type})}}
			m.add(tag+" to "+target, 64, value("p_"+tag+"_"+target, 64, btf.Member{Name: "p", Type: p}))
		}
	}
	node := value("elem", 32, btf.Member{Name: "node", Type: structs["bpf_list_node"]})
	head := managed("bpf_list_head", 16)
	list := value("list", 64, btf.Member{Name: "head", Type: head, Tags: []string{"contains:elem:node"}}, btf.Member{Name: "lock", Type: structs["bpf_spin_lock"], Offset: 128})
	m.add("element", 32, node)
	m.add("list", 64, list)
	return m
}

// mapKinds are the map types, with the sizes that they insist on.
var mapKinds = []struct {
	typ        uapi.MapType
	key, value uint32 // 0: any
	max, flags uint32
}{
	{uapi.BPF_MAP_TYPE_HASH, 0, 0, 1, 0},
	{uapi.BPF_MAP_TYPE_HASH, 0, 0, 1, uapi.BPF_F_RDONLY_PROG},
	{uapi.BPF_MAP_TYPE_ARRAY, 4, 0, 1, 0},
	{uapi.BPF_MAP_TYPE_ARRAY, 4, 0, 2, 0},
	{uapi.BPF_MAP_TYPE_ARRAY, 4, 0, 1, uapi.BPF_F_WRONLY_PROG},
	{uapi.BPF_MAP_TYPE_PERCPU_HASH, 0, 0, 1, 0},
	{uapi.BPF_MAP_TYPE_PERCPU_ARRAY, 4, 0, 1, 0},
	{uapi.BPF_MAP_TYPE_LRU_HASH, 0, 0, 8, 0},
	{uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, 0, 0, 8, 0},
	{uapi.BPF_MAP_TYPE_LPM_TRIE, 0, 0, 1, uapi.BPF_F_NO_PREALLOC},
	{uapi.BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0},
	{uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1, 0},
	{uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, 0},
	{uapi.BPF_MAP_TYPE_HASH_OF_MAPS, 0, 4, 1, 0},
	{uapi.BPF_MAP_TYPE_QUEUE, ^uint32(0), 0, 1, 0},
	{uapi.BPF_MAP_TYPE_STACK, ^uint32(0), 0, 1, 0},
	{uapi.BPF_MAP_TYPE_RINGBUF, ^uint32(0), ^uint32(0), 4096, 0},
}

// size is the map's size of a key or value: what it insists on, or what the
// type is meant for.
func size(insists, meant uint32) uint32 {
	switch insists {
	case 0:
		return meant
	case ^uint32(0):
		return 0
	}
	return insists
}

// liveTypes is the running kernel's BTF.
func liveTypes(t *testing.T) *kbtf.Kernel {
	raw, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	b, err := kbtf.Parse(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &kbtf.Kernel{Types: b, Destructors: map[string]bool{"task_struct": true}}
}

// What MAP_CREATE says to every pair of types of key and value, for each type of
// map.
func TestMapBTFLive(t *testing.T) {
	oracle.Require(t)
	c := mapComparison{kernel: liveTypes(t)}
	plain := plainTypes()
	c.world(t, newWorld(t, plain), 0)
	for _, m := range managedTypes() {
		c.world(t, newWorld(t, append(plain[:len(plain):len(plain)], m)), len(plain))
	}
	t.Logf("%d pairs of types: the errno agrees in %d; %d maps were made; %d of the BTFs are refused by both",
		c.n, c.n-c.wrong, c.made, c.refused)
}

type mapComparison struct {
	kernel                  *kbtf.Kernel
	n, made, wrong, refused int
}

// world compares the values from an index on, with each key.
func (c *mapComparison) world(t *testing.T, w *world, from int) {
	parsed, err := c.kernel.Parse(w.raw, nil)
	live := oracle.LoadBTF(t, w.raw, 0)
	if got, _ := errno.Of(err); got != live.Errno {
		t.Errorf("BTF with %s: %v, Linux %s", w.types[len(w.types)-3].name, err, live.Errno.Name())
	}
	if err != nil {
		c.refused++
		return
	}
	inner := oracle.NewMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	for _, kind := range mapKinds {
		for i, key := range w.types {
			for _, value := range w.types[from:] {
				if value.id == 0 || from > 0 && i == from {
					continue // nothing is looked at; or a special structure as a key
				}
				spec := oracle.MapSpec{Type: kind.typ, KeySize: size(kind.key, key.size), ValueSize: size(kind.value, value.size),
					MaxEntries: kind.max, Flags: kind.flags, BTF: live, BTFKeyID: key.id, BTFValueID: value.id}
				if kind.typ == uapi.BPF_MAP_TYPE_LPM_TRIE {
					spec.KeySize = max(spec.KeySize, 8) // its own least size
				}
				if info, _ := maps.Lookup(kind.typ); info.Inner {
					spec.Inner = inner
				}
				c.pair(t, parsed, spec, key, value)
			}
		}
	}
}

func (c *mapComparison) pair(t *testing.T, parsed *kbtf.BTF, spec oracle.MapSpec, key, value mapType) {
	m, want := oracle.CreateMap(spec)
	if want == 0 {
		m.Close()
		c.made++
	}
	_, err := mapRecord(c.kernel, parsed, &maps.Spec{Type: spec.Type, KeySize: spec.KeySize, ValueSize: spec.ValueSize,
		MaxEntries: spec.MaxEntries, Flags: spec.Flags, BTFKeyTypeID: key.id, BTFValueTypeID: value.id})
	got, _ := errno.Of(err)
	if c.n++; got == want {
		return
	}
	if c.wrong++; c.wrong <= 25 {
		t.Errorf("%s max %d flags %#x, key %s, value %s: %v, Linux %s", spec.Type.LibName(), spec.MaxEntries, spec.Flags,
			key.name, value.name, err, want.Name())
	}
}
