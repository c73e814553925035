package interp

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func (w *walk) stepJump(i insn.Instruction, fact *prog.Fact) {
	switch {
	case i.IsExit():
		w.exit()
	case i.Op() == insn.OpcodeTailCall, i.IsHelperCall() && i.Imm() == int32(uapi.BPF_FUNC_tail_call):
		w.tailCall()
	case i.IsSubprogCall():
		w.callSubprog(w.at + 1 + int(i.Imm()))
	case i.IsHelperCall():
		w.callHelper(fact)
	case i.IsGoto() || holds(i, w.reg[i.Dst()], w.second(i)):
		w.branch(int(i.JumpOffset()))
	default:
		w.at++
	}
}

// spend counts a backward jump, a tail call or a callback.
func (w *walk) spend() {
	if w.cpu.Budget--; w.cpu.Budget < 0 && w.cpu.Poll() {
		w.reg[0], w.done = 0, true
	}
}

func (w *walk) branch(distance int) {
	if w.at += 1 + distance; distance < 0 {
		w.spend()
	}
}

// forget puts garbage into the registers that a call clobbers.
func (w *walk) forget() {
	for r := insn.R1; r <= insn.R5; r++ {
		w.reg[r] = garbage
	}
}

func (w *walk) callSubprog(target int) {
	sub := subprogAt(w.img.v, target)
	if sub < 0 {
		w.violation("no subprogram begins at %d", target)
	}
	if len(w.frames)-w.base >= exec.MaxDepth {
		w.violation("more than %d frames", exec.MaxDepth)
	}
	f := checkFrame{fp: w.nextFP(), size: w.img.stackOf(sub), img: w.img, base: w.base, ret: w.at + 1}
	copy(f.saved[:], w.reg[6:10])
	w.push(f)
	for r := 6; r < 10; r++ {
		w.reg[r] = garbage
	}
	w.reg[0], w.at = garbage, target
}

// nextFP is the frame pointer of a subprogram that is called from here.
func (w *walk) nextFP() uint64 {
	top := &w.frames[len(w.frames)-1]
	return top.fp - (top.size+stackAlign-1)&^(stackAlign-1)
}

func (w *walk) exit() {
	top := w.frames[len(w.frames)-1]
	w.frames = w.frames[:len(w.frames)-1]
	if top.img == nil {
		w.done = true
		return
	}
	w.img, w.base, w.at = top.img, top.base, top.ret
	copy(w.reg[6:10], top.saved[:])
	w.reg[10] = w.frames[len(w.frames)-1].fp
	w.forget()
}

// tailCall is the tail call as the fast form does it: the current frame becomes
// that of the next program, its callers stay.
func (w *walk) tailCall() {
	w.spend()
	c := w.cpu
	slots := w.progArray(w.reg[2])
	top := &w.frames[len(w.frames)-1]
	target, ok := slots.Image(uint32(w.reg[3])).(*checkImage)
	if !ok || c.TailCalls >= exec.MaxTailCalls || top.fp-c.StackBase < target.stack {
		w.at++
		w.reg[0] = garbage
		w.forget()
		return
	}
	c.TailCalls++
	c.StackTop = min(c.StackTop, top.fp-target.stack)
	w.img, w.at, w.base = target, 0, len(w.frames)-1
	top.size = target.stackOf(0)
	ctx := w.reg[1]
	for r := range 10 {
		w.reg[r] = garbage
	}
	w.reg[1] = ctx
}

func (w *walk) progArray(addr uint64) exec.ProgArray {
	if _, live := w.cpu.Machine.Region.Find(addr); live {
		if slots, ok := w.cpu.Machine.ObjectAt(addr).(exec.ProgArray); ok {
			return slots
		}
	}
	w.violation("a tail call through %#x, which is no prog array", addr)
	return nil
}

func (w *walk) callHelper(fact *prog.Fact) {
	c := w.cpu
	old := c.Call
	c.Call = w.callback
	w.reg[0] = w.img.helpers[w.at](c, w.reg[1], w.reg[2], w.reg[3], w.reg[4], w.reg[5])
	c.Call, c.Local = old, w
	if fact.Helper == nil || !fact.Helper.FastCall {
		w.forget()
	}
	w.at++
	if c.Stopped {
		w.reg[0], w.done = 0, true
	}
}

// callback runs a subprogram for the helper at hand.
func (w *walk) callback(fn uint64, r1, r2, r3, r4, r5 uint64) uint64 {
	if w.cpu.Budget--; w.cpu.Budget < 0 && w.cpu.Poll() {
		return 1
	}
	sub := int(fn - 1)
	if fn == 0 || sub >= max(len(w.img.v.Subprogs), 1) {
		w.violation("a helper calls back %#x, which is no subprogram", fn)
	}
	n := newWalk(w.cpu, w.img, w.frames, sub, w.nextFP())
	n.outer, n.base = w.outer, w.base
	n.at = int(w.img.v.Subprogs[sub].Start)
	copy(n.reg[1:6], []uint64{r1, r2, r3, r4, r5})
	r0 := n.run()
	w.cpu.Local, w.cpu.Call = w, w.callback
	if w.cpu.Stopped {
		return 1
	}
	return r0
}
