package progtype

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// xdp sees packets in the driver, before an sk_buff exists. Context access as in
// xdp_is_valid_access: whole words, read only.
var xdp = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_XDP,
	Name: "xdp",
	Context: &desc.Context{Name: "xdp_md", Size: uapi.SizeofXDPMd, Fields: []desc.CtxField{
		pointer("data", uapi.OffXDPMdData, 4, desc.FieldPacket, ktype.OffXDPData),
		pointer("data_end", uapi.OffXDPMdDataEnd, 4, desc.FieldPacketEnd, ktype.OffXDPDataEnd),
		pointer("data_meta", uapi.OffXDPMdDataMeta, 4, desc.FieldPacketMeta, ktype.OffXDPDataMeta),
		xdpWord("ingress_ifindex", uapi.OffXDPMdIngressIfindex,
			chain(false, insn.SizeW, ktype.OffNetDevIfindex, ktype.OffXDPRXQ, ktype.OffRxqDev)),
		xdpWord("rx_queue_index", uapi.OffXDPMdRxQueueIndex,
			chain(false, insn.SizeW, ktype.OffRxqIndex, ktype.OffXDPRXQ)),
		{Name: "egress_ifindex", Off: uapi.OffXDPMdEgressIfindex, Size: 4, Read: true, Allow: onDevmap,
			Lower: chain(false, insn.SizeW, ktype.OffNetDevIfindex, ktype.OffXDPTXQ, ktype.OffTxqDev)},
	}},
	Helper:            helpers.Lookup,
	DirectPacketWrite: true,
	PacketAccess:      true,
	NeedsNetAdmin:     true,
	Sockets:           &sockets,
}

func xdpWord(name string, off uint32, lower lowering) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: 4, Read: true, Lower: lower}
}

// onDevmap: only a program in a device map knows where the frame goes.
func onDevmap(_ desc.CtxAccess, p *desc.ProgInfo) bool {
	return p != nil && p.ExpectedAttach == uapi.BPF_XDP_DEVMAP
}
