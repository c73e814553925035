package maps

import (
	"slices"
	"testing"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// The live kernel and skep agree on which sizes and flags the types have that
// exist for verification only.
func TestDeclaredLikeKernel(t *testing.T) {
	oracle.Require(t)
	sizes := []uint32{0, 1, 3, 4, 8, 12, 16, 20, 32, 128, 512, 520, 1016, 1024, 4096, 8192, 33 << 10, 0xff7f, 0xff80, 0xffd1}
	flags := []uint32{0, uapi.BPF_F_NO_PREALLOC, uapi.BPF_F_NUMA_NODE, uapi.BPF_F_RDONLY, uapi.BPF_F_WRONLY,
		uapi.BPF_F_RDONLY_PROG, uapi.BPF_F_RDONLY_PROG | uapi.BPF_F_WRONLY_PROG, uapi.BPF_F_STACK_BUILD_ID,
		uapi.BPF_F_ZERO_SEED, uapi.BPF_F_MMAPABLE, uapi.BPF_F_CLONE | uapi.BPF_F_NO_PREALLOC, uapi.BPF_F_INNER_MAP,
		uapi.BPF_F_PRESERVE_ELEMS, uapi.BPF_F_MMAPABLE | uapi.BPF_F_SEGV_ON_FAULT}
	asked := 0
	for typ := range declared {
		check := func(key, value, entries, flags uint32, extra uint64) {
			asked++
			spec := Spec{Type: typ, KeySize: key, ValueSize: value, MaxEntries: entries, Flags: flags, MapExtra: extra,
				NUMANode: 0, VerifyOnly: true}
			m, want := oracle.CreateMap(oracle.MapSpec{Type: typ, KeySize: key, ValueSize: value, MaxEntries: entries,
				Flags: flags, Extra: extra})
			if want == 0 {
				m.Close()
			}
			if got := AllocCheck(&spec); got != want {
				t.Errorf("%s, key %d, value %d, %d entries, flags %#x, extra %#x: kernel %v, skep %v",
					typ, key, value, entries, flags, extra, want, got)
			}
		}
		for _, key := range sizes {
			for _, value := range sizes {
				check(key, value, 1, 0, 0)
				check(key, value, 0, 0, 0)
			}
			check(0, 0, 4096, flags[0], 0)
		}
		for _, f := range flags {
			for _, key := range []uint32{0, 4, 8} {
				for _, value := range []uint32{0, 4, 8, 32} {
					for _, entries := range []uint32{0, 1, 256, 257, 4096} {
						check(key, value, entries, f, 0)
					}
				}
			}
		}
		if slices.Contains([]uapi.MapType{uapi.BPF_MAP_TYPE_BLOOM_FILTER, uapi.BPF_MAP_TYPE_ARENA}, typ) {
			for _, extra := range []uint64{1, 15, 16, 4096, 1 << 32, 1<<32 - 4096} {
				check(0, 8, 2, 0, extra)
				check(0, 0, 2, uapi.BPF_F_MMAPABLE, extra)
			}
		}
	}
	t.Logf("%d specifications", asked)
}

// Maps of these types exist where that was asked for, and there only.
func TestDeclared(t *testing.T) {
	region, err := mem.NewRegion(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer region.Close()
	machine, err := exec.NewMachine(region, 1)
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Type: uapi.BPF_MAP_TYPE_DEVMAP, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	if m, err := New(machine, spec); err == nil {
		m.Free()
		t.Error("an ordinary kernel has device maps")
	}
	spec.VerifyOnly = true
	m, err := New(machine, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if !m.Desc().ReadOnlyProg || m.Spec().Flags&uapi.BPF_F_RDONLY_PROG == 0 {
		t.Error("programs may write to a device map")
	}
}
