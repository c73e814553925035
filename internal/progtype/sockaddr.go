package progtype

import (
	"slices"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// The hooks on addresses by what they are about.
var (
	ipv4Hooks = []uapi.AttachType{uapi.BPF_CGROUP_INET4_BIND, uapi.BPF_CGROUP_INET4_CONNECT,
		uapi.BPF_CGROUP_INET4_GETPEERNAME, uapi.BPF_CGROUP_INET4_GETSOCKNAME,
		uapi.BPF_CGROUP_UDP4_SENDMSG, uapi.BPF_CGROUP_UDP4_RECVMSG}
	ipv6Hooks = []uapi.AttachType{uapi.BPF_CGROUP_INET6_BIND, uapi.BPF_CGROUP_INET6_CONNECT,
		uapi.BPF_CGROUP_INET6_GETPEERNAME, uapi.BPF_CGROUP_INET6_GETSOCKNAME,
		uapi.BPF_CGROUP_UDP6_SENDMSG, uapi.BPF_CGROUP_UDP6_RECVMSG}
	unixHooks = []uapi.AttachType{uapi.BPF_CGROUP_UNIX_CONNECT, uapi.BPF_CGROUP_UNIX_GETPEERNAME,
		uapi.BPF_CGROUP_UNIX_GETSOCKNAME, uapi.BPF_CGROUP_UNIX_SENDMSG, uapi.BPF_CGROUP_UNIX_RECVMSG}
	bindHooks = []uapi.AttachType{uapi.BPF_CGROUP_INET4_BIND, uapi.BPF_CGROUP_INET6_BIND}
	// answerHooks rewrite an address that the kernel hands out: there is nothing to
	// refuse.
	answerHooks = []uapi.AttachType{
		uapi.BPF_CGROUP_UDP4_RECVMSG, uapi.BPF_CGROUP_UDP6_RECVMSG, uapi.BPF_CGROUP_UNIX_RECVMSG,
		uapi.BPF_CGROUP_INET4_GETPEERNAME, uapi.BPF_CGROUP_INET6_GETPEERNAME, uapi.BPF_CGROUP_UNIX_GETPEERNAME,
		uapi.BPF_CGROUP_INET4_GETSOCKNAME, uapi.BPF_CGROUP_INET6_GETSOCKNAME, uapi.BPF_CGROUP_UNIX_GETSOCKNAME}
)

// sockAddr sees and changes the addresses in a control group's system calls.
// Context access as in sock_addr_is_valid_access.
var sockAddr = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	Name: "cgroup_sock_addr",
	Context: &desc.Context{Name: "bpf_sock_addr", Size: uapi.SizeofSockAddr, Fields: []desc.CtxField{
		reads("user_family", uapi.OffSockAddrUserFamily, 4),
		when(writable(parts("user_ip4", uapi.OffSockAddrUserIP4, 4)), ipv4Hooks...),
		wide(partWords("user_ip6", uapi.OffSockAddrUserIP6, 16), ipv6Hooks...),
		writable(parts("user_port", uapi.OffSockAddrUserPort, 4)),
		reads("family", uapi.OffSockAddrFamily, 4),
		reads("type", uapi.OffSockAddrType, 4),
		reads("protocol", uapi.OffSockAddrProtocol, 4),
		when(writable(parts("msg_src_ip4", uapi.OffSockAddrMsgSrcIP4, 4)), uapi.BPF_CGROUP_UDP4_SENDMSG),
		wide(partWords("msg_src_ip6", uapi.OffSockAddrMsgSrcIP6, 16), uapi.BPF_CGROUP_UDP6_SENDMSG),
		points("sk", uapi.OffSockAddrSk, 8, desc.FieldSocket),
	}},
	Helper:         helpers.Lookup,
	Return:         sockAddrReturn,
	ExpectedAttach: slices.Concat(ipv4Hooks, ipv6Hooks, unixHooks),
	NeedsNetAdmin:  true,
	Sockets:        &sockets,
}

// wide is an address that may be read and written in halves too
// (bpf_ctx_wide_access_ok).
func wide(f desc.CtxField, attach ...uapi.AttachType) desc.CtxField {
	f = when(writable(f), attach...)
	f.WideOK = true
	hook, end := f.Allow, f.Off+f.Size
	f.Allow = func(a desc.CtxAccess, p *desc.ProgInfo) bool { return a.Off+a.Size <= end && hook(a, p) }
	return f
}

func sockAddrReturn(p *desc.ProgInfo) *desc.Range {
	switch {
	case slices.Contains(answerHooks, p.ExpectedAttach):
		return &desc.Range{Min: 1, Max: 1}
	case slices.Contains(bindHooks, p.ExpectedAttach):
		return &desc.Range{Min: 0, Max: 3} // the second bit: without CAP_NET_BIND_SERVICE
	}
	return &desc.Range{Min: 0, Max: 1}
}
