package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// checkCall checks a call of any kind.
func (v *verifier) checkCall() error {
	in := v.insn
	kfunc := in.Src() == insn.PseudoKfuncCall
	if in.Source() != insn.SrcK || !kfunc && in.Off() != 0 || in.Src() > insn.PseudoKfuncCall ||
		in.Dst() != 0 || in.Class() == insn.ClassJMP32 {
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_CALL uses reserved fields\n")
	}
	if v.cur.locks > 0 && (kfunc || in.Src() == 0 && in.Imm() != int32(uapi.BPF_FUNC_spin_unlock)) {
		return v.fail(errno.EINVAL, ReasonLock, "function calls are not allowed while holding a lock\n")
	}
	switch in.Src() {
	case insn.PseudoCall:
		return v.checkSubprogCall()
	case 0:
		return v.checkHelper()
	}
	return v.unsupported("calling a kernel function")
}

// checkSubprogCall checks a call of a subprogram: a static one is walked as part
// of its caller, a global one only has its arguments checked (check_func_call).
func (v *verifier) checkSubprogCall() error {
	sub := v.subprogAt(v.insnIdx + int(v.insn.Imm()) + 1)
	if sub < 0 {
		return v.internal("target of func call is not a program")
	}
	v.facts[v.insnIdx].Sub = int32(sub)
	caller := v.cur.top()
	argErr := v.matchArgs(sub, &caller.regs)
	if argErr != nil && errnoOf(argErr) == errno.EFAULT {
		return argErr
	}
	if v.isGlobal(sub) {
		return v.callGlobal(sub, caller, argErr)
	}
	if err := v.enter(v.cur, sub, v.insnIdx, passArgs); err != nil {
		return err
	}
	v.clobberArgs(&caller.regs)
	v.insnIdx = v.subs[sub].start - 1
	v.live.forget()
	if v.logging() {
		v.printf("caller:\n")
		v.printState(v.cur, int(caller.number))
		v.printf("callee:\n")
		v.printState(v.cur, v.cur.depth)
	}
	return nil
}

// callGlobal assumes that a global function is valid; it is verified later, on
// its own.
func (v *verifier) callGlobal(sub int, caller *frame, argErr error) error {
	s := &v.subs[sub]
	if v.cur.locks > 0 {
		return v.fail(errno.EINVAL, ReasonLock,
			"global function calls are not allowed while holding a lock,\nuse static function instead\n")
	}
	if s.mightSleep && !v.sleepable() {
		return v.fail(errno.EINVAL, ReasonHelper,
			"global functions that may sleep are not allowed in non-sleepable context,\n"+
				"i.e., in a RCU/IRQ/preempt-disabled section, or in\na non-sleepable BPF program context\n")
	}
	name := v.subprogName(sub)
	if argErr != nil {
		return v.also(argErr, "Caller passes invalid args into func#%d ('%s')\n", sub, name)
	}
	if v.logging() {
		v.printf("Func#%d ('%s') is global and assumed valid.\n", sub, name)
	}
	if s.changesPacket {
		v.forgetPackets()
	}
	s.called = true
	v.clobberArgs(&caller.regs)
	r0 := &caller.regs[insn.R0]
	v.setUnknown(r0)
	r0.zextAt = 0
	return nil
}

// setArgs sets the registers of a function that is entered.
type setArgs func(caller, callee *frame) error

func passArgs(caller, callee *frame) error {
	copy(callee.regs[insn.R1:insn.R6], caller.regs[insn.R1:insn.R6])
	return nil
}

// enter adds a frame for a subprogram to a state (setup_func_entry).
func (v *verifier) enter(s *state, sub, callsite int, args setArgs) error {
	if s.depth+1 >= maxFrames {
		return v.fail(errno.E2BIG, ReasonStack, "the call stack of %d frames is too deep\n", s.depth+2)
	}
	callee := v.newFrame(callsite, s.depth+1, sub)
	if err := args(s.top(), callee); err != nil {
		return err
	}
	s.depth++
	s.frames[s.depth] = callee
	return nil
}

// leaveFunction returns to the caller (prepare_func_exit).
func (v *verifier) leaveFunction() error {
	v.live.update(v)
	s := v.cur
	callee, caller := s.frames[s.depth], s.frames[s.depth-1]
	r0 := &callee.regs[insn.R0]
	if r0.typ == ptrStack {
		return v.fail(errno.EINVAL, ReasonReturn, "cannot return stack pointer to the caller\n")
	}
	if callee.inCallback {
		if err := v.checkCallbackReturn(callee, r0); err != nil {
			return err
		}
		v.insnIdx = int(callee.callsite)
	} else {
		caller.regs[insn.R0] = *r0
		v.insnIdx = int(callee.callsite) + 1
	}
	if v.logging() {
		v.printf("returning from callee:\n")
		v.printState(s, int(callee.number))
		v.printf("to caller at %d:\n", v.insnIdx)
		v.printState(s, int(caller.number))
	}
	callback := callee.inCallback
	v.arena.freeFrame(callee)
	s.frames[s.depth] = nil
	s.depth--
	if callback {
		if before := v.findEntry(s, s.dfsDepth, v.insnIdx); before != nil {
			v.widen(before, s)
		}
	}
	return nil
}

func (v *verifier) checkCallbackReturn(callee *frame, r0 *reg) error {
	if r0.typ != scalar {
		return v.fail(errno.EACCES, ReasonReturn, "R0 not a scalar value\n")
	}
	if err := v.markPrecise(insn.R0); err != nil {
		return err
	}
	if err := v.inRange(r0, callee.retRange, "At callback return"); err != nil {
		return err
	}
	if !v.aux[callee.callsite].callsBack {
		return v.internal("in callback of a helper that calls none")
	}
	return nil
}

// inRange checks a value that is returned (retval_range_within).
func (v *verifier) inRange(r *reg, want retRange, where string) error {
	if int64(want.min) <= r.SMin && r.SMax <= int64(want.max) {
		return nil
	}
	text := ""
	known := false
	b := append(v.line(), where...)
	b = append(b, " the register R0 has"...)
	if r.SMin > -1<<63 {
		b = appendInt(append(b, " smin="...), int(r.SMin))
		known = true
	}
	if r.SMax < 1<<63-1 {
		b = appendInt(append(b, " smax="...), int(r.SMax))
		known = true
	}
	if !known {
		b = append(b, " unknown scalar value"...)
	}
	text = string(b)
	return v.fail(errno.EINVAL, ReasonReturn, "%s should have been in [%d, %d]\n", text, want.min, want.max)
}

// checkReturn checks R0 at the end of the program or of a global function
// (check_return_code).
func (v *verifier) checkReturn() error {
	if err := v.readReg(insn.R0); err != nil {
		return err
	}
	r0 := v.reg(insn.R0)
	if v.isPointer(r0) {
		return v.fail(errno.EACCES, ReasonPrivilege, "R0 leaks addr as return value\n")
	}
	if v.cur.frames[0].subprog != 0 {
		if r0.typ != scalar {
			return v.fail(errno.EINVAL, ReasonReturn, "At subprogram exit the register R0 is not a scalar value (%s)\n", r0.typ)
		}
		return nil
	}
	var want *desc.Range
	if v.typ.Return != nil {
		want = v.typ.Return(v.info)
	}
	if want == nil {
		return nil
	}
	if r0.typ != scalar {
		return v.fail(errno.EINVAL, ReasonReturn, "At program exit the register R0 is not a known value (%s)\n", r0.typ)
	}
	if err := v.markPrecise(insn.R0); err != nil {
		return err
	}
	return v.inRange(r0, retRange{want.Min, want.Max}, "At program exit")
}

// pushCallback walks a callback that a helper may call: once more from here, as
// a call (push_callback_call).
func (v *verifier) pushCallback(c *helperCall, args setArgs) error {
	sub := int(c.sub)
	caller := v.cur.top()
	if err := v.matchArgs(sub, &caller.regs); err != nil && errnoOf(err) == errno.EFAULT {
		return err
	}
	v.subs[sub].isCallback = true
	v.facts[v.insnIdx].Sub = int32(sub)
	s, err := v.push(v.subs[sub].start, v.insnIdx, false)
	if err != nil {
		return v.recode(err, errno.ENOMEM)
	}
	if err := v.enter(s, sub, v.insnIdx, args); err != nil {
		return err
	}
	s.callbackDepth++
	s.frames[s.depth-1].callbackDepth++
	caller.callbackDepth = 0
	return nil
}

// setMapElemArgs are the arguments of a bpf_for_each_map_elem callback.
func (v *verifier) setMapElemArgs(caller, callee *frame) error {
	m := v.mapOf(&caller.regs[insn.R1])
	switch m.Type {
	case uapi.BPF_MAP_TYPE_ARRAY, uapi.BPF_MAP_TYPE_PERCPU_ARRAY, uapi.BPF_MAP_TYPE_HASH,
		uapi.BPF_MAP_TYPE_PERCPU_HASH, uapi.BPF_MAP_TYPE_LRU_HASH, uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH:
	default:
		return v.fail(errno.ENOTSUPP, ReasonMap, "callback function not allowed for map\n")
	}
	r := &callee.regs
	r[insn.R1] = caller.regs[insn.R1]
	r[insn.R2].setPointer(ptrMapKey)
	r[insn.R2].to.mapIdx = r[insn.R1].to.mapIdx
	r[insn.R3].setPointer(ptrMapValue)
	r[insn.R3].to.mapIdx = r[insn.R1].to.mapIdx
	r[insn.R4] = caller.regs[insn.R3]
	callee.inCallback = true
	callee.retRange = retRange{0, 1}
	return nil
}

// setLoopArgs are the arguments of a bpf_loop callback: the index and the
// context.
func (v *verifier) setLoopArgs(caller, callee *frame) error {
	r := &callee.regs
	r[insn.R1].typ = scalar
	r[insn.R2] = caller.regs[insn.R3]
	callee.inCallback = true
	callee.retRange = retRange{0, 1}
	return nil
}

// checkLoop checks bpf_loop: the callback is walked until its states repeat, or
// as often as it may be called.
func (v *verifier) checkLoop(c *helperCall) error {
	v.noteLoopInline(c)
	if err := v.markPrecise(insn.R1); err != nil {
		return err
	}
	f := v.cur.top()
	if uint64(f.callbackDepth) < f.regs[insn.R1].UMax {
		return v.pushCallback(c, v.setLoopArgs)
	}
	f.callbackDepth = 0
	if v.log.on(LogLevel2) {
		v.printf("frame%d bpf_loop iteration limit reached\n", v.cur.depth)
	}
	return nil
}

// noteLoopInline remembers whether every call here has one callback and no
// flags (update_loop_inline_state).
func (v *verifier) noteLoopInline(c *helperCall) {
	aux := &v.aux[v.insnIdx]
	zero := func() bool {
		r := v.reg(insn.R4)
		if !r.isZero() {
			return false
		}
		return v.markPrecise(insn.R4) == nil
	}
	switch {
	case !aux.loop.seen:
		aux.loop = loopInline{seen: true, fits: zero(), sub: c.sub}
	case aux.loop.fits:
		aux.loop.fits = zero() && aux.loop.sub == c.sub
	}
}

// loopInline says whether a call of bpf_loop could be replaced by a loop.
type loopInline struct {
	seen, fits bool
	sub        int32
}
