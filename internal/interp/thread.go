package interp

import (
	"github.com/skep-ebpf/skep/internal/exec"
)

// thread is what the fast form keeps on a CPU: the frames of calls between
// subprograms, of all runs that are under way there, and the bound function
// that helpers call back through. It is made once for a CPU, so that runs do
// not allocate.
type thread struct {
	cpu *exec.CPU
	// img is the image that is running, depth the number of the last frame.
	img    *image
	depth  int
	frames [maxFrames]frame
	// fp is the frame pointer for subprograms that the helper at hand calls.
	fp   uint64
	call func(fn uint64, r1, r2, r3, r4, r5 uint64) uint64
}

// maxFrames bounds the calls between subprograms that are open on a CPU. A run
// has at most MaxDepth-1 in a program, as many again in each program that a
// tail call from a subprogram enters, and a few runs nest.
const maxFrames = (exec.MaxDepth - 1) * (exec.MaxTailCalls + 1) * 2

// frame is what a call between subprograms saves.
type frame struct {
	ret            *op
	img            *image
	r6, r7, r8, r9 uint64
	fp             uint64
}

// threadOf finds the CPU's thread.
func threadOf(c *exec.CPU) *thread {
	if t, ok := c.Local.(*thread); ok {
		return t
	}
	return newThread(c)
}

func newThread(c *exec.CPU) *thread {
	t := &thread{cpu: c}
	t.call = t.callback
	c.Local = t
	return t
}

// run runs a program from entry on, with frame pointer fp, until it exits from
// the frame that it began in, and returns R0. It does the operations that
// [steps] leaves to it.
func run(c *exec.CPU, t *thread, entry *op, fp, r1, r2, r3, r4, r5 uint64) uint64 {
	var r [16]uint64
	r[1], r[2], r[3], r[4], r[5], r[10] = r1, r2, r3, r4, r5, fp
	base := t.depth
	for o := entry; ; {
		o = steps(c, t, &r, o, base)
		next := o.at(opSize)
		switch o.code {
		case opExit:
			return r[0]
		case opHelper:
			r[0] = t.img.helpers[o.off](c, r[1], r[2], r[3], r[4], r[5])
		case opHelperCallback:
			r[0] = t.helper(o, &r)
		case opTailCall:
			c.Budget--
			if target := t.tailTarget(r[2], r[3], r[10]); target != nil {
				t.img, next = target, target.entries[0]
			}
		case opAtomic, opAtomicFetch, opAtomicCmpxchg, opLoadAcquire, opStoreRelease:
			o.atomic(&r)
		case opTrap:
			panic("interp: a verified program ran past its end")
		default:
			if o.code >= opProbeW && o.code <= opProbeSXB {
				r[o.dst&15] = probe(c, o.code, r[o.src&15]+uint64(o.off))
				break
			}
			next = o.at(o.off) // a backward jump that the budget did not cover
		}
		if c.Budget < 0 && c.Poll() {
			t.depth = base
			return 0
		}
		o = next
	}
}

// helper calls a helper that may call back into the program.
func (t *thread) helper(o *op, r *[16]uint64) uint64 {
	img, fp, call := t.img, t.fp, t.cpu.Call
	t.fp, t.cpu.Call = r[10]-o.imm, t.call
	r0 := img.helpers[o.off](t.cpu, r[1], r[2], r[3], r[4], r[5])
	t.img, t.fp, t.cpu.Call = img, fp, call
	return r0
}

// callback runs a subprogram for a helper. When the run is being ended it
// returns 1, on which every helper that iterates stops.
func (t *thread) callback(fn uint64, r1, r2, r3, r4, r5 uint64) uint64 {
	if t.cpu.Budget--; t.cpu.Budget < 0 && t.cpu.Poll() {
		return 1
	}
	img, fp := t.img, t.fp
	r0 := run(t.cpu, t, img.entries[fn-1], fp, r1, r2, r3, r4, r5)
	t.img, t.fp = img, fp
	if t.cpu.Stopped {
		return 1
	}
	return r0
}

// tailTarget is the program that a tail call from a frame at fp goes on with,
// nil if there is none: then the program continues behind the call
// (bpf_tail_call in include/uapi/linux/bpf.h). An image of another engine
// counts as none, as prog arrays hold programs of one kind only
// (bpf_prog_map_compatible compares jited).
func (t *thread) tailTarget(array, index, fp uint64) *image {
	c := t.cpu
	if c.TailCalls >= exec.MaxTailCalls || t.depth+exec.MaxDepth >= maxFrames {
		return nil
	}
	slots, ok := c.Machine.ObjectAt(array).(exec.ProgArray)
	if !ok {
		return nil
	}
	target, ok := slots.Image(uint32(index)).(*image)
	if !ok || fp-c.StackBase < target.stack {
		return nil
	}
	c.TailCalls++
	c.StackTop = min(c.StackTop, fp-target.stack)
	return target
}
