package abi

import (
	"slices"
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// kernelTypes are skep's own kernel's, as far as programs' types depend on them.
var kernelTypes = sync.OnceValue(func() *kbtf.Kernel { return &kbtf.Kernel{Types: ktype.Types()} })

// managedFields are the special fields that skep's maps know how to keep.
const managedFields = kbtf.SpinLock

// checkMapBTF checks the types of key and value, and completes the
// specification by what they say.
func checkMapBTF(b *kbtf.BTF, spec *maps.Spec) error {
	rec, err := mapRecord(kernelTypes(), b, spec)
	if err != nil {
		return err
	}
	for _, f := range rec.All() {
		if f.Kind&managedFields == 0 {
			return errno.Errorf(errno.EOPNOTSUPP, "values with a %v are not supported", f.Kind)
		}
	}
	if rec.Has(kbtf.SpinLock) {
		off := uint32(rec.Offset(kbtf.SpinLock))
		spec.SpinLock = &off
	}
	return nil
}

// mapRecord mirrors map_check_btf: the types have the sizes of the map, its
// special fields are such that a map of the type can have, and the type itself
// has nothing against them. The record is nil when the value has no special
// fields, or has them wrong: then the map is made, but programs find none.
func mapRecord(k *kbtf.Kernel, b *kbtf.BTF, spec *maps.Spec) (*kbtf.Record, error) {
	key, value := kbtf.ID(spec.BTFKeyTypeID), kbtf.ID(spec.BTFValueTypeID)
	keyType := b.Type(0)
	if key != 0 {
		var size uint32
		if _, keyType, size = b.Sized(key); keyType == nil || size != spec.KeySize {
			return nil, errno.Errorf(errno.EINVAL, "BTF type %d does not have the %d bytes of the map's key", key, spec.KeySize)
		}
	} else if keyRules[spec.Type] == nil {
		return nil, errno.Errorf(errno.EINVAL, "the key of a %s map must have a type", spec.Type.LibName())
	}
	value, valueType, size := b.Sized(value)
	if valueType == nil || size != spec.ValueSize {
		return nil, errno.Errorf(errno.EINVAL, "BTF type %d does not have the %d bytes of the map's value", spec.BTFValueTypeID, spec.ValueSize)
	}
	rec, ferr := k.Fields(b, value, kbtf.MapFields, spec.ValueSize)
	if ferr != nil {
		rec = nil
	}
	if err := checkFieldPlaces(rec, spec); err != nil {
		return nil, err
	}
	if err := b.CheckFields(rec); err != nil {
		return nil, err
	}
	if rule := keyRules[spec.Type]; rule != nil {
		return rec, rule(spec, keyType, valueType)
	}
	return rec, nil
}

// fieldPlaces says which map types' values may have which special fields.
var fieldPlaces = []struct {
	kinds kbtf.Special
	types []uapi.MapType
}{
	{kbtf.SpinLock | kbtf.ResSpinLock, []uapi.MapType{uapi.BPF_MAP_TYPE_HASH, uapi.BPF_MAP_TYPE_ARRAY,
		uapi.BPF_MAP_TYPE_CGROUP_STORAGE, uapi.BPF_MAP_TYPE_SK_STORAGE, uapi.BPF_MAP_TYPE_INODE_STORAGE,
		uapi.BPF_MAP_TYPE_TASK_STORAGE, uapi.BPF_MAP_TYPE_CGRP_STORAGE}},
	{kbtf.Timer | kbtf.Workqueue | kbtf.TaskWork | kbtf.ListHead | kbtf.RBRoot, []uapi.MapType{
		uapi.BPF_MAP_TYPE_HASH, uapi.BPF_MAP_TYPE_LRU_HASH, uapi.BPF_MAP_TYPE_ARRAY}},
	{kbtf.Kptr | kbtf.RefCount, []uapi.MapType{uapi.BPF_MAP_TYPE_HASH, uapi.BPF_MAP_TYPE_PERCPU_HASH,
		uapi.BPF_MAP_TYPE_LRU_HASH, uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, uapi.BPF_MAP_TYPE_ARRAY,
		uapi.BPF_MAP_TYPE_PERCPU_ARRAY, uapi.BPF_MAP_TYPE_SK_STORAGE, uapi.BPF_MAP_TYPE_INODE_STORAGE,
		uapi.BPF_MAP_TYPE_TASK_STORAGE, uapi.BPF_MAP_TYPE_CGRP_STORAGE}},
	{kbtf.UserPtr, []uapi.MapType{uapi.BPF_MAP_TYPE_TASK_STORAGE}},
}

func checkFieldPlaces(rec *kbtf.Record, spec *maps.Spec) error {
	if rec == nil {
		return nil
	}
	if spec.Flags&(uapi.BPF_F_RDONLY_PROG|uapi.BPF_F_WRONLY_PROG) != 0 {
		return errno.Errorf(errno.EACCES, "a map with special fields must be readable and writable by programs")
	}
	for _, p := range fieldPlaces {
		if rec.Has(p.kinds) && !slices.Contains(p.types, spec.Type) {
			return errno.Errorf(errno.EOPNOTSUPP, "values of a %s map cannot have such special fields", spec.Type.LibName())
		}
	}
	return nil
}

// keyRules are what map types themselves want of the types
// (map_ops.map_check_btf). A type with a rule allows keys without a type.
var keyRules = map[uapi.MapType]func(spec *maps.Spec, key, value *kbtf.Type) error{
	uapi.BPF_MAP_TYPE_ARRAY:            arrayTypes,
	uapi.BPF_MAP_TYPE_PERCPU_ARRAY:     arrayTypes,
	uapi.BPF_MAP_TYPE_LPM_TRIE:         structKey,
	uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY: noTypes,
	uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS:    noTypes,
	uapi.BPF_MAP_TYPE_HASH_OF_MAPS:     noTypes,
	uapi.BPF_MAP_TYPE_STACK_TRACE:      noTypes,
	uapi.BPF_MAP_TYPE_CGROUP_ARRAY:     noTypes,
	uapi.BPF_MAP_TYPE_DEVMAP:           noTypes,
	uapi.BPF_MAP_TYPE_DEVMAP_HASH:      noTypes,
	uapi.BPF_MAP_TYPE_SOCKMAP:          noTypes,
	uapi.BPF_MAP_TYPE_SOCKHASH:         noTypes,
	uapi.BPF_MAP_TYPE_CPUMAP:           noTypes,
	uapi.BPF_MAP_TYPE_XSKMAP:           noTypes,

	uapi.BPF_MAP_TYPE_SK_STORAGE:    intKey,
	uapi.BPF_MAP_TYPE_INODE_STORAGE: intKey,
	uapi.BPF_MAP_TYPE_TASK_STORAGE:  intKey,
	uapi.BPF_MAP_TYPE_CGRP_STORAGE:  intKey,
	uapi.BPF_MAP_TYPE_BLOOM_FILTER:  noKey,

	uapi.BPF_MAP_TYPE_CGROUP_STORAGE:        storageKey,
	uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: storageKey,
}

// arrayTypes mirrors array_map_check_btf: keys are u32; a section of variables
// has none.
func arrayTypes(spec *maps.Spec, key, value *kbtf.Type) error {
	switch {
	case key.Kind != kbtf.KindVoid:
		if key.Kind != kbtf.KindInt || key.Int.Bits != 32 || key.Int.Offset != 0 {
			return errno.Errorf(errno.EINVAL, "the key of an array must be a 32-bit integer")
		}
	case spec.Type != uapi.BPF_MAP_TYPE_ARRAY || spec.MaxEntries != 1 || value.Kind != kbtf.KindDatasec:
		return errno.Errorf(errno.EINVAL, "the key of an array must have a type")
	}
	return nil
}

// intKey mirrors bpf_local_storage_map_check_btf.
func intKey(_ *maps.Spec, key, _ *kbtf.Type) error {
	if key.Kind != kbtf.KindInt || key.Int.Bits != 32 || key.Int.Offset != 0 {
		return errno.Errorf(errno.EINVAL, "the key of a local storage must be a 32-bit integer")
	}
	return nil
}

// noKey mirrors bloom_map_check_btf.
func noKey(_ *maps.Spec, key, _ *kbtf.Type) error {
	if key.Kind != kbtf.KindVoid {
		return errno.Errorf(errno.EINVAL, "a bloom filter has no keys")
	}
	return nil
}

// storageKey mirrors cgroup_storage_check_btf: the key is the group's number,
// alone or with the attach type in a structure.
func storageKey(spec *maps.Spec, key, _ *kbtf.Type) error {
	if spec.KeySize == 8 && key.Kind == kbtf.KindInt && key.Int.Bits == 64 && key.Int.Offset == 0 ||
		spec.KeySize == uapi.SizeofCgroupStorageKey && key.Kind == kbtf.KindStruct && len(key.Members) == 2 {
		return nil
	}
	return errno.Errorf(errno.EINVAL, "the key of a cgroup storage must be struct bpf_cgroup_storage_key or a 64-bit integer")
}

// structKey mirrors trie_check_btf.
func structKey(_ *maps.Spec, key, _ *kbtf.Type) error {
	if key.Kind != kbtf.KindStruct {
		return errno.Errorf(errno.EINVAL, "the key of a trie must be a struct")
	}
	return nil
}

// noTypes mirrors map_check_no_btf.
func noTypes(spec *maps.Spec, _, _ *kbtf.Type) error {
	return errno.Errorf(errno.ENOTSUPP, "a %s map takes no BTF types", spec.Type.LibName())
}
