// Package abi is bpf(2): it copies attributes in and out, checks their form and
// calls down. One file holds one group of commands.
//
// Every command is a row of a table, in which the layout's end comes from uapi.
// The order of checks, and so which errno wins when several things are wrong,
// mirrors kernel/bpf/syscall.c of Linux 6.18.
package abi

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/skep-ebpf/skep/internal/bpffs"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/load"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Kernel is what the commands of one kernel work on.
type Kernel struct {
	Machine  *exec.Machine
	Registry *object.Registry
	FS       *bpffs.FS
	Stats    *object.Stats
	Loader   *load.Loader
	// UnprivilegedDisabled is kernel.unprivileged_bpf_disabled != 0.
	UnprivilegedDisabled bool
}

// call is one bpf(2) call under way.
type call struct {
	*Kernel
	ctx  context.Context
	task *object.Task
	mem  usermem.Mem
	cmd  uapi.Cmd
	// attr is the attribute as copied in, zero-extended to union bpf_attr; user
	// is the caller's own, where results are written.
	attr [uapi.AttrSize]byte
	user []byte
}

// command is what bpf(2) does for one cmd.
type command func(c *call) (int, error)

var commands = withAbsent(map[uapi.Cmd]command{
	uapi.BPF_MAP_CREATE:                  mapCreate,
	uapi.BPF_MAP_LOOKUP_ELEM:             mapLookup,
	uapi.BPF_MAP_UPDATE_ELEM:             mapUpdate,
	uapi.BPF_MAP_DELETE_ELEM:             mapDelete,
	uapi.BPF_MAP_GET_NEXT_KEY:            mapNextKey,
	uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM:  mapLookupAndDelete,
	uapi.BPF_MAP_FREEZE:                  mapFreeze,
	uapi.BPF_MAP_LOOKUP_BATCH:            mapBatch,
	uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH: mapBatch,
	uapi.BPF_MAP_UPDATE_BATCH:            mapBatch,
	uapi.BPF_MAP_DELETE_BATCH:            mapBatch,
	uapi.BPF_PROG_LOAD:                   progLoad,
	uapi.BPF_PROG_TEST_RUN:               progTestRun,
	uapi.BPF_PROG_BIND_MAP:               progBindMap,
	uapi.BPF_OBJ_PIN:                     objPin,
	uapi.BPF_OBJ_GET:                     objGet,
	uapi.BPF_PROG_GET_NEXT_ID:            nextID(object.KindProg),
	uapi.BPF_MAP_GET_NEXT_ID:             nextID(object.KindMap),
	uapi.BPF_BTF_GET_NEXT_ID:             nextID(object.KindBTF),
	uapi.BPF_LINK_GET_NEXT_ID:            nextID(object.KindLink),
	uapi.BPF_PROG_GET_FD_BY_ID:           fdByID(object.KindProg),
	uapi.BPF_MAP_GET_FD_BY_ID:            fdByID(object.KindMap),
	uapi.BPF_BTF_GET_FD_BY_ID:            fdByID(object.KindBTF),
	uapi.BPF_LINK_GET_FD_BY_ID:           fdByID(object.KindLink),
	uapi.BPF_OBJ_GET_INFO_BY_FD:          infoByFD,
	uapi.BPF_BTF_LOAD:                    btfLoad,
	uapi.BPF_ENABLE_STATS:                enableStats,
	uapi.BPF_PROG_STREAM_READ_BY_FD:      streamRead,
})

func withAbsent(m map[uapi.Cmd]command) map[uapi.Cmd]command {
	for i := range absent {
		m[absent[i].Cmd] = absent[i].refuse
	}
	return m
}

// Commands lists the commands that are there; [AbsentCommands] has the others.
func Commands() []uapi.Cmd {
	var out []uapi.Cmd
	for cmd := uapi.Cmd(0); cmd.Known(); cmd++ {
		if commands[cmd] != nil && !slices.ContainsFunc(absent, func(a Absent) bool { return a.Cmd == cmd }) {
			out = append(out, cmd)
		}
	}
	return out
}

// maxAttr is the largest attribute that is looked at (bpf_check_uarg_tail_zero).
const maxAttr = 4096

// Call is the system call: what attr's addresses mean is mem's matter. The
// result is an fd or another number; results inside the attribute are written to
// attr. ctx ends a long verification or run (EINTR).
func (k *Kernel) Call(ctx context.Context, task *object.Task, mem usermem.Mem, cmd uapi.Cmd, attr []byte) (int, error) {
	if len(attr) > maxAttr {
		return -1, errno.Errorf(errno.E2BIG, "%v: the attribute has %d bytes, more than a page", cmd, len(attr))
	}
	c := &call{Kernel: k, ctx: ctx, task: task, mem: mem, cmd: cmd, user: attr}
	if n := copy(c.attr[:], attr); nonZero(attr[n:]) {
		return -1, errno.Errorf(errno.E2BIG, "%v: there is something behind the %d bytes of bpf_attr", cmd, uapi.AttrSize)
	}
	run := commands[cmd]
	if run == nil {
		return -1, errno.Errorf(errno.EINVAL, "%v is no command of Linux 6.18", cmd)
	}
	if cmd == uapi.BPF_PROG_QUERY {
		// The one command for which this comes before the attribute's form.
		if err := c.need(object.CapNetAdmin, "CAP_NET_ADMIN"); err != nil {
			return -1, err
		}
	}
	if end, _ := cmd.LastField(); nonZero(c.attr[end:]) {
		return -1, errno.Errorf(errno.EINVAL, "%v: bytes behind its last field, at offset %d, are not zero", cmd, end)
	}
	n, err := run(c)
	if err != nil {
		return -1, err
	}
	return n, nil
}

func nonZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return true
		}
	}
	return false
}

// put writes a result into the caller's attribute. As in Linux, a field that the
// caller's attribute is too short for is written all the same, if that memory
// is the caller's: here it is not.
func (c *call) put(off int, v uint32) error {
	if off+4 > len(c.user) {
		return errno.Errorf(errno.EFAULT, "%v: the attribute has no room for the result at offset %d", c.cmd, off)
	}
	binary.LittleEndian.PutUint32(c.user[off:], v)
	return nil
}

// word is the 32-bit field at an offset of the attribute.
func (c *call) word(off int) uint32 { return binary.LittleEndian.Uint32(c.attr[off:]) }

// capable says whether the caller has a capability.
func (c *call) capable(cap object.Cap) bool { return c.task.Creds.Caps.Has(cap) }

// need is EPERM unless the caller has the capability.
func (c *call) need(cap object.Cap, what string) error {
	if c.capable(cap) {
		return nil
	}
	return errno.Errorf(errno.EPERM, "%v: %s is missing", c.cmd, what)
}

// install opens an fd for an object whose reference the caller holds, and gives
// that reference up.
func (c *call) install(o object.Object, access object.Access) (int, error) {
	defer o.Head().Put()
	return c.task.Install(c.Registry.Open(o, access))
}

// lookup is the object behind an fd, which the caller must Put.
func lookup[T object.Object](c *call, fd uint32, kind object.Kind) (T, error) {
	o, _, err := c.task.Object(int(int32(fd)), kind)
	if err != nil {
		var none T
		return none, err
	}
	return o.(T), nil
}

func (c *call) mapFD(fd uint32) (*object.Map, error) {
	return lookup[*object.Map](c, fd, object.KindMap)
}

func (c *call) progFD(fd uint32) (*object.Prog, error) {
	return lookup[*object.Prog](c, fd, object.KindProg)
}

// fileAccess is the access that BPF_F_RDONLY and BPF_F_WRONLY ask for
// (bpf_get_file_flag).
func fileAccess(flags uint32) (object.Access, error) {
	switch flags & (uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY) {
	case 0:
		return object.AccessBoth, nil
	case uapi.BPF_F_RDONLY:
		return object.AccessRead, nil
	case uapi.BPF_F_WRONLY:
		return object.AccessWrite, nil
	}
	return 0, errno.Errorf(errno.EINVAL, "BPF_F_RDONLY and BPF_F_WRONLY exclude each other")
}
