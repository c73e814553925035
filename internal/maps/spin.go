package maps

import (
	"runtime"
	"time"

	"github.com/skep-ebpf/skep/internal/mem"
)

// SpinLock takes the lock word at addr: 0 is free. It is what bpf_spin_lock
// does with the struct bpf_spin_lock in a value; hash buckets use it too, so
// that a bucket and its lock share a cache line off the Go heap. A holder may
// lose its thread at any point, so waiters soon give way.
func SpinLock(addr uint64) {
	word := mem.Atomic32(addr)
	for n := 0; !word.CompareAndSwap(0, 1); n++ {
		switch {
		case n < 32:
			for word.Load() != 0 && n < 32 {
				n++
			}
		case n < 512:
			runtime.Gosched()
		default:
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// SpinUnlock releases the lock word at addr.
func SpinUnlock(addr uint64) { mem.Atomic32(addr).Store(0) }
