package verifier

import (
	"math/bits"
	"strconv"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Precision: a scalar whose exact value mattered for the verdict must be
// compared exactly when states are; all others may differ. Where a value
// mattered is found out late, so the walk goes back along the path's history and
// marks the registers and stack slots that the value came from, in all states
// saved on the way (mark_chain_precision).

// tracked is the set of registers and slots looked for, by frame.
type tracked struct {
	frame int
	regs  [maxFrames]uint32
	slots [maxFrames]uint64
}

func (t *tracked) empty() bool {
	for n := 0; n <= t.frame; n++ {
		if t.regs[n] != 0 || t.slots[n] != 0 {
			return false
		}
	}
	return true
}

func (t *tracked) has(r insn.Reg) bool { return t.regs[t.frame]>>r&1 != 0 }
func (t *tracked) add(r insn.Reg)      { t.regs[t.frame] |= 1 << r }
func (t *tracked) drop(r insn.Reg)     { t.regs[t.frame] &^= 1 << r }

// argRegs are R1 to R5.
const argRegs uint32 = 0x3e

// backtrack says how a step back went.
type backtrack uint8

const (
	goOn    backtrack = iota
	giveUp            // mark everything
	confuse           // a fault in this verifier
)

// markPrecise marks register n of the current state, and what it came from.
func (v *verifier) markPrecise(n insn.Reg) error {
	if err := v.markChain(v.cur, int(n), nil); err != nil || !v.loadsLeave {
		return err
	}
	return v.markQuietly(n)
}

// markQuietly does the same where Linux 6.18 forgets to.
func (v *verifier) markQuietly(n insn.Reg) error {
	return v.quietly(func() error { return v.markChain(v.cur, int(n), nil) })
}

// quietly has marks set that leave no trace in the log or in other marks.
func (v *verifier) quietly(f func() error) error {
	log := v.log
	v.log, v.quiet, v.quietMarks = nil, true, true
	err := f()
	v.log, v.quiet = log, false
	return err
}

// markChain goes back from a state. n < 0: what v.bt holds already. changed is
// set when a mark was new.
func (v *verifier) markChain(from *state, n int, changed *bool) error {
	if !v.priv.bpf {
		return nil
	}
	var ignored bool
	if changed == nil {
		changed = &ignored
	}
	bt := &v.bt
	bt.frame = from.depth
	if n >= 0 {
		if from.top().regs[n].typ != scalar {
			return v.internal("backtracking misuse")
		}
		bt.add(insn.Reg(n))
	}
	if bt.empty() {
		return nil
	}
	st := from
	first, last, after := int(from.first), int(from.insn), -1
	skip := true // the state stands before its last instruction
	for {
		if v.log.on(LogLevel2) {
			v.printf("mark_precise: frame%d: last_idx %d first_idx %d subseq_idx %d \n", bt.frame, last, first, after)
		}
		if last < 0 {
			return v.atEntry(st, changed)
		}
		done, err := v.walkBack(st, from, last, &after, &skip)
		if done || err != nil {
			return err
		}
		if st.parent == nil {
			break
		}
		st = &st.parent.state
		if err := v.markState(st, changed); err != nil {
			return err
		}
		if bt.empty() {
			return nil
		}
		after = first
		last, first = int(st.last), int(st.first)
	}
	if !bt.empty() {
		v.forcePrecise(from)
		v.bt = tracked{}
	}
	return nil
}

// walkBack follows one state's history from instruction last to its first.
func (v *verifier) walkBack(st, from *state, last int, after *int, skip *bool) (done bool, err error) {
	end := len(st.history)
	for i := last; ; {
		how := goOn
		if *skip {
			*skip = false
		} else {
			var h *jump
			if end > 0 && int(st.history[end-1].idx) == i {
				h = &st.history[end-1]
			}
			how = v.stepBack(i, *after, h)
		}
		if how == confuse && v.quiet {
			how = giveUp
		}
		switch how {
		case giveUp:
			v.forcePrecise(from)
			v.bt = tracked{}
			return true, nil
		case confuse:
			return true, v.internal(v.confusion)
		}
		if v.bt.empty() {
			return true, nil
		}
		*after = i
		prev, ok := previous(st, i, &end)
		if !ok {
			return false, nil
		}
		if prev >= len(v.insns) {
			return true, v.internal("backtracking left the program")
		}
		i = prev
	}
}

// previous is the instruction that was checked before i; ok is false where the
// state's part of the path began (get_prev_insn_idx).
func previous(st *state, i int, end *int) (prev int, ok bool) {
	n := *end
	if i == int(st.first) {
		if n == 0 || n == 1 && int(st.history[0].idx) == i {
			return 0, false
		}
	}
	if n > 0 && int(st.history[n-1].idx) == i {
		*end = n - 1
		return int(st.history[n-1].prev), true
	}
	return i - 1, true
}

// atEntry: the walk back has reached the entry of a global function, whose
// arguments are what it was looking for.
func (v *verifier) atEntry(st *state, changed *bool) error {
	bt := &v.bt
	f := st.frames[0]
	if st.depth != 0 || f.subprog == 0 || f.callsite != mainCallsite ||
		bt.slots[bt.frame] != 0 || bt.regs[bt.frame]&^argRegs != 0 {
		if v.quiet {
			v.bt = tracked{}
			return nil
		}
		return v.internal("backtracking reached the entry of the program")
	}
	for set := bt.regs[bt.frame]; set != 0; set &= set - 1 {
		n := insn.Reg(bits.TrailingZeros32(set))
		bt.drop(n)
		if r := &f.regs[n]; r.typ == scalar && (v.mark(r) || !v.quiet) {
			*changed = true
		}
	}
	return nil
}

// markState marks what is looked for in a saved state, and goes on looking for
// what was not marked before.
func (v *verifier) markState(st *state, changed *bool) error {
	bt := &v.bt
	for n := bt.frame; n >= 0; n-- {
		f := st.frames[n]
		for set := bt.regs[n]; set != 0; set &= set - 1 {
			i := bits.TrailingZeros32(set)
			r := &f.regs[i]
			if r.typ != scalar || !v.mark(r) {
				bt.regs[n] &^= 1 << i
				continue
			}
			*changed = true
		}
		for set := bt.slots[n]; set != 0; set &= set - 1 {
			i := bits.TrailingZeros64(set)
			if i >= len(f.stack) && v.quiet {
				bt.slots[n] &^= 1 << i
				continue
			}
			if i >= len(f.stack) {
				return v.internal("backtracking met a stack slot that is not there")
			}
			s := &f.stack[i]
			if !s.isSpilledScalar() || !v.mark(&s.spill) {
				bt.slots[n] &^= 1 << i
				continue
			}
			*changed = true
		}
		if v.log.on(LogLevel2) {
			b := append(v.line(), "mark_precise: frame"...)
			b = strconv.AppendInt(b, int64(n), 10)
			b = appendRegMask(append(b, ": parent state regs="...), bt.regs[n])
			b = appendSlots(append(b, " stack="...), bt.slots[n])
			v.print(v.appendState(append(b, ": "...), st, n, true))
		}
	}
	return nil
}

// stepBack undoes one instruction: what is looked for after it becomes what it
// was made from (backtrack_insn).
func (v *verifier) stepBack(i, after int, h *jump) backtrack {
	in := v.insns[i]
	if in.Op() == 0 {
		return goOn // second slot of a wide load
	}
	bt := &v.bt
	if v.log.on(LogLevel2) {
		b := append(v.line(), "mark_precise: frame"...)
		b = strconv.AppendInt(b, int64(bt.frame), 10)
		b = appendRegMask(append(b, ": regs="...), bt.regs[bt.frame])
		b = appendSlots(append(b, " stack="...), bt.slots[bt.frame])
		b = strconv.AppendInt(append(b, " before "...), int64(i), 10)
		v.print(v.appendInsn(append(b, ": "...), i))
	}
	bt.syncLinked(h)
	how, sync := v.undo(in, i, after, h)
	if how == goOn && sync {
		bt.syncLinked(h)
	}
	return how
}

// undo is stepBack by class; sync says whether registers linked at the
// instruction must be looked at again.
func (v *verifier) undo(in insn.Instruction, i, after int, h *jump) (how backtrack, sync bool) {
	bt := &v.bt
	dst, src := in.Dst(), in.Src()
	switch in.Class() {
	case insn.ClassALU, insn.ClassALU64:
		return goOn, bt.undoALU(in)
	case insn.ClassLDX:
		return goOn, bt.undoLoad(dst, h)
	case insn.ClassSTX, insn.ClassST:
		if in.Class() == insn.ClassSTX && in.Mode() == insn.ModeAtomic && in.Imm() == insn.AtomicLoadAcq {
			return goOn, bt.undoLoad(dst, h)
		}
		if bt.has(dst) {
			return giveUp, false
		}
		if h == nil || h.flags&histStackAccess == 0 {
			return goOn, false
		}
		n, spi := h.flags&histFrame, h.flags.slot()
		if bt.slots[n]>>spi&1 == 0 {
			return goOn, false
		}
		bt.slots[n] &^= 1 << spi
		if in.Class() == insn.ClassSTX {
			bt.add(src)
		}
	case insn.ClassJMP, insn.ClassJMP32:
		return v.undoJump(in, i, after, h)
	case insn.ClassLD:
		// A load beyond the packet's end, which Linux 6.18 does not know as a way
		// out of a function here. It gets lost or does not, and only then is wrong.
		if v.quiet && in.Mode() != insn.ModeImm && after-i != 1 {
			return v.undoExit(i, after), false
		}
		if !bt.has(dst) {
			return goOn, false
		}
		bt.drop(dst)
		if in.Mode() == insn.ModeInd || in.Mode() == insn.ModeAbs {
			return giveUp, false
		}
	}
	return goOn, true
}

func (t *tracked) undoALU(in insn.Instruction) (sync bool) {
	dst, src := in.Dst(), in.Src()
	if !t.has(dst) {
		return false
	}
	switch in.Op() & insn.OpMask {
	case insn.OpEnd, insn.OpNeg:
		return false
	case insn.OpMov:
		t.drop(dst)
	}
	if in.Source() == insn.SrcX && src != insn.RFP {
		t.add(src)
	}
	return true
}

func (t *tracked) undoLoad(dst insn.Reg, h *jump) (sync bool) {
	if !t.has(dst) {
		return false
	}
	t.drop(dst)
	if h == nil || h.flags&histStackAccess == 0 {
		return false
	}
	t.slots[h.flags&histFrame] |= 1 << h.flags.slot()
	return true
}

// undoJump is stepBack for jumps and calls.
func (v *verifier) undoJump(in insn.Instruction, i, after int, h *jump) (how backtrack, sync bool) {
	bt := &v.bt
	switch op := in.Op() & insn.OpMask; {
	case isPseudoCall(in):
		return v.undoCall(in, i, after), false
	case syncCallback(in) && i != after-1:
		// From the callback back to the call that ran it.
		if bt.regs[bt.frame]&^argRegs != 0 || bt.slots[bt.frame] != 0 || bt.frame == 0 {
			return v.lost("callback"), false
		}
		bt.regs[bt.frame] &^= argRegs
		bt.frame--
		return goOn, false
	case op == insn.JmpCALL:
		bt.drop(insn.R0)
		if bt.regs[bt.frame]&argRegs != 0 {
			return v.lost("backtracking call"), false
		}
		if isHelper(in, uapi.BPF_FUNC_tail_call) && after-i != 1 {
			return v.descend(), true
		}
	case op == insn.JmpEXIT:
		return v.undoExit(i, after), false
	case in.Source() == insn.SrcX:
		if !bt.has(in.Dst()) && !bt.has(in.Src()) {
			return goOn, false
		}
		if h == nil || h.flags&histSrcStack == 0 {
			bt.add(in.Src())
		}
		if h == nil || h.flags&histDstStack == 0 {
			bt.add(in.Dst())
		}
	}
	return goOn, true
}

func (v *verifier) descend() backtrack {
	if v.bt.frame == maxFrames-1 {
		return v.lost("subprog enter")
	}
	v.bt.frame++
	return goOn
}

// lost says that what is tracked cannot be at a place.
func (v *verifier) lost(place string) backtrack {
	bt := &v.bt
	switch regs := bt.regs[bt.frame]; {
	case place == "subprog enter":
		v.confusion = "subprog enter from frame " + strconv.Itoa(bt.frame)
	case (place == "static subprog" || place == "callback") && regs&^argRegs == 0 && bt.slots[bt.frame] != 0:
		v.confusion = place + " leftover stack slots " + strconv.FormatUint(bt.slots[bt.frame], 16)
	case (place == "static subprog" || place == "callback") && regs&^argRegs == 0:
		v.confusion = "subprog exit from frame 0"
	default:
		v.confusion = place + " unexpected regs " + strconv.FormatUint(uint64(regs), 16)
	}
	return confuse
}

// undoCall leaves a subprogram at its entry: the arguments were the caller's.
func (v *verifier) undoCall(in insn.Instruction, i, after int) backtrack {
	bt := &v.bt
	sub := v.subprogAt(i + int(in.Imm()) + 1)
	if sub < 0 {
		v.confusion = "a call of no function"
		return confuse
	}
	if v.isGlobal(sub) {
		if bt.regs[bt.frame]&argRegs != 0 {
			return v.lost("global subprog")
		}
		bt.drop(insn.R0)
		return goOn
	}
	if bt.regs[bt.frame]&^argRegs != 0 || bt.slots[bt.frame] != 0 || bt.frame == 0 {
		return v.lost("static subprog")
	}
	bt.regs[bt.frame-1] |= bt.regs[bt.frame]
	bt.regs[bt.frame] = 0
	bt.frame--
	return goOn
}

// undoExit enters a subprogram at its exit.
func (v *verifier) undoExit(i, after int) backtrack {
	bt := &v.bt
	if after >= 0 && v.aux[after].callsBack {
		bt.regs[bt.frame] &^= argRegs
	}
	if bt.regs[bt.frame]&argRegs != 0 {
		return v.lost("backtracking exit")
	}
	result := v.insns[i].Class() != insn.ClassLD && after-1 >= 0 && isPseudoCall(v.insns[after-1]) && bt.has(insn.R0)
	bt.drop(insn.R0)
	if v.descend() == confuse {
		return confuse
	}
	if result {
		bt.add(insn.R0)
	}
	return goOn
}

// forcePrecise marks all scalars of the states behind from: the precise way was
// lost (mark_all_scalars_precise).
func (v *verifier) forcePrecise(from *state) {
	if v.log.on(LogLevel2) {
		v.printf("mark_precise: frame%d: falling back to forcing all scalars precise\n", from.depth)
	}
	for p := from.parent; p != nil; p = p.parent {
		for n := 0; n <= p.depth; n++ {
			v.forceFrame(p.frames[n])
		}
	}
}

func (v *verifier) forceFrame(f *frame) {
	for i := range insn.RFP {
		if r := &f.regs[i]; r.typ == scalar && v.mark(r) {
			if v.log.on(LogLevel2) {
				v.printf("force_precise: frame%d: forcing r%d to be precise\n", f.number, i)
			}
		}
	}
	for i := range f.stack {
		if s := &f.stack[i]; s.isSpilledScalar() && v.mark(&s.spill) {
			if v.log.on(LogLevel2) {
				v.printf("force_precise: frame%d: forcing fp%d to be precise\n", f.number, spiOffset(i))
			}
		}
	}
}

// forgetPrecise clears all marks: a saved state begins without
// (mark_all_scalars_imprecise).
func (s *state) forgetPrecise() {
	for n := 0; n <= s.depth; n++ {
		f := s.frames[n]
		for i := range insn.RFP {
			if f.regs[i].typ == scalar {
				f.regs[i].precise, f.regs[i].quiet = false, false
			}
		}
		for i := range f.stack {
			if f.stack[i].isSpilledScalar() {
				f.stack[i].spill.precise, f.stack[i].spill.quiet = false, false
			}
		}
	}
}

// internal reports a state that should not be possible. Nothing is accepted.
func (v *verifier) internal(what string) error {
	return v.fail(errno.EFAULT, ReasonUnknown, "verifier bug: %s\n", what)
}
