package exec

import (
	"math"
	"sync/atomic"

	"github.com/skep-ebpf/skep/internal/mem"
)

// StackSize is what one program frame may use below its frame pointer, and
// MaxDepth the number of frames (MAX_BPF_STACK, MAX_CALL_FRAMES).
const (
	StackSize = 512
	MaxDepth  = 8
	// MaxTailCalls is MAX_TAIL_CALL_CNT.
	MaxTailCalls = 33
	// maxNest is how often programs may start while others run on one CPU: a
	// program run from a helper of another.
	maxNest = 4
)

// CPU is one (virtual) processor: what a program runs on. Exactly one goroutine
// holds it at a time (Machine.Acquire), so its fields need no locks, and per-CPU
// map elements none either.
type CPU struct {
	ID      int
	Machine *Machine

	// StackBase is the lowest address of this CPU's program stack, off the Go
	// heap; StackTop the frame pointer for the next program started on it.
	StackBase, StackTop uint64

	// TailCalls counts tail calls of the running program.
	TailCalls int
	// Run is the state of the program type's current run (an skb, an xdp frame),
	// for helpers that work on it. Helpers type-assert it.
	Run any
	// Ctx is the context address of the current run.
	Ctx uint64
	// Redirect is what bpf_redirect* leave for the hook (struct bpf_redirect_info).
	Redirect Redirect
	// Call runs a subprogram of the current image from a helper (callbacks):
	// set by the engine for the time of a helper call.
	Call func(fn uint64, r1, r2, r3, r4, r5 uint64) uint64
	// Scratch is room for one helper's formatting, reused.
	Scratch []byte
	// Local is what the engine that ran here last keeps on this CPU. An engine
	// that finds something else replaces it.
	Local any

	// Budget counts down with every backward jump, tail call and callback; the
	// engine calls Poll when it gets below zero.
	Budget int64
	// Stopped says that the run was ended by its limit: R0 is meaningless, and
	// what the program held (locks, reservations) was not given back by it.
	Stopped bool
	fuel    int64 // what remains after Budget; negative: no end
	stop    *atomic.Bool
}

// Redirect is the target that a program chose with bpf_redirect,
// bpf_redirect_map and their kin.
type Redirect struct {
	Ifindex uint32
	Flags   uint64
	Map     uint64 // address of the map, 0 for a plain ifindex
	Index   uint64 // key in the map
	Set     bool
}

// chainStack is the deepest stack of one run: a tail call from a subprogram
// leaves its callers' frames in place, at most 256 bytes of them
// (check_max_stack_depth), and MaxTailCalls may follow each other.
const chainStack = StackSize + MaxTailCalls*256

const stackBytes = (StackSize*MaxDepth + chainStack) * maxNest

func newCPU(m *Machine, id int) (*CPU, error) {
	base, err := m.Region.Alloc(stackBytes, 16)
	if err != nil {
		return nil, err
	}
	c := &CPU{ID: id, Machine: m, StackBase: base, StackTop: base + stackBytes}
	c.unlimit()
	return c, nil
}

// pollEvery is how many backward jumps pass between two looks at the stop flag.
const pollEvery = 1 << 10

// Limit bounds what runs on the CPU until it is released. fuel is how many
// backward jumps, tail calls and callbacks the runs may make (negative: any
// number); stop, when not nil, ends them soon after it becomes true. A run that
// was ended leaves Stopped set.
func (c *CPU) Limit(fuel int64, stop *atomic.Bool) {
	c.Stopped, c.fuel, c.stop, c.Budget = false, fuel, stop, 0
	c.refill()
}

func (c *CPU) unlimit() { c.Limit(-1, nil) }

// Halt ends what runs on the CPU at its next poll, as if the limit was reached.
func (c *CPU) Halt() { c.Stopped, c.Budget = true, -1 }

// refill moves a chunk of fuel into Budget.
func (c *CPU) refill() {
	chunk := int64(math.MaxInt64)
	if c.stop != nil {
		chunk = pollEvery
	}
	if c.fuel >= 0 {
		chunk = min(chunk, c.fuel)
		c.fuel -= chunk
	}
	c.Budget = chunk
}

// Poll is what an engine calls when Budget ran out. It reports whether the run
// must end; every later call does too, so that nested runs end with it.
func (c *CPU) Poll() (stopped bool) {
	if c.Stopped = c.Stopped || c.fuel == 0 || c.stop != nil && c.stop.Load(); c.Stopped {
		c.Halt()
		return true
	}
	c.refill()
	c.Budget--
	return false
}

// Clear zeroes the stack that a run may have left behind. Tests use it to make
// runs repeatable.
func (c *CPU) Clear() { clear(mem.Bytes(c.StackBase, stackBytes)) }
