package skep

import (
	"context"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Capabilities is a set of capabilities, bit n for capability n of
// capabilities(7).
type Capabilities uint64

// Capabilities that bpf(2) asks for.
const (
	CapNetAdmin     Capabilities = 1 << object.CapNetAdmin
	CapSysAdmin     Capabilities = 1 << object.CapSysAdmin
	CapPerfmon      Capabilities = 1 << object.CapPerfmon
	CapBPF          Capabilities = 1 << object.CapBPF
	AllCapabilities              = Capabilities(object.AllCaps)
)

// Credentials say who a task is. The zero value is an unprivileged root.
type Credentials struct {
	UID, GID     uint32
	Capabilities Capabilities
}

// Task is who calls bpf(2): it has credentials and file descriptors. A Task is
// safe for concurrent use.
type Task struct {
	kernel *Kernel
	task   *object.Task
}

// NewTask makes a task. Exit closes what it leaves open.
func (k *Kernel) NewTask(c Credentials) *Task {
	return &Task{k, object.NewTask(k.abi.Registry, object.Credentials{
		UID: c.UID, GID: c.GID, Caps: object.CapSet(c.Capabilities),
	}, usermem.Process{})}
}

// BPF is the system call bpf(2). attr is a union bpf_attr of Linux 6.18 in
// little-endian; pointers in it are addresses in this process, whose memory the
// caller must keep reachable (and off the stack) during the call. Results inside
// the attribute are written to attr. It returns an fd or what else the command
// returns; the error says what was wrong and wraps the errno, so that
// errors.Is(err, unix.EINVAL) works.
func (t *Task) BPF(cmd int, attr []byte) (int, error) {
	return t.call(t.task.Mem, uapi.Cmd(cmd), attr)
}

func (t *Task) call(m usermem.Mem, cmd uapi.Cmd, attr []byte) (int, error) {
	return t.kernel.abi.Call(context.Background(), t.task, m, cmd, attr)
}

// CloseFD closes a file descriptor, as close(2).
func (t *Task) CloseFD(fd int) error { return t.task.Close(fd) }

// DupFD duplicates a file descriptor, as dup(2).
func (t *Task) DupFD(fd int) (int, error) { return t.task.Dup(fd) }

// SendFD gives another task of the same kernel an fd for what fd is here, as a
// message with SCM_RIGHTS does: how an unprivileged task comes to use objects
// that it could not make.
func (t *Task) SendFD(to *Task, fd int) (int, error) {
	if t.kernel != to.kernel {
		return -1, errno.Errorf(errno.EXDEV, "fd %d is of another kernel", fd)
	}
	f, err := t.task.File(fd)
	if err != nil {
		return -1, err
	}
	return to.task.Install(f)
}

// Exit closes all fds of the task.
func (t *Task) Exit() { t.task.Exit() }

// caller lets the loader use a task.
type caller struct{ *Task }

func (c caller) BPF(m usermem.Mem, cmd uapi.Cmd, attr []byte) (int, error) {
	return c.call(m, cmd, attr)
}
func (c caller) Close(fd int) error { return c.CloseFD(fd) }
func (c caller) CPUs() int          { return len(c.kernel.abi.Machine.CPUs) }
