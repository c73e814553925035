package rewrite

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// division guards divisions whose divisor may be 0 or -1, so that an engine can
// use the processor's instruction (do_misc_fixups). RFC 9669 section 4.1 says
// what they give.
func division(p *program) error {
	return p.each(func(at int, i insn.Instruction, _ *prog.Fact) error {
		if !i.IsALU() || i.ALUOp() != insn.OpDiv && i.ALUOp() != insn.OpMod {
			return nil
		}
		d := divisionCode{Patch: p.patch(), i: i, dst: i.Dst(), src: i.Src(),
			wide: i.Class() == insn.ClassALU64, isDiv: i.ALUOp() == insn.OpDiv}
		isSigned := i.Off() == 1
		switch {
		case i.Source() == insn.SrcK && isSigned && i.Imm() == -1:
			d.byMinusOne()
		case i.Source() == insn.SrcK:
			return nil
		case isSigned:
			d.signed()
		case d.isDiv:
			d.unsignedDiv()
		default:
			d.unsignedMod()
		}
		return p.replace(at, d.Patch)
	})
}

// divisionCode writes the patches around one division.
type divisionCode struct {
	*patch.Patch
	i           insn.Instruction
	dst, src    insn.Reg
	wide, isDiv bool
}

// compare jumps where the register compares with the immediate in the width of
// the division.
func (d divisionCode) compare(op uint8, r insn.Reg, imm int32, to patch.Label) {
	i := insn.Jump32Imm(op, r, imm, 0)
	if d.wide {
		i = insn.JumpImm(op, r, imm, 0)
	}
	d.Jump(i, to)
}

func (d divisionCode) aluImm(op uint8, r insn.Reg, imm int32) insn.Instruction {
	if d.wide {
		return insn.ALU64Imm(op, r, imm)
	}
	return insn.ALU32Imm(op, r, imm)
}

func (d divisionCode) negate() insn.Instruction {
	if d.wide {
		return insn.Neg64(d.dst)
	}
	return insn.Neg32(d.dst)
}

// skip jumps to the end.
func (d divisionCode) skip() { d.Jump(insn.Goto(0), patch.End) }

// byMinusOne is x/-1 = -x and x%-1 = 0 for the most negative number too.
func (d divisionCode) byMinusOne() {
	if d.isDiv {
		d.Emit(d.negate())
		return
	}
	d.Emit(insn.Mov32Imm(d.dst, 0))
}

// unsignedDiv is x/0 = 0.
func (d divisionCode) unsignedDiv() {
	do := d.Label()
	d.compare(insn.JmpNE, d.src, 0, do)
	d.Emit(insn.ALU32Reg(insn.OpXor, d.dst, d.dst))
	d.skip()
	d.Bind(do).Keep(d.i)
}

// unsignedMod is x%0 = x, of which 32 bits remain when the operation is narrow.
func (d divisionCode) unsignedMod() {
	zero := patch.End
	if !d.wide {
		zero = d.Label()
	}
	d.compare(insn.JmpEQ, d.src, 0, zero)
	d.Keep(d.i)
	d.keepLow(zero)
}

// keepLow ends a narrow remainder: by zero it is the low half of the dividend.
func (d divisionCode) keepLow(zero patch.Label) {
	if !d.wide {
		d.skip()
		d.Bind(zero).Emit(insn.Mov32Reg(d.dst, d.dst))
	}
}

// signed finds divisors 0 and -1 by one comparison of divisor+1: unsigned it is
// above 1 for every other.
func (d divisionCode) signed() {
	do, zero := d.Label(), patch.End
	d.Emit(insn.Mov64Reg(insn.RAX, d.src), d.aluImm(insn.OpAdd, insn.RAX, 1))
	d.compare(insn.JmpGT, insn.RAX, 1, do)
	if d.isDiv {
		// 0 is left: the quotient by -1 is the negation, by 0 that of zero.
		minusOne := d.Label()
		d.compare(insn.JmpEQ, insn.RAX, 0, minusOne)
		d.Emit(d.aluImm(insn.OpMov, d.dst, 0))
		d.Bind(minusOne).Emit(d.negate())
		d.skip()
		d.Bind(do).Keep(d.i)
		return
	}
	if !d.wide {
		zero = d.Label()
	}
	done := d.Label()
	d.compare(insn.JmpEQ, insn.RAX, 1, zero)
	d.Emit(insn.Mov32Imm(d.dst, 0))
	d.Jump(insn.Goto(0), done)
	d.Bind(do).Keep(d.i).Bind(done)
	d.keepLow(zero)
}

// tailCall marks tail calls with an opcode of their own. Programs whose maker
// may not bypass the defence against Spectre variant 1 get the index masked.
func tailCall(p *program) error {
	return p.each(func(at int, i insn.Instruction, fact *prog.Fact) error {
		if !i.IsHelperCall() || i.Imm() != int32(uapi.BPF_FUNC_tail_call) {
			return nil
		}
		i = insn.Make(insn.OpcodeTailCall, 0, 0, 0, 0)
		if p.info.Caps.Perfmon {
			p.Insns[at] = i
			return nil
		}
		if fact.Map == nil || fact.Map.Slots == nil || fact.MapPoisoned {
			return errno.Errorf(errno.EINVAL, "tail_call abusing map_ptr")
		}
		code := p.patch()
		code.Jump(insn.JumpImm(insn.JmpGE, insn.R3, int32(fact.Map.MaxEntries), 0), patch.End)
		code.Emit(insn.ALU32Imm(insn.OpAnd, insn.R3, int32(fact.Map.Slots.Mask)))
		return p.replace(at, code.Keep(i))
	})
}

// maxLoops is BPF_MAX_LOOPS: how often the may_goto instructions of one call of
// a subprogram may jump on.
const maxLoops = 8 << 20

// mayGoto replaces the bounded loop's jump by a counter in a stack slot below
// what the subprogram uses itself (do_misc_fixups). This is the form without a
// time limit, that Linux has on machines where may_goto is not timed: how far a
// program gets does not depend on the clock.
func mayGoto(p *program) error {
	loops := make([]bool, len(p.Subprogs))
	err := p.each(func(at int, i insn.Instruction, _ *prog.Fact) error {
		if i.IsMayGoto() && len(loops) > 0 {
			loops[p.subprog(at)] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	next := 0
	return p.each(func(at int, i insn.Instruction, _ *prog.Fact) error {
		if next < len(p.Subprogs) && int(p.Subprogs[next].Start) == at {
			next++
			if err := p.initCounter(at, &p.Subprogs[next-1], loops[next-1]); err != nil {
				return err
			}
		}
		if !i.IsMayGoto() {
			return nil
		}
		slot := -int16(p.Subprogs[next-1].StackDepth)
		return p.replace(at, p.patch().
			Emit(insn.LoadMem(insn.SizeDW, insn.RAX, insn.R10, slot)).
			Jump(insn.JumpImm(insn.JmpEQ, insn.RAX, 0, 0), patch.Target).
			Emit(insn.ALU64Imm(insn.OpSub, insn.RAX, 1)).
			Emit(insn.StoreMem(insn.SizeDW, insn.R10, slot, insn.RAX)))
	})
}

// initCounter makes room for the counter, if the subprogram has loops, and sets
// it where the subprogram begins. The room does not count against MAX_BPF_STACK.
func (p *program) initCounter(at int, s *prog.Subprog, loops bool) error {
	if !loops {
		return nil
	}
	s.StackDepth += 8
	p.StackDepth += 8
	return p.before(at, p.patch().Emit(insn.StoreImm(insn.SizeDW, insn.R10, -int16(s.StackDepth), maxLoops)))
}

// zeroExtend makes the zero extension of a 32-bit result explicit where the
// verifier saw the upper half read: on request, and always behind a 32-bit
// compare and exchange, which on x86 does not write R0 when it succeeds
// (opt_subreg_zext_lo32_rnd_hi32).
func zeroExtend(p *program) error {
	return p.each(func(at int, i insn.Instruction, fact *prog.Fact) error {
		cmpxchg := i.IsAtomic() && i.Imm() == insn.AtomicCmpxchg
		if !fact.ZeroExt || !p.opt.ZeroExtend && !cmpxchg {
			return nil
		}
		dst, ok := defined(i)
		if !ok {
			return nil
		}
		// The immediate 1 tells engines that this is no move of the program
		// (insn_is_zext).
		return p.replace(at, p.patch().Keep(i).Emit(insn.Mov32Reg(dst, dst).WithImm(1)))
	})
}

// defined is the register that an instruction writes (insn_def_regno).
func defined(i insn.Instruction) (insn.Reg, bool) {
	switch i.Class() {
	case insn.ClassJMP, insn.ClassJMP32, insn.ClassST:
		return 0, false
	case insn.ClassSTX:
		switch {
		case i.IsLoadAcquire():
			return i.Dst(), true
		case !i.IsAtomic() || i.Imm()&insn.AtomicFetch == 0:
			return 0, false
		case i.Imm() == insn.AtomicCmpxchg:
			return insn.R0, true
		}
		return i.Src(), true
	}
	return i.Dst(), true
}

// resolveAddresses puts what 64-bit immediates stand for into them and takes
// the marks away. Pointers to subprograms stay: only an engine knows them
// (convert_pseudo_ld_imm64).
func resolveAddresses(p *program) error {
	return p.each(func(at int, i insn.Instruction, fact *prog.Fact) error {
		if !i.IsWide() || i.Src() == 0 || i.Src() == insn.PseudoFunc {
			return nil
		}
		if at+1 >= len(p.Insns) {
			return errno.Errorf(errno.EINVAL, "insn %d has no second slot", fact.Orig)
		}
		p.Insns[at] = i.WithSrc(0).WithImm(int32(uint32(fact.Imm64)))
		p.Insns[at+1] = p.Insns[at+1].WithImm(int32(uint32(fact.Imm64 >> 32)))
		return nil
	})
}
