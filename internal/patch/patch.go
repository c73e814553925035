// Package patch holds the one mechanism by which skep rewrites programs.
//
// A Patch is a growable run of BPF instructions that stands in for one
// instruction of a program. Jumps inside it are symbolic until it is finished;
// its own end is a label too, so that a patch can say "skip the rest" without
// knowing what follows. Context access conversion, inlined map operations,
// helper bodies and fix-ups are all written as patches, and package rewrite
// splices them in while it repairs every jump of the program around them.
package patch

import (
	"fmt"

	"github.com/skep-ebpf/skep/insn"
)

// Label names a place in a patch, or Target.
type Label int

const (
	// End is the label just behind a patch's last instruction.
	End Label = 0
	// Target is where the jump goes that the patch replaces.
	Target Label = -1
)

// A Patch is built by emitting instructions. The zero value is empty and ready
// to use.
type Patch struct {
	insns   []insn.Instruction
	marks   []int // position of each label; unbound is negative
	jumps   []jump
	kept    int // position of the instruction emitted with Keep, plus one
	targets []int
}

type jump struct {
	at int
	to Label
}

const unbound = -1

// Reset empties the patch for another use. What Finish and Targets returned is
// overwritten.
func (p *Patch) Reset() {
	*p = Patch{insns: p.insns[:0], marks: p.marks[:0], jumps: p.jumps[:0], targets: p.targets[:0]}
}

// Emit appends instructions as they are.
func (p *Patch) Emit(code ...insn.Instruction) *Patch {
	p.insns = append(p.insns, code...)
	return p
}

// Keep appends an instruction that carries on what the verifier learned about
// the replaced one: often that instruction itself.
func (p *Patch) Keep(i insn.Instruction) *Patch {
	p.kept = len(p.insns) + 1
	return p.Emit(i)
}

// Kept is the position of the instruction emitted with Keep.
func (p *Patch) Kept() (at int, ok bool) { return p.kept - 1, p.kept != 0 }

// Label makes a label to be bound later with Bind.
func (p *Patch) Label() Label {
	if len(p.marks) == 0 {
		p.marks = append(p.marks, unbound) // End
	}
	p.marks = append(p.marks, unbound)
	return Label(len(p.marks) - 1)
}

// Bind puts the label at the next instruction.
func (p *Patch) Bind(l Label) *Patch {
	p.marks[l] = len(p.insns)
	return p
}

// Jump appends a jump instruction, whose offset is filled in when the patch is
// finished.
func (p *Patch) Jump(i insn.Instruction, to Label) *Patch {
	p.jumps = append(p.jumps, jump{len(p.insns), to})
	return p.Emit(i)
}

// Close makes End, for the jumps emitted so far, the next instruction: what
// follows is part of the patch, but no longer of the piece that End belonged
// to. It lets a patch be continued by somebody who did not write its beginning.
func (p *Patch) Close() *Patch {
	here := p.Label()
	for n := range p.jumps {
		if p.jumps[n].to == End {
			p.jumps[n].to = here
		}
	}
	return p.Bind(here)
}

// Len is the number of instruction slots so far.
func (p *Patch) Len() int { return len(p.insns) }

// At is the instruction in slot n, as it was emitted.
func (p *Patch) At(n int) insn.Instruction { return p.insns[n] }

// Finish resolves the symbolic jumps and returns the instructions; jumps to
// Target are left to the caller ([Patch.Targets]). An unbound label or a jump
// out of the 16-bit range is an error of the patch's author.
func (p *Patch) Finish() ([]insn.Instruction, error) {
	p.targets = p.targets[:0]
	for _, j := range p.jumps {
		target := len(p.insns)
		switch {
		case j.to == Target:
			p.targets = append(p.targets, j.at)
			continue
		case j.to == End:
		case int(j.to) >= len(p.marks) || j.to < 0 || p.marks[j.to] == unbound:
			return nil, fmt.Errorf("patch: the jump at %d goes to a label that was never bound", j.at)
		default:
			target = p.marks[j.to]
		}
		i, ok := p.insns[j.at].WithJumpOffset(int32(target - j.at - 1))
		if !ok {
			return nil, fmt.Errorf("patch: the jump at %d is %d instructions long", j.at, target-j.at-1)
		}
		p.insns[j.at] = i
	}
	return p.insns, nil
}

// Targets are the positions of the jumps to Target, once the patch is finished.
func (p *Patch) Targets() []int { return p.targets }
