package maps

import (
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// ProgArray is BPF_MAP_TYPE_PROG_ARRAY: the targets of tail calls. All programs
// in it, and all that use it, are of one kind.
type ProgArray struct {
	fdArray
	ownerMu sync.Mutex
	owner   *ProgOwner
}

func newProgArray(b *base) (Map, error) {
	a := &ProgArray{}
	return a, a.init(b, a.accept)
}

// Image is what a tail call to a slot continues with, nil if the slot is empty
// or there is no such slot.
func (a *ProgArray) Image(i uint32) exec.Image {
	if obj := a.get(i); obj != nil {
		return obj.(ProgObject).Image()
	}
	return nil
}

func (a *ProgArray) accept(obj Object) (uint64, errno.Errno) {
	p, ok := obj.(ProgObject)
	if !ok || !a.Compatible(p.Owner()) {
		return 0, errno.EINVAL
	}
	return p.Entry(), 0
}

// Lookup implements [Syscall]: the value is the program's id.
func (a *ProgArray) Lookup(key, value []byte, flags uint64) errno.Errno {
	return a.lookupID(key, value, flags)
}

// ReleaseUser empties the array: programs that hold the map and are in it would
// keep each other alive for ever.
func (a *ProgArray) ReleaseUser() {
	a.clear(a.put)
}

// Owner is what the programs in the array have in common; ok is false as long
// as there was none.
func (a *ProgArray) Owner() (o ProgOwner, ok bool) {
	a.ownerMu.Lock()
	defer a.ownerMu.Unlock()
	if a.owner == nil {
		return ProgOwner{}, false
	}
	return *a.owner, true
}

// Compatible says whether a program may be put into the map or use it. The
// first one decides for all that follow (bpf_prog_map_compatible).
func (a *ProgArray) Compatible(o ProgOwner) bool {
	a.ownerMu.Lock()
	defer a.ownerMu.Unlock()
	if a.owner == nil {
		a.owner = &o
		return true
	}
	own := a.owner
	for i, c := range o.StorageCookie {
		if c != 0 && c != own.StorageCookie[i] {
			return false
		}
	}
	if o.AttachFuncProto != own.AttachFuncProto {
		switch o.Type {
		case uapi.BPF_PROG_TYPE_TRACING, uapi.BPF_PROG_TYPE_LSM, uapi.BPF_PROG_TYPE_EXT, uapi.BPF_PROG_TYPE_STRUCT_OPS:
			return false
		}
	}
	return o.Type == own.Type && o.Jited == own.Jited && o.XDPFrags == own.XDPFrags && o.AttachType == own.AttachType
}
