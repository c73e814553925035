package progen

import "github.com/skep-ebpf/skep/insn"

// bounded returns a number register with a value of at most limit that is a
// multiple of align (a power of two), in a way that the verifier can follow. The
// jumps are taken where the number is larger; they land after its use.
func (g *gen) bounded(f *fn, limit, align int, except uint16) (insn.Reg, []jump) {
	r := g.number(f, except)
	t := g.temp(f, false, except)
	if t != r {
		f.mov(t, r)
	}
	if g.wants("unbounded") {
		return t, nil
	}
	if g.out.Mistake == mistakeBounds && g.chance(0.7) {
		g.mistake = ""
		return t, g.derive(f, t, limit)
	}
	mask := maskFor(limit) &^ (align - 1)
	var jumps []jump
	switch how := g.IntN(5); {
	case how < 2 && align == 1 && limit < 1<<15:
		t, jumps = g.compared(f, t, limit, except)
	case how == 2 && mask > 0 && align == 1: // a shift
		f.emit(insn.ClassALU64|insn.OpRsh|insn.SrcK, t, 0, 0, int32(64-bitLen(mask)))
		limit = mask
	default:
		class := insn.ClassALU64
		if g.chance(0.4) {
			class = insn.ClassALU
		}
		f.emit(class|insn.OpAnd|insn.SrcK, t, 0, 0, int32(mask))
		limit = mask
	}
	f.set(t, value{kind: scalar, max: uint64(limit)})
	g.throughStack(f, t)
	return t, jumps
}

// maskFor returns the largest number of the form 2^n-1 that is not above limit.
func maskFor(limit int) int {
	mask := 1
	for mask*2-1 <= limit {
		mask *= 2
	}
	return mask - 1
}

func bitLen(v int) int {
	n := 0
	for ; v > 0; v >>= 1 {
		n++
	}
	return n
}

// compared bounds t by comparisons: from above, from both sides with signs, in 64
// bits or in 32. Now and then it is a copy of t that the comparison is about.
func (g *gen) compared(f *fn, t insn.Reg, limit int, except uint16) (insn.Reg, []jump) {
	class := insn.ClassJMP
	if g.chance(0.3) { // zero-extended, the lower half is the whole
		class = insn.ClassJMP32
		f.emit(insn.ClassALU|insn.OpMov|insn.SrcX, t, t, 0, 0)
		f.setScalar(t)
	}
	tested := t
	if g.chance(0.3) {
		tested = g.temp(f, false, except|bit(t))
		f.mov(tested, t)
		if g.chance(0.5) {
			t, tested = tested, t
		}
	}
	imm := int32(limit)
	var jumps []jump
	switch g.IntN(4) {
	case 0:
		jumps = []jump{f.branch(class|insn.JmpGT|insn.SrcK, tested, 0, imm)}
	case 1:
		jumps = []jump{f.branch(class|insn.JmpGE|insn.SrcK, tested, 0, imm+1)}
	case 2:
		ok := f.branch(class|insn.JmpLT|insn.SrcK, tested, 0, imm+1)
		jumps = []jump{f.skip()}
		f.land(ok)
	case 3:
		jumps = []jump{
			f.branch(class|insn.JmpSGT|insn.SrcK, tested, 0, imm),
			f.branch(class|insn.JmpSLT|insn.SrcK, tested, 0, 0),
		}
	}
	return t, jumps
}

// throughStack spills a bounded number and fills it again, in whole or in half.
func (g *gen) throughStack(f *fn, t insn.Reg) {
	at, ok := g.slot(f, 8, 8)
	if !ok || !g.chance(0.15) {
		return
	}
	w := pick(g, []int{4, 8})
	f.emit(insn.ClassSTX|insn.ModeMem|sizes[w], insn.R10, t, at-frameSize, 0)
	f.emit(insn.ClassLDX|insn.ModeMem|sizes[w], t, insn.R10, at-frameSize, 0)
	f.markInit(at, w, true)
}

// derived are operations whose result the verifier has to derive bounds for.
var derived = []uint8{
	insn.OpAdd, insn.OpSub, insn.OpMul, insn.OpAnd, insn.OpOr, insn.OpXor, insn.OpLsh,
	insn.OpRsh, insn.OpArsh, insn.OpNeg, insn.OpMov, insn.OpDiv, insn.OpMod,
}

// derive computes with t and compares it, all with constants around limit. Whether
// that bounds t is left to the verifier: what it accepts is safe to run.
func (g *gen) derive(f *fn, t insn.Reg, limit int) []jump {
	l := int32(limit)
	near := []int32{0, 1, 2, 3, 4, 7, 8, 15, 16, 63, 255, -1, -2, l, l + 1, l - 1, 2 * l, -l}
	var jumps []jump
	for range 2 + g.IntN(5) {
		imm := pick(g, near)
		if g.chance(0.5) {
			class := pick(g, []uint8{insn.ClassJMP, insn.ClassJMP32})
			j := f.branch(class|pick(g, comparisons)|insn.SrcK, t, 0, imm)
			if g.chance(0.4) { // go on where it is taken
				out := f.skip()
				f.land(j)
				j = out
			}
			jumps = append(jumps, j)
			continue
		}
		g.deriveALU(f, t, imm)
	}
	return jumps
}

func (g *gen) deriveALU(f *fn, t insn.Reg, imm int32) {
	class, width := insn.ClassALU, int32(32)
	if g.chance(0.6) {
		class, width = insn.ClassALU64, 64
	}
	op, source, off := pick(g, derived), insn.SrcK, 0
	switch op {
	case insn.OpLsh, insn.OpRsh, insn.OpArsh:
		imm &= width - 1
	case insn.OpDiv, insn.OpMod:
		imm = max(imm, 1)
	case insn.OpNeg:
		imm = 0
	case insn.OpMov: // of the register on itself: truncation or sign extension
		source, imm = insn.SrcX, 0
		off = pick(g, []int{0, 8, 16})
	}
	src := insn.Reg(0)
	if source == insn.SrcX {
		src = t
	}
	f.emit(class|op|source, t, src, off, imm)
	f.setScalar(t)
}
