package interp_test

import (
	"sync"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Atomic operations of programs on several CPUs lose nothing, and ordered stores
// of neighbours do not disturb each other.
func TestConcurrentAtomics(t *testing.T) {
	const cpus, rounds, loops = 4, 20, 200
	region, err := mem.NewRegion(32 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := region.Close(); err != nil {
			t.Error(err)
		}
	}()
	m, err := exec.NewMachine(region, cpus)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := region.Alloc(64, 64)
	if err != nil {
		t.Fatal(err)
	}
	// The context is the number of the CPU; the byte at 32 + number is its own.
	code := append(insn.LoadImm64(insn.R6, shared), assemble(t, `
		r7 = 200
		r8 = r6
		r8 += r1
		again:
		r2 = 1
		lock *(u64 *)(r6 +0) += r2
		lock *(u32 *)(r6 +8) += r2
		r3 = 1
		r3 = atomic64_fetch_add((u64 *)(r6 +16), r3)
		retry:
		r0 = *(u64 *)(r6 +24)
		r4 = r0
		r5 = r0
		r5 += 1
		r0 = cmpxchg_64(r6 + 24, r0, r5)
		if r0 != r4 goto retry
		store_release((u8 *)(r8 +32), r7)
		r0 = load_acquire((u8 *)(r8 +32))
		if r0 != r7 goto bad
		r7 += -1
		if r7 != 0 goto again
		r0 = 0
		exit
		bad:
		r0 = 1
		exit`)...)
	for _, e := range engines {
		clear(mem.Bytes(shared, 64))
		img, err := e.Compile(seal(code), &exec.Env{Helper: func(uapi.FuncID, *prog.Fact) exec.HelperFunc { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range cpus {
			group.Go(func() {
				for range rounds {
					c := m.Acquire()
					if r0 := img.Run(c, uint64(c.ID)); r0 != 0 {
						t.Errorf("%s: a byte was lost", e.Name())
					}
					m.Release(c)
				}
			})
		}
		group.Wait()
		for _, off := range []uint64{0, 8, 16, 24} {
			if n := mem.Load64(shared + off); n != cpus*rounds*loops {
				t.Errorf("%s: counter at %d is %d, want %d", e.Name(), off, n, cpus*rounds*loops)
			}
		}
	}
}
