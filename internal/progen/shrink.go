package progen

import (
	"slices"

	"github.com/skep-ebpf/skep/insn"
)

// Shrink returns the smallest program it can find that still fails: it deletes
// instructions (repairing jumps), replaces others by a move of a constant, and
// drops inputs and map elements. fails must accept any program, also one that no
// verifier accepts, and report whether it still shows the failure. budget bounds
// the number of calls of fails.
func Shrink(p *Program, budget int, fails func(*Program) bool) *Program {
	s := &shrinker{best: p, left: budget, fails: fails}
	for s.left > 0 {
		before := s.best
		s.inputs()
		s.deletions()
		s.replacements()
		s.elements()
		if s.best == before {
			break
		}
	}
	return s.best
}

type shrinker struct {
	best  *Program
	left  int
	fails func(*Program) bool
}

// try keeps p if it still fails.
func (s *shrinker) try(change func(p *Program)) bool {
	if s.left <= 0 {
		return false
	}
	s.left--
	p := *s.best
	p.Insns = slices.Clone(p.Insns)
	p.Maps = slices.Clone(p.Maps)
	change(&p)
	if !s.fails(&p) {
		return false
	}
	s.best = &p
	return true
}

func (s *shrinker) inputs() {
	for i := len(s.best.Inputs) - 1; i >= 0 && len(s.best.Inputs) > 1; i-- {
		s.try(func(p *Program) { p.Inputs = slices.Delete(slices.Clone(p.Inputs), i, i+1) })
	}
}

// deletions removes runs of instructions, from half of the program down to one.
func (s *shrinker) deletions() {
	for size := len(s.best.Insns) / 2; size >= 1; size /= 2 {
		for at := len(s.best.Insns) - size; at >= 0; at -= size {
			if at+size <= len(s.best.Insns) {
				s.try(func(p *Program) { p.Insns = Delete(p.Insns, at, size) })
			}
		}
	}
}

// replacements turns instructions into constants, and constants into simpler
// ones.
func (s *shrinker) replacements() {
	for i := 0; i < len(s.best.Insns); i++ {
		in := s.best.Insns[i]
		if in.IsWide() {
			i++
			continue
		}
		simple := insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcK, in.Dst(), 0, 0, 1)
		isConst := in.Op() == simple.Op()
		if !isConst && (in.IsALU() || in.Class() == insn.ClassLDX) {
			s.try(func(p *Program) { p.Insns[i] = simple })
			continue
		}
		if isConst && in.Imm() != 0 && in.Imm() != 1 {
			_ = s.try(func(p *Program) { p.Insns[i] = in.WithImm(0) }) ||
				s.try(func(p *Program) { p.Insns[i] = in.WithImm(1) })
		}
	}
}

func (s *shrinker) elements() {
	for i := range s.best.Maps {
		if len(s.best.Maps[i].Init) > 0 {
			s.try(func(p *Program) { p.Maps[i].Init = nil })
		}
	}
}

// Delete returns the program without n instructions from at. Both slots of a
// 64-bit immediate load go together; jumps and calls over the gap are repaired,
// those into it lead to what follows it.
func Delete(code []insn.Instruction, at, n int) []insn.Instruction {
	gone := make([]bool, len(code))
	for i := 0; i < len(code); i++ {
		hit := i >= at && i < at+n
		if code[i].IsWide() && i+1 < len(code) {
			hit = hit || i+1 >= at && i+1 < at+n
			gone[i+1] = hit
			gone[i] = hit
			i++
			continue
		}
		gone[i] = hit
	}
	to := make([]int, len(code)+1) // new index of the first survivor from here on
	kept := 0
	for i := range code {
		to[i] = kept
		if !gone[i] {
			kept++
		}
	}
	to[len(code)] = kept
	out := make([]insn.Instruction, 0, kept)
	second := false // the slot before is the first of two
	for i, in := range code {
		if gone[i] {
			continue
		}
		if second {
			second = false
		} else {
			in = retarget(in, i, to)
			second = in.IsWide()
		}
		out = append(out, in)
	}
	return out
}

// retarget moves the target of the instruction at i of the old program.
func retarget(in insn.Instruction, i int, to []int) insn.Instruction {
	move := func(rel int) (int, bool) {
		target := i + 1 + rel
		if target < 0 || target >= len(to) {
			return 0, false // led nowhere before
		}
		return to[target] - to[i] - 1, true
	}
	switch {
	case in.Op() == insn.ClassJMP|insn.JmpCALL:
		if in.Src() == insn.PseudoCall {
			if rel, ok := move(int(in.Imm())); ok {
				return in.WithImm(int32(rel))
			}
		}
	case in.Op() == insn.ClassJMP32|insn.JmpJA, in.IsFuncRef():
		if rel, ok := move(int(in.Imm())); ok {
			return in.WithImm(int32(rel))
		}
	case in.IsJumpClass() && in.JumpOp() != insn.JmpEXIT:
		if rel, ok := move(int(in.Off())); ok {
			return in.WithOff(int16(rel))
		}
	}
	return in
}
