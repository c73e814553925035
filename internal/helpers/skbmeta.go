package helpers

import (
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// skbMetaHelpers read and set what is known about a packet beside its bytes.
var skbMetaHelpers = []helper{
	fn(uapi.BPF_FUNC_get_hash_recalc, getHashRecalc),
	fn(uapi.BPF_FUNC_set_hash_invalid, setHashInvalid),
	fn(uapi.BPF_FUNC_set_hash, setHash),
	fn(uapi.BPF_FUNC_skb_change_type, skbChangeType),
	fn(uapi.BPF_FUNC_skb_set_tstamp, skbSetTstamp),
	fn(uapi.BPF_FUNC_skb_ecn_set_ce, skbECNSetCE),
	fn(uapi.BPF_FUNC_get_route_realm, zero),
	fn(uapi.BPF_FUNC_get_cgroup_classid, zero),
	fn(uapi.BPF_FUNC_skb_cgroup_classid, zero),
	fn(uapi.BPF_FUNC_skb_cgroup_id, skbCgroupID),
	fn(uapi.BPF_FUNC_skb_ancestor_cgroup_id, skbAncestorCgroupID),
}

func clearHash(s *netbuf.SKB) { s.Hash, s.SWHash, s.L4Hash = 0, 0, 0 }

func setHashInvalid(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	clearHash(c.Run.(*netbuf.SKB))
	return 0
}

func setHash(c *exec.CPU, _, hash, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	s.Hash, s.SWHash, s.L4Hash = uint32(hash), 1, 1
	return 0
}

// getHashRecalc computes the flow hash unless there is one (skb_get_hash). Linux
// keys its function with a secret, so that the value means nothing but that two
// packets are of one flow; here it is the same in every run.
func getHashRecalc(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if s.L4Hash == 0 && s.SWHash == 0 {
		key, l4 := flowKey(s)
		s.Hash = max(1, fnv1a(key[:]))
		s.SWHash = 1
		if l4 {
			s.L4Hash = 1
		}
	}
	return uint64(s.Hash)
}

// fnv1a is the 32-bit FNV-1a hash.
func fnv1a(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// flowKey is what makes a flow: addresses, protocol and ports.
func flowKey(s *netbuf.SKB) (key [37]byte, l4 bool) {
	off := s.HeaderOffset(s.NetworkHeader)
	if off < 0 || int(off) > int(s.Len) {
		return key, false
	}
	b := s.Bytes()[off:]
	rest := 0
	switch {
	case s.Protocol == protoIPv4 && len(b) >= ipv4Header:
		copy(key[0:], b[12:20])
		key[32] = b[9]
		fragment := binary.BigEndian.Uint16(b[6:])&0x3fff != 0
		if rest = int(b[0]&0xf) * 4; fragment {
			return key, false
		}
	case s.Protocol == protoIPv6 && len(b) >= ipv6Header:
		copy(key[0:], b[8:40])
		key[32] = b[6]
		rest = ipv6Header
	default:
		return key, false
	}
	const tcp, udp, sctp = 6, 17, 132
	if p := key[32]; (p == tcp || p == udp || p == sctp) && len(b) >= rest+4 {
		copy(key[33:], b[rest:rest+4])
		return key, true
	}
	return key, false
}

// skbChangeType may turn packets for this host, for all, for a group and for
// others into each other.
func skbChangeType(c *exec.CPU, _, kind, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if s.PktType > ktype.PacketOtherhost || uint32(kind) > ktype.PacketOtherhost {
		return failure(errno.EINVAL)
	}
	s.PktType = uint8(kind)
	return 0
}

func skbSetTstamp(c *exec.CPU, _, tstamp, kind, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if s.Protocol != protoIPv4 && s.Protocol != protoIPv6 {
		return failure(errno.EOPNOTSUPP)
	}
	switch uint32(kind) {
	case uapi.BPF_SKB_CLOCK_REALTIME:
		s.TstampType = ktype.TstampRealtime
	case uapi.BPF_SKB_CLOCK_MONOTONIC:
		if tstamp == 0 {
			return failure(errno.EINVAL)
		}
		s.TstampType = ktype.TstampMonotonic
	case uapi.BPF_SKB_CLOCK_TAI:
		if tstamp == 0 {
			return failure(errno.EINVAL)
		}
		s.TstampType = ktype.TstampTAI
	default:
		return failure(errno.EINVAL)
	}
	s.Tstamp = tstamp
	return 0
}

// skbECNSetCE marks congestion on a packet whose sender understands it, and
// returns 1 where the mark is now there (INET_ECN_set_ce).
func skbECNSetCE(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	off := s.HeaderOffset(s.NetworkHeader)
	if off < 0 || int(off) > int(s.Len) {
		return 0
	}
	b := s.Bytes()[off:]
	switch proto := protocolBehindTags(s); {
	case proto == protoIPv4 && len(b) >= ipv4Header:
		return ipv4SetCE(b)
	case proto == protoIPv6 && len(b) >= ipv6Header:
		return ipv6SetCE(s, b)
	}
	return 0
}

const (
	ecnMask = 3
	ecnCE   = 3
)

func ipv4SetCE(b []byte) uint64 {
	switch ecn := b[1] & ecnMask; ecn {
	case 0:
		return 0
	case ecnCE:
		return 1
	default:
		sum := uint32(binary.BigEndian.Uint16(b[10:])) + 0xffff - (ecnCE - uint32(ecn))
		b[1] |= ecnCE
		binary.BigEndian.PutUint16(b[10:], uint16(sum+sum>>16))
		return 1
	}
}

func ipv6SetCE(s *netbuf.SKB, b []byte) uint64 {
	if b[1]>>4&ecnMask == 0 {
		return 0
	}
	old := binary.LittleEndian.Uint32(b)
	b[1] |= ecnCE << 4
	if s.IPSummed == ktype.ChecksumComplete {
		s.Csum = netbuf.CsumAdd(netbuf.CsumSub(s.Csum, old), binary.LittleEndian.Uint32(b))
	}
	return 1
}

// protocolBehindTags is the protocol behind VLAN tags in the packet
// (skb_protocol with skip_vlan).
func protocolBehindTags(s *netbuf.SKB) uint16 {
	proto := s.Protocol
	at := int(s.HeaderOffset(s.MacHeader)) + netbuf.EthHeader
	for depth := 0; isVLAN(proto); depth++ {
		b := s.Bytes()
		if depth == 8 || at < 0 || at+netbuf.VLANHeader > len(b) {
			return 0
		}
		proto = binary.LittleEndian.Uint16(b[at+2:])
		at += netbuf.VLANHeader
	}
	return proto
}

func skbCgroupID(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	if c.Run.(*netbuf.SKB).Socket == nil {
		return 0
	}
	return rootCgroup
}

func skbAncestorCgroupID(c *exec.CPU, _, level, _, _, _ uint64) uint64 {
	if c.Run.(*netbuf.SKB).Socket == nil || int32(level) != 0 {
		return 0
	}
	return rootCgroup
}
