package progen

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func (g *gen) mapRef(f *fn, r insn.Reg, m int) {
	f.wide(r, insn.PseudoMapFD, int32(m), 0)
	f.set(r, value{})
}

// key puts a key for map m on the stack and returns its place: a small one, so
// that it is often there.
func (g *gen) key(f *fn, m int) (int, bool) {
	at, ok := g.slot(f, 8, 8)
	if !ok {
		return 0, false
	}
	w := int(g.out.Maps[m].KeySize)
	if g.chance(0.6) {
		f.emit(insn.ClassST|insn.ModeMem|sizes[w], insn.R10, 0, at-frameSize, int32(g.IntN(6)))
	} else {
		r := g.temp(f, false, 0)
		if f.regs[r].kind != scalar {
			g.loadNumber(f, r)
		}
		f.emit(insn.ClassALU64|insn.OpAnd|insn.SrcK, r, 0, 0, 3)
		f.set(r, value{kind: scalar, max: 3})
		f.emit(insn.ClassSTX|insn.ModeMem|sizes[w], insn.R10, r, at-frameSize, 0)
	}
	f.markInit(at, w, true)
	return at, true
}

// mapLookup looks an element up and works on it.
func (g *gen) mapLookup(f *fn) bool {
	m := pick(g, []int{mapArray, mapHash})
	at, ok := g.key(f, m)
	if !ok {
		return false
	}
	g.mapRef(f, insn.R1, m)
	if g.wants("helper-arg") {
		g.wrongArgument(f, insn.R1)
	}
	f.frameAddr(insn.R2, at)
	f.call(int32(uapi.BPF_FUNC_map_lookup_elem))
	f.set(insn.R0, value{})
	p, nested := insn.R0, false
	if r, ok := g.saved(f); ok && g.chance(0.6) {
		f.mov(r, insn.R0)
		p, nested = r, true
	}
	tested := p
	if g.chance(0.3) {
		tested = insn.R0 // both are known by the one test
	}
	f.keep |= bit(p)
	out := g.nullCheck(f, tested)
	g.element(f, p, memory{size: int(g.out.Maps[m].ValueSize), stack: -1}, nested)
	f.keep &^= bit(p)
	f.set(p, value{})
	f.land(out...)
	f.set(p, value{})
	f.set(insn.R0, value{})
	return true
}

// nullCheck tests p against null and returns the jumps that are taken if it is.
func (g *gen) nullCheck(f *fn, p insn.Reg) []jump {
	if g.wants("null-check") {
		return nil
	}
	if g.chance(0.6) {
		return []jump{f.branch(insn.ClassJMP|insn.JmpEQ|insn.SrcK, p, 0, 0)}
	}
	ok := f.branch(insn.ClassJMP|insn.JmpNE|insn.SrcK, p, 0, 0)
	out := f.skip()
	f.land(ok)
	return []jump{out}
}

// element works on the memory that p points to. If nested, p survives calls, and
// other statements may come between.
func (g *gen) element(f *fn, p insn.Reg, m memory, nested bool) {
	for range 1 + g.IntN(3) {
		g.access(f, p, m)
		if nested && g.chance(0.4) && f.depth <= maxDepth {
			g.spillAround(f, p)
		}
	}
}

// spillAround lets a statement run, now and then with the pointer on the stack
// meanwhile.
func (g *gen) spillAround(f *fn, p insn.Reg) {
	at, ok := g.slot(f, 8, 8)
	if !ok || g.chance(0.5) || f.scalarOnly&bit(p) != 0 {
		g.block(f, 1)
		return
	}
	f.emit(insn.ClassSTX|insn.ModeMem|insn.SizeDW, insn.R10, p, at-frameSize, 0)
	f.markInit(at, 8, false)
	f.reserve(at, 8, true)
	g.block(f, 1)
	f.emit(insn.ClassLDX|insn.ModeMem|insn.SizeDW, p, insn.R10, at-frameSize, 0)
	f.reserve(at, 8, false)
	// What is left there is an address: nobody may read it as a number.
	f.emit(insn.ClassST|insn.ModeMem|insn.SizeDW, insn.R10, 0, at-frameSize, 0)
	f.markInit(at, 8, true)
}

// wrongArgument puts something else into an argument register.
func (g *gen) wrongArgument(f *fn, r insn.Reg) {
	if f.hasCtx && g.chance(0.5) {
		f.emit(insn.ClassALU64|insn.OpMov|insn.SrcX, r, insn.R6, 0, 0)
		return
	}
	f.movImm(r, g.imm32())
}

// mapChange updates or deletes an element.
func (g *gen) mapChange(f *fn) bool {
	m := pick(g, []int{mapArray, mapHash, mapHash})
	at, ok := g.key(f, m)
	if !ok {
		return false
	}
	if g.chance(0.3) {
		g.mapRef(f, insn.R1, m)
		f.frameAddr(insn.R2, at)
		f.call(int32(uapi.BPF_FUNC_map_delete_elem))
		return true
	}
	f.reserve(at, 8, true) // the key stays while the value is written
	defer f.reserve(at, 8, false)
	size := int(g.out.Maps[m].ValueSize)
	val, ok := g.slot(f, size, 8)
	if !ok {
		return false
	}
	g.fill(f, val, size)
	g.mapRef(f, insn.R1, m)
	f.frameAddr(insn.R2, at)
	f.frameAddr(insn.R3, val)
	f.movImm(insn.R4, int32(g.IntN(3)))
	f.call(int32(uapi.BPF_FUNC_map_update_elem))
	return true
}

// global works on a map's value whose address is a constant.
func (g *gen) global(f *fn) bool {
	p, nested := g.saved(f)
	if !nested || g.chance(0.5) {
		p, nested = g.temp(f, true, 0), false
	}
	size := int(g.out.Maps[mapGlobal].ValueSize)
	off := g.IntN(size/8) * 8
	f.wide(p, insn.PseudoMapValue, mapGlobal, int32(off))
	m := memory{size: size - off, stack: -1}
	f.set(p, value{})
	f.keep |= bit(p)
	g.element(f, p, m, nested)
	f.keep &^= bit(p)
	f.set(p, value{})
	return true
}

// tailCall jumps through a program array that has no program: execution goes on.
func (g *gen) tailCall(f *fn) bool {
	if !f.isMain || f.packetPtrs > 0 {
		return false
	}
	index := g.number(f, 0)
	if index != insn.R3 {
		f.mov(insn.R3, index)
	}
	f.mov(insn.R1, insn.R6)
	g.mapRef(f, insn.R2, mapProgs)
	f.call(int32(uapi.BPF_FUNC_tail_call))
	f.set(insn.R0, value{}) // the helper's result is not defined
	return true
}
