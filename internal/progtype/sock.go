package progtype

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// sockets are the layouts behind socket pointers, read only.
var sockets = desc.Sockets{
	Common: &desc.Context{Name: "bpf_sock", Size: uapi.SizeofSock, Fields: commonFields(sockFields)},
	Full:   &desc.Context{Name: "bpf_sock", Size: uapi.SizeofSock, Fields: sockFields},
	TCP:    &desc.Context{Name: "bpf_tcp_sock", Size: uapi.SizeofTCPSock, Fields: tcpFields()},
	XDP:    &desc.Context{Name: "bpf_xdp_sock", Size: 4, Fields: []desc.CtxField{reads("queue_id", 0, 4)}},
}

// sockFields are the fields of struct bpf_sock as bpf_sock_is_valid_access lets
// them be read.
var sockFields = []desc.CtxField{
	whole(uapi.OffSockBoundDevIf, "bound_dev_if", member(insn.SizeW, ktype.OffSockBoundDevIf)),
	atStart(uapi.OffSockFamily, "family", member(insn.SizeH, ktype.OffSockFamily)),
	atStart(uapi.OffSockType, "type", member(insn.SizeH, ktype.OffSockType)),
	atStart(uapi.OffSockProtocol, "protocol", member(insn.SizeH, ktype.OffSockProtocol)),
	whole(uapi.OffSockMark, "mark", member(insn.SizeW, ktype.OffSockMark)),
	whole(uapi.OffSockPriority, "priority", member(insn.SizeW, ktype.OffSockPriority)),
	word("src_ip4", uapi.OffSockSrcIP4, member(insn.SizeW, ktype.OffSockRcvSaddr)),
	address("src_ip6", uapi.OffSockSrcIP6, ktype.OffSockV6RcvSaddr),
	atStart(uapi.OffSockSrcPort, "src_port", member(insn.SizeH, ktype.OffSockNum)),
	{Name: "dst_port", Off: uapi.OffSockDstPort, Size: 4, Read: true, Narrow: true, Allow: inDstPort,
		Lower: member(insn.SizeH, ktype.OffSockDport)},
	word("dst_ip4", uapi.OffSockDstIP4, member(insn.SizeW, ktype.OffSockDaddr)),
	address("dst_ip6", uapi.OffSockDstIP6, ktype.OffSockV6Daddr),
	atStart(uapi.OffSockState, "state", member(insn.SizeB, ktype.OffSockState)),
	atStart(uapi.OffSockRxQueueMapping, "rx_queue_mapping", member(insn.SizeW, ktype.OffSockRxQueueMapping)),
}

// whole is a word of which no part may be read.
func whole(off uint32, name string, lower lowering) desc.CtxField {
	f := word(name, off, lower)
	f.Narrow = false
	return f
}

// atStart is a word of which parts may be read, but only those at its start.
func atStart(off uint32, name string, lower lowering) desc.CtxField {
	f := word(name, off, lower)
	f.Allow = func(a desc.CtxAccess, _ *desc.ProgInfo) bool { return a.Off == off }
	return f
}

// address is an IPv6 address in four words.
func address(name string, off uint32, at int16) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: 16, Elem: 4, Read: true, Narrow: true,
		Lower: func(p *patch.Patch, a desc.CtxAccess) {
			p.Emit(load(insn.SizeW, a.Dst, a.Src, at+int16((a.Off-off)&^3)))
		}}
}

// inDstPort: the port was a word once, and programs may still read it as one.
// What is behind its two bytes is padding.
func inDstPort(a desc.CtxAccess, _ *desc.ProgInfo) bool { return a.Off < uapi.OffSockDstPort+2 }

// commonFields leaves out what struct sock_common does not have
// (bpf_sock_common_is_valid_access).
func commonFields(all []desc.CtxField) (out []desc.CtxField) {
	for _, f := range all {
		if f.Off < uapi.OffSockType || f.Off > uapi.OffSockPriority {
			out = append(out, f)
		}
	}
	return out
}

// tcpFields are the fields of struct bpf_tcp_sock: words, but for two counters
// of bytes (bpf_tcp_sock_is_valid_access).
func tcpFields() (out []desc.CtxField) {
	for _, f := range uapi.TCPSock.Fields {
		size := sizeOf[uint32(f.Size)]
		out = append(out, desc.CtxField{Name: f.Name, Off: uint32(f.Offset), Size: uint32(f.Size), Read: true,
			Lower: member(size, ktype.OffTCPSockStats+int16(f.Offset))})
	}
	return out
}
