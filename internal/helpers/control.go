package helpers

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// controlHelpers steer the program itself.
var controlHelpers = []helper{
	tailCall,
	fn(uapi.BPF_FUNC_loop, loop, integer,
		anything, desc.ArgFunc, desc.ArgStack|desc.MaybeNull, anything).requires(needBPF).callsBack(),
	fn(uapi.BPF_FUNC_spin_lock, spinLock, desc.RetVoid, desc.ArgSpinLock).requires(needBPF),
	fn(uapi.BPF_FUNC_spin_unlock, spinUnlock, desc.RetVoid, desc.ArgSpinLock).requires(needBPF),
}

// tailCall has no body: it is a jump, which engines make.
var tailCall = func() helper {
	h := fn(uapi.BPF_FUNC_tail_call, nil, desc.RetVoid, ctx, constMap, anything).changesPacket()
	h.engine = true
	return h
}()

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
