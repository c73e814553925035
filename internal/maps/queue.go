package maps

import (
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// queueCheck mirrors queue_stack_map_alloc_check.
func queueCheck(s *Spec) errno.Errno {
	switch {
	case s.MaxEntries == 0 || s.KeySize != 0 || s.ValueSize == 0,
		s.Flags&^(uapi.BPF_F_NUMA_NODE|accessFlags) != 0 || !accessOK(s.Flags):
		return errno.EINVAL
	case s.ValueSize > kmallocMax:
		return errno.E2BIG
	}
	return 0
}

// Queue is BPF_MAP_TYPE_QUEUE and BPF_MAP_TYPE_STACK: a ring of values, from
// whose old or new end they are taken.
type Queue struct {
	*base
	lifo  bool
	first uint64
	size  uint64 // of a value

	mu     sync.Mutex
	oldest uint64 // index in the ring
	n      uint64 // values in use
}

func newQueue(b *base) (Map, error) {
	size := uint64(b.spec.ValueSize)
	total := (uint64(b.spec.MaxEntries) + 1) * size
	if total > b.m.Region.Size() {
		return nil, errno.Errorf(errno.ENOMEM, "%d values of %d bytes do not fit the memory of this kernel", b.spec.MaxEntries, size)
	}
	first, err := b.alloc(total, 8)
	return &Queue{base: b, lifo: b.spec.Type == uapi.BPF_MAP_TYPE_STACK, first: first, size: size}, err
}

func (q *Queue) at(i uint64) []byte {
	return mem.Bytes(q.first+i%uint64(q.spec.MaxEntries)*q.size, q.size)
}

// push mirrors queue_stack_map_push_elem: with BPF_EXIST a full map makes room
// by forgetting the oldest value.
func (q *Queue) push(value []byte, flags uint64) errno.Errno {
	if flags != uapi.BPF_ANY && flags != uapi.BPF_EXIST {
		return errno.EINVAL
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == uint64(q.spec.MaxEntries) {
		if flags != uapi.BPF_EXIST {
			return errno.E2BIG
		}
		q.oldest = (q.oldest + 1) % q.n
		q.n--
	}
	copy(q.at(q.oldest+q.n), value)
	q.n++
	return 0
}

// take mirrors __queue_map_get and __stack_map_get: of an empty map the value
// reads as zero.
func (q *Queue) take(value []byte, remove bool) errno.Errno {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		clear(value)
		return errno.ENOENT
	}
	i := q.oldest
	if q.lifo {
		i += q.n - 1
	}
	copy(value, q.at(i))
	if remove {
		if q.n--; !q.lifo {
			q.oldest = (q.oldest + 1) % uint64(q.spec.MaxEntries)
		}
	}
	return 0
}

// Push implements [Program].
func (q *Queue) Push(_ *exec.CPU, value, flags uint64) errno.Errno {
	return q.push(mem.Bytes(value, q.size), flags)
}

// Pop implements [Program].
func (q *Queue) Pop(_ *exec.CPU, value uint64) errno.Errno {
	return q.take(mem.Bytes(value, q.size), true)
}

// Peek implements [Program].
func (q *Queue) Peek(_ *exec.CPU, value uint64) errno.Errno {
	return q.take(mem.Bytes(value, q.size), false)
}

// UpdateElem implements [Program].
func (q *Queue) UpdateElem(_ *exec.CPU, _, _, _ uint64) errno.Errno { return errno.EINVAL }

// DeleteElem implements [Program].
func (q *Queue) DeleteElem(*exec.CPU, uint64) errno.Errno { return errno.EINVAL }

// Lookup implements [Syscall]: it peeks.
func (q *Queue) Lookup(_, value []byte, flags uint64) errno.Errno {
	if e := q.readFlags(flags); e != 0 {
		return e
	}
	return q.take(value, false)
}

// Update implements [Syscall]: it pushes.
func (q *Queue) Update(_, value []byte, flags uint64) errno.Errno {
	if e := q.lockFlag(flags); e != 0 {
		return e
	}
	return q.push(value, flags)
}

// LookupAndDelete implements [Syscall]: it pops.
func (q *Queue) LookupAndDelete(_, value []byte, flags uint64) errno.Errno {
	if flags != 0 {
		return errno.EINVAL
	}
	return q.take(value, true)
}

// Delete implements [Syscall].
func (q *Queue) Delete([]byte) errno.Errno { return errno.EINVAL }

// NextKey implements [Syscall].
func (q *Queue) NextKey(_, _ []byte) errno.Errno { return errno.EINVAL }

// MemUsage mirrors queue_stack_map_mem_usage.
func (q *Queue) MemUsage() uint64 { return arrayHead + (uint64(q.spec.MaxEntries)+1)*q.size }
