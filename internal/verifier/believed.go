package verifier

import (
	"fmt"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/prog"
)

// Bounds on what is kept for the checking interpreter: registers in all, and
// visits to one instruction, every one of which may have to be looked at each
// time that the instruction runs. A walk that needs more is not recorded.
const (
	maxBeliefs = 1 << 18
	maxVisits  = 64
)

// believed keeps, for the checking interpreter, what the walk believed of the
// current frame each time it came to an instruction.
type believed struct {
	at    [][]belief
	maps  []*desc.Map
	used  int
	count int
}

// belief is one visit to an instruction: the registers that are read later, and
// the scalars on the stack.
type belief struct {
	depth  int
	global bool // seen while a global function was walked on its own
	fn     *liveFunc
	frame  int
	regs   []namedReg
	slots  []namedReg
}

type namedReg struct {
	n   uint8
	reg reg
}

// believe notes the state that the walk has at the current instruction.
func (v *verifier) believe() {
	b := v.believed
	if b == nil || v.cur.speculative {
		return
	}
	if op := v.insns[v.insnIdx].Op(); op == insn.ClassJMP|insn.JmpJCOND {
		// What the walk widens at a may_goto is not noted.
		v.believed = nil
		return
	}
	if b.at == nil {
		b.at = make([][]belief, len(v.insns))
	}
	f := v.cur.top()
	e := belief{
		depth: v.cur.depth, global: v.cur.frames[0].subprog != 0,
		fn: v.live.current(v), frame: int(f.number),
	}
	live := v.aux[v.insnIdx].live | bit(insn.RFP)
	for i := range f.regs {
		if live>>i&1 != 0 && f.regs[i].typ != notInit {
			e.regs = append(e.regs, namedReg{uint8(i), f.regs[i]})
		}
	}
	for i := range f.stack {
		if f.stack[i].isSpilledScalar64() {
			e.slots = append(e.slots, namedReg{uint8(i), f.stack[i].spill})
		}
	}
	b.at[v.insnIdx] = append(b.at[v.insnIdx], e)
	b.count += len(e.regs) + len(e.slots)
	if b.count > maxBeliefs || len(b.at[v.insnIdx]) > maxVisits {
		v.believed = nil
	}
}

// Check implements prog.Believed: some visit to the instruction must have
// believed all of the state possible.
func (b *believed) Check(orig, depth int, m prog.Machine) string {
	if orig < 0 || orig >= len(b.at) {
		return fmt.Sprintf("instruction %d is not in the program", orig)
	}
	var wrong mismatch
	for i := len(b.at[orig]) - 1; i >= 0; i-- {
		e := &b.at[orig][i]
		base := depth - e.depth
		if base < 0 || !e.global && base != 0 {
			continue
		}
		if wrong = b.contains(e, base, orig, m); wrong.reg == nil {
			return ""
		}
	}
	if wrong.reg == nil {
		return "the walk never came here at this depth of calls"
	}
	return wrong.String()
}

// mismatch is a value that was not believed possible. Its text is made only when
// it is wanted: most are followed by a visit that does contain the state.
type mismatch struct {
	reg   *reg
	n     int // of a register, or the offset of a stack slot
	value uint64
	copy  uint64 // what it was believed to be a copy of
	isDup bool
}

// String says what is wrong.
func (w mismatch) String() string {
	name := fmt.Sprintf("R%d", w.n)
	if w.n < 0 {
		name = fmt.Sprintf("fp%d", w.n)
	}
	if w.isDup {
		return fmt.Sprintf("%s is %#x, believed to be a copy of %#x", name, w.value, w.copy)
	}
	return fmt.Sprintf("%s is %#x, believed %s", name, w.value, w.reg.describe())
}

// contains says what of a machine state is outside of a belief. base is the
// depth at which the belief's outermost frame runs.
func (b *believed) contains(e *belief, base, orig int, m prog.Machine) mismatch {
	var seen copies
	for i := range e.regs {
		x := &e.regs[i]
		w := mismatch{reg: &x.reg, n: int(x.n), value: m.Reg(insn.Reg(x.n))}
		if !b.holds(&x.reg, w.value, base, m) || !seen.agree(&w) {
			return w
		}
	}
	fp := m.FramePointer(base + e.frame)
	for i := range e.slots {
		x := &e.slots[i]
		if !e.fn.liveAt(orig, e.frame, int(x.n)) {
			continue
		}
		off := spiOffset(int(x.n))
		w := mismatch{reg: &x.reg, n: off, value: m.Load(fp+uint64(int64(off)), slotSize)}
		if !b.holds(&x.reg, w.value, base, m) || !seen.agree(&w) {
			return w
		}
	}
	return mismatch{}
}

// copies holds scalars that share an id to having one value.
type copies struct {
	of [insn.NumRegs + maxStack/slotSize]struct {
		id  uint32
		val uint64
	}
	n int
}

func (c *copies) agree(w *mismatch) bool {
	if w.reg.typ != scalar || w.reg.id == 0 || w.reg.id&addedConst != 0 {
		return true
	}
	for _, o := range c.of[:c.n] {
		if o.id == w.reg.id && o.val != w.value {
			w.copy, w.isDup = o.val, true
			return false
		}
	}
	c.of[c.n].id, c.of[c.n].val = w.reg.id, w.value
	c.n++
	return true
}

func (r *reg) describe() string {
	if r.typ == scalar {
		return r.Scalar.String()
	}
	return fmt.Sprintf("%s off %d %s", r.typ, r.off, r.Scalar.String())
}

// holds says whether a register's value is one that its abstract value allows.
func (b *believed) holds(r *reg, val uint64, base int, m prog.Machine) bool {
	if r.typ == scalar {
		return r.Has(val)
	}
	if r.typ&orNull != 0 && val == 0 {
		return true
	}
	meta, data, end := uint64(0), uint64(0), uint64(0)
	if r.typ.isPacketAny() {
		meta, data, end = m.Packet()
	}
	var from uint64
	switch r.typ.base() {
	case ptrStack:
		from = m.FramePointer(base + int(r.frame))
	case ptrCtx:
		from = m.Ctx()
	case constMapPtr:
		if int(r.to.mapIdx) > b.used {
			return val != 0
		}
		from = b.maps[r.to.mapIdx-1].Addr
	case ptrPacketEnd:
		return val == end
	case ptrPacketMeta:
		from = meta
		end = data
	case ptrPacket:
		from = data
	default:
		return val != 0
	}
	if !r.Has(val - from - uint64(int64(r.off))) {
		return false
	}
	// What was verified of the packet is there.
	return !r.typ.isPacket() || r.to.num <= 0 || val-uint64(int64(r.off))+uint64(r.to.num) <= end
}
