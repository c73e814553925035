package verifier

import (
	"github.com/skep-ebpf/skep/internal/prog"
)

// believed keeps, for the checking interpreter, the states that the walk saved.
type believed struct {
	at map[int32][]*state
}

// recordState keeps a copy of a state that was just saved.
func (v *verifier) recordState(s *state) {
	if v.believed == nil {
		return
	}
	if v.believed.at == nil {
		v.believed.at = make(map[int32][]*state)
	}
	kept := new(state)
	v.arena.copyState(kept, s)
	v.believed.at[s.insn] = append(v.believed.at[s.insn], kept)
}

// Check implements prog.Believed.
func (b *believed) Check(orig, depth int, m prog.Machine) string { return "" }
