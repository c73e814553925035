package object

import (
	"sync/atomic"
)

// Access is what may be done through a file.
type Access uint8

// Access modes, as the kernel's FMODE_CAN_READ and FMODE_CAN_WRITE.
const (
	AccessRead Access = 1 << iota
	AccessWrite
	AccessBoth = AccessRead | AccessWrite
)

// File is an open file: what an fd refers to. Fds that were duplicated share
// one.
type File struct {
	Object Object // nil for files that are no object (statistics switch)
	Name   string // "bpf-prog", as in /proc/PID/fd
	Access Access
	Dir    string // path, for a directory of bpffs
	Data   any    // what a special file stands for: a perf event's buffer

	onClose  func()
	refs     atomic.Int32
	registry *Registry
	made     []uintptr
}

// Open makes a file that holds a user reference to o.
func (r *Registry) Open(o Object, access Access) *File {
	o.Head().GetUser()
	return r.file(&File{Object: o, Name: "bpf-" + o.Head().Kind.String(), Access: access,
		onClose: o.Head().PutUser})
}

// OpenSpecial makes a file that is no object; onClose, if any, runs with its
// last fd.
func (r *Registry) OpenSpecial(name string, data any, onClose func()) *File {
	return r.file(&File{Name: name, Access: AccessBoth, Data: data, onClose: onClose})
}

// OpenDir makes a file for a directory of the bpf file system.
func (r *Registry) OpenDir(path string) *File {
	return r.file(&File{Name: "directory", Access: AccessRead, Dir: path})
}

func (r *Registry) file(f *File) *File {
	f.refs.Store(1)
	f.registry = r
	if r.TrackOrigins {
		f.made = callers()
		r.mu.Lock()
		if r.open == nil {
			r.open = map[*File]struct{}{}
		}
		r.open[f] = struct{}{}
		r.mu.Unlock()
	}
	return f
}

func (f *File) kind() string {
	if f.Object != nil {
		return f.Object.Head().Kind.String()
	}
	return f.Name
}

// Close drops one reference to the file.
func (f *File) Close() {
	if f.refs.Add(-1) != 0 {
		return
	}
	if f.registry.TrackOrigins {
		f.registry.mu.Lock()
		delete(f.registry.open, f)
		f.registry.mu.Unlock()
	}
	if f.onClose != nil {
		f.onClose()
	}
}
