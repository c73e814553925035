package skep

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"github.com/skep-ebpf/skep/internal/abi"
	"github.com/skep-ebpf/skep/internal/bpffs"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/interp"
	"github.com/skep-ebpf/skep/internal/load"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Config says what a kernel is like. The zero value works: it has the host's
// CPUs and clock and a random seed.
type Config struct {
	// CPUs is the number of possible CPUs: what per-CPU maps have an element for,
	// and how many programs can run at the same time. 0 takes GOMAXPROCS.
	CPUs int
	// Clock gives the time since boot. Programs see it as bpf_ktime_get_ns.
	Clock func() time.Duration
	// Rand is the source of bpf_get_prandom_u32 and of hash seeds. It need not be
	// safe for concurrent use.
	Rand rand.Source
	// Engine is how programs are run; nil takes [Interpreter].
	Engine *Engine
	// Memory is the address space reserved for what programs see, in bytes; 0
	// takes 64 GiB where the host has it. Only what is used costs memory.
	Memory uint64
	// VerifyOnly makes a kernel that gives verdicts and nothing else: programs of
	// all types that can be verified load, with every helper of Linux, but none
	// runs (TEST_RUN answers ENOTSUPP). Without it a program loads only if all that
	// it needs can run.
	VerifyOnly bool
	// AllowUnprivileged lets tasks without CAP_BPF load socket filters
	// (kernel.unprivileged_bpf_disabled = 0). Distributions forbid it.
	AllowUnprivileged bool
	// Trace receives what programs print with bpf_trace_printk and bpf_printk, a
	// line at a time.
	Trace func(line string)
	// TrackOrigins records where fds and objects are made, so that the error of
	// Close can say it. It costs time.
	TrackOrigins bool
}

// Engine is a way to run programs.
type Engine struct {
	engine exec.Engine
	record bool
}

// Interpreter runs programs without machine code, on every platform.
var Interpreter = &Engine{engine: interp.New()}

// CheckingInterpreter holds every access of a program against live memory and
// every register against what the verifier believed. It is slow, and finds
// errors in skep: a run that finds one returns a [*Violation].
var CheckingInterpreter = &Engine{engine: interp.NewChecking(), record: true}

// Engines lists the engines by name.
func Engines() map[string]*Engine {
	return map[string]*Engine{"interp": Interpreter, "check": CheckingInterpreter}
}

// Kernel is an eBPF subsystem: programs, maps, BTF, the file system in which
// they are pinned. Kernels share nothing. A Kernel is safe for concurrent use.
type Kernel struct {
	abi    *abi.Kernel
	region *mem.Region
	root   *Task
}

// New makes a kernel.
func New(c Config) (*Kernel, error) {
	if c.CPUs == 0 {
		c.CPUs = runtime.GOMAXPROCS(0)
	}
	if c.CPUs < 0 || c.CPUs > maxCPUs {
		return nil, fmt.Errorf("skep: %d CPUs; there can be 1 to %d", c.CPUs, maxCPUs)
	}
	if c.Engine == nil {
		c.Engine = Interpreter
	}
	region, err := mem.NewRegion(c.Memory)
	if err != nil {
		return nil, fmt.Errorf("skep: %w", err)
	}
	machine, err := exec.NewMachine(region, c.CPUs)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("skep: %w", err), region.Close())
	}
	clocks(machine, c)
	k := &Kernel{region: region, abi: assemble(machine, c)}
	k.root = k.NewTask(Credentials{Capabilities: AllCapabilities})
	return k, nil
}

// maxCPUs is what the layout of per-CPU structures is made for (NR_CPUS).
const maxCPUs = 8192

func assemble(m *exec.Machine, c Config) *abi.Kernel {
	registry := &object.Registry{TrackOrigins: c.TrackOrigins}
	stats := &object.Stats{}
	return &abi.Kernel{
		Machine: m, Registry: registry, FS: &bpffs.FS{}, Stats: stats,
		UnprivilegedDisabled: !c.AllowUnprivileged,
		Loader: &load.Loader{
			Machine: m, Registry: registry, Stats: stats,
			Engine: c.Engine.engine, Record: c.Engine.record,
			Link: helpers.Env(m), Types: types(c), VerifyOnly: c.VerifyOnly,
			UnprivilegedDisabled: !c.AllowUnprivileged,
		},
	}
}

// types finds the program types that a kernel takes.
func types(c Config) func(uapi.ProgType) *desc.ProgType {
	if c.VerifyOnly {
		return progtype.Verifiable
	}
	return progtype.Lookup
}

// Task is the privileged task that every kernel has.
func (k *Kernel) Task() *Task { return k.root }

// Close ends the kernel: tasks exit, pins go. It fails, and says what is left
// and, with [Config.TrackOrigins], where that was made, when objects are still
// referenced: by an fd of a task that was not closed. No program may run any
// more.
func (k *Kernel) Close() error {
	k.root.Exit()
	k.abi.FS.Clear()
	k.abi.Machine.Barrier()
	var err error
	if leaks := k.abi.Registry.Leaks(); len(leaks) > 0 {
		var b strings.Builder
		for _, l := range leaks {
			fmt.Fprintf(&b, "\n%s %d, %d references\n%s", l.What, l.ID, l.Refs, l.Made)
		}
		err = fmt.Errorf("skep: the kernel was closed with objects in use:%s", b.String())
	}
	return errors.Join(err, k.region.Close())
}
