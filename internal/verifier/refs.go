package verifier

import (
	"github.com/skep-ebpf/skep/internal/errno"
)

// acquire notes a new reference and gives its id (acquire_reference).
func (v *verifier) acquire() uint32 {
	id := v.newID()
	v.cur.refs = append(v.cur.refs, ref{kind: refPointer, insn: int32(v.insnIdx), id: id})
	return id
}

func (s *state) removeRef(i int) { s.refs = append(s.refs[:i], s.refs[i+1:]...) }

// dropRef ends a reference without touching the registers that hold it.
func (s *state) dropRef(id uint32) bool {
	for i := range s.refs {
		if s.refs[i].kind == refPointer && s.refs[i].id == id {
			s.removeRef(i)
			return true
		}
	}
	return false
}

// releaseRef ends a reference: all pointers that derive from it die. It says
// whether there was one.
func (v *verifier) releaseRef(id uint32) bool {
	if !v.cur.dropRef(id) {
		return false
	}
	v.cur.eachReg(func(r *reg) {
		if r.refID == id {
			v.invalidate(r)
		}
	})
	return true
}

// noLeaks checks at an exit that nothing is held any more
// (check_resource_leak). locks: locks count too.
func (v *verifier) noLeaks(locks bool, where string) error {
	if locks && v.cur.locks > 0 {
		return v.fail(errno.EINVAL, ReasonLock, "%s cannot be used inside bpf_spin_lock-ed region\n", where)
	}
	if v.cur.depth > 0 {
		return nil // the caller has it
	}
	var err error
	for i := range v.cur.refs {
		r := &v.cur.refs[i]
		if r.kind != refPointer {
			continue
		}
		if err == nil {
			err = v.fail(errno.EINVAL, ReasonReference, "Unreleased reference id=%d alloc_insn=%d\n", r.id, r.insn)
		} else {
			err = v.also(err, "Unreleased reference id=%d alloc_insn=%d\n", r.id, r.insn)
		}
	}
	if err != nil {
		return v.also(err, "%s would lead to reference leak\n", where)
	}
	return nil
}
