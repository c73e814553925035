package maps

import (
	"math"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Spec is what a map is made from: the fields of BPF_MAP_CREATE that concern
// the map itself, after the layer above resolved file descriptors.
type Spec struct {
	Type       uapi.MapType
	Name       string
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Flags      uint32
	NUMANode   uint32
	MapExtra   uint64

	// Inner is the map behind inner_map_fd, for a map of maps: the template that
	// every inner map must match. No reference to it is kept.
	Inner Map

	// SpinLock says where in a value its struct bpf_spin_lock lies; nil: the
	// values have none.
	SpinLock *uint32

	// VerifyOnly lets types be that have no operations: see Find.
	VerifyOnly bool

	// BTF ids of the types of key and value, for information only.
	BTFKeyTypeID, BTFValueTypeID uint32

	// Caps are the creator's privileges. Without Perfmon arrays are padded so
	// that an index mask bounds speculation (!bypass_spec_v1); BPF_F_ZERO_SEED
	// wants SysAdmin.
	Caps desc.Caps
}

// SpinLockOff is the offset of the spin lock in a value, -1 without one, as in
// [desc.Map].
func (s *Spec) SpinLockOff() int32 {
	if s.SpinLock == nil {
		return -1
	}
	return int32(*s.SpinLock)
}

// ProgOwner is what all programs of a prog array must have in common
// (struct bpf_map_owner): a fingerprint that the layer above computes.
type ProgOwner struct {
	Type       uapi.ProgType
	Jited      bool
	XDPFrags   bool
	AttachType uapi.AttachType
	// AttachFuncProto is the BTF type of the attach target, for tracing programs.
	AttachFuncProto uint32
	// StorageCookie identifies the cgroup storage maps in use.
	StorageCookie [2]uint64
}

// desc builds the verifier's view of a map.
func (s *Spec) desc(addr uint64) desc.Map {
	d := desc.Map{
		Type: s.Type, Name: s.Name,
		KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries, Flags: s.Flags,
		Addr:          addr,
		HasBTF:        s.BTFValueTypeID != 0,
		SpinLockOff:   s.SpinLockOff(),
		TimerOff:      -1,
		ReadOnlyProg:  s.Flags&uapi.BPF_F_RDONLY_PROG != 0,
		WriteOnlyProg: s.Flags&uapi.BPF_F_WRONLY_PROG != 0,
		Frozen:        func() bool { return false },
		ValueAddr:     func(uint32) (uint64, bool) { return 0, false },
	}
	if s.Inner != nil {
		d.Inner = template(s.Inner.Desc())
	}
	return d
}

// template is what is known of any map that looks like d: nothing that depends
// on where d itself lies.
func template(d *desc.Map) *desc.Map {
	t := *d
	t.ID, t.Addr, t.Array, t.Slots = 0, 0, nil, nil
	t.ValueAddr = func(uint32) (uint64, bool) { return 0, false }
	t.Frozen = func() bool { return false }
	return &t
}

// lockFlag is the check of BPF_F_LOCK that the commands make before anything
// else.
func (s *Spec) lockFlag(flags uint64) errno.Errno {
	if flags&uapi.BPF_F_LOCK != 0 && s.SpinLock == nil {
		return errno.EINVAL
	}
	return 0
}

// readFlags are the checks of the lookup commands.
func (s *Spec) readFlags(flags uint64) errno.Errno {
	if flags&^uapi.BPF_F_LOCK != 0 {
		return errno.EINVAL
	}
	return s.lockFlag(flags)
}

// numa says whether a NUMA node was asked for.
func (s *Spec) numa() bool {
	return s.Flags&uapi.BPF_F_NUMA_NODE != 0 && s.NUMANode != math.MaxUint32
}
