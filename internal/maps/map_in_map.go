package maps

import (
	"encoding/binary"
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// innerCheck mirrors bpf_map_meta_alloc: what can be a template.
func innerCheck(inner Map) errno.Errno {
	switch inner.Spec().Type {
	case uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, uapi.BPF_MAP_TYPE_HASH_OF_MAPS:
		return errno.EINVAL
	case uapi.BPF_MAP_TYPE_PROG_ARRAY:
		// What its programs have in common is known only at run time.
		return errno.ENOTSUPP
	}
	return 0
}

// metaEqual mirrors bpf_map_meta_equal and array_map_meta_equal.
func metaEqual(a, b *Spec) bool {
	if a.Type == uapi.BPF_MAP_TYPE_ARRAY && a.Flags&uapi.BPF_F_INNER_MAP == 0 && a.MaxEntries != b.MaxEntries {
		return false
	}
	return a.Type == b.Type && a.KeySize == b.KeySize && a.ValueSize == b.ValueSize &&
		a.Flags == b.Flags && a.SpinLockOff() == b.SpinLockOff()
}

// inner checks that an object is a map that follows the template.
func (b *base) inner(obj Object) (addr uint64, e errno.Errno) {
	m, ok := obj.(MapObject)
	if !ok || !metaEqual(b.template, m.Map().Spec()) {
		return 0, errno.EINVAL
	}
	return m.Map().Addr(), 0
}

// setTemplate keeps what inner maps are compared with.
func (b *base) setTemplate() error {
	inner := b.spec.Inner
	if e := innerCheck(inner); e != 0 {
		return errno.Errorf(e, "a map of type %s cannot be inside another", inner.Spec().Type.LibName())
	}
	b.template, b.spec.Inner = inner.Spec(), nil
	return nil
}

// ArrayOfMaps is BPF_MAP_TYPE_ARRAY_OF_MAPS.
type ArrayOfMaps struct{ fdArray }

func newArrayOfMaps(b *base) (Map, error) {
	if err := b.setTemplate(); err != nil {
		return nil, err
	}
	a := &ArrayOfMaps{}
	return a, a.init(b, b.inner)
}

// LookupElem returns the address of the inner map.
func (a *ArrayOfMaps) LookupElem(_ *exec.CPU, key uint64) uint64 {
	slot := a.at(uint32(mem.Load32(key)))
	if slot == 0 {
		return 0
	}
	return mem.Atomic64(slot).Load()
}

// Lookup implements [Syscall]: the value is the inner map's id.
func (a *ArrayOfMaps) Lookup(key, value []byte, flags uint64) errno.Errno {
	return a.lookupID(key, value, flags)
}

// UpdateFD implements [FDMap]. It returns when no program uses the old map any
// more (maybe_wait_bpf_programs).
func (a *ArrayOfMaps) UpdateFD(key []byte, fd uint32, resolve Resolver, flags uint64) errno.Errno {
	e := a.fdArray.UpdateFD(key, fd, resolve, flags)
	if e == 0 {
		a.m.Synchronize()
	}
	return e
}

// Delete implements [Syscall].
func (a *ArrayOfMaps) Delete(key []byte) errno.Errno {
	e := a.fdArray.Delete(key)
	if e == 0 {
		a.m.Synchronize()
	}
	return e
}

// LookupBatch implements [Syscall].
func (a *ArrayOfMaps) LookupBatch(b *Batch) errno.Errno { return lookupBatch(a, b) }

// UpdateBatch implements [Syscall].
func (a *ArrayOfMaps) UpdateBatch(b *Batch) errno.Errno { return updateBatch(a, b) }

// hashOfMapsCheck mirrors fd_htab_map_alloc_check.
func hashOfMapsCheck(s *Spec) errno.Errno {
	if s.ValueSize != 4 {
		return errno.EINVAL
	}
	return hashCheck(s)
}

// HashOfMaps is BPF_MAP_TYPE_HASH_OF_MAPS. An element's value is the address of
// the inner map, replaced in place.
type HashOfMaps struct {
	table
	pool
	mu   sync.Mutex        // held by all that change the map, which only user space can
	objs map[uint64]Object // by element
}

func newHashOfMaps(b *base) (Map, error) {
	if err := b.setTemplate(); err != nil {
		return nil, err
	}
	h := &HashOfMaps{objs: map[uint64]Object{}}
	if err := h.table.init(b, h, elemHead, 8); err != nil {
		return nil, err
	}
	return h, h.pool.init(&h.table, false)
}

// slot is where an element keeps the inner map's address.
func (h *HashOfMaps) slot(e uint64) uint64 { return e + h.table.valOff }

func (h *HashOfMaps) out(dst []byte, e, _ uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	binary.LittleEndian.PutUint32(dst, h.objs[e].ID())
}

// set puts an object into an element, nil to take it out, and returns what was
// there.
func (h *HashOfMaps) set(e uint64, obj Object, addr uint64) Object {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.objs[e]
	h.m.Publish()
	if mem.Atomic64(h.slot(e)).Store(addr); obj == nil {
		delete(h.objs, e)
	} else {
		h.objs[e] = obj
	}
	return old
}

// value is what a program's lookup gives: the inner map.
func (h *HashOfMaps) value(_ *exec.CPU, e uint64) uint64 {
	return mem.Atomic64(h.slot(e)).Load()
}

func (h *HashOfMaps) discard(slot int, e uint64) {
	h.mu.Lock()
	obj := h.objs[e]
	delete(h.objs, e)
	h.mu.Unlock()
	h.m.Defer(obj.Put)
	h.pool.put(slot, e)
}

// UpdateFD mirrors bpf_fd_htab_map_update_elem.
func (h *HashOfMaps) UpdateFD(key []byte, fd uint32, resolve Resolver, flags uint64) errno.Errno {
	obj, e := resolve(fd)
	if e != 0 {
		return e
	}
	addr, e := h.inner(obj)
	if e == 0 {
		obj, e = h.update(key, addr, obj, flags)
	}
	if e != 0 {
		obj.Put()
		return e
	}
	if obj != nil {
		h.m.Defer(obj.Put)
	}
	h.m.Synchronize()
	return 0
}

// update stores an inner map and returns the object that has to be put: the one
// that was there before, or the new one on failure.
func (h *HashOfMaps) update(key []byte, addr uint64, obj Object, flags uint64) (Object, errno.Errno) {
	if flags > uapi.BPF_EXIST {
		return obj, errno.EINVAL
	}
	hash := h.hash(key)
	b := h.bucket(hash)
	SpinLock(b + bucketLock)
	defer SpinUnlock(b + bucketLock)
	l, _ := h.search(b, key, hash)
	if e := checkFlags(l != 0, flags); e != 0 {
		return obj, e
	}
	if l != 0 {
		return h.set(l, obj, addr), 0
	}
	l, e := h.get(h.sysSlot())
	if e != 0 {
		return obj, e
	}
	copy(h.key(l), key)
	h.set(l, obj, addr)
	h.link(b, l, hash)
	return nil, 0
}

// Delete implements [Syscall].
func (h *HashOfMaps) Delete(key []byte) errno.Errno {
	e := h.table.Delete(key)
	if e == 0 {
		h.m.Synchronize()
	}
	return e
}

// LookupAndDelete implements [Syscall]; the kernel's type has none.
func (h *HashOfMaps) LookupAndDelete(_, _ []byte, flags uint64) errno.Errno {
	return h.base.LookupAndDelete(nil, nil, flags)
}

// Free implements [Map].
func (h *HashOfMaps) Free() {
	h.m.Defer(func() {
		for _, obj := range h.objs {
			obj.Put()
		}
		h.freePool(&h.table)
		h.base.release()
	})
}

// MemUsage implements [Map].
func (h *HashOfMaps) MemUsage() uint64 {
	if h.block == 0 {
		return h.usage(uint64(h.live.Load()), 8)
	}
	return h.usage(uint64(h.spec.MaxEntries), 8)
}
