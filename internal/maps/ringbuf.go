package maps

import (
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Ringbuf is BPF_MAP_TYPE_RINGBUF, in memory laid out as Linux maps it: a page
// with the consumer's position, one with the producer's, then the records. The
// records have room twice: one that reaches past the end of the ring goes on
// behind it, where a consumer that maps the data twice, as libraries do, finds
// it without a copy.
type Ringbuf struct {
	*base
	meta uint64 // page before the consumer's, private to skep
	data uint64
	mask uint64
	wake chan struct{}

	reader sync.Mutex // held by the Go consumer
}

// Offsets from the private page, and in the pages.
const (
	rbLock     = 0 // lock of the producers
	rbHandle   = 8 // handle of the map
	rbConsumer = pageSize
	rbProducer = 2 * pageSize
	rbPending  = 2*pageSize + 8 // position of the oldest record not committed
	rbData     = 3 * pageSize

	// rbMaxRecord bounds a record (RINGBUF_MAX_RECORD_SZ).
	rbMaxRecord = 0xffffffff / 4
	rbFlags     = uapi.BPF_RINGBUF_BUSY_BIT | uapi.BPF_RINGBUF_DISCARD_BIT
)

// ringbufCheck mirrors ringbuf_map_alloc.
func ringbufCheck(s *Spec) errno.Errno {
	if s.Flags&^uapi.BPF_F_NUMA_NODE != 0 || s.KeySize != 0 || s.ValueSize != 0 ||
		s.MaxEntries == 0 || s.MaxEntries&(s.MaxEntries-1) != 0 || s.MaxEntries%pageSize != 0 {
		return errno.EINVAL
	}
	return 0
}

func newRingbuf(b *base) (Map, error) {
	size := uint64(b.spec.MaxEntries)
	meta, err := b.alloc(rbData+2*size, pageSize)
	if err != nil {
		return nil, err
	}
	mem.Store32(meta+rbHandle, uint64(b.handle))
	return &Ringbuf{base: b, meta: meta, data: meta + rbData, mask: size - 1, wake: make(chan struct{}, 1)}, nil
}

// RingbufOf returns the ring buffer that a record from Reserve belongs to.
func RingbufOf(m *exec.Machine, sample uint64) *Ringbuf {
	hdr := sample - uapi.BPF_RINGBUF_HDR_SZ
	meta := hdr&^(pageSize-1) - mem.Load32(hdr+4)*pageSize
	return m.Object(uint32(mem.Load32(meta + rbHandle))).(*base).self.(*Ringbuf)
}

func (r *Ringbuf) load(off uint64) uint64 { return mem.Atomic64(r.meta + off).Load() }

// Reserve makes room for a record of size bytes and returns its address, 0 if
// the ring is full. flags must be 0 (__bpf_ringbuf_reserve).
func (r *Ringbuf) Reserve(size, flags uint64) uint64 {
	if flags != 0 || size > rbMaxRecord {
		return 0
	}
	length := roundUp(size+uapi.BPF_RINGBUF_HDR_SZ, 8)
	if length > r.mask+1 {
		return 0
	}
	cons := r.load(rbConsumer)
	SpinLock(r.meta + rbLock)
	defer SpinUnlock(r.meta + rbLock)
	pend, prod := r.load(rbPending), r.load(rbProducer)
	for pend < prod {
		n := uint64(mem.Atomic32(r.data + pend&r.mask).Load())
		if n&uapi.BPF_RINGBUF_BUSY_BIT != 0 {
			break
		}
		pend += recordLen(n)
	}
	mem.Atomic64(r.meta + rbPending).Store(pend)
	// A record that is still being written keeps all after it from being
	// overwritten, even if the consumer lies that it read them.
	if prod+length-cons > r.mask || prod+length-pend > r.mask {
		return 0
	}
	hdr := r.data + prod&r.mask
	mem.Atomic32(hdr).Store(uint32(size) | uapi.BPF_RINGBUF_BUSY_BIT)
	mem.Store32(hdr+4, (hdr-r.meta)/pageSize)
	mem.Atomic64(r.meta + rbProducer).Store(prod + length)
	return hdr + uapi.BPF_RINGBUF_HDR_SZ
}

// recordLen is how far the next record is, given a header's length word.
func recordLen(n uint64) uint64 {
	return roundUp(n&^rbFlags+uapi.BPF_RINGBUF_HDR_SZ, 8)
}

// Submit hands a reserved record to the consumer.
func (r *Ringbuf) Submit(sample, flags uint64) { r.commit(sample, flags, 0) }

// Discard makes the consumer skip a reserved record.
func (r *Ringbuf) Discard(sample, flags uint64) {
	r.commit(sample, flags, uapi.BPF_RINGBUF_DISCARD_BIT)
}

// commit mirrors bpf_ringbuf_commit: without flags the consumer is woken only
// if it had read everything before this record.
func (r *Ringbuf) commit(sample, flags uint64, bits uint32) {
	hdr := sample - uapi.BPF_RINGBUF_HDR_SZ
	word := mem.Atomic32(hdr)
	word.Store(word.Load()&^uapi.BPF_RINGBUF_BUSY_BIT | bits)
	caughtUp := r.load(rbConsumer)&r.mask == hdr-r.data
	if flags&uapi.BPF_RB_FORCE_WAKEUP != 0 || caughtUp && flags&uapi.BPF_RB_NO_WAKEUP == 0 {
		r.Wake()
	}
}

// Output writes a whole record (bpf_ringbuf_output).
func (r *Ringbuf) Output(data, size, flags uint64) errno.Errno {
	if flags&^(uapi.BPF_RB_NO_WAKEUP|uapi.BPF_RB_FORCE_WAKEUP) != 0 {
		return errno.EINVAL
	}
	sample := r.Reserve(size, 0)
	if sample == 0 {
		return errno.EAGAIN
	}
	copy(mem.Bytes(sample, size), mem.Bytes(data, size))
	r.Submit(sample, flags)
	return 0
}

// Query mirrors bpf_ringbuf_query.
func (r *Ringbuf) Query(what uint64) uint64 {
	switch what {
	case uapi.BPF_RB_AVAIL_DATA:
		cons := r.load(rbConsumer)
		return r.load(rbProducer) - cons
	case uapi.BPF_RB_RING_SIZE:
		return r.mask + 1
	case uapi.BPF_RB_CONS_POS:
		return r.load(rbConsumer)
	case uapi.BPF_RB_PROD_POS:
		return r.load(rbProducer)
	}
	return 0
}

// Wait returns a channel that gets a value when the consumer should look.
func (r *Ringbuf) Wait() <-chan struct{} { return r.wake }

// Wake lets the consumer look.
func (r *Ringbuf) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Ready says whether there is anything between the consumer and the producer,
// as poll(2) does.
func (r *Ringbuf) Ready() bool { return r.Query(uapi.BPF_RB_AVAIL_DATA) != 0 }

// Read hands over the records that are there, oldest first, and returns how
// many. It stops at a record that is still being written. record is valid
// during the call.
func (r *Ringbuf) Read(visit func(record []byte)) (n int) {
	r.reader.Lock()
	defer r.reader.Unlock()
	cons := r.load(rbConsumer)
	for cons < r.load(rbProducer) {
		hdr := r.data + cons&r.mask
		word := uint64(mem.Atomic32(hdr).Load())
		if word&uapi.BPF_RINGBUF_BUSY_BIT != 0 {
			break
		}
		if word&uapi.BPF_RINGBUF_DISCARD_BIT == 0 {
			visit(mem.Bytes(hdr+uapi.BPF_RINGBUF_HDR_SZ, word))
			n++
		}
		cons += recordLen(word)
		mem.Atomic64(r.meta + rbConsumer).Store(cons)
	}
	return n
}

// Pages is the memory that user space maps: the consumer's page, writable, then
// the producer's and the data twice, read-only.
func (r *Ringbuf) Pages() []byte {
	return mem.Bytes(r.meta+rbConsumer, 2*pageSize+2*(r.mask+1))
}

// UpdateElem implements [Program].
func (r *Ringbuf) UpdateElem(_ *exec.CPU, _, _, _ uint64) errno.Errno { return errno.ENOTSUPP }

// DeleteElem implements [Program].
func (r *Ringbuf) DeleteElem(*exec.CPU, uint64) errno.Errno { return errno.ENOTSUPP }

// Lookup implements [Syscall].
func (r *Ringbuf) Lookup(_, _ []byte, flags uint64) errno.Errno {
	if e := r.readFlags(flags); e != 0 {
		return e
	}
	return errno.ENOTSUPP
}

// Update implements [Syscall].
func (r *Ringbuf) Update(_, _ []byte, flags uint64) errno.Errno {
	if e := r.lockFlag(flags); e != 0 {
		return e
	}
	return errno.ENOTSUPP
}

// Delete implements [Syscall].
func (r *Ringbuf) Delete([]byte) errno.Errno { return errno.ENOTSUPP }

// NextKey implements [Syscall].
func (r *Ringbuf) NextKey(_, _ []byte) errno.Errno { return errno.ENOTSUPP }

// MemUsage mirrors ringbuf_map_mem_usage.
func (r *Ringbuf) MemUsage() uint64 {
	pages := (r.mask + 1) / pageSize
	return 304 + 3*pageSize + r.mask + 1 + (3+2*pages)*8
}
