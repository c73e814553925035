package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// comparison is a conditional jump that is being checked.
type comparison struct {
	in       insn.Instruction
	cond     bounds.Cond
	width    bounds.Width
	dst, src *reg // src is imm for an immediate
	imm      reg
}

func (c *comparison) register() bool { return c.in.Source() == insn.SrcX }

// checkBranch checks a conditional jump (check_cond_jmp_op). The caller moves on
// to the next instruction.
func (v *verifier) checkBranch() error {
	in := v.insn
	op := in.Op() & insn.OpMask
	if op == insn.JmpJA || op > insn.JmpJCOND {
		return v.fail(errno.EINVAL, ReasonEncoding, "invalid BPF_JMP/JMP32 opcode %x\n", op)
	}
	if op == insn.JmpJCOND {
		return v.checkMayGoto()
	}
	c := comparison{in: in, cond: bounds.Cond(op), width: widthOf(in)}
	if err := v.compareOperands(&c); err != nil {
		return err
	}
	if taken := v.taken(&c); taken != bounds.TakenUnknown {
		return v.followKnown(&c, taken == bounds.TakenAlways)
	}
	return v.fork(&c)
}

// compareOperands checks and sets the operands.
func (v *verifier) compareOperands(c *comparison) error {
	in := c.in
	if err := v.readReg(in.Dst()); err != nil {
		return err
	}
	c.dst = v.reg(in.Dst())
	flags := histFlags(0)
	if c.dst.typ == ptrStack {
		flags |= histDstStack
	}
	if !c.register() {
		if in.Src() != 0 {
			return v.fail(errno.EINVAL, ReasonEncoding, "BPF_JMP/JMP32 uses reserved fields\n")
		}
		c.imm.typ = scalar
		c.imm.setKnown(uint64(int64(in.Imm())))
		c.src = &c.imm
	} else {
		if in.Imm() != 0 {
			return v.fail(errno.EINVAL, ReasonEncoding, "BPF_JMP/JMP32 uses reserved fields\n")
		}
		if err := v.readReg(in.Src()); err != nil {
			return err
		}
		c.src = v.reg(in.Src())
		if !(c.dst.typ.isPacketAny() && c.src.typ.isPacketAny()) && v.isPointer(c.src) {
			return v.fail(errno.EACCES, ReasonPrivilege, "R%d pointer comparison prohibited\n", in.Src())
		}
		if c.src.typ == ptrStack {
			flags |= histSrcStack
		}
	}
	if flags != 0 {
		v.remember(flags, 0)
	}
	return nil
}

// checkMayGoto: the loop goes on, and the walk of it also ends here.
func (v *verifier) checkMayGoto() error {
	in := v.insn
	if in.Op() != insn.ClassJMP|insn.JmpJCOND || in.Src() != insn.CondMayGoto || in.Dst() != 0 || in.Imm() != 0 {
		return v.fail(errno.EINVAL, ReasonEncoding, "invalid may_goto imm %d\n", in.Imm())
	}
	var before *state
	if p := v.cur.parent; p != nil {
		before = v.findEntry(&p.state, p.dfsDepth, v.insnIdx)
	}
	queued, err := v.push(v.insnIdx+1, v.insnIdx, false)
	if err != nil {
		return v.recode(err, errno.ENOMEM)
	}
	queued.mayGotoDepth++
	if before != nil {
		v.widen(before, queued)
	}
	v.insnIdx += int(in.Off())
	return nil
}

// taken says whether the jump is known to be taken, or not to be
// (is_branch_taken).
func (v *verifier) taken(c *comparison) int {
	a, b := c.dst, c.src
	switch {
	case a.typ.isPacketAny() && b.typ.isPacketAny() && c.width == bounds.W64:
		return packetTaken(c.cond, a, b)
	case a.typ != scalar || b.typ != scalar:
		if !b.isConst(c.width) {
			a, b = b, a
		}
		// A pointer that cannot be NULL compared with 0.
		if !b.isConst(c.width) || b.ConstIn(c.width) != 0 || !a.typ.notNull() {
			return bounds.TakenUnknown
		}
		switch c.cond {
		case bounds.EQ:
			return bounds.TakenNever
		case bounds.NE:
			return bounds.TakenAlways
		}
		return bounds.TakenUnknown
	}
	return bounds.Taken(c.cond, c.width, &a.Scalar, &b.Scalar)
}

// followKnown goes the only way that is possible. The values compared mattered
// for that.
func (v *verifier) followKnown(c *comparison, jump bool) error {
	if c.dst.typ == scalar {
		if err := v.markPrecise(c.in.Dst()); err != nil {
			return err
		}
	}
	if c.register() && c.src.typ == scalar {
		if err := v.markPrecise(c.in.Src()); err != nil {
			return err
		}
	}
	target := v.insnIdx + int(c.in.Off())
	if !v.priv.specV1 {
		wrong := target + 1
		if jump {
			wrong = v.insnIdx + 1
		}
		if err := v.speculate(&c.in, wrong); err != nil {
			return err
		}
	}
	if v.logging() {
		v.printAfter(v.cur)
	}
	if jump {
		v.insnIdx = target
	}
	return nil
}

// fork walks both ways: on here, and later from the target of the jump.
func (v *verifier) fork(c *comparison) error {
	in := c.in
	var linked group
	if c.register() && c.src.typ == scalar && c.src.id != 0 {
		v.collect(&linked, c.src.id)
	}
	if c.dst.typ == scalar && c.dst.id != 0 {
		v.collect(&linked, c.dst.id)
	}
	if linked.n > 1 {
		v.remember(0, linked.pack())
	}
	other, err := v.push(v.insnIdx+int(in.Off())+1, v.insnIdx, false)
	if err != nil {
		return v.recode(err, errno.EFAULT)
	}
	there := &other.top().regs
	if err := v.refine(c, there); err != nil {
		return err
	}
	if c.register() && c.src.typ == scalar && c.src.id != 0 && c.src.id == there[in.Src()].id {
		v.cur.spread(c.src, &linked)
		other.spread(&there[in.Src()], &linked)
	}
	if c.dst.typ == scalar && c.dst.id != 0 && c.dst.id == there[in.Dst()].id {
		v.cur.spread(c.dst, &linked)
		other.spread(&there[in.Dst()], &linked)
	}
	v.learnNotNull(c, there)
	if err := v.learnPointer(c, other); err != nil {
		return err
	}
	if v.logging() {
		v.printAfter(v.cur)
	}
	return nil
}

// refine narrows the scalars on both ways (reg_set_min_max).
func (v *verifier) refine(c *comparison, there *[insn.NumRegs]reg) error {
	if c.dst.typ != scalar || c.src.typ != scalar {
		return nil
	}
	if c.dst == c.src {
		far := &there[c.in.Dst()]
		far.Scalar, c.dst.Scalar = bounds.RefineSelf(c.cond, c.width, c.dst.Scalar)
		if err := v.sane(far, "true_reg1"); err != nil {
			return err
		}
		return v.sane(c.dst, "false_reg1")
	}
	b := bounds.Refine(c.cond, c.width, c.dst.Scalar, c.src.Scalar)
	c.dst.Scalar, c.src.Scalar = b.FalseA, b.FalseB
	far := &there[c.in.Dst()]
	far.Scalar = b.TrueA
	farSrc := &reg{}
	*farSrc = *c.src
	if c.register() {
		farSrc = &there[c.in.Src()]
	}
	farSrc.Scalar = b.TrueB
	if err := v.sane(far, "true_reg1"); err != nil {
		return err
	}
	if err := v.sane(farSrc, "true_reg2"); err != nil {
		return err
	}
	if err := v.sane(c.dst, "false_reg1"); err != nil {
		return err
	}
	return v.sane(c.src, "false_reg2")
}

// learnNotNull: of two pointers that are equal, one of which cannot be NULL, the
// other one is not NULL either.
func (v *verifier) learnNotNull(c *comparison, there *[insn.NumRegs]reg) {
	if c.width != bounds.W64 || !c.register() || c.src.typ == scalar || c.dst.typ == scalar ||
		c.src.typ&orNull == c.dst.typ&orNull {
		return
	}
	var regs *[insn.NumRegs]reg
	switch c.cond {
	case bounds.EQ:
		regs = there
	case bounds.NE:
		regs = v.regs()
	default:
		return
	}
	if c.src.typ&orNull != 0 {
		if c.dst.typ.notNull() {
			v.markNotNull(&regs[c.in.Src()])
		}
	} else if c.src.typ.notNull() {
		v.markNotNull(&regs[c.in.Dst()])
	}
}

// learnPointer draws conclusions from comparing pointers: with NULL, or with the
// packet's end.
func (v *verifier) learnPointer(c *comparison, other *state) error {
	in := c.in
	eq, ne := c.cond == bounds.EQ, c.cond == bounds.NE
	if c.width == bounds.W64 && !c.register() && in.Imm() == 0 && (eq || ne) && c.dst.typ&orNull != 0 {
		v.resolveNull(v.cur, in.Dst(), ne)
		v.resolveNull(other, in.Dst(), eq)
		return nil
	}
	if v.matchPacket(c, other) {
		return nil
	}
	if v.isPointer(v.reg(in.Dst())) {
		return v.fail(errno.EACCES, ReasonPrivilege, "R%d pointer comparison prohibited\n", in.Dst())
	}
	return nil
}

// resolveNull settles whether a pointer, and all its copies, are NULL
// (mark_ptr_or_null_regs).
func (v *verifier) resolveNull(s *state, n insn.Reg, null bool) {
	r := &s.top().regs[n]
	id, refID := r.id, r.refID
	if refID != 0 && refID == id && null {
		s.dropRef(id) // NULL is no reference that would have to be released
	}
	s.eachReg(func(r *reg) {
		if r.typ&orNull == 0 || r.id != id || id == 0 {
			return
		}
		if r.SMin != 0 || r.SMax != 0 || !r.Var.Is(0) || r.off != 0 {
			return
		}
		if null {
			r.typ, r.id, r.refID = scalar, 0, 0
			return
		}
		v.markNotNull(r)
		if !v.mayHoldLock(r) {
			r.id = 0
		}
	})
}
