package maps

import (
	"math/bits"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// A hash table lies off the Go heap. Buckets are 16 bytes: the first element and
// a lock. An element has a header, then the key, then the value, each aligned to
// 8 bytes.
//
// Programs walk a bucket without its lock. An element may be taken out and put
// into another bucket under their feet, as in Linux; so the last element of a
// bucket does not hold 0 but an odd marker with the bucket's number, and a walk
// that ends at another bucket's marker starts again (hlist_nulls).
const (
	bucketSize = 16
	bucketLock = 8

	elemNext = 0  // address of the next element, or the marker
	elemHash = 8  // 4 bytes
	elemType = 12 // LRU: list that the element is on, 1 byte
	elemRef  = 13 // LRU: was used since it was last looked at, 1 byte
	elemCPU  = 14 // LRU: CPU whose list the element is on, 2 bytes
	elemFree = 16 // address of the next free element
	elemHead = 24 // size of the header

	elemPrevLRU = 16 // LRU: neighbours on its list
	elemNextLRU = 24
	elemHeadLRU = 32
)

// table is what all hash maps share.
type table struct {
	*base
	kind    hashKind
	buckets uint64
	mask    uint32
	seed    uint32
	keyOff  uint64
	valOff  uint64
	elem    uint64 // size of an element
}

// hashKind is what the types of hash map do differently.
type hashKind interface {
	// out copies an element's value to user space.
	out(dst []byte, e, flags uint64)
	// value is the address of the value as the program on c sees it.
	value(c *exec.CPU, e uint64) uint64
	// discard takes back an element that was unlinked. No lock is held.
	discard(slot int, e uint64)
}

// Limits on sizes (htab_map_alloc_check).
const (
	kmallocMax  = 4 << 20 // KMALLOC_MAX_SIZE
	htabElemLen = 48      // sizeof(struct htab_elem)
	htabLen     = 896     // sizeof(struct bpf_htab), as memlock shows it
)

func isLRU(t uapi.MapType) bool {
	return t == uapi.BPF_MAP_TYPE_LRU_HASH || t == uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH
}

func isPercpuHash(t uapi.MapType) bool {
	return t == uapi.BPF_MAP_TYPE_PERCPU_HASH || t == uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH
}

// hashCheck mirrors htab_map_alloc_check.
func hashCheck(s *Spec) errno.Errno {
	const mask = uapi.BPF_F_NO_PREALLOC | uapi.BPF_F_NO_COMMON_LRU | uapi.BPF_F_NUMA_NODE |
		accessFlags | uapi.BPF_F_ZERO_SEED
	percpuLRU := s.Flags&uapi.BPF_F_NO_COMMON_LRU != 0
	switch {
	case s.Flags&uapi.BPF_F_ZERO_SEED != 0 && !s.Caps.SysAdmin:
		return errno.EPERM
	case s.Flags&^mask != 0 || !accessOK(s.Flags),
		!isLRU(s.Type) && percpuLRU:
		return errno.EINVAL
	case isLRU(s.Type) && s.Flags&uapi.BPF_F_NO_PREALLOC != 0:
		return errno.ENOTSUPP
	case s.numa() && (isPercpuHash(s.Type) || percpuLRU),
		s.MaxEntries == 0 || s.KeySize == 0 || s.ValueSize == 0:
		return errno.EINVAL
	case uint64(s.KeySize)+uint64(s.ValueSize) >= kmallocMax-htabElemLen,
		isPercpuHash(s.Type) && roundUp(uint64(s.ValueSize), 8) > percpuMax:
		return errno.E2BIG
	}
	return 0
}

// init allocates the buckets for values of valueSize bytes. Fresh memory reads
// as empty buckets.
func (t *table) init(b *base, kind hashKind, head, valueSize uint64) error {
	t.base, t.kind = b, kind
	n := b.spec.MaxEntries
	buckets := uint64(1) << bits.Len32(n-1)
	if n > 1<<31 || buckets > 0xffffffff/bucketSize {
		return errno.Errorf(errno.E2BIG, "%d entries need too many buckets", n)
	}
	t.mask = uint32(buckets - 1)
	t.keyOff = head
	t.valOff = head + roundUp(uint64(b.spec.KeySize), 8)
	t.elem = t.valOff + roundUp(valueSize, 8)
	if b.spec.Flags&uapi.BPF_F_ZERO_SEED == 0 {
		t.seed = uint32(b.m.Rand())
	}
	var err error
	t.buckets, err = b.alloc(buckets*bucketSize, 64)
	return err
}

func (t *table) hash(key []byte) uint32 { return jhash(key, t.seed) }

func (t *table) bucket(hash uint32) uint64 {
	return t.buckets + uint64(hash&t.mask)*bucketSize
}

func marker(n uint32) uint64 { return uint64(n)<<1 | 1 }

// isEnd says whether a link ends its bucket: 0 stands in buckets never used.
func isEnd(e uint64) bool { return e == 0 || e&1 != 0 }

func next(e uint64) uint64 { return mem.Atomic64(e + elemNext).Load() }

// key is the key of an element.
func (t *table) key(e uint64) []byte { return mem.Bytes(e+t.keyOff, uint64(t.spec.KeySize)) }

func (t *table) match(e uint64, hash uint32, key []byte) bool {
	return uint32(mem.Load32(e+elemHash)) == hash && string(t.key(e)) == string(key)
}

// find looks a key up without a lock; the caller runs on a CPU.
func (t *table) find(key []byte, hash uint32) uint64 {
	n := hash & t.mask
	b := t.buckets + uint64(n)*bucketSize
	for {
		e := mem.Atomic64(b).Load()
		for ; !isEnd(e); e = next(e) {
			if t.match(e, hash, key) {
				return e
			}
		}
		if e == 0 || e == marker(n) {
			return 0
		}
	}
}

// search looks a key up with the bucket's lock held. slot is the address of the
// link to the element.
func (t *table) search(b uint64, key []byte, hash uint32) (e, slot uint64) {
	slot = b
	for e = mem.Load64(b); !isEnd(e); e = mem.Load64(e + elemNext) {
		if t.match(e, hash, key) {
			return e, slot
		}
		slot = e + elemNext
	}
	return 0, 0
}

// link puts an element in front of its bucket, whose lock is held.
func (t *table) link(b, e uint64, hash uint32) {
	mem.Store32(e+elemHash, uint64(hash))
	first := mem.Load64(b)
	if first == 0 {
		first = marker(hash & t.mask)
	}
	mem.Atomic64(e + elemNext).Store(first)
	mem.Atomic64(b).Store(e)
}

// unlink takes the element out that the link at slot points to. Walkers that
// are at it still find their way on.
func (t *table) unlink(slot, e uint64) {
	mem.Atomic64(slot).Store(mem.Load64(e + elemNext))
}

// replace puts a new element in front and takes an old one out.
func (t *table) replace(b, old, slot, e uint64, hash uint32) {
	t.link(b, e, hash)
	if slot == b { // old was first and is now second
		slot = e + elemNext
	}
	t.unlink(slot, old)
}

// checkFlags mirrors check_flags of hashtab.c.
func checkFlags(found bool, flags uint64) errno.Errno {
	switch flags &^ uapi.BPF_F_LOCK {
	case uapi.BPF_NOEXIST:
		if found {
			return errno.EEXIST
		}
	case uapi.BPF_EXIST:
		if !found {
			return errno.ENOENT
		}
	}
	return 0
}

// sysSlot is the number that stands for system calls where programs have their
// CPU's.
func (t *table) sysSlot() int { return t.cpus() }

// LookupElem implements [Program].
func (t *table) LookupElem(c *exec.CPU, key uint64) uint64 {
	k := mem.Bytes(key, uint64(t.spec.KeySize))
	if e := t.find(k, t.hash(k)); e != 0 {
		return t.kind.value(c, e)
	}
	return 0
}

// DeleteElem implements [Program].
func (t *table) DeleteElem(c *exec.CPU, key uint64) errno.Errno {
	return t.remove(c.ID, mem.Bytes(key, uint64(t.spec.KeySize)), nil, 0)
}

// Delete implements [Syscall].
func (t *table) Delete(key []byte) errno.Errno { return t.remove(t.sysSlot(), key, nil, 0) }

// LookupAndDelete implements [Syscall].
func (t *table) LookupAndDelete(key, value []byte, flags uint64) errno.Errno {
	if e := t.readFlags(flags); e != 0 {
		return e
	}
	return t.remove(t.sysSlot(), key, value, flags)
}

// remove deletes a key; with out its value is copied before.
func (t *table) remove(slot int, key, out []byte, flags uint64) errno.Errno {
	hash := t.hash(key)
	b := t.bucket(hash)
	SpinLock(b + bucketLock)
	e, at := t.search(b, key, hash)
	if e != 0 {
		if out != nil {
			t.kind.out(out, e, flags)
		}
		t.unlink(at, e)
	}
	SpinUnlock(b + bucketLock)
	if e == 0 {
		return errno.ENOENT
	}
	t.kind.discard(slot, e)
	return 0
}

// Lookup implements [Syscall]. It holds the bucket's lock, since no grace period
// waits for system calls.
func (t *table) Lookup(key, value []byte, flags uint64) errno.Errno {
	if e := t.readFlags(flags); e != 0 {
		return e
	}
	hash := t.hash(key)
	b := t.bucket(hash)
	SpinLock(b + bucketLock)
	defer SpinUnlock(b + bucketLock)
	e, _ := t.search(b, key, hash)
	if e == 0 {
		return errno.ENOENT
	}
	t.kind.out(value, e, flags)
	return 0
}

// NextKey mirrors htab_map_get_next_key.
func (t *table) NextKey(key, next []byte) errno.Errno {
	first := uint32(0)
	if key != nil {
		hash := t.hash(key)
		found, done := t.nextInBucket(hash, key, next)
		if done {
			return 0
		}
		if found {
			if first = hash&t.mask + 1; first > t.mask {
				return errno.ENOENT
			}
		}
	}
	for n := first; ; n++ {
		b := t.bucket(n)
		if !isEnd(mem.Atomic64(b).Load()) && t.firstKey(b, next) {
			return 0
		}
		if n == t.mask {
			return errno.ENOENT
		}
	}
}

func (t *table) nextInBucket(hash uint32, key, next []byte) (found, done bool) {
	b := t.bucket(hash)
	SpinLock(b + bucketLock)
	defer SpinUnlock(b + bucketLock)
	e, _ := t.search(b, key, hash)
	if e == 0 {
		return false, false
	}
	if e = mem.Load64(e + elemNext); isEnd(e) {
		return true, false
	}
	copy(next, t.key(e))
	return true, true
}

func (t *table) firstKey(b uint64, next []byte) bool {
	SpinLock(b + bucketLock)
	defer SpinUnlock(b + bucketLock)
	e := mem.Load64(b)
	if isEnd(e) {
		return false
	}
	copy(next, t.key(e))
	return true
}

// ForEach mirrors bpf_for_each_hash_elem: visit may delete the element that it
// is at.
func (t *table) ForEach(c *exec.CPU, visit func(key, value uint64) bool) (int64, errno.Errno) {
	var n int64
	for i := uint64(0); i <= uint64(t.mask); i++ {
		for e := mem.Atomic64(t.buckets + i*bucketSize).Load(); !isEnd(e); {
			after := next(e)
			n++
			if visit(e+t.keyOff, t.kind.value(c, e)) {
				return n, 0
			}
			e = after
		}
	}
	return n, 0
}

// drain calls visit for every element of a table that nobody uses any more.
func (t *table) drain(visit func(e uint64)) {
	for i := uint64(0); i <= uint64(t.mask); i++ {
		for e := mem.Load64(t.buckets + i*bucketSize); !isEnd(e); {
			after := mem.Load64(e + elemNext)
			visit(e)
			e = after
		}
	}
}

// usage mirrors htab_map_mem_usage for entries preallocated elements.
func (t *table) usage(entries, valueSize uint64) uint64 {
	elem := htabElemLen + roundUp(uint64(t.spec.KeySize), 8) + roundUp(valueSize, 8)
	return htabLen + (uint64(t.mask)+1)*bucketSize + entries*elem
}
