package helpers

import (
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// csumDiffHelpers compute checksums of memory.
var csumDiffHelpers = []helper{
	fn(uapi.BPF_FUNC_csum_diff, csumDiff),
}

// csumHelpers mend the checksums of a packet.
var csumHelpers = []helper{
	fn(uapi.BPF_FUNC_l3_csum_replace, l3CsumReplace),
	fn(uapi.BPF_FUNC_l4_csum_replace, l4CsumReplace),
	fn(uapi.BPF_FUNC_csum_update, csumUpdate),
	fn(uapi.BPF_FUNC_csum_level, csumLevel),
}

// csumDiff is the checksum of seed plus to minus from, folded to 16 bits as
// Linux does on every architecture since 6.13 (bpf_csum_diff).
func csumDiff(c *exec.CPU, from, fromSize, to, toSize, seed uint64) uint64 {
	fromSize, toSize = uint64(uint32(fromSize)), uint64(uint32(toSize))
	sum := uint32(seed)
	switch {
	case fromSize != 0 && toSize != 0:
		added := netbuf.CsumPartial(mem.Bytes(to, toSize), sum)
		sum = netbuf.CsumSub(added, netbuf.CsumPartial(mem.Bytes(from, fromSize), 0))
	case toSize != 0:
		sum = netbuf.CsumPartial(mem.Bytes(to, toSize), sum)
	case fromSize != 0:
		sum = ^netbuf.CsumPartial(mem.Bytes(from, fromSize), ^sum)
	}
	return uint64(netbuf.CsumFrom32To16(sum))
}

// checksumAt is the two bytes of a checksum in the packet, where it may be
// changed.
func checksumAt(s *netbuf.SKB, offset uint64) ([]byte, errno.Errno) {
	off := uint32(offset)
	if off > 0xffff || off&1 != 0 || off+2 > s.Len {
		return nil, errno.EFAULT
	}
	s.ComputePointers()
	return s.Bytes()[off : off+2], 0
}

// replace4 replaces four bytes under an inverted sum (csum_replace4).
func replace4(sum uint16, from, to uint32) uint16 {
	return netbuf.CsumFold(netbuf.CsumAdd(netbuf.CsumSub(^netbuf.CsumUnfold(sum), from), to))
}

// replace2 replaces two bytes (csum_replace2).
func replace2(sum, from, to uint16) uint16 {
	add := func(a, b uint16) uint16 {
		s := uint32(a) + uint32(b)
		return uint16(s) + uint16(s>>16)
	}
	return ^add(add(^sum, ^from), to)
}

// byDiff applies a difference that csum_diff made (csum_replace_by_diff).
func byDiff(sum uint16, diff uint32) uint16 {
	return netbuf.CsumFold(netbuf.CsumAdd(diff, ^netbuf.CsumUnfold(sum)))
}

func l3CsumReplace(c *exec.CPU, _, offset, from, to, flags uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if flags&^uapi.BPF_F_HDR_FIELD_MASK != 0 {
		return failure(errno.EINVAL)
	}
	b, e := checksumAt(s, offset)
	if e != 0 {
		return failure(e)
	}
	sum := binary.LittleEndian.Uint16(b)
	switch {
	case flags == 0 && from == 0:
		sum = byDiff(sum, uint32(to))
	case flags == 2:
		sum = replace2(sum, uint16(from), uint16(to))
	case flags == 4:
		sum = replace4(sum, uint32(from), uint32(to))
	default:
		return failure(errno.EINVAL)
	}
	binary.LittleEndian.PutUint16(b, sum)
	return 0
}

// csumMangled0 is CSUM_MANGLED_0: a zero checksum as UDP sends it.
const csumMangled0 = 0xffff

const l4Flags = uapi.BPF_F_MARK_MANGLED_0 | uapi.BPF_F_MARK_ENFORCE | uapi.BPF_F_PSEUDO_HDR |
	uapi.BPF_F_HDR_FIELD_MASK | uapi.BPF_F_IPV6

func l4CsumReplace(c *exec.CPU, _, offset, from, to, flags uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if flags&^l4Flags != 0 {
		return failure(errno.EINVAL)
	}
	b, e := checksumAt(s, offset)
	if e != 0 {
		return failure(e)
	}
	mangled0 := flags&uapi.BPF_F_MARK_MANGLED_0 != 0
	sum := binary.LittleEndian.Uint16(b)
	if mangled0 && flags&uapi.BPF_F_MARK_ENFORCE == 0 && sum == 0 {
		return 0
	}
	switch size := flags & uapi.BPF_F_HDR_FIELD_MASK; {
	case size == 0 && from == 0:
		sum = l4ByDiff(s, sum, uint32(to), flags)
	case size == 2:
		sum = l4Replace(s, sum, uint32(uint16(from)), uint32(uint16(to)), flags)
	case size == 4:
		sum = l4Replace(s, sum, uint32(from), uint32(to), flags)
	default:
		return failure(errno.EINVAL)
	}
	if mangled0 && sum == 0 {
		sum = csumMangled0
	}
	binary.LittleEndian.PutUint16(b, sum)
	return 0
}

// l4Replace keeps the packet's own checksum right too, when the field is in the
// pseudo header, which that does not cover (inet_proto_csum_replace4).
func l4Replace(s *netbuf.SKB, sum uint16, from, to uint32, flags uint64) uint16 {
	pseudo := flags&uapi.BPF_F_PSEUDO_HDR != 0
	if s.IPSummed == ktype.ChecksumPartial {
		if !pseudo {
			return sum
		}
		return ^netbuf.CsumFold(netbuf.CsumAdd(netbuf.CsumSub(netbuf.CsumUnfold(sum), from), to))
	}
	if s.IPSummed == ktype.ChecksumComplete && pseudo {
		s.Csum = ^netbuf.CsumAdd(netbuf.CsumSub(^s.Csum, from), to)
	}
	return replace4(sum, from, to)
}

// l4ByDiff is inet_proto_csum_replace_by_diff.
func l4ByDiff(s *netbuf.SKB, sum uint16, diff uint32, flags uint64) uint16 {
	pseudo := flags&uapi.BPF_F_PSEUDO_HDR != 0
	if s.IPSummed == ktype.ChecksumPartial {
		if !pseudo {
			return sum
		}
		return ^netbuf.CsumFold(netbuf.CsumAdd(diff, netbuf.CsumUnfold(sum)))
	}
	if s.IPSummed == ktype.ChecksumComplete && pseudo && flags&uapi.BPF_F_IPV6 == 0 {
		s.Csum = ^netbuf.CsumSub(diff, s.Csum)
	}
	return byDiff(sum, diff)
}

func csumUpdate(c *exec.CPU, _, csum, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if s.IPSummed != ktype.ChecksumComplete {
		return failure(errno.ENOTSUPP)
	}
	s.Csum = netbuf.CsumAdd(s.Csum, uint32(csum))
	return uint64(s.Csum)
}

const maxCsumLevel = 3

func csumLevel(c *exec.CPU, _, level, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	unnecessary := s.IPSummed == ktype.ChecksumUnnecessary
	switch level {
	case uapi.BPF_CSUM_LEVEL_QUERY:
		if !unnecessary {
			return failure(errno.EACCES)
		}
		return uint64(s.CsumLevel)
	case uapi.BPF_CSUM_LEVEL_INC:
		switch {
		case unnecessary && s.CsumLevel < maxCsumLevel:
			s.CsumLevel++
		case s.IPSummed == ktype.ChecksumNone:
			s.IPSummed, s.CsumLevel = ktype.ChecksumUnnecessary, 0
		}
	case uapi.BPF_CSUM_LEVEL_DEC:
		switch {
		case unnecessary && s.CsumLevel == 0:
			s.IPSummed = ktype.ChecksumNone
		case unnecessary:
			s.CsumLevel--
		}
	case uapi.BPF_CSUM_LEVEL_RESET:
		resetUnnecessary(s)
	default:
		return failure(errno.EINVAL)
	}
	return 0
}

// resetUnnecessary drops what the device said about checksums
// (__skb_reset_checksum_unnecessary).
func resetUnnecessary(s *netbuf.SKB) {
	if s.IPSummed == ktype.ChecksumUnnecessary {
		s.IPSummed, s.CsumLevel = ktype.ChecksumNone, 0
	}
}
