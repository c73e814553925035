package maps

import (
	"sync"

	"github.com/skep-ebpf/skep/internal/mem"
)

// lru decides which element of an LRU hash map makes room. It follows Linux
// closely enough (bpf_lru_list.c) that a run on one CPU evicts the same keys.
//
// Elements in use are on an active or an inactive list, new ones on the pending
// list of the CPU that made them. A lookup by a program only sets the element's
// reference mark. When a CPU has no free element it moves its pending ones to
// the shared lists, ages these, and takes a batch of free or unreferenced
// elements for itself. With BPF_F_NO_COMMON_LRU each CPU has lists and elements
// of its own instead.
type lru struct {
	// evict takes an element out of the hash table; false: it is not in it.
	evict func(e uint64) bool
	elem  uint64 // size of an element
	scans int    // elements looked at in one step

	shared lruList
	local  []lruLocal
	target int // elements that a CPU takes at a time

	perCPU []lruList // BPF_F_NO_COMMON_LRU; nil: shared and local are used
}

// Where an element is (its elemType).
const (
	lruActive = iota
	lruInactive
	lruFree
	lruLocalFree
	lruPending
)

// Linux's numbers for shared and per-CPU lists.
const (
	lruSharedScans  = 128 // LOCAL_NR_SCANS
	lruSharedTarget = 128 // LOCAL_FREE_TARGET
	lruPerCPUScans  = 4   // PERCPU_NR_SCANS
	lruPerCPUTarget = 4   // PERCPU_FREE_TARGET
)

// lruList is an active, an inactive and a free list.
type lruList struct {
	mu     sync.Mutex
	heads  [3]ring // by elemType
	counts [3]int
	// hand is where the next ageing of the inactive list starts: an element, or
	// the list's head.
	hand uint64
	// fresh and end are elements never used; they count as free.
	fresh, end uint64
}

// lruLocal has the elements that a CPU keeps at hand.
type lruLocal struct {
	mu            sync.Mutex
	free, pending ring
	steal         int // CPU to steal from next
}

// ring is the address of the head of a doubly linked list of elements. The head
// looks like an element as far as its links go.
type ring uint64

func (r ring) init() ring {
	setLinks(uint64(r), uint64(r), uint64(r))
	return r
}

func prevLRU(e uint64) uint64 { return mem.Load64(e + elemPrevLRU) }
func nextLRU(e uint64) uint64 { return mem.Load64(e + elemNextLRU) }

func setLinks(e, prev, next uint64) {
	mem.Store64(e+elemPrevLRU, prev)
	mem.Store64(e+elemNextLRU, next)
}

// push puts an element in front.
func (r ring) push(e uint64) {
	first := nextLRU(uint64(r))
	setLinks(e, uint64(r), first)
	mem.Store64(first+elemPrevLRU, e)
	mem.Store64(uint64(r)+elemNextLRU, e)
}

func detach(e uint64) {
	prev, next := prevLRU(e), nextLRU(e)
	mem.Store64(prev+elemNextLRU, next)
	mem.Store64(next+elemPrevLRU, prev)
}

func (r ring) empty() bool   { return nextLRU(uint64(r)) == uint64(r) }
func (r ring) first() uint64 { return nextLRU(uint64(r)) }

// backwards calls visit for each element from the last to the first until it
// returns false. visit may move the element that it is at.
func (r ring) backwards(visit func(e uint64) bool) {
	for e := prevLRU(uint64(r)); e != uint64(r); {
		before := prevLRU(e)
		if !visit(e) {
			return
		}
		e = before
	}
}

func referenced(e uint64) bool { return mem.Load8(e+elemRef) != 0 }
func clearRef(e uint64)        { mem.Store8(e+elemRef, 0) }

// setRef marks an element as used. Most already are, and stay in the caches of
// other CPUs.
func setRef(e uint64) {
	if !referenced(e) {
		mem.Store8(e+elemRef, 1)
	}
}

func lruType(e uint64) int       { return int(mem.Load8(e + elemType)) }
func setLRUType(e uint64, t int) { mem.Store8(e+elemType, uint64(t)) }

// init divides the elements from first to end; heads has room for lruHeads.
func (l *lru) init(cpus int, common bool, heads, first, elem, n uint64) {
	l.elem = elem
	next := func() ring {
		heads += elemHeadLRU
		return ring(heads - elemHeadLRU).init()
	}
	if !common {
		l.scans = lruPerCPUScans
		l.perCPU = make([]lruList, cpus)
		share := n / uint64(cpus) * elem
		for i := range l.perCPU {
			l.perCPU[i].init(next, first, first+share)
			first += share
		}
		return
	}
	l.scans = lruSharedScans
	l.target = int(min(max(n/uint64(cpus)/2, 1), lruSharedTarget))
	l.shared.init(next, first, first+n*elem)
	l.local = make([]lruLocal, cpus)
	for i := range l.local {
		l.local[i].free, l.local[i].pending, l.local[i].steal = next(), next(), i
	}
}

// lruHeads is how many list heads init needs.
func lruHeads(cpus int) uint64 { return 3 + 3*uint64(cpus) }

func (l *lruList) init(next func() ring, fresh, end uint64) {
	for i := range l.heads {
		l.heads[i] = next()
	}
	l.hand = uint64(l.heads[lruInactive])
	l.fresh, l.end = fresh, end
}

// take makes an element of this list's own, free of it: the hand moves on.
func (l *lruList) take(e uint64) {
	if e == l.hand {
		l.hand = prevLRU(e)
	}
	l.counts[lruType(e)]--
	detach(e)
}

// put puts an element that is on no list into one of this.
func (l *lruList) put(e uint64, t int) {
	l.counts[t]++
	setLRUType(e, t)
	clearRef(e)
	l.heads[t].push(e)
}

func (l *lruList) move(e uint64, to int) {
	l.take(e)
	l.put(e, to)
}

// takeFresh makes an element that was never used free, if there is one.
func (l *lruList) takeFresh(size uint64) bool {
	if l.fresh == l.end {
		return false
	}
	l.put(l.fresh, lruFree)
	l.fresh += size
	return true
}

// age mirrors __bpf_lru_list_rotate.
func (l *lruList) age(scans int) {
	if l.counts[lruInactive] < l.counts[lruActive] {
		l.ageActive(scans)
	}
	l.ageInactive(scans)
}

// ageActive gives referenced elements at the end of the active list another
// round, and moves the others to the inactive list.
func (l *lruList) ageActive(scans int) {
	first := l.heads[lruActive].first()
	n := 0
	l.heads[lruActive].backwards(func(e uint64) bool {
		to := lruInactive
		if referenced(e) {
			to = lruActive
		}
		l.move(e, to)
		n++
		return n < scans && e != first
	})
}

// ageInactive goes on from where it stopped and moves referenced elements to
// the active list; the others wait for eviction.
func (l *lruList) ageInactive(scans int) {
	head := l.heads[lruInactive]
	if head.empty() {
		return
	}
	last := nextLRU(l.hand)
	if last == uint64(head) {
		last = nextLRU(last)
	}
	stop := uint64(head)
	for e, n := l.hand, 0; n < scans; n++ {
		if e == uint64(head) {
			e = prevLRU(e)
		}
		stop = prevLRU(e)
		if referenced(e) {
			l.move(e, lruActive)
		}
		if e == last {
			break
		}
		e = stop
	}
	l.hand = stop
}

// shrink evicts up to want elements and hands them to free; if all are
// referenced one of them, all the same (__bpf_lru_list_shrink).
func (l *lruList) shrink(lru *lru, want int, free func(e uint64)) {
	got, n := 0, 0
	l.heads[lruInactive].backwards(func(e uint64) bool {
		if referenced(e) {
			l.move(e, lruActive)
		} else if lru.evict(e) {
			l.take(e)
			free(e)
			if got++; got == want {
				return false
			}
		}
		n++
		return n < lru.scans
	})
	if got != 0 {
		return
	}
	from := l.heads[lruInactive]
	if from.empty() {
		from = l.heads[lruActive]
	}
	from.backwards(func(e uint64) bool {
		if !lru.evict(e) {
			return true
		}
		l.take(e)
		free(e)
		return false
	})
}

// get takes an element for a key with this hash, 0 if every one is being
// inserted by somebody else. The caller links it or gives it back.
func (l *lru) get(cpu int, hash uint32) uint64 {
	if l.perCPU != nil {
		return l.getPerCPU(cpu, hash)
	}
	own := &l.local[cpu]
	own.mu.Lock()
	e := own.popFree()
	if e == 0 {
		l.refill(own)
		e = own.popFree()
	}
	if e != 0 {
		own.pend(e, cpu, hash)
	}
	own.mu.Unlock()
	if e != 0 {
		return e
	}
	return l.stealFor(own, cpu, hash)
}

// stealFor takes an element from what any CPU keeps at hand, its own first.
func (l *lru) stealFor(own *lruLocal, cpu int, hash uint32) (e uint64) {
	own.mu.Lock()
	from := own.steal
	own.mu.Unlock()
	for range l.local {
		victim := &l.local[from]
		victim.mu.Lock()
		if e = victim.popFree(); e == 0 {
			e = victim.popPending(l)
		}
		victim.mu.Unlock()
		if from++; from == len(l.local) {
			from = 0
		}
		if e != 0 {
			break
		}
	}
	own.mu.Lock()
	own.steal = from
	if e != 0 {
		own.pend(e, cpu, hash)
	}
	own.mu.Unlock()
	return e
}

// refill gets free elements for a CPU (bpf_lru_list_pop_free_to_local).
func (l *lru) refill(own *lruLocal) {
	s := &l.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	own.pending.backwards(func(e uint64) bool {
		detach(e)
		if referenced(e) {
			s.put(e, lruActive)
		} else {
			s.put(e, lruInactive)
		}
		return true
	})
	s.age(l.scans)
	keep := func(e uint64) {
		setLRUType(e, lruLocalFree)
		own.free.push(e)
	}
	n := 0
	for n < l.target && (!s.heads[lruFree].empty() || s.takeFresh(l.elem)) {
		e := s.heads[lruFree].first()
		s.take(e)
		keep(e)
		n++
	}
	if n < l.target {
		s.shrink(l, l.target-n, keep)
	}
}

func (o *lruLocal) popFree() uint64 {
	if o.free.empty() {
		return 0
	}
	e := o.free.first()
	detach(e)
	return e
}

// popPending evicts the oldest element that is not referenced, else the oldest.
func (o *lruLocal) popPending(l *lru) (got uint64) {
	for _, force := range []bool{false, true} {
		o.pending.backwards(func(e uint64) bool {
			if (force || !referenced(e)) && l.evict(e) {
				detach(e)
				got = e
			}
			return got == 0
		})
		if got != 0 {
			break
		}
	}
	return got
}

func (o *lruLocal) pend(e uint64, cpu int, hash uint32) {
	mem.Store32(e+elemHash, uint64(hash))
	mem.Store16(e+elemCPU, uint64(cpu))
	setLRUType(e, lruPending)
	clearRef(e)
	o.pending.push(e)
}

func (l *lru) getPerCPU(cpu int, hash uint32) uint64 {
	s := &l.perCPU[cpu]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age(l.scans)
	free := s.heads[lruFree]
	if free.empty() && !s.takeFresh(l.elem) {
		s.shrink(l, lruPerCPUTarget, func(e uint64) {
			s.counts[lruFree]++
			setLRUType(e, lruFree)
			free.push(e)
		})
	}
	if free.empty() {
		return 0
	}
	e := free.first()
	mem.Store32(e+elemHash, uint64(hash))
	mem.Store16(e+elemCPU, uint64(cpu))
	s.move(e, lruInactive)
	return e
}

// put takes back an element that is not in the hash table.
func (l *lru) put(e uint64) {
	cpu := mem.Load16(e + elemCPU)
	if l.perCPU != nil {
		s := &l.perCPU[cpu]
		s.mu.Lock()
		s.move(e, lruFree)
		s.mu.Unlock()
		return
	}
	if lruType(e) == lruPending && l.putPending(&l.local[cpu], e) {
		return
	}
	l.shared.mu.Lock()
	l.shared.move(e, lruFree)
	l.shared.mu.Unlock()
}

// putPending fails when the element has just been moved to the shared lists.
func (l *lru) putPending(own *lruLocal, e uint64) bool {
	own.mu.Lock()
	defer own.mu.Unlock()
	if lruType(e) != lruPending {
		return false
	}
	detach(e)
	setLRUType(e, lruLocalFree)
	clearRef(e)
	own.free.push(e)
	return true
}
