package abi

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// elem is a command on one element under way.
type elem struct {
	*access
	uapi.MapElemAttr
}

func (e *elem) lockable() error {
	if e.Flags&uapi.BPF_F_LOCK != 0 && e.m.Spec().SpinLock == nil {
		return errno.Errorf(errno.EINVAL, "BPF_F_LOCK: the values of map %d (%s) have no bpf_spin_lock", e.m.ID, e.m.Name)
	}
	return nil
}

// key copies the key in; maps without keys want a null pointer (__bpf_copy_key).
func (e *elem) key() ([]byte, error) {
	size := e.m.Spec().KeySize
	if size == 0 {
		if e.Key != 0 {
			return nil, errno.Errorf(errno.EINVAL, "map %d (%s) has no keys", e.m.ID, e.m.Name)
		}
		return nil, nil
	}
	b, n := e.scratch(size)
	if n != 0 {
		return nil, e.fail(n)
	}
	return b, e.mem.Read(e.Key, b)
}

// onElem is the common way of the commands on one element. Flags that the
// command knows nothing of come first, as the kernel checks them before it looks
// at the fd.
func onElem(c *call, known uint64, want object.Access, run func(e *elem) error) (int, error) {
	e := &elem{}
	e.Decode(c.attr[:])
	if e.Flags&^known != 0 {
		return -1, errno.Errorf(errno.EINVAL, "%v: unknown flags %#x", c.cmd, e.Flags&^known)
	}
	var err error
	if e.access, err = c.openMap(e.MapFD, want); err != nil {
		return -1, err
	}
	defer e.close(want)
	return 0, run(e)
}

// allFlags: the map checks the flags.
const allFlags = ^uint64(0)

func mapLookup(c *call) (int, error) {
	return onElem(c, uapi.BPF_F_LOCK, object.AccessRead, func(e *elem) error {
		if err := e.lockable(); err != nil {
			return err
		}
		key, err := e.key()
		if err != nil {
			return err
		}
		value, n := e.scratch(e.m.ValueSizeUser())
		if n != 0 {
			return e.fail(n)
		}
		if n := e.m.Lookup(key, value, e.Flags); n != 0 {
			return e.fail(n)
		}
		return e.mem.Write(e.Value, value)
	})
}

func mapUpdate(c *call) (int, error) {
	return onElem(c, allFlags, object.AccessWrite, func(e *elem) error {
		if err := e.lockable(); err != nil {
			return err
		}
		key, err := e.key()
		if err != nil {
			return err
		}
		value, n := e.scratch(e.m.ValueSizeUser())
		if n != 0 {
			return e.fail(n)
		}
		if err := e.mem.Read(e.Value, value); err != nil {
			return err
		}
		if fm, ok := e.m.Map.(maps.FDMap); ok {
			return e.fail(fm.UpdateFD(key, uint32(value[0])|uint32(value[1])<<8|uint32(value[2])<<16|uint32(value[3])<<24,
				e.resolver(e.m), e.Flags))
		}
		return e.fail(e.m.Update(key, value, e.Flags))
	})
}

func mapDelete(c *call) (int, error) {
	return onElem(c, allFlags, object.AccessWrite, func(e *elem) error {
		key, err := e.key()
		if err != nil {
			return err
		}
		return e.fail(e.m.Delete(key))
	})
}

func mapNextKey(c *call) (int, error) {
	return onElem(c, allFlags, object.AccessRead, func(e *elem) error {
		var key []byte
		if e.Key != 0 {
			var err error
			if key, err = e.key(); err != nil {
				return err
			}
		}
		next, n := e.scratch(e.m.Spec().KeySize)
		if n != 0 {
			return e.fail(n)
		}
		if n := e.m.NextKey(key, next); n != 0 {
			return e.fail(n)
		}
		return e.mem.Write(e.Value, next)
	})
}

func mapLookupAndDelete(c *call) (int, error) {
	return onElem(c, uapi.BPF_F_LOCK, object.AccessBoth, func(e *elem) error {
		t := e.m.Spec().Type
		if e.Flags != 0 && (t == uapi.BPF_MAP_TYPE_QUEUE || t == uapi.BPF_MAP_TYPE_STACK) {
			return errno.Errorf(errno.EINVAL, "a %s map takes no flags here", t.LibName())
		}
		if err := e.lockable(); err != nil {
			return err
		}
		key, err := e.key()
		if err != nil {
			return err
		}
		value, n := e.scratch(e.m.ValueSizeUser())
		if n != 0 {
			return e.fail(n)
		}
		if n := e.m.LookupAndDelete(key, value, e.Flags); n != 0 {
			return e.fail(n)
		}
		return e.mem.Write(e.Value, value)
	})
}

// mapFreeze mirrors map_freeze.
func mapFreeze(c *call) (int, error) {
	f, err := c.task.FileOf(int(int32(c.word(0))), object.KindMap)
	if err != nil {
		return -1, err
	}
	defer f.Close()
	a := &access{call: c, m: f.Object.(*object.Map), file: f}
	if a.m.Spec().SpinLock != nil {
		return -1, errno.Errorf(errno.ENOTSUPP, "map %d (%s) has fields that programs manage", a.m.ID, a.m.Name)
	}
	if err := a.may(object.AccessWrite); err != nil {
		return -1, err
	}
	return 0, a.m.Freeze()
}

// batches are the commands on many elements: what they do to the map, and how.
var batches = map[uapi.Cmd]struct {
	access object.Access
	run    func(m maps.Map, b *maps.Batch) errno.Errno
}{
	uapi.BPF_MAP_LOOKUP_BATCH:            {object.AccessRead, maps.Map.LookupBatch},
	uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH: {object.AccessBoth, maps.Map.LookupAndDeleteBatch},
	uapi.BPF_MAP_UPDATE_BATCH:            {object.AccessWrite, maps.Map.UpdateBatch},
	uapi.BPF_MAP_DELETE_BATCH:            {object.AccessWrite, maps.Map.DeleteBatch},
}

// batchCount is where the number of elements lies in the attribute.
const batchCount = 32

// mapBatch mirrors bpf_map_do_batch.
func mapBatch(c *call) (int, error) {
	var a uapi.MapBatchAttr
	a.Decode(c.attr[:])
	op := batches[c.cmd]
	on, err := c.openMap(a.MapFD, op.access)
	if err != nil {
		return -1, err
	}
	defer on.close(op.access)
	return 0, on.fail(op.run(on.m.Map, &maps.Batch{
		Mem: c.mem, InBatch: a.InBatch, OutBatch: a.OutBatch, Keys: a.Keys, Values: a.Values,
		Count: a.Count, ElemFlags: a.ElemFlags, Flags: a.Flags,
		PutCount: func(n uint32) error { return c.put(batchCount, n) },
		Resolve:  c.resolver(on.m),
		Scratch:  on.scratch,
	}))
}

// resolver turns the fds that are written into a map into what it holds.
func (c *call) resolver(m *object.Map) maps.Resolver {
	switch m.Spec().Type {
	case uapi.BPF_MAP_TYPE_PROG_ARRAY:
		return func(fd uint32) (maps.Object, errno.Errno) {
			p, err := c.progFD(fd)
			if err != nil {
				return nil, errnoOf(err)
			}
			return p.Slot(), 0
		}
	case uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, uapi.BPF_MAP_TYPE_HASH_OF_MAPS:
		return func(fd uint32) (maps.Object, errno.Errno) {
			inner, err := c.mapFD(fd)
			if err != nil {
				return nil, errnoOf(err)
			}
			return inner.Slot(), 0
		}
	}
	return func(fd uint32) (maps.Object, errno.Errno) {
		f, err := c.task.File(int(int32(fd)))
		if err != nil {
			return nil, errnoOf(err)
		}
		defer f.Close()
		if perf, ok := f.Data.(maps.PerfObject); ok {
			return perf, 0
		}
		return nil, errno.EINVAL
	}
}

// errnoOf is the number in an error of skep's own, all of which have one.
func errnoOf(err error) errno.Errno {
	e, ok := errno.Of(err)
	if !ok {
		return errno.EINVAL
	}
	return e
}
