package maps

import (
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
)

// PerfBuffer is a software event of one CPU with its ring of samples, as
// perf_event_open and mmap make it for PERF_COUNT_SW_BPF_OUTPUT. Room is counted
// as the kernel counts it, so that samples are lost at the same point.
type PerfBuffer struct {
	cpu  int
	wake chan struct{}

	mu   sync.Mutex
	ring []byte
	head uint64 // bytes ever written
	tail uint64 // bytes ever read
	// recs[next:] are the samples in the ring, in order.
	recs    []perfRecord
	next    int
	lost    uint64 // since the last sample that had room
	reading sync.Mutex
}

// perfRecord is one sample: where it is and how many were lost before it.
type perfRecord struct {
	at, size, total uint64
	lost            uint64
}

// Sizes of records in a perf ring buffer.
const (
	perfHeader = 8 + 4 // struct perf_event_header, size of the raw data
	perfLost   = 24    // PERF_RECORD_LOST
)

// NewPerfBuffer makes a buffer with room for size bytes of records, a power of
// two.
func NewPerfBuffer(cpu int, size uint32) (*PerfBuffer, error) {
	if size < pageSize || size&(size-1) != 0 {
		return nil, errno.Errorf(errno.EINVAL, "a perf buffer of %d bytes: the size must be a power of two from %d", size, pageSize)
	}
	return &PerfBuffer{cpu: cpu, wake: make(chan struct{}, 1), ring: make([]byte, size)}, nil
}

// ID implements [Object]; events have no ids.
func (p *PerfBuffer) ID() uint32 { return 0 }

// Put implements [Object]. What was written can still be read.
func (p *PerfBuffer) Put() {}

// Output implements [PerfObject].
func (p *PerfBuffer) Output(cpu int, data, tail []byte) errno.Errno {
	if cpu != p.cpu {
		return errno.EOPNOTSUPP
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	total := roundUp(uint64(len(data)+len(tail))+perfHeader, 8)
	want := total
	if p.lost != 0 {
		want += perfLost
	}
	if uint64(len(p.ring))-1-(p.head-p.tail) < want {
		p.lost++
		return errno.ENOSPC
	}
	rec := perfRecord{at: p.head, size: total - perfHeader, total: want, lost: p.lost}
	p.write(rec.at, data)
	p.write(rec.at+uint64(len(data)), tail)
	for i := uint64(len(data) + len(tail)); i < rec.size; i++ {
		p.ring[(rec.at+i)&p.mask()] = 0
	}
	if len(p.recs) == cap(p.recs) && p.next > 0 { // the reader never quite catches up
		p.recs, p.next = p.recs[:copy(p.recs, p.recs[p.next:])], 0
	}
	p.recs = append(p.recs, rec)
	p.head, p.lost = p.head+want, 0
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return 0
}

func (p *PerfBuffer) mask() uint64 { return uint64(len(p.ring)) - 1 }

func (p *PerfBuffer) write(at uint64, b []byte) {
	n := copy(p.ring[at&p.mask():], b)
	copy(p.ring, b[n:])
}

// Wait returns a channel that gets a value when there is something to read.
func (p *PerfBuffer) Wait() <-chan struct{} { return p.wake }

// Read hands over the samples that are there, oldest first, and how many were
// lost before each. As in the kernel's records, the data is padded with zeros
// to four bytes less than a multiple of eight. data is valid during the call.
func (p *PerfBuffer) Read(visit func(data []byte, lost uint64)) (n int) {
	p.reading.Lock()
	defer p.reading.Unlock()
	var buf []byte
	for {
		rec, ok := p.pop(&buf)
		if !ok {
			return n
		}
		visit(buf, rec.lost)
		n++
	}
}

// pop copies the oldest sample to buf and frees its room.
func (p *PerfBuffer) pop(buf *[]byte) (rec perfRecord, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == len(p.recs) {
		return rec, false
	}
	rec = p.recs[p.next]
	if p.next++; p.next == len(p.recs) {
		p.recs, p.next = p.recs[:0], 0
	}
	at := rec.at & p.mask()
	head := p.ring[at:min(at+rec.size, uint64(len(p.ring)))]
	*buf = append(append((*buf)[:0], head...), p.ring[:rec.size-uint64(len(head))]...)
	p.tail += rec.total
	return rec, true
}

// Lost is how many samples were lost since the last that had room.
func (p *PerfBuffer) Lost() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}
