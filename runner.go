package skep

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/testrun"
)

// Runner puts packets through one program, one after the other, on one CPU and
// without allocating: what [Program.Run] does for each packet, for many. It is
// for one goroutine at a time and holds its CPU until Close. Maps may be read and
// written between runs.
type Runner struct {
	prog   *object.Prog
	runner *testrun.Runner
	cpu    *exec.CPU
	stop   *atomic.Bool
}

// NewRunner makes a runner. It waits for an idle CPU.
func (p *Program) NewRunner() (*Runner, error) {
	o, _, err := p.task.task.Object(p.fd, object.KindProg)
	if err != nil {
		return nil, err
	}
	prog := o.(*object.Prog)
	if err := prog.CanRun(); err != nil {
		prog.Put()
		return nil, err
	}
	m := p.task.kernel.abi.Machine
	runner, err := testrun.NewRunner(m, prog.Runnable(), prog.Code.Raw().Type())
	if err != nil {
		prog.Put()
		return nil, fmt.Errorf("program %s: %w", p.Name, err)
	}
	r := &Runner{prog: prog, runner: runner, cpu: m.Acquire(), stop: new(atomic.Bool)}
	r.cpu.Limit(-1, r.stop)
	r.cpu.Pause()
	return r, nil
}

// Run runs the program on a packet that starts with its Ethernet header, and
// returns its verdict. arrival is the packet's time stamp in nanoseconds, 0 for
// none. After [Runner.Stop] it fails with EINTR.
func (r *Runner) Run(packet []byte, arrival uint64) (verdict uint32, err error) {
	r.cpu.Resume()
	defer r.cpu.Pause()
	defer r.violation(&err)
	verdict, err = r.runner.Run(r.cpu, packet, arrival)
	if err == nil && r.cpu.Stopped {
		err = errno.Errorf(errno.EINTR, "the run was stopped")
	}
	return verdict, err
}

// violation turns the panic of the checking interpreter into an error.
func (r *Runner) violation(err *error) {
	switch p := recover().(type) {
	case nil:
	case *Violation:
		*err = fmt.Errorf("program %s: %w", r.prog.Name, p)
	default:
		panic(p)
	}
}

// Packet is the packet as the last run left it, valid until the next one.
func (r *Runner) Packet() []byte { return r.runner.Packet() }

// Stop ends a run that is under way, from another goroutine.
func (r *Runner) Stop() { r.stop.Store(true) }

// Quiesce lets go of the CPU for a moment, so that others who wait for one get
// their turn. Long replays call it now and then.
func (r *Runner) Quiesce() {
	m := r.cpu.Machine
	m.Release(r.cpu)
	r.cpu = m.Acquire()
	r.cpu.Limit(-1, r.stop)
	r.cpu.Pause()
}

// Close gives the CPU and the program back.
func (r *Runner) Close() error {
	if r.runner == nil {
		return errors.New("skep: the runner is closed already")
	}
	r.cpu.Machine.Release(r.cpu)
	r.runner.Close()
	r.prog.Put()
	r.runner = nil
	return nil
}
