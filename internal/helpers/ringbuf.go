package helpers

import (
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// ringbufHelpers write records for user space.
var ringbufHelpers = []helper{
	fn(uapi.BPF_FUNC_ringbuf_output, ringbufOutput),
	fn(uapi.BPF_FUNC_ringbuf_reserve, ringbufReserve),
	fn(uapi.BPF_FUNC_ringbuf_submit, ringbufSubmit),
	fn(uapi.BPF_FUNC_ringbuf_discard, ringbufDiscard),
	fn(uapi.BPF_FUNC_ringbuf_query, ringbufQuery),
}

func ringbuf(c *exec.CPU, m uint64) *maps.Ringbuf { return maps.FromAddr(c.Machine, m).(*maps.Ringbuf) }

func ringbufOutput(c *exec.CPU, m, data, size, flags, _ uint64) uint64 {
	return failure(ringbuf(c, m).Output(data, size, flags))
}

func ringbufReserve(c *exec.CPU, m, size, flags, _, _ uint64) uint64 {
	return ringbuf(c, m).Reserve(size, flags)
}

func ringbufSubmit(c *exec.CPU, sample, flags, _, _, _ uint64) uint64 {
	maps.RingbufOf(c.Machine, sample).Submit(sample, flags)
	return 0
}

func ringbufDiscard(c *exec.CPU, sample, flags, _, _, _ uint64) uint64 {
	maps.RingbufOf(c.Machine, sample).Discard(sample, flags)
	return 0
}

func ringbufQuery(c *exec.CPU, m, flags, _, _, _ uint64) uint64 { return ringbuf(c, m).Query(flags) }
