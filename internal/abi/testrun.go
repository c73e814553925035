package abi

import (
	"context"
	"sync/atomic"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/testrun"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Where TEST_RUN leaves its results.
const (
	testRetval      = 4
	testDataSizeOut = 12
	testDuration    = 36
	testCtxSizeOut  = 44
)

// progTestRun mirrors bpf_prog_test_run.
func progTestRun(c *call) (int, error) {
	var a uapi.TestRunAttr
	a.Decode(c.attr[:])
	if err := testrun.CheckAttr(&a); err != nil {
		return -1, err
	}
	p, err := c.progFD(a.ProgFD)
	if err != nil {
		return -1, err
	}
	defer p.Put()
	if err := p.CanRun(); err != nil {
		return -1, err
	}
	stop := new(atomic.Bool)
	defer context.AfterFunc(c.ctx, func() { stop.Store(true) })()
	in := a
	run := testrun.Program{
		Machine: c.Machine, Image: p.Runnable(), Type: p.Code.Raw().Type(),
		ExpectedAttach: p.Code.Raw().Info.ExpectedAttach, Stop: stop,
	}
	err = guarded(&run, &a, c.mem)
	for _, out := range []struct {
		off      int
		was, now uint32
	}{
		{testRetval, in.Retval, a.Retval}, {testDataSizeOut, in.DataSizeOut, a.DataSizeOut},
		{testDuration, in.Duration, a.Duration}, {testCtxSizeOut, in.CtxSizeOut, a.CtxSizeOut},
	} {
		if out.now == out.was {
			continue
		}
		if perr := c.put(out.off, out.now); perr != nil {
			return -1, perr
		}
	}
	return 0, err
}

// guarded makes an error of what the checking interpreter found.
func guarded(p *testrun.Program, a *uapi.TestRunAttr, m usermem.Mem) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *exec.Violation:
			err = errno.Wrap(errno.EFAULT, v)
		default:
			panic(v)
		}
	}()
	return testrun.BPF(p, a, m)
}
