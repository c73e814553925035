package rewrite

import (
	"sort"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/prog"
)

// splice carries out the edits of a pass: one walk to find where every
// instruction goes, one to copy and repair.
func (p *program) splice() error {
	if len(p.edits) == 0 {
		return nil
	}
	m := p.plan()
	if err := p.move(m); err != nil {
		return err
	}
	p.moveLines(m)
	p.moveSubprogs(m)
	p.edits, p.code, p.targets = p.edits[:0], p.code[:0], p.targets[:0]
	return nil
}

// movement says where the slots of the old program went. Both lists have an
// entry for the end.
type movement struct {
	start []int32 // where the slot's code begins: for calls and bounds
	entry []int32 // where jumps to the slot go: behind what was put before it
	gone  []bool  // the slot was removed without replacement
	size  int
}

func (p *program) plan() *movement {
	n := len(p.Insns)
	m := &movement{start: make([]int32, n+1), entry: make([]int32, n+1), gone: make([]bool, n+1)}
	pos, next := 0, 0
	for at := 0; at < n; {
		m.start[at] = int32(pos)
		for ; next < len(p.edits) && p.edits[next].at == at && p.edits[next].slots == 0; next++ {
			pos += p.edits[next].code.len()
		}
		m.entry[at] = int32(pos)
		if next == len(p.edits) || p.edits[next].at != at {
			pos++
			at++
			continue
		}
		e := &p.edits[next]
		pos += e.code.len()
		for slot := at; slot < at+e.slots; slot++ {
			if slot > at {
				m.start[slot], m.entry[slot] = int32(pos), int32(pos)
			}
			m.gone[slot] = e.code.len() == 0
		}
		at += e.slots
		next++
	}
	m.start[n], m.entry[n], m.size = int32(pos), int32(pos), pos
	return m
}

func (s span) len() int { return s.to - s.from }

// mover builds the new program.
type mover struct {
	*program
	m     *movement
	insns []insn.Instruction
	facts []prog.Fact
}

func (p *program) move(m *movement) error {
	w := mover{p, m, make([]insn.Instruction, 0, m.size), make([]prog.Fact, 0, m.size)}
	next := 0
	for at := 0; at < len(p.Insns); {
		var e *edit
		if next < len(p.edits) && p.edits[next].at == at {
			e = &p.edits[next]
			next++
		}
		slots, err := 0, error(nil)
		if e != nil {
			slots, err = e.slots, w.edited(at, e)
		} else {
			slots, err = p.slots(at), w.copied(at)
		}
		if err != nil {
			return err
		}
		at += slots
	}
	p.Insns, p.Facts = w.insns, w.facts
	return nil
}

// copied moves an instruction that stays as it is.
func (w *mover) copied(at int) error {
	i, err := w.retarget(at, w.Insns[at])
	if err != nil {
		return err
	}
	w.insns, w.facts = append(w.insns, i), append(w.facts, w.Facts[at])
	if w.slots(at) == 2 {
		w.insns, w.facts = append(w.insns, w.Insns[at+1]), append(w.facts, w.Facts[at+1])
	}
	return nil
}

// edited emits the code of an edit. It inherits the place in the program as
// given; one instruction of it may inherit all facts.
func (w *mover) edited(at int, e *edit) error {
	base := len(w.insns)
	fact := &w.Facts[at]
	for n, i := range w.code[e.code.from:e.code.to] {
		inherited := prog.Fact{Orig: fact.Orig, Seen: true}
		if n == e.kept {
			inherited = *fact
			var err error
			if i, err = w.retarget(at, i); err != nil {
				return err
			}
		}
		w.insns, w.facts = append(w.insns, i), append(w.facts, inherited)
	}
	for _, n := range w.targets[e.targets.from:e.targets.to] {
		i, err := w.jump(at, base+n, w.insns[base+n])
		if err != nil {
			return err
		}
		w.insns[base+n] = i
	}
	return nil
}

// retarget repairs what an instruction that is about to be emitted refers to:
// the one at in the old program, or what stands for it.
func (w *mover) retarget(at int, i insn.Instruction) (insn.Instruction, error) {
	switch {
	case i.IsJump() && w.Insns[at].IsJump():
		return w.jump(at, len(w.insns), i)
	case i.IsSubprogCall(), i.IsFuncRef():
		target := at + 1 + int(w.Insns[at].Imm())
		if target < 0 || target >= len(w.Insns) {
			return i, errno.Errorf(errno.EINVAL, "insn %d refers to a subprogram at %d", w.Facts[at].Orig, target)
		}
		return i.WithImm(w.m.start[target] - int32(len(w.insns)) - 1), nil
	}
	return i, nil
}

// jump makes i, at pos of the new program, go where the jump at in the old one
// went (bpf_adj_branches).
func (w *mover) jump(at, pos int, i insn.Instruction) (insn.Instruction, error) {
	target := at + 1 + int(w.Insns[at].JumpOffset())
	if target < 0 || target > len(w.Insns) {
		return i, errno.Errorf(errno.EINVAL, "insn %d jumps to %d, out of the program", w.Facts[at].Orig, target)
	}
	moved, ok := i.WithJumpOffset(w.m.entry[target] - int32(pos) - 1)
	if !ok {
		// bpf_patch_insn_data prints this line; its callers answer ENOMEM.
		return i, errno.Errorf(errno.ENOMEM, "insn %d cannot be patched due to 16-bit range", w.Facts[at].Orig)
	}
	return moved, nil
}

// moveLines repairs line info. A line whose instructions are all gone goes too,
// unless the code behind has none of its own and inherits it
// (bpf_adj_linfo_after_remove).
func (p *program) moveLines(m *movement) {
	kept := p.Lines[:0]
	for n, line := range p.Lines {
		at := int(line.InsnOff)
		if at >= len(m.gone) {
			continue
		}
		if m.gone[at] {
			for m.gone[at] {
				at++
			}
			if at == len(m.gone)-1 || n+1 < len(p.Lines) && int(p.Lines[n+1].InsnOff) <= at {
				continue
			}
		}
		line.InsnOff = uint32(m.start[at])
		kept = append(kept, line)
	}
	p.Lines = kept
}

// moveSubprogs repairs the bounds of subprograms and drops those of which
// nothing is left (adjust_subprog_starts_after_remove).
func (p *program) moveSubprogs(m *movement) {
	numbers := make([]int32, len(p.Subprogs))
	funcs := len(p.Funcs) == len(p.Subprogs)
	kept, keptFuncs := p.Subprogs[:0], p.Funcs[:0]
	for n, s := range p.Subprogs {
		end := m.size
		if n+1 < len(p.Subprogs) {
			end = int(m.start[p.Subprogs[n+1].Start])
		}
		start := m.start[s.Start]
		numbers[n] = int32(len(kept))
		if int(start) == end && n > 0 {
			continue
		}
		s.Start = start
		s.LineStart = int32(sort.Search(len(p.Lines), func(k int) bool { return p.Lines[k].InsnOff >= uint32(start) }))
		kept = append(kept, s)
		if funcs {
			f := p.Funcs[n]
			f.InsnOff = uint32(start)
			keptFuncs = append(keptFuncs, f)
		}
	}
	dropped := len(kept) < len(p.Subprogs)
	p.Subprogs = kept
	if funcs {
		p.Funcs = keptFuncs
	}
	if dropped {
		p.renumber(numbers)
	}
}

// renumber gives calls and function pointers the new numbers of subprograms.
func (p *program) renumber(numbers []int32) {
	for at, i := range p.Insns {
		if (i.IsSubprogCall() || i.IsFuncRef()) && int(p.Facts[at].Sub) < len(numbers) {
			p.Facts[at].Sub = numbers[p.Facts[at].Sub]
		}
	}
}
