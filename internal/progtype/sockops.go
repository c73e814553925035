package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// sockOps is told what happens to a control group's TCP connections. Context
// access as in sock_ops_is_valid_access.
var sockOps = desc.ProgType{
	Type:          uapi.BPF_PROG_TYPE_SOCK_OPS,
	Name:          "sock_ops",
	Context:       &desc.Context{Name: "bpf_sock_ops", Size: uapi.SizeofSockOps, Fields: sockOpsFields()},
	Helper:        helpers.Lookup,
	Return:        returns(0, 1),
	NeedsNetAdmin: true,
	Sockets:       &sockets,
}

// sockOpsFields are words, padding among them, except where a field is a pointer
// or a counter.
func sockOpsFields() []desc.CtxField {
	special := []desc.CtxField{
		writable(reads("reply", uapi.OffSockOpsReply, 4)),
		writable(reads("sk_txhash", uapi.OffSockOpsSkTxhash, 4)),
		reads("bytes_received", uapi.OffSockOpsBytesReceived, 8),
		reads("bytes_acked", uapi.OffSockOpsBytesAcked, 8),
		points("sk", uapi.OffSockOpsSk, 8, desc.FieldSocketOrNull),
		points("skb_data", uapi.OffSockOpsSKBData, 8, desc.FieldPacket),
		points("skb_data_end", uapi.OffSockOpsSKBDataEnd, 8, desc.FieldPacketEnd),
		atStart(uapi.OffSockOpsSKBTCPFlags, "skb_tcp_flags", nil),
		reads("skb_hwtstamp", uapi.OffSockOpsSKBHwtstamp, 8),
	}
	var all []desc.CtxField
	off := uint32(0)
	between := func(end uint32) {
		if off < end {
			all = append(all, words("words", off, end-off))
		}
	}
	for _, f := range special {
		between(f.Off)
		all = append(all, f)
		off = f.Off + f.Size
	}
	between(uapi.SizeofSockOps)
	return all
}
