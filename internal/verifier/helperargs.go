package verifier

import (
	"strings"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// accepted is a set of register types that an argument may have, with the names
// under which the log lists them. Types that this verifier does not track are
// there for the list only.
type accepted struct {
	types []regType
	names string
	// opaque: this verifier knows which types may be there, not what the helper
	// does with them.
	opaque bool
}

func (a *accepted) has(t regType) bool {
	for _, x := range a.types {
		if t == x {
			return true
		}
	}
	return false
}

// memTypes are the kinds of memory that helpers read and write.
var memTypes = accepted{
	types: []regType{ptrStack, ptrPacket, ptrPacketMeta, ptrMapKey, ptrMapValue, ptrMem, ptrMem | inRingbuf},
	names: "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_",
}

var scalarTypes = accepted{types: []regType{scalar}, names: "scalar"}

// acceptedTypes are the types by kind of argument (compatible_reg_types).
var acceptedTypes = map[desc.Arg]*accepted{
	desc.ArgMapKey:               &memTypes,
	desc.ArgMapValue:             &memTypes,
	desc.ArgMem:                  &memTypes,
	desc.ArgConstSize:            &scalarTypes,
	desc.ArgConstSizeOrZero:      &scalarTypes,
	desc.ArgConstAllocSizeOrZero: &scalarTypes,
	desc.ArgConstMapPtr:          {types: []regType{constMapPtr}, names: "map_ptr"},
	desc.ArgCtx:                  {types: []regType{ptrCtx}, names: "ctx"},
	desc.ArgSockCommon:           {types: []regType{ptrSockCommon, ptrSocket, ptrTCPSock, ptrXDPSock}, names: "sock_common, sock, tcp_sock, xdp_sock"},
	desc.ArgBTFIDSockCommon: {types: []regType{ptrSockCommon, ptrSocket, ptrTCPSock, ptrXDPSock},
		names: "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_"},
	desc.ArgSocket:      {types: []regType{ptrSocket}, names: "sock"},
	desc.ArgSpinLock:    {types: []regType{ptrMapValue}, names: "map_value, ptr_"},
	desc.ArgRingbufMem:  {types: []regType{ptrMem | inRingbuf}, names: "ringbuf_mem"},
	desc.ArgFunc:        {types: []regType{ptrFunc}, names: "func"},
	desc.ArgStack:       {types: []regType{ptrStack}, names: "fp"},
	desc.ArgConstStr:    {types: []regType{ptrMapValue}, names: "map_value"},
	desc.ArgBTFID:       {types: nil, names: "ptr_, trusted_ptr_, rcu_ptr_"},
	desc.ArgPercpuBTFID: {types: nil, names: "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_"},
	desc.ArgTimer:       {types: []regType{ptrMapValue}, names: "map_value", opaque: true},
	desc.ArgKptr:        {types: []regType{ptrMapValue}, names: "map_value, ptr_", opaque: true},
	desc.ArgDynptr:      {types: []regType{ptrStack}, names: "fp, dynptr_ptr", opaque: true},
}

// rawMem is memory that a helper fills: it need not be initialised before.
type rawMem struct {
	want bool
	size int
	reg  insn.Reg
}

// helperCall is what the arguments of a call have told so far
// (bpf_call_arg_meta).
type helperCall struct {
	id     int32
	proto  *desc.Helper
	m      *desc.Map
	mapIdx int32
	uid    uint32
	raw    rawMem

	release  insn.Reg // argument that gives a reference back
	refID    uint32
	memSize  uint64
	maxSize  uint64
	sub      int32
	str      reg   // the format string
	constKey int64 // of a lookup; -1: not known
}

// checkArg checks argument i of a helper (check_func_arg).
func (v *verifier) checkArg(c *helperCall, i int) error {
	arg := c.proto.Args[i]
	n := insn.Reg(i + 1)
	if arg == desc.ArgNone {
		return nil
	}
	if err := v.readReg(n); err != nil {
		return err
	}
	r := v.reg(n)
	if arg == desc.ArgAnything {
		if v.isPointer(r) {
			return v.fail(errno.EACCES, ReasonPrivilege, "R%d leaks addr into helper function\n", n)
		}
		return nil
	}
	if r.typ.isPacket() && !v.mayAccessPacket(false, c) {
		return v.fail(errno.EACCES, ReasonHelper, "helper access to the packet is not allowed\n")
	}
	if arg.Base() == desc.ArgMapValue {
		var err error
		if arg, err = v.mapArg(c, arg); err != nil {
			return err
		}
	}
	if r.isZero() && arg.Has(desc.MaybeNull) {
		// Linux 6.18 forgets that the value mattered, so the log must not tell. Of
		// memory, the size of 0 that goes with NULL is enough.
		if arg.Base() != desc.ArgMem {
			if err := v.markQuietly(n); err != nil {
				return err
			}
		}
	} else {
		if err := v.checkArgType(n, arg); err != nil {
			return err
		}
		if err := v.checkArgOffset(r, n, arg); err != nil {
			return err
		}
	}
	if arg.Has(desc.Release) {
		if r.refID == 0 && !r.isZero() {
			return v.fail(errno.EINVAL, ReasonReference, "R%d must be referenced when passed to release function\n", n)
		}
		c.release = n
	}
	if r.refID != 0 {
		if c.refID != 0 {
			return v.fail(errno.EACCES, ReasonReference, "more than one arg with ref_obj_id R%d %d %d", n, r.refID, c.refID)
		}
		c.refID = r.refID
	}
	return v.checkArgKind(c, i, n, r, arg)
}

// mapArg is what a map's value means for a map of this type: sockets go into maps
// as pointers, and a bloom filter is asked for a value (resolve_map_arg_type).
func (v *verifier) mapArg(c *helperCall, arg desc.Arg) (desc.Arg, error) {
	switch {
	case c.m == nil:
		return 0, v.internal("invalid map_ptr to access map->type")
	case isSockMap(c.m) && arg == desc.ArgMapValue:
		return desc.ArgBTFIDSockCommon, nil
	case isSockMap(c.m):
		return 0, v.fail(errno.EINVAL, ReasonHelper, "invalid arg_type for sockmap/sockhash\n")
	case c.m.Type == uapi.BPF_MAP_TYPE_BLOOM_FILTER && c.id == int32(uapi.BPF_FUNC_map_peek_elem):
		return desc.ArgMapValue, nil
	}
	return arg, nil
}

// checkArgType checks the type of the register (check_reg_type).
func (v *verifier) checkArgType(n insn.Reg, arg desc.Arg) error {
	r := v.reg(n)
	ok := acceptedTypes[arg.Base()]
	if ok == nil {
		return v.unsupported("a helper with this kind of argument")
	}
	t := r.typ
	if arg.Has(desc.MemRDOnly) {
		t &^= readOnly
	}
	if arg.Has(desc.MaybeNull) {
		t &^= orNull
	}
	if ok.has(t) {
		if ok.opaque {
			return v.unsupported("a helper with this kind of argument")
		}
		return nil
	}
	return v.fail(errno.EACCES, ReasonHelper, "R%d type=%s expected=%s\n", n, r.typ, ok.names)
}

// checkArgOffset checks what may have been added to the pointer
// (check_func_arg_reg_off).
func (v *verifier) checkArgOffset(r *reg, n insn.Reg, arg desc.Arg) error {
	if arg.Has(desc.Release) {
		if r.off != 0 {
			return v.fail(errno.EINVAL, ReasonReference,
				"R%d must have zero offset when passed to release func or trusted arg to kfunc\n", n)
		}
		return v.unmodified(r, n, false)
	}
	switch r.typ {
	case ptrStack, ptrPacket, ptrPacketMeta, ptrMapKey, ptrMapValue, ptrMem, ptrMem | readOnly,
		ptrMem | inRingbuf, scalar:
		return nil
	}
	return v.unmodified(r, n, false)
}

// checkArgKind does what is particular to the kind of argument.
func (v *verifier) checkArgKind(c *helperCall, i int, n insn.Reg, r *reg, arg desc.Arg) error {
	write := arg.Has(desc.MemWrite)
	switch arg.Base() {
	case desc.ArgConstMapPtr:
		c.m, c.mapIdx, c.uid = v.mapOf(r), r.to.mapIdx, r.to.mapUID
	case desc.ArgMapKey:
		return v.checkKey(c, n)
	case desc.ArgMapValue:
		if arg.Has(desc.MaybeNull) && r.isZero() {
			return nil
		}
		if c.m == nil {
			return v.internal("invalid map_ptr to access map->value")
		}
		c.raw.want = arg.Has(desc.MemUninit)
		return v.helperMem(c, n, int(c.m.ValueSize), write, false, &c.raw)
	case desc.ArgSpinLock:
		return v.spinLock(n, c.id == int32(uapi.BPF_FUNC_spin_lock))
	case desc.ArgFunc:
		c.sub = r.to.num
	case desc.ArgMem:
		c.raw.want = arg.Has(desc.MemUninit)
		if arg.Has(desc.FixedSize) {
			if err := v.helperMem(c, n, int(c.proto.ArgSize[i]), write, false, &c.raw); err != nil {
				return err
			}
			if arg.Has(desc.Aligned) {
				return v.aligned(r, 0, int(c.proto.ArgSize[i]), true)
			}
		}
	case desc.ArgConstSize, desc.ArgConstSizeOrZero:
		return v.checkSize(c, n, c.proto.Args[i-1].Has(desc.MemWrite), arg.Base() == desc.ArgConstSizeOrZero)
	case desc.ArgConstAllocSizeOrZero:
		if !r.IsConst() {
			return v.fail(errno.EACCES, ReasonHelper, "R%d is not a known constant'\n", n)
		}
		c.memSize = r.Const()
		return v.markPrecise(n)
	case desc.ArgConstStr:
		c.str = *r
		return v.checkString(r, n)
	}
	return nil
}

// checkKey checks the key of a map operation. Where the key of an array is
// known, a lookup cannot fail.
func (v *verifier) checkKey(c *helperCall, n insn.Reg) error {
	if c.m == nil {
		return v.internal("invalid map_ptr to access map->key")
	}
	if err := v.helperMem(c, n, int(c.m.KeySize), false, false, nil); err != nil {
		return err
	}
	if !neverMisses(c.m.Type) {
		return nil
	}
	key, ok, err := v.constantKey(n, int(c.m.KeySize))
	c.constKey = -1
	if ok {
		c.constKey = key
	}
	return err
}

// neverMisses: a lookup of an index within the map gives a value
// (can_elide_value_nullness).
func neverMisses(t uapi.MapType) bool {
	return t == uapi.BPF_MAP_TYPE_ARRAY || t == uapi.BPF_MAP_TYPE_PERCPU_ARRAY
}

// constantKey is the key on the stack that R[n] points to, if it is known
// (get_constant_map_key).
func (v *verifier) constantKey(n insn.Reg, size int) (key int64, ok bool, err error) {
	r := v.reg(n)
	if !v.priv.bpf || r.typ != ptrStack || !r.IsConst() {
		return 0, false, nil
	}
	spi, top := stackByte(int(r.off) + int(int64(r.Const())))
	s := &v.stackBase(r).stack[spi]
	count := func(k slotKind) int {
		n := 0
		for i := top; i >= 0 && s.kind[i] == k; i-- {
			n++
		}
		return n
	}
	if count(slotZero) >= size {
		return 0, true, nil
	}
	if !s.isSpilledScalar() || count(slotSpill) != size || !s.spill.IsConst() {
		return 0, false, nil
	}
	v.bt.slots[r.frame] |= 1 << spi
	if err := v.markChain(v.cur, -1, nil); err != nil {
		return 0, false, err
	}
	return int64(s.spill.Const()), true, nil
}

// checkSize checks the size argument of a memory argument (check_mem_size_reg).
func (v *verifier) checkSize(c *helperCall, n insn.Reg, write, zeroOK bool) error {
	r := v.reg(n)
	c.maxSize = r.UMax
	raw := &c.raw
	if !r.IsConst() {
		raw = nil // which part is written is not known: all must be readable
	}
	if r.SMin < 0 {
		return v.fail(errno.EACCES, ReasonBounds,
			"R%d min value is negative, either use unsigned or 'var &= const'\n", n)
	}
	if r.UMin == 0 && !zeroOK {
		return v.fail(errno.EACCES, ReasonBounds, "R%d invalid zero-sized read: u64=[%d,%d]\n", n, int64(r.UMin), int64(r.UMax))
	}
	if r.UMax >= maxVarSize {
		return v.fail(errno.EACCES, ReasonBounds,
			"R%d unbounded memory access, use 'var &= const' or 'if (var < const)'\n", n)
	}
	if err := v.helperMem(c, n-1, int(r.UMax), write, zeroOK, raw); err != nil {
		return err
	}
	return v.markPrecise(n)
}

// helperMem checks that a helper may access size bytes at R[n]
// (check_helper_mem_access).
func (v *verifier) helperMem(c *helperCall, n insn.Reg, size int, write, zeroOK bool, raw *rawMem) error {
	r := v.reg(n)
	off := int(r.off)
	switch r.typ.base() {
	case ptrPacket, ptrPacketMeta:
		return v.accessPacket(n, off, size, zeroOK)
	case ptrMapKey:
		if write {
			return v.fail(errno.EACCES, ReasonType, "R%d cannot write into %s\n", n, r.typ)
		}
		return v.inRegion(n, off, size, v.mapOf(r).KeySize, false)
	case ptrMapValue:
		if err := v.mapDirection(n, off, size, write); err != nil {
			return err
		}
		return v.inMapValue(n, off, size, zeroOK)
	case ptrMem:
		if write && r.typ&readOnly != 0 {
			return v.fail(errno.EACCES, ReasonType, "R%d cannot write into %s\n", n, r.typ)
		}
		return v.inRegion(n, off, size, uint32(r.to.num), zeroOK)
	case ptrStack:
		return v.initialized(n, off, size, zeroOK, write, raw)
	}
	if zeroOK && size == 0 && r.isZero() {
		return nil
	}
	return v.fail(errno.EACCES, ReasonHelper, "R%d type=%s expected=fp\n", n, r.typ)
}

// checkString checks a constant string (check_reg_const_str).
func (v *verifier) checkString(r *reg, n insn.Reg) error {
	m := v.mapOf(r)
	switch {
	case !m.ReadOnlyProg || m.Frozen == nil || !m.Frozen():
		return v.fail(errno.EACCES, ReasonHelper, "R%d does not point to a readonly map'\n", n)
	case !r.IsConst():
		return v.fail(errno.EACCES, ReasonHelper, "R%d is not a constant address'\n", n)
	case m.ValueAddr == nil:
		return v.fail(errno.EACCES, ReasonHelper, "no direct value access support for this map type\n")
	}
	if err := v.inMapValue(n, int(r.off), int(m.ValueSize)-int(r.off), false); err != nil {
		return err
	}
	if _, ok := v.constString(r); !ok {
		return v.fail(errno.EINVAL, ReasonHelper, "string is not zero-terminated\n")
	}
	return nil
}

// constString reads a constant string; ok is false if it has no end.
func (v *verifier) constString(r *reg) (s string, ok bool) {
	m := v.mapOf(r)
	var b strings.Builder
	for off := uint32(r.off) + uint32(r.Const()); off < m.ValueSize; off++ {
		addr, ok := m.ValueAddr(off)
		if !ok {
			return "", false
		}
		c := byte(loadConst(addr, 1, false))
		if c == 0 {
			return b.String(), true
		}
		b.WriteByte(c)
	}
	return "", false
}
