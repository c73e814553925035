package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// cgroupDevice says which devices a control group may use. Context access as in
// cgroup_dev_is_valid_access.
var cgroupDevice = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_CGROUP_DEVICE,
	Name: "cgroup_device",
	Context: &desc.Context{Name: "bpf_cgroup_dev_ctx", Size: uapi.SizeofCgroupDevCtx, Fields: []desc.CtxField{
		parts("access_type", uapi.OffCgroupDevCtxAccessType, 4),
		reads("major", uapi.OffCgroupDevCtxMajor, 4),
		reads("minor", uapi.OffCgroupDevCtxMinor, 4),
	}},
	Helper:        helpers.Lookup,
	Return:        returns(0, 1),
	NeedsNetAdmin: true,
}

// cgroupSysctl guards the kernel's settings. Context access as in
// sysctl_is_valid_access.
var cgroupSysctl = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_CGROUP_SYSCTL,
	Name: "cgroup_sysctl",
	Context: &desc.Context{Name: "bpf_sysctl", Size: uapi.SizeofSysctl, Fields: []desc.CtxField{
		parts("write", uapi.OffSysctlWrite, 4),
		writable(parts("file_pos", uapi.OffSysctlFilePos, 4)),
	}},
	Helper:        helpers.Lookup,
	Return:        returns(0, 1),
	NeedsNetAdmin: true,
}

// cgroupSockopt sees and changes options of a control group's sockets. Context
// access as in cg_sockopt_is_valid_access. What it calls a packet is the
// option's value.
var cgroupSockopt = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_CGROUP_SOCKOPT,
	Name: "cgroup_sockopt",
	Context: &desc.Context{Name: "bpf_sockopt", Size: uapi.SizeofSockopt, Fields: []desc.CtxField{
		points("sk", uapi.OffSockoptSk, 8, desc.FieldSocket),
		points("optval", uapi.OffSockoptOptval, 8, desc.FieldPacket),
		points("optval_end", uapi.OffSockoptOptvalEnd, 8, desc.FieldPacketEnd),
		setting("level", uapi.OffSockoptLevel),
		setting("optname", uapi.OffSockoptOptname),
		writable(reads("optlen", uapi.OffSockoptOptlen, 4)),
		when(writable(reads("retval", uapi.OffSockoptRetval, 4)), uapi.BPF_CGROUP_GETSOCKOPT),
	}},
	Helper:            helpers.Lookup,
	Return:            returns(0, 1),
	ExpectedAttach:    []uapi.AttachType{uapi.BPF_CGROUP_SETSOCKOPT, uapi.BPF_CGROUP_GETSOCKOPT},
	DirectPacketWrite: true,
	PacketToAll:       true,
	NeedsNetAdmin:     true,
	Sockets:           &sockets,
}

// setting may be changed when an option is set.
func setting(name string, off uint32) desc.CtxField {
	f := writable(reads(name, off, 4))
	f.Allow = func(a desc.CtxAccess, p *desc.ProgInfo) bool {
		return !a.Write || p != nil && p.ExpectedAttach == uapi.BPF_CGROUP_SETSOCKOPT
	}
	return f
}
