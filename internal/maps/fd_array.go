package maps

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// fdCheck mirrors fd_array_map_alloc_check.
func fdCheck(s *Spec) errno.Errno {
	if s.ValueSize != 4 || s.Flags&(uapi.BPF_F_RDONLY_PROG|uapi.BPF_F_WRONLY_PROG) != 0 {
		return errno.EINVAL
	}
	return arrayCheck(s)
}

// fdArray is an array whose slots hold objects of the layer above. A slot has
// eight bytes off the Go heap that stand for the object in the eyes of programs
// and machine code, 0 where there is none.
type fdArray struct {
	slots
	// word gives an object's eight bytes, after it checked that the object may
	// go into this map.
	word func(Object) (uint64, errno.Errno)

	mu    sync.Mutex // held by writers
	dense []atomic.Pointer[Object]
	rest  map[uint32]Object // slots behind dense, under mu
}

// maxDense is up to which slot programs find objects without a lock.
const maxDense = 1 << 16

func (a *fdArray) init(b *base, word func(Object) (uint64, errno.Errno)) error {
	s, mask, _, err := newSlots(b, 8, 1)
	if err != nil {
		return err
	}
	a.slots, a.word, a.rest = s, word, map[uint32]Object{}
	a.dense = make([]atomic.Pointer[Object], min(s.limit, maxDense))
	b.d.Slots = &desc.ArrayLayout{Base: a.first, ElemSize: 8, Mask: mask, BypassSpecV1: b.spec.Caps.Perfmon}
	return nil
}

// UpdateFD mirrors bpf_fd_array_map_update_elem.
func (a *fdArray) UpdateFD(key []byte, fd uint32, resolve Resolver, flags uint64) errno.Errno {
	i := index(key)
	switch {
	case flags != uapi.BPF_ANY:
		return errno.EINVAL
	case i >= a.limit:
		return errno.E2BIG
	}
	obj, e := resolve(fd)
	if e != 0 {
		return e
	}
	word, e := a.word(obj)
	if e != 0 {
		obj.Put()
		return e
	}
	a.put(a.swap(i, obj, word))
	return 0
}

// swap puts an object into a slot, nil to empty it, and returns what was there.
func (a *fdArray) swap(i uint32, obj Object, word uint64) (old Object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.m.Publish()
	mem.Atomic64(a.at(i)).Store(word)
	if i < uint32(len(a.dense)) {
		p := &obj
		if obj == nil {
			p = nil
		}
		if was := a.dense[i].Swap(p); was != nil {
			old = *was
		}
		return old
	}
	if old = a.rest[i]; obj == nil {
		delete(a.rest, i)
	} else {
		a.rest[i] = obj
	}
	return old
}

// put drops the map's reference once no program can be using it.
func (a *fdArray) put(obj Object) {
	if obj != nil {
		a.m.Defer(obj.Put)
	}
}

// get is the object in a slot, nil if there is none.
func (a *fdArray) get(i uint32) Object {
	if i < uint32(len(a.dense)) {
		if p := a.dense[i].Load(); p != nil {
			return *p
		}
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rest[i]
}

// Delete mirrors fd_array_map_delete_elem.
func (a *fdArray) Delete(key []byte) errno.Errno {
	i := index(key)
	if i >= a.limit {
		return errno.E2BIG
	}
	old := a.swap(i, nil, 0)
	if old == nil {
		return errno.ENOENT
	}
	a.put(old)
	return 0
}

// clear empties all slots (bpf_fd_array_map_clear).
func (a *fdArray) clear(drop func(Object)) {
	empty := func(i uint32) {
		if old := a.swap(i, nil, 0); old != nil {
			drop(old)
		}
	}
	for i := range a.dense {
		empty(uint32(i))
	}
	a.mu.Lock()
	used := slices.Collect(maps.Keys(a.rest))
	a.mu.Unlock()
	for _, i := range used {
		empty(i)
	}
}

// lookupID is what a system call reads: the object's id.
func (a *fdArray) lookupID(key, value []byte, flags uint64) errno.Errno {
	if e := a.readFlags(flags); e != 0 {
		return e
	}
	obj := a.get(index(key))
	if obj == nil {
		return errno.ENOENT
	}
	binary.LittleEndian.PutUint32(value, obj.ID())
	return 0
}

// Free implements [Map].
func (a *fdArray) Free() {
	a.m.Defer(func() {
		a.clear(Object.Put)
		a.release()
	})
}

// MemUsage implements [Map].
func (a *fdArray) MemUsage() uint64 { return arrayHead + 8*uint64(a.limit) }
