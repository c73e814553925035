package progtype_test

import (
	"testing"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// testMap is a map that the tests use, under the name of its type or another.
type testMap struct {
	name string
	oracle.MapSpec
	inner int    // 1 + index of the template of a map of maps
	data  string // contents of the first element; the map is frozen
}

// testMapSpecs are maps of every type that can be made without BTF.
var testMapSpecs = []testMap{
	{name: "array", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 64, MaxEntries: 4}},
	{name: "read only", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 64, MaxEntries: 1, Flags: uapi.BPF_F_RDONLY_PROG}},
	{name: "write only", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 64, MaxEntries: 1, Flags: uapi.BPF_F_WRONLY_PROG}},
	{name: "constants", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 64, MaxEntries: 1, Flags: uapi.BPF_F_RDONLY_PROG}, data: "%d %s\x00text"},
	{name: "hash", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 8, ValueSize: 64, MaxEntries: 4}},
	{name: "prog_array", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PROG_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 4}},
	{name: "perf_event_array", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 4}},
	{name: "percpu_hash", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, KeySize: 8, ValueSize: 64, MaxEntries: 4}},
	{name: "percpu_array", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: 64, MaxEntries: 4}},
	{name: "stack_trace", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_STACK_TRACE, KeySize: 4, ValueSize: 64, MaxEntries: 4}},
	{name: "cgroup_array", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_CGROUP_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 4}},
	{name: "lru_hash", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 8, ValueSize: 64, MaxEntries: 4}},
	{name: "lru_percpu_hash", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, KeySize: 8, ValueSize: 64, MaxEntries: 4}},
	{name: "lpm_trie", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_LPM_TRIE, KeySize: 8, ValueSize: 64, MaxEntries: 4, Flags: uapi.BPF_F_NO_PREALLOC}},
	{name: "array_of_maps", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, KeySize: 4, ValueSize: 4, MaxEntries: 4}, inner: 1},
	{name: "hash_of_maps", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_HASH_OF_MAPS, KeySize: 8, ValueSize: 4, MaxEntries: 4}, inner: 5},
	{name: "devmap", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_DEVMAP, KeySize: 4, ValueSize: 8, MaxEntries: 4}},
	{name: "sockmap", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_SOCKMAP, KeySize: 4, ValueSize: 8, MaxEntries: 4}},
	{name: "cpumap", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_CPUMAP, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
	{name: "xskmap", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_XSKMAP, KeySize: 4, ValueSize: 4, MaxEntries: 4}},
	{name: "sockhash", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_SOCKHASH, KeySize: 8, ValueSize: 8, MaxEntries: 4}},
	{name: "cgroup_storage", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_CGROUP_STORAGE, KeySize: 8, ValueSize: 64}},
	{name: "reuseport_sockarray", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 4}},
	{name: "percpu_cgroup_storage", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, KeySize: 8, ValueSize: 64}},
	{name: "queue", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_QUEUE, ValueSize: 64, MaxEntries: 4}},
	{name: "stack", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_STACK, ValueSize: 64, MaxEntries: 4}},
	{name: "devmap_hash", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_DEVMAP_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 4}},
	{name: "ringbuf", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096}},
	{name: "bloom_filter", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_BLOOM_FILTER, ValueSize: 64, MaxEntries: 4}},
	{name: "user_ringbuf", MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_USER_RINGBUF, MaxEntries: 4096}},
}

// mapNamed is the index of a map.
func mapNamed(name string) int {
	for i, m := range testMapSpecs {
		if m.name == name {
			return i
		}
	}
	panic("no map " + name)
}

// makeMaps makes the maps in the live kernel, and describes them to skep.
func makeMaps(t *testing.T) *testMaps {
	t.Helper()
	all := &testMaps{}
	for i := range testMapSpecs {
		m := &testMapSpecs[i]
		spec := m.MapSpec
		d := &desc.Map{ID: uint32(i + 1), Type: m.Type, KeySize: m.KeySize, ValueSize: m.ValueSize,
			MaxEntries: m.MaxEntries, Flags: m.Flags, Addr: 0xffff888000000000 + uint64(i)<<12,
			SpinLockOff: -1, TimerOff: -1, ReadOnlyProg: m.Flags&uapi.BPF_F_RDONLY_PROG != 0,
			WriteOnlyProg: m.Flags&uapi.BPF_F_WRONLY_PROG != 0, Frozen: func() bool { return m.data != "" }}
		if m.Type == uapi.BPF_MAP_TYPE_DEVMAP || m.Type == uapi.BPF_MAP_TYPE_DEVMAP_HASH {
			d.ReadOnlyProg = true // the kernel sees to it
		}
		if m.inner != 0 {
			spec.Inner, d.Inner = all.live[m.inner-1], all.descs[m.inner-1]
		}
		live := oracle.NewMap(t, spec)
		value := make([]byte, m.ValueSize+1)
		if m.Type == uapi.BPF_MAP_TYPE_ARRAY && m.MaxEntries == 1 {
			d.ValueAddr = func(off uint32) (uint64, bool) { return mem.HostAddr(value[off:]), off < m.ValueSize }
		}
		if m.data != "" {
			copy(value, m.data)
			if e := live.Update(make([]byte, 4), value[:m.ValueSize], 0); e != 0 {
				t.Fatal(e)
			}
			if e := live.Freeze(); e != 0 {
				t.Fatal(e)
			}
		}
		all.live, all.descs = append(all.live, live), append(all.descs, d)
	}
	return all
}
