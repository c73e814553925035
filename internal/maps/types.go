package maps

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Privilege is what creating a map of a type needs where unprivileged bpf(2) is
// allowed at all.
type Privilege uint8

// Privileges, in the order of the switch in the kernel's map_create.
const (
	PrivNone Privilege = iota
	PrivBPF            // CAP_BPF
	PrivNet            // CAP_NET_ADMIN
)

// TypeInfo describes a map type.
type TypeInfo struct {
	Type uapi.MapType
	Priv Privilege
	// SpinLock says whether values may hold a struct bpf_spin_lock
	// (map_check_btf answers EOPNOTSUPP otherwise).
	SpinLock bool
	// FD says that values are file descriptors.
	FD bool
	// Inner says that values are maps: Spec.Inner is wanted.
	Inner bool

	check  func(*Spec) errno.Errno
	create func(*base) (Map, error)
}

// types is the table of map types in the order of enum bpf_map_type.
var types = [...]TypeInfo{
	uapi.BPF_MAP_TYPE_HASH:             {SpinLock: true, check: hashCheck, create: newHash},
	uapi.BPF_MAP_TYPE_ARRAY:            {SpinLock: true, check: arrayCheck, create: newArray},
	uapi.BPF_MAP_TYPE_PROG_ARRAY:       {FD: true, check: fdCheck, create: newProgArray},
	uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY: {FD: true, check: fdCheck, create: newPerfEventArray},
	uapi.BPF_MAP_TYPE_PERCPU_HASH:      {check: hashCheck, create: newPercpuHash},
	uapi.BPF_MAP_TYPE_PERCPU_ARRAY:     {check: arrayCheck, create: newPercpuArray},
	uapi.BPF_MAP_TYPE_LRU_HASH:         {Priv: PrivBPF, check: hashCheck, create: newLRUHash},
	uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH:  {Priv: PrivBPF, check: hashCheck, create: newLRUPercpuHash},
	uapi.BPF_MAP_TYPE_LPM_TRIE:         {Priv: PrivBPF, check: lpmCheck, create: newLPMTrie},
	uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS:    {FD: true, Inner: true, check: fdCheck, create: newArrayOfMaps},
	uapi.BPF_MAP_TYPE_HASH_OF_MAPS:     {FD: true, Inner: true, check: hashOfMapsCheck, create: newHashOfMaps},
	uapi.BPF_MAP_TYPE_QUEUE:            {Priv: PrivBPF, check: queueCheck, create: newQueue},
	uapi.BPF_MAP_TYPE_STACK:            {Priv: PrivBPF, check: queueCheck, create: newQueue},
	uapi.BPF_MAP_TYPE_RINGBUF:          {check: ringbufCheck, create: newRingbuf},
}

// Types are the map types that skep has, in the order of enum bpf_map_type.
func Types() []TypeInfo {
	var out []TypeInfo
	for i := range types {
		if t, ok := Lookup(uapi.MapType(i)); ok {
			out = append(out, t)
		}
	}
	return out
}

// Lookup returns the description of a map type.
func Lookup(t uapi.MapType) (TypeInfo, bool) {
	if int64(t) >= int64(len(types)) || types[t].create == nil {
		return TypeInfo{}, false
	}
	info := types[t]
	info.Type = t
	return info, true
}

// AllocCheck validates a specification as the type's map_alloc_check does,
// which map_create runs before it looks at capabilities. EINVAL: skep does not
// have the type.
func AllocCheck(s *Spec) errno.Errno {
	t, ok := Find(s.Type, s.VerifyOnly)
	if !ok {
		return errno.EINVAL
	}
	return t.check(s)
}

// New makes a map. Its errors wrap an [errno.Errno].
func New(m *exec.Machine, spec Spec) (Map, error) {
	t, ok := Find(spec.Type, spec.VerifyOnly)
	if !ok {
		return nil, errno.Errorf(errno.EINVAL, "there is no map type %d", spec.Type)
	}
	if e := t.check(&spec); e != 0 {
		return nil, errno.Errorf(e, "a map of type %s cannot have key size %d, value size %d, %d entries and flags %#x",
			spec.Type.LibName(), spec.KeySize, spec.ValueSize, spec.MaxEntries, spec.Flags)
	}
	if (spec.Inner != nil) != t.Inner {
		return nil, errno.Errorf(errno.EINVAL, "a map of type %s and an inner map do not go together", spec.Type.LibName())
	}
	b, err := newBase(m, spec)
	if err != nil {
		return nil, err
	}
	self, err := t.create(b)
	if err != nil {
		b.release()
		return nil, err
	}
	b.self = self
	return self, nil
}
