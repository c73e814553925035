package progen

import "github.com/skep-ebpf/skep/insn"

// frameSize is the part of the stack that generated code uses in one frame.
// Three frames fit in the 512 bytes of a call chain.
const frameSize = 128

// kind is what a register holds.
type kind uint8

const (
	none   kind = iota // nothing that may be read
	scalar             // a number
	ctx                // the context
	ptr                // memory that may be accessed
)

// memory is what a pointer points to.
type memory struct {
	size    int  // bytes from the pointer on
	aligned bool // only aligned access is allowed: the stack
	packet  bool // no atomics, and no variable offset
	stack   int  // frame offset + frameSize of the memory if it is in this frame, else -1
}

// value is the generator's idea of a register.
type value struct {
	kind kind
	max  uint64 // upper bound of a scalar
	mem  memory
}

const unbounded = ^uint64(0)

// state is what is known at a point of a function.
type state struct {
	regs [10]value
	init [frameSize]bool // stack bytes that hold numbers; index 0 is the lowest address
	dead bool            // no path leads here
}

// merge is what is known where two paths meet.
func merge(a, b state) state {
	if a.dead {
		return b
	}
	if b.dead {
		return a
	}
	for i := range a.regs {
		switch {
		case a.regs[i].kind != b.regs[i].kind, a.regs[i].mem != b.regs[i].mem:
			a.regs[i] = value{}
		default:
			a.regs[i].max = max(a.regs[i].max, b.regs[i].max)
		}
	}
	for i := range a.init {
		a.init[i] = a.init[i] && b.init[i]
	}
	return a
}

// fn is a function in the making.
type fn struct {
	state
	code  []insn.Instruction
	calls []callSite

	keep       uint16          // registers that must not be written
	scalarOnly uint16          // registers that may be written with numbers only: live around a loop
	keepStack  [frameSize]bool // stack bytes that must not be written
	isMain     bool
	hasCtx     bool // R6 holds the context
	inLoop     int
	depth      int
	packetPtrs int  // packet pointers that are live: nothing may move the packet
	moves      bool // the packet may be moved here: pointers into it are lost
	abs        bool // LD_ABS and LD_IND may be used
}

// callSite is a call of a subprogram, to be linked.
type callSite struct{ at, callee int }

func bit(r insn.Reg) uint16 { return 1 << r }

// set says that r holds v from now on.
func (f *fn) set(r insn.Reg, v value) {
	if int(r) < len(f.regs) {
		f.regs[r] = v
	}
}

func (f *fn) setScalar(r insn.Reg) { f.set(r, value{kind: scalar, max: unbounded}) }

// clobber is what a call leaves of the registers.
func (f *fn) clobber() {
	for r := insn.R1; r <= insn.R5; r++ {
		f.set(r, value{})
	}
}

// regsWhere returns the registers that ok holds for.
func (f *fn) regsWhere(ok func(r insn.Reg, v value) bool) []insn.Reg {
	var found []insn.Reg
	for i, v := range f.regs {
		if ok(insn.Reg(i), v) {
			found = append(found, insn.Reg(i))
		}
	}
	return found
}

// temp returns a register that a number (or, with pointer, anything) may be
// written to, other than those in except.
func (g *gen) temp(f *fn, pointer bool, except uint16) insn.Reg {
	taken := f.keep | except
	if pointer {
		taken |= f.scalarOnly
	}
	free := f.regsWhere(func(r insn.Reg, _ value) bool { return taken&bit(r) == 0 })
	return pick(g, free)
}

// saved returns a register that survives calls and may hold a pointer.
func (g *gen) saved(f *fn) (insn.Reg, bool) {
	taken := f.keep | f.scalarOnly
	free := f.regsWhere(func(r insn.Reg, _ value) bool { return r >= insn.R6 && taken&bit(r) == 0 })
	if len(free) == 0 {
		return 0, false
	}
	return pick(g, free), true
}

// number returns a register that holds a number, loading one if there is none.
func (g *gen) number(f *fn, except uint16) insn.Reg {
	have := f.regsWhere(func(r insn.Reg, v value) bool { return v.kind == scalar && except&bit(r) == 0 })
	if len(have) > 0 && g.chance(0.95) {
		return pick(g, have)
	}
	r := g.temp(f, false, except)
	g.loadNumber(f, r)
	return r
}

// slot returns the index of size free stack bytes at a multiple of align.
func (g *gen) slot(f *fn, size, align int) (int, bool) {
	for range 8 {
		at := g.IntN((frameSize-size)/align+1) * align
		if f.free(at, size) {
			return at, true
		}
	}
	return 0, false
}

func (f *fn) free(at, size int) bool {
	for i := at; i < at+size; i++ {
		if f.keepStack[i] {
			return false
		}
	}
	return true
}

// initialised reports whether the stack bytes hold numbers.
func (f *fn) initialised(at, size int) bool {
	for i := at; i < at+size; i++ {
		if !f.init[i] {
			return false
		}
	}
	return true
}

func (f *fn) markInit(at, size int, to bool) {
	for i := at; i < at+size; i++ {
		f.init[i] = to
	}
}

func (f *fn) reserve(at, size int, on bool) {
	for i := at; i < at+size; i++ {
		f.keepStack[i] = on
	}
}
