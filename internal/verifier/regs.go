package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// regType is what a register holds: a base type in the low byte and flags above
// it, as enum bpf_reg_type with enum bpf_type_flag.
type regType uint32

// Base types.
const (
	notInit regType = iota
	scalar
	ptrCtx
	constMapPtr
	ptrMapValue
	ptrMapKey
	ptrStack
	ptrPacketMeta
	ptrPacket
	ptrPacketEnd
	ptrFlowKeys
	ptrSocket
	ptrSockCommon
	ptrTCPSock
	ptrXDPSock
	ptrTPBuffer
	ptrMem
	ptrFunc

	numTypes
)

// Flags of types.
const (
	orNull     regType = 1 << (8 + iota) // PTR_MAYBE_NULL
	readOnly                             // MEM_RDONLY
	inRingbuf                            // MEM_RINGBUF
	untrusted                            // PTR_UNTRUSTED
	baseOfType regType = 0xff
)

func (t regType) base() regType { return t & baseOfType }

// pointerMath says what may be added to a pointer.
type pointerMath uint8

const (
	mathNone  pointerMath = iota
	mathZero              // the constant 0 only
	mathConst             // constants
	mathAny
)

// typeProps are the properties of a base type.
type typeProps struct {
	name  string // in the log
	align string // in messages on alignment
	math  pointerMath
	// spill: keeps its type when it is stored to the stack.
	spill bool
	// packet: points into a packet, with a verified range.
	packet bool
	// sock: a socket, of which fields are read through a table.
	sock bool
	// notNull: is never NULL without the flag orNull (reg_not_null).
	notNull bool
	// exclusive: an instruction that accesses this type on one path may access
	// no other on another, because it will be rewritten.
	exclusive bool
}

var typeTable = [numTypes]typeProps{
	notInit:       {name: "?"},
	scalar:        {name: "scalar"},
	ptrCtx:        {name: "ctx", align: "context ", math: mathAny, spill: true, exclusive: true},
	constMapPtr:   {name: "map_ptr", math: mathZero, spill: true, notNull: true},
	ptrMapValue:   {name: "map_value", align: "value ", math: mathAny, spill: true, notNull: true},
	ptrMapKey:     {name: "map_key", align: "key ", math: mathAny, spill: true, notNull: true},
	ptrStack:      {name: "fp", align: "stack ", math: mathAny, spill: true},
	ptrPacketMeta: {name: "pkt_meta", math: mathAny, spill: true, packet: true},
	ptrPacket:     {name: "pkt", math: mathAny, spill: true, packet: true},
	ptrPacketEnd:  {name: "pkt_end", spill: true},
	ptrFlowKeys:   {name: "flow_keys", align: "flow keys ", math: mathConst, spill: true},
	ptrSocket:     {name: "sock", align: "sock ", spill: true, sock: true, notNull: true, exclusive: true},
	ptrSockCommon: {name: "sock_common", align: "sock_common ", spill: true, sock: true, notNull: true, exclusive: true},
	ptrTCPSock:    {name: "tcp_sock", align: "tcp_sock ", spill: true, sock: true, notNull: true, exclusive: true},
	ptrXDPSock:    {name: "xdp_sock", align: "xdp_sock ", spill: true, sock: true, exclusive: true},
	ptrTPBuffer:   {name: "tp_buffer", math: mathAny},
	ptrMem:        {name: "mem", math: mathAny, spill: true},
	ptrFunc:       {name: "func", math: mathAny, spill: true},
}

func (t regType) props() *typeProps { return &typeTable[t.base()] }

// String is the name of the type in the log (reg_type_str).
func (t regType) String() string {
	name := t.props().name
	if t&untrusted != 0 {
		name = "untrusted_" + name
	}
	if t&inRingbuf != 0 {
		name = "ringbuf_" + name
	}
	if t&readOnly != 0 {
		name = "rdonly_" + name
	}
	if t&orNull != 0 {
		name += "_or_null"
	}
	return name
}

// notNull says that a pointer of this type is never NULL (reg_not_null).
func (t regType) notNull() bool {
	if t&orNull != 0 {
		return false
	}
	return t.props().notNull || t.base() == ptrMem && t&untrusted == 0
}

// isPacket says whether the type is a pointer into the packet or its metadata.
func (t regType) isPacket() bool { return t.base() < numTypes && t.props().packet }

// isPacketAny includes the end of the packet.
func (t regType) isPacketAny() bool { return t.isPacket() || t == ptrPacketEnd }

// target is what a pointer points to beyond its type: which map, how much of a
// packet is known to be there, how large a block of memory is.
type target struct {
	mapIdx int32  // 1 + index in verifier.maps; 0: none
	mapUID uint32 // tells lookups in inner maps apart
	// num is the verified range of a packet pointer (or atPacketEnd,
	// beyondPacketEnd), the size of ptrMem, the subprogram of ptrFunc.
	num int32
}

// Ranges of packet pointers that a comparison found at or behind the end.
const (
	atPacketEnd     = -1
	beyondPacketEnd = -2
)

// value is what two registers are compared by when they must be the same.
type value struct {
	typ regType
	off int32
	to  target
	bounds.Scalar
}

// reg is the abstract value of a register or of a spilled one.
type reg struct {
	value
	// id groups registers with one origin: scalars that are copies of each
	// other, pointers that were checked against NULL together, packet pointers
	// with the same variable offset. The bit addedConst says that off was added.
	id uint32
	// refID is the reference that the pointer holds or derives from.
	refID uint32
	// zextAt is 1 + the instruction that defined the lower half only, 0 if the
	// whole register was defined.
	zextAt int32
	frame  uint8 // whose stack a ptrStack points into
	// precise: the exact value of this scalar mattered for the verdict.
	precise bool
	// quiet: it mattered here, but Linux 6.18 does not know that. The mark stops
	// states from being taken for equal, as precise does, and shows nowhere.
	quiet bool
}

// mark marks r as precise, or quietly so, and tells whether that is news.
func (v *verifier) mark(r *reg) bool {
	switch {
	case !v.quiet && !r.precise:
		r.precise = true
	case v.quiet && !r.quiet && (!r.precise || v.loadsLeave):
		r.quiet = true
	default:
		return false
	}
	return true
}

// marked tells whether r is marked. Quiet marks rest on others where those can be
// trusted.
func (v *verifier) marked(r *reg) bool {
	switch {
	case !v.quiet:
		return r.precise
	case v.loadsLeave:
		return r.precise || r.quiet
	}
	return r.quiet && !r.precise
}

// addedConst marks the id of a scalar that differs from its group by the
// constant in off, added in 64 or in 32 bits (BPF_ADD_CONST64, BPF_ADD_CONST32).
const (
	addedConst64 uint32 = 1 << 31
	addedConst32 uint32 = 1 << 30
	addedConst          = addedConst64 | addedConst32
)

func (r *reg) group() uint32 { return r.id &^ addedConst }

// clearID takes a scalar out of its group.
func (r *reg) clearID() {
	if r.id&addedConst != 0 {
		r.off = 0
	}
	r.id = 0
}

// setKnown makes the value part the constant c; the type stays.
func (r *reg) setKnown(c uint64) {
	r.off, r.to, r.id, r.refID = 0, target{}, 0, 0
	r.Scalar = bounds.Const(c)
}

// setPointer makes r a pointer to the start of something.
func (r *reg) setPointer(t regType) {
	r.setKnown(0)
	r.typ = t
}

// setUnknown makes r a scalar of which nothing is known.
func (v *verifier) setUnknown(r *reg) {
	r.value = value{typ: scalar, Scalar: bounds.Unknown()}
	r.id, r.refID, r.frame = 0, 0, 0
	r.precise, r.quiet = !v.priv.bpf, false
}

// setZero makes r the scalar 0.
func (v *verifier) setZero(r *reg) {
	r.setKnown(0)
	r.typ = scalar
	r.precise, r.quiet = !v.priv.bpf, false
}

func (v *verifier) setNotInit(r *reg) {
	v.setUnknown(r)
	r.typ = notInit
}

// isZero says whether r is the scalar 0 (register_is_null).
func (r *reg) isZero() bool { return r.typ == scalar && r.IsConst() && r.Const() == 0 }

// isConst says whether r is a known scalar in the width.
func (r *reg) isConst(w bounds.Width) bool { return r.typ == scalar && r.IsConstIn(w) }

// isPointer says whether the register holds something that must not leak.
func (v *verifier) isPointer(r *reg) bool { return !v.priv.leaks && r.typ != scalar }

// regs are the registers of the current frame.
func (v *verifier) regs() *[insn.NumRegs]reg { return &v.cur.top().regs }

func (v *verifier) reg(n insn.Reg) *reg { return &v.regs()[n] }

// readsWhole says whether the instruction uses all 64 bits of a source register
// (is_reg64).
func readsWhole(i insn.Instruction, r *reg) bool {
	switch i.Class() {
	case insn.ClassALU64:
		return i.Op()&insn.OpMask != insn.OpEnd || i.Imm() == 64
	case insn.ClassALU:
		return i.Op()&insn.OpMask == insn.OpEnd && i.Imm() == 64
	case insn.ClassJMP32:
		return false
	case insn.ClassJMP:
		return i.Op()&insn.OpMask != insn.JmpCALL || i.Src() != insn.PseudoCall
	case insn.ClassSTX:
		return r.typ != scalar || i.Size() == insn.SizeDW
	}
	return true
}

// definesWhole says whether the instruction defines all 64 bits of its
// destination.
func definesWhole(i insn.Instruction) bool {
	switch i.Class() {
	case insn.ClassALU64:
		return i.Op()&insn.OpMask != insn.OpEnd || i.Imm() == 64
	case insn.ClassALU:
		return i.Op()&insn.OpMask == insn.OpEnd && i.Imm() == 64
	case insn.ClassJMP:
		return i.Op()&insn.OpMask != insn.JmpCALL
	case insn.ClassLDX:
		return i.Size() == insn.SizeDW || i.Mode() == insn.ModeMemSX
	case insn.ClassSTX:
		return i.Size() == insn.SizeDW
	case insn.ClassLD:
		return i.Mode() == insn.ModeImm
	}
	return i.Class() != insn.ClassJMP32
}

// readReg checks that the instruction may read register n (check_reg_arg).
func (v *verifier) readReg(n insn.Reg) error {
	if n >= insn.NumRegs {
		return v.fail(errno.EINVAL, ReasonEncoding, "R%d is invalid\n", n)
	}
	r := v.reg(n)
	v.dirtyRegs |= 1 << n
	if r.typ == notInit {
		return v.fail(errno.EACCES, ReasonUninit, "R%d !read_ok\n", n)
	}
	if n != insn.RFP && r.zextAt != 0 && readsWhole(v.insn, r) {
		v.facts[r.zextAt-1].ZeroExt = true
		r.zextAt = 0
	}
	return nil
}

// writeReg checks that the instruction may write register n, and notes whether
// it defines the upper half.
func (v *verifier) writeReg(n insn.Reg) error {
	if n >= insn.NumRegs {
		return v.fail(errno.EINVAL, ReasonEncoding, "R%d is invalid\n", n)
	}
	v.dirtyRegs |= 1 << n
	if n == insn.RFP {
		return v.fail(errno.EACCES, ReasonEncoding, "frame pointer is read only\n")
	}
	r := v.reg(n)
	r.zextAt = 0
	if !definesWhole(v.insn) {
		r.zextAt = int32(v.insnIdx) + 1
	}
	return nil
}

// clobber makes register n an unknown scalar that the instruction defines.
func (v *verifier) clobber(n insn.Reg) error {
	if err := v.writeReg(n); err != nil {
		return err
	}
	v.setUnknown(v.reg(n))
	return nil
}

// callerSaved are the registers that a call does not preserve.
const callerSaved = 6

// clobberArgs forgets the registers that a call does not preserve.
func (v *verifier) clobberArgs(regs *[insn.NumRegs]reg) {
	v.dirtyRegs |= 1<<callerSaved - 1
	whole := definesWhole(v.insn)
	for n := range callerSaved {
		v.setNotInit(&regs[n])
		regs[n].zextAt = 0
		if !whole {
			regs[n].zextAt = int32(v.insnIdx) + 1
		}
	}
}

// joinGroup gives a scalar an id before it is copied, so that what is learned
// of the copy is learned of the original too (assign_scalar_id_before_mov).
func (v *verifier) joinGroup(r *reg) {
	if r.typ != scalar {
		return
	}
	if r.id&addedConst != 0 {
		r.clearID()
	}
	if r.id == 0 && !r.IsConst() {
		r.id = v.newID()
	}
}

func (v *verifier) newID() uint32 {
	v.ids++
	return v.ids
}

// markNotNull drops the flag orNull after a comparison (mark_ptr_not_null_reg).
func (v *verifier) markNotNull(r *reg) {
	if r.typ.base() != ptrMapValue {
		r.typ &^= orNull
		return
	}
	m := v.mapOf(r)
	switch {
	case m.Inner != nil:
		r.typ = constMapPtr
		uid := uint32(0)
		if m.Inner.TimerOff >= 0 {
			uid = r.id
		}
		r.to.mapIdx = v.mapIndex(m.Inner)
		if uid != 0 {
			r.to.mapUID = uid
		}
	default:
		r.typ = valueTypeOf(m)
	}
}
