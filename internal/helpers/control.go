package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// controlHelpers steer the program itself.
var controlHelpers = []helper{
	fn(uapi.BPF_FUNC_tail_call, nil).byEngine(),
	fn(uapi.BPF_FUNC_loop, loop),
	fn(uapi.BPF_FUNC_spin_lock, spinLock),
	fn(uapi.BPF_FUNC_spin_unlock, spinUnlock),
}

// maxLoops is BPF_MAX_LOOPS.
const maxLoops = 8 << 20

// loop calls callback(index, ctx) n times, or until it returns non-zero, and
// returns how often (bpf_loop).
func loop(c *exec.CPU, n, callback, arg, flags, _ uint64) uint64 {
	if flags != 0 {
		return failure(errno.EINVAL)
	}
	count := uint64(uint32(n))
	if count > maxLoops {
		return failure(errno.E2BIG)
	}
	for i := range count {
		if c.Call(callback, i, arg, 0, 0, 0) != 0 || c.Stopped {
			return i + 1
		}
	}
	return count
}

func spinLock(c *exec.CPU, lock, _, _, _, _ uint64) uint64 {
	maps.SpinLock(lock)
	return 0
}

func spinUnlock(c *exec.CPU, lock, _, _, _, _ uint64) uint64 {
	maps.SpinUnlock(lock)
	return 0
}
