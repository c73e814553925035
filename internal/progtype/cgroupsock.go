package progtype

import (
	"slices"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// cgroupSock says yes or no to sockets of a control group when they are made,
// bound and closed. Context access as in sock_filter_is_valid_access: that of
// struct bpf_sock, with what each hook may see and set.
var cgroupSock = desc.ProgType{
	Type:    uapi.BPF_PROG_TYPE_CGROUP_SOCK,
	Name:    "cgroup_sock",
	Context: &desc.Context{Name: "bpf_sock", Size: uapi.SizeofSock, Fields: hookFields(sockFields)},
	Helper:  helpers.Lookup,
	Return:  returns(0, 1),
	ExpectedAttach: []uapi.AttachType{uapi.BPF_CGROUP_INET_SOCK_CREATE, uapi.BPF_CGROUP_INET_SOCK_RELEASE,
		uapi.BPF_CGROUP_INET4_POST_BIND, uapi.BPF_CGROUP_INET6_POST_BIND},
	DefaultAttach: uapi.BPF_CGROUP_INET_SOCK_CREATE,
	NeedsNetAdmin: true,
	Sockets:       &sockets,
}

// hookFields is __sock_filter_check_attach_type.
func hookFields(all []desc.CtxField) []desc.CtxField {
	out := slices.Clone(all)
	for i := range out {
		f := &out[i]
		f.Lower = nil
		switch f.Name {
		case "bound_dev_if", "mark", "priority":
			*f = when(writable(*f), uapi.BPF_CGROUP_INET_SOCK_CREATE, uapi.BPF_CGROUP_INET_SOCK_RELEASE)
		case "src_ip4":
			*f = when(*f, uapi.BPF_CGROUP_INET4_POST_BIND)
		case "src_ip6":
			*f = when(*f, uapi.BPF_CGROUP_INET6_POST_BIND)
		case "src_port":
			at, hooks := f.Allow, []uapi.AttachType{uapi.BPF_CGROUP_INET4_POST_BIND, uapi.BPF_CGROUP_INET6_POST_BIND}
			f.Allow = func(a desc.CtxAccess, p *desc.ProgInfo) bool {
				return at(a, p) && p != nil && slices.Contains(hooks, p.ExpectedAttach)
			}
		}
	}
	return out
}
