package helpers

import (
	"math"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// roomHelpers change the length of a packet, at its ends and between headers.
var roomHelpers = []helper{
	fn(uapi.BPF_FUNC_skb_change_proto, skbChangeProto),
	fn(uapi.BPF_FUNC_skb_change_tail, skbChangeTail),
	fn(uapi.BPF_FUNC_skb_change_head, skbChangeHead),
	fn(uapi.BPF_FUNC_skb_adjust_room, skbAdjustRoom),
}

// maxPacket is BPF_SKB_MAX_LEN: no packet grows beyond it.
const maxPacket = 4*4096 - ktype.SizeofSharedInfo

const (
	ipv4Header = 20
	ipv6Header = 40
)

var (
	protoIPv4 = netbuf.Htons(netbuf.ProtoIPv4)
	protoIPv6 = netbuf.Htons(netbuf.ProtoIPv6)
	// protoTEB is ETH_P_TEB, Ethernet inside of a tunnel.
	protoTEB = netbuf.Htons(0x6558)
)

func macHeaderLen(s *netbuf.SKB) uint32 { return uint32(s.NetworkHeader - s.MacHeader) }

func isGSO(s *netbuf.SKB) bool { return s.Shared().GSOSize != 0 }

// changeProtocol sets what the packet is; the route that it had is void. The
// Ethernet header is the program's to change (bpf_skb_change_protocol).
func changeProtocol(s *netbuf.SKB, proto uint16) { s.Protocol, s.Dst = proto, 0 }

// skbChangeProto makes room for the header of the other version of IP; the
// program writes it (bpf_skb_proto_xlat).
func skbChangeProto(c *exec.CPU, _, proto, flags, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if flags != 0 {
		return failure(errno.EINVAL)
	}
	const diff = ipv6Header - ipv4Header
	e := errno.ENOTSUPP
	to := uint16(proto)
	switch {
	case s.Protocol == protoIPv4 && to == protoIPv6:
		e = s.InsertAt(macHeaderLen(s), diff)
	case s.Protocol == protoIPv6 && to == protoIPv4:
		e = s.RemoveAt(macHeaderLen(s), diff)
	}
	if e == 0 {
		changeGSO(s, to)
		changeProtocol(s, to)
		clearHash(s)
	}
	s.ComputePointers()
	return failure(e)
}

// Types of segmentation offload (linux/skbuff.h).
const (
	gsoTCPv4     = 1 << 0
	gsoDodgy     = 1 << 1
	gsoTCPv6     = 1 << 4
	gsoGRE       = 1 << 6
	gsoIPXIP4    = 1 << 8
	gsoIPXIP6    = 1 << 9
	gsoUDPTunnel = 1 << 10
	gsoUDPL4     = 1 << 17
)

func changeGSO(s *netbuf.SKB, to uint16) {
	if !isGSO(s) {
		return
	}
	old, replaced := uint32(gsoTCPv4), uint32(gsoTCPv6)
	if to == protoIPv4 {
		old, replaced = replaced, old
	}
	sh := s.Shared()
	if sh.GSOType&old != 0 {
		sh.GSOType = sh.GSOType&^old | replaced
	}
	sh.GSOType |= gsoDodgy
}

// minLen is what must stay of a packet: what is in front of its innermost known
// header (__bpf_skb_min_len).
func minLen(s *netbuf.SKB) uint32 {
	n := max(s.HeaderOffset(s.NetworkHeader), 0)
	if s.TransportHeader != ktype.HeaderUnset {
		if off := s.HeaderOffset(s.TransportHeader); off > 0 {
			n = off
		}
	}
	return uint32(n)
}

func skbChangeTail(c *exec.CPU, _, length, flags, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	e := changeTail(s, uint32(length), flags)
	s.ComputePointers()
	return failure(e)
}

func changeTail(s *netbuf.SKB, length uint32, flags uint64) errno.Errno {
	if flags != 0 || length > maxPacket || length < minLen(s) {
		return errno.EINVAL
	}
	if s.Encapsulation != 0 {
		return errno.ENOTSUPP
	}
	if length > s.Len {
		if e := s.Grow(length - s.Len); e != 0 {
			return e
		}
		if s.IPSummed == ktype.ChecksumComplete {
			s.IPSummed = ktype.ChecksumNone
		}
	} else if length < s.Len {
		s.Trim(length)
	}
	if isGSO(s) {
		sh := s.Shared()
		sh.GSOSize, sh.GSOSegs, sh.GSOType = 0, 0, 0
	}
	return 0
}

// skbChangeHead makes the packet longer at its front, which becomes the MAC
// header (__bpf_skb_change_head).
func skbChangeHead(c *exec.CPU, _, room, flags, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	n := uint32(room)
	if flags != 0 || n > math.MaxInt32 || s.Len+n < s.Len || !isGSO(s) && s.Len+n > maxPacket {
		s.ComputePointers()
		return failure(errno.EINVAL)
	}
	e := s.Reserve(n, 0)
	if e == 0 {
		s.Push(n)
		clear(s.Bytes()[:n])
		s.SetHeader(&s.MacHeader, 0)
		s.MacLen = s.NetworkHeader - s.MacHeader
	}
	s.ComputePointers()
	return failure(e)
}

const (
	encapL3 = uapi.BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | uapi.BPF_F_ADJ_ROOM_ENCAP_L3_IPV6
	encapL4 = uapi.BPF_F_ADJ_ROOM_ENCAP_L4_GRE | uapi.BPF_F_ADJ_ROOM_ENCAP_L4_UDP
	decapL3 = uapi.BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | uapi.BPF_F_ADJ_ROOM_DECAP_L3_IPV6
	encapL2 = uint64(uapi.BPF_ADJ_ROOM_ENCAP_L2_MASK) << uapi.BPF_ADJ_ROOM_ENCAP_L2_SHIFT

	shrinkFlags = uapi.BPF_F_ADJ_ROOM_FIXED_GSO | decapL3 | uapi.BPF_F_ADJ_ROOM_NO_CSUM_RESET
	roomFlags   = shrinkFlags | encapL3 | encapL4 | uapi.BPF_F_ADJ_ROOM_ENCAP_L2_ETH | encapL2
)

func ipHeaderLen(proto uint16) uint32 {
	switch proto {
	case protoIPv4:
		return ipv4Header
	case protoIPv6:
		return ipv6Header
	}
	return math.MaxUint32
}

func skbAdjustRoom(c *exec.CPU, _, diff, mode, flags, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	e := adjustRoom(s, int32(diff), uint32(mode), flags)
	if e == 0 && flags&uapi.BPF_F_ADJ_ROOM_NO_CSUM_RESET == 0 {
		resetUnnecessary(s)
	}
	s.ComputePointers()
	return failure(e)
}

// adjustRoom grows or shrinks a packet behind its MAC or network header
// (bpf_skb_adjust_room).
func adjustRoom(s *netbuf.SKB, diff int32, mode uint32, flags uint64) errno.Errno {
	shrink, n := diff < 0, uint32(diff)
	if shrink {
		n = -n
	}
	if flags&^uint64(roomFlags) != 0 {
		return errno.EINVAL
	}
	if n > 0xfff {
		return errno.EFAULT
	}
	least := ipHeaderLen(s.Protocol)
	if least == math.MaxUint32 {
		return errno.ENOTSUPP
	}
	off := macHeaderLen(s)
	switch mode {
	case uapi.BPF_ADJ_ROOM_NET:
		off += least
	case uapi.BPF_ADJ_ROOM_MAC:
	default:
		return errno.ENOTSUPP
	}
	if decap := flags & decapL3; decap != 0 {
		switch {
		case !shrink || decap == decapL3:
			return errno.EINVAL
		case decap == uapi.BPF_F_ADJ_ROOM_DECAP_L3_IPV4:
			least = ipv4Header
		default:
			least = ipv6Header
		}
	}
	rest := uint32(int32(s.Len) - s.HeaderOffset(s.NetworkHeader))
	if shrink && (n >= rest || rest-n < least) || !shrink && s.Len+n > maxPacket && !isGSO(s) {
		return errno.ENOTSUPP
	}
	if shrink {
		return netShrink(s, off, n, flags)
	}
	return netGrow(s, off, n, flags)
}

// gsoAllows: UDP segmentation takes its sizes from gso_size, which must not
// change then.
func gsoAllows(s *netbuf.SKB, flags uint64) bool {
	sh := s.Shared()
	if !isGSO(s) || sh.GSOType&(gsoTCPv4|gsoTCPv6) != 0 {
		return true
	}
	return sh.GSOType&gsoUDPL4 != 0 && flags&uapi.BPF_F_ADJ_ROOM_FIXED_GSO != 0
}

func netShrink(s *netbuf.SKB, off, n uint32, flags uint64) errno.Errno {
	if flags&^uint64(shrinkFlags) != 0 {
		return errno.EINVAL
	}
	if !gsoAllows(s, flags) {
		return errno.ENOTSUPP
	}
	if e := s.RemoveAt(off, n); e != 0 {
		return e
	}
	switch {
	case s.Protocol == protoIPv4 && flags&uapi.BPF_F_ADJ_ROOM_DECAP_L3_IPV6 != 0:
		changeProtocol(s, protoIPv6)
	case s.Protocol == protoIPv6 && flags&uapi.BPF_F_ADJ_ROOM_DECAP_L3_IPV4 != 0:
		changeProtocol(s, protoIPv4)
	}
	resizeGSO(s, int32(n), 0, flags)
	return 0
}

func netGrow(s *netbuf.SKB, off, n uint32, flags uint64) errno.Errno {
	if !gsoAllows(s, flags) {
		return errno.ENOTSUPP
	}
	encap := flags&encapL3 != 0
	innerMAC := uint16(flags >> uapi.BPF_ADJ_ROOM_ENCAP_L2_SHIFT)
	if e := s.Reserve(n, 0); e != 0 {
		return e
	}
	if encap {
		switch {
		case flags&encapL3 == encapL3, flags&encapL4 == encapL4,
			flags&uapi.BPF_F_ADJ_ROOM_ENCAP_L2_ETH != 0 && innerMAC < netbuf.EthHeader:
			return errno.EINVAL
		case s.Encapsulation != 0:
			return errno.EALREADY
		case uint32(innerMAC) > n:
			return errno.EINVAL
		}
	}
	macLen, innerNet, innerTransport := macHeaderLen(s), s.NetworkHeader, s.TransportHeader
	if e := s.InsertAt(off, n); e != 0 {
		return e
	}
	gso := uint32(gsoDodgy)
	if encap {
		s.InnerMacHeader, s.InnerNetworkHeader = innerNet-innerMAC, innerNet
		s.InnerTransportHead = innerTransport
		gso |= encapsulate(s, macLen, flags)
	}
	resizeGSO(s, -int32(n), gso, flags)
	return 0
}

// encapsulate marks the packet as one in a tunnel whose headers are still to be
// written, and returns the kind of segmentation that goes with it.
func encapsulate(s *netbuf.SKB, macLen uint32, flags uint64) (gso uint32) {
	s.InnerProtocol = s.Protocol
	if flags&uapi.BPF_F_ADJ_ROOM_ENCAP_L2_ETH != 0 {
		s.InnerProtocol = protoTEB
	}
	s.Encapsulation = 1
	s.SetHeader(&s.NetworkHeader, int32(macLen))
	v6 := flags&uapi.BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 != 0
	outer := uint32(ipv4Header)
	if v6 {
		outer = ipv6Header
	}
	if flags&encapL4 != 0 {
		s.SetHeader(&s.TransportHeader, int32(macLen+outer))
	}
	switch {
	case s.Protocol == protoIPv4 && v6:
		changeProtocol(s, protoIPv6)
	case s.Protocol == protoIPv6 && !v6:
		changeProtocol(s, protoIPv4)
	}
	switch {
	case flags&uapi.BPF_F_ADJ_ROOM_ENCAP_L4_UDP != 0:
		return gsoUDPTunnel
	case flags&uapi.BPF_F_ADJ_ROOM_ENCAP_L4_GRE != 0:
		return gsoGRE
	case v6:
		return gsoIPXIP6
	}
	return gsoIPXIP4
}

// resizeGSO fits the segment size to headers that shrank by n bytes.
func resizeGSO(s *netbuf.SKB, n int32, kind uint32, flags uint64) {
	if !isGSO(s) {
		return
	}
	sh := s.Shared()
	if flags&uapi.BPF_F_ADJ_ROOM_FIXED_GSO == 0 {
		sh.GSOSize = uint16(int32(sh.GSOSize) + n)
	}
	sh.GSOType |= kind | gsoDodgy
	sh.GSOSegs = 0
}
