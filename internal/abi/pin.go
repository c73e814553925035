package abi

import (
	"path"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

const (
	pathMax = 4096
	atFDCWD = -100
	workDir = "/" // of every task
)

// pinPath reads the path of a pin; a relative one starts at a directory's fd.
func (c *call) pinPath(a *uapi.ObjAttr) (string, error) {
	p, whole, err := usermem.String(c.mem, a.Pathname, pathMax)
	if err != nil {
		return "", err
	}
	if !whole {
		return "", errno.Errorf(errno.ENAMETOOLONG, "the path has more than %d bytes", pathMax-1)
	}
	if path.IsAbs(p) || p == "" {
		return p, nil
	}
	dir := workDir
	if fd := int(a.PathFD); a.FileFlags&uapi.BPF_F_PATH_FD != 0 && fd != atFDCWD {
		f, err := c.task.File(fd)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if f.Dir == "" {
			return "", errno.Errorf(errno.ENOTDIR, "fd %d is not a directory", fd)
		}
		dir = f.Dir
	}
	return dir + "/" + p, nil
}

// objPin mirrors bpf_obj_pin: programs, maps and links can be pinned.
func objPin(c *call) (int, error) {
	var a uapi.ObjAttr
	a.Decode(c.attr[:])
	if a.FileFlags&^uint32(uapi.BPF_F_PATH_FD) != 0 {
		return -1, errno.Errorf(errno.EINVAL, "unknown file flags %#x", a.FileFlags)
	}
	if err := pathFDRule(&a); err != nil {
		return -1, err
	}
	// bpf_fd_probe_obj: whatever is wrong with the fd is EINVAL.
	f, err := c.task.File(int(int32(a.BpfFD)))
	if err != nil {
		return -1, errno.Errorf(errno.EINVAL, "%v", err)
	}
	defer f.Close()
	if f.Object == nil || f.Object.Head().Kind == object.KindBTF {
		return -1, errno.Errorf(errno.EINVAL, "fd %d is nothing that can be pinned", a.BpfFD)
	}
	p, err := c.pinPath(&a)
	if err != nil {
		return -1, err
	}
	return 0, c.FS.Pin(p, f.Object, &c.task.Creds)
}

// objGet mirrors bpf_obj_get: a program cannot be opened for reading or writing
// only.
func objGet(c *call) (int, error) {
	var a uapi.ObjAttr
	a.Decode(c.attr[:])
	known := uint32(uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY | uapi.BPF_F_PATH_FD)
	if a.BpfFD != 0 || a.FileFlags&^known != 0 {
		return -1, errno.Errorf(errno.EINVAL, "bpf_fd must be 0, unknown file flags %#x", a.FileFlags&^known)
	}
	if err := pathFDRule(&a); err != nil {
		return -1, err
	}
	access, err := fileAccess(a.FileFlags)
	if err != nil {
		return -1, err
	}
	p, err := c.pinPath(&a)
	if err != nil {
		return -1, err
	}
	o, err := c.FS.Get(p, &c.task.Creds)
	if err != nil {
		return -1, err
	}
	if o.Head().Kind == object.KindLink && access != object.AccessBoth {
		o.Head().Put()
		return -1, errno.Errorf(errno.EINVAL, "a link is opened for reading and writing")
	}
	if o.Head().Kind == object.KindProg {
		access = object.AccessBoth
	}
	return c.install(o, access)
}

func pathFDRule(a *uapi.ObjAttr) error {
	if a.FileFlags&uapi.BPF_F_PATH_FD == 0 && a.PathFD != 0 {
		return errno.Errorf(errno.EINVAL, "path_fd without BPF_F_PATH_FD")
	}
	return nil
}
