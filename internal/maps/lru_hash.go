package maps

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// sysCPU is the CPU whose lists system calls use: what runs on one CPU in Linux
// then shares them here too.
const sysCPU = 0

// initLRU makes the elements of an LRU hash map.
func (t *table) initLRU(b *base, kind hashKind, l *lru, valueSize uint64) (block uint64, err error) {
	common := b.spec.Flags&uapi.BPF_F_NO_COMMON_LRU == 0
	if !common {
		b.spec.evenOut(uint32(b.cpus()))
		b.d.MaxEntries = b.spec.MaxEntries
		mem.Store32(b.addr+HeaderMaxEntries, uint64(b.spec.MaxEntries))
	}
	if err := t.init(b, kind, elemHeadLRU, valueSize); err != nil {
		return 0, err
	}
	n := uint64(b.spec.MaxEntries)
	if n*t.elem > b.m.Region.Size() {
		return 0, errno.Errorf(errno.ENOMEM, "%d elements of %d bytes do not fit the memory of this kernel", n, t.elem)
	}
	if block, err = b.alloc(n*t.elem, 64); err != nil {
		return 0, err
	}
	heads, err := b.alloc(lruHeads(b.cpus())*elemHeadLRU, 64)
	if err != nil {
		return 0, err
	}
	l.evict = t.evict
	l.init(b.cpus(), common, heads, block, t.elem, n)
	return block, nil
}

// evenOut makes the number of entries a multiple of the number of CPUs, as
// htab_map_alloc does when each has its own lists.
func (s *Spec) evenOut(cpus uint32) {
	n := roundUpTo(s.MaxEntries, cpus)
	if n < s.MaxEntries {
		n = s.MaxEntries / cpus * cpus
	}
	s.MaxEntries = n
}

func roundUpTo(n, unit uint32) uint32 { return (n + unit - 1) / unit * unit }

// evict takes an element out of its bucket if it is there
// (htab_lru_map_delete_node).
func (t *table) evict(e uint64) bool {
	b := t.bucket(uint32(mem.Load32(e + elemHash)))
	SpinLock(b + bucketLock)
	defer SpinUnlock(b + bucketLock)
	slot := b
	for l := mem.Load64(b); !isEnd(l); l = mem.Load64(l + elemNext) {
		if l == e {
			t.unlink(slot, e)
			return true
		}
		slot = l + elemNext
	}
	return false
}

// LRUHash is BPF_MAP_TYPE_LRU_HASH.
type LRUHash struct {
	table
	lru lru
}

func newLRUHash(b *base) (Map, error) {
	h := &LRUHash{}
	_, err := h.initLRU(b, h, &h.lru, uint64(b.spec.ValueSize))
	return h, err
}

func (h *LRUHash) out(dst []byte, e, flags uint64)    { h.load(dst, e+h.valOff, flags) }
func (h *LRUHash) value(_ *exec.CPU, e uint64) uint64 { return e + h.valOff }
func (h *LRUHash) discard(_ int, e uint64)            { h.lru.put(e) }

// LookupElem implements [Program].
func (h *LRUHash) LookupElem(_ *exec.CPU, key uint64) uint64 {
	k := mem.Bytes(key, uint64(h.spec.KeySize))
	e := h.find(k, h.hash(k))
	if e == 0 {
		return 0
	}
	setRef(e)
	return e + h.valOff
}

// UpdateElem implements [Program].
func (h *LRUHash) UpdateElem(c *exec.CPU, key, value, flags uint64) errno.Errno {
	return h.update(c.ID, mem.Bytes(key, uint64(h.spec.KeySize)), mem.Bytes(value, uint64(h.spec.ValueSize)), flags)
}

// Update implements [Syscall].
func (h *LRUHash) Update(key, value []byte, flags uint64) errno.Errno {
	return h.update(sysCPU, key, value, flags)
}

// update mirrors htab_lru_map_update_elem: the new element is got first, since
// that may evict another and needs that one's bucket.
func (h *LRUHash) update(cpu int, key, value []byte, flags uint64) errno.Errno {
	if flags > uapi.BPF_EXIST {
		return errno.EINVAL
	}
	hash := h.hash(key)
	l := h.lru.get(cpu, hash)
	if l == 0 {
		return errno.ENOMEM
	}
	copy(h.key(l), key)
	h.store(l+h.valOff, value, 0)
	b := h.bucket(hash)
	SpinLock(b + bucketLock)
	old, at := h.search(b, key, hash)
	e := checkFlags(old != 0, flags)
	switch {
	case e != 0:
	case old != 0:
		setRef(l)
		h.replace(b, old, at, l, hash)
	default:
		h.link(b, l, hash)
	}
	SpinUnlock(b + bucketLock)
	if e != 0 {
		h.lru.put(l)
	} else if old != 0 {
		h.lru.put(old)
	}
	return e
}

// MemUsage implements [Map].
func (h *LRUHash) MemUsage() uint64 {
	return h.usage(uint64(h.spec.MaxEntries), uint64(h.spec.ValueSize))
}

// LRUPercpuHash is BPF_MAP_TYPE_LRU_PERCPU_HASH: per-CPU values, which is not to
// be confused with the per-CPU lists of BPF_F_NO_COMMON_LRU.
type LRUPercpuHash struct {
	percpuTable
	lru lru
	own percpu

	block    uint64 // the elements
	valBlock uint64 // their values
}

func newLRUPercpuHash(b *base) (Map, error) {
	h := &LRUPercpuHash{own: percpuValues(b)}
	h.values = &h.own
	var err error
	if h.block, err = h.initLRU(b, h, &h.lru, 8); err != nil {
		return nil, err
	}
	h.own.stride = roundUp(uint64(b.spec.MaxEntries)*h.own.size, 64)
	h.valBlock, err = b.alloc(h.own.stride*h.own.cpus, 64)
	return h, err
}

// take gets an element. Where its values are is written when it is used for the
// first time: a large map costs no memory before it has elements.
func (h *LRUPercpuHash) take(cpu int, hash uint32) uint64 {
	l := h.lru.get(cpu, hash)
	if l != 0 && mem.Load64(l+h.valOff) == 0 {
		mem.Store64(l+h.valOff, h.valBlock+(l-h.block)/h.elem*h.own.size)
	}
	return l
}

func (h *LRUPercpuHash) discard(_ int, e uint64) { h.lru.put(e) }

// LookupElem implements [Program].
func (h *LRUPercpuHash) LookupElem(c *exec.CPU, key uint64) uint64 {
	return h.LookupPercpu(c, key, uint32(c.ID))
}

// LookupPercpu implements [Program].
func (h *LRUPercpuHash) LookupPercpu(_ *exec.CPU, key uint64, cpu uint32) uint64 {
	k := mem.Bytes(key, uint64(h.spec.KeySize))
	if uint64(cpu) >= h.own.cpus {
		return 0
	}
	e := h.find(k, h.hash(k))
	if e == 0 {
		return 0
	}
	setRef(e)
	return h.own.at(h.first(e), int(cpu))
}

// UpdateElem implements [Program].
func (h *LRUPercpuHash) UpdateElem(c *exec.CPU, key, value, flags uint64) errno.Errno {
	return h.update(c, c.ID, mem.Bytes(key, uint64(h.spec.KeySize)), mem.Bytes(value, uint64(h.spec.ValueSize)), flags)
}

// Update implements [Syscall].
func (h *LRUPercpuHash) Update(key, value []byte, flags uint64) errno.Errno {
	return h.update(nil, sysCPU, key, value, flags)
}

// update mirrors __htab_lru_percpu_map_update_elem.
func (h *LRUPercpuHash) update(c *exec.CPU, cpu int, key, value []byte, flags uint64) errno.Errno {
	if flags > uapi.BPF_EXIST {
		return errno.EINVAL
	}
	hash := h.hash(key)
	l := uint64(0)
	if flags != uapi.BPF_EXIST {
		if l = h.take(cpu, hash); l == 0 {
			return errno.ENOMEM
		}
		copy(h.key(l), key)
	}
	used, e := h.insert(c, l, key, value, hash, flags)
	if l != 0 && !used {
		h.lru.put(l)
	}
	return e
}

// insert updates the element of a key in place, or puts the new one in.
func (h *LRUPercpuHash) insert(c *exec.CPU, l uint64, key, value []byte, hash uint32, flags uint64) (used bool, e errno.Errno) {
	b := h.bucket(hash)
	SpinLock(b + bucketLock)
	defer SpinUnlock(b + bucketLock)
	old, _ := h.search(b, key, hash)
	if e := checkFlags(old != 0, flags); e != 0 {
		return false, e
	}
	if old != 0 {
		setRef(old)
		h.put(c, old, value, false)
		return false, 0
	}
	h.put(c, l, value, true)
	h.link(b, l, hash)
	return true, 0
}

// MemUsage implements [Map].
func (h *LRUPercpuHash) MemUsage() uint64 {
	return h.usage(uint64(h.spec.MaxEntries), 8) + uint64(h.spec.MaxEntries)*h.own.size*h.own.cpus
}
