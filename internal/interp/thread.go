package interp

import (
	"github.com/skep-ebpf/skep/internal/exec"
)

// thread is what the fast form keeps on a CPU: the frames of calls between
// subprograms, of all runs that are under way there, and the bound function
// that helpers call back through. It is made once for a CPU, so that runs do
// not allocate.
type thread struct {
	cpu    *exec.CPU
	frames []frame
	// Of the helper that is being called: the image whose subprograms it can
	// name and the frame pointer for them.
	img *image
	fp  uint64

	call func(fn uint64, r1, r2, r3, r4, r5 uint64) uint64
}

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
	t := &thread{cpu: c, frames: make([]frame, 0, exec.MaxDepth*(exec.MaxTailCalls+1))}
	t.call = t.callback
	c.Local = t
	return t
}

// helper calls a helper that may call back into the program.
func (t *thread) helper(f exec.HelperFunc, img *image, fp, r1, r2, r3, r4, r5 uint64) uint64 {
	oldImg, oldFP, oldCall := t.img, t.fp, t.cpu.Call
	t.img, t.fp, t.cpu.Call = img, fp, t.call
	r0 := f(t.cpu, r1, r2, r3, r4, r5)
	t.img, t.fp, t.cpu.Call = oldImg, oldFP, oldCall
	return r0
}

// callback runs a subprogram for a helper. When the run is being ended it
// returns 1, on which every helper that iterates stops.
func (t *thread) callback(fn uint64, r1, r2, r3, r4, r5 uint64) uint64 {
	if t.cpu.Budget--; t.cpu.Budget < 0 && t.cpu.Poll() {
		return 1
	}
	img, fp := t.img, t.fp
	r0 := loop(t.cpu, img, img.entries[fn-1], fp, r1, r2, r3, r4, r5)
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
func tailTarget(c *exec.CPU, array, index, fp uint64) *image {
	if c.TailCalls >= exec.MaxTailCalls {
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

// unwind drops the frames of a loop that ends early.
func unwind(c *exec.CPU, depth int) uint64 {
	if depth > 0 {
		t := threadOf(c)
		t.frames = t.frames[:len(t.frames)-depth]
	}
	return 0
}
