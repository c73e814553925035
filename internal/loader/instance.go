package loader

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Caller makes bpf(2) calls and closes fds: a task.
type Caller interface {
	BPF(mem usermem.Mem, cmd uapi.Cmd, attr []byte) (int, error)
	Close(fd int) error
	// CPUs is the number of possible CPUs.
	CPUs() int
}

// Options say how an object is loaded.
type Options struct {
	// KernelTypes is what CO-RE relocations are resolved against; nil: they fail
	// unless the object has none.
	KernelTypes *btf.Spec
	// LogLevel and LogSize are for the verifier. Zero asks for no log; a program
	// that is rejected is then verified again with one.
	LogLevel uint32
	LogSize  int
}

// Instance is an object whose maps exist in a task. Programs are loaded from it
// one by one.
type Instance struct {
	Object *Object
	Maps   map[string]*Map

	caller  Caller
	opt     Options
	types   btf.Builder
	btfFD   int
	code    map[string]*relocated
	loaded  map[string]*Program
	pending []slot
}

// Map is a map of an instance.
type Map struct {
	FD   int
	Name string // in the object
	Spec *ebpf.MapSpec
}

// Program is a loaded program.
type Program struct {
	FD   int
	Name string
	Spec *ebpf.ProgramSpec
	Log  string
}

// relocated is a program after CO-RE, with its function and line records.
type relocated struct {
	code         asm.Instructions
	funcs, lines []byte
}

// slot is a map element that names a program or a map by name.
type slot struct {
	m   *Map
	key []byte
	ref string
}

// New loads the object's BTF and creates its maps. On an error nothing is left
// behind.
func (o *Object) New(c Caller, opt Options) (*Instance, error) {
	i := &Instance{
		Object: o, caller: c, opt: opt, btfFD: -1,
		Maps: map[string]*Map{}, code: map[string]*relocated{}, loaded: map[string]*Program{},
	}
	if err := i.start(); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

func (i *Instance) start() error {
	for _, name := range i.Object.Programs {
		r, err := i.relocate(i.Object.Spec.Programs[name])
		if err != nil {
			// The other programs may be loaded all the same.
			continue
		}
		i.code[name] = r
	}
	ids, err := i.mapTypes()
	if err != nil {
		return err
	}
	if err := i.loadBTF(); err != nil {
		return err
	}
	for _, name := range i.Object.Maps {
		if err := i.createMap(name, ids[name]); err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
	}
	for _, name := range i.Object.Maps {
		if err := i.fillMap(i.Maps[name]); err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
	}
	return i.fillMapSlots()
}

// relocate applies CO-RE relocations to a copy of the program and encodes its
// records, whose types go into the one BTF of the object.
func (i *Instance) relocate(p *ebpf.ProgramSpec) (*relocated, error) {
	code := inCallOrder(p.Instructions)
	var relos []*btf.CORERelocation
	var at []*asm.Instruction
	for n := range code {
		if r := btf.CORERelocationMetadata(&code[n]); r != nil {
			relos, at = append(relos, r), append(at, &code[n])
		}
	}
	if len(relos) > 0 {
		if i.opt.KernelTypes == nil {
			return nil, fmt.Errorf("program %s: CO-RE relocations need the kernel's BTF", p.Name)
		}
		fixups, err := btf.CORERelocate(relos, []*btf.Spec{i.opt.KernelTypes}, binary.LittleEndian, i.types.Add)
		if err != nil {
			return nil, fmt.Errorf("program %s: CO-RE: %w", p.Name, err)
		}
		for n := range fixups {
			if err := fixups[n].Apply(at[n]); err != nil {
				return nil, fmt.Errorf("program %s: CO-RE relocation %v: %w", p.Name, relos[n], err)
			}
		}
	}
	funcs, lines, err := btf.MarshalExtInfos(code, &i.types)
	if err != nil {
		return nil, fmt.Errorf("program %s: function and line information: %w", p.Name, err)
	}
	return &relocated{code, funcs, lines}, nil
}

// typeIDs are the BTF ids of a map's key and value.
type typeIDs struct{ key, value uint32 }

func (i *Instance) mapTypes() (map[string]typeIDs, error) {
	ids := map[string]typeIDs{}
	for _, name := range i.Object.Maps {
		spec := i.Object.Spec.Maps[name]
		if !btfTypes[uapi.MapType(spec.Type)] || spec.Value == nil {
			continue
		}
		var t typeIDs
		if spec.Key != nil && spec.Key != (*btf.Void)(nil) {
			id, err := i.types.Add(spec.Key)
			if err != nil {
				return nil, fmt.Errorf("map %s: type of the key: %w", name, err)
			}
			t.key = uint32(id)
		}
		id, err := i.types.Add(spec.Value)
		if err != nil {
			return nil, fmt.Errorf("map %s: type of the value: %w", name, err)
		}
		t.value = uint32(id)
		ids[name] = t
	}
	return ids, nil
}

// btfTypes are the map types that take BTF for key and value; libbpf leaves it
// away for the others (bpf_object__create_map).
var btfTypes = map[uapi.MapType]bool{
	uapi.BPF_MAP_TYPE_HASH: true, uapi.BPF_MAP_TYPE_ARRAY: true,
	uapi.BPF_MAP_TYPE_PERCPU_HASH: true, uapi.BPF_MAP_TYPE_PERCPU_ARRAY: true,
	uapi.BPF_MAP_TYPE_LRU_HASH: true, uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH: true,
	uapi.BPF_MAP_TYPE_LPM_TRIE: true,
}

func (i *Instance) loadBTF() error {
	if i.types.Empty() {
		return nil
	}
	raw, err := i.types.Marshal(nil, &btf.MarshalOptions{Order: binary.LittleEndian, PreventNoTypeFound: true})
	if err != nil {
		return fmt.Errorf("encoding BTF: %w", err)
	}
	var mem usermem.Segments
	a := uapi.BTFLoadAttr{BTF: mem.Add(raw), BTFSize: uint32(len(raw))}
	attr := make([]byte, uapi.BTFLoadAttrEnd)
	a.Encode(attr)
	fd, err := i.caller.BPF(&mem, uapi.BPF_BTF_LOAD, attr)
	if err != nil {
		return fmt.Errorf("loading BTF: %w", err)
	}
	i.btfFD = fd
	return nil
}

// Close closes all fds of the instance. What is pinned or attached lives on.
func (i *Instance) Close() {
	for _, p := range i.loaded {
		i.caller.Close(p.FD)
	}
	for _, m := range i.Maps {
		i.caller.Close(m.FD)
	}
	if i.btfFD >= 0 {
		i.caller.Close(i.btfFD)
	}
	i.loaded, i.Maps, i.btfFD = nil, nil, -1
}
