package main

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// testVal is the size of the value that most maps have: an index and eleven
// integers.
const testVal = 48

// fixups are the maps that a test may ask for, by the name of the list of
// instructions that get their fd (test_verifier.c, do_test_fixup).
var fixups = map[string]func(k *oracle.Kernel, t uapi.ProgType) (*oracle.Map, error){
	"fixup_map_hash_8b":           plain(uapi.BPF_MAP_TYPE_HASH, 8, 8, 1, 0),
	"fixup_map_hash_48b":          plain(uapi.BPF_MAP_TYPE_HASH, 8, testVal, 1, 0),
	"fixup_map_hash_16b":          plain(uapi.BPF_MAP_TYPE_HASH, 8, 16, 1, 0),
	"fixup_map_array_48b":         filled(uapi.BPF_MAP_TYPE_ARRAY, testVal, 0),
	"fixup_map_array_ro":          filled(uapi.BPF_MAP_TYPE_ARRAY, testVal, uapi.BPF_F_RDONLY_PROG),
	"fixup_map_array_wo":          filled(uapi.BPF_MAP_TYPE_ARRAY, testVal, uapi.BPF_F_WRONLY_PROG),
	"fixup_map_array_small":       filled(uapi.BPF_MAP_TYPE_ARRAY, 1, 0),
	"fixup_map_sockmap":           plain(uapi.BPF_MAP_TYPE_SOCKMAP, 4, 4, 1, 0),
	"fixup_map_sockhash":          plain(uapi.BPF_MAP_TYPE_SOCKHASH, 4, 4, 1, 0),
	"fixup_map_xskmap":            plain(uapi.BPF_MAP_TYPE_XSKMAP, 4, 4, 1, 0),
	"fixup_map_stacktrace":        plain(uapi.BPF_MAP_TYPE_STACK_TRACE, 4, 8, 1, 0),
	"fixup_map_event_output":      plain(uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1, 0),
	"fixup_map_reuseport_array":   plain(uapi.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 4, 8, 1, 0),
	"fixup_map_ringbuf":           plain(uapi.BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0),
	"fixup_cgroup_storage":        plain(uapi.BPF_MAP_TYPE_CGROUP_STORAGE, 16, 64, 0, 0),
	"fixup_percpu_cgroup_storage": plain(uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, 16, 64, 0, 0),
	"fixup_map_in_map":            mapInMap,
	"fixup_prog1":                 progArray(4, 0),
	"fixup_prog2":                 progArray(8, 7),
	"fixup_map_spin_lock":         typed(uapi.BPF_MAP_TYPE_ARRAY, 8, 1, 0, valueWithLock),
	"fixup_map_timer":             typed(uapi.BPF_MAP_TYPE_ARRAY, 16, 1, 0, valueWithTimer),
	"fixup_map_kptr":              typed(uapi.BPF_MAP_TYPE_ARRAY, 24, 1, 0, valueWithKptrs),
	"fixup_sk_storage_map":        typed(uapi.BPF_MAP_TYPE_SK_STORAGE, 8, 0, uapi.BPF_F_NO_PREALLOC, valueWithLock),
}

func create(k *oracle.Kernel, s oracle.MapSpec) (*oracle.Map, error) {
	m, e := k.CreateMap(s)
	if e != 0 {
		return nil, fmt.Errorf("%s map: %w", s.Type.LibName(), e)
	}
	return m, nil
}

func plain(t uapi.MapType, key, val, entries, flags uint32) func(*oracle.Kernel, uapi.ProgType) (*oracle.Map, error) {
	return func(k *oracle.Kernel, _ uapi.ProgType) (*oracle.Map, error) {
		return create(k, oracle.MapSpec{Type: t, KeySize: key, ValueSize: val, MaxEntries: entries, Flags: flags})
	}
}

// filled is an array whose one value starts with its own size in index and with
// a recognisable number, as update_map leaves it.
func filled(t uapi.MapType, val, flags uint32) func(*oracle.Kernel, uapi.ProgType) (*oracle.Map, error) {
	return func(k *oracle.Kernel, p uapi.ProgType) (*oracle.Map, error) {
		m, err := plain(t, 4, val, 1, flags)(k, p)
		if err != nil {
			return nil, err
		}
		first := make([]byte, max(val, testVal))
		binary.LittleEndian.PutUint32(first, (6+1)*4)
		binary.LittleEndian.PutUint32(first[4+6*4:], 0xabcdef12)
		if e := m.Update(make([]byte, 4), first[:val], 0); e != 0 {
			return nil, fmt.Errorf("filling the array: %w", e)
		}
		return m, nil
	}
}

func mapInMap(k *oracle.Kernel, p uapi.ProgType) (*oracle.Map, error) {
	inner, err := plain(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)(k, p)
	if err != nil {
		return nil, err
	}
	defer inner.Close()
	return create(k, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: inner})
}

// progArray has three programs: one that returns 42 in a slot, one in slot 1 that
// tail-calls itself until it may not and returns 41, one in slot 2 that returns
// 24.
func progArray(entries, slot uint32) func(*oracle.Kernel, uapi.ProgType) (*oracle.Map, error) {
	return func(k *oracle.Kernel, t uapi.ProgType) (*oracle.Map, error) {
		m, err := plain(uapi.BPF_MAP_TYPE_PROG_ARRAY, 4, 4, entries, 0)(k, t)
		if err != nil {
			return nil, err
		}
		loops := append([]insn.Instruction{insn.Mov64Imm(insn.R3, 1)}, insn.LoadMapFD(insn.R2, 0)...)
		loops = append(loops, insn.Call(int32(uapi.BPF_FUNC_tail_call)), insn.Mov64Imm(insn.R0, 41), insn.Exit())
		for _, p := range []struct {
			at   uint32
			code []insn.Instruction
		}{
			{slot, []insn.Instruction{insn.Mov64Imm(insn.R0, 42), insn.Exit()}},
			{1, loops},
			{2, []insn.Instruction{insn.Mov64Imm(insn.R0, 24), insn.Exit()}},
		} {
			prog := k.LoadProg(oracle.Prog{Type: t, Insns: p.code, Maps: []*oracle.Map{m}})
			if prog.Errno != 0 {
				return nil, fmt.Errorf("a program for the array: %w", prog.Errno)
			}
			e := m.Update(binary.LittleEndian.AppendUint32(nil, p.at), binary.LittleEndian.AppendUint32(nil, uint32(prog.FD)), 0)
			prog.Close()
			if e != 0 {
				return nil, fmt.Errorf("filling the array: %w", e)
			}
		}
		return m, nil
	}
}

// typed makes a map whose value has fields that the kernel manages.
func typed(t uapi.MapType, size, entries, flags uint32, value func() btf.Type) func(*oracle.Kernel, uapi.ProgType) (*oracle.Map, error) {
	return func(k *oracle.Kernel, _ uapi.ProgType) (*oracle.Map, error) {
		var b btf.Builder
		key, err := b.Add(integer)
		if err != nil {
			return nil, err
		}
		val, err := b.Add(value())
		if err != nil {
			return nil, err
		}
		raw, err := b.Marshal(nil, &btf.MarshalOptions{Order: binary.LittleEndian})
		if err != nil {
			return nil, err
		}
		types := k.TryBTF(raw, 0)
		if types.Errno != 0 {
			return nil, fmt.Errorf("BTF of the map: %w", types.Errno)
		}
		defer types.Close()
		return create(k, oracle.MapSpec{Type: t, KeySize: 4, ValueSize: size, MaxEntries: entries, Flags: flags,
			BTF: types, BTFKeyID: uint32(key), BTFValueID: uint32(val)})
	}
}

var integer = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}

func valueWithLock() btf.Type {
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: integer}}}
	return &btf.Struct{Name: "val", Size: 8, Members: []btf.Member{
		{Name: "cnt", Type: integer}, {Name: "l", Type: lock, Offset: 32},
	}}
}

func valueWithTimer() btf.Type {
	timer := &btf.Struct{Name: "bpf_timer", Size: 16}
	return &btf.Struct{Name: "timer", Size: 16, Members: []btf.Member{{Name: "t", Type: timer}}}
}

func valueWithKptrs() btf.Type {
	obj, member := &btf.Struct{Name: "prog_test_ref_kfunc"}, &btf.Struct{Name: "prog_test_member"}
	ptr := func(tag string, to btf.Type) btf.Type {
		return &btf.Pointer{Target: &btf.TypeTag{Type: to, Value: tag}}
	}
	// Since 6.4 the tags are kptr_untrusted and kptr for what 6.1 called kptr and
	// kptr_ref.
	return &btf.Struct{Name: "btf_ptr", Size: 24, Members: []btf.Member{
		{Name: "ptr", Type: ptr("kptr_untrusted", obj)},
		{Name: "ptr", Type: ptr("kptr", obj), Offset: 64},
		{Name: "ptr", Type: ptr("kptr", member), Offset: 128},
	}}
}
