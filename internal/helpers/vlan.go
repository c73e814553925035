package helpers

import (
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// vlanHelpers put 802.1Q tags on packets. The outermost tag is beside the packet
// (vlan_proto and vlan_tci of the sk_buff), the ones below in it.
var vlanHelpers = []helper{
	fn(uapi.BPF_FUNC_skb_vlan_push, skbVLANPush),
	fn(uapi.BPF_FUNC_skb_vlan_pop, skbVLANPop),
}

var (
	proto8021Q = netbuf.Htons(netbuf.Proto8021Q)
	proto8021A = netbuf.Htons(netbuf.Proto8021A)
)

func isVLAN(proto uint16) bool { return proto == proto8021Q || proto == proto8021A }

func tagged(s *netbuf.SKB) bool { return s.VLANProto != 0 || s.VLANTci != 0 }

// atMAC says whether the packet starts at its MAC header, as tags need it.
func atMAC(s *netbuf.SKB) bool { return s.HeaderOffset(s.MacHeader) == 0 }

func skbVLANPush(c *exec.CPU, _, proto, tci, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	p := uint16(proto)
	if !isVLAN(p) {
		p = proto8021Q
	}
	e := vlanPush(s, p, uint16(tci))
	s.ComputePointers()
	return failure(e)
}

// vlanPush moves a tag that is there into the packet (skb_vlan_push).
func vlanPush(s *netbuf.SKB, proto, tci uint16) errno.Errno {
	if tagged(s) {
		if !atMAC(s) {
			return errno.EINVAL
		}
		if e := insertTag(s); e != 0 {
			return e
		}
		s.Protocol = s.VLANProto
		s.NetworkHeader -= netbuf.VLANHeader
		s.MacLen = s.NetworkHeader - s.MacHeader
		s.PushRcsum(s.Bytes()[12 : 12+netbuf.VLANHeader])
	}
	s.VLANProto, s.VLANTci = proto, tci
	return 0
}

// insertTag writes the tag beside the packet behind the MAC addresses
// (__vlan_insert_tag).
func insertTag(s *netbuf.SKB) errno.Errno {
	if e := s.Reserve(netbuf.VLANHeader, 0); e != 0 {
		return e
	}
	s.Push(netbuf.VLANHeader)
	b := s.Bytes()
	copy(b[:12], b[netbuf.VLANHeader:netbuf.VLANHeader+12])
	s.MacHeader -= netbuf.VLANHeader
	binary.LittleEndian.PutUint16(b[12:], s.VLANProto)
	binary.BigEndian.PutUint16(b[14:], s.VLANTci)
	return 0
}

func skbVLANPop(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	e := vlanPop(s)
	s.ComputePointers()
	return failure(e)
}

// vlanPop takes the outermost tag off; one below it comes out of the packet
// (skb_vlan_pop).
func vlanPop(s *netbuf.SKB) errno.Errno {
	if tagged(s) {
		s.VLANProto, s.VLANTci = 0, 0
	} else {
		if !isVLAN(s.Protocol) {
			return 0
		}
		if _, e := removeTag(s); e != 0 {
			return e
		}
	}
	if !isVLAN(s.Protocol) {
		return 0
	}
	proto := s.Protocol
	tci, e := removeTag(s)
	if e != 0 {
		return e
	}
	s.VLANProto, s.VLANTci = proto, tci
	return 0
}

// removeTag takes a tag out of the packet (__skb_vlan_pop).
func removeTag(s *netbuf.SKB) (tci uint16, e errno.Errno) {
	const header = netbuf.EthHeader + netbuf.VLANHeader
	if !atMAC(s) {
		return 0, errno.EINVAL
	}
	if s.Len < header {
		return 0, errno.ENOMEM
	}
	b := s.Bytes()
	tci = binary.BigEndian.Uint16(b[14:])
	if s.IPSummed == ktype.ChecksumComplete {
		s.Csum = ^netbuf.CsumPartial(b[12:16], ^s.Csum)
	}
	setEncapProto(s, b[16:])
	copy(b[netbuf.VLANHeader:netbuf.VLANHeader+12], b[:12])
	s.Pull(netbuf.VLANHeader)
	s.MacHeader += netbuf.VLANHeader
	if s.HeaderOffset(s.NetworkHeader) < netbuf.EthHeader {
		s.SetHeader(&s.NetworkHeader, netbuf.EthHeader)
	}
	s.MacLen = s.NetworkHeader - s.MacHeader
	return tci, 0
}

// setEncapProto sets the protocol to what the tag says is behind it
// (vlan_set_encap_proto).
func setEncapProto(s *netbuf.SKB, b []byte) {
	const ieee8023, ieee8022, minProto = 0x0001, 0x0004, 0x0600
	switch proto := binary.BigEndian.Uint16(b); {
	case proto >= minProto:
		s.Protocol = netbuf.Htons(proto)
	case len(b) >= 4 && b[2] == 0xff && b[3] == 0xff:
		s.Protocol = netbuf.Htons(ieee8023)
	default:
		s.Protocol = netbuf.Htons(ieee8022)
	}
}
