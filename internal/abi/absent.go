package abi

import (
	"github.com/skep-ebpf/skep/internal/bpffs"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Absent is a command of Linux 6.18 that skep does not carry out.
type Absent struct {
	Cmd uapi.Cmd
	// Errno is the answer to a call with which Linux would find nothing wrong.
	// EINVAL is what kernels before the command answer, so that programs that
	// probe for it take their other way.
	Errno errno.Errno
	// Why says what the command needs that is not there.
	Why string

	// check makes the checks that Linux makes before it comes to what is not
	// there.
	check func(c *call) error
}

// absent are the commands without an implementation. Without links, the commands
// on links have nothing to work on: their answer is exact.
var absent = []Absent{
	{uapi.BPF_PROG_ATTACH, errno.EINVAL, "there are no cgroups, sockets or devices to attach programs to", attachCheck},
	{uapi.BPF_PROG_DETACH, errno.EINVAL, "nothing is attached anywhere", nil},
	{uapi.BPF_PROG_QUERY, errno.EINVAL, "nothing is attached anywhere", nil},
	{uapi.BPF_RAW_TRACEPOINT_OPEN, errno.EINVAL, "there are no tracepoints", progCheck(8)},
	{uapi.BPF_TASK_FD_QUERY, errno.ENOTSUPP, "no fd stands for a probe or a tracepoint", taskFDCheck},
	{uapi.BPF_LINK_CREATE, errno.EINVAL, "there is nothing that a program can be linked to", progCheck(0)},
	{uapi.BPF_LINK_UPDATE, errno.EINVAL, "there are no links", linkCheck},
	{uapi.BPF_LINK_DETACH, errno.EINVAL, "there are no links", linkCheck},
	{uapi.BPF_ITER_CREATE, errno.EINVAL, "there are no links", linkCheck},
	{uapi.BPF_TOKEN_CREATE, errno.EOPNOTSUPP, "tokens are for user namespaces, and there is only the initial one", tokenCheck},
}

// AbsentCommands lists what Linux has and skep has not, with the reason.
func AbsentCommands() []Absent { return append([]Absent(nil), absent...) }

// refuse is the command that an absent one has in the table.
func (a *Absent) refuse(c *call) (int, error) {
	if a.check != nil {
		if err := a.check(c); err != nil {
			return -1, err
		}
	}
	return -1, errno.Errorf(a.Errno, "%v is not supported: %s", a.Cmd, a.Why)
}

// attachCheck mirrors the beginning of bpf_prog_attach.
func attachCheck(c *call) error {
	var a uapi.ProgAttachAttr
	a.Decode(c.attr[:])
	if !a.AttachType.Known() {
		return errno.Errorf(errno.EINVAL, "there is no attach type %d", a.AttachType)
	}
	return c.isProg(a.AttachBpfFD)
}

// progCheck is for commands that have a program's fd at an offset.
func progCheck(off int) func(c *call) error {
	return func(c *call) error { return c.isProg(c.word(off)) }
}

func (c *call) isProg(fd uint32) error {
	p, err := c.progFD(fd)
	if err == nil {
		p.Put()
	}
	return err
}

// linkCheck is for commands that start with a link's fd.
func linkCheck(c *call) error {
	if flags := c.word(4); c.cmd == uapi.BPF_ITER_CREATE && flags != 0 {
		return errno.Errorf(errno.EINVAL, "unknown flags %#x", flags)
	}
	if flags := c.word(8); c.cmd == uapi.BPF_LINK_UPDATE && flags&^uint32(uapi.BPF_F_REPLACE) != 0 {
		return errno.Errorf(errno.EINVAL, "unknown flags %#x", flags)
	}
	o, _, err := c.task.Object(int(int32(c.word(0))), object.KindLink)
	if err == nil {
		o.Head().Put()
	}
	return err
}

// taskFDCheck mirrors bpf_task_fd_query up to the fd.
func taskFDCheck(c *call) error {
	if err := c.need(object.CapSysAdmin, "CAP_SYS_ADMIN"); err != nil {
		return err
	}
	var a uapi.TaskFDQueryAttr
	a.Decode(c.attr[:])
	if a.Flags != 0 {
		return errno.Errorf(errno.EINVAL, "unknown flags %#x", a.Flags)
	}
	if a.PID != c.task.PID || a.PID == 0 {
		return errno.Errorf(errno.ENOENT, "there is no task %d", a.PID)
	}
	f, err := c.task.File(int(int32(a.FD)))
	if err == nil {
		f.Close()
	}
	return err
}

// tokenCheck mirrors bpf_token_create.
func tokenCheck(c *call) error {
	var a uapi.TokenCreateAttr
	a.Decode(c.attr[:])
	if a.Flags != 0 {
		return errno.Errorf(errno.EINVAL, "unknown flags %#x", a.Flags)
	}
	f, err := c.task.File(int(int32(a.BPFFSFD)))
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Dir != bpffs.Mount {
		return errno.Errorf(errno.EINVAL, "fd %d is not the root of a bpf file system", a.BPFFSFD)
	}
	return c.need(object.CapBPF, "CAP_BPF")
}
