package maps

import (
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
)

// LookupBatch implements [Syscall].
func (t *table) LookupBatch(b *Batch) errno.Errno { return t.batch(b, false) }

// LookupAndDeleteBatch implements [Syscall].
func (t *table) LookupAndDeleteBatch(b *Batch) errno.Errno { return t.batch(b, true) }

// DeleteBatch implements [Syscall].
func (t *table) DeleteBatch(b *Batch) errno.Errno { return deleteBatch(t.self, b) }

// UpdateBatch implements [Syscall].
func (t *table) UpdateBatch(b *Batch) errno.Errno { return updateBatch(t.self, b) }

// bucketBuf holds the elements of one bucket on their way to user space.
type bucketBuf struct {
	keys, values []byte
	gone         []uint64 // unlinked elements
	n            uint32
}

// batch mirrors __htab_map_lookup_and_delete_batch: whole buckets are handed
// over, and the batch token is the number of the next bucket.
func (t *table) batch(b *Batch, del bool) errno.Errno {
	if b.Flags != 0 {
		return errno.EINVAL
	}
	done, e := b.begin(t.self)
	if done {
		return e
	}
	at := uint32(0)
	if b.InBatch != 0 {
		var token [4]byte
		if b.Mem.Read(b.InBatch, token[:]) != nil {
			return errno.EFAULT
		}
		at = binary.LittleEndian.Uint32(token[:])
	}
	if at > t.mask {
		return errno.ENOENT
	}
	var buf bucketBuf
	total := uint32(0)
	for e == 0 {
		if !t.fill(&buf, at, b.Count-total, b.ElemFlags, del) {
			if total == 0 {
				e = errno.ENOSPC
			}
			break
		}
		for _, gone := range buf.gone {
			t.kind.discard(t.sysSlot(), gone)
		}
		if e = t.writeBucket(b, &buf, total); e != 0 {
			return e
		}
		total += buf.n
		if at++; at > t.mask {
			e = errno.ENOENT
		}
	}
	var token [4]byte
	binary.LittleEndian.PutUint32(token[:], at)
	if b.Mem.Write(b.OutBatch, token[:]) != nil {
		return errno.EFAULT
	}
	return b.finish(total, e)
}

// fill copies the elements of bucket n, and unlinks them. ok is false when
// there are more than room; they stay then.
func (t *table) fill(buf *bucketBuf, n, room uint32, flags uint64, del bool) (ok bool) {
	b := t.bucket(n)
	buf.keys, buf.values, buf.gone, buf.n = buf.keys[:0], buf.values[:0], buf.gone[:0], 0
	if isEnd(mem.Atomic64(b).Load()) {
		return true
	}
	SpinLock(b + bucketLock)
	defer SpinUnlock(b + bucketLock)
	count := uint32(0)
	for e := mem.Load64(b); !isEnd(e); e = mem.Load64(e + elemNext) {
		count++
	}
	if count > room {
		return false
	}
	size := int(t.self.ValueSizeUser())
	for e := mem.Load64(b); !isEnd(e); e = mem.Load64(e + elemNext) {
		buf.keys = append(buf.keys, t.key(e)...)
		buf.values = append(buf.values, make([]byte, size)...)
		t.kind.out(buf.values[len(buf.values)-size:], e, flags)
		if del {
			buf.gone = append(buf.gone, e)
			t.unlink(b, e)
		}
	}
	buf.n = count
	return true
}

func (t *table) writeBucket(b *Batch, buf *bucketBuf, total uint32) errno.Errno {
	if buf.n == 0 {
		return 0
	}
	if b.Mem.Write(b.Keys+uint64(total)*uint64(t.spec.KeySize), buf.keys) != nil ||
		b.Mem.Write(b.Values+uint64(total)*uint64(t.self.ValueSizeUser()), buf.values) != nil {
		return errno.EFAULT
	}
	return 0
}
