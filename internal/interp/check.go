package interp

import (
	"fmt"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

type checkEngine struct{}

func (checkEngine) Name() string { return "check" }

// checkImage is a program for the checking form: the instructions as they are.
type checkImage struct {
	v       *prog.Verified
	helpers []exec.HelperFunc // of each instruction
	frames  []uint32
	stack   uint64
}

// Compile links the helpers. What an instruction means is found out when it is
// reached; that all of them have a meaning, the fast form's decoder says.
func (checkEngine) Compile(v *prog.Verified, env *exec.Env) (exec.Image, error) {
	if _, err := decode(v, env); err != nil {
		return nil, err
	}
	m := &checkImage{v: v, helpers: make([]exec.HelperFunc, len(v.Insns)), frames: frameSizes(v)}
	m.stack = chainDepth(v, m.frames)
	for at, i := range v.Insns {
		if i.IsHelperCall() && i.Imm() != int32(uapi.BPF_FUNC_tail_call) {
			m.helpers[at] = env.Helper(uapi.FuncID(i.Imm()), &v.Facts[at])
		}
	}
	return m, nil
}

func (m *checkImage) Code() []byte { return nil }

func (m *checkImage) Close() {}

// Run implements [exec.Image]. It panics with an [*exec.Violation].
func (m *checkImage) Run(c *exec.CPU, ctx uint64) uint64 {
	top, tails, call := c.StackTop, c.TailCalls, c.Call
	defer func() { c.StackTop, c.TailCalls, c.Call = top, tails, call }()
	if top-c.StackBase < m.stack {
		c.Halt()
		return 0
	}
	c.StackTop, c.TailCalls = top-m.stack, 0
	outer, _ := c.Local.(*walk)
	defer func() { c.Local = outer }()
	w := newWalk(c, m, nil, 0, top)
	w.outer = outer
	w.reg[1] = ctx
	return w.run()
}

// walk is one walk through a program: a run, or a callback that a helper of a
// run makes.
type walk struct {
	cpu *exec.CPU
	img *checkImage
	at  int // the instruction at hand
	reg [16]uint64
	// frames are those of the whole run, the current one last; base is the one
	// that the current program began in.
	frames []checkFrame
	base   int
	// outer is the walk whose helper started this one.
	outer *walk
	done  bool
}

type checkFrame struct {
	fp, size uint64
	// What returns to the caller: where it goes on, and what it finds.
	img   *checkImage
	base  int
	ret   int
	saved [4]uint64
}

// garbage is what a register holds that the verifier does not let a program
// read. It differs from what the fast form has there.
const garbage = 0xbadc0ffee0ddf00d

func newWalk(c *exec.CPU, m *checkImage, frames []checkFrame, sub int, fp uint64) *walk {
	w := &walk{cpu: c, img: m, frames: frames}
	for n := range w.reg {
		w.reg[n] = garbage
	}
	w.base = len(frames)
	w.push(checkFrame{fp: fp, size: m.stackOf(sub)})
	c.Local = w
	return w
}

func (m *checkImage) stackOf(sub int) uint64 {
	if len(m.v.Subprogs) == 0 {
		return exec.StackSize
	}
	return uint64(m.v.Subprogs[sub].StackDepth+7) &^ 7
}

func (w *walk) push(f checkFrame) {
	w.frames = append(w.frames, f)
	w.reg[10] = f.fp
}

func (w *walk) violation(format string, args ...any) {
	orig := w.at
	if w.at < len(w.img.v.Facts) {
		orig = int(w.img.v.Facts[w.at].Orig)
	}
	text := "outside of the program"
	if w.at >= 0 && w.at < len(w.img.v.Insns) {
		text = w.img.v.Insns[w.at].String()
	}
	panic(&exec.Violation{Insn: orig, Reason: fmt.Sprintf("insn %d (%s): %s", orig, text, fmt.Sprintf(format, args...))})
}

// run goes on until the frame that the walk began in exits, and returns R0.
func (w *walk) run() uint64 {
	last := -1
	for !w.done {
		if w.at < 0 || w.at >= len(w.img.v.Insns) {
			w.violation("the program ran to %d", w.at)
		}
		fact := &w.img.v.Facts[w.at]
		if int(fact.Orig) != last || w.jumpedToPatch(fact) {
			w.believe(int(fact.Orig))
		}
		last = int(fact.Orig)
		i := w.img.v.Insns[w.at]
		if i.IsExit() || i.IsSubprogCall() || i.Op() == insn.OpcodeTailCall {
			last = -1 // another function; a helper's call may stand inside of a patch
		}
		w.step(i, fact)
	}
	return w.reg[0]
}

// jumpedToPatch says whether the instruction is the first of those that replace
// one of the program.
func (w *walk) jumpedToPatch(fact *prog.Fact) bool {
	return w.at == 0 || w.img.v.Facts[w.at-1].Orig != fact.Orig
}

func (w *walk) believe(orig int) {
	if w.img.v.States == nil {
		return
	}
	if wrong := w.img.v.States.Check(orig, len(w.frames)-1-w.base, w); wrong != "" {
		w.violation("%s", wrong)
	}
}

// Reg implements [prog.Machine].
func (w *walk) Reg(r insn.Reg) uint64 { return w.reg[r] }

// FramePointer implements [prog.Machine].
func (w *walk) FramePointer(depth int) uint64 { return w.frames[w.base+depth].fp }

// Load implements [prog.Machine].
func (w *walk) Load(addr uint64, n int) uint64 { return loadSize(addr, n) }

// Ctx implements [prog.Machine].
func (w *walk) Ctx() uint64 { return w.cpu.Ctx }

// Packet implements [prog.Machine].
func (w *walk) Packet() (meta, data, end uint64) {
	if p, ok := w.cpu.Run.(exec.PacketRange); ok {
		return p.Packet()
	}
	return 0, 0, 0
}

// step performs one instruction.
func (w *walk) step(i insn.Instruction, fact *prog.Fact) {
	switch i.Class() {
	case insn.ClassLD:
		w.stepWide(i)
	case insn.ClassLDX:
		w.stepLoad(i, fact)
	case insn.ClassST, insn.ClassSTX:
		w.stepStore(i, fact)
	case insn.ClassALU, insn.ClassALU64:
		w.stepALU(i)
	default:
		w.stepJump(i, fact)
	}
}

// set writes a register that a program may write.
func (w *walk) set(r insn.Reg, value uint64) {
	if r == insn.R10 || r > insn.RAX {
		w.violation("%s is written", r)
	}
	w.reg[r] = value
}

func (w *walk) stepWide(i insn.Instruction) {
	value := insn.Imm64(i, w.img.v.Insns[w.at+1])
	if i.IsFuncRef() {
		value = funcPointer(subprogAt(w.img.v, w.at+1+int(i.Imm())))
	}
	w.set(i.Dst(), value)
	w.at += 2
}
