package object

import (
	"math"
	"slices"
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
)

// Registry holds the objects of one kernel by id.
type Registry struct {
	// TrackOrigins records where each object and fd was made, for leak reports.
	TrackOrigins bool

	mu     sync.RWMutex
	tables [numKinds]table
	open   map[*File]struct{} // with TrackOrigins: files that are open
}

// table is the objects of one kind, ordered by id.
type table struct {
	objects []Object
	last    uint32
}

// Add gives o its id and its first reference, which the caller holds. release
// runs when the last reference goes.
func (r *Registry) Add(o Object, kind Kind, release func()) error {
	h := o.Head()
	h.Kind, h.registry, h.release = kind, r, release
	if r.TrackOrigins {
		h.made = callers()
	}
	h.refs.Store(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.tables[kind]
	id, at, ok := t.next()
	if !ok {
		return errno.Errorf(errno.ENOSPC, "all ids for a %v are taken", kind)
	}
	h.ID, t.last = id, id
	t.objects = slices.Insert(t.objects, at, o)
	return nil
}

// next finds the id that follows the last one given out and is free, wrapping
// at INT_MAX as idr_alloc_cyclic does, and its place in the table.
func (t *table) next() (id uint32, at int, ok bool) {
	if len(t.objects) >= math.MaxInt32-1 {
		return 0, 0, false
	}
	id = t.last + 1
	at = t.search(id)
	for range len(t.objects) + 2 {
		if id >= math.MaxInt32 {
			id, at = 1, 0
		}
		if at == len(t.objects) || t.objects[at].Head().ID != id {
			return id, at, true
		}
		id, at = id+1, at+1
	}
	return 0, 0, false
}

// search is the index of the first object whose id is not below id.
func (t *table) search(id uint32) int {
	at, _ := slices.BinarySearchFunc(t.objects, id, func(o Object, id uint32) int {
		return int(int64(o.Head().ID) - int64(id))
	})
	return at
}

func (r *Registry) remove(h *Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.tables[h.Kind]
	if at := t.search(h.ID); at < len(t.objects) && t.objects[at].Head() == h {
		t.objects = slices.Delete(t.objects, at, at+1)
	}
}

// NextID is the smallest id above start, ENOENT if there is none.
func (r *Registry) NextID(kind Kind, start uint32) (uint32, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := &r.tables[kind]
	if start < math.MaxUint32 {
		if at := t.search(start + 1); at < len(t.objects) {
			return t.objects[at].Head().ID, nil
		}
	}
	return 0, errno.Errorf(errno.ENOENT, "no %v has an id above %d", kind, start)
}

// ByID finds an object and takes a reference for the caller.
func (r *Registry) ByID(kind Kind, id uint32) (Object, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := &r.tables[kind]
	at := t.search(id)
	if at == len(t.objects) || t.objects[at].Head().ID != id || !t.objects[at].Head().TryGet() {
		return nil, errno.Errorf(errno.ENOENT, "no %v has id %d", kind, id)
	}
	return t.objects[at], nil
}

// All is a snapshot of the objects of a kind in order of id. No references are
// taken.
func (r *Registry) All(kind Kind) []Object {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.tables[kind].objects)
}

// Leaks describes every object and open file that is still there.
func (r *Registry) Leaks() []Leak {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []Leak
	for kind := range r.tables {
		for _, o := range r.tables[kind].objects {
			h := o.Head()
			out = append(out, Leak{What: h.Kind.String(), ID: h.ID, Refs: h.Refs(), Made: h.Made()})
		}
	}
	for f := range r.open {
		out = append(out, Leak{What: "fd of " + f.kind(), Made: stack(f.made)})
	}
	return out
}

// Leak is something that should have been released.
type Leak struct {
	What string
	ID   uint32
	Refs int
	Made string // where it was made, one frame a line
}
