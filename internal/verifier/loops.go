package verifier

import (
	"strconv"
)

// Loops: a state inside a loop is not settled before all paths through the loop
// are walked, because a later path may find that a value matters. Until then
// other states are equal to it only in all their ranges; those are kept as
// backedges, and marked when the loop is left (struct bpf_scc_visit).

// sccVisit is one stay in a loop: from the first state saved in it, by the calls
// that lead there, until all paths from that state are finished.
type sccVisit struct {
	chain     sccChain
	entry     *saved
	backedges []*state
}

// sccChain names a loop and the calls through which it was reached.
type sccChain struct {
	calls [maxFrames - 1]int32
	scc   uint32
}

// maxBackedgeRounds is MAX_BACKEDGE_ITERS.
const maxBackedgeRounds = 64

// sccOf is the outermost loop that a state is in; ok is false if it is in none.
func (v *verifier) sccOf(s *state) (c sccChain, ok bool) {
	for n := 0; n <= s.depth; n++ {
		at := s.frameInsn(n)
		if scc := v.aux[at].scc; scc != 0 {
			c.scc = scc
			return c, true
		}
		if n < s.depth {
			c.calls[n] = int32(at)
		}
	}
	return c, false
}

func (v *verifier) visitOf(c sccChain) *sccVisit {
	for _, visit := range v.sccs[c.scc] {
		if visit.chain == c {
			return visit
		}
	}
	return nil
}

// enterLoop notes that a saved state is the first in a loop.
func (v *verifier) enterLoop(s *saved) {
	c, ok := v.sccOf(&s.state)
	if !ok {
		return
	}
	visit := v.visitOf(c)
	if visit == nil {
		visit = &sccVisit{chain: c}
		v.sccs[c.scc] = append(v.sccs[c.scc], visit)
	}
	if visit.entry == nil {
		visit.entry = s
		v.printSCC("enter", c)
	}
}

// leaveLoop settles a loop when the last path from its entry is finished.
func (v *verifier) leaveLoop(s *saved) error {
	c, ok := v.sccOf(&s.state)
	if !ok {
		return nil
	}
	visit := v.visitOf(c)
	if visit == nil || visit.entry != s {
		return nil
	}
	v.printSCC("exit", c)
	visit.entry = nil
	v.states.backedges -= len(visit.backedges)
	v.notePeak()
	return v.settle(visit)
}

// settle propagates precision over a loop's backedges until nothing changes.
func (v *verifier) settle(visit *sccVisit) error {
	if err := v.settleMarks(visit); err != nil {
		return err
	}
	if v.quietMarks {
		if err := v.quietly(func() error { return v.settleMarks(visit) }); err != nil {
			return err
		}
	}
	for _, edge := range visit.backedges {
		v.arena.free(edge)
	}
	visit.backedges = nil
	return nil
}

func (v *verifier) settleMarks(visit *sccVisit) error {
	for round, changed := 0, true; changed; round++ {
		if round > maxBackedgeRounds {
			if v.log.on(LogLevel2) {
				v.printf("propagate_backedges: too many iterations\n")
			}
			for _, edge := range visit.backedges {
				v.forcePrecise(edge)
			}
			break
		}
		changed = false
		for i := len(visit.backedges) - 1; i >= 0; i-- {
			edge := visit.backedges[i]
			if err := v.propagatePrecision(&edge.equal.state, edge, &changed); err != nil {
				return err
			}
		}
	}
	return nil
}

// addBackedge keeps a state that was found equal to one inside a loop.
func (v *verifier) addBackedge(in *state, edge *state) error {
	c, ok := v.sccOf(in)
	if !ok {
		return v.internal("add backedge: no SCC in verification path")
	}
	visit := v.visitOf(c)
	if visit == nil {
		return v.internal("add backedge: no visit info for call chain")
	}
	v.printSCC("backedge", c)
	visit.backedges = append(visit.backedges, edge)
	v.states.backedges++
	v.notePeak()
	return nil
}

// incomplete says whether a state's marks may still change, because it is in a
// loop with open backedges (incomplete_read_marks).
func (v *verifier) incomplete(s *state) bool {
	c, ok := v.sccOf(s)
	if !ok {
		return false
	}
	visit := v.visitOf(c)
	return visit != nil && len(visit.backedges) > 0
}

// branchDone finishes a path: states on it that have no other path left are
// complete (update_branch_counts).
func (v *verifier) branchDone(s *state) error {
	s.branches--
	if s.branches != 0 {
		return nil
	}
	for p := s.parent; p != nil; {
		p.branches--
		if p.branches != 0 {
			break
		}
		if err := v.leaveLoop(p); err != nil {
			return err
		}
		above := p.parent
		v.release(p)
		p = above
	}
	return nil
}

func (v *verifier) printSCC(what string, c sccChain) {
	if !v.log.on(LogLevel2) {
		return
	}
	b := append(append(append(v.line(), "SCC "...), what...), " ("...)
	for _, call := range c.calls {
		if call == 0 {
			break
		}
		b = append(strconv.AppendInt(b, int64(call), 10), ',')
	}
	b = strconv.AppendUint(b, uint64(c.scc), 10)
	v.print(append(b, ")\n"...))
}

// findEntry finds a state saved at an instruction on the current path, to widen
// what changes from one round of a loop to the next (find_prev_entry).
func (v *verifier) findEntry(s *state, dfs int32, at int) *state {
	for old := *v.bucket(at); old != nil; old = old.next {
		if int(old.insn) == at && old.branches > 0 && sameCallsites(&old.state, s) && old.dfsDepth < dfs {
			return &old.state
		}
	}
	return nil
}

// widen makes scalars unknown that differ from an earlier round and did not
// matter so far (widen_imprecise_scalars).
func (v *verifier) widen(old, cur *state) {
	for n := old.depth; n >= 0; n-- {
		a, b := old.frames[n], cur.frames[n]
		for i := range a.regs {
			v.widenReg(&a.regs[i], &b.regs[i])
		}
		for i := range min(len(a.stack), len(b.stack)) {
			if a.stack[i].isSpill() && b.stack[i].isSpill() {
				v.widenReg(&a.stack[i].spill, &b.stack[i].spill)
			}
		}
	}
}

func (v *verifier) widenReg(old, cur *reg) {
	if old.typ == scalar && cur.typ == scalar && !old.precise && !cur.precise && old.value != cur.value {
		v.setUnknown(cur)
	}
}
