package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// skLookup chooses the socket that a packet or connection is for. Context access
// as in sk_lookup_is_valid_access. The remote port was a word once, and may
// still be read as one.
var skLookup = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_SK_LOOKUP,
	Name: "sk_lookup",
	Context: &desc.Context{Name: "bpf_sk_lookup", Size: uapi.SizeofSkLookup, Fields: []desc.CtxField{
		points("sk", uapi.OffSkLookupSk, 8, desc.FieldSocketOrNull),
		parts("family", uapi.OffSkLookupFamily, 4),
		parts("protocol", uapi.OffSkLookupProtocol, 4),
		parts("remote_ip4", uapi.OffSkLookupRemoteIP4, 4),
		partWords("remote_ip6", uapi.OffSkLookupRemoteIP6, 16),
		anyWidth("remote_port", uapi.OffSkLookupRemotePort, 4),
		parts("local_ip4", uapi.OffSkLookupLocalIP4, 4),
		partWords("local_ip6", uapi.OffSkLookupLocalIP6, 16),
		parts("local_port", uapi.OffSkLookupLocalPort, 4),
		parts("ingress_ifindex", uapi.OffSkLookupIngressIfindex, 4),
	}},
	Helper:         helpers.Lookup,
	Return:         returns(uapi.SK_DROP, uapi.SK_PASS),
	ExpectedAttach: []uapi.AttachType{uapi.BPF_SK_LOOKUP},
	Sockets:        &sockets,
}

// skReuseport chooses among the sockets of one port. Context access as in
// sk_reuseport_is_valid_access.
var skReuseport = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_SK_REUSEPORT,
	Name: "sk_reuseport",
	Context: &desc.Context{Name: "sk_reuseport_md", Size: uapi.SizeofSkReuseportMd, Fields: []desc.CtxField{
		points("data", uapi.OffSkReuseportMdData, 8, desc.FieldPacket),
		points("data_end", uapi.OffSkReuseportMdDataEnd, 8, desc.FieldPacketEnd),
		parts("len", uapi.OffSkReuseportMdLen, 4),
		notBytes(parts("eth_protocol", uapi.OffSkReuseportMdEthProtocol, 4)),
		parts("ip_protocol", uapi.OffSkReuseportMdIPProtocol, 4),
		parts("bind_inany", uapi.OffSkReuseportMdBindInany, 4),
		reads("hash", uapi.OffSkReuseportMdHash, 4),
		points("sk", uapi.OffSkReuseportMdSk, 8, desc.FieldSocket),
		points("migrating_sk", uapi.OffSkReuseportMdMigratingSk, 8, desc.FieldSockCommonOrNull),
	}},
	Helper:         helpers.Lookup,
	PacketAccess:   true,
	ExpectedAttach: []uapi.AttachType{uapi.BPF_SK_REUSEPORT_SELECT, uapi.BPF_SK_REUSEPORT_SELECT_OR_MIGRATE},
	DefaultAttach:  uapi.BPF_SK_REUSEPORT_SELECT,
	Sockets:        &sockets,
}

// notBytes is a field whose parts are of two bytes at least.
func notBytes(f desc.CtxField) desc.CtxField {
	f.Allow = func(a desc.CtxAccess, _ *desc.ProgInfo) bool { return a.Size >= 2 }
	return f
}

// flowDissector takes packets apart for the kernel. Context access as in
// flow_dissector_is_valid_access.
var flowDissector = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_FLOW_DISSECTOR,
	Name: "flow_dissector",
	Context: &desc.Context{Name: "__sk_buff", Size: uapi.SizeofSkBuff, Fields: []desc.CtxField{
		points("data", uapi.OffSkBuffData, 4, desc.FieldPacket),
		points("data_end", uapi.OffSkBuffDataEnd, 4, desc.FieldPacketEnd),
		points("flow_keys", uapi.OffSkBuffFlowKeys, 8, desc.FieldFlowKeys),
	}},
	Helper:        helpers.Lookup,
	PacketAccess:  true,
	NeedsNetAdmin: true,
	Sockets:       &sockets,
}

// netfilter judges packets at a netfilter hook. Context access as in
// nf_is_valid_access: two kernel structures.
var netfilter = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_NETFILTER,
	Name: "netfilter",
	Context: &desc.Context{Name: "bpf_nf_ctx", Size: uapi.SizeofNFCtx, Fields: []desc.CtxField{
		trusted("state", uapi.OffNFCtxState, "nf_hook_state"),
		trusted("skb", uapi.OffNFCtxSKB, "sk_buff"),
	}},
	Helper:         helpers.Lookup,
	Return:         returns(0, 1), // NF_DROP, NF_ACCEPT
	ExpectedAttach: []uapi.AttachType{uapi.BPF_NETFILTER},
	NeedsNetAdmin:  true,
}

// trusted is a pointer to a kernel structure.
func trusted(name string, off uint32, btf string) desc.CtxField {
	f := points(name, off, 8, desc.FieldTrusted)
	f.BTF = btf
	return f
}
