package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// helper is the prototype of a helper for this program, nil if it has none.
func (v *verifier) helper(id int32) *desc.Helper {
	if id < 0 || uapi.FuncID(id) >= uapi.BPF_FUNC_MAX_ID || v.typ.Helper == nil {
		return nil
	}
	return v.typ.Helper(uapi.FuncID(id), v.info)
}

// checkHelper checks a call of a helper (check_helper_call).
func (v *verifier) checkHelper() error {
	id := v.insn.Imm()
	if id < 0 || uapi.FuncID(id) >= uapi.BPF_FUNC_MAX_ID {
		return v.fail(errno.EINVAL, ReasonHelper, "invalid func %s#%d\n", helperName(id), id)
	}
	h := v.helper(id)
	switch {
	case h == nil:
		return v.fail(errno.EINVAL, ReasonHelper, "program of this type cannot use helper %s#%d\n", helperName(id), id)
	case !v.info.GPL && h.GPLOnly:
		return v.fail(errno.EINVAL, ReasonHelper, "cannot call GPL-restricted function from non-GPL compatible program\n")
	case h.Allowed != nil && !h.Allowed(v.info):
		return v.fail(errno.EINVAL, ReasonHelper, "helper call is not allowed in probe\n")
	case h.MightSleep && !v.sleepable():
		return v.fail(errno.EINVAL, ReasonHelper, "helper call might sleep in a non-sleepable prog\n")
	}
	at := v.insnIdx
	v.facts[at].Helper = h
	c := helperCall{id: id, proto: h, constKey: -1}
	for i := range h.Args {
		if err := v.checkArg(&c, i); err != nil {
			return err
		}
	}
	if err := v.recordMap(&c); err != nil {
		return err
	}
	if err := v.recordKey(&c); err != nil {
		return err
	}
	for i := range c.raw.size {
		if err := v.checkAccess(access{reg: c.raw.reg, off: i, size: 1, write: true, value: -1}); err != nil {
			return err
		}
	}
	if err := v.releaseArg(&c); err != nil {
		return err
	}
	if err := v.particular(&c); err != nil {
		return err
	}
	if err := v.setResult(&c); err != nil {
		return err
	}
	if err := v.mapFits(&c); err != nil {
		return err
	}
	if id == int32(uapi.BPF_FUNC_get_func_ip) && v.info.Type != uapi.BPF_PROG_TYPE_KPROBE &&
		v.info.Type != uapi.BPF_PROG_TYPE_TRACING {
		return v.fail(errno.ENOTSUPP, ReasonHelper, "func %s#%d not supported for program type %d\n", helperName(id), id, v.info.Type)
	}
	changes := h.ChangesPktData
	if id == int32(uapi.BPF_FUNC_tail_call) {
		if v.cur.depth > 0 {
			return v.tailCallInSubprog()
		}
		changes = false
	}
	if changes {
		v.forgetPackets()
	}
	return nil
}

// sleepable says whether the program may sleep here (in_sleepable).
func (v *verifier) sleepable() bool { return v.info.Flags&uapi.BPF_F_SLEEPABLE != 0 }

// releaseArg gives back the reference that an argument holds.
func (v *verifier) releaseArg(c *helperCall) error {
	if c.release == 0 {
		return nil
	}
	ok := v.reg(c.release).isZero()
	if c.refID != 0 {
		ok = v.releaseRef(c.refID)
	}
	if !ok {
		return v.fail(errno.EINVAL, ReasonReference, "func %s#%d reference has not been acquired before\n",
			helperName(c.id), c.id)
	}
	return nil
}

// particular does what single helpers need.
func (v *verifier) particular(c *helperCall) error {
	switch uapi.FuncID(c.id) {
	case uapi.BPF_FUNC_tail_call:
		return v.noLeaks(true, "tail_call")
	case uapi.BPF_FUNC_snprintf:
		return v.checkSnprintf(c)
	case uapi.BPF_FUNC_get_local_storage:
		if !v.reg(insn.R2).isZero() {
			return v.fail(errno.EINVAL, ReasonHelper, "get_local_storage() doesn't support non-zero flags\n")
		}
	case uapi.BPF_FUNC_for_each_map_elem:
		return v.pushCallback(c, v.setMapElemArgs)
	case uapi.BPF_FUNC_loop:
		return v.checkLoop(c)
	case uapi.BPF_FUNC_find_vma, uapi.BPF_FUNC_user_ringbuf_drain, uapi.BPF_FUNC_timer_set_callback,
		uapi.BPF_FUNC_dynptr_from_mem, uapi.BPF_FUNC_dynptr_data, uapi.BPF_FUNC_dynptr_read,
		uapi.BPF_FUNC_dynptr_write, uapi.BPF_FUNC_kptr_xchg, uapi.BPF_FUNC_per_cpu_ptr,
		uapi.BPF_FUNC_this_cpu_ptr:
		return v.unsupported("the helper " + helperName(c.id))
	}
	return nil
}

// checkSnprintf checks the format string of bpf_snprintf against its arguments.
func (v *verifier) checkSnprintf(c *helperCall) error {
	size := v.reg(insn.R5).Const()
	if size%8 != 0 {
		return v.reject(errno.EINVAL, ReasonHelper, "")
	}
	format, ok := v.constString(&c.str)
	if !ok || c.proto.CheckFormat == nil {
		return v.fail(errno.EFAULT, ReasonHelper, "failed to retrieve map value address\n")
	}
	if e := c.proto.CheckFormat([]byte(format), int(size/8)); e != 0 {
		return v.fail(e, ReasonHelper, "Invalid format string\n")
	}
	return nil
}

// castHelpers give another view of the socket that they are given: the result
// is the same reference.
var castHelpers = map[uapi.FuncID]bool{
	uapi.BPF_FUNC_tcp_sock:                 true,
	uapi.BPF_FUNC_sk_fullsock:              true,
	uapi.BPF_FUNC_skc_to_tcp_sock:          true,
	uapi.BPF_FUNC_skc_to_tcp6_sock:         true,
	uapi.BPF_FUNC_skc_to_udp6_sock:         true,
	uapi.BPF_FUNC_skc_to_mptcp_sock:        true,
	uapi.BPF_FUNC_skc_to_tcp_timewait_sock: true,
	uapi.BPF_FUNC_skc_to_tcp_request_sock:  true,
}

// resultTypes are the types of pointers that helpers return.
var resultTypes = map[desc.Ret]regType{
	desc.RetMapValue:   ptrMapValue,
	desc.RetSocket:     ptrSocket,
	desc.RetSockCommon: ptrSockCommon,
	desc.RetTCPSock:    ptrTCPSock,
	desc.RetMem:        ptrMem,
}

// setResult sets R0 after a call and forgets the arguments.
func (v *verifier) setResult(c *helperCall) error {
	regs := v.regs()
	v.clobberArgs(regs)
	r0 := &regs[insn.R0]
	r0.zextAt = 0
	ret := c.proto.Ret
	switch base := ret.Base(); base {
	case desc.RetInteger:
		v.setUnknown(r0)
	case desc.RetVoid:
		r0.typ = notInit
		return nil
	default:
		t, ok := resultTypes[base]
		if !ok {
			return v.unsupported("a helper with this kind of result")
		}
		if ret&desc.RetNull != 0 {
			t |= orNull
		}
		if ret&desc.RetRingbuf != 0 {
			t |= inRingbuf
		}
		r0.setPointer(t)
		if err := v.setResultTarget(c, r0); err != nil {
			return err
		}
	}
	if r0.typ&orNull != 0 {
		r0.id = v.newID()
	}
	switch {
	case castHelpers[uapi.FuncID(c.id)]:
		r0.refID = c.refID
	case c.proto.Acquires, c.id == int32(uapi.BPF_FUNC_map_lookup_elem) && isSockMap(c.m):
		id := v.acquire()
		r0.id, r0.refID = id, id
	}
	return v.refineResult(c, r0)
}

// setResultTarget says what a returned pointer points to.
func (v *verifier) setResultTarget(c *helperCall, r0 *reg) error {
	switch r0.typ.base() {
	case ptrMapValue:
		if c.m == nil {
			return v.internal("unexpected null map_ptr")
		}
		if c.id == int32(uapi.BPF_FUNC_map_lookup_elem) && neverMisses(c.m.Type) &&
			c.constKey >= 0 && c.constKey < int64(c.m.MaxEntries) {
			r0.typ &^= orNull
		}
		r0.to.mapIdx, r0.to.mapUID = c.mapIdx, c.uid
		if r0.typ&orNull == 0 && c.m.SpinLockOff >= 0 {
			r0.id = v.newID()
		}
	case ptrMem:
		r0.to.num = int32(uint32(c.memSize))
	}
	return nil
}

// maxErrno is the kernel's MAX_ERRNO.
const maxErrno = 4095

// refineResult narrows the result of helpers that tell more
// (do_refine_retval_range).
func (v *verifier) refineResult(c *helperCall, r0 *reg) error {
	if c.proto.Ret != desc.RetInteger {
		return nil
	}
	switch uapi.FuncID(c.id) {
	case uapi.BPF_FUNC_get_stack, uapi.BPF_FUNC_get_task_stack, uapi.BPF_FUNC_probe_read_str,
		uapi.BPF_FUNC_probe_read_kernel_str, uapi.BPF_FUNC_probe_read_user_str:
		r0.SMin, r0.SMax = -maxErrno, int64(c.maxSize)
		r0.S32Min, r0.S32Max = -maxErrno, int32(c.maxSize)
		r0.Sync()
	case uapi.BPF_FUNC_get_smp_processor_id:
		if v.env.CPUs > 0 {
			r0.Scalar = bounds.Range(0, uint64(v.env.CPUs-1))
		}
	}
	return v.sane(r0, "retval")
}

// mapHelpers are the helpers whose map is recorded for rewriting.
var mapHelpers = map[uapi.FuncID]bool{
	uapi.BPF_FUNC_tail_call:              true,
	uapi.BPF_FUNC_map_lookup_elem:        true,
	uapi.BPF_FUNC_map_update_elem:        true,
	uapi.BPF_FUNC_map_delete_elem:        true,
	uapi.BPF_FUNC_map_push_elem:          true,
	uapi.BPF_FUNC_map_pop_elem:           true,
	uapi.BPF_FUNC_map_peek_elem:          true,
	uapi.BPF_FUNC_for_each_map_elem:      true,
	uapi.BPF_FUNC_redirect_map:           true,
	uapi.BPF_FUNC_map_lookup_percpu_elem: true,
}

// recordMap notes the map that a call concerns (record_func_map).
func (v *verifier) recordMap(c *helperCall) error {
	f, aux := &v.facts[v.insnIdx], &v.aux[v.insnIdx]
	if c.m != nil && !f.MapPoisoned {
		if aux.mapSeen != 0 && aux.mapSeen != c.mapIdx {
			f.Map, f.MapPoisoned = nil, true
		} else {
			f.Map = c.m
			if v.isInner(c.mapIdx) {
				f.Map, f.MapPoisoned = nil, true // which map it is shows at run time
			}
		}
		aux.mapSeen = c.mapIdx
	}
	if !mapHelpers[uapi.FuncID(c.id)] {
		return nil
	}
	if c.m == nil {
		return v.internal("expected map for helper call")
	}
	switch uapi.FuncID(c.id) {
	case uapi.BPF_FUNC_map_delete_elem, uapi.BPF_FUNC_map_update_elem,
		uapi.BPF_FUNC_map_push_elem, uapi.BPF_FUNC_map_pop_elem:
		if c.m.ReadOnlyProg {
			return v.fail(errno.EACCES, ReasonMap, "write into map forbidden\n")
		}
	}
	return nil
}

// recordKey notes the constant index of a tail call (record_func_key), and of a
// lookup in an array.
func (v *verifier) recordKey(c *helperCall) error {
	f, aux := &v.facts[v.insnIdx], &v.aux[v.insnIdx]
	note := func(known bool, key uint64) {
		switch {
		case !known || aux.keySeen && f.Key != key:
			aux.keyPoison = true
		case !aux.keySeen:
			f.Key = key
		}
		aux.keySeen = true
		f.KeyKnown = !aux.keyPoison
	}
	if c.id != int32(uapi.BPF_FUNC_tail_call) {
		if c.m != nil && neverMisses(c.m.Type) {
			note(c.constKey >= 0 && c.constKey < int64(c.m.MaxEntries), uint64(c.constKey))
		}
		return nil
	}
	if c.m == nil || c.m.Type != uapi.BPF_MAP_TYPE_PROG_ARRAY {
		return v.fail(errno.EINVAL, ReasonMap, "expected prog array map for tail call")
	}
	r := v.reg(insn.R3)
	if !r.isConst(bounds.W64) || r.Const() >= uint64(c.m.MaxEntries) {
		note(false, 0)
		return nil
	}
	if err := v.markPrecise(insn.R3); err != nil {
		return err
	}
	note(true, r.Const())
	return nil
}

// tailCallInSubprog: a tail call that succeeds leaves the subprogram with an
// unknown result; one that fails goes on.
func (v *verifier) tailCallInSubprog() error {
	return v.endEarly(func(result *reg) {
		v.forgetPackets()
		v.setUnknown(result)
	})
}

// endEarly explores both ways out of an instruction that may leave the
// subprogram: on, and to the caller with a result.
func (v *verifier) endEarly(setResult func(*reg)) error {
	v.dirtyRegs |= 1
	if _, err := v.push(v.insnIdx+1, v.insnIdx, false); err != nil {
		return err
	}
	setResult(v.reg(insn.R0))
	if err := v.leaveFunction(); err != nil {
		return err
	}
	v.insnIdx--
	return nil
}
