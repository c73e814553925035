package skep

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/testrun"
)

// Runner puts packets through a program one after the other, each as a test run
// of its own would see it, without the cost of a system call and without
// allocating. It is for one goroutine at a time.
//
// Between [Runner.Begin] and [Runner.End] it holds a CPU, and nothing that
// programs could reach is freed: keep that time short, and call no other method
// of the kernel in it. Reading [Events] is allowed.
type Runner struct {
	prog    *object.Prog
	machine *exec.Machine
	run     *testrun.Runner
	cpu     *exec.CPU
	stop    atomic.Bool
}

// NewRunner makes a runner for the program. Programs that do not run on packets
// give ENOTSUPP. Close it after use.
func (p *Program) NewRunner() (*Runner, error) {
	o, _, err := p.task.task.Object(p.fd, object.KindProg)
	if err != nil {
		return nil, err
	}
	r := &Runner{prog: o.(*object.Prog), machine: p.task.kernel.abi.Machine}
	r.run, err = testrun.NewRunner(r.machine, r.prog.Image, r.prog.Code.Raw.Info.Type)
	if err != nil {
		o.Head().Put()
		return nil, fmt.Errorf("program %s: %w", p.Name, err)
	}
	return r, nil
}

// Begin takes a CPU, and waits for one if there is none.
func (r *Runner) Begin() {
	r.cpu = r.machine.Acquire()
	r.cpu.Limit(-1, &r.stop)
}

// End gives the CPU back.
func (r *Runner) End() {
	r.machine.Release(r.cpu)
	r.cpu = nil
}

// Run runs the program on a packet that starts with its Ethernet header and
// returns the verdict. received is the packet's time stamp as the program can
// see it (__sk_buff.tstamp), 0 for none. Packets that cannot be are an error:
// shorter than an Ethernet header, longer than 64 KiB. An interrupted run gives
// EINTR. With [CheckingInterpreter] the error may be a [*Violation].
//
// Preconditions: Begin was called.
func (r *Runner) Run(packet []byte, received time.Duration) (verdict uint32, err error) {
	defer recoverViolation(&err)
	verdict, err = r.run.Run(r.cpu, packet, uint64(received))
	if r.cpu.Stopped {
		return 0, errno.Errorf(errno.EINTR, "the run was interrupted")
	}
	return verdict, err
}

// Packet is the packet as the program left it. It is valid until the next Run.
func (r *Runner) Packet() []byte { return r.run.Packet() }

// Interrupt ends the run that is under way, and every later one, soon. It may be
// called from any goroutine.
func (r *Runner) Interrupt() { r.stop.Store(true) }

// Close gives the runner's memory back.
func (r *Runner) Close() {
	r.run.Close()
	r.prog.Put()
}

// recoverViolation makes an error of what the checking interpreter found.
func recoverViolation(err *error) {
	switch v := recover().(type) {
	case nil:
	case *exec.Violation:
		*err = v
	default:
		panic(v)
	}
}
