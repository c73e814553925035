package netbuf

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
)

// SKBHeadroom is what is free in front of a packet in a test run: NET_SKB_PAD +
// NET_IP_ALIGN.
const SKBHeadroom = 64

// SKB is an sk_buff whose whole packet is in its linear buffer.
type SKB struct {
	// Addr is the address of the struct: the context of a program.
	Addr uint64
	*ktype.SKBuff
	Device *Device
	Socket *Sock

	slab slab
	m    *exec.Machine
}

// NewSKB makes an sk_buff without a packet.
func NewSKB(m *exec.Machine) (*SKB, error) {
	addr, err := m.Region.Alloc(ktype.SizeofSKBuff, 64)
	if err != nil {
		return nil, err
	}
	return &SKB{Addr: addr, SKBuff: mem.At[ktype.SKBuff](addr), m: m}, nil
}

// Free gives the struct and its buffer back.
func (s *SKB) Free() {
	s.m.Region.Free(s.Head)
	s.m.Region.Free(s.Addr)
}

// Reset makes s a fresh packet of size bytes behind headroom bytes, in a zeroed
// struct. The packet's bytes are undefined until [SKB.Bytes] is filled.
func (s *SKB) Reset(headroom, size uint32, dev *Device, sk *Sock) errno.Errno {
	head, end := s.Head, s.End
	if need := headroom + size; need > end {
		end = max(alignData(need), 2048)
		addr, err := s.m.Region.Alloc(uint64(end)+ktype.SizeofSharedInfo, 64)
		if err != nil {
			return errno.ENOMEM
		}
		s.m.Region.Free(head)
		head = addr
	}
	*s.SKBuff = ktype.SKBuff{
		Head: head, End: end, Data: head + uint64(headroom), Tail: headroom + size, Len: size,
		MacHeader: ktype.HeaderUnset, TransportHeader: ktype.HeaderUnset,
		Truesize: end + ktype.SizeofSharedInfo,
	}
	*s.Shared() = ktype.SharedInfo{}
	s.Device, s.Socket = dev, sk
	s.slab = kmallocSize(headroom + alignData(size) + ktype.SizeofSharedInfo)
	if dev != nil {
		s.Dev = dev.Addr
	}
	if sk != nil {
		s.SK = sk.Addr
	}
	return 0
}

// alignData is SKB_DATA_ALIGN: whole cache lines.
func alignData(n uint32) uint32 { return (n + 63) &^ 63 }

// Shared is the struct skb_shared_info behind the buffer.
func (s *SKB) Shared() *ktype.SharedInfo {
	return mem.At[ktype.SharedInfo](s.Head + uint64(s.End))
}

// Bytes is the packet from Data on, not a copy. It is valid until the buffer
// changes.
func (s *SKB) Bytes() []byte { return mem.Bytes(s.Data, uint64(s.Len)) }

// Headroom is the room in front of the packet.
func (s *SKB) Headroom() uint32 { return uint32(s.Data - s.Head) }

// Tailroom is the room behind the packet.
func (s *SKB) Tailroom() uint32 { return s.End - s.Tail }

// Push puts n bytes of headroom in front of the packet. Precondition: they are
// there.
func (s *SKB) Push(n uint32) {
	s.Data -= uint64(n)
	s.Len += n
}

// Pull takes n bytes from the front. Precondition: n <= Len.
func (s *SKB) Pull(n uint32) {
	s.Data += uint64(n)
	s.Len -= n
}

// MetadataLen is the length of the metadata in front of the packet.
func (s *SKB) MetadataLen() uint32 { return uint32(s.Shared().MetaLen) }

// ComputePointers refreshes what programs read as data_meta and data_end
// (bpf_compute_data_pointers).
func (s *SKB) ComputePointers() {
	s.CB.DataMeta = s.Data - uint64(s.MetadataLen())
	s.CB.DataEnd = s.Data + uint64(s.Len)
}

// Packet implements exec.PacketRange.
func (s *SKB) Packet() (meta, data, end uint64) { return s.CB.DataMeta, s.Data, s.CB.DataEnd }

// Reserve makes room for at least nhead bytes in front and ntail behind the
// packet (skb_cow_head, pskb_expand_head). ENOMEM: Linux could not, see [slab].
func (s *SKB) Reserve(nhead, ntail uint32) errno.Errno {
	addHead, missing := uint32(0), uint32(0)
	if h := s.Headroom(); nhead > h {
		addHead = alignData(nhead - h)
	}
	if t := s.slab.end() - s.Tail; ntail > t {
		missing = ntail - t
	}
	if addHead == 0 && missing == 0 {
		return s.extend(0, ntail)
	}
	grown := s.slab.expand(addHead + missing)
	if grown == 0 {
		return errno.ENOMEM
	}
	if e := s.extend(addHead, ntail); e != 0 {
		return e
	}
	s.slab = grown
	return 0
}

// extend moves the packet to a buffer with addHead more bytes in front and at
// least ntail behind it, where that is not so already.
func (s *SKB) extend(addHead, ntail uint32) errno.Errno {
	addTail := uint32(0)
	if t := s.Tailroom(); ntail > t {
		addTail = alignData(ntail - t)
	}
	if addHead == 0 && addTail == 0 {
		return 0
	}
	end := s.End + addHead + addTail
	head, err := s.m.Region.Alloc(uint64(end)+ktype.SizeofSharedInfo, 64)
	if err != nil {
		return errno.ENOMEM
	}
	copy(mem.Bytes(head+uint64(addHead), uint64(s.Tail)), mem.Bytes(s.Head, uint64(s.Tail)))
	*mem.At[ktype.SharedInfo](head + uint64(end)) = *s.Shared()
	s.m.Region.Free(s.Head)
	s.Data = head + uint64(s.Headroom()+addHead)
	s.Head, s.End = head, end
	s.Tail += addHead
	// Only the MAC header is looked at for being unset: the others count on from
	// their marker as if it were an offset (skb_headers_offset_update).
	if s.MacHeader != ktype.HeaderUnset {
		s.MacHeader += uint16(addHead)
	}
	for _, h := range [...]*uint16{&s.NetworkHeader, &s.TransportHeader,
		&s.InnerMacHeader, &s.InnerNetworkHeader, &s.InnerTransportHead} {
		*h += uint16(addHead)
	}
	return 0
}

// Trim cuts the packet to n bytes (pskb_trim_rcsum). Precondition: n <= Len.
func (s *SKB) Trim(n uint32) {
	if s.IPSummed == ktype.ChecksumComplete {
		s.Csum = CsumBlockSub(s.Csum, CsumPartial(s.Bytes()[n:], 0), n)
	}
	s.Tail -= s.Len - n
	s.Len = n
}

// Grow appends n zero bytes (__skb_put after making room).
func (s *SKB) Grow(n uint32) errno.Errno {
	if e := s.Reserve(0, n); e != 0 {
		return e
	}
	clear(mem.Bytes(s.Head+uint64(s.Tail), uint64(n)))
	s.Tail += n
	s.Len += n
	return 0
}

// HeaderOffset is where a header lies from Data (skb_network_offset and kin).
func (s *SKB) HeaderOffset(h uint16) int32 { return int32(h) - int32(s.Headroom()) }

// SetHeader is the header offset for the byte off from Data
// (skb_set_network_header).
func (s *SKB) SetHeader(h *uint16, off int32) { *h = uint16(int32(s.Headroom()) + off) }

// EthTypeTrans takes the Ethernet header off and returns the protocol in
// network order; it sets packet type and device (eth_type_trans).
// Precondition: Len >= EthHeader.
func (s *SKB) EthTypeTrans(dev *Device) uint16 {
	s.Device, s.Dev = dev, dev.Addr
	s.SetHeader(&s.MacHeader, 0)
	eth := s.Bytes()
	s.Pull(EthHeader)
	s.PktType = packetType(eth[:6], dev.DevAddr[:6])
	switch proto := load16(eth, 12); {
	case proto >= minProto:
		return Htons(proto)
	case len(eth) >= EthHeader+2 && load16(eth, EthHeader) == 0xffff:
		return Htons(proto8023)
	default:
		return Htons(proto8022)
	}
}

// packetType says for whom a frame to dst is (eth_skb_pkt_type).
func packetType(dst, own []byte) uint8 {
	switch d := [6]byte(dst); {
	case d == [6]byte(own):
		return ktype.PacketHost
	case d == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}:
		return ktype.PacketBroadcast
	case d[0]&1 != 0:
		return ktype.PacketMulticast
	}
	return ktype.PacketOtherhost
}

// InsertAt opens a gap of n undefined bytes off bytes into the packet and moves
// what is in front of it; header offsets in front move too
// (bpf_skb_net_hdr_push).
func (s *SKB) InsertAt(off, n uint32) errno.Errno {
	if e := s.Reserve(n, 0); e != 0 {
		return e
	}
	// What is in front of the gap may end behind the packet, but not behind its
	// buffer.
	b := mem.Bytes(s.Data-uint64(n), uint64(s.End-s.Headroom()+n))
	if uint64(off)+uint64(n) > uint64(len(b)) {
		return errno.ENOMEM
	}
	s.Push(n)
	copy(b[:off], b[n:n+off])
	clear(b[off : off+n])
	s.moveHeaders(-int32(n))
	return 0
}

// RemoveAt takes n bytes out of the packet, off bytes from its start
// (bpf_skb_net_hdr_pop). ENOMEM: the packet ends before.
func (s *SKB) RemoveAt(off, n uint32) errno.Errno {
	if uint64(off)+uint64(n) > uint64(s.Len) {
		return errno.ENOMEM
	}
	b := s.Bytes()
	s.pullRcsum(b[off : off+n])
	copy(b[n:n+off], b[:off])
	s.Pull(n)
	s.moveHeaders(int32(n))
	return 0
}

// moveHeaders follows a change in front of the packet's network header.
func (s *SKB) moveHeaders(d int32) {
	same := s.TransportHeader == s.NetworkHeader
	s.MacHeader = uint16(int32(s.MacHeader) + d)
	s.NetworkHeader = uint16(int32(s.NetworkHeader) + d)
	if same {
		s.TransportHeader = s.NetworkHeader
	}
}

// pullRcsum takes bytes that leave the packet out of a complete checksum
// (skb_postpull_rcsum).
func (s *SKB) pullRcsum(b []byte) {
	if s.IPSummed == ktype.ChecksumComplete {
		s.Csum = ^CsumPartial(b, ^s.Csum)
	}
}

// PushRcsum adds bytes that come into the packet to a complete checksum
// (skb_postpush_rcsum).
func (s *SKB) PushRcsum(b []byte) {
	if s.IPSummed == ktype.ChecksumComplete {
		s.Csum = CsumPartial(b, s.Csum)
	}
}
