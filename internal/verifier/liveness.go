package verifier

import (
	"math"
	"strconv"
)

// Stack liveness, as kernel/bpf/liveness.c defines it: for each chain of calls
// and each instruction of the function at its end, which stack slots of each
// frame may still be read. Marks are collected while paths are walked, and
// propagated backwards through the function when a path has ended; a saved
// state then forgets the slots that nothing will read.

// callChain names a function and how it was reached: the calls, and the
// function's first instruction in the last place.
type callChain struct {
	calls [maxFrames]int32
	depth int
}

// slotMarks are sets of slots, one bit a slot, at one instruction.
type slotMarks struct {
	read     uint64 // by this instruction, perhaps
	write    uint64 // by this instruction, certainly
	writeAll uint64 // by this instruction or those after it, certainly
	live     uint64 // before this instruction
}

// liveFunc holds the marks of a function in one chain of calls.
type liveFunc struct {
	chain  callChain
	starts [maxFrames]int32 // first instruction of each function in the chain
	size   int
	// marks by frame and instruction; a frame's are made when needed.
	marks [maxFrames][]slotMarks
	// wrote says at which instructions write is initialised.
	wrote   []bool
	updated bool
	dropped bool // some write set became smaller
}

func (f *liveFunc) start() int { return int(f.starts[f.chain.depth]) }

// at gives the marks of a frame at an instruction, nil if it has none.
func (f *liveFunc) at(frame, insn int) *slotMarks {
	if f.marks[frame] == nil {
		return nil
	}
	return &f.marks[frame][insn-f.start()]
}

func (f *liveFunc) make(frame, insn int) *slotMarks {
	if f.marks[frame] == nil {
		f.marks[frame] = make([]slotMarks, f.size)
	}
	return f.at(frame, insn)
}

// stackLiveness is the analysis.
type stackLiveness struct {
	funcs map[callChain]*liveFunc
	// cur is the function of the current state, nil if it must be looked up.
	cur *liveFunc
	// pending are the slots that the instruction at has written so far.
	pending [maxFrames]uint64
	insn    int
	query   struct {
		funcs [maxFrames]*liveFunc
		depth int
		insn  int
	}
}

// chainOf is the chain of calls up to frame n of a state.
func (v *verifier) chainOf(s *state, n int) (c callChain, starts [maxFrames]int32) {
	for i := 0; i <= n; i++ {
		starts[i] = int32(v.subs[s.frames[i].subprog].start)
		if i < s.depth {
			c.calls[i] = s.frames[i+1].callsite
		}
	}
	c.depth = n
	c.calls[n] = starts[n]
	return c, starts
}

func (l *stackLiveness) find(v *verifier, s *state, n int) *liveFunc {
	c, starts := v.chainOf(s, n)
	return l.lookup(v, c, starts)
}

func (l *stackLiveness) lookup(v *verifier, c callChain, starts [maxFrames]int32) *liveFunc {
	if f := l.funcs[c]; f != nil {
		return f
	}
	sub := v.containing(int(starts[c.depth]))
	f := &liveFunc{chain: c, starts: starts, size: v.subs[sub+1].start - v.subs[sub].start}
	f.wrote = make([]bool, f.size)
	l.funcs[c] = f
	return f
}

// forget must be called when the current state changes to another function.
func (l *stackLiveness) forget() { l.cur = nil }

func (l *stackLiveness) current(v *verifier) *liveFunc {
	if l.cur == nil {
		l.cur = l.find(v, v.cur, v.cur.depth)
	}
	return l.cur
}

// read notes that the instruction reads slots of a frame.
func (l *stackLiveness) read(v *verifier, frame, insn int, slots uint64) {
	l.current(v).read(frame, insn, slots)
}

func (f *liveFunc) read(frame, insn int, slots uint64) {
	m := f.make(frame, insn)
	if m.read|slots != m.read && (m.read|slots)&^m.live != 0 {
		f.updated = true
	}
	m.read |= slots
}

// begin starts to collect what the instruction writes.
func (l *stackLiveness) begin(v *verifier, insn int) {
	l.beginIn(l.current(v), insn)
}

func (l *stackLiveness) beginIn(f *liveFunc, insn int) {
	l.insn = insn
	for i := 0; i <= f.chain.depth; i++ {
		l.pending[i] = 0
	}
}

func (l *stackLiveness) write(frame int, slots uint64) { l.pending[frame] |= slots }

// commit ends an instruction: only slots that every path writes count.
func (l *stackLiveness) commit() { l.commitIn(l.cur) }

func (l *stackLiveness) commitIn(f *liveFunc) {
	if f == nil {
		return
	}
	seen := &f.wrote[l.insn-f.start()]
	for frame := 0; frame <= f.chain.depth; frame++ {
		set := l.pending[frame]
		if set == 0 && !*seen {
			continue
		}
		m := f.make(frame, l.insn)
		old := m.write & math.MaxUint32 // as 6.18 keeps it here
		if *seen {
			set &= old
		}
		if old != set {
			m.write = set
			f.updated = true
		}
		if old&^set != 0 {
			f.dropped = true
		}
	}
	*seen = true
	l.insn = 0
}

// update propagates the marks in all functions of the current chain of calls, so
// that they can be queried (bpf_update_live_stack).
func (l *stackLiveness) update(v *verifier) {
	l.forget()
	for n := v.cur.depth; n >= 0; n-- {
		f := l.find(v, v.cur, n)
		if f.updated {
			l.propagate(v, f)
			f.updated, f.dropped = false, false
		}
	}
}

// propagate finds the fixed point of a function's marks.
func (l *stackLiveness) propagate(v *verifier, f *liveFunc) {
	if f.dropped {
		for frame := 0; frame <= f.chain.depth; frame++ {
			for i := range f.marks[frame] {
				f.marks[frame][i].writeAll = 0
			}
		}
	}
	sub := v.containing(f.start())
	order := v.postorder[v.subs[sub].postorder:v.subs[sub+1].postorder]
	rounds := 0
	for changed := true; changed; {
		rounds++
		changed = false
		for frame := 0; frame <= f.chain.depth; frame++ {
			if f.marks[frame] == nil {
				continue
			}
			for _, i := range order {
				if l.step(v, f, frame, int(i)) {
					changed = true
				}
			}
		}
	}
	if v.log.on(LogLevel2) {
		b := f.chain.append(v.line())
		b = append(b, " live stack update done in "...)
		b = strconv.AppendInt(b, int64(rounds), 10)
		v.print(append(b, " iterations\n"...))
	}
	if f.chain.depth > 0 {
		l.toCaller(v, f)
	}
}

// step recomputes the marks of one instruction from those of its successors.
func (l *stackLiveness) step(v *verifier, f *liveFunc, frame, i int) bool {
	succ := v.successors(i)
	if len(succ) == 0 {
		return false
	}
	m := f.at(frame, i)
	after, all := uint64(0), ^uint64(0)
	for _, s := range succ {
		n := f.at(frame, int(s))
		after |= n.live
		all &= n.writeAll
	}
	all |= m.write
	live := after&^m.write | m.read
	if v.log.on(LogLevel2) && (m.read != 0 || m.write != 0 || i == f.start() || v.aux[i].prune) {
		f.logChange(v, "live", frame, i, m.live, live)
		f.logChange(v, "written", frame, i, m.writeAll, all)
	}
	changed := live != m.live || all != m.writeAll
	m.live, m.writeAll = live, all
	return changed
}

// toCaller gives the marks at a function's entry to the call that reached it.
func (l *stackLiveness) toCaller(v *verifier, f *liveFunc) {
	c, starts := f.chain, f.starts
	c.calls[c.depth], starts[c.depth] = 0, 0
	c.depth--
	call := int(c.calls[c.depth])
	c.calls[c.depth] = starts[c.depth]
	outer := l.lookup(v, c, starts)

	l.beginIn(outer, call)
	for frame := 0; frame < f.chain.depth; frame++ {
		m := f.at(frame, f.start())
		if m == nil {
			continue
		}
		l.write(frame, m.writeAll)
		outer.read(frame, call, m.live)
	}
	l.commitIn(outer)
}

// ask prepares the analysis for questions about a state.
func (l *stackLiveness) ask(v *verifier, s *state) {
	q := &l.query
	for n := 0; n <= s.depth; n++ {
		q.funcs[n] = l.find(v, s, n)
	}
	q.depth, q.insn = s.depth, int(s.insn)
}

// alive says whether a slot may still be read from where the state stands, or
// after the functions it is in have returned (bpf_stack_slot_alive).
func (l *stackLiveness) alive(v *verifier, frame, spi int) bool {
	q := &l.query
	inner := q.funcs[q.depth]
	if inner.liveAt(q.insn, frame, spi) {
		return true
	}
	for n := frame; n < q.depth; n++ {
		at := int(inner.chain.calls[n])
		if !v.aux[at].callsBack {
			at++
		}
		if q.funcs[n].liveAt(at, frame, spi) {
			return true
		}
	}
	return false
}

func (f *liveFunc) liveAt(insn, frame, spi int) bool {
	m := f.at(frame, insn)
	return m != nil && m.live>>spi&1 != 0
}

// append writes the chain as "(12,40)".
func (c *callChain) append(b []byte) []byte {
	b = append(b, '(')
	for i := 0; i <= c.depth; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(c.calls[i]), 10)
	}
	return append(b, ')')
}

// logChange tells which slots entered or left a set.
func (f *liveFunc) logChange(v *verifier, what string, frame, insn int, old, now uint64) {
	if old == now {
		return
	}
	b := f.chain.append(v.line())
	b = append(b, " frame "...)
	b = strconv.AppendInt(b, int64(frame), 10)
	b = append(b, " insn "...)
	b = strconv.AppendInt(b, int64(insn), 10)
	b = append(b, ' ')
	if up := now &^ old; up != 0 {
		b = append(append(append(b, '+'), what...), ' ')
		b = append(appendSlots(b, up), ' ')
	}
	if down := old &^ now; down != 0 {
		b = append(append(append(b, '-'), what...), ' ')
		b = appendSlots(b, down)
	}
	v.print(append(b, '\n'))
}
