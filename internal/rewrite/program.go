package rewrite

import (
	"slices"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/prog"
)

// program is what passes work on: the parts of the program as they are so far,
// and the edits that the current pass asked for.
type program struct {
	prog.VerifiedParts
	info    *desc.ProgInfo
	raw     *prog.Raw
	opt     Options
	scratch patch.Patch

	edits   []edit
	code    []insn.Instruction // of all edits, one behind the other
	targets []int              // of all edits: positions of jumps to the old target
}

// edit replaces the slots [at, at+slots) by code. With no slots the code goes
// before the instruction, and jumps to it skip the code; calls do not.
type edit struct {
	at, slots     int
	code, targets span
	kept          int // position in the code of what inherits the facts, or -1
}

// span is a range in one of program's lists.
type span struct{ from, to int }

func newProgram(v *prog.Verified, opt Options) *program {
	p := &program{VerifiedParts: v.VerifiedParts, raw: v.Raw(), opt: opt}
	p.info = &p.raw.Info
	p.Insns = slices.Clone(p.Insns)
	p.Facts = slices.Clone(p.Facts)
	p.Subprogs = slices.Clone(p.Subprogs)
	p.Lines = slices.Clone(p.Lines)
	p.Funcs = slices.Clone(p.Funcs)
	return p
}

// slots is how many slots the instruction at n takes.
func (p *program) slots(n int) int {
	if p.Insns[n].IsWide() && n+1 < len(p.Insns) {
		return 2
	}
	return 1
}

// each calls f for every instruction, not for second slots.
func (p *program) each(f func(at int, i insn.Instruction, fact *prog.Fact) error) error {
	for at := 0; at < len(p.Insns); at += p.slots(at) {
		if err := f(at, p.Insns[at], &p.Facts[at]); err != nil {
			return err
		}
	}
	return nil
}

// patch gives an empty patch, good until the next one.
func (p *program) patch() *patch.Patch {
	p.scratch.Reset()
	return &p.scratch
}

// replace asks for the instruction at to become the patch. Edits of one pass
// come in the order of their places.
func (p *program) replace(at int, by *patch.Patch) error { return p.edit(at, p.slots(at), by) }

// before asks for the patch to be put before the instruction at.
func (p *program) before(at int, code *patch.Patch) error { return p.edit(at, 0, code) }

// remove asks for slots to go away.
func (p *program) remove(at, slots int) error { return p.edit(at, slots, p.patch()) }

func (p *program) edit(at, slots int, by *patch.Patch) error {
	code, err := by.Finish()
	if err != nil {
		return err
	}
	e := edit{at: at, slots: slots, kept: -1}
	e.code = span{len(p.code), len(p.code) + len(code)}
	e.targets = span{len(p.targets), len(p.targets) + len(by.Targets())}
	if kept, ok := by.Kept(); ok {
		e.kept = kept
	}
	p.code = append(p.code, code...)
	p.targets = append(p.targets, by.Targets()...)
	p.edits = append(p.edits, e)
	return nil
}

// subprog is the index of the subprogram that the instruction at is in.
func (p *program) subprog(at int) int {
	n, found := slices.BinarySearchFunc(p.Subprogs, at, func(s prog.Subprog, at int) int { return int(s.Start) - at })
	if found {
		return n
	}
	return n - 1
}
