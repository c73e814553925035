package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// Programs of users that may not see kernel memory must not see it through
// mispredicted branches either: what a branch that is never taken would do is
// walked too, pointer arithmetic is masked, and where masks do not help, a
// barrier stops speculation (sanitize_ptr_alu and what it calls).

// aluState says how pointer arithmetic must be masked.
type aluState prog.ALUMask

// sanitizing is why arithmetic cannot be masked.
type sanitizing uint8

const (
	sanitized sanitizing = iota
	badBounds
	badType
	badPaths
	badLimit
	badStack
)

var sanitizeTexts = [...]string{
	badBounds: "R%d has unknown scalar with mixed signed bounds, ",
	badType:   "R%d has pointer with unsupported alu operation, ",
	badPaths:  "R%d tried to %s from different maps, paths or scalars, ",
	badLimit:  "R%d tried to %s beyond pointer bounds, ",
	badStack:  "R%d could not be pushed for speculative verification, ",
}

const prohibited = "pointer arithmetic with it prohibited for !root\n"

// sanitizeFail is the error for arithmetic that cannot be masked
// (sanitize_err). swapped: the offset is in the destination register.
func (v *verifier) sanitizeFail(why sanitizing, swapped bool) error {
	dst, src := v.insn.Dst(), v.insn.Src()
	text := sanitizeTexts[why] + prohibited
	switch why {
	case badBounds:
		n := src
		if swapped {
			n = dst
		}
		return v.fail(errno.EACCES, ReasonPrivilege, text, n)
	case badType:
		n := dst
		if swapped {
			n = src
		}
		return v.fail(errno.EACCES, ReasonPrivilege, text, n)
	case badStack:
		return v.fail(errno.ENOMEM, ReasonComplexity, text, dst)
	}
	op := "sub"
	if v.insn.Op()&insn.OpMask == insn.OpAdd {
		op = "add"
	}
	return v.fail(errno.EACCES, ReasonPrivilege, text, dst, op)
}

// unmasked says that the instruction needs no masking (can_skip_alu_sanitation).
func (v *verifier) unmasked() bool {
	return v.priv.specV1 || v.insn.Source() == insn.SrcK || v.aux[v.insnIdx].nospec
}

// set notes how to mask the instruction, which must be the same on all paths.
func (a *aluState) set(flags prog.ALUFlags, limit uint32) sanitizing {
	if a.Flags != 0 && (a.Flags != flags || a.Limit != limit) {
		return badPaths
	}
	a.Flags, a.Limit = flags, limit
	return sanitized
}

// sanitizeScalar: arithmetic on scalars at an instruction that is arithmetic on
// pointers on another path cannot be masked.
func (v *verifier) sanitizeScalar() sanitizing {
	if v.unmasked() {
		return sanitized
	}
	return v.aux[v.insnIdx].alu.set(prog.MaskScalar, 0)
}

// ptrLimit is pointer arithmetic that is being masked.
type ptrLimit struct {
	ptr     *reg
	off     *bounds.Scalar
	dst     *reg
	swapped bool
	// before is the state before the arithmetic.
	before aluState
	left   bool
}

// distance is how far the pointer may move (retrieve_ptr_limit).
func (v *verifier) distance(ptr *reg, left bool) (limit uint32, why sanitizing) {
	most := uint32(0)
	switch ptr.typ {
	case ptrStack:
		most = maxStack
		if left {
			most++
		}
		limit = uint32(-(int64(ptr.Const()) + int64(ptr.off)))
	case ptrMapValue:
		most = v.mapOf(ptr).ValueSize
		if left {
			limit = uint32(ptr.SMin + int64(ptr.off))
		} else {
			limit = uint32(int64(ptr.UMax) + int64(ptr.off))
		}
	default:
		return 0, badType
	}
	if limit >= most {
		return 0, badLimit
	}
	return limit, sanitized
}

func (v *verifier) needsMask() bool {
	op := v.insn.Op() & insn.OpMask
	return op == insn.OpAdd || op == insn.OpSub
}

// sanitizePointer prepares pointer arithmetic before it is done.
func (v *verifier) sanitizePointer(p *ptrLimit) sanitizing {
	if !v.needsMask() || v.unmasked() {
		return sanitized
	}
	off := p.off
	imm, negative := off.IsConst(), off.SMin < 0
	if !v.cur.speculative {
		if !imm && (off.SMin < 0) != (off.SMax < 0) {
			return badBounds
		}
		add := v.insn.Op()&insn.OpMask == insn.OpAdd
		p.left = add == negative
		limit, why := v.distance(p.ptr, p.left)
		if why != sanitized {
			return why
		}
		flags := prog.MaskDst
		if !p.swapped {
			flags = prog.MaskSrc
		}
		if negative {
			flags |= prog.MaskNegative
		}
		if imm {
			flags |= prog.MaskConstant
		} else {
			v.exploreLimits = true
		}
		if why := p.before.set(flags, limit); why != sanitized {
			return why
		}
	}
	if imm {
		return sanitized
	}
	return v.simulate(p)
}

// simulate walks on as if the masked offset were 0: what a wrong prediction
// gives.
func (v *verifier) simulate(p *ptrLimit) sanitizing {
	saved := *p.dst
	if p.swapped {
		*p.dst = *p.ptr
	}
	_, err := v.push(v.insnIdx+1, v.insnIdx, true)
	if err != nil {
		return badStack
	}
	if p.swapped {
		*p.dst = saved
	}
	return sanitized
}

// sanitizeResult checks the result of pointer arithmetic, and settles the mask.
func (v *verifier) sanitizeResult(p *ptrLimit) error {
	if v.priv.specV1 {
		return nil
	}
	if err := v.resultInBounds(p.dst); err != nil {
		return err
	}
	if !v.needsMask() || v.unmasked() || v.cur.speculative {
		return nil
	}
	limit, why := v.distance(p.dst, p.left)
	if why == sanitized {
		before := p.before.Limit
		moved := max(before, limit) - min(before, limit)
		why = v.aux[v.insnIdx].alu.set(p.before.Flags, moved)
	}
	if why != sanitized {
		return v.sanitizeFail(why, false)
	}
	return nil
}

// resultInBounds: pointers may not even be made that point out of their object
// (sanitize_check_bounds).
func (v *verifier) resultInBounds(r *reg) error {
	n := v.insn.Dst()
	switch r.typ {
	case ptrStack:
		off := int64(r.off) + int64(r.Const())
		if !r.IsConst() {
			return v.fail(errno.EACCES, ReasonPrivilege,
				"R%d variable stack access prohibited for !root, var_off=%s off=%d\n", n, r.Var, int32(off))
		}
		if off >= 0 || off < -maxStack {
			return v.fail(errno.EACCES, ReasonPrivilege,
				"R%d stack pointer arithmetic goes out of range, prohibited for !root; off=%d\n", n, off)
		}
	case ptrMapValue:
		if err := v.inMapValue(n, int(r.off), 1, false); err != nil {
			return v.also(err, "R%d pointer arithmetic of map value goes out of range, prohibited for !root\n", n)
		}
	}
	return nil
}

// speculate walks on at idx as the processor might, with the operands of a
// comparison unknown (sanitize_speculative_path).
func (v *verifier) speculate(in *insn.Instruction, idx int) error {
	s, err := v.push(idx, v.insnIdx, true)
	if err != nil {
		return v.recode(err, errno.EFAULT)
	}
	regs := &s.top().regs
	v.setUnknown(&regs[in.Dst()])
	if in.Source() == insn.SrcX {
		v.setUnknown(&regs[in.Src()])
	}
	return nil
}

// sanitizeStore: a store that replaces something else on the stack needs a
// barrier behind it, so that a load cannot run ahead of it (Spectre v4).
func (v *verifier) sanitizeStore(st *stackStore, s *slot) {
	if v.priv.specV4 {
		return
	}
	risky := st.src != nil && st.src.typ.props().spill
	for i := 0; i < st.size && !risky; i++ {
		risky = s.kind[i] != slotMisc && s.kind[i] != slotZero
	}
	if risky {
		v.aux[v.insnIdx].nospecAfter = true
	}
}
