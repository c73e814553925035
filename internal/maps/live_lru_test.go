//go:build linux

package maps

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep/internal/uapi"
)

// pin keeps the test's thread on CPU 0, so that the live kernel uses the lists
// of one CPU only, as system calls do in skep.
func pin(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		t.Fatal(err)
	}
	one.Set(0)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatalf("pinning to CPU 0: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.SchedSetaffinity(0, &old); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
}

// After every operation skep and the live kernel agree on which keys are there:
// the same ones were evicted.
func TestLRULive(t *testing.T) {
	for _, s := range []Spec{
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 1},
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 10},
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 8, ValueSize: 3, MaxEntries: 300},
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 3, MaxEntries: 1024},
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 7, Flags: uapi.BPF_F_NO_COMMON_LRU},
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 200, Flags: uapi.BPF_F_NO_COMMON_LRU},
		{Type: uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 20},
		{Type: uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 9, Flags: uapi.BPF_F_NO_COMMON_LRU},
		{Type: uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 600},
	} {
		s.Flags |= uapi.BPF_F_ZERO_SEED
		t.Run(fmt.Sprintf("%s/%d/%#x", s.Type.LibName(), s.MaxEntries, s.Flags), func(t *testing.T) {
			pin(t)
			compare(t, s, smallKeys(s.MaxEntries*3/2+2), int(3000+10*s.MaxEntries))
		})
	}
}
