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

// Label names a place in a patch.
type Label int

// End is the label just behind a patch's last instruction.
const End Label = 0

// A Patch is built by emitting instructions. The zero value is empty and ready
// to use.
type Patch struct {
	insns []insn.Instruction
	marks []int // position of each label; unbound is negative
	jumps []jump
}

type jump struct {
	at int
	to Label
}

const unbound = -1

// Emit appends instructions as they are.
func (p *Patch) Emit(code ...insn.Instruction) *Patch {
	p.insns = append(p.insns, code...)
	return p
}

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

// Len is the number of instruction slots so far.
func (p *Patch) Len() int { return len(p.insns) }

// Finish resolves the symbolic jumps and returns the instructions. An unbound
// label or a jump out of the 16-bit range is an error of the patch's author.
func (p *Patch) Finish() ([]insn.Instruction, error) {
	for _, j := range p.jumps {
		target := len(p.insns)
		if j.to != End {
			if int(j.to) >= len(p.marks) || p.marks[j.to] == unbound {
				return nil, fmt.Errorf("patch: the jump at %d goes to a label that was never bound", j.at)
			}
			target = p.marks[j.to]
		}
		off := target - j.at - 1
		if off != int(int16(off)) {
			return nil, fmt.Errorf("patch: the jump at %d is %d instructions long", j.at, off)
		}
		p.insns[j.at] = p.insns[j.at].WithOff(int16(off))
	}
	return p.insns, nil
}
