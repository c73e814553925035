package rewrite

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/prog"
)

// seen says whether a path reaches the slot.
func (p *program) seen(at int) bool {
	return at < 0 || at >= len(p.Facts) || p.Facts[at].Seen
}

// sanitizeDeadCode makes what no path reaches spin, for programs loaded without
// CAP_BPF: their code keeps its shape (sanitize_dead_code).
func sanitizeDeadCode(p *program) error {
	if p.info.Caps.BPF {
		return nil
	}
	for at, slots := 0, 0; at < len(p.Insns); at += slots {
		if slots = p.slots(at); p.Facts[at].Seen {
			continue
		}
		for slot := at; slot < at+slots; slot++ {
			p.Insns[slot] = insn.Goto(-1)
			p.Facts[slot] = prog.Fact{Orig: p.Facts[slot].Orig}
		}
	}
	return nil
}

// hardWireBranches makes jumps of which one way was never taken unconditional
// (opt_hard_wire_dead_code_branches).
func hardWireBranches(p *program) error {
	if !p.info.Caps.BPF {
		return nil
	}
	return p.each(func(at int, i insn.Instruction, _ *prog.Fact) error {
		switch {
		case !i.IsCondJump():
		case !p.seen(at + 1):
			p.Insns[at] = insn.Goto(i.Off())
		case !p.seen(at + 1 + int(i.Off())):
			p.Insns[at] = insn.Goto(0)
		}
		return nil
	})
}

// removeDeadCode drops what no path reaches (opt_remove_dead_code).
func removeDeadCode(p *program) error {
	if !p.info.Caps.BPF {
		return nil
	}
	return p.each(func(at int, _ insn.Instruction, fact *prog.Fact) error {
		if fact.Seen {
			return nil
		}
		return p.remove(at, p.slots(at))
	})
}

// removeNops drops jumps to the next instruction, and may_goto to it; when such
// a may_goto goes, the jump before it may have become one (opt_remove_nops).
func removeNops(p *program) error {
	if !p.info.Caps.BPF {
		return nil
	}
	gone := make([]bool, len(p.Insns))
	for at := 0; at < len(p.Insns); at += p.slots(at) {
		if !isNop(p.Insns[at], 0) {
			continue
		}
		gone[at] = true
		for n := at; n > 0 && p.Insns[n].IsMayGoto() && isNop(p.Insns[n-1], int16(at-n+1)); n-- {
			gone[n-1] = true
		}
	}
	for at := range gone {
		if gone[at] {
			if err := p.remove(at, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// isNop says whether i only jumps over what follows it, skipped slots that are
// removed.
func isNop(i insn.Instruction, skipped int16) bool {
	return i == insn.Goto(skipped) || i == insn.MayGoto(skipped)
}
