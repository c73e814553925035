package testrun

import (
	"math"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

const pageSize = 4096

// CheckAttr is what bpf(2) looks at before the program: a context has an
// address exactly if it has a size.
func CheckAttr(a *uapi.TestRunAttr) error {
	if (a.CtxSizeIn != 0) != (a.CtxIn != 0) {
		return errno.Errorf(errno.EINVAL, "ctx_in and ctx_size_in do not go together")
	}
	if (a.CtxSizeOut != 0) != (a.CtxOut != 0) {
		return errno.Errorf(errno.EINVAL, "ctx_out and ctx_size_out do not go together")
	}
	return nil
}

// BPF carries out BPF_PROG_TEST_RUN for a task with memory m. It sets the output
// fields of a that the kernel writes, also when it fails with ENOSPC because
// output did not fit. The caller must not hold a CPU.
func BPF(p *Program, a *uapi.TestRunAttr, m usermem.Mem) error {
	switch kindOf(p.Type) {
	case kindL2, kindL3:
		return runSKB(p, a, m)
	case kindXDP:
		return runXDP(p, a, m)
	}
	return errno.Errorf(errno.ENOTSUPP, "programs of type %s have no test run", p.Type.LibName())
}

// contextIn reads ctx_in into a structure of size bytes, nil if there is neither
// input nor output (bpf_ctx_init).
func contextIn(a *uapi.TestRunAttr, m usermem.Mem, size int) ([]byte, error) {
	if a.CtxIn == 0 && a.CtxOut == 0 {
		return nil, nil
	}
	b := make([]byte, size)
	if a.CtxIn == 0 {
		return b, nil
	}
	n := int(a.CtxSizeIn)
	if n > pageSize {
		return nil, errno.Errorf(errno.E2BIG, "a context of %d bytes is larger than a page", n)
	}
	if n > size {
		tail := make([]byte, n-size)
		if err := m.Read(a.CtxIn+uint64(size), tail); err != nil {
			return nil, err
		}
		for i, c := range tail {
			if c != 0 {
				return nil, errno.Errorf(errno.E2BIG, "byte %d of the context is not 0, but the structure has %d bytes", size+i, size)
			}
		}
	}
	return b, m.Read(a.CtxIn, b[:min(n, size)])
}

// contextOut writes the context back (bpf_ctx_finish).
func contextOut(a *uapi.TestRunAttr, m usermem.Mem, ctx []byte) error {
	if ctx == nil || a.CtxOut == 0 {
		return nil
	}
	n := min(len(ctx), int(a.CtxSizeOut))
	room := a.CtxSizeOut
	if err := m.Write(a.CtxOut, ctx[:n]); err != nil {
		return err
	}
	a.CtxSizeOut = uint32(len(ctx))
	if n < len(ctx) {
		return errno.Errorf(errno.ENOSPC, "the context has %d bytes, ctx_size_out is %d", len(ctx), room)
	}
	return nil
}

// output is a packet as it comes out: a linear part and fragments.
type output struct {
	linear []byte
	frags  [][]byte
}

func (o *output) size() (total, inFrags int) {
	for _, f := range o.frags {
		inFrags += len(f)
	}
	return len(o.linear) + inFrags, inFrags
}

// dataOut writes the packet and the result back (bpf_test_finish). Without a
// size the whole packet is written.
func dataOut(a *uapi.TestRunAttr, m usermem.Mem, o output, retval, duration uint32) error {
	size, inFrags := o.size()
	room, n := a.DataSizeOut, size
	if room != 0 && size > int(room) {
		n = int(room)
	}
	short := n < size
	if a.DataOut != 0 {
		if n < inFrags {
			return tooSmall(size, room)
		}
		linear := n - inFrags
		if err := m.Write(a.DataOut, o.linear[:linear]); err != nil {
			return err
		}
		at := linear
		for _, f := range o.frags {
			if err := m.Write(a.DataOut+uint64(at), f); err != nil {
				return err
			}
			at += len(f)
		}
	}
	a.DataSizeOut, a.Retval, a.Duration = uint32(size), retval, duration
	if short {
		return tooSmall(size, room)
	}
	return nil
}

func tooSmall(size int, room uint32) error {
	return errno.Errorf(errno.ENOSPC, "the packet has %d bytes, data_size_out is %d", size, room)
}

// quiesceEvery is after how many repetitions what others freed meanwhile may go,
// as bpf_test_timer_continue leaves the read section now and then.
const quiesceEvery = 1 << 8

// repeated runs the program on what is in run, n times (0: once), and returns
// the last result and the average time in nanoseconds (bpf_test_run).
func repeated(p *Program, run any, ctx uint64, n uint32) (retval, duration uint32, err error) {
	m := p.Machine
	c := m.Acquire()
	defer m.Release(c)
	if p.Stop != nil {
		c.Limit(-1, p.Stop)
	}
	n = max(n, 1)
	start := m.Clock()
	for i := range n {
		if i%quiesceEvery == quiesceEvery-1 {
			c.Pause()
			c.Resume()
		}
		retval = runOn(c, p.Image, run, ctx)
		if c.Stopped || p.Stop != nil && p.Stop.Load() && i+1 < n {
			return 0, 0, errno.Errorf(errno.EINTR, "the test run was interrupted")
		}
	}
	spent := (m.Clock() - start) / uint64(n)
	return retval, uint32(min(spent, math.MaxUint32)), nil
}

func runOn(c *exec.CPU, img exec.Image, run any, ctx uint64) uint32 {
	c.Run, c.Ctx, c.Redirect = run, ctx, exec.Redirect{}
	return uint32(img.Run(c, ctx))
}

// errTooShort and errTooLong are bpf_test_init's.
func errTooShort(n uint32) error {
	return errno.Errorf(errno.EINVAL, "a packet of %d bytes is shorter than an Ethernet header (%d)", n, netbuf.EthHeader)
}

func errTooLong(n, limit uint32) error {
	return errno.Errorf(errno.EINVAL, "a packet of %d bytes does not fit a page: at most %d", n, limit)
}
