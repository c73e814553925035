package mem

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
)

// DefaultLimit is the address space that a region reserves when the caller
// does not say. Only pages that are touched cost memory.
const DefaultLimit = defaultLimit

const (
	pageShift = 12
	pageSize  = 1 << pageShift
	// spanPages is how many pages a span of small slots has.
	spanPages = 16
	// maxSmall is the largest allocation that shares a span with others.
	maxSmall = 8 << 10
)

// Region is one reserved range of addresses off the Go heap. Everything that a
// program may point to lies in the region of its kernel, so one comparison
// tells whether an address can be read at all.
//
// A Region is safe for concurrent use.
type Region struct {
	base, size uint64
	release    func() error

	mu    sync.RWMutex
	small []*chunk // spans of small slots, by page
	large []*span  // spans of one slot, in order of address
	next  uint64   // first page never handed out
	free  []run    // page runs that were handed out and came back
	class map[uint64][]*span
	used  uint64
	peak  uint64
}

// run is a range of free pages.
type run struct{ first, n uint64 }

// chunk finds the spans of small slots in a range of pages, nil where there are
// none.
type chunk [chunkPages]*span

const chunkPages = 512

// span is a run of pages cut into slots of one size; a large allocation is a
// span of one slot.
type span struct {
	run
	slot  uint64
	asked []uint32 // bytes asked for in each slot; 0: free
	large uint64   // bytes asked for, when the span is one large slot
	vacnt int
	// Free slots are those in back, and all from virgin on.
	back   []uint16
	virgin int
}

// Block is one live allocation.
type Block struct{ Addr, Size uint64 }

// NewRegion reserves limit bytes of address space; 0 takes [DefaultLimit].
// When the host refuses so much, smaller reservations are tried down to
// 16 MiB.
func NewRegion(limit uint64) (*Region, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	limit = (limit + pageSize - 1) &^ (pageSize - 1)
	var err error
	for size := limit; size >= 16<<20 || size == limit; size /= 2 {
		var base uint64
		var release func() error
		if base, release, err = reserve(size); err == nil {
			return &Region{base: base, size: size, release: release, class: map[uint64][]*span{}}, nil
		}
	}
	return nil, fmt.Errorf("reserving %d bytes of address space for program memory: %w", limit, err)
}

// Close returns the whole range to the host. No address of the region may be
// used afterwards.
func (r *Region) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.release == nil {
		return nil
	}
	rel := r.release
	r.release, r.small, r.large, r.free, r.class = nil, nil, nil, nil, nil
	return rel()
}

// Base is the first address of the range, Size its length in bytes.
func (r *Region) Base() uint64 { return r.base }

// Size is the length of the reserved range in bytes.
func (r *Region) Size() uint64 { return r.size }

// Used is the number of bytes in live allocations.
func (r *Region) Used() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.used
}

// Contains says whether the n bytes at addr are inside the range (allocated or
// not: reading them does not fault).
func (r *Region) Contains(addr, n uint64) bool {
	off := addr - r.base
	return off < r.size && n <= r.size-off
}

// Alloc returns size zeroed bytes aligned to align (a power of two up to a
// page; 0 means 8). It fails with ENOMEM when the range is exhausted.
func (r *Region) Alloc(size, align uint64) (uint64, error) {
	if size == 0 {
		size = 1
	}
	slot := slotSize(size, align)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.release == nil {
		return 0, errno.Errorf(errno.ENODEV, "the memory region is closed")
	}
	var addr uint64
	var err error
	if slot <= maxSmall {
		addr, err = r.allocSmall(size, slot)
	} else {
		addr, err = r.allocLarge(size)
	}
	if err != nil {
		return 0, err
	}
	r.used += size
	r.peak = max(r.peak, r.used)
	return addr, nil
}

// slotSize rounds to four steps a power of two, so that at most a quarter is
// lost and every slot keeps the alignment that was asked for.
func slotSize(size, align uint64) uint64 {
	align = max(align, 8)
	step := uint64(16)
	for step*8 <= size {
		step *= 2
	}
	step = max(step, align)
	return (size + step - 1) &^ (step - 1)
}

func (r *Region) allocSmall(size, slot uint64) (uint64, error) {
	list := r.class[slot]
	if len(list) == 0 {
		s, err := r.takePages(spanPages)
		if err != nil {
			return 0, err
		}
		s.slot = slot
		s.vacnt = int(spanPages * pageSize / slot)
		s.asked = make([]uint32, s.vacnt)
		for p := range uint64(spanPages) {
			*r.page(s.first + p) = s
		}
		list = append(list, s)
		r.class[slot] = list
	}
	s := list[len(list)-1]
	i := s.takeSlot()
	s.asked[i] = uint32(size)
	if s.vacnt--; s.vacnt == 0 {
		r.class[slot] = list[:len(list)-1]
	}
	addr := r.base + s.first<<pageShift + uint64(i)*slot
	clear(Bytes(addr, slot))
	return addr, nil
}

// takeSlot chooses a free slot: the one that came back last, which is most
// likely in a cache, else the first that was never used.
func (s *span) takeSlot() int {
	if n := len(s.back); n > 0 {
		i := s.back[n-1]
		s.back = s.back[:n-1]
		return int(i)
	}
	s.virgin++
	return s.virgin - 1
}

func (r *Region) allocLarge(size uint64) (uint64, error) {
	if size > r.size {
		return 0, errno.Errorf(errno.ENOMEM, "%d bytes do not fit the region of %d", size, r.size)
	}
	s, err := r.takePages((size + pageSize - 1) >> pageShift)
	if err != nil {
		return 0, err
	}
	s.slot, s.large = s.n<<pageShift, size
	at, _ := r.searchLarge(s.first)
	r.large = slices.Insert(r.large, at, s)
	return r.base + s.first<<pageShift, nil
}

// takePages finds n pages, zeroed, first fit.
func (r *Region) takePages(n uint64) (*span, error) {
	for i, f := range r.free {
		if f.n < n {
			continue
		}
		if f.n == n {
			r.free = append(r.free[:i], r.free[i+1:]...)
		} else {
			r.free[i] = run{f.first + n, f.n - n}
		}
		return &span{run: run{f.first, n}}, nil
	}
	if n > r.size>>pageShift-r.next {
		return nil, errno.Errorf(errno.ENOMEM, "the region of %d bytes is exhausted", r.size)
	}
	if err := commit(r.base+r.next<<pageShift, n<<pageShift); err != nil {
		return nil, errno.Errorf(errno.ENOMEM, "the host refused memory: %v", err)
	}
	first := r.next
	r.next += n
	return &span{run: run{first, n}}, nil
}

// page is where the span of small slots on a page is noted.
func (r *Region) page(n uint64) **span {
	for uint64(len(r.small)) <= n/chunkPages {
		r.small = append(r.small, nil)
	}
	c := r.small[n/chunkPages]
	if c == nil {
		c = new(chunk)
		r.small[n/chunkPages] = c
	}
	return &c[n%chunkPages]
}

// searchLarge finds the large span that starts at a page, or the place for it.
func (r *Region) searchLarge(first uint64) (int, bool) {
	return slices.BinarySearchFunc(r.large, first, func(s *span, first uint64) int { return cmp.Compare(s.first, first) })
}

// spanAt is the span that a page belongs to, nil if it is free.
func (r *Region) spanAt(page uint64) *span {
	if n := page / chunkPages; n < uint64(len(r.small)) && r.small[n] != nil {
		if s := r.small[n][page%chunkPages]; s != nil {
			return s
		}
	}
	at, found := r.searchLarge(page)
	if !found {
		at--
	}
	if at < 0 || page >= r.large[at].first+r.large[at].n {
		return nil
	}
	return r.large[at]
}

// Free gives back an allocation by the address that Alloc returned. Any other
// address is a bug in skep and panics.
func (r *Region) Free(addr uint64) {
	if addr == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.release == nil {
		return
	}
	s, i, ok := r.find(addr)
	if !ok || r.base+s.first<<pageShift+i*s.slot != addr {
		panic(fmt.Sprintf("mem: free of %#x, which is no live allocation", addr))
	}
	if s.large != 0 {
		r.used -= s.large
		r.dropSpan(s)
		return
	}
	r.used -= uint64(s.asked[i])
	s.asked[i] = 0
	s.back = append(s.back, uint16(i))
	if s.vacnt++; s.vacnt == 1 {
		r.class[s.slot] = append(r.class[s.slot], s)
	}
	if s.vacnt == len(s.asked) && len(r.class[s.slot]) > 1 {
		r.dropSmallSpan(s)
	}
}

func (r *Region) dropSmallSpan(s *span) {
	list := r.class[s.slot]
	for i := range list {
		if list[i] == s {
			r.class[s.slot] = append(list[:i], list[i+1:]...)
			break
		}
	}
	r.dropSpan(s)
}

// dropSpan returns the span's pages, zeroed, to the free runs and joins
// neighbours.
func (r *Region) dropSpan(s *span) {
	zero(r.base+s.first<<pageShift, s.n<<pageShift)
	if at, ok := r.searchLarge(s.first); ok {
		r.large = slices.Delete(r.large, at, at+1)
	} else {
		for p := range s.n {
			*r.page(s.first + p) = nil
		}
	}
	merged := s.run
	kept := r.free[:0]
	for _, f := range r.free {
		switch {
		case f.first+f.n == merged.first:
			merged = run{f.first, f.n + merged.n}
		case merged.first+merged.n == f.first:
			merged.n += f.n
		default:
			kept = append(kept, f)
		}
	}
	r.free = append(kept, merged)
}

func (r *Region) find(addr uint64) (s *span, slot uint64, ok bool) {
	off := addr - r.base
	if off >= r.size {
		return nil, 0, false
	}
	if s = r.spanAt(off >> pageShift); s == nil {
		return nil, 0, false
	}
	slot = (off - s.first<<pageShift) / s.slot
	if s.large != 0 {
		return s, 0, true
	}
	return s, slot, slot < uint64(len(s.asked)) && s.asked[slot] != 0
}

// Find returns the live allocation that addr lies in. The checking interpreter
// asks it for every access.
func (r *Region) Find(addr uint64) (Block, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, i, ok := r.find(addr)
	if !ok {
		return Block{}, false
	}
	start := r.base + s.first<<pageShift + i*s.slot
	size := s.large
	if size == 0 {
		size = uint64(s.asked[i])
	}
	return Block{start, size}, addr-start < size
}
