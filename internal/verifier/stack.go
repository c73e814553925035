package verifier

import (
	"math/bits"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
)

// slotKind is what one byte of the stack holds (enum bpf_stack_slot_type).
type slotKind uint8

const (
	slotInvalid slotKind = iota // nothing was stored
	slotSpill                   // a register
	slotMisc                    // something
	slotZero                    // 0
)

// slot is eight bytes of stack: kind[i] is the kind of byte i from the bottom
// of memory order as the kernel counts it (7 is the byte at the slot's address).
type slot struct {
	spill reg
	kind  [slotSize]slotKind
}

// isSpill: the slot's first byte in memory belongs to a spilled register.
func (s *slot) isSpill() bool { return s.kind[slotSize-1] == slotSpill }

func (s *slot) isSpilledScalar() bool { return s.isSpill() && s.spill.typ == scalar }

// isSpilledScalar64: all eight bytes are one spilled scalar.
func (s *slot) isSpilledScalar64() bool { return s.kind[0] == slotSpill && s.spill.typ == scalar }

// spillWidth is the number of bytes of the spilled register.
func (s *slot) spillWidth() int {
	n := 1
	for i := slotSize - 1; i > 0 && s.kind[i-1] == slotSpill; i-- {
		n++
	}
	return n
}

// scrub turns a spilled register into bytes of which nothing is known.
func (s *slot) scrub() {
	for i := range s.kind {
		if s.kind[i] != slotInvalid {
			s.kind[i] = slotMisc
		}
	}
}

// store puts a register of size bytes into the slot.
func (s *slot) store(r *reg, size int) {
	s.spill = *r
	for i := slotSize - 1; i >= slotSize-size; i-- {
		s.kind[i] = slotSpill
	}
	for i := slotSize - size - 1; i >= 0; i-- {
		if s.kind[i] != slotZero && s.kind[i] != slotInvalid {
			s.kind[i] = slotMisc
		}
	}
}

// stackByte locates the byte at off (negative) below the frame pointer.
func stackByte(off int) (spi, i int) {
	n := -off - 1
	return n / slotSize, n % slotSize
}

func spiOffset(spi int) int { return -(spi + 1) * slotSize }

// stackBase is the frame whose stack r points into.
func (v *verifier) stackBase(r *reg) *frame { return v.cur.frames[r.frame] }

// growStack gives the frame a stack of at least size bytes.
func (v *verifier) growStack(f *frame, size int) {
	want := (size + slotSize - 1) / slotSize
	for len(f.stack) < want {
		f.stack = append(f.stack, slot{})
	}
	sub := &v.subs[f.subprog]
	sub.stackDepth = max(sub.stackDepth, want*slotSize)
}

// boundStack checks that an access of size bytes at r+off lies on the stack, and
// grows it (check_stack_access_within_bounds).
func (v *verifier) boundStack(n insn.Reg, off, size int, write bool) error {
	r := v.reg(n)
	f := v.stackBase(r)
	dir := " read from"
	if write {
		dir = " write to"
	}
	var lo, hi int64
	if r.IsConst() {
		lo = int64(r.Const()) + int64(off)
		hi = lo + int64(size)
	} else {
		if r.SMax >= maxVarOff || r.SMin <= -maxVarOff {
			return v.fail(errno.EACCES, ReasonBounds, "invalid unbounded variable-offset%s stack R%d\n", dir, n)
		}
		lo = r.SMin + int64(off)
		hi = r.SMax + int64(off) + int64(size)
	}
	deepest := int64(-maxStack)
	if !write && !v.priv.uninit {
		deepest = -int64(len(f.stack) * slotSize)
	}
	code := errno.Errno(0)
	switch {
	case lo < deepest || lo > -1:
		code = errno.EACCES
	case hi > 0:
		code = errno.EINVAL
	case size < 0:
		code = errno.EFAULT
	}
	if code == 0 {
		v.growStack(f, int(-lo))
		return nil
	}
	if r.IsConst() {
		return v.fail(code, ReasonBounds, "invalid%s stack R%d off=%d size=%d\n", dir, n, off, size)
	}
	return v.fail(code, ReasonBounds, "invalid variable-offset%s stack R%d var_off=%s off=%d size=%d\n",
		dir, n, r.Var, off, size)
}

// loadStack reads size bytes at R[n]+off into register dst (check_stack_read).
// dst < 0: only check.
func (v *verifier) loadStack(n insn.Reg, off, size, dst int) error {
	r := v.reg(n)
	f := v.stackBase(r)
	if r.IsConst() {
		return v.loadFixed(f, off+int(int64(r.Const())), size, dst)
	}
	if dst < 0 {
		return v.fail(errno.EACCES, ReasonBounds,
			"variable offset stack pointer cannot be passed into helper function; var_off=%s off=%d size=%d\n",
			r.Var, off, size)
	}
	if err := v.initialized(n, off, size, false, false, nil); err != nil {
		return err
	}
	lo, hi := int(r.SMin)+off, int(r.SMax)+off+size
	v.loadBytes(f, lo, hi, dst)
	v.fastcallContract(f, v.insnIdx, lo)
	return nil
}

// loadBytes sets register dst to what is known of bytes that hold no register
// (mark_reg_stack_read).
func (v *verifier) loadBytes(f *frame, lo, hi, dst int) {
	zero := true
	for off := lo; off < hi; off++ {
		spi, i := stackByte(off)
		v.dirtySlot(spi)
		if f.stack[spi].kind[i] != slotZero {
			zero = false
			break
		}
	}
	if zero {
		v.setZero(v.reg(insn.Reg(dst)))
	} else {
		v.setUnknown(v.reg(insn.Reg(dst)))
	}
}

// loadFixed is a load at a constant offset (check_stack_read_fixed_off).
func (v *verifier) loadFixed(f *frame, off, size, dst int) error {
	spi, _ := stackByte(off)
	s := &f.stack[spi]
	v.dirtySlot(spi)
	v.fastcallContract(v.cur.top(), v.insnIdx, off)
	v.live.read(v, int(f.number), v.insnIdx, 1<<spi)
	if !s.isSpill() {
		for i := range size {
			if err := v.readableByte(s, off, i, size); err != nil {
				return err
			}
		}
		if dst >= 0 {
			v.loadBytes(f, off, off+size, dst)
		}
		return nil
	}
	backtrack := true
	switch width := s.spillWidth(); {
	case size != slotSize || width != slotSize:
		if s.spill.typ != scalar {
			v.logLine(v.insnIdx, "; ")
			return v.fail(errno.EACCES, ReasonType, "invalid size of register fill\n")
		}
		if dst < 0 {
			return nil
		}
		if size <= width && narrowOK(off, size, width) {
			v.fillNarrow(s, size, width, dst)
			break
		}
		known, err := v.fillMixed(s, off, size, dst)
		if err != nil {
			return err
		}
		backtrack = known
	case dst >= 0:
		*v.reg(insn.Reg(dst)) = s.spill
	case v.isPointer(&s.spill):
		return v.fail(errno.EACCES, ReasonPrivilege, "leaking pointer from stack off %d\n", off)
	}
	if backtrack {
		v.remember(stackAccess(f.number, spi), 0)
	}
	return nil
}

// narrowOK says whether a part of a spilled register can be read as such: its
// low bytes (bpf_stack_narrow_access_ok on a little-endian machine).
func narrowOK(off, size, width int) bool { return off&(slotSize-1) == 0 && size <= width }

// fillNarrow reads the low bytes of a spilled scalar.
func (v *verifier) fillNarrow(s *slot, size, width, dst int) {
	if v.priv.bpf && size == 4 && width == 4 && bitWidth(&s.spill) <= 32 {
		v.joinGroup(&s.spill)
	}
	r := v.reg(insn.Reg(dst))
	at := r.zextAt
	*r = s.spill
	r.zextAt = at
	if bitWidth(&s.spill) > size*8 {
		r.clearID()
	}
}

// fillMixed reads bytes of which some belong to a spilled scalar. known says
// that the result is constant and depends on the spilled register.
func (v *verifier) fillMixed(s *slot, off, size, dst int) (known bool, err error) {
	_, top := stackByte(off)
	spilled, zeros := 0, 0
	for i := range size {
		switch s.kind[(top-i+slotSize)%slotSize] {
		case slotSpill:
			spilled++
			continue
		case slotZero:
			zeros++
		}
		if err := v.readableByte(s, off, i, size); err != nil {
			return false, err
		}
	}
	r := v.reg(insn.Reg(dst))
	switch {
	case spilled == size && s.spill.IsConst() && s.spill.Const() == 0:
		v.setZero(r)
		return true, nil
	case zeros == size:
		v.setZero(r)
	default:
		v.setUnknown(r)
	}
	return false, nil
}

func (v *verifier) readableByte(s *slot, off, i, size int) error {
	_, top := stackByte(off)
	switch s.kind[(top-i+slotSize)%slotSize] {
	case slotMisc, slotZero:
		return nil
	case slotInvalid:
		if v.priv.uninit {
			return nil
		}
	}
	return v.fail(errno.EACCES, ReasonUninit, "invalid read from stack off %d+%d size %d\n", off, i, size)
}

// bitWidth is the number of bits that a scalar may need.
func bitWidth(r *reg) int { return bits.Len64(r.UMax) }

// stackStore is a store to the stack: of a register, or of an immediate.
type stackStore struct {
	frame *frame
	off   int
	size  int
	src   *reg     // nil for an immediate
	reg   insn.Reg // of src
	imm   bool     // BPF_ST: an immediate
}

func (s *stackStore) zero(v *verifier) bool {
	return s.src != nil && s.src.isZero() || s.src == nil && s.imm && v.insn.Imm() == 0
}

// precise makes the stored register precise.
func (s *stackStore) precise(v *verifier) error {
	if s.src == nil {
		return nil
	}
	return v.markPrecise(s.reg)
}

// storeStack writes register src (< 0: an immediate, or helper data) of size
// bytes to R[n]+off (check_stack_write).
func (v *verifier) storeStack(n insn.Reg, off, size, src int) error {
	r := v.reg(n)
	st := stackStore{frame: v.stackBase(r), off: off, size: size}
	if src >= 0 {
		st.reg = insn.Reg(src)
		st.src = v.reg(st.reg)
	} else {
		st.imm = v.insn.Class() == insn.ClassST && v.insn.Mode() == insn.ModeMem
	}
	if r.IsConst() {
		st.off += int(int64(r.Const()))
		return v.storeFixed(&st)
	}
	return v.storeVariable(&st, int(r.SMin)+off, int(r.SMax)+off+size)
}

// storeFixed is a store at a constant offset (check_stack_write_fixed_off).
func (v *verifier) storeFixed(st *stackStore) error {
	spi, top := stackByte(st.off)
	s := &st.frame.stack[spi]
	if !v.priv.leaks && s.isSpill() && s.spill.typ != scalar && st.size != slotSize {
		return v.fail(errno.EACCES, ReasonPrivilege, "attempt to corrupt spilled pointer on stack\n")
	}
	v.sanitizeStore(st, s)
	whole := st.off%slotSize == 0
	if whole && st.size == slotSize {
		v.live.write(int(st.frame.number), 1<<spi)
	}
	v.fastcallContract(st.frame, v.insnIdx, st.off)
	v.dirtySlot(spi)

	switch src := st.src; {
	case src != nil && whole && src.typ == scalar && v.priv.bpf:
		fits := bitWidth(src) <= 8*st.size
		if fits {
			v.joinGroup(src)
		}
		s.store(src, st.size)
		if !fits {
			s.spill.clearID()
		}
	case src == nil && whole && st.imm && v.priv.bpf:
		var r reg
		r.typ = scalar
		r.setKnown(uint64(int64(v.insn.Imm())))
		s.store(&r, st.size)
	case src != nil && src.typ.props().spill:
		if st.size != slotSize {
			v.logLine(v.insnIdx, "; ")
			return v.fail(errno.EACCES, ReasonType, "invalid size of register spill\n")
		}
		if st.frame != v.cur.top() && src.typ == ptrStack {
			return v.fail(errno.EINVAL, ReasonType, "cannot spill pointers to stack into stack frame of the caller\n")
		}
		s.store(src, st.size)
	default:
		return v.storeBytes(st, s, top)
	}
	v.remember(stackAccess(st.frame.number, spi), 0)
	return nil
}

// storeBytes stores something that is not kept as a register.
func (v *verifier) storeBytes(st *stackStore, s *slot, top int) error {
	s.spill.typ = notInit
	if s.isSpill() {
		s.scrub()
	}
	kind := slotMisc
	if st.zero(v) {
		if err := st.precise(v); err != nil {
			return err
		}
		kind = slotZero
	}
	for i := range st.size {
		s.kind[(top-i+slotSize)%slotSize] = kind
	}
	return nil
}

// storeVariable is a store at an offset in a range: each byte in it may or may
// not be written (check_stack_write_var_off).
func (v *verifier) storeVariable(st *stackStore, lo, hi int) error {
	zero := st.zero(v)
	needed := false
	v.fastcallContract(st.frame, v.insnIdx, lo)
	for off := lo; off < hi; off++ {
		spi, i := stackByte(off)
		s := &st.frame.stack[spi]
		kind := &s.kind[i]
		v.dirtySlot(spi)
		if !v.priv.leaks && *kind != slotMisc && *kind != slotZero {
			return v.fail(errno.EINVAL, ReasonPrivilege,
				"spilled ptr in range of var-offset stack write; insn %d, ptr off: %d", v.insnIdx, off)
		}
		if zero && *kind == slotSpill && s.isSpilledScalar() && s.spill.isZero() {
			needed = true
			continue
		}
		if s.isSpill() {
			s.scrub() // scrub_special_slot: none of the spill is left
		}
		s.spill.typ = notInit
		if *kind == slotInvalid && !v.priv.uninit {
			return v.fail(errno.EINVAL, ReasonUninit,
				"uninit stack in range of var-offset write prohibited for !root; insn %d, off: %d", v.insnIdx, off)
		}
		if zero && *kind == slotZero {
			needed = true
			continue
		}
		*kind = slotMisc
	}
	if needed {
		return st.precise(v)
	}
	return nil
}

// initialized checks that size bytes at R[n]+off may be given to a helper
// (check_stack_range_initialized): they must have been written, unless raw is
// set and takes note of memory that the helper fills.
func (v *verifier) initialized(n insn.Reg, off, size int, zeroOK, write bool, raw *rawMem) error {
	if size == 0 && !zeroOK {
		return v.fail(errno.EACCES, ReasonBounds, "invalid zero-sized read\n")
	}
	if err := v.boundStack(n, off, size, write); err != nil {
		return err
	}
	r := v.reg(n)
	f := v.stackBase(r)
	lo, hi := 0, 0
	if r.IsConst() {
		lo = off + int(int64(r.Const()))
		hi = lo
	} else {
		if !v.priv.specV1 {
			return v.fail(errno.EACCES, ReasonPrivilege,
				"R%d variable offset stack access prohibited for !root, var_off=%s\n", n, r.Var)
		}
		raw = nil // which bytes are written is not known: they must be readable
		lo, hi = int(r.SMin)+off, int(r.SMax)+off
	}
	if raw != nil && raw.want {
		raw.size, raw.reg = size, n
		return nil
	}
	for at := lo; at < hi+size; at++ {
		spi, i := stackByte(at)
		if spi >= len(f.stack) {
			return v.fail(errno.EFAULT, ReasonBounds, "allocated_stack too small\n")
		}
		s := &f.stack[spi]
		kind := &s.kind[i]
		switch {
		case *kind == slotMisc:
		case *kind == slotZero || *kind == slotInvalid && v.priv.uninit:
			if write {
				*kind = slotMisc
			}
		case s.isSpill() && (s.spill.typ == scalar || v.priv.leaks):
			if write {
				v.setUnknown(&s.spill)
				s.scrub()
			}
		case r.IsConst():
			return v.fail(errno.EACCES, ReasonUninit, "invalid read from stack R%d off %d+%d size %d\n",
				n, lo, at-lo, size)
		default:
			return v.fail(errno.EACCES, ReasonUninit, "invalid read from stack R%d var_off %s+%d size %d\n",
				n, r.Var, at-lo, size)
		}
		v.live.read(v, int(r.frame), v.insnIdx, 1<<spi)
	}
	return nil
}
