package maps

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// declared are the types of Linux that skep has no operations for. A kernel that
// only verifies has such maps for programs to name: they have their attributes
// and nothing in them.
var declared = map[uapi.MapType]TypeInfo{
	uapi.BPF_MAP_TYPE_STACK_TRACE:           {Priv: PrivBPF, check: stackTraceCheck},
	uapi.BPF_MAP_TYPE_CGROUP_ARRAY:          {FD: true, check: fdCheck},
	uapi.BPF_MAP_TYPE_DEVMAP:                {Priv: PrivNet, check: devmapCheck},
	uapi.BPF_MAP_TYPE_DEVMAP_HASH:           {Priv: PrivNet, check: devmapCheck},
	uapi.BPF_MAP_TYPE_SOCKMAP:               {Priv: PrivNet, check: sockmapCheck},
	uapi.BPF_MAP_TYPE_SOCKHASH:              {Priv: PrivNet, check: sockmapCheck},
	uapi.BPF_MAP_TYPE_CPUMAP:                {Priv: PrivBPF, check: cpumapCheck},
	uapi.BPF_MAP_TYPE_XSKMAP:                {Priv: PrivNet, check: xskmapCheck},
	uapi.BPF_MAP_TYPE_CGROUP_STORAGE:        {SpinLock: true, check: cgroupStorageCheck},
	uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: {check: cgroupStorageCheck},
	uapi.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY:   {Priv: PrivBPF, check: reuseportCheck},
	uapi.BPF_MAP_TYPE_SK_STORAGE:            {Priv: PrivBPF, SpinLock: true, check: localStorageCheck},
	uapi.BPF_MAP_TYPE_INODE_STORAGE:         {Priv: PrivBPF, SpinLock: true, check: localStorageCheck},
	uapi.BPF_MAP_TYPE_TASK_STORAGE:          {Priv: PrivBPF, SpinLock: true, check: localStorageCheck},
	uapi.BPF_MAP_TYPE_CGRP_STORAGE:          {Priv: PrivBPF, SpinLock: true, check: localStorageCheck},
	uapi.BPF_MAP_TYPE_BLOOM_FILTER:          {Priv: PrivBPF, check: bloomCheck},
	uapi.BPF_MAP_TYPE_USER_RINGBUF:          {check: ringbufCheck},
	uapi.BPF_MAP_TYPE_ARENA:                 {Priv: PrivBPF, check: arenaCheck},
}

// Find is Lookup, with the types that exist for verification only where
// verifyOnly asks for them.
func Find(t uapi.MapType, verifyOnly bool) (TypeInfo, bool) {
	info, ok := Lookup(t)
	if !ok && verifyOnly {
		info, ok = declared[t]
		info.Type, info.create = t, newDeclared
	}
	return info, ok
}

// Declared is a map of which there are only the attributes. Its operations
// answer as those that a type lacks.
type Declared struct{ *base }

func newDeclared(b *base) (Map, error) {
	switch b.spec.Type {
	case uapi.BPF_MAP_TYPE_DEVMAP, uapi.BPF_MAP_TYPE_DEVMAP_HASH:
		// A lookup leads to the kernel's own structure (dev_map_init_map).
		b.spec.Flags |= uapi.BPF_F_RDONLY_PROG
		b.d.Flags, b.d.ReadOnlyProg = b.spec.Flags, true
	}
	return &Declared{b}, nil
}

// MemUsage implements [Map].
func (d *Declared) MemUsage() uint64 { return HeaderSize }

// maxStack is sysctl_perf_event_max_stack.
const maxStack = 127

// stackTraceCheck mirrors stack_map_alloc.
func stackTraceCheck(s *Spec) errno.Errno {
	const mask = uapi.BPF_F_NUMA_NODE | uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY | uapi.BPF_F_STACK_BUILD_ID
	entry := uint32(8)
	if s.Flags&uapi.BPF_F_STACK_BUILD_ID != 0 {
		entry = uapi.SizeofStackBuildID
	}
	switch {
	case s.Flags&^mask != 0,
		s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize < 8 || s.ValueSize%8 != 0,
		s.ValueSize%entry != 0 || s.ValueSize/entry > maxStack:
		return errno.EINVAL
	case s.MaxEntries > 1<<31:
		return errno.E2BIG
	}
	return 0
}

// devmapCheck mirrors dev_map_alloc_check.
func devmapCheck(s *Spec) errno.Errno {
	const mask = uapi.BPF_F_NUMA_NODE | uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY
	if s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize != 4 && s.ValueSize != 8 || s.Flags&^uint32(mask) != 0 ||
		s.Type == uapi.BPF_MAP_TYPE_DEVMAP_HASH && s.MaxEntries > 1<<31 {
		return errno.EINVAL
	}
	return 0
}

// sockmapCheck mirrors sock_map_alloc and sock_hash_alloc.
func sockmapCheck(s *Spec) errno.Errno {
	const mask = uapi.BPF_F_NUMA_NODE | uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY
	hash := s.Type == uapi.BPF_MAP_TYPE_SOCKHASH
	switch {
	case s.MaxEntries == 0 || s.KeySize == 0 || !hash && s.KeySize != 4,
		s.ValueSize != 4 && s.ValueSize != 8 || s.Flags&^uint32(mask) != 0:
		return errno.EINVAL
	case s.KeySize > maxKeySize:
		return errno.E2BIG
	}
	return 0
}

// maxKeySize is MAX_BPF_STACK: no program could hold a larger key.
const maxKeySize = 512

// cpumapCheck mirrors cpu_map_alloc.
func cpumapCheck(s *Spec) errno.Errno {
	const maxCPUs = 256 // CONFIG_NR_CPUS of the reference kernel
	switch {
	case s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize != 4 && s.ValueSize != 8 ||
		s.Flags&^uint32(uapi.BPF_F_NUMA_NODE) != 0:
		return errno.EINVAL
	case s.MaxEntries > maxCPUs:
		return errno.E2BIG
	}
	return 0
}

// xskmapCheck mirrors xsk_map_alloc.
func xskmapCheck(s *Spec) errno.Errno {
	const mask = uapi.BPF_F_NUMA_NODE | uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY
	if s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize != 4 || s.Flags&^uint32(mask) != 0 {
		return errno.EINVAL
	}
	return 0
}

// maxStorage is BPF_LOCAL_STORAGE_MAX_VALUE_SIZE: 16 bits less the element's head.
const maxStorage = 0xffff - 128

// cgroupStorageCheck mirrors cgroup_storage_map_alloc.
func cgroupStorageCheck(s *Spec) errno.Errno {
	limit := uint32(maxStorage)
	if s.Type == uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE {
		limit = percpuMax
	}
	switch {
	case s.KeySize != uapi.SizeofCgroupStorageKey && s.KeySize != 8, s.ValueSize == 0:
		return errno.EINVAL
	case s.ValueSize > limit:
		return errno.E2BIG
	case s.Flags&^uint32(uapi.BPF_F_NUMA_NODE|accessFlags) != 0 || !accessOK(s.Flags), s.MaxEntries != 0:
		return errno.EINVAL
	}
	return 0
}

// reuseportCheck mirrors reuseport_array_alloc_check.
func reuseportCheck(s *Spec) errno.Errno {
	if s.ValueSize != 4 && s.ValueSize != 8 {
		return errno.EINVAL
	}
	return arrayCheck(s)
}

// localStorageCheck mirrors bpf_local_storage_map_alloc_check.
func localStorageCheck(s *Spec) errno.Errno {
	switch {
	case s.Flags&^uint32(uapi.BPF_F_NO_PREALLOC|uapi.BPF_F_CLONE) != 0, s.Flags&uapi.BPF_F_NO_PREALLOC == 0,
		s.MaxEntries != 0 || s.KeySize != 4 || s.ValueSize == 0, s.BTFKeyTypeID == 0 || s.BTFValueTypeID == 0:
		return errno.EINVAL
	case s.ValueSize > maxStorage:
		return errno.E2BIG
	}
	return 0
}

// bloomCheck mirrors bloom_map_alloc_check and bloom_map_alloc.
func bloomCheck(s *Spec) errno.Errno {
	const mask = uapi.BPF_F_NUMA_NODE | uapi.BPF_F_ZERO_SEED | accessFlags
	switch {
	case s.ValueSize > kmallocMax:
		return errno.E2BIG
	case s.KeySize != 0 || s.ValueSize == 0 || s.MaxEntries == 0 || s.Flags&^uint32(mask) != 0 ||
		!accessOK(s.Flags) || s.MapExtra&^0xf != 0:
		return errno.EINVAL
	}
	return 0
}

// arenaCheck mirrors arena_map_alloc.
func arenaCheck(s *Spec) errno.Errno {
	const mask = uapi.BPF_F_SEGV_ON_FAULT | uapi.BPF_F_MMAPABLE | uapi.BPF_F_NO_USER_CONV
	size := uint64(s.MaxEntries) * pageSize
	switch {
	case s.KeySize != 0 || s.ValueSize != 0 || s.MaxEntries == 0, s.Flags&uapi.BPF_F_MMAPABLE == 0,
		s.Flags&^uint32(mask) != 0, s.MapExtra%pageSize != 0:
		return errno.EINVAL
	case size > 1<<32:
		return errno.E2BIG
	case s.MapExtra>>32 != (s.MapExtra+size-1)>>32:
		return errno.ERANGE
	}
	return 0
}
