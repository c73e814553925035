package progen

import "github.com/skep-ebpf/skep/insn"

// widths of an access, the wide ones more often.
var widths = []int{1, 2, 4, 4, 8, 8, 8}

// stackStore writes a number to the stack.
func (g *gen) stackStore(f *fn) bool {
	w := pick(g, widths)
	at, ok := g.slot(f, w, w)
	if !ok {
		return false
	}
	off := at - frameSize
	switch {
	case g.wants("stack-range"):
		off = pick(g, []int{0, 8, -520, -513, 1})
	case g.wants("stack-align"):
		off--
	}
	if g.chance(0.3) {
		f.emit(insn.ClassST|insn.ModeMem|sizes[w], insn.R10, 0, off, g.imm32())
	} else {
		f.emit(insn.ClassSTX|insn.ModeMem|sizes[w], insn.R10, g.number(f, 0), off, 0)
	}
	f.markInit(at, w, true)
	return true
}

// stackLoad reads a number from the stack.
func (g *gen) stackLoad(f *fn) bool {
	w := pick(g, widths)
	at, ok := g.slot(f, w, w)
	if !ok {
		return false
	}
	if !f.initialised(at, w) {
		if !g.wants("uninit-stack") {
			g.storeAt(f, at, w)
		}
	}
	g.load(f, g.temp(f, false, 0), insn.R10, at-frameSize, w)
	return true
}

// storeAt initialises w stack bytes.
func (g *gen) storeAt(f *fn, at, w int) {
	if g.chance(0.4) {
		f.emit(insn.ClassST|insn.ModeMem|sizes[w], insn.R10, 0, at-frameSize, g.imm32())
	} else {
		f.emit(insn.ClassSTX|insn.ModeMem|sizes[w], insn.R10, g.number(f, 0), at-frameSize, 0)
	}
	f.markInit(at, w, true)
}

// fill initialises size stack bytes from at, a multiple of eight.
func (g *gen) fill(f *fn, at, size int) {
	for i := at; i < at+size; i += 8 {
		if !f.initialised(i, 8) || g.chance(0.3) {
			g.storeAt(f, i, 8)
		}
	}
}

// load emits a load of w bytes, with sign extension now and then.
func (g *gen) load(f *fn, dst, base insn.Reg, off, w int) {
	mode := insn.ModeMem
	if w < 8 && g.has(SignExtension) && g.chance(0.25) {
		mode = insn.ModeMemSX
	}
	f.emit(insn.ClassLDX|mode|sizes[w], dst, base, off, 0)
	f.setScalar(dst)
	if mode == insn.ModeMem && w < 8 {
		f.set(dst, value{kind: scalar, max: 1<<(8*w) - 1})
	}
}

// access emits one access through base, which points to m.
func (g *gen) access(f *fn, base insn.Reg, m memory) {
	w := pick(g, widths)
	for w > m.size {
		w /= 2
	}
	step := 1
	if m.aligned || g.chance(0.5) {
		step = w
	}
	off := g.IntN((m.size-w)/step+1) * step
	if g.chance(0.2) {
		off = (m.size - w) / step * step // the last place that fits
	}
	if g.wants("value-range") {
		off = m.size - w + 1 + g.IntN(4)
	}
	if m.stack >= 0 && f.keepStack[m.stack+off] {
		return // a spilled pointer lies there
	}
	var jumps []jump
	aligned := off%w == 0
	if !m.packet && off > 0 && g.chance(0.35) && (!m.aligned || g.has(VariableStack)) {
		base, off, jumps = g.variable(f, base, off, step)
		aligned = step == w && !m.aligned // no atomics at a variable place of the stack
	}
	if off > 0 && len(jumps) == 0 && g.chance(0.15) { // at another constant offset from a moved copy
		moved := g.temp(f, true, bit(base))
		f.emit(insn.ClassALU64|insn.OpMov|insn.SrcX, moved, base, 0, 0)
		by := g.IntN(32) - 16
		f.addImm(moved, int32(by))
		f.set(moved, value{})
		base, off = moved, off-by
	}
	g.accessAt(f, base, off, w, m.packet || !aligned)
	f.land(jumps...)
}

// variable returns a copy of base moved by a number of at most off, and the rest
// of the offset.
func (g *gen) variable(f *fn, base insn.Reg, off, step int) (insn.Reg, int, []jump) {
	moved := g.temp(f, true, bit(base))
	n, jumps := g.bounded(f, off, step, bit(base)|bit(moved))
	limit := int(min(f.regs[n].max, uint64(off)))
	if g.chance(0.3) && n != moved { // number plus pointer
		f.mov(moved, n)
		f.emit(insn.ClassALU64|insn.OpAdd|insn.SrcX, moved, base, 0, 0)
	} else {
		f.mov(moved, base)
		f.emit(insn.ClassALU64|insn.OpAdd|insn.SrcX, moved, n, 0, 0)
	}
	if g.wants("pointer-arithmetic") {
		f.emit(pick(g, []uint8{
			insn.ClassALU64 | insn.OpMul | insn.SrcK, insn.ClassALU | insn.OpAdd | insn.SrcK,
			insn.ClassALU64 | insn.OpXor | insn.SrcK, insn.ClassALU64 | insn.OpNeg,
		}), moved, 0, 0, 4)
	}
	f.set(moved, value{kind: ptr})
	return moved, off - limit, jumps
}

// accessAt emits one access of w bytes; a plain one cannot be atomic.
func (g *gen) accessAt(f *fn, base insn.Reg, off, w int, plain bool) {
	switch how := g.IntN(10); {
	case how < 4:
		dst := g.temp(f, false, bit(base))
		g.load(f, dst, base, off, w)
	case how < 6:
		f.emit(insn.ClassST|insn.ModeMem|sizes[w], base, 0, off, g.imm32())
	case how < 8 || plain || w < 4 || !g.has(Atomics):
		f.emit(insn.ClassSTX|insn.ModeMem|sizes[w], base, g.number(f, bit(base)), off, 0)
	default:
		g.atomic(f, base, off, w)
	}
}

var atomics = []int32{insn.AtomicAdd, insn.AtomicOr, insn.AtomicAnd, insn.AtomicXor}

// atomic emits an atomic operation of four or eight bytes.
func (g *gen) atomic(f *fn, base insn.Reg, off, w int) {
	op := insn.ClassSTX | insn.ModeAtomic | sizes[w]
	if g.has(AcquireRelease) && g.chance(0.2) {
		g.acquireRelease(f, base, off, w)
		return
	}
	src := g.number(f, bit(base))
	switch g.IntN(5) {
	case 0, 1:
		f.emit(op, base, src, off, pick(g, atomics))
	case 2: // the source receives the old value
		if f.keep&bit(src) == 0 {
			f.emit(op, base, src, off, pick(g, atomics)|insn.AtomicFetch)
			f.setScalar(src)
		}
	case 3:
		if f.keep&bit(src) == 0 {
			f.emit(op, base, src, off, insn.AtomicXchg)
			f.setScalar(src)
		}
	case 4:
		if f.keep&bit(insn.R0) == 0 && base != insn.R0 {
			if f.regs[insn.R0].kind != scalar {
				g.loadNumber(f, insn.R0)
			}
			f.emit(op, base, g.number(f, bit(base)), off, insn.AtomicCmpxchg)
			f.setScalar(insn.R0)
		}
	}
}

func (g *gen) acquireRelease(f *fn, base insn.Reg, off, w int) {
	op := insn.ClassSTX | insn.ModeAtomic | sizes[w]
	if g.chance(0.5) {
		dst := g.temp(f, false, bit(base))
		f.emit(op, dst, base, off, insn.AtomicLoadAcq)
		f.setScalar(dst)
		return
	}
	f.emit(op, base, g.number(f, bit(base)), off, insn.AtomicStoreRel)
}

func (g *gen) stackAtomic(f *fn) bool {
	w := pick(g, []int{4, 8})
	at, ok := g.slot(f, w, w)
	if !ok {
		return false
	}
	if !f.initialised(at, w) {
		g.storeAt(f, at, w)
	}
	g.atomic(f, insn.R10, at-frameSize, w)
	return true
}

// stackVariable accesses an initialised stretch of the stack at a variable offset.
func (g *gen) stackVariable(f *fn) bool {
	size := 8 * (1 + g.IntN(4))
	at, ok := g.slot(f, size, 8)
	if !ok {
		return false
	}
	g.fill(f, at, size)
	base := g.temp(f, true, 0)
	f.frameAddr(base, at)
	m := memory{size: size, aligned: true, stack: at}
	g.access(f, base, m)
	if f.regs[base].kind == ptr && g.chance(0.5) {
		g.access(f, base, m)
	}
	return true
}
