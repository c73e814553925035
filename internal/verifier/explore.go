package verifier

import (
	"errors"
	"strconv"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
)

// outcome is how the check of one instruction ended.
type outcome uint8

const (
	next    outcome = iota // go on at insnIdx, which the check has advanced
	pathEnd                // this path is finished
)

// explore walks all paths from the current state (do_check).
func (v *verifier) explore() error {
	prev := -1
	fresh := false // the state just came from the branch stack
	for {
		if err := v.arrive(prev); err != nil {
			return err
		}
		seen, err := v.stopHere(fresh)
		if err != nil {
			return err
		}
		end := seen
		if !seen {
			if fresh && v.log.on(LogLevel2) {
				v.printFrom(prev)
				fresh = false
			}
			prev = v.insnIdx
			end, err = v.step(&fresh)
			if err != nil {
				return err
			}
		}
		if !end {
			continue
		}
		more := false
		if prev, more, err = v.nextPath(); err != nil || !more {
			return err
		}
		fresh = true
	}
}

// arrive accounts for one more instruction.
func (v *verifier) arrive(prev int) error {
	v.hist = -1
	v.prevIdx = prev
	if v.insnIdx < 0 || v.insnIdx >= len(v.insns) {
		return v.fail(errno.EFAULT, ReasonFlow, "invalid insn idx %d insn_cnt %d\n", v.insnIdx, len(v.insns))
	}
	v.insn = v.insns[v.insnIdx]
	v.stats.Insns++
	if v.stats.Insns > maxInsnsProcessed {
		return v.fail(errno.E2BIG, ReasonComplexity, "BPF program is too large. Processed %d insn\n", v.stats.Insns)
	}
	v.cur.last, v.cur.insn = int32(prev), int32(v.insnIdx)
	return nil
}

// stopHere compares with the states seen at this instruction and keeps the
// history; seen says that the path need not be walked on.
func (v *verifier) stopHere(fresh bool) (seen bool, err error) {
	aux := &v.aux[v.insnIdx]
	if aux.prune {
		seen, err = v.visited(v.insnIdx)
		if err != nil {
			return false, err
		}
		if seen {
			v.printSafe(fresh)
			if v.env.Tracer != nil {
				v.env.Tracer.Prune(v.insnIdx)
			}
			return true, nil
		}
	}
	if aux.jumpTarget {
		v.remember(0, 0)
	}
	if v.stats.Insns&0x3ff == 0 && v.env.Context != nil && v.env.Context.Err() != nil {
		return false, v.reject(errno.EAGAIN, ReasonOther, "interrupted")
	}
	if v.env.Tracer != nil {
		v.env.Tracer.Step(v.insnIdx)
	}
	return false, nil
}

// step checks one instruction; end says that the path is finished.
func (v *verifier) step(fresh *bool) (end bool, err error) {
	if v.logging() {
		v.printStep()
	}
	v.seen(v.insnIdx)
	aux := &v.aux[v.insnIdx]
	if v.cur.speculative && aux.nospec {
		return true, nil
	}
	v.live.begin(v, v.insnIdx)
	v.believe()
	out, err := v.check(fresh)
	var rejected *Error
	recoverable := err != nil && errors.As(err, &rejected) && stopsSpeculation(rejected.Errno)
	if err == nil || recoverable {
		v.live.commit()
	}
	if err != nil {
		if !recoverable || !v.cur.speculative {
			return false, err
		}
		// What a mispredicted path may not do is stopped by a barrier.
		aux.nospec = true
		aux.alu = aluState{}
		return true, nil
	}
	return out == pathEnd || v.cur.speculative && aux.nospecAfter, nil
}

// stopsSpeculation says whether a barrier before the instruction would make the
// error impossible (error_recoverable_with_nospec).
func stopsSpeculation(e errno.Errno) bool {
	return e == errno.EPERM || e == errno.EACCES || e == errno.EINVAL
}

// seen marks an instruction as reachable.
func (v *verifier) seen(i int) {
	if !v.cur.speculative {
		v.facts[i].Seen = true
	}
}

// nextPath finishes the current path and takes up the next one.
func (v *verifier) nextPath() (prev int, more bool, err error) {
	v.dirtyAll()
	if err := v.branchDone(v.cur); err != nil {
		return 0, false, err
	}
	v.live.update(v)
	at, prev, ok := v.pop()
	if !ok {
		return 0, false, nil
	}
	v.insnIdx = at
	return prev, true, nil
}

// check dispatches by instruction class (do_check_insn).
func (v *verifier) check(fresh *bool) (outcome, error) {
	var err error
	switch v.insn.Class() {
	case insn.ClassALU, insn.ClassALU64:
		err = v.checkALU()
	case insn.ClassLDX:
		err = v.checkLoad(v.insn.Mode() == insn.ModeMemSX)
	case insn.ClassSTX:
		err = v.checkStore()
	case insn.ClassST:
		err = v.checkStoreImm()
	case insn.ClassLD:
		err = v.checkLD()
	default:
		v.jumps++
		return v.checkJump(fresh)
	}
	if err == nil {
		v.insnIdx++
	}
	return next, err
}

// checkLD checks the instructions of class LD: wide immediates and loads from
// the packet as classic BPF had them.
func (v *verifier) checkLD() error {
	switch v.insn.Mode() {
	case insn.ModeAbs, insn.ModeInd:
		return v.checkLoadAbs()
	case insn.ModeImm:
		if err := v.checkWide(); err != nil {
			return err
		}
		v.insnIdx++
		v.seen(v.insnIdx)
		return nil
	}
	return v.fail(errno.EINVAL, ReasonEncoding, "invalid BPF_LD mode\n")
}

// checkJump checks the instructions of the jump classes.
func (v *verifier) checkJump(fresh *bool) (outcome, error) {
	in := v.insn
	switch in.Op() & insn.OpMask {
	case insn.JmpCALL:
		if err := v.checkCall(); err != nil {
			return next, err
		}
		v.dirtyRegs |= 1
		v.insnIdx++
		return next, nil
	case insn.JmpJA:
		return next, v.checkGoto()
	case insn.JmpEXIT:
		if in.Source() != insn.SrcK || in.Imm() != 0 || in.Src() != 0 || in.Dst() != 0 || in.Class() == insn.ClassJMP32 {
			return next, v.fail(errno.EINVAL, ReasonEncoding, "BPF_EXIT uses reserved fields\n")
		}
		return v.checkExit(fresh)
	}
	if err := v.checkBranch(); err != nil {
		return next, err
	}
	v.insnIdx++
	return next, nil
}

func (v *verifier) checkGoto() error {
	in := v.insn
	wide := in.Class() == insn.ClassJMP32
	if in.Source() != insn.SrcK || in.Src() != 0 || in.Dst() != 0 || !wide && in.Imm() != 0 || wide && in.Off() != 0 {
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_JA uses reserved fields\n")
	}
	v.insnIdx += jumpOffset(in) + 1
	return nil
}

// checkExit ends a function or the program (process_bpf_exit_full).
func (v *verifier) checkExit(fresh *bool) (outcome, error) {
	if err := v.noLeaks(v.cur.depth == 0, "BPF_EXIT instruction in main prog"); err != nil {
		return next, err
	}
	if v.cur.depth > 0 {
		if err := v.leaveFunction(); err != nil {
			return next, err
		}
		*fresh = true
		return next, nil
	}
	return pathEnd, v.checkReturn()
}

// remember adds the current instruction to the path's history
// (push_jmp_history).
func (v *verifier) remember(flags histFlags, linked uint64) {
	s := v.cur
	if v.hist >= 0 {
		h := &s.history[v.hist]
		h.flags |= flags
		h.linked = linked
		return
	}
	v.hist = len(s.history)
	s.history = append(s.history, jump{idx: int32(v.insnIdx), prev: int32(v.prevIdx), flags: flags, linked: linked})
}

// printFrom prints where a path that was set aside is taken up.
func (v *verifier) printFrom(prev int) {
	b := append(v.line(), "\nfrom "...)
	b = strconv.AppendInt(b, int64(prev), 10)
	b = append(b, " to "...)
	b = strconv.AppendInt(b, int64(v.insnIdx), 10)
	if v.cur.speculative {
		b = append(b, " (speculative execution)"...)
	}
	v.print(v.appendState(append(b, ':'), v.cur, v.cur.depth, true))
}

// printSafe says that the path joins one that was found safe.
func (v *verifier) printSafe(fresh bool) {
	if !v.logging() {
		return
	}
	if !fresh {
		v.printf("%d: safe\n", v.insnIdx)
		return
	}
	spec := ""
	if v.cur.speculative {
		spec = " (speculative execution)"
	}
	v.printf("\nfrom %d to %d%s: safe\n", v.prevIdx, v.insnIdx, spec)
}
