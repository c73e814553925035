package maps

import (
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Hash is BPF_MAP_TYPE_HASH. An update of a key that is there puts a new element
// in its place: who looked the old value up keeps seeing it.
type Hash struct {
	table
	pool
	// sys is held by updates from system calls, which share one spare element.
	sys sync.Mutex
}

func newHash(b *base) (Map, error) {
	h := &Hash{}
	if err := h.table.init(b, h, elemHead, uint64(b.spec.ValueSize)); err != nil {
		return nil, err
	}
	return h, h.pool.init(&h.table, true)
}

func (h *Hash) out(dst []byte, e, flags uint64)    { h.load(dst, e+h.table.valOff, flags) }
func (h *Hash) value(_ *exec.CPU, e uint64) uint64 { return e + h.table.valOff }
func (h *Hash) discard(slot int, e uint64)         { h.put(slot, e) }

// UpdateElem implements [Program].
func (h *Hash) UpdateElem(c *exec.CPU, key, value, flags uint64) errno.Errno {
	return h.update(c.ID, mem.Bytes(key, uint64(h.spec.KeySize)), mem.Bytes(value, uint64(h.spec.ValueSize)), flags)
}

// Update implements [Syscall].
func (h *Hash) Update(key, value []byte, flags uint64) errno.Errno {
	h.sys.Lock()
	defer h.sys.Unlock()
	return h.update(h.sysSlot(), key, value, flags)
}

// update mirrors htab_map_update_elem.
func (h *Hash) update(slot int, key, value []byte, flags uint64) errno.Errno {
	if flags&^uapi.BPF_F_LOCK > uapi.BPF_EXIST {
		return errno.EINVAL
	}
	if e := h.lockFlag(flags); e != 0 {
		return e
	}
	hash := h.hash(key)
	b := h.bucket(hash)
	SpinLock(b + bucketLock)
	old, at := h.search(b, key, hash)
	e := checkFlags(old != 0, flags)
	gone := uint64(0)
	switch {
	case e != 0:
	case old != 0 && flags&uapi.BPF_F_LOCK != 0: // in place, under the value's lock
		h.store(old+h.table.valOff, value, flags)
	case old != 0:
		var l uint64
		if l, e = h.exchange(slot, old); e == 0 {
			h.fill(l, key, value, flags)
			h.replace(b, old, at, l, hash)
			gone = old
		}
	default:
		var l uint64
		if l, e = h.get(slot); e == 0 {
			h.fill(l, key, value, flags)
			h.link(b, l, hash)
		}
	}
	SpinUnlock(b + bucketLock)
	if gone != 0 {
		h.replaced(slot, gone)
	}
	return e
}

func (h *Hash) fill(e uint64, key, value []byte, flags uint64) {
	copy(h.key(e), key)
	h.store(e+h.table.valOff, value, flags)
}

// Free implements [Map].
func (h *Hash) Free() {
	h.m.Defer(func() {
		h.freePool(&h.table)
		h.base.release()
	})
}

// freePool gives back the elements in t and those that are free.
func (p *pool) freePool(t *table) {
	if p.block == 0 {
		t.drain(p.freeOne)
	}
	p.release()
}

// MemUsage implements [Map].
func (h *Hash) MemUsage() uint64 {
	if h.block == 0 {
		return h.usage(0, 0) + uint64(h.live.Load())*(h.usage(1, uint64(h.spec.ValueSize))-h.usage(0, 0)+8)
	}
	cpus := uint64(h.cpus())
	return h.usage(uint64(h.spec.MaxEntries)+cpus, uint64(h.spec.ValueSize)) + 8*cpus
}
