package verifier

import (
	"github.com/skep-ebpf/skep/internal/prog"
)

// seal makes the verified program from what the walk has learned.
func (v *verifier) seal() *prog.Verified {
	parts := prog.VerifiedParts{
		Type:       v.typ,
		Insns:      v.raw.Insns,
		Facts:      v.facts,
		Lines:      v.lines,
		Funcs:      v.funcs,
		Maps:       v.maps[:v.used:v.used],
		Stats:      v.stats,
		StackDepth: v.maxDepth,
	}
	for i := range v.facts {
		v.completeFact(i)
	}
	line := 0
	for i := range v.subs[:len(v.subs)-1] {
		s := &v.subs[i]
		for line < len(v.lines) && int(v.lines[line].InsnOff) < s.start {
			line++
		}
		p := prog.Subprog{
			Start: int32(s.start), Name: v.subprogName(i), StackDepth: uint16(s.stackDepth),
			LineStart: int32(line), Global: v.isGlobal(i),
			HasTailCall: s.hasTailCall, TailCallReachable: s.tailCallReachable,
			HasLoadAbs: s.hasLoadAbs, IsCallback: s.isCallback,
		}
		if i < len(v.funcs) {
			p.FuncType = v.funcs[i].TypeID
		}
		parts.Subprogs = append(parts.Subprogs, p)
	}
	if v.believed != nil && v.believed.at != nil {
		v.believed.maps, v.believed.used = v.maps, v.used
		parts.States = v.believed
	}
	return prog.Seal(v.raw, parts)
}

// completeFact fills in what is in the verifier's own notes.
func (v *verifier) completeFact(i int) {
	f, aux := &v.facts[i], &v.aux[i]
	if f.MapPoisoned {
		f.Map = nil
	}
	f.Barrier, f.BarrierAfter = aux.nospec, aux.nospecAfter
	f.Mask = prog.ALUMask(aux.alu)
	f.LoopInline = aux.loop.seen && aux.loop.fits
}
