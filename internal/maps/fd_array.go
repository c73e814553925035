package maps

import (
	"encoding/binary"
	"sync"

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

	mu   sync.Mutex
	objs map[uint32]Object
}

func (a *fdArray) init(b *base, word func(Object) (uint64, errno.Errno)) error {
	s, mask, _, err := newSlots(b, 8, 1)
	if err != nil {
		return err
	}
	a.slots, a.word, a.objs = s, word, map[uint32]Object{}
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
func (a *fdArray) swap(i uint32, obj Object, word uint64) Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.objs[i]
	mem.Atomic64(a.at(i)).Store(word)
	if obj == nil {
		delete(a.objs, i)
	} else {
		a.objs[i] = obj
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
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objs[i]
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
	a.mu.Lock()
	objs := a.objs
	a.objs = map[uint32]Object{}
	for i := range objs {
		mem.Atomic64(a.at(i)).Store(0)
	}
	a.mu.Unlock()
	for _, obj := range objs {
		drop(obj)
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

func (a *fdArray) MemUsage() uint64 { return arrayHead + 8*uint64(a.limit) }
