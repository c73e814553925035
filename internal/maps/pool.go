package maps

import (
	"sync/atomic"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// pool hands out the elements of a hash table and takes them back. Free elements
// wait in lists, one for each CPU and one for system calls, and are reused at
// once: a program that still looks at a deleted element may see it change into
// another, as in Linux.
//
// A preallocated table has a block of elements, of which those that were never
// used are handed out when the lists are empty. Otherwise elements come from the
// region as they are needed, and lists that grow long are given back.
type pool struct {
	b     *base
	elem  uint64 // size of an element
	lists uint64 // address of the lists
	n     int    // number of lists

	block uint64 // preallocated elements; 0: none
	limit uint32
	fresh atomic.Uint32 // elements of the block that were handed out

	live atomic.Int64 // elements in use, where not preallocated

	// values are per-CPU values that elements point to; size 0: none.
	values   percpu
	valOff   uint64 // where an element holds the address of its values
	valBlock uint64 // of preallocated elements
}

// A list is one cache line: head, lock, length, and the spare element with which
// an update replaces another.
const (
	listSize  = 64
	listLock  = 8
	listLen   = 12
	listSpare = 16

	// A list of more than keepMax elements is cut to keepMin.
	keepMin = 32
	keepMax = 96
)

// init makes a pool for t; spares says that each list has a spare element.
func (p *pool) init(t *table, spares bool) (err error) {
	p.b, p.elem, p.n = t.base, t.elem, t.cpus()+1
	if p.lists, err = t.alloc(uint64(p.n)*listSize, 64); err != nil {
		return err
	}
	if t.spec.Flags&uapi.BPF_F_NO_PREALLOC != 0 {
		p.values.stride = roundUp(p.values.size, 64)
		return nil
	}
	n := uint64(t.spec.MaxEntries)
	if spares {
		n += uint64(p.n)
	}
	p.limit = uint32(n)
	if p.block, err = p.carve(n * p.elem); err != nil {
		return err
	}
	if p.values.size != 0 {
		p.values.stride = roundUp(n*p.values.size, 64)
		if p.valBlock, err = p.carve(p.values.stride * p.values.cpus); err != nil {
			return err
		}
	}
	for i := 0; spares && i < p.n; i++ {
		mem.Store64(p.list(i)+listSpare, p.takeFresh())
	}
	return nil
}

func (p *pool) carve(size uint64) (uint64, error) {
	if size > p.b.m.Region.Size() {
		return 0, errno.Errorf(errno.ENOMEM, "%d bytes of elements do not fit the memory of this kernel", size)
	}
	return p.b.alloc(size, 64)
}

func (p *pool) list(slot int) uint64 { return p.lists + uint64(slot)*listSize }

// takeFresh takes an element of the block that was never used, 0 if none is
// left.
func (p *pool) takeFresh() uint64 {
	for {
		i := p.fresh.Load()
		if i == p.limit {
			return 0
		}
		if p.fresh.CompareAndSwap(i, i+1) {
			e := p.block + uint64(i)*p.elem
			if p.values.size != 0 {
				mem.Store64(e+p.valOff, p.valBlock+uint64(i)*p.values.size)
			}
			return e
		}
	}
}

func (p *pool) pop(slot int) uint64 {
	l := p.list(slot)
	if mem.Atomic64(l).Load() == 0 {
		return 0
	}
	SpinLock(l + listLock)
	e := mem.Load64(l)
	if e != 0 {
		mem.Atomic64(l).Store(mem.Load64(e + elemFree))
		mem.Store32(l+listLen, mem.Load32(l+listLen)-1)
	}
	SpinUnlock(l + listLock)
	return e
}

// get takes an element for a new key. ENOENT is never returned: E2BIG says that
// the map is full, ENOMEM that the region is.
func (p *pool) get(slot int) (uint64, errno.Errno) {
	if p.block == 0 {
		return p.getLive(slot, false)
	}
	if e := p.pop(slot); e != 0 {
		return e, 0
	}
	if e := p.takeFresh(); e != 0 {
		return e, 0
	}
	for i := range p.n {
		if e := p.pop((slot + i) % p.n); e != 0 {
			return e, 0
		}
	}
	return 0, errno.E2BIG
}

// getLive takes an element from a list or the region. replacing: an old element
// will be given back, so a full map is no obstacle.
func (p *pool) getLive(slot int, replacing bool) (uint64, errno.Errno) {
	if p.live.Add(1) > int64(p.b.spec.MaxEntries) && !replacing {
		p.live.Add(-1)
		return 0, errno.E2BIG
	}
	if e := p.pop(slot); e != 0 {
		return e, 0
	}
	e, err := p.b.m.Region.Alloc(p.elem, 8)
	if err == nil && p.values.size != 0 {
		var v uint64
		if v, err = p.b.m.Region.Alloc(p.values.stride*p.values.cpus, 64); err == nil {
			mem.Store64(e+p.valOff, v)
		} else {
			p.b.m.Region.Free(e)
		}
	}
	if err != nil {
		p.live.Add(-1)
		return 0, errno.ENOMEM
	}
	return e, 0
}

// exchange takes an element that will replace old. The caller owns slot.
func (p *pool) exchange(slot int, old uint64) (uint64, errno.Errno) {
	if p.block == 0 {
		return p.getLive(slot, true)
	}
	spare := p.list(slot) + listSpare
	e := mem.Load64(spare)
	mem.Store64(spare, old)
	return e, 0
}

// replaced takes back the element that exchange was called for.
func (p *pool) replaced(slot int, old uint64) {
	if p.block == 0 {
		p.put(slot, old)
	}
}

// put takes an element back.
func (p *pool) put(slot int, e uint64) {
	if p.block == 0 {
		p.live.Add(-1)
	}
	l := p.list(slot)
	SpinLock(l + listLock)
	mem.Store64(e+elemFree, mem.Load64(l))
	mem.Atomic64(l).Store(e)
	n := mem.Load32(l+listLen) + 1
	mem.Store32(l+listLen, n)
	cut := uint64(0)
	if p.block == 0 && n > keepMax {
		cut = p.cut(l)
	}
	SpinUnlock(l + listLock)
	if cut != 0 {
		p.b.m.Defer(func() { p.freeAll(cut) })
	}
}

// cut shortens a list to the keepMin elements that were put last, and returns
// the rest.
func (p *pool) cut(l uint64) uint64 {
	e := mem.Load64(l)
	for range keepMin - 1 {
		e = mem.Load64(e + elemFree)
	}
	rest := mem.Load64(e + elemFree)
	mem.Store64(e+elemFree, 0)
	mem.Store32(l+listLen, keepMin)
	return rest
}

// freeAll gives a list of elements back to the region.
func (p *pool) freeAll(e uint64) {
	for e != 0 {
		after := mem.Load64(e + elemFree)
		p.freeOne(e)
		e = after
	}
}

func (p *pool) freeOne(e uint64) {
	if p.values.size != 0 {
		p.b.m.Region.Free(mem.Load64(e + p.valOff))
	}
	p.b.m.Region.Free(e)
}

// release gives back what waits in the lists. Preallocated memory goes with the
// map.
func (p *pool) release() {
	if p.block != 0 {
		return
	}
	for i := range p.n {
		p.freeAll(mem.Load64(p.list(i)))
	}
}
