package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// Scalars that are copies of one another have one id. What a comparison tells of
// one of them holds for all.

// maxLinked is how many registers and slots of a group can be remembered in the
// history; more are taken out of the group (LINKED_REGS_MAX).
const maxLinked = 6

// place is a register or a stack slot of some frame.
type place struct {
	frame uint8
	index uint8 // register number or slot
	slot  bool
}

// group is the places that hold copies of one scalar.
type group struct {
	n      int
	places [maxLinked]place
}

// Layout of a packed group: ten bits a place, above four bits of count.
const (
	placeBits = 10
	countBits = 4
)

func (g *group) pack() uint64 {
	var p uint64
	for i := g.n - 1; i >= 0; i-- {
		e := uint64(g.places[i].frame) | uint64(g.places[i].index)<<3
		if g.places[i].slot {
			e |= 1 << 9
		}
		p = p<<placeBits | e
	}
	return p<<countBits | uint64(g.n)
}

func unpackGroup(p uint64) (g group) {
	g.n = int(p & (1<<countBits - 1))
	p >>= countBits
	for i := range g.n {
		g.places[i] = place{frame: uint8(p & 7), index: uint8(p >> 3 & 0x3f), slot: p>>9&1 != 0}
		p >>= placeBits
	}
	return g
}

func (t *tracked) holds(p place) bool {
	if p.slot {
		return t.slots[p.frame]>>p.index&1 != 0
	}
	return t.regs[p.frame]>>p.index&1 != 0
}

// syncLinked looks for all places of a group if it looks for one of them.
func (t *tracked) syncLinked(h *jump) {
	if h == nil || h.linked == 0 {
		return
	}
	g := unpackGroup(h.linked)
	for _, p := range g.places[:g.n] {
		if !t.holds(p) {
			continue
		}
		for _, p := range g.places[:g.n] {
			if p.slot {
				t.slots[p.frame] |= 1 << p.index
			} else {
				t.regs[p.frame] |= 1 << p.index
			}
		}
		return
	}
}

// collect adds the places of a group to g, but for registers that are not read
// any more (collect_linked_regs).
func (v *verifier) collect(g *group, id uint32) {
	id &^= addedConst
	s := v.cur
	for n := s.depth; n >= 0; n-- {
		f := s.frames[n]
		live := v.aux[s.frameInsn(n)].live
		for i := range insn.RFP {
			if live&bit(i) == 0 {
				continue
			}
			g.add(&f.regs[i], id, place{frame: uint8(n), index: uint8(i)})
		}
		for i := range f.stack {
			if f.stack[i].isSpill() {
				g.add(&f.stack[i].spill, id, place{frame: uint8(n), index: uint8(i), slot: true})
			}
		}
	}
}

func (g *group) add(r *reg, id uint32, p place) {
	if r.typ != scalar || r.group() != id {
		return
	}
	if g.n == maxLinked {
		r.id = 0
		return
	}
	g.places[g.n] = p
	g.n++
}

func (s *state) at(p place) *reg {
	if p.slot {
		return &s.frames[p.frame].stack[p.index].spill
	}
	return &s.frames[p.frame].regs[p.index]
}

// spread tells the other places of the group what was learned of known
// (sync_linked_regs).
func (s *state) spread(known *reg, g *group) {
	for _, p := range g.places[:g.n] {
		r := s.at(p)
		if r.typ != scalar || r == known || r.group() != known.group() {
			continue
		}
		// Sums in 32 and in 64 bits tell nothing of each other.
		if a, b := r.id&addedConst, known.id&addedConst; a != 0 && b != 0 && a != b {
			continue
		}
		at := r.zextAt
		if r.id&addedConst == 0 && known.id&addedConst == 0 || r.off == known.off {
			*r = *known
			r.zextAt = at
		} else {
			off, id := r.off, r.id
			*r = *known
			r.off, r.id, r.zextAt = off, id, at
			d := bounds.Const(uint64(int64(off) - int64(known.off)))
			r.Scalar = bounds.Apply(bounds.Add, bounds.W64, r.Scalar, d)
			if (known.id|id)&addedConst32 != 0 {
				r.ZeroExtend()
			}
		}
	}
}
