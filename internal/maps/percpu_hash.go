package maps

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// percpuTable is what both hash maps with per-CPU values share. An element holds
// the address of CPU 0's value.
type percpuTable struct {
	table
	values *percpu
}

func (t *percpuTable) first(e uint64) uint64 { return mem.Load64(e + t.valOff) }

func (t *percpuTable) out(dst []byte, e, _ uint64) { t.values.loadAll(dst, t.first(e)) }

func (t *percpuTable) value(c *exec.CPU, e uint64) uint64 {
	return t.values.at(t.first(e), c.ID)
}

// ValueSizeUser is the size of the values of all CPUs together.
func (t *percpuTable) ValueSizeUser() uint32 { return uint32(t.values.size * t.values.cpus) }

// percpuValues is how the values of a table lie, but for their distance.
func percpuValues(b *base) percpu {
	return percpu{size: roundUp(uint64(b.spec.ValueSize), 8), cpus: uint64(b.cpus())}
}

// put stores a value: a program's for its own CPU, a system call's (c == nil)
// for all. In a new element the values of other CPUs become zero
// (pcpu_init_value).
func (t *percpuTable) put(c *exec.CPU, e uint64, value []byte, isNew bool) {
	first := t.first(e)
	if c == nil {
		t.values.storeAll(first, value)
		return
	}
	for cpu := 0; isNew && cpu < t.cpus(); cpu++ {
		clear(mem.Bytes(t.values.at(first, cpu), uint64(t.spec.ValueSize)))
	}
	t.store(t.values.at(first, c.ID), value, 0)
}

// PercpuHash is BPF_MAP_TYPE_PERCPU_HASH. Values are updated in place.
type PercpuHash struct {
	percpuTable
	pool
}

func newPercpuHash(b *base) (Map, error) {
	h := &PercpuHash{}
	if err := h.table.init(b, h, elemHead, 8); err != nil {
		return nil, err
	}
	h.pool.values, h.pool.valOff = percpuValues(b), h.table.valOff
	h.percpuTable.values = &h.pool.values
	return h, h.pool.init(&h.table, false)
}

func (h *PercpuHash) discard(slot int, e uint64) { h.pool.put(slot, e) }

// LookupPercpu implements [Program].
func (h *PercpuHash) LookupPercpu(_ *exec.CPU, key uint64, cpu uint32) uint64 {
	return h.lookupCPU(key, cpu)
}

func (t *percpuTable) lookupCPU(key uint64, cpu uint32) uint64 {
	k := mem.Bytes(key, uint64(t.spec.KeySize))
	if uint64(cpu) >= t.values.cpus {
		return 0
	}
	if e := t.find(k, t.hash(k)); e != 0 {
		return t.values.at(t.first(e), int(cpu))
	}
	return 0
}

// UpdateElem implements [Program].
func (h *PercpuHash) UpdateElem(c *exec.CPU, key, value, flags uint64) errno.Errno {
	return h.update(c, c.ID, mem.Bytes(key, uint64(h.spec.KeySize)), mem.Bytes(value, uint64(h.spec.ValueSize)), flags)
}

// Update implements [Syscall].
func (h *PercpuHash) Update(key, value []byte, flags uint64) errno.Errno {
	return h.update(nil, h.sysSlot(), key, value, flags)
}

// update mirrors htab_map_update_elem_in_place.
func (h *PercpuHash) update(c *exec.CPU, slot int, key, value []byte, flags uint64) errno.Errno {
	if flags > uapi.BPF_EXIST {
		return errno.EINVAL
	}
	hash := h.hash(key)
	b := h.bucket(hash)
	SpinLock(b + bucketLock)
	defer SpinUnlock(b + bucketLock)
	e, _ := h.search(b, key, hash)
	if e := checkFlags(e != 0, flags); e != 0 {
		return e
	}
	if e != 0 {
		h.percpuTable.put(c, e, value, false)
		return 0
	}
	e, err := h.get(slot)
	if err != 0 {
		return err
	}
	copy(h.key(e), key)
	h.percpuTable.put(c, e, value, true)
	h.link(b, e, hash)
	return 0
}

// Free implements [Map].
func (h *PercpuHash) Free() {
	h.m.Defer(func() {
		h.freePool(&h.table)
		h.base.release()
	})
}

// MemUsage implements [Map].
func (h *PercpuHash) MemUsage() uint64 {
	one := h.usage(1, 8) - h.usage(0, 8)
	values := h.pool.values.size * h.pool.values.cpus
	if h.block == 0 {
		return h.usage(0, 0) + uint64(h.live.Load())*(one+8+16+values)
	}
	return h.usage(uint64(h.spec.MaxEntries), 8) + uint64(h.spec.MaxEntries)*values
}
