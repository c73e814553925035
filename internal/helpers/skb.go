package helpers

import (
	"math"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// skbReadHelpers look at an sk_buff without changing it; they are all that a
// socket filter has.
var skbReadHelpers = []helper{
	fn(uapi.BPF_FUNC_skb_load_bytes, skbLoadBytes),
	fn(uapi.BPF_FUNC_skb_load_bytes_relative, skbLoadBytesRelative),
	fn(uapi.BPF_FUNC_get_socket_cookie, socketCookie),
	fn(uapi.BPF_FUNC_get_socket_uid, socketUID),
	fn(uapi.BPF_FUNC_get_netns_cookie, netnsCookie),
}

// skbWriteHelpers change bytes of the packet in place.
var skbWriteHelpers = []helper{
	fn(uapi.BPF_FUNC_skb_store_bytes, skbStoreBytes),
	fn(uapi.BPF_FUNC_skb_pull_data, skbPullData),
}

func skbLoadBytes(c *exec.CPU, _, offset, to, size, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	off, out := uint32(offset), mem.Bytes(to, size)
	if off > math.MaxInt32 || uint64(off)+size > uint64(s.Len) {
		clear(out)
		return failure(errno.EFAULT)
	}
	copy(out, s.Bytes()[off:])
	return 0
}

// skbLoadBytesRelative counts from the start of the MAC or network header.
func skbLoadBytesRelative(c *exec.CPU, _, offset, to, size, start uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	off, out := uint32(offset), mem.Bytes(to, size)
	header, ok := s.NetworkHeader, true
	switch uint32(start) {
	case uapi.BPF_HDR_START_MAC:
		header, ok = s.MacHeader, s.MacHeader != ktype.HeaderUnset
	case uapi.BPF_HDR_START_NET:
	default:
		ok = false
	}
	from := uint64(header) + uint64(off)
	if !ok || off > 0xffff || from+size > uint64(s.Tail) {
		clear(out)
		return failure(errno.EFAULT)
	}
	copy(out, mem.Bytes(s.Head+from, size))
	return 0
}

func skbStoreBytes(c *exec.CPU, _, offset, from, size, flags uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if flags&^(uapi.BPF_F_RECOMPUTE_CSUM|uapi.BPF_F_INVALIDATE_HASH) != 0 {
		return failure(errno.EINVAL)
	}
	off := uint32(offset)
	if off > math.MaxInt32 || uint64(off)+size > uint64(s.Len) {
		return failure(errno.EFAULT)
	}
	s.ComputePointers()
	dst := s.Bytes()[off : uint64(off)+size]
	if flags&uapi.BPF_F_RECOMPUTE_CSUM != 0 && s.IPSummed == ktype.ChecksumComplete {
		s.Csum = netbuf.CsumBlockSub(s.Csum, netbuf.CsumPartial(dst, 0), off)
		copy(dst, mem.Bytes(from, size))
		s.Csum = ^netbuf.CsumBlockSub(^s.Csum, netbuf.CsumPartial(dst, 0), off)
	} else {
		copy(dst, mem.Bytes(from, size))
	}
	if flags&uapi.BPF_F_INVALIDATE_HASH != 0 {
		clearHash(s)
	}
	return 0
}

// skbPullData has nothing to pull: packets are linear.
func skbPullData(c *exec.CPU, _, size, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	s.ComputePointers()
	if uint32(size) > s.Len {
		return failure(errno.ENOMEM)
	}
	return 0
}

// The functions behind LD_ABS and LD_IND (bpf_skb_load_helper_8, _16, _32). Their
// ids are out of the range that a program can name.
const loadAbsID uapi.FuncID = 1 << 30

var loadAbs = [3]helper{
	{Helper: desc.Helper{ID: loadAbsID, Name: "bpf_skb_load_helper_8"}, body: skbLoadAbs8},
	{Helper: desc.Helper{ID: loadAbsID + 1, Name: "bpf_skb_load_helper_16"}, body: skbLoadAbs16},
	{Helper: desc.Helper{ID: loadAbsID + 2, Name: "bpf_skb_load_helper_32"}, body: skbLoadAbs32},
}

// LoadAbs are the functions that LD_ABS and LD_IND of 1, 2 and 4 bytes become:
// (sk_buff, offset), the value in host order, or -EFAULT.
var LoadAbs = [3]*desc.Helper{&loadAbs[0].Helper, &loadAbs[1].Helper, &loadAbs[2].Helper}

// Negative offsets count from a header (linux/filter.h).
const (
	skfNetOff = -0x100000
	skfLLOff  = -0x200000
)

// absBytes finds n bytes by the offset of a load of the classic kind; nil where
// there are none.
func absBytes(c *exec.CPU, offset, n uint64) []byte {
	s := c.Run.(*netbuf.SKB)
	off := int64(int32(offset))
	from := int64(s.Headroom()) + off
	switch {
	case off >= 0:
	case off >= skfNetOff:
		from = int64(s.NetworkHeader) + off - skfNetOff
	case off >= skfLLOff && s.MacHeader != ktype.HeaderUnset:
		from = int64(s.MacHeader) + off - skfLLOff
	default:
		return nil
	}
	if from+int64(n) > int64(s.Tail) {
		return nil
	}
	return mem.Bytes(s.Head+uint64(from), n)
}

func skbLoadAbs8(c *exec.CPU, _, offset, _, _, _ uint64) uint64 {
	return bigEndian(absBytes(c, offset, 1))
}
func skbLoadAbs16(c *exec.CPU, _, offset, _, _, _ uint64) uint64 {
	return bigEndian(absBytes(c, offset, 2))
}
func skbLoadAbs32(c *exec.CPU, _, offset, _, _, _ uint64) uint64 {
	return bigEndian(absBytes(c, offset, 4))
}

func bigEndian(b []byte) uint64 {
	if b == nil {
		return failure(errno.EFAULT)
	}
	v := uint64(0)
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}
