package maps

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// PercpuArray is BPF_MAP_TYPE_PERCPU_ARRAY: one array for each CPU.
type PercpuArray struct {
	slots
	percpu
	keys forEachKeys
}

func newPercpuArray(b *base) (Map, error) {
	size := roundUp(uint64(b.spec.ValueSize), 8)
	s, mask, stride, err := newSlots(b, size, b.cpus())
	if err != nil {
		return nil, err
	}
	a := &PercpuArray{slots: s, percpu: percpu{size: size, stride: stride, cpus: uint64(b.cpus())}}
	if a.keys, err = newForEachKeys(b); err != nil {
		return nil, err
	}
	b.d.Array = &desc.ArrayLayout{
		Base: a.first, ElemSize: uint32(size), Mask: mask,
		BypassSpecV1: b.spec.Caps.Perfmon, CPUStride: stride,
	}
	return a, nil
}

// LookupElem implements [Program].
func (a *PercpuArray) LookupElem(c *exec.CPU, key uint64) uint64 {
	return a.LookupPercpu(c, key, uint32(c.ID))
}

// LookupPercpu implements [Program].
func (a *PercpuArray) LookupPercpu(_ *exec.CPU, key uint64, cpu uint32) uint64 {
	v := a.slots.at(uint32(mem.Load32(key)))
	if v == 0 || uint64(cpu) >= a.percpu.cpus {
		return 0
	}
	return a.percpu.at(v, int(cpu))
}

// UpdateElem implements [Program].
func (a *PercpuArray) UpdateElem(c *exec.CPU, key, value, flags uint64) errno.Errno {
	i := uint32(mem.Load32(key))
	if e := a.updateFlags(i, flags); e != 0 {
		return e
	}
	a.store(a.percpu.at(a.slots.at(i), c.ID), mem.Bytes(value, uint64(a.spec.ValueSize)), 0)
	return 0
}

// DeleteElem implements [Program].
func (a *PercpuArray) DeleteElem(*exec.CPU, uint64) errno.Errno { return errno.EINVAL }

// ForEach implements [Program].
func (a *PercpuArray) ForEach(c *exec.CPU, visit func(key, value uint64) bool) (int64, errno.Errno) {
	return a.visitAll(c, a.keys, uint64(c.ID)*a.stride, visit)
}

// ValueSizeUser is the size of the values of all CPUs together.
func (a *PercpuArray) ValueSizeUser() uint32 { return uint32(a.percpu.size * a.percpu.cpus) }

// Lookup implements [Syscall].
func (a *PercpuArray) Lookup(key, value []byte, flags uint64) errno.Errno {
	if e := a.readFlags(flags); e != 0 {
		return e
	}
	v := a.slots.at(index(key))
	if v == 0 {
		return errno.ENOENT
	}
	a.loadAll(value, v)
	return 0
}

// Update mirrors bpf_percpu_array_update.
func (a *PercpuArray) Update(key, value []byte, flags uint64) errno.Errno {
	i := index(key)
	switch {
	case flags > uapi.BPF_EXIST:
		return errno.EINVAL
	case i >= a.limit:
		return errno.E2BIG
	case flags == uapi.BPF_NOEXIST:
		return errno.EEXIST
	}
	a.storeAll(a.slots.at(i), value)
	return 0
}

// Delete implements [Syscall].
func (a *PercpuArray) Delete([]byte) errno.Errno { return errno.EINVAL }

// LookupBatch implements [Syscall].
func (a *PercpuArray) LookupBatch(b *Batch) errno.Errno { return lookupBatch(a, b) }

// UpdateBatch implements [Syscall].
func (a *PercpuArray) UpdateBatch(b *Batch) errno.Errno { return updateBatch(a, b) }

// MemUsage mirrors array_map_mem_usage.
func (a *PercpuArray) MemUsage() uint64 {
	return arrayHead + uint64(a.limit)*(8+a.percpu.size*a.percpu.cpus)
}
