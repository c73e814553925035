package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// skbEventHelpers and xdpEventHelpers write samples to perf buffers, with bytes
// of the packet after what the program gives.
var (
	skbEventHelpers = []helper{
		fn(uapi.BPF_FUNC_perf_event_output, skbEventOutput),
	}
	xdpEventHelpers = []helper{
		fn(uapi.BPF_FUNC_perf_event_output, xdpEventOutput).of(proto.XDP),
	}
)

const eventFlags = uapi.BPF_F_CTXLEN_MASK | uapi.BPF_F_INDEX_MASK

// eventPacketLen is how many bytes of the packet go with an event.
func eventPacketLen(flags uint64) uint32 { return uint32(flags & uapi.BPF_F_CTXLEN_MASK >> 32) }

func emit(c *exec.CPU, m, flags, data, size uint64, packet []byte) uint64 {
	array := maps.FromAddr(c.Machine, m).(*maps.PerfEventArray)
	return failure(array.Output(c, flags&uapi.BPF_F_INDEX_MASK, mem.Bytes(data, size), packet))
}

func skbEventOutput(c *exec.CPU, _, m, flags, data, size uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if flags&^eventFlags != 0 {
		return failure(errno.EINVAL)
	}
	n := eventPacketLen(flags)
	if n > s.Len {
		return failure(errno.EFAULT)
	}
	return emit(c, m, flags, data, size, s.Bytes()[:n])
}

func xdpEventOutput(c *exec.CPU, _, m, flags, data, size uint64) uint64 {
	x := c.Run.(*netbuf.XDP)
	if flags&^eventFlags != 0 {
		return failure(errno.EINVAL)
	}
	n := eventPacketLen(flags)
	if n > x.Len() {
		return failure(errno.EFAULT)
	}
	b := x.Bytes()
	if n <= uint32(len(b)) {
		return emit(c, m, flags, data, size, b[:n])
	}
	packet := c.Scratch[:0]
	x.Pieces(0, n, func(b []byte) { packet = append(packet, b...) })
	c.Scratch = packet[:0]
	return emit(c, m, flags, data, size, packet)
}
