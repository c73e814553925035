package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// skbSockFields are the fields of struct __sk_buff that tell of the packet's
// socket.
var skbSockFields = []desc.CtxField{
	parts("family", uapi.OffSkBuffFamily, 4),
	reads("remote_ip4", uapi.OffSkBuffRemoteIP4, 4),
	reads("local_ip4", uapi.OffSkBuffLocalIP4, 4),
	words("remote_ip6", uapi.OffSkBuffRemoteIP6, 16),
	words("local_ip6", uapi.OffSkBuffLocalIP6, 16),
	parts("remote_port", uapi.OffSkBuffRemotePort, 4),
	parts("local_port", uapi.OffSkBuffLocalPort, 4),
}

// cgroupSKB filters the packets of a control group's sockets. Context access as
// in cg_skb_is_valid_access; how much of a packet is seen is a matter of
// privilege.
var cgroupSKB = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_CGROUP_SKB,
	Name: "cgroup_skb",
	Context: restrict(withSocket(skbContext([]string{"tc_classid", "data_meta", "wire_len", "tstamp_type"},
		[]string{"mark", "priority", "cb", "tstamp"})), func(f *desc.CtxField) {
		switch f.Name {
		case "data", "data_end":
			f.Allow = withBPF
		case "tstamp":
			f.Allow = func(a desc.CtxAccess, p *desc.ProgInfo) bool { return !a.Write || withBPF(a, p) }
		}
	}),
	Helper:         helpers.Lookup,
	PacketAccess:   true,
	ExpectedAttach: []uapi.AttachType{uapi.BPF_CGROUP_INET_INGRESS, uapi.BPF_CGROUP_INET_EGRESS},
	Return:         cgroupSKBReturn,
	Unprivileged:   true,
	Sockets:        &sockets,
}

// cgroupSKBReturn: at egress, the second bit asks for congestion notification.
func cgroupSKBReturn(p *desc.ProgInfo) *desc.Range {
	if p.ExpectedAttach == uapi.BPF_CGROUP_INET_EGRESS {
		return &desc.Range{Min: 0, Max: 3}
	}
	return &desc.Range{Min: 0, Max: 1}
}

func withBPF(_ desc.CtxAccess, p *desc.ProgInfo) bool {
	return p != nil && (p.Caps.BPF || p.Caps.SysAdmin)
}

// withSocket adds the socket's fields to a struct __sk_buff.
func withSocket(c *desc.Context) *desc.Context {
	for i, f := range c.Fields {
		if f.Off > uapi.OffSkBuffFamily {
			rest := append([]desc.CtxField(nil), c.Fields[i:]...)
			c.Fields = append(append(c.Fields[:i], skbSockFields...), rest...)
			break
		}
	}
	return c
}

// restrict changes fields of a context.
func restrict(c *desc.Context, change func(*desc.CtxField)) *desc.Context {
	for i := range c.Fields {
		change(&c.Fields[i])
	}
	return c
}
