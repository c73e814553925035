package object

import (
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Cap is a capability by Linux's number (capabilities(7)).
type Cap uint8

// Capabilities that bpf(2) asks for.
const (
	CapDACOverride Cap = 1
	CapNetAdmin    Cap = 12
	CapSysAdmin    Cap = 21
	CapSysResource Cap = 24
	CapPerfmon     Cap = 38
	CapBPF         Cap = 39
)

// CapSet is a set of capabilities.
type CapSet uint64

// AllCaps is what root has.
const AllCaps CapSet = 1<<41 - 1

// Caps makes a set.
func Caps(caps ...Cap) (s CapSet) {
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// Has says whether the set allows what c allows: CAP_SYS_ADMIN stands in for
// CAP_BPF, CAP_PERFMON and, in bpf(2), CAP_NET_ADMIN (bpf_token_capable).
func (s CapSet) Has(c Cap) bool { return s&(1<<c|1<<CapSysAdmin) != 0 }

// Holds says whether the capability itself is in the set: where CAP_SYS_ADMIN
// stands in for nothing.
func (s CapSet) Holds(c Cap) bool { return s&(1<<c) != 0 }

// Credentials say who a task is.
type Credentials struct {
	UID, GID uint32
	Caps     CapSet
}

// MaxFiles is how many fds a task may have (RLIMIT_NOFILE).
const MaxFiles = 1 << 20

// firstFD is the lowest fd given out: a process has its standard streams.
const firstFD = 3

// Task is who calls bpf(2): credentials, memory and an fd table. It is safe
// for concurrent use.
type Task struct {
	Creds Credentials
	PID   uint32
	Comm  string
	Mem   usermem.Mem

	registry *Registry
	mu       sync.RWMutex
	files    map[int]*File
	low      int // no free fd is below
}

// NewTask makes a task whose objects live in r. It has standard streams, as a
// process has: an fd of 0 that was never set is open, but no object.
func NewTask(r *Registry, creds Credentials, mem usermem.Mem) *Task {
	t := &Task{Creds: creds, Mem: mem, registry: r}
	t.reset()
	return t
}

func (t *Task) reset() {
	t.files, t.low = make(map[int]*File, firstFD), firstFD
	for fd := range firstFD {
		f := &File{Name: "stream", registry: &Registry{}}
		f.refs.Store(1)
		t.files[fd] = f
	}
}

// Install gives the file the lowest free fd. On failure (EMFILE) the file is
// closed.
func (t *Task) Install(f *File) (int, error) {
	t.mu.Lock()
	if len(t.files) >= MaxFiles {
		t.mu.Unlock()
		f.Close()
		return -1, errno.Errorf(errno.EMFILE, "the task has %d open files", MaxFiles)
	}
	defer t.mu.Unlock()
	fd := t.low
	for t.files[fd] != nil {
		fd++
	}
	t.files[fd], t.low = f, fd+1
	return fd, nil
}

// File looks an fd up. The file is held for the caller, who must Close it.
func (t *Task) File(fd int) (*File, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	f := t.files[fd]
	if f == nil {
		return nil, errno.Errorf(errno.EBADF, "fd %d is not open", fd)
	}
	f.refs.Add(1)
	return f, nil
}

// Dup gives the file of fd another fd.
func (t *Task) Dup(fd int) (int, error) {
	f, err := t.File(fd)
	if err != nil {
		return -1, err
	}
	return t.Install(f)
}

// Close closes an fd.
func (t *Task) Close(fd int) error {
	t.mu.Lock()
	f := t.files[fd]
	delete(t.files, fd)
	if f != nil {
		t.low = min(t.low, fd)
	}
	t.mu.Unlock()
	if f == nil {
		return errno.Errorf(errno.EBADF, "fd %d is not open", fd)
	}
	f.Close()
	return nil
}

// Exit closes every fd, as the end of a process does.
func (t *Task) Exit() {
	t.mu.Lock()
	files := t.files
	t.reset()
	t.mu.Unlock()
	for _, f := range files {
		f.Close()
	}
}

// FileOf is the file behind an fd when it stands for an object of the kind;
// another kind or no object gives EINVAL, an fd that is not open EBADF. The file
// is held for the caller, who must Close it.
func (t *Task) FileOf(fd int, kind Kind) (*File, error) {
	f, err := t.File(fd)
	if err != nil {
		return nil, err
	}
	if f.Object == nil || f.Object.Head().Kind != kind {
		defer f.Close()
		return nil, errno.Errorf(errno.EINVAL, "fd %d is a %s, not a %v", fd, f.kind(), kind)
	}
	return f, nil
}

// Object is the object behind an fd, as [Task.FileOf] finds it. A reference is
// taken for the caller.
func (t *Task) Object(fd int, kind Kind) (Object, Access, error) {
	f, err := t.FileOf(fd, kind)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	f.Object.Head().Get()
	return f.Object, f.Access, nil
}
