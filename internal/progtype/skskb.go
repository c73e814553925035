package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// skSKB parses and judges what the sockets of a map receive. Context access as in
// sk_skb_is_valid_access.
var skSKB = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_SK_SKB,
	Name: "sk_skb",
	Context: withSocket(skbContext(
		[]string{"mark", "tc_classid", "data_meta", "tstamp", "wire_len", "tstamp_type", "hwtstamp"},
		[]string{"tc_index", "priority"})),
	Helper:            helpers.Lookup,
	DirectPacketWrite: true,
	PacketAccess:      true,
	NeedsNetAdmin:     true,
	Sockets:           &sockets,
}

// skMsg judges what the sockets of a map send. Context access as in
// sk_msg_is_valid_access.
var skMsg = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_SK_MSG,
	Name: "sk_msg",
	Context: &desc.Context{Name: "sk_msg_md", Size: uapi.SizeofSkMsgMd, Fields: []desc.CtxField{
		points("data", uapi.OffSkMsgMdData, 8, desc.FieldPacket),
		points("data_end", uapi.OffSkMsgMdDataEnd, 8, desc.FieldPacketEnd),
		reads("family", uapi.OffSkMsgMdFamily, 4),
		reads("remote_ip4", uapi.OffSkMsgMdRemoteIP4, 4),
		reads("local_ip4", uapi.OffSkMsgMdLocalIP4, 4),
		words("remote_ip6", uapi.OffSkMsgMdRemoteIP6, 16),
		words("local_ip6", uapi.OffSkMsgMdLocalIP6, 16),
		reads("remote_port", uapi.OffSkMsgMdRemotePort, 4),
		reads("local_port", uapi.OffSkMsgMdLocalPort, 4),
		reads("size", uapi.OffSkMsgMdSize, 4),
		points("sk", uapi.OffSkMsgMdSk, 8, desc.FieldSocket),
	}},
	Helper:            helpers.Lookup,
	DirectPacketWrite: true,
	PacketAccess:      true,
	NeedsNetAdmin:     true,
	Sockets:           &sockets,
}
