package maps

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// PerfObject is an object in a perf event array.
type PerfObject interface {
	Object
	// Output writes a sample made of two pieces from a program that runs on cpu.
	// EOPNOTSUPP: the event is another CPU's. ENOSPC: there is no room.
	Output(cpu int, data, tail []byte) errno.Errno
}

// PerfEventArray is BPF_MAP_TYPE_PERF_EVENT_ARRAY.
type PerfEventArray struct{ fdArray }

func newPerfEventArray(b *base) (Map, error) {
	a := &PerfEventArray{}
	return a, a.init(b, func(obj Object) (uint64, errno.Errno) {
		if _, ok := obj.(PerfObject); !ok {
			return 0, errno.EINVAL
		}
		return 1, 0
	})
}

// Lookup mirrors bpf_fd_array_map_lookup_elem for a map whose objects have no
// ids.
func (a *PerfEventArray) Lookup(_, _ []byte, flags uint64) errno.Errno {
	if e := a.readFlags(flags); e != 0 {
		return e
	}
	return errno.ENOTSUPP
}

// ReleaseUser drops the events that user space put in, unless it asked to keep
// them (perf_event_fd_array_release).
func (a *PerfEventArray) ReleaseUser() {
	if a.spec.Flags&uapi.BPF_F_PRESERVE_ELEMS == 0 {
		a.clear(a.put)
	}
}

// Output is the work of bpf_perf_event_output: the low 32 bits of flags choose
// the slot, BPF_F_CURRENT_CPU the running CPU's. The sample is data followed by
// tail.
func (a *PerfEventArray) Output(c *exec.CPU, flags uint64, data, tail []byte) errno.Errno {
	i := uint32(flags & uapi.BPF_F_INDEX_MASK)
	if i == uapi.BPF_F_CURRENT_CPU {
		i = uint32(c.ID)
	}
	if i >= a.limit {
		return errno.E2BIG
	}
	obj := a.get(i)
	if obj == nil {
		return errno.ENOENT
	}
	return obj.(PerfObject).Output(c.ID, data, tail)
}
