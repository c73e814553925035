package verifier

import (
	"math"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

func widthOf(in insn.Instruction) bounds.Width {
	if c := in.Class(); c == insn.ClassALU || c == insn.ClassJMP32 {
		return bounds.W32
	}
	return bounds.W64
}

// checkALU checks an arithmetic instruction (check_alu_op).
func (v *verifier) checkALU() error {
	in := v.insn
	var err error
	switch op := in.Op() & insn.OpMask; {
	case op == insn.OpEnd || op == insn.OpNeg:
		err = v.checkUnary()
	case op == insn.OpMov:
		err = v.checkMov()
	case op > insn.OpEnd:
		return v.fail(errno.EINVAL, ReasonEncoding, "invalid BPF_ALU opcode %x\n", op)
	default:
		err = v.checkBinary()
	}
	if err != nil {
		return err
	}
	return v.sane(v.reg(in.Dst()), "alu")
}

// sane checks that the bounds of a scalar do not contradict each other
// (reg_bounds_sanity_check).
func (v *verifier) sane(r *reg, where string) error {
	what := r.Violation()
	if what == "" {
		return nil
	}
	s := &r.Scalar
	err := v.fail(errno.EFAULT, ReasonUnknown,
		"verifier bug: REG INVARIANTS VIOLATION (%s): %s u64=[%#x, %#x] "+
			"s64=[%#x, %#x] u32=[%#x, %#x] s32=[%#x, %#x] var_off=(%#x, %#x)\n",
		where, what, s.UMin, s.UMax, uint64(s.SMin), uint64(s.SMax), s.U32Min, s.U32Max,
		uint32(s.S32Min), uint32(s.S32Max), s.Var.Value, s.Var.Mask)
	if v.testInvariants {
		return err
	}
	s.Unbound()
	return nil
}

// checkUnary checks negation and byte order.
func (v *verifier) checkUnary() error {
	in := v.insn
	if in.Op()&insn.OpMask == insn.OpNeg {
		if in.Source() != insn.SrcK || in.Src() != 0 || in.Off() != 0 || in.Imm() != 0 {
			return v.fail(errno.EINVAL, ReasonEncoding, "BPF_NEG uses reserved fields\n")
		}
	} else if in.Src() != 0 || in.Off() != 0 || in.Imm() != 16 && in.Imm() != 32 && in.Imm() != 64 ||
		in.Class() == insn.ClassALU64 && in.Source() != insn.EndToLE {
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_END uses reserved fields\n")
	}
	if err := v.readReg(in.Dst()); err != nil {
		return err
	}
	r := v.reg(in.Dst())
	if v.isPointer(r) {
		return v.fail(errno.EACCES, ReasonArithmetic, "R%d pointer arithmetic prohibited\n", in.Dst())
	}
	if r.typ != scalar {
		return v.clobber(in.Dst())
	}
	if err := v.writeReg(in.Dst()); err != nil {
		return err
	}
	if in.Op()&insn.OpMask == insn.OpEnd {
		swap := in.Class() == insn.ClassALU64 || in.Source() == insn.EndToBE
		r.Endian(int(in.Imm())/8, swap)
		r.clearID()
		return nil
	}
	src := r.Scalar
	if err := v.scalarOp(r, &src); err != nil {
		return err
	}
	r.clearID()
	return nil
}

// checkMov checks moves of registers and immediates.
func (v *verifier) checkMov() error {
	in := v.insn
	if in.Source() == insn.SrcK {
		if in.Src() != 0 || in.Off() != 0 {
			return v.fail(errno.EINVAL, ReasonEncoding, "BPF_MOV uses reserved fields\n")
		}
		if err := v.writeReg(in.Dst()); err != nil {
			return err
		}
		r := v.reg(in.Dst())
		v.setUnknown(r)
		if in.Class() == insn.ClassALU64 {
			r.setKnown(uint64(int64(in.Imm())))
		} else {
			r.setKnown(uint64(uint32(in.Imm())))
		}
		return nil
	}
	wide := in.Class() == insn.ClassALU64
	if wide && in.Off() == insn.AddrSpaceCastOff {
		if in.Imm() != 1 && in.Imm() != 1<<16 {
			return v.fail(errno.EINVAL, ReasonEncoding,
				"addr_space_cast insn can only convert between address space 1 and 0\n")
		}
		return v.fail(errno.EINVAL, ReasonMap,
			"addr_space_cast insn can only be used in a program that has an associated arena\n")
	}
	switch off := in.Off(); {
	case in.Imm() != 0, off != 0 && off != 8 && off != 16 && (off != 32 || !wide):
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_MOV uses reserved fields\n")
	}
	if err := v.readReg(in.Src()); err != nil {
		return err
	}
	if err := v.writeReg(in.Dst()); err != nil {
		return err
	}
	if wide {
		return v.movWide(in)
	}
	return v.movHalf(in)
}

// movWide is a 64-bit move, sign-extending if the offset gives a width.
func (v *verifier) movWide(in insn.Instruction) error {
	dst, src := v.reg(in.Dst()), v.reg(in.Src())
	if in.Off() == 0 {
		v.joinGroup(src)
		*dst = *src
		dst.zextAt = 0
		return nil
	}
	if v.isPointer(src) {
		return v.fail(errno.EACCES, ReasonPrivilege, "R%d sign-extension part of pointer\n", in.Src())
	}
	if src.typ != scalar {
		v.setUnknown(dst)
		return nil
	}
	v.copyExtended(dst, src, src.UMax < 1<<(in.Off()-1))
	dst.SignExtend(int(in.Off()) / 8)
	dst.zextAt = 0
	return nil
}

// movHalf is a 32-bit move.
func (v *verifier) movHalf(in insn.Instruction) error {
	dst, src := v.reg(in.Dst()), v.reg(in.Src())
	if v.isPointer(src) {
		return v.fail(errno.EACCES, ReasonPrivilege, "R%d partial copy of pointer\n", in.Src())
	}
	switch {
	case src.typ != scalar:
		v.setUnknown(dst)
	case in.Off() == 0:
		v.copyExtended(dst, src, bitWidth(src) <= 32)
		dst.zextAt = int32(v.insnIdx) + 1
	default:
		v.copyExtended(dst, src, src.UMax < 1<<(in.Off()-1))
		dst.zextAt = int32(v.insnIdx) + 1
		dst.SignExtend32(int(in.Off()) / 8)
		return nil
	}
	dst.ZeroExtend()
	return nil
}

// copyExtended copies a scalar that is going to be extended; same says that the
// extension will not change it, so that the copies stay one group.
func (v *verifier) copyExtended(dst, src *reg, same bool) {
	if same {
		v.joinGroup(src)
	}
	*dst = *src
	if !same {
		dst.clearID()
	}
}

// checkBinary checks an operation with two operands.
func (v *verifier) checkBinary() error {
	in := v.insn
	op := in.Op() & insn.OpMask
	divides := op == insn.OpDiv || op == insn.OpMod
	reserved := in.Off() != 0 && (in.Off() != 1 || !divides)
	if in.Source() == insn.SrcX {
		if in.Imm() != 0 || reserved {
			return v.fail(errno.EINVAL, ReasonEncoding, "BPF_ALU uses reserved fields\n")
		}
		if err := v.readReg(in.Src()); err != nil {
			return err
		}
	} else if in.Src() != 0 || reserved {
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_ALU uses reserved fields\n")
	}
	if err := v.readReg(in.Dst()); err != nil {
		return err
	}
	if in.Source() == insn.SrcK {
		if divides && in.Imm() == 0 {
			return v.fail(errno.EINVAL, ReasonEncoding, "div by zero\n")
		}
		shifts := op == insn.OpLsh || op == insn.OpRsh || op == insn.OpArsh
		if shifts && (in.Imm() < 0 || in.Imm() >= int32(widthOf(in))) {
			return v.fail(errno.EINVAL, ReasonEncoding, "invalid shift %d\n", in.Imm())
		}
	}
	if err := v.writeReg(in.Dst()); err != nil {
		return err
	}
	return v.arithmetic(in)
}

// arithmetic works out the result of an operation with two operands
// (adjust_reg_min_max_vals).
func (v *verifier) arithmetic(in insn.Instruction) error {
	dst := v.reg(in.Dst())
	if in.Source() == insn.SrcK {
		imm := bounds.Const(uint64(int64(in.Imm())))
		if dst.typ != scalar {
			return v.pointerArith(in, dst, &imm, false)
		}
		return v.scalarArith(in, dst, &imm)
	}
	src := v.reg(in.Src())
	switch {
	case src.typ != scalar && dst.typ != scalar:
		if in.Op()&insn.OpMask == insn.OpSub && v.priv.leaks {
			v.setUnknown(dst)
			return nil
		}
		return v.fail(errno.EACCES, ReasonArithmetic, "R%d pointer %s pointer prohibited\n", in.Dst(), opText(in))
	case src.typ != scalar:
		// The scalar is in the destination: scalar += pointer.
		if err := v.markPrecise(in.Dst()); err != nil {
			return err
		}
		off := dst.Scalar
		return v.pointerArith(in, src, &off, true)
	case dst.typ != scalar:
		if err := v.markPrecise(in.Src()); err != nil {
			return err
		}
		return v.pointerArith(in, dst, &src.Scalar, false)
	case dst.precise:
		if err := v.markPrecise(in.Src()); err != nil {
			return err
		}
	}
	return v.scalarArith(in, dst, &src.Scalar)
}

// scalarArith is an operation on scalars. A constant that is added is
// remembered, so that the result stays in the operand's group.
func (v *verifier) scalarArith(in insn.Instruction, dst *reg, src *bounds.Scalar) error {
	operand, before := *src, dst.UMax
	if err := v.scalarOp(dst, &operand); err != nil {
		return err
	}
	w := widthOf(in)
	op := in.Op() & insn.OpMask
	same := in.Source() == insn.SrcX && in.Src() == in.Dst()
	if !v.priv.bpf || op != insn.OpAdd && op != insn.OpSub || dst.id == 0 || !operand.IsConstIn(w) || same {
		dst.clearID()
		return nil
	}
	c := int64(operand.ConstIn(w))
	flag := addedConst64
	fits := c == int64(int32(c))
	if w == bounds.W32 {
		flag, fits = addedConst32, before <= math.MaxUint32
	}
	off := int32(c)
	if op == insn.OpSub {
		fits = fits && off != math.MinInt32
		off = -off
	}
	if !fits || dst.id&addedConst != 0 {
		dst.off, dst.id = 0, 0
		return nil
	}
	dst.id |= flag
	dst.off = off
	return nil
}

// scalarOp applies the instruction to a scalar (adjust_scalar_min_max_vals).
func (v *verifier) scalarOp(dst *reg, src *bounds.Scalar) error {
	in := v.insn
	if !computable(in, src) {
		v.setUnknown(dst)
		return nil
	}
	if op := in.Op() & insn.OpMask; op == insn.OpAdd || op == insn.OpSub {
		if why := v.sanitizeScalar(); why != sanitized {
			return v.sanitizeFail(why, false)
		}
	}
	dst.Scalar = bounds.Apply(bounds.Op(in.Op()&insn.OpMask), widthOf(in), dst.Scalar, *src)
	return nil
}

// computable says whether something is known of the result
// (is_safe_to_compute_dst_reg_range).
func computable(in insn.Instruction, src *bounds.Scalar) bool {
	switch in.Op() & insn.OpMask {
	case insn.OpDiv, insn.OpMod:
		return false
	case insn.OpLsh, insn.OpRsh, insn.OpArsh:
		w := widthOf(in)
		return src.IsConstIn(w) && src.UMax < uint64(w)
	}
	return true
}

// opText is the operator of an arithmetic instruction in the log.
func opText(in insn.Instruction) string {
	return [...]string{"+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "endian", "", ""}[in.Op()>>4]
}

// pointerArith adds a scalar to a pointer or subtracts it
// (adjust_ptr_min_max_vals). swapped: the pointer is in the source register.
func (v *verifier) pointerArith(in insn.Instruction, from *reg, off *bounds.Scalar, swapped bool) error {
	dst := v.reg(in.Dst())
	n := in.Dst()
	ptr := *from
	if off.SMin > off.SMax || off.UMin > off.UMax ||
		off.IsConst() && (off.SMin != off.SMax || off.UMin != off.UMax) {
		v.setUnknown(dst) // a path that cannot be taken
		return nil
	}
	op := in.Op() & insn.OpMask
	if in.Class() != insn.ClassALU64 {
		if op == insn.OpSub && v.priv.leaks {
			v.setUnknown(dst)
			return nil
		}
		return v.fail(errno.EACCES, ReasonArithmetic, "R%d 32-bit pointer arithmetic prohibited\n", n)
	}
	if ptr.typ&orNull != 0 {
		return v.fail(errno.EACCES, ReasonArithmetic,
			"R%d pointer arithmetic on %s prohibited, null-check it first\n", n, ptr.typ)
	}
	allowed := false
	switch ptr.typ.props().math {
	case mathAny:
		allowed = true
	case mathConst:
		allowed = off.IsConst()
	case mathZero:
		allowed = off.IsConst() && off.SMin == 0 && op == insn.OpAdd
	}
	if !allowed {
		return v.fail(errno.EACCES, ReasonArithmetic, "R%d pointer arithmetic on %s prohibited\n", n, ptr.typ)
	}
	// Linux 6.18 leaves dst's frame as it was when a pointer is added to a scalar,
	// so that a callee's stack pointer becomes one of the main program's: what is
	// then believed of the stack is wrong. Here the frame goes with the pointer.
	dst.typ, dst.id, dst.frame = ptr.typ, ptr.id, ptr.frame
	if err := v.saneOffset(off, 0, ptr.typ); err != nil {
		return err
	}
	if err := v.saneOffset(&ptr.Scalar, ptr.off, ptr.typ); err != nil {
		return err
	}
	// The lower half of a pointer's offset is not tracked.
	unboundHalf(&dst.Scalar)
	if !swapped {
		unboundHalf(&ptr.Scalar)
	}
	limit := ptrLimit{ptr: &ptr, off: off, dst: dst, swapped: swapped}
	if why := v.sanitizePointer(&limit); why != sanitized {
		return v.sanitizeFail(why, swapped)
	}
	var err error
	switch op {
	case insn.OpAdd:
		v.pointerAdd(dst, &ptr, off)
	case insn.OpSub:
		err = v.pointerSub(dst, &ptr, off, swapped)
	case insn.OpAnd, insn.OpOr, insn.OpXor:
		err = v.fail(errno.EACCES, ReasonArithmetic, "R%d bitwise operator %s on pointer prohibited\n", n, opText(in))
	default:
		err = v.fail(errno.EACCES, ReasonArithmetic, "R%d pointer arithmetic with %s operator prohibited\n", n, opText(in))
	}
	if err != nil {
		return err
	}
	if err := v.saneOffset(&dst.Scalar, dst.off, ptr.typ); err != nil {
		return err
	}
	dst.Sync()
	return v.sanitizeResult(&limit)
}

// saneOffset keeps offsets of pointers far from overflow
// (check_reg_sane_offset).
func (v *verifier) saneOffset(s *bounds.Scalar, off int32, t regType) error {
	bad := func(format string, args ...any) error {
		return v.fail(errno.EINVAL, ReasonArithmetic, format, args...)
	}
	if c := int64(s.Const()); s.IsConst() && (c >= maxVarOff || c <= -maxVarOff) {
		return bad("math between %s pointer and %d is not allowed\n", t, c)
	}
	if off >= maxVarOff || off <= -maxVarOff {
		return bad("%s pointer offset %d is not allowed\n", t, off)
	}
	if s.SMin == -1<<63 {
		return bad("math between %s pointer and register with unbounded min value is not allowed\n", t)
	}
	if s.SMin >= maxVarOff || s.SMin <= -maxVarOff {
		return bad("value %d makes %s pointer be out of bounds\n", s.SMin, t)
	}
	return nil
}

// pointerAdd sets dst to ptr+off. A constant goes into the fixed offset.
func (v *verifier) pointerAdd(dst, ptr *reg, off *bounds.Scalar) {
	if sum := int64(ptr.off) + off.SMin; off.IsConst() && sum == int64(int32(sum)) {
		v.moveFixed(dst, ptr, int32(sum))
		return
	}
	dst.Scalar = pointerSum(&ptr.Scalar, off)
	dst.off, dst.to = ptr.off, ptr.to
	if ptr.typ.isPacket() {
		dst.id = v.newID()
		dst.to = target{} // what was verified holds for another offset
	}
}

// pointerSub sets dst to ptr-off.
func (v *verifier) pointerSub(dst, ptr *reg, off *bounds.Scalar, swapped bool) error {
	n := v.insn.Dst()
	if swapped {
		return v.fail(errno.EACCES, ReasonArithmetic, "R%d tried to subtract pointer from scalar\n", n)
	}
	if ptr.typ == ptrStack {
		return v.fail(errno.EACCES, ReasonArithmetic, "R%d subtraction from stack pointer prohibited\n", n)
	}
	if d := int64(ptr.off) - off.SMin; off.IsConst() && d == int64(int32(d)) {
		v.moveFixed(dst, ptr, int32(d))
		return nil
	}
	negative := off.SMin < 0
	dst.Scalar = pointerDiff(&ptr.Scalar, off)
	dst.off, dst.to = ptr.off, ptr.to
	if ptr.typ.isPacket() {
		dst.id = v.newID()
		if negative {
			dst.to = target{}
		}
	}
	return nil
}

// moveFixed sets dst to ptr with another fixed offset.
func (v *verifier) moveFixed(dst, ptr *reg, off int32) {
	dst.Scalar = ptr.Scalar
	unboundHalf(&dst.Scalar)
	dst.off, dst.to = off, ptr.to
}

// unboundHalf forgets the intervals of the lower half: for pointers they are
// not kept.
func unboundHalf(s *bounds.Scalar) {
	s.S32Min, s.S32Max = math.MinInt32, math.MaxInt32
	s.U32Min, s.U32Max = 0, math.MaxUint32
}

// pointerSum adds variable offsets: an end that overflows makes its interval
// unknown.
func pointerSum(a, b *bounds.Scalar) bounds.Scalar {
	s := bounds.Unknown()
	lo, hi := a.SMin+b.SMin, a.SMax+b.SMax
	if (lo < a.SMin) == (b.SMin < 0) && (hi < a.SMax) == (b.SMax < 0) {
		s.SMin, s.SMax = lo, hi
	}
	if a.UMin+b.UMin >= a.UMin && a.UMax+b.UMax >= a.UMax {
		s.UMin, s.UMax = a.UMin+b.UMin, a.UMax+b.UMax
	}
	s.Var = a.Var.Add(b.Var)
	return s
}

// pointerDiff subtracts them.
func pointerDiff(a, b *bounds.Scalar) bounds.Scalar {
	s := bounds.Unknown()
	lo, hi := a.SMin-b.SMax, a.SMax-b.SMin
	if (lo > a.SMin) == (b.SMax < 0) && (hi > a.SMax) == (b.SMin < 0) {
		s.SMin, s.SMax = lo, hi
	}
	if a.UMin >= b.UMax {
		s.UMin, s.UMax = a.UMin-b.UMax, a.UMax-b.UMin
	}
	s.Var = a.Var.Sub(b.Var)
	return s
}
