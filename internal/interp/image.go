package interp

import (
	"sort"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/prog"
)

type fastEngine struct{}

func (fastEngine) Name() string { return "interp" }

// image is a decoded program.
type image struct {
	ops     []op
	helpers []exec.HelperFunc
	entries []*op    // first operation of each subprogram
	frames  []uint32 // stack of each subprogram in bytes
	stack   uint64   // deepest stack of any chain of calls
}

func (fastEngine) Compile(v *prog.Verified, env *exec.Env) (exec.Image, error) {
	d, err := decode(v, env)
	if err != nil {
		return nil, err
	}
	m := &image{ops: d.ops, helpers: d.helpers, frames: d.frames, stack: chainDepth(v, d.frames)}
	for _, s := range v.Subprogs {
		m.entries = append(m.entries, &m.ops[d.opAt[s.Start]])
	}
	if len(m.entries) == 0 {
		m.entries = []*op{&m.ops[0]}
	}
	return m, nil
}

func (m *image) Code() []byte { return nil }

func (m *image) Close() {}

// Run implements [exec.Image].
func (m *image) Run(c *exec.CPU, ctx uint64) uint64 {
	t := threadOf(c)
	top, tails, outer := c.StackTop, c.TailCalls, t.img
	if top-c.StackBase < m.stack || t.depth+exec.MaxDepth >= maxFrames {
		// Programs that run programs that run programs: Linux bounds them by
		// counters at the hooks (bpf_prog_active).
		c.Halt()
		return 0
	}
	c.StackTop, c.TailCalls, t.img = top-m.stack, 0, m
	r0 := run(c, t, m.entries[0], top, ctx, 0, 0, 0, 0)
	c.StackTop, c.TailCalls, t.img = top, tails, outer
	return r0
}

// funcPointer is the value of a pointer to a subprogram, which programs hand to
// helpers and cannot look into.
func funcPointer(sub int) uint64 { return uint64(sub) + 1 }

// subprogAt is the index of the subprogram that begins at an instruction, -1
// if there is none.
func subprogAt(v *prog.Verified, at int) int {
	n := sort.Search(len(v.Subprogs), func(n int) bool { return int(v.Subprogs[n].Start) >= at })
	if n < len(v.Subprogs) && int(v.Subprogs[n].Start) == at {
		return n
	}
	return -1
}

// stackAlign is how frames are aligned, as x86's verifier rounds them
// (round_up_stack_depth).
const stackAlign = 16

// frameSizes is the stack that each subprogram uses, rounded up.
func frameSizes(v *prog.Verified) []uint32 {
	if len(v.Subprogs) == 0 {
		return []uint32{exec.StackSize}
	}
	sizes := make([]uint32, len(v.Subprogs))
	for n := range v.Subprogs {
		sizes[n] = (uint32(v.Subprogs[n].StackDepth) + stackAlign - 1) &^ (stackAlign - 1)
	}
	return sizes
}

// chainDepth is the most stack that any chain of calls from the main program
// takes. The call graph has no cycles.
func chainDepth(v *prog.Verified, frames []uint32) uint64 {
	memo := make([]uint64, len(frames))
	callees := callGraph(v)
	var depth func(sub, level int) uint64
	depth = func(sub, level int) uint64 {
		if memo[sub] != 0 || level > len(frames) {
			return memo[sub]
		}
		var below uint64
		for _, callee := range callees[sub] {
			below = max(below, depth(callee, level+1))
		}
		memo[sub] = uint64(frames[sub]) + below
		return memo[sub]
	}
	return depth(0, 0)
}

// callGraph lists the subprograms that each subprogram calls or has called back.
func callGraph(v *prog.Verified) map[int][]int {
	graph := map[int][]int{}
	sub := 0
	for at, i := range v.Insns {
		for sub+1 < len(v.Subprogs) && int(v.Subprogs[sub+1].Start) <= at {
			sub++
		}
		if !i.IsSubprogCall() && !i.IsFuncRef() {
			continue
		}
		if callee := subprogAt(v, at+1+int(i.Imm())); callee >= 0 {
			graph[sub] = append(graph[sub], callee)
		}
	}
	return graph
}
