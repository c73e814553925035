package abi

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// nextIDOff is where BPF_*_GET_NEXT_ID leaves the id.
const nextIDOff = 4

// nextID mirrors bpf_obj_get_next_id.
func nextID(kind object.Kind) command {
	return func(c *call) (int, error) {
		var a uapi.GetIDAttr
		a.Decode(c.attr[:])
		if a.StartID >= 1<<31-1 {
			return -1, errno.Errorf(errno.EINVAL, "start id %d is larger than any id", a.StartID)
		}
		if err := c.need(object.CapSysAdmin, "CAP_SYS_ADMIN"); err != nil {
			return -1, err
		}
		id, err := c.Registry.NextID(kind, a.StartID)
		if err != nil {
			return -1, err
		}
		return 0, c.put(nextIDOff, id)
	}
}

// fdByID mirrors bpf_{prog,map,btf,link}_get_fd_by_id. BTF may be had with
// CAP_BPF, the others need CAP_SYS_ADMIN.
func fdByID(kind object.Kind) command {
	return func(c *call) (int, error) {
		var a uapi.GetIDAttr
		a.Decode(c.attr[:])
		access := object.AccessBoth
		if kind == object.KindMap {
			if a.OpenFlags&^uint32(uapi.BPF_F_RDONLY|uapi.BPF_F_WRONLY) != 0 {
				return -1, errno.Errorf(errno.EINVAL, "unknown open flags %#x", a.OpenFlags)
			}
		}
		if kind == object.KindBTF && a.OpenFlags&^uint32(uapi.BPF_F_TOKEN_FD) != 0 {
			return -1, errno.Errorf(errno.EINVAL, "unknown open flags %#x", a.OpenFlags)
		}
		if a.StartID >= 1<<31-1 && kind != object.KindLink {
			// The lookup of such an id finds nothing.
			a.StartID = 0
		}
		if kind == object.KindBTF && a.OpenFlags&uapi.BPF_F_TOKEN_FD != 0 {
			return -1, errno.Errorf(errno.EBADF, "fd %d is no BPF token", a.FDByIDTokenFD)
		}
		if err := c.need(object.CapSysAdmin, "CAP_SYS_ADMIN"); err != nil {
			return -1, err
		}
		if kind == object.KindMap {
			var err error
			if access, err = fileAccess(a.OpenFlags); err != nil {
				return -1, err
			}
		}
		o, err := c.Registry.ByID(kind, a.StartID)
		if err != nil {
			return -1, err
		}
		return c.install(o, access)
	}
}
