package progen

import "github.com/skep-ebpf/skep/insn"

// statement is a way to go on. It returns false if it cannot be used here.
type statement struct {
	weight int
	needs  Feature
	emit   func(*gen, *fn) bool
}

var statements []statement

func init() { // the functions refer to the table
	statements = []statement{
		{22, 0, (*gen).alu},
		{6, 0, (*gen).setNumber},
		{8, 0, (*gen).ifElse},
		{3, 0, (*gen).earlyExit},
		{7, Loops, (*gen).loop},
		{10, 0, (*gen).stackStore},
		{10, 0, (*gen).stackLoad},
		{3, VariableStack, (*gen).stackVariable},
		{5, Atomics, (*gen).stackAtomic},
		{6, 0, (*gen).ctxLoad},
		{4, 0, (*gen).ctxStore},
		{9, Packet, (*gen).packet},
		{5, Packet, (*gen).loadAbs},
		{8, Maps, (*gen).mapLookup},
		{5, Maps, (*gen).mapChange},
		{6, Maps, (*gen).global},
		{2, Maps | TailCalls, (*gen).tailCall},
		{8, Helpers, (*gen).helper},
		{6, Subprogs, (*gen).callSubprog},
	}
}

// maxDepth bounds how deep blocks nest.
const maxDepth = 3

// maxCode bounds the length of a function.
const maxCode = 220

// block emits n statements.
func (g *gen) block(f *fn, n int) {
	f.depth++
	defer func() { f.depth-- }()
	for range n {
		if f.dead || len(f.code) > maxCode {
			return
		}
		for !g.statement(f) {
		}
	}
}

// statement tries one statement, chosen by weight.
func (g *gen) statement(f *fn) bool {
	total := 0
	for _, s := range statements {
		total += s.weight
	}
	at := g.IntN(total)
	for _, s := range statements {
		if at -= s.weight; at < 0 {
			return g.cfg.Without&s.needs == 0 && s.emit(g, f)
		}
	}
	return false
}

// loadNumber puts a constant into r.
func (g *gen) loadNumber(f *fn, r insn.Reg) {
	switch g.IntN(4) {
	case 0:
		v := g.imm64()
		f.wide(r, 0, int32(v), int32(v>>32))
		f.set(r, value{kind: scalar, max: uint64(v)})
	case 1:
		v := g.imm32()
		f.emit(insn.ClassALU|insn.OpMov|insn.SrcK, r, 0, 0, v)
		f.set(r, value{kind: scalar, max: uint64(uint32(v))})
	default:
		f.movImm(r, g.imm32())
	}
}

func (g *gen) setNumber(f *fn) bool {
	g.loadNumber(f, g.temp(f, false, 0))
	return true
}

// binary are the arithmetic operations with two operands.
var binary = []uint8{
	insn.OpAdd, insn.OpSub, insn.OpMul, insn.OpDiv, insn.OpOr, insn.OpAnd, insn.OpLsh,
	insn.OpRsh, insn.OpMod, insn.OpXor, insn.OpArsh, insn.OpAdd, insn.OpAnd,
}

func (g *gen) alu(f *fn) bool {
	dst := g.number(f, f.keep)
	if g.wants("uninit-reg") {
		free := f.regsWhere(func(_ insn.Reg, v value) bool { return v.kind == none })
		if len(free) > 0 {
			dst = pick(g, free)
		}
	}
	if g.wants("bad-op") {
		f.emit(uint8(g.Uint32()), dst, insn.Reg(g.IntN(12)), g.IntN(4), g.imm32())
		f.setScalar(dst)
		return true
	}
	class, width := insn.ClassALU64, 64
	if g.chance(0.5) {
		class, width = insn.ClassALU, 32
	}
	switch g.IntN(12) {
	case 0:
		f.emit(class|insn.OpNeg, dst, 0, 0, 0)
		f.setScalar(dst)
	case 1:
		g.byteOrder(f, dst, class)
	case 2:
		g.move(f, class)
	default:
		g.binary(f, class, width, dst)
	}
	return true
}

// byteOrder emits a conversion of byte order, or an unconditional swap.
func (g *gen) byteOrder(f *fn, dst insn.Reg, class uint8) {
	source := insn.EndToLE
	if class == insn.ClassALU && g.chance(0.7) {
		source = insn.EndToBE
	}
	f.emit(class|insn.OpEnd|source, dst, 0, 0, pick(g, []int32{16, 32, 64}))
	f.setScalar(dst)
}

// move emits a move between registers, with sign extension or without.
func (g *gen) move(f *fn, class uint8) {
	src := g.number(f, 0)
	dst := g.temp(f, false, 0)
	off := 0
	if g.has(SignExtension) && g.chance(0.5) {
		off = pick(g, []int{8, 16})
		if class == insn.ClassALU64 && g.chance(0.4) {
			off = 32
		}
	}
	f.emit(class|insn.OpMov|insn.SrcX, dst, src, off, 0)
	f.setScalar(dst)
	if class == insn.ClassALU64 && off == 0 {
		f.set(dst, f.regs[src])
	}
}

func (g *gen) binary(f *fn, class uint8, width int, dst insn.Reg) {
	op := pick(g, binary)
	off := 0
	if (op == insn.OpDiv || op == insn.OpMod) && g.has(SignExtension) && g.chance(0.4) {
		off = 1 // signed
	}
	if g.chance(0.5) {
		src := g.number(f, 0)
		f.emit(class|op|insn.SrcX, dst, src, off, 0)
		f.setScalar(dst)
		return
	}
	imm := g.imm32()
	switch op {
	case insn.OpLsh, insn.OpRsh, insn.OpArsh:
		imm = int32(g.IntN(width))
		if g.wants("shift-range") {
			imm = int32(width)
		}
	case insn.OpDiv, insn.OpMod:
		if imm == 0 {
			imm = 3
		}
		if g.wants("div-zero") {
			imm = 0
		}
	}
	f.emit(class|op|insn.SrcK, dst, 0, off, imm)
	f.setScalar(dst)
	if op == insn.OpAnd && imm >= 0 {
		f.set(dst, value{kind: scalar, max: uint64(imm)})
	}
}

var comparisons = []uint8{
	insn.JmpEQ, insn.JmpGT, insn.JmpGE, insn.JmpSET, insn.JmpNE, insn.JmpSGT, insn.JmpSGE,
	insn.JmpLT, insn.JmpLE, insn.JmpSLT, insn.JmpSLE,
}

// condition emits a jump that depends on numbers.
func (g *gen) condition(f *fn) jump {
	class := insn.ClassJMP
	if g.chance(0.45) {
		class = insn.ClassJMP32
	}
	dst := g.number(f, 0)
	if g.chance(0.4) {
		src := g.number(f, 0)
		return f.branch(class|pick(g, comparisons)|insn.SrcX, dst, src, 0)
	}
	return f.branch(class|pick(g, comparisons)|insn.SrcK, dst, 0, g.imm32())
}

func (g *gen) ifElse(f *fn) bool {
	if f.depth > maxDepth || f.inLoop > 1 {
		return false
	}
	otherwise := g.condition(f)
	g.block(f, 1+g.IntN(3))
	if f.dead || g.chance(0.5) {
		f.land(otherwise)
		return true
	}
	end := f.skip()
	f.land(otherwise)
	g.block(f, 1+g.IntN(2))
	f.land(end)
	return true
}

// earlyExit leaves the function in a branch.
func (g *gen) earlyExit(f *fn) bool {
	if f.keep&bit(insn.R0) != 0 || f.scalarOnly&bit(insn.R0) != 0 {
		return false
	}
	go_on := g.condition(f)
	if r := g.number(f, 0); r != insn.R0 {
		f.mov(insn.R0, r)
	}
	f.exit()
	f.land(go_on)
	return true
}

// loop emits a loop that counts in a register.
func (g *gen) loop(f *fn) bool {
	if f.depth > maxDepth || f.inLoop > 1 {
		return false
	}
	counter, ok := g.saved(f)
	if !ok {
		return false
	}
	step := int32(1 + g.IntN(3))
	rounds, nest := int32(1+g.IntN(4)), 1
	if f.inLoop == 0 && g.chance(0.3) {
		rounds, nest = int32(1+g.IntN(24)), 2 // many rounds, but a simple body
	}
	f.movImm(counter, 0)
	g.enterLoop(f, counter)
	oldKeep, oldOnly := f.keep, f.scalarOnly
	f.keep |= bit(counter)
	f.scalarOnly |= scalars(f)
	head := len(f.code)
	var out []jump
	if g.has(MayGoto) && g.chance(0.2) {
		out = append(out, f.branch(insn.ClassJMP|insn.JmpJCOND, 0, insn.CondMayGoto, 0))
	}
	depth := f.depth
	f.inLoop += nest
	if nest > 1 {
		f.depth = maxDepth // no blocks in the body
	}
	g.block(f, 1+g.IntN(4-nest))
	f.depth = depth
	f.inLoop -= nest
	f.keep, f.scalarOnly = oldKeep, oldOnly
	if !g.wants("infinite-loop") {
		f.addImm(counter, step)
	}
	class := insn.ClassJMP
	if g.chance(0.3) {
		class = insn.ClassJMP32
	}
	op := pick(g, []uint8{insn.JmpLT, insn.JmpSLT, insn.JmpLE, insn.JmpSLE, insn.JmpNE})
	f.emit(class|op|insn.SrcK, counter, 0, head-len(f.code)-1, rounds*step)
	f.set(counter, value{kind: scalar, max: unbounded})
	f.land(out...)
	return true
}

// enterLoop forgets what the body may change: the registers that calls clobber,
// pointers that nobody keeps, and the bounds of numbers.
func (g *gen) enterLoop(f *fn, counter insn.Reg) {
	for i := range f.regs {
		r := insn.Reg(i)
		switch v := f.regs[i]; {
		case f.keep&bit(r) != 0:
		case r <= insn.R5 || v.kind != scalar:
			f.set(r, value{})
		default:
			f.setScalar(r)
		}
	}
	f.set(counter, value{kind: scalar, max: unbounded})
}

// scalars returns the registers that hold numbers.
func scalars(f *fn) uint16 {
	var mask uint16
	for i, v := range f.regs {
		if v.kind == scalar {
			mask |= 1 << i
		}
	}
	return mask
}
