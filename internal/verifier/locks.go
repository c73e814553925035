package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
)

// mayHoldLock says whether the pointer must keep its id because a lock is told
// apart by it (reg_may_point_to_spin_lock).
func (v *verifier) mayHoldLock(r *reg) bool {
	return r.typ == ptrMapValue && v.mapOf(r).SpinLockOff >= 0
}

// spinLock checks the argument of bpf_spin_lock or bpf_spin_unlock and takes or
// releases the lock (process_spin_lock).
func (v *verifier) spinLock(n insn.Reg, take bool) error {
	r := v.reg(n)
	bad := func(format string, args ...any) error {
		return v.fail(errno.EINVAL, ReasonLock, format, args...)
	}
	if !r.IsConst() {
		return bad("R%d doesn't have constant offset. bpf_spin_lock has to be at the constant offset\n", n)
	}
	m := v.mapOf(r)
	if !m.HasBTF {
		return bad("map '%s' has to have BTF in order to use bpf_spin_lock\n", m.Name)
	}
	if m.SpinLockOff < 0 {
		return bad("map '%s' has no valid bpf_spin_lock\n", m.Name)
	}
	if at := int64(r.Const()) + int64(r.off); at != int64(m.SpinLockOff) {
		return bad("off %d doesn't point to 'struct bpf_spin_lock' that is at %d\n", at, m.SpinLockOff)
	}
	s := v.cur
	if take {
		if s.locks > 0 {
			return bad("Locking two bpf_spin_locks are not allowed\n")
		}
		s.refs = append(s.refs, ref{kind: refLock, insn: int32(v.insnIdx), id: r.id, lock: r.to.mapIdx})
		s.locks++
		s.lock.id, s.lock.mem = r.id, r.to.mapIdx
		return nil
	}
	if s.locks == 0 {
		return bad("bpf_spin_unlock without taking a lock\n")
	}
	for i := range s.refs {
		if l := &s.refs[i]; l.kind == refLock && l.id == r.id && l.lock == r.to.mapIdx {
			s.removeRef(i)
			s.locks--
			s.lock.id, s.lock.mem = 0, 0
			return nil
		}
	}
	return bad("bpf_spin_unlock of different lock\n")
}
