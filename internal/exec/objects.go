package exec

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// objects is the table of Go objects that off-heap memory names by number. It
// grows by chunks, each twice as large as the one before, that never move: a
// lookup needs no lock, and adding an object copies nothing.
//
// A slot is written before anybody knows its number and cleared when nobody can
// know it any more, a grace period after the object was dropped; hence plain
// words.
type objects struct {
	chunks [numChunks]atomic.Pointer[[]any]
	// published counts what was made visible to programs: a lookup that reads it
	// sees all that was written before it was counted.
	published atomic.Uint64

	mu   sync.Mutex
	next uint32 // first number that was never given out
	free []uint32
}

// Chunk k has firstChunk<<k slots, so that all of them together have a number
// for every uint32 but the few that the rounding takes.
const (
	firstChunkBits = 6
	firstChunk     = 1 << firstChunkBits
	numChunks      = 32 - firstChunkBits
)

// place says where a number's slot is.
func place(h uint32) (chunk int, slot uint64) {
	at := uint64(h) + firstChunk
	chunk = bits.Len64(at) - firstChunkBits - 1
	return chunk, at - firstChunk<<chunk
}

func (o *objects) get(h uint32) any {
	chunk, slot := place(h)
	if chunk >= numChunks {
		return nil
	}
	o.published.Load()
	c := o.chunks[chunk].Load()
	if c == nil {
		return nil
	}
	return (*c)[slot]
}

// add gives v a number, one that came back if there is any.
func (o *objects) add(v any) uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.next
	if n := len(o.free); n > 0 {
		h, o.free = o.free[n-1], o.free[:n-1]
	} else {
		h = max(h, 1)
		o.next = h + 1
	}
	chunk, slot := place(h)
	c := o.chunks[chunk].Load()
	if c == nil {
		made := make([]any, firstChunk<<chunk)
		c = &made
		o.chunks[chunk].Store(c)
	}
	(*c)[slot] = v
	return h
}

// remove clears a number's slot and keeps the number for reuse.
func (o *objects) remove(h uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	chunk, slot := place(h)
	(*o.chunks[chunk].Load())[slot] = nil
	o.free = append(o.free, h)
}

// size is how many numbers are in use, and how many were ever given out.
func (o *objects) size() (used, known int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known = int(max(o.next, 1)) - 1
	return known - len(o.free), known
}
