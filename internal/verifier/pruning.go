package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// Pruning: where paths join, a state that is contained in one that was found
// safe need not be walked again (is_state_visited, states_equal).

// exactness says how alike two states must be.
type exactness uint8

const (
	notExact exactness = iota // scalars that did not matter may differ
	exact                     // the same
	within                    // ranges contained, precise or not
)

// Heuristics of is_state_visited.
const (
	longHistory     = 40  // a state is saved if the history grows beyond
	minJumps        = 2   // a state is saved every so many jumps…
	minInsns        = 8   // …and instructions
	loopJumps       = 20  // in a loop that is being unrolled: more seldom
	loopInsns       = 100 //
	missFactor      = 3   // misses a hit before a state is dropped
	missFactorForce = 64  // the same where states are always saved
)

// stateTable holds the saved states by instruction.
type stateTable struct {
	buckets []*saved
	kept    int // states in buckets
	evicted int // states taken out that paths still refer to
	// backedges are the states waiting in loops.
	backedges int

	prevJumps, prevInsns int
	ids                  idMap
}

func (v *verifier) bucket(i int) **saved {
	at := uint32(i) ^ uint32(v.cur.top().callsite)
	return &v.states.buckets[at%uint32(len(v.states.buckets))]
}

func (t *stateTable) push(head **saved, s *saved) {
	s.next, s.prev = *head, nil
	if *head != nil {
		(*head).prev = s
	}
	*head = s
}

func (t *stateTable) unlink(head **saved, s *saved) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		*head = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
}

func (v *verifier) notePeak() {
	t := &v.states
	v.stats.PeakStates = max(v.stats.PeakStates, t.kept+t.evicted+t.backedges)
}

// visited looks for a saved state that contains the current one, and saves the
// current one if it is time to.
func (v *verifier) visited(i int) (bool, error) {
	cur, t := v.cur, &v.states
	force := v.testStateFreq || v.aux[i].checkpoint || len(cur.history) > longHistory
	add := force || v.jumps-t.prevJumps >= minJumps && v.stats.Insns-t.prevInsns >= minInsns

	head := v.bucket(i)
	v.cleanStates(*head, i)
	count := 0
	for s := *head; s != nil; {
		following := s.next
		count++
		if int(s.insn) == i {
			hit, loop, err := v.matches(s, i, force, &add)
			if err != nil {
				return false, err
			}
			if hit {
				return true, v.joinState(s, i, loop)
			}
			v.miss(head, s, i, add)
		}
		s = following
	}
	v.stats.MaxStatesPerInsn = max(v.stats.MaxStatesPerInsn, count)
	if !v.priv.bpf && count > maxUnprivStates || !add {
		return false, nil
	}
	return false, v.save(head, i)
}

// matches compares the current state with a saved one. loop says that the saved
// state's paths are not all finished.
func (v *verifier) matches(s *saved, i int, force bool, add *bool) (hit, loop bool, err error) {
	cur := v.cur
	if s.branches == 0 {
		loop = v.incomplete(&s.state)
		how := notExact
		if loop {
			how = within
		}
		return v.equal(&s.state, cur, how), loop, nil
	}
	switch {
	case isMayGoto(v.insns[i]) && s.mayGotoDepth != cur.mayGotoDepth && v.equal(&s.state, cur, within):
		return true, true, nil
	case v.aux[i].callsBack:
		if v.equal(&s.state, cur, within) {
			return true, false, nil
		}
	case maybeLooping(&s.state, cur) && v.equal(&s.state, cur, exact) &&
		s.mayGotoDepth == cur.mayGotoDepth && s.callbackDepth == cur.callbackDepth:
		return false, false, v.infiniteLoop(s, i)
	}
	// The loop is being unrolled: states are saved more seldom.
	t := &v.states
	if !force && v.jumps-t.prevJumps < loopJumps && v.stats.Insns-t.prevInsns < loopInsns {
		*add = false
	}
	return false, false, nil
}

func (v *verifier) infiniteLoop(s *saved, i int) error {
	v.logLine(i, "; ")
	err := v.fail(errno.EINVAL, ReasonFlow, "infinite loop detected at insn %d\n", i)
	depth := v.cur.depth
	v.print(v.appendState(append(v.line(), "cur state:"...), v.cur, depth, true))
	v.print(v.appendState(append(v.line(), "old state:"...), &s.state, depth, true))
	return err
}

// joinState ends the current path in a saved state that contains it: what
// mattered there matters here.
func (v *verifier) joinState(s *saved, i int, loop bool) error {
	s.hits++
	if v.aux[v.insnIdx].jumpTarget {
		v.remember(0, 0)
	}
	if err := v.propagatePrecision(&s.state, v.cur, nil); err != nil {
		return err
	}
	if v.quietMarks {
		if err := v.quietly(func() error { return v.propagatePrecision(&s.state, v.cur, nil) }); err != nil {
			return err
		}
	}
	if !loop {
		return nil
	}
	edge := new(state)
	v.arena.copyState(edge, v.cur)
	edge.equal, edge.insn = s, int32(i)
	return v.addBackedge(&s.state, edge)
}

// miss notes that a state was compared in vain, and drops it if that is all it
// does.
func (v *verifier) miss(head **saved, s *saved, i int, add bool) {
	if add {
		s.misses++
	}
	factor := missFactor
	if v.aux[i].checkpoint && s.branches > 0 {
		factor = missFactorForce
	}
	if s.misses <= s.hits*factor+factor {
		return
	}
	s.evicted = true
	v.states.unlink(head, s)
	v.states.kept--
	v.states.evicted++
	v.release(s)
}

// release frees an evicted state that nothing refers to.
func (v *verifier) release(s *saved) {
	if !s.evicted || s.branches != 0 || v.incomplete(&s.state) {
		return
	}
	v.states.evicted--
	v.arena.free(&s.state)
}

// save keeps a copy of the current state.
func (v *verifier) save(head **saved, i int) error {
	cur, t := v.cur, &v.states
	v.stats.TotalStates++
	t.kept++
	v.notePeak()
	t.prevJumps, t.prevInsns = v.jumps, v.stats.Insns

	if v.priv.bpf && !v.env.Record {
		cur.forgetPrecise()
	}
	s := new(saved)
	v.arena.copyState(&s.state, cur)
	s.insn = int32(i)
	v.enterLoop(s)

	cur.parent = s
	cur.first = int32(i)
	cur.dfsDepth = s.dfsDepth + 1
	cur.history = cur.history[:0]
	v.hist = -1
	t.push(head, s)
	return nil
}

// cleanStates forgets in finished states what is never read again
// (clean_live_states).
func (v *verifier) cleanStates(s *saved, i int) {
	for ; s != nil; s = s.next {
		if s.branches != 0 || int(s.insn) != i || s.cleaned || !sameCallsites(&s.state, v.cur) || v.incomplete(&s.state) {
			continue
		}
		v.live.ask(v, &s.state)
		s.cleaned = true
		for n := 0; n <= s.depth; n++ {
			v.cleanFrame(s.frames[n], s.frameInsn(n))
		}
	}
}

func (v *verifier) cleanFrame(f *frame, at int) {
	live := v.aux[at].live
	for i := range insn.RFP {
		if live&bit(i) == 0 {
			v.setNotInit(&f.regs[i])
		}
	}
	for i := range f.stack {
		if !v.live.alive(v, int(f.number), i) {
			v.setNotInit(&f.stack[i].spill)
			f.stack[i].kind = [slotSize]slotKind{}
		}
	}
}

// maybeLooping is a quick test for states that could be the same
// (states_maybe_looping).
func maybeLooping(old, cur *state) bool {
	if old.depth != cur.depth {
		return false
	}
	a, b := old.top(), cur.top()
	for i := range a.regs {
		x, y := &a.regs[i], &b.regs[i]
		if x.value != y.value || x.id != y.id || x.refID != y.refID {
			return false
		}
	}
	return true
}

// idMap relates the ids of two states: they are alike if one can be renamed to
// the other.
type idMap struct {
	pairs [][2]uint32
	next  uint32 // ids for scalars that have none
}

// maxIDs is BPF_ID_MAP_SIZE.
const maxIDs = (insn.NumRegs + maxStack/slotSize) * maxFrames

func (m *idMap) same(old, cur uint32) bool {
	if (old == 0) != (cur == 0) {
		return false
	}
	if old == 0 {
		return true
	}
	for _, p := range m.pairs {
		if p[0] == old {
			return p[1] == cur
		}
		if p[1] == cur {
			return false
		}
	}
	if len(m.pairs) == int(maxIDs) {
		return false
	}
	m.pairs = append(m.pairs, [2]uint32{old, cur})
	return true
}

// sameScalar is same for scalars: one that has no group in the old state may be
// anything, one that has none in the current is a group of its own.
func (m *idMap) sameScalar(old, cur uint32) bool {
	if old == 0 {
		return true
	}
	if cur == 0 {
		m.next++
		cur = m.next
	}
	return m.same(old, cur)
}

// equal says whether the current state is contained in the old one
// (states_equal).
func (v *verifier) equal(old, cur *state, how exactness) bool {
	if old.depth != cur.depth {
		return false
	}
	ids := &v.states.ids
	ids.pairs, ids.next = ids.pairs[:0], v.ids
	if old.speculative && !cur.speculative || !sameRefs(old, cur, ids) {
		return false
	}
	for n := 0; n <= old.depth; n++ {
		a, b := old.frames[n], cur.frames[n]
		if a.callsite != b.callsite || !v.sameFrame(a, b, old.frameInsn(n), how) {
			return false
		}
	}
	return true
}

func sameRefs(old, cur *state, ids *idMap) bool {
	if len(old.refs) != len(cur.refs) || old.locks != cur.locks ||
		!ids.same(old.lock.id, cur.lock.id) || old.lock.mem != cur.lock.mem {
		return false
	}
	for i := range old.refs {
		a, b := &old.refs[i], &cur.refs[i]
		if !ids.same(a.id, b.id) || a.kind != b.kind || a.lock != b.lock {
			return false
		}
	}
	return true
}

func (v *verifier) sameFrame(old, cur *frame, at int, how exactness) bool {
	if old.callbackDepth > cur.callbackDepth {
		return false
	}
	live := v.aux[at].live
	for i := range old.regs {
		if live>>i&1 != 0 && !v.sameReg(&old.regs[i], &cur.regs[i], how) {
			return false
		}
	}
	return v.sameStack(old, cur, how)
}

// sameReg says whether the current register is contained in the old one
// (regsafe).
func (v *verifier) sameReg(old, cur *reg, how exactness) bool {
	ids := &v.states.ids
	if how == exact {
		return old.identical(cur, ids)
	}
	if old.typ == notInit {
		return true
	}
	if old.typ != cur.typ {
		return false
	}
	switch t := old.typ.base(); {
	case t == scalar:
		return v.sameScalarReg(old, cur, how)
	case t == ptrMapValue || t == ptrMapKey || t == ptrMem:
		return old.off == cur.off && old.to == cur.to && bounds.Within(&old.Scalar, &cur.Scalar) &&
			ids.same(old.id, cur.id) && ids.same(old.refID, cur.refID)
	case t.isPacket():
		return old.rangeContains(cur) && old.off == cur.off && ids.same(old.id, cur.id) && bounds.Within(&old.Scalar, &cur.Scalar)
	case t == ptrStack:
		return old.identical(cur, ids) && old.frame == cur.frame
	}
	return old.identical(cur, ids)
}

// identical is regs_exact.
func (r *reg) identical(cur *reg, ids *idMap) bool {
	return r.value == cur.value && ids.same(r.id, cur.id) && ids.same(r.refID, cur.refID)
}

// rangeContains: what was verified of the old packet pointer was verified of the
// current one; pointers at or behind the end must be the same.
func (r *reg) rangeContains(cur *reg) bool {
	if r.to.num < 0 || cur.to.num < 0 {
		return r.to.num == cur.to.num
	}
	return r.to.num <= cur.to.num
}

func (v *verifier) sameScalarReg(old, cur *reg, how exactness) bool {
	ids := &v.states.ids
	if v.exploreLimits {
		return old.value == cur.value && ids.sameScalar(old.id, cur.id)
	}
	if !old.precise && !old.quiet && how == notExact && !v.env.Record {
		return true
	}
	added, curAdded := old.id&addedConst != 0, cur.id&addedConst != 0
	if added && !curAdded || old.id != 0 && !added && curAdded || added && old.off != cur.off {
		return false
	}
	return ids.sameScalar(old.id, cur.id) && bounds.Within(&old.Scalar, &cur.Scalar)
}

// unknownScalar stands for eight bytes of stack of which nothing is known.
var unknownScalar = reg{value: value{typ: scalar, Scalar: bounds.Unknown()}}

// asScalar is the slot as one scalar, nil if it is none (scalar_reg_for_stack).
func (v *verifier) asScalar(s *slot) *reg {
	if s.isSpilledScalar64() {
		return &s.spill
	}
	for _, k := range s.kind {
		if k != slotMisc && (k != slotInvalid || !v.priv.uninit) {
			return nil
		}
	}
	return &unknownScalar
}

// sameStack says whether the current stack is contained in the old one
// (stacksafe).
func (v *verifier) sameStack(old, cur *frame, how exactness) bool {
	for spi := range old.stack {
		a := &old.stack[spi]
		var b *slot
		if spi < len(cur.stack) {
			b = &cur.stack[spi]
		}
		if !v.sameSlot(a, b, how) {
			return false
		}
	}
	return true
}

func (v *verifier) sameSlot(old, cur *slot, how exactness) bool {
	for i := range slotSize {
		k := old.kind[i]
		if how == exact && (cur == nil || k != cur.kind[i]) {
			return false
		}
		if k == slotInvalid || k == slotMisc && v.priv.uninit {
			continue
		}
		if cur == nil {
			return false
		}
		// 64-bit scalars and bytes of anything compare as registers.
		if a := v.asScalar(old); a != nil {
			if b := v.asScalar(cur); b != nil {
				return v.sameReg(a, b, how)
			}
		}
		if k == slotMisc && cur.kind[i] == slotZero {
			continue
		}
		if k != cur.kind[i] {
			return false
		}
		if i == slotSize-1 && k == slotSpill && !v.sameReg(&old.spill, &cur.spill, how) {
			return false
		}
	}
	return true
}

// propagatePrecision marks in cur's history what is precise in old
// (propagate_precision).
func (v *verifier) propagatePrecision(old, cur *state, changed *bool) error {
	for n := old.depth; n >= 0; n-- {
		f := old.frames[n]
		b, first := v.line(), true
		note := func() {
			if first {
				b = append(appendInt(append(b, "frame "...), n), ": propagating "...)
			} else {
				b = append(b, ',')
			}
			first = false
		}
		for i := range insn.RFP {
			if r := &f.regs[i]; r.typ == scalar && v.marked(r) {
				note()
				b = appendInt(append(b, 'r'), int(i))
				v.bt.regs[n] |= 1 << i
			}
		}
		for i := range f.stack {
			if s := &f.stack[i]; s.isSpilledScalar() && v.marked(&s.spill) {
				note()
				b = appendInt(append(b, "fp"...), spiOffset(i))
				v.bt.slots[n] |= 1 << i
			}
		}
		if !first && v.log.on(LogLevel2) {
			v.print(append(b, '\n'))
		}
	}
	return v.markChain(cur, -1, changed)
}
