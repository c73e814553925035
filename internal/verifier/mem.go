package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier/tnum"
)

// access is one access to memory through a register.
type access struct {
	reg  insn.Reg // the address
	off  int      // from the instruction, then with the register's fixed offset
	size int
	// write says the direction; value is the register stored or loaded, -1 for
	// none.
	write bool
	value int
	// strict wants alignment whatever the flags say, once.
	strict bool
	// signed loads extend the sign.
	signed bool
}

func (a *access) loads() bool { return !a.write && a.value >= 0 }

// accessByType checks an access by what the register points to.
var accessByType = [numTypes]func(*verifier, *access) error{
	ptrCtx:        (*verifier).accessCtx,
	ptrMapValue:   (*verifier).accessMapValue,
	ptrMapKey:     (*verifier).accessMapKey,
	ptrStack:      (*verifier).accessStack,
	ptrPacket:     (*verifier).accessPacketReg,
	ptrPacketMeta: (*verifier).accessPacketReg,
	ptrFlowKeys:   (*verifier).accessFlowKeys,
	ptrMem:        (*verifier).accessMem,
	constMapPtr:   (*verifier).accessMapPtr,
	ptrSocket:     (*verifier).accessSock,
	ptrSockCommon: (*verifier).accessSock,
	ptrTCPSock:    (*verifier).accessSock,
	ptrXDPSock:    (*verifier).accessSock,
	ptrTPBuffer:   (*verifier).accessTPBuffer,
}

// checkAccess checks an access and sets the register that is loaded
// (check_mem_access).
func (v *verifier) checkAccess(a access) error {
	r := v.reg(a.reg)
	if err := v.aligned(r, a.off, a.size, a.strict); err != nil {
		return err
	}
	a.off += int(r.off)
	// Only memory may be tested for NULL in one function and used in another.
	check := accessByType[r.typ.base()]
	if check == nil || r.typ != r.typ.base() && r.typ.base() != ptrMem {
		return v.failAccess(&a, r)
	}
	if err := check(v, &a); err != nil {
		return err
	}
	if !a.loads() || a.size == slotSize {
		return nil
	}
	dst := v.reg(insn.Reg(a.value))
	if dst.typ != scalar {
		return nil
	}
	if a.signed {
		// Linux 6.18 keeps the id of a spilled scalar that is filled with its sign
		// extended, as if it were a copy; it is one only if the sign is clear.
		if dst.UMax >= 1<<(8*a.size-1) {
			dst.id = 0
		}
		dst.SignExtend(a.size)
	} else {
		dst.Truncate(a.size)
	}
	return nil
}

func (v *verifier) failAccess(a *access, r *reg) error {
	return v.fail(errno.EACCES, ReasonType, "R%d invalid mem access '%s'\n", a.reg, r.typ)
}

// setLoaded makes the register loaded unknown.
func (v *verifier) setLoaded(a *access) {
	if a.loads() {
		v.setUnknown(v.reg(insn.Reg(a.value)))
	}
}

// leaks refuses to store a pointer where others may read it.
func (v *verifier) leaks(a *access, where string) error {
	if a.write && a.value >= 0 && v.isPointer(v.reg(insn.Reg(a.value))) {
		return v.fail(errno.EACCES, ReasonPrivilege, "R%d leaks addr into %s\n", a.value, where)
	}
	return nil
}

// aligned checks the alignment of an access (check_ptr_alignment).
func (v *verifier) aligned(r *reg, off, size int, strict bool) error {
	strict = strict || v.strictAlignment || r.typ == ptrStack
	if !strict || size == 1 {
		return nil
	}
	if r.typ.isPacket() {
		const ipAlign = 2
		at := r.Var.Add(tnum.Const(uint64(int64(ipAlign + int(r.off) + off))))
		if !at.IsAligned(uint64(size)) {
			return v.fail(errno.EACCES, ReasonAlign, "misaligned packet access off %d+%s+%d+%d size %d\n",
				ipAlign, r.Var, r.off, off, size)
		}
		return nil
	}
	at := r.Var.Add(tnum.Const(uint64(int64(int(r.off) + off))))
	if !at.IsAligned(uint64(size)) {
		what := ""
		if r.typ == r.typ.base() {
			what = r.typ.props().align
		}
		return v.fail(errno.EACCES, ReasonAlign, "misaligned %saccess off %s+%d+%d size %d\n",
			what, r.Var, r.off, off, size)
	}
	return nil
}

// inBounds checks that size bytes at off lie in a block of memory of limit bytes
// that register n points into (__check_mem_access).
func (v *verifier) inBounds(n insn.Reg, off, size int64, limit uint32, zeroOK bool) error {
	if off >= 0 && (size > 0 || size == 0 && zeroOK) && uint64(off)+uint64(size) <= uint64(limit) {
		return nil
	}
	r := v.reg(n)
	switch {
	case r.typ == ptrMapKey:
		return v.fail(errno.EACCES, ReasonBounds, "invalid access to map key, key_size=%d off=%d size=%d\n", limit, int32(off), size)
	case r.typ == ptrMapValue:
		return v.fail(errno.EACCES, ReasonBounds, "invalid access to map value, value_size=%d off=%d size=%d\n", limit, int32(off), size)
	case r.typ.isPacketAny() && r.typ == r.typ.base():
		return v.fail(errno.EACCES, ReasonBounds, "invalid access to packet, off=%d size=%d, R%d(id=%d,off=%d,r=%d)\n",
			int32(off), size, n, r.id, int32(off), int32(limit))
	}
	return v.fail(errno.EACCES, ReasonBounds, "invalid access to memory, mem_size=%d off=%d size=%d\n", limit, int32(off), size)
}

func (v *verifier) failNegative(n insn.Reg) error {
	return v.fail(errno.EACCES, ReasonBounds,
		"R%d min value is negative, either use unsigned index or do a if (index >=0) check.\n", n)
}

// inRegion checks an access at a variable offset, at its smallest and its
// largest (check_mem_region_access).
func (v *verifier) inRegion(n insn.Reg, off, size int, limit uint32, zeroOK bool) error {
	r := v.reg(n)
	lo := int64(off) + r.SMin
	if r.SMin < 0 && (r.SMin == -1<<63 || lo != int64(int32(lo)) || lo < 0) {
		return v.failNegative(n)
	}
	if err := v.inBounds(n, int64(int32(lo)), int64(size), limit, zeroOK); err != nil {
		return v.also(err, "R%d min value is outside of the allowed memory range\n", n)
	}
	if r.UMax >= maxVarOff {
		return v.fail(errno.EACCES, ReasonBounds,
			"R%d unbounded memory access, make sure to bounds check any such access\n", n)
	}
	if err := v.inBounds(n, int64(int32(int64(r.UMax)+int64(off))), int64(size), limit, zeroOK); err != nil {
		return v.also(err, "R%d max value is outside of the allowed memory range\n", n)
	}
	return nil
}

// unmodified checks that nothing variable, and nothing negative, was added to a
// pointer; fixed: a constant may have been (__check_ptr_off_reg).
func (v *verifier) unmodified(r *reg, n insn.Reg, fixed bool) error {
	switch {
	case r.off < 0:
		return v.fail(errno.EACCES, ReasonArithmetic, "negative offset %s ptr R%d off=%d disallowed\n", r.typ, n, r.off)
	case !fixed && r.off != 0:
		return v.fail(errno.EACCES, ReasonArithmetic, "dereference of modified %s ptr R%d off=%d disallowed\n", r.typ, n, r.off)
	case !r.Var.Is(0):
		return v.fail(errno.EACCES, ReasonArithmetic, "variable %s access var_off=%s disallowed\n", r.typ, r.Var)
	}
	return nil
}

func (v *verifier) accessStack(a *access) error {
	if err := v.boundStack(a.reg, a.off, a.size, a.write); err != nil {
		return err
	}
	if a.write {
		return v.storeStack(a.reg, a.off, a.size, a.value)
	}
	return v.loadStack(a.reg, a.off, a.size, a.value)
}

func (v *verifier) accessMapKey(a *access) error {
	if a.write {
		return v.fail(errno.EACCES, ReasonType, "write to change key R%d not allowed\n", a.reg)
	}
	if err := v.inRegion(a.reg, a.off, a.size, v.mapOf(v.reg(a.reg)).KeySize, false); err != nil {
		return err
	}
	v.setLoaded(a)
	return nil
}

func (v *verifier) accessMapValue(a *access) error {
	if err := v.leaks(a, "map"); err != nil {
		return err
	}
	if err := v.mapDirection(a.reg, a.off, a.size, a.write); err != nil {
		return err
	}
	if err := v.inMapValue(a.reg, a.off, a.size, false); err != nil {
		return err
	}
	if !a.loads() {
		return nil
	}
	r, dst := v.reg(a.reg), v.reg(insn.Reg(a.value))
	m := v.mapOf(r)
	if !r.IsConst() || !isConstMap(m) {
		v.setUnknown(dst)
		return nil
	}
	addr, ok := m.ValueAddr(uint32(a.off + int(r.Const())))
	if !ok {
		return v.reject(errno.EINVAL, ReasonMap, "")
	}
	dst.typ = scalar
	dst.setKnown(loadConst(addr, a.size, a.signed))
	return nil
}

// isConstMap says whether a map's contents can no longer change
// (bpf_map_is_rdonly).
func isConstMap(m *desc.Map) bool {
	return m.ReadOnlyProg && m.ValueAddr != nil && m.Frozen != nil && m.Frozen()
}

func loadConst(addr uint64, size int, signed bool) uint64 {
	switch size {
	case 1:
		if x := mem.Load8(addr); signed {
			return uint64(int64(int8(x)))
		} else {
			return uint64(x)
		}
	case 2:
		if x := mem.Load16(addr); signed {
			return uint64(int64(int16(x)))
		} else {
			return uint64(x)
		}
	case 4:
		if x := mem.Load32(addr); signed {
			return uint64(int64(int32(x)))
		} else {
			return uint64(x)
		}
	}
	return mem.Load64(addr)
}

// mapDirection checks that the program may write or read the map's values
// (check_map_access_type).
func (v *verifier) mapDirection(n insn.Reg, off, size int, write bool) error {
	m := v.mapOf(v.reg(n))
	if write && m.ReadOnlyProg {
		return v.fail(errno.EACCES, ReasonMap, "write into map forbidden, value_size=%d off=%d size=%d\n", m.ValueSize, off, size)
	}
	if !write && m.WriteOnlyProg {
		return v.fail(errno.EACCES, ReasonMap, "read from map forbidden, value_size=%d off=%d size=%d\n", m.ValueSize, off, size)
	}
	return nil
}

// Sizes of the fields in map values that only the kernel may touch.
const (
	spinLockSize = 4
	timerSize    = 16
)

// inMapValue checks that an access stays within a map's value and outside of the
// fields that belong to the kernel (check_map_access).
func (v *verifier) inMapValue(n insn.Reg, off, size int, zeroOK bool) error {
	r := v.reg(n)
	m := v.mapOf(r)
	if err := v.inRegion(n, off, size, m.ValueSize, zeroOK); err != nil {
		return err
	}
	lo, hi := int64(off)+r.SMin, int64(r.UMax)+int64(off)+int64(size)
	touches := func(at int32, width int64) bool {
		return at >= 0 && lo < int64(at)+width && int64(at) < hi
	}
	name := ""
	switch {
	case touches(m.SpinLockOff, spinLockSize):
		name = "bpf_spin_lock"
	case touches(m.TimerOff, timerSize):
		name = "bpf_timer"
	}
	if name != "" {
		return v.fail(errno.EACCES, ReasonType, "%s cannot be accessed directly by load/store\n", name)
	}
	return nil
}

func (v *verifier) accessMem(a *access) error {
	r := v.reg(a.reg)
	if r.typ&orNull != 0 {
		return v.failAccess(a, r)
	}
	if a.write && r.typ&readOnly != 0 {
		return v.fail(errno.EACCES, ReasonType, "R%d cannot write into %s\n", a.reg, r.typ)
	}
	if err := v.leaks(a, "mem"); err != nil {
		return err
	}
	if err := v.inRegion(a.reg, a.off, a.size, uint32(r.to.num), false); err != nil {
		return err
	}
	v.setLoaded(a)
	return nil
}

func (v *verifier) accessPacketReg(a *access) error {
	if a.write && !v.mayAccessPacket(true, nil) {
		return v.fail(errno.EACCES, ReasonContext, "cannot write into packet\n")
	}
	if err := v.leaks(a, "packet"); err != nil {
		return err
	}
	if err := v.accessPacket(a.reg, a.off, a.size, false); err != nil {
		return err
	}
	v.setLoaded(a)
	return nil
}

// accessTPBuffer checks an access to what a writable tracepoint's first argument
// points to; how long that is, is known where the program is attached
// (check_tp_buffer_access).
func (v *verifier) accessTPBuffer(a *access) error {
	r := v.reg(a.reg)
	if a.off < 0 {
		return v.fail(errno.EACCES, ReasonBounds, "R%d invalid tracepoint buffer access: off=%d, size=%d\n", a.reg, a.off, a.size)
	}
	if !r.Var.Is(0) {
		return v.fail(errno.EACCES, ReasonBounds, "R%d invalid variable buffer offset: off=%d, var_off=%s\n", a.reg, a.off, r.Var)
	}
	v.setLoaded(a)
	return nil
}

// flowKeysSize is sizeof(struct bpf_flow_keys).
const flowKeysSize = 56

func (v *verifier) accessFlowKeys(a *access) error {
	if err := v.leaks(a, "flow keys"); err != nil {
		return err
	}
	if a.off < 0 || a.off+a.size > flowKeysSize {
		return v.fail(errno.EACCES, ReasonBounds, "invalid access to flow keys off=%d size=%d\n", a.off, a.size)
	}
	v.setLoaded(a)
	return nil
}

// mapStructs are the kernel's structures behind map pointers.
var mapStructs = map[uapi.MapType]string{
	uapi.BPF_MAP_TYPE_ARRAY:            "bpf_array",
	uapi.BPF_MAP_TYPE_PERCPU_ARRAY:     "bpf_array",
	uapi.BPF_MAP_TYPE_PROG_ARRAY:       "bpf_array",
	uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY: "bpf_array",
	uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS:    "bpf_array",
	uapi.BPF_MAP_TYPE_HASH:             "bpf_htab",
	uapi.BPF_MAP_TYPE_LRU_HASH:         "bpf_htab",
	uapi.BPF_MAP_TYPE_PERCPU_HASH:      "bpf_htab",
	uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH:  "bpf_htab",
	uapi.BPF_MAP_TYPE_HASH_OF_MAPS:     "bpf_htab",
	uapi.BPF_MAP_TYPE_LPM_TRIE:         "lpm_trie",
	uapi.BPF_MAP_TYPE_QUEUE:            "bpf_queue_stack",
	uapi.BPF_MAP_TYPE_STACK:            "bpf_queue_stack",
	uapi.BPF_MAP_TYPE_RINGBUF:          "bpf_ringbuf_map",
	uapi.BPF_MAP_TYPE_STACK_TRACE:      "bpf_stack_map",
}

// accessMapPtr checks access to the map itself (check_ptr_to_map_access). What
// can be read is a matter of the kernel's BTF.
func (v *verifier) accessMapPtr(a *access) error {
	name, ok := mapStructs[v.mapOf(v.reg(a.reg)).Type]
	switch {
	case !ok:
	case !v.priv.leaks:
		return v.fail(errno.EPERM, ReasonPrivilege,
			"'struct %s' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n", name)
	case a.off < 0:
		return v.fail(errno.EACCES, ReasonBounds, "R%d is %s invalid negative access: off=%d\n", a.reg, name, a.off)
	case a.write:
		return v.fail(errno.EACCES, ReasonType, "only read from %s is supported\n", name)
	}
	return v.unsupported("access to struct bpf_map")
}

// checkLoad checks LDX (check_load_mem).
func (v *verifier) checkLoad(signed bool) error {
	return v.load(false, signed, "ldx")
}

func (v *verifier) load(strict, signed bool, where string) error {
	in := v.insn
	if err := v.readReg(in.Src()); err != nil {
		return err
	}
	if err := v.writeReg(in.Dst()); err != nil {
		return err
	}
	typ := v.reg(in.Src()).typ
	err := v.checkAccess(access{reg: in.Src(), off: int(in.Off()), size: in.SizeBytes(), value: int(in.Dst()),
		strict: strict, signed: signed})
	if err != nil {
		return err
	}
	if err := v.noteType(typ); err != nil {
		return err
	}
	return v.sane(v.reg(in.Dst()), where)
}

// checkStore checks STX: stores and atomics.
func (v *verifier) checkStore() error {
	in := v.insn
	if in.Mode() == insn.ModeAtomic {
		return v.checkAtomic()
	}
	if in.Mode() != insn.ModeMem || in.Imm() != 0 {
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_STX uses reserved fields\n")
	}
	return v.store(false)
}

func (v *verifier) store(strict bool) error {
	in := v.insn
	if err := v.readReg(in.Src()); err != nil {
		return err
	}
	if err := v.readReg(in.Dst()); err != nil {
		return err
	}
	typ := v.reg(in.Dst()).typ
	err := v.checkAccess(access{reg: in.Dst(), off: int(in.Off()), size: in.SizeBytes(), value: int(in.Src()),
		write: true, strict: strict})
	if err != nil {
		return err
	}
	return v.noteType(typ)
}

// checkStoreImm checks ST.
func (v *verifier) checkStoreImm() error {
	in := v.insn
	if in.Mode() != insn.ModeMem || in.Src() != 0 {
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_ST uses reserved fields\n")
	}
	if err := v.readReg(in.Dst()); err != nil {
		return err
	}
	typ := v.reg(in.Dst()).typ
	err := v.checkAccess(access{reg: in.Dst(), off: int(in.Off()), size: in.SizeBytes(), value: -1, write: true})
	if err != nil {
		return err
	}
	return v.noteType(typ)
}

// memKinds is what rewriting must know of the memory behind a type.
func memKind(t regType) prog.MemKind {
	switch {
	case t == ptrCtx:
		return prog.MemCtx
	case t.props().sock:
		return prog.MemSock
	case t&untrusted != 0:
		return prog.MemProbe
	}
	return prog.MemPlain
}

// noteType remembers what an instruction accesses. Instructions that will be
// rewritten must access one type on every path (save_aux_ptr_type).
func (v *verifier) noteType(t regType) error {
	aux := &v.aux[v.insnIdx]
	if aux.ptrType == notInit {
		aux.ptrType = t
		v.facts[v.insnIdx].Mem = memKind(t)
		return nil
	}
	if aux.ptrType != t && (t.props().exclusive || aux.ptrType.props().exclusive) {
		return v.fail(errno.EINVAL, ReasonType, "same insn cannot be used with different pointers\n")
	}
	return nil
}

// checkAtomic checks the atomic operations (check_atomic).
func (v *verifier) checkAtomic() error {
	in := v.insn
	switch in.Imm() {
	case insn.AtomicLoadAcq:
		if err := v.load(true, false, "atomic_load"); err != nil {
			return err
		}
		return v.atomicTarget(in.Src(), "loads from")
	case insn.AtomicStoreRel:
		if err := v.store(true); err != nil {
			return err
		}
		return v.atomicTarget(in.Dst(), "stores into")
	case insn.AtomicAdd, insn.AtomicAdd | insn.AtomicFetch, insn.AtomicAnd, insn.AtomicAnd | insn.AtomicFetch,
		insn.AtomicOr, insn.AtomicOr | insn.AtomicFetch, insn.AtomicXor, insn.AtomicXor | insn.AtomicFetch,
		insn.AtomicXchg, insn.AtomicCmpxchg:
		return v.checkModify()
	}
	return v.fail(errno.EINVAL, ReasonEncoding, "BPF_ATOMIC uses invalid atomic opcode %02x\n", uint32(in.Imm()))
}

// atomicTarget refuses memory that atomics cannot work on (atomic_ptr_type_ok).
func (v *verifier) atomicTarget(n insn.Reg, how string) error {
	t := v.reg(n).typ
	if t == ptrCtx || t.isPacket() || t == ptrFlowKeys || t == t.base() && t.props().sock {
		return v.fail(errno.EACCES, ReasonType, "BPF_ATOMIC %s R%d %s is not allowed\n", how, n, t)
	}
	return nil
}

// checkModify checks read-modify-write operations (check_atomic_rmw).
func (v *verifier) checkModify() error {
	in := v.insn
	if in.Size() != insn.SizeW && in.Size() != insn.SizeDW {
		return v.fail(errno.EINVAL, ReasonEncoding, "invalid atomic operand size\n")
	}
	if err := v.readReg(in.Src()); err != nil {
		return err
	}
	if err := v.readReg(in.Dst()); err != nil {
		return err
	}
	exchange := in.Imm() == insn.AtomicCmpxchg
	if exchange {
		if err := v.readReg(insn.R0); err != nil {
			return err
		}
		if v.isPointer(v.reg(insn.R0)) {
			return v.fail(errno.EACCES, ReasonPrivilege, "R0 leaks addr into mem\n")
		}
	}
	if v.isPointer(v.reg(in.Src())) {
		return v.fail(errno.EACCES, ReasonPrivilege, "R%d leaks addr into mem\n", in.Src())
	}
	if err := v.atomicTarget(in.Dst(), "stores into"); err != nil {
		return err
	}
	loaded := -1
	if in.Imm()&insn.AtomicFetch != 0 {
		loaded = int(in.Src())
		if exchange {
			loaded = int(insn.R0)
		}
		if err := v.clobber(insn.Reg(loaded)); err != nil {
			return err
		}
	}
	a := access{reg: in.Dst(), off: int(in.Off()), size: in.SizeBytes(), value: -1, strict: true}
	if err := v.checkAccess(a); err != nil {
		return err
	}
	if loaded >= 0 {
		a.value = loaded
		if err := v.checkAccess(a); err != nil {
			return err
		}
	}
	typ := v.reg(in.Dst()).typ
	a.write, a.value = true, -1
	if err := v.checkAccess(a); err != nil {
		return err
	}
	v.facts[v.insnIdx].Mem = memKind(typ)
	return nil
}
