// Package object is the life of what bpf(2) makes: ids, reference counts, file
// descriptors, tasks and their credentials. What a program or a map does is the
// matter of other packages; that it exists exactly as long as Linux lets it
// exist is the matter of this one.
//
// Lock order: Task.mu, then Registry.mu. Release functions run with neither.
package object

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
)

// Kind is what an object is; ids count separately for each kind.
type Kind uint8

// Kinds of objects.
const (
	KindProg Kind = iota
	KindMap
	KindBTF
	KindLink

	numKinds
)

// String is the name that bpftool uses.
func (k Kind) String() string { return [...]string{"prog", "map", "btf", "link"}[k] }

// Object is anything with an id. Types embed [Header].
type Object interface{ Head() *Header }

// Header counts references to an object and gives it an id. References are
// held by fds, pins, other objects and running calls; those of fds and pins are
// also user references, whose end has effects of its own on maps (bpf_map_put
// and bpf_map_put_uref).
type Header struct {
	Kind Kind
	ID   uint32

	refs, user  atomic.Int32
	registry    *Registry
	release     func()
	releaseUser func()
	made        []uintptr
}

// Head implements [Object].
func (h *Header) Head() *Header { return h }

// OnUserRelease sets what happens when the last fd and the last pin are gone
// while the object may live on.
func (h *Header) OnUserRelease(f func()) { h.releaseUser = f }

// Get takes another reference; the caller must hold one.
func (h *Header) Get() { h.refs.Add(1) }

// TryGet takes a reference unless the last one is gone already.
func (h *Header) TryGet() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Put drops a reference. With the last one the id disappears and the object is
// released.
func (h *Header) Put() {
	switch n := h.refs.Add(-1); {
	case n > 0:
	case n == 0:
		h.registry.remove(h)
		if h.release != nil {
			h.release()
		}
	default:
		panic(fmt.Sprintf("object: %v %d was released more often than it was held", h.Kind, h.ID))
	}
}

// GetUser takes a reference for an fd or a pin.
func (h *Header) GetUser() {
	h.Get()
	h.user.Add(1)
}

// PutUser drops what GetUser took.
func (h *Header) PutUser() {
	if h.user.Add(-1) == 0 && h.releaseUser != nil {
		h.releaseUser()
	}
	h.Put()
}

// Refs is the number of references, for tests and leak reports.
func (h *Header) Refs() int { return int(h.refs.Load()) }

// Made says where the object was made, one frame a line; empty unless the
// registry tracks origins.
func (h *Header) Made() string { return stack(h.made) }

func callers() []uintptr {
	pc := make([]uintptr, 32)
	return pc[:runtime.Callers(3, pc)]
}

func stack(pc []uintptr) string {
	if len(pc) == 0 {
		return ""
	}
	var b strings.Builder
	frames := runtime.CallersFrames(pc)
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, "\t%s\n\t\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}
