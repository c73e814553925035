package bounds

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/skep-ebpf/skep/insn"
)

// walk is a random program of scalar operations and what this package says of
// every register after every instruction.
type walk struct {
	rnd   *rand.Rand
	prog  []insn.Instruction
	regs  [insn.NumRegs]Scalar
	exits []int // jumps to an exit of their own, which follows the program
	want  []expectation

	forked bool // other paths may lead to what follows
}

// expectation is the state of registers after the instruction at an index, or
// where its other way begins.
type expectation struct {
	at      int
	jumped  bool
	regs    map[insn.Reg]string
	decided bool   // the jump has one way only
	before  string // the operands, for the report
}

// The registers in play: scalars, and the address that they are loaded from.
var (
	scalars     = []insn.Reg{6, 7, 8}
	base        = insn.Reg(9)
	mapValue    = insn.LoadMapValue(base, 0, 0)
	sizes       = map[int]uint8{1: insn.SizeB, 2: insn.SizeH, 4: insn.SizeW, 8: insn.SizeDW}
	arithmetic  = []Op{Add, Sub, Mul, Div, Or, And, Lsh, Rsh, Mod, Xor, Arsh, Neg}
	conditions  = []Cond{EQ, GT, GE, SET, NE, SGT, SGE, LT, LE, SLT, SLE}
	interesting = []uint64{
		0, 1, 2, 3, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff,
		0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 1 << 32, 1<<32 + 1, 1<<63 - 1, 1 << 63, 1<<63 + 1,
		0xffffffff00000000, 0xffffffff7fffffff, 0xffffffff80000000, ^uint64(0),
	}
)

// walkLength is the length of a program without its exits.
const walkLength = 250

func newWalk(seed uint64) *walk {
	w := &walk{rnd: rand.New(rand.NewPCG(seed, 6))}
	w.prog = append([]insn.Instruction{insn.Mov64Imm(0, 0)}, mapValue...)
	for _, r := range scalars {
		w.load(r, 8, false)
	}
	for len(w.prog) < walkLength {
		w.step()
	}
	w.prog = append(w.prog, insn.Exit())
	for _, at := range w.exits {
		w.prog[at] = w.prog[at].WithOff(int16(len(w.prog) - at - 1))
		w.prog = append(w.prog, insn.Exit())
	}
	return w
}

func (w *walk) oneOf(n int) bool { return w.rnd.IntN(n) == 0 }

func pick[T any](w *walk, from []T) T { return from[w.rnd.IntN(len(from))] }

// number returns a number near which something can change.
func (w *walk) number() uint64 {
	switch w.rnd.IntN(5) {
	case 0:
		return w.rnd.Uint64()
	case 1:
		return uint64(int64(w.rnd.Int32()) - 1<<30)
	case 2:
		return 1<<w.rnd.IntN(64) - uint64(w.rnd.IntN(3)) + 1
	case 3:
		return uint64(int64(w.rnd.IntN(40) - 20))
	}
	return pick(w, interesting) + uint64(w.rnd.IntN(3)) - 1
}

func (w *walk) imm() int32 { return int32(w.number()) }

// near returns a number near the ends of s, for comparisons that cut something off.
func (w *walk) near(s *Scalar) int32 {
	ends := []uint64{uint64(s.SMin), uint64(s.SMax), s.UMin, s.UMax, uint64(s.S32Min), uint64(s.S32Max), uint64(s.U32Min), uint64(s.U32Max), s.Var.Value, s.Var.Mask, s.Var.Max()}
	return int32(pick(w, ends) + uint64(w.rnd.IntN(5)) - 2)
}

// emit adds an instruction, after which the registers are as expected.
func (w *walk) emit(i insn.Instruction, before string, changed ...insn.Reg) {
	w.prog = append(w.prog, i)
	w.want = append(w.want, expectation{at: len(w.prog) - 1, regs: w.texts(changed), before: before})
}

func (w *walk) texts(regs []insn.Reg) map[insn.Reg]string {
	m := make(map[insn.Reg]string)
	for _, r := range regs {
		m[r] = w.regs[r].String()
	}
	return m
}

func (w *walk) step() {
	r := pick(w, scalars)
	switch n := w.rnd.IntN(20); {
	case n == 0:
		w.load(r, 1<<w.rnd.IntN(4), false)
	case n == 1:
		w.load(r, 1<<w.rnd.IntN(3), true)
	case n < 4:
		w.load(r, 8, false)
	case n < 6:
		w.constant(8)
	case n < 8:
		w.resize(r)
	case n < 14:
		if w.oneOf(8) {
			w.mask(r)
		}
		w.arith(r)
	default:
		w.compare(r)
	}
	if w.regs[r].IsConst() && w.oneOf(2) {
		w.load(r, 8, false)
	}
}

func (w *walk) load(r insn.Reg, size int, signExtend bool) {
	i := insn.LoadMem(sizes[size], r, base, 0)
	s := Unknown()
	switch {
	case signExtend:
		i = insn.LoadMemSX(sizes[size], r, base, 0)
		s.SignExtend(size)
	case size < 8:
		s.Truncate(size)
	}
	w.regs[r] = s
	w.emit(i, "", r)
}

func (w *walk) constant(r insn.Reg) {
	v := w.number()
	w.regs[r] = Const(v)
	imm := insn.LoadImm64(r, v)
	w.emit(imm[0], "", r)
	w.prog = append(w.prog, imm[1])
}

func (w *walk) resize(r insn.Reg) {
	s := &w.regs[r]
	before := s.String()
	var i insn.Instruction
	switch w.rnd.IntN(5) {
	case 0:
		i = insn.Mov32Reg(r, r)
		s.ZeroExtend()
	case 1:
		size := 1 << w.rnd.IntN(3)
		i = insn.MovSX64(r, r, int16(8*size))
		s.SignExtend(size)
	case 2:
		size := 1 << w.rnd.IntN(2)
		i = insn.MovSX32(r, r, int16(8*size))
		s.SignExtend32(size)
	case 3:
		size := 2 << w.rnd.IntN(3)
		i = insn.Bswap(r, int32(8*size))
		s.Endian(size, true)
	case 4:
		size, order := 2<<w.rnd.IntN(3), pick(w, []uint8{insn.EndToBE, insn.EndToLE})
		i = insn.EndianTo(order, r, int32(8*size))
		s.Endian(size, order == insn.EndToBE)
	}
	w.emit(i, before, r)
}

// mask makes r 0 or -1 by its sign, and combines it with a constant.
func (w *walk) mask(r insn.Reg) {
	width := pick(w, []Width{W32, W64})
	w.load(r, 8, false)
	w.apply(Arsh, width, r, func() int32 { return int32(width) - 1 })
	if w.oneOf(3) {
		w.resize(r)
	}
	w.apply(pick(w, []Op{And, Or}), pick(w, []Width{W32, W64}), r, w.imm)
}

func (w *walk) arith(r insn.Reg) {
	w.apply(pick(w, arithmetic), pick(w, []Width{W32, W64}), r, nil)
}

// apply emits an operation with an immediate, or if none is given with either
// kind of operand.
func (w *walk) apply(op Op, width Width, r insn.Reg, immediate func() int32) {
	dst := w.regs[r]
	var i insn.Instruction
	var src Scalar
	switch x := pick(w, scalars); {
	case op == Neg:
		i = insn.Neg64(r)
		if width == W32 {
			i = insn.Neg32(r)
		}
	case immediate == nil && w.oneOf(3):
		src = w.regs[x]
		i = insn.ALU64Reg(uint8(op), r, x)
		if width == W32 {
			i = insn.ALU32Reg(uint8(op), r, x)
		}
	default:
		if immediate == nil {
			immediate = w.imm
		}
		imm := immediate()
		switch op {
		case Lsh, Rsh, Arsh:
			imm = int32(uint32(imm) % uint32(width))
			if width == W64 && w.oneOf(4) {
				imm = 32
			}
		case Div, Mod:
			imm |= 1
		}
		src = Const(uint64(int64(imm)))
		i = insn.ALU64Imm(uint8(op), r, imm)
		if width == W32 {
			i = insn.ALU32Imm(uint8(op), r, imm)
		}
	}
	before := fmt.Sprintf("%v, %v", &dst, &src)
	at := len(w.prog)
	if zero, ones, ok := Fork(op, &dst, &src); ok {
		w.want = append(w.want, expectation{at: at, jumped: true, regs: map[insn.Reg]string{r: zero.String()}, before: before})
		if i.Op()&insn.SrcMask == insn.SrcX && i.Src() == r {
			src = ones
		}
		dst = ones
		w.forked = true
	}
	w.regs[r] = Apply(op, width, dst, src)
	if s := &w.regs[r]; !s.Valid() {
		s.Unbound()
	}
	w.emit(i, before, r)
}

func (w *walk) compare(r insn.Reg) {
	c, width := pick(w, conditions), pick(w, []Width{W32, W64})
	a, x := w.regs[r], pick(w, scalars)
	b := w.regs[x]
	i := insn.JumpReg(uint8(c), r, x, 0)
	if width == W32 {
		i = insn.Jump32Reg(uint8(c), r, x, 0)
	}
	byImm := w.oneOf(2)
	if byImm {
		imm := w.imm()
		if w.oneOf(2) {
			imm = w.near(&a)
		}
		b = Const(uint64(int64(imm)))
		i = insn.JumpImm(uint8(c), r, imm, 0)
		if width == W32 {
			i = insn.Jump32Imm(uint8(c), r, imm, 0)
		}
	}
	before := fmt.Sprintf("%v, %v", &a, &b)
	taken := Taken(c, width, &a, &b)
	if taken == TakenUnknown {
		w.branch(c, width, i, r, x, byImm, b, before)
		return
	}
	at := len(w.prog)
	w.emit(i, before+" taken: "+strconv.Itoa(taken), r)
	w.want[len(w.want)-1].decided = !w.forked
	if taken == TakenNever {
		w.exits = append(w.exits, at)
	}
}

// branch emits a jump that may or may not be taken, to an exit of its own.
func (w *walk) branch(c Cond, width Width, i insn.Instruction, r, x insn.Reg, byImm bool, b Scalar, before string) {
	at := len(w.prog)
	ways := Refine(c, width, w.regs[r], b)
	if x == r && !byImm {
		ways.TrueA, ways.FalseA = RefineSelf(c, width, w.regs[r])
		ways.TrueB, ways.FalseB = ways.TrueA, ways.FalseA
	}
	for _, s := range []*Scalar{&ways.TrueA, &ways.TrueB, &ways.FalseA, &ways.FalseB} {
		if !s.Valid() {
			s.Unbound()
		}
	}
	changed := []insn.Reg{r}
	w.regs[r] = ways.TrueA
	if !byImm {
		changed = append(changed, x)
		w.regs[x] = ways.TrueB
	}
	w.want = append(w.want, expectation{at: at, jumped: true, regs: w.texts(changed), before: before})
	w.regs[r] = ways.FalseA
	if !byImm {
		w.regs[x] = ways.FalseB
	}
	w.exits = append(w.exits, at)
	w.emit(i, before, changed...)
}
