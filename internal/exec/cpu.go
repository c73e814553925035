package exec

import (
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

	next *CPU
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

const stackBytes = StackSize * MaxDepth * maxNest

func newCPU(m *Machine, id int) (*CPU, error) {
	base, err := m.Region.Alloc(stackBytes, 16)
	if err != nil {
		return nil, err
	}
	return &CPU{ID: id, Machine: m, StackBase: base, StackTop: base + stackBytes}, nil
}

// Clear zeroes the stack that a run may have left behind. Tests use it to make
// runs repeatable.
func (c *CPU) Clear() { clear(mem.Bytes(c.StackBase, stackBytes)) }
