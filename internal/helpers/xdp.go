package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// xdpHelpers work on a frame in the driver.
var xdpHelpers = []helper{
	fn(uapi.BPF_FUNC_xdp_adjust_head, xdpAdjustHead),
	fn(uapi.BPF_FUNC_xdp_adjust_tail, xdpAdjustTail),
	fn(uapi.BPF_FUNC_xdp_adjust_meta, xdpAdjustMeta),
	fn(uapi.BPF_FUNC_xdp_get_buff_len, xdpGetBuffLen),
	fn(uapi.BPF_FUNC_xdp_load_bytes, xdpLoadBytes),
	fn(uapi.BPF_FUNC_xdp_store_bytes, xdpStoreBytes),
	fn(uapi.BPF_FUNC_redirect, xdpRedirect).of(proto.XDP),
}

// frameStart is the lowest address that metadata and data may have.
func frameStart(x *netbuf.XDP) uint64 { return x.DataHardStart + ktype.SizeofXDPFrame }

// xdpAdjustHead moves the start of the data, and metadata with it.
func xdpAdjustHead(c *exec.CPU, _, offset, _, _, _ uint64) uint64 {
	x := c.Run.(*netbuf.XDP)
	diff := uint64(int64(int32(offset)))
	metaLen := x.Data - x.DataMeta
	data := x.Data + diff
	if data < frameStart(x)+metaLen || data > x.DataEnd-netbuf.EthHeader {
		return failure(errno.EINVAL)
	}
	if metaLen != 0 {
		copy(mem.Bytes(x.DataMeta+diff, metaLen), mem.Bytes(x.DataMeta, metaLen))
	}
	x.DataMeta += diff
	x.Data = data
	return 0
}

// xdpAdjustTail moves the end of the data, up to the shared info.
func xdpAdjustTail(c *exec.CPU, _, offset, _, _, _ uint64) uint64 {
	x := c.Run.(*netbuf.XDP)
	diff := int32(offset)
	if x.HasFrags() {
		return failure(adjustFrags(x, diff))
	}
	end := x.DataEnd + uint64(int64(diff))
	if end > x.HardEnd() || end < x.Data+netbuf.EthHeader {
		return failure(errno.EINVAL)
	}
	if diff > 0 {
		clear(mem.Bytes(x.DataEnd, uint64(diff)))
	}
	x.DataEnd = end
	return 0
}

// adjustFrags moves the end of a frame with fragments; it grows in the last one
// only (bpf_xdp_frags_increase_tail, bpf_xdp_frags_shrink_tail).
func adjustFrags(x *netbuf.XDP, diff int32) errno.Errno {
	if diff >= 0 {
		return x.GrowFrags(uint32(diff))
	}
	if -int64(diff) > int64(x.Len())-netbuf.EthHeader {
		return errno.EINVAL
	}
	x.ShrinkFrags(uint32(-diff))
	return 0
}

// maxMeta is the most metadata that fits skb_shared_info.meta_len.
const maxMeta = 255

// xdpAdjustMeta moves the start of the metadata.
func xdpAdjustMeta(c *exec.CPU, _, offset, _, _, _ uint64) uint64 {
	x := c.Run.(*netbuf.XDP)
	meta := x.DataMeta + uint64(int64(int32(offset)))
	if meta < frameStart(x) || meta > x.Data {
		return failure(errno.EINVAL)
	}
	if n := x.Data - meta; n&3 != 0 || n > maxMeta {
		return failure(errno.EACCES)
	}
	x.DataMeta = meta
	return 0
}

func xdpGetBuffLen(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	return uint64(c.Run.(*netbuf.XDP).Len())
}

// xdpRange checks an access to the whole frame (bpf_xdp_pointer).
func xdpRange(x *netbuf.XDP, offset, size uint64) (off, n uint32, e errno.Errno) {
	off, n = uint32(offset), uint32(size)
	switch {
	case off > 0xffff || n > 0xffff:
		return 0, 0, errno.EFAULT
	case off+n > x.Len():
		return 0, 0, errno.EINVAL
	}
	return off, n, 0
}

func xdpLoadBytes(c *exec.CPU, _, offset, to, size, _ uint64) uint64 {
	x := c.Run.(*netbuf.XDP)
	off, n, e := xdpRange(x, offset, size)
	if e != 0 {
		return failure(e)
	}
	out := mem.Bytes(to, uint64(n))
	x.Pieces(off, n, func(b []byte) { out = out[copy(out, b):] })
	return 0
}

func xdpStoreBytes(c *exec.CPU, _, offset, from, size, _ uint64) uint64 {
	x := c.Run.(*netbuf.XDP)
	off, n, e := xdpRange(x, offset, size)
	if e != 0 {
		return failure(e)
	}
	in := mem.Bytes(from, uint64(n))
	x.Pieces(off, n, func(b []byte) { in = in[copy(b, in):] })
	return 0
}

// xdpRedirect sends the frame out of another device once the program returns
// XDP_REDIRECT.
func xdpRedirect(c *exec.CPU, ifindex, flags, _, _, _ uint64) uint64 {
	if flags != 0 {
		return uapi.XDP_ABORTED
	}
	c.Redirect = exec.Redirect{Ifindex: uint32(ifindex), Set: true}
	return uapi.XDP_REDIRECT
}
