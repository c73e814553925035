package maps

import (
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// begin makes the checks that all batch commands start with, and sets the
// caller's count to zero. done: there is nothing to do.
func (b *Batch) begin(m Map) (done bool, e errno.Errno) {
	if b.ElemFlags&^uapi.BPF_F_LOCK != 0 || b.ElemFlags&uapi.BPF_F_LOCK != 0 && m.Spec().SpinLock == nil {
		return true, errno.EINVAL
	}
	if b.Count == 0 {
		return true, 0
	}
	if b.PutCount(0) != nil {
		return true, errno.EFAULT
	}
	return false, 0
}

// value is room for one value.
func (b *Batch) value(m Map) ([]byte, errno.Errno) {
	if b.Scratch != nil {
		return b.Scratch(m.ValueSizeUser())
	}
	return make([]byte, m.ValueSizeUser()), 0
}

// element i of the caller's arrays.
func (b *Batch) readKey(i uint32, key []byte) error {
	return b.Mem.Read(b.Keys+uint64(i)*uint64(len(key)), key)
}

func (b *Batch) readValue(i uint32, value []byte) error {
	return b.Mem.Read(b.Values+uint64(i)*uint64(len(value)), value)
}

func (b *Batch) write(i uint32, key, value []byte) errno.Errno {
	if b.Mem.Write(b.Keys+uint64(i)*uint64(len(key)), key) != nil ||
		b.Mem.Write(b.Values+uint64(i)*uint64(len(value)), value) != nil {
		return errno.EFAULT
	}
	return 0
}

// finish reports how many elements were done; that the caller's count cannot be
// written outweighs every other error.
func (b *Batch) finish(n uint32, e errno.Errno) errno.Errno {
	if b.PutCount(n) != nil {
		return errno.EFAULT
	}
	return e
}

// lookupBatch mirrors generic_map_lookup_batch: the batch token is the last key
// that was read.
func lookupBatch(m Map, b *Batch) errno.Errno {
	if done, e := b.begin(m); done {
		return e
	}
	var prev []byte
	key, spare := make([]byte, m.Spec().KeySize), make([]byte, m.Spec().KeySize)
	value, e := b.value(m)
	if e != 0 {
		return e
	}
	if b.InBatch != 0 {
		if b.Mem.Read(b.InBatch, spare) != nil {
			return errno.EFAULT
		}
		prev = spare
	}
	var n uint32
	for n < b.Count {
		if e = m.NextKey(prev, key); e != 0 {
			break
		}
		if e = m.Lookup(key, value, b.ElemFlags); e == 0 {
			if e = b.write(n, key, value); e != 0 {
				return e
			}
			n++
		} else if e != errno.ENOENT { // ENOENT: the element just went away
			return e
		}
		if prev == nil {
			prev = spare
		}
		prev, key = key, prev
	}
	e = b.finish(n, e)
	if e != errno.EFAULT && n > 0 && b.Mem.Write(b.OutBatch, prev) != nil {
		return errno.EFAULT
	}
	return e
}

// updateBatch mirrors generic_map_update_batch.
func updateBatch(m Map, b *Batch) errno.Errno {
	if done, e := b.begin(m); done {
		return e
	}
	key := make([]byte, m.Spec().KeySize)
	value, e := b.value(m)
	if e != 0 {
		return e
	}
	for n := range b.Count {
		e := errno.EFAULT
		if b.readKey(n, key) == nil && b.readValue(n, value) == nil {
			e = updateOne(m, key, value, b)
		}
		if e != 0 {
			return b.finish(n, e)
		}
	}
	return b.finish(b.Count, 0)
}

func updateOne(m Map, key, value []byte, b *Batch) errno.Errno {
	if fd, ok := m.(FDMap); ok {
		return fd.UpdateFD(key, binary.LittleEndian.Uint32(value), b.Resolve, b.ElemFlags)
	}
	return m.Update(key, value, b.ElemFlags)
}

// deleteBatch mirrors generic_map_delete_batch.
func deleteBatch(m Map, b *Batch) errno.Errno {
	if done, e := b.begin(m); done {
		return e
	}
	key := make([]byte, m.Spec().KeySize)
	for n := range b.Count {
		e := errno.EFAULT
		if b.readKey(n, key) == nil {
			e = m.Delete(key)
		}
		if e != 0 {
			return b.finish(n, e)
		}
	}
	return b.finish(b.Count, 0)
}
