package abi

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
)

const numaNoNode = ^uint32(0)

// mapCreate mirrors map_create.
func mapCreate(c *call) (int, error) {
	var a uapi.MapCreateAttr
	a.Decode(c.attr[:])
	access, err := c.mapCreateCheck(&a)
	if err != nil {
		return -1, err
	}
	spec := maps.Spec{
		Type: a.MapType, KeySize: a.KeySize, ValueSize: a.ValueSize, MaxEntries: a.MaxEntries,
		Flags: a.MapFlags, NUMANode: a.NumaNode, MapExtra: a.MapExtra,
		BTFKeyTypeID: a.BTFKeyTypeID, BTFValueTypeID: a.BTFValueTypeID,
		Caps: desc.Caps{
			BPF: c.capable(object.CapBPF), Perfmon: c.capable(object.CapPerfmon),
			NetAdmin: c.capable(object.CapNetAdmin), SysAdmin: c.capable(object.CapSysAdmin),
		},
	}
	if e := maps.AllocCheck(&spec); e != 0 {
		return -1, errno.Errorf(e, "a %s map cannot have key size %d, value size %d, %d entries, flags %#x",
			a.MapType.LibName(), a.KeySize, a.ValueSize, a.MaxEntries, a.MapFlags)
	}
	if err := c.mapCreatePermit(&a); err != nil {
		return -1, err
	}
	if spec.Name, err = object.CheckName(a.MapName[:]); err != nil {
		return -1, err
	}
	if release, err := c.innerMap(&a, &spec); err != nil {
		return -1, err
	} else {
		defer release()
	}
	btf, err := c.mapBTF(&a, &spec)
	if err != nil {
		return -1, err
	}
	m, err := maps.New(c.Machine, spec)
	if err != nil {
		if btf != nil {
			btf.Put()
		}
		return -1, err
	}
	o, err := object.NewMap(c.Registry, m, spec.Name, btf)
	if err != nil {
		return -1, err
	}
	return c.install(o, access)
}

// mapCreateCheck checks what does not need the map type.
func (c *call) mapCreateCheck(a *uapi.MapCreateAttr) (object.Access, error) {
	token := a.MapFlags&uapi.BPF_F_TOKEN_FD != 0
	switch {
	case a.BTFVmlinuxValueTypeID != 0:
		return 0, errno.Errorf(errno.EINVAL, "btf_vmlinux_value_type_id is for struct_ops maps")
	case a.BTFKeyTypeID != 0 && a.BTFValueTypeID == 0:
		return 0, errno.Errorf(errno.EINVAL, "btf_key_type_id without btf_value_type_id")
	case a.MapType != uapi.BPF_MAP_TYPE_BLOOM_FILTER && a.MapType != uapi.BPF_MAP_TYPE_ARENA && a.MapExtra != 0:
		return 0, errno.Errorf(errno.EINVAL, "map_extra is for bloom filters and arenas")
	}
	access, err := fileAccess(a.MapFlags)
	if err != nil {
		return 0, err
	}
	if a.MapFlags&uapi.BPF_F_NUMA_NODE == 0 {
		a.NumaNode = numaNoNode
	} else if a.NumaNode != 0 && a.NumaNode != numaNoNode {
		return 0, errno.Errorf(errno.EINVAL, "there is no NUMA node %d", a.NumaNode)
	}
	if token {
		return 0, errno.Errorf(errno.EBADF, "fd %d is no BPF token", a.MapTokenFD)
	}
	if a.MapIfindex != 0 {
		return 0, errno.Errorf(errno.EINVAL, "no device with ifindex %d takes maps", a.MapIfindex)
	}
	if a.ExclProgHash != 0 || a.ExclProgHashSize != 0 {
		return 0, errno.Errorf(errno.EINVAL, "maps for one signed program are not supported")
	}
	return access, nil
}

// privileges are the capabilities that map types ask for.
var privileges = map[maps.Privilege]struct {
	cap  object.Cap
	name string
}{
	maps.PrivBPF: {object.CapBPF, "CAP_BPF"},
	maps.PrivNet: {object.CapNetAdmin, "CAP_NET_ADMIN"},
}

func (c *call) mapCreatePermit(a *uapi.MapCreateAttr) error {
	if c.UnprivilegedDisabled {
		if err := c.need(object.CapBPF, "CAP_BPF"); err != nil {
			return err
		}
	}
	info, _ := maps.Lookup(a.MapType)
	if p, ok := privileges[info.Priv]; ok {
		return c.need(p.cap, p.name)
	}
	return nil
}

// innerMap resolves the template of a map of maps (bpf_map_meta_alloc).
func (c *call) innerMap(a *uapi.MapCreateAttr, spec *maps.Spec) (release func(), err error) {
	if info, _ := maps.Lookup(a.MapType); !info.Inner {
		return func() {}, nil
	}
	inner, _, err := c.mapFD(a.InnerMapFD)
	if err != nil {
		return nil, err
	}
	spec.Inner = inner.Map
	return inner.Head().Put, nil
}

// mapBTF finds the types of key and value and checks them (map_check_btf). The
// reference to the BTF is the caller's.
func (c *call) mapBTF(a *uapi.MapCreateAttr, spec *maps.Spec) (*object.BTF, error) {
	if a.BTFKeyTypeID == 0 && a.BTFValueTypeID == 0 {
		return nil, nil
	}
	btf, _, err := lookup[*object.BTF](c, a.BTFFD, object.KindBTF)
	if err != nil {
		return nil, err
	}
	if btf.Kernel {
		btf.Put()
		return nil, errno.Errorf(errno.EACCES, "the kernel's own BTF cannot describe a map")
	}
	if err := checkMapBTF(btf.BTF, spec); err != nil {
		btf.Put()
		return nil, err
	}
	return btf, nil
}

func checkMapBTF(b *kbtf.BTF, spec *maps.Spec) error {
	key, value := kbtf.ID(spec.BTFKeyTypeID), kbtf.ID(spec.BTFValueTypeID)
	if key != 0 {
		if size, ok := b.SizeOf(key); !ok || size != spec.KeySize {
			return errno.Errorf(errno.EINVAL, "BTF type %d does not have the %d bytes of the map's key", key, spec.KeySize)
		}
	}
	if size, ok := b.SizeOf(value); !ok || size != spec.ValueSize {
		return errno.Errorf(errno.EINVAL, "BTF type %d does not have the %d bytes of the map's value", value, spec.ValueSize)
	}
	special, err := b.SpecialFields(value)
	if err != nil {
		return err
	}
	for _, f := range special {
		if f.Kind != kbtf.SpinLock {
			return errno.Errorf(errno.EOPNOTSUPP, "values with a %v are not supported", f.Kind)
		}
		if spec.SpinLock != nil {
			return errno.Errorf(errno.E2BIG, "a value can have one bpf_spin_lock")
		}
		if info, _ := maps.Lookup(spec.Type); !info.SpinLock {
			return errno.Errorf(errno.EOPNOTSUPP, "values of a %s map cannot have a bpf_spin_lock", spec.Type.LibName())
		}
		if spec.Flags&(uapi.BPF_F_RDONLY_PROG|uapi.BPF_F_WRONLY_PROG) != 0 {
			return errno.Errorf(errno.EACCES, "a map with a bpf_spin_lock must be readable and writable by programs")
		}
		off := f.Offset
		spec.SpinLock = &off
	}
	return checkKeyType(b, spec, key)
}

// checkKeyType is what the map types themselves want of the key's type
// (map_ops.map_check_btf).
func checkKeyType(b *kbtf.BTF, spec *maps.Spec, key kbtf.ID) error {
	switch spec.Type {
	case uapi.BPF_MAP_TYPE_ARRAY, uapi.BPF_MAP_TYPE_PERCPU_ARRAY:
		if key == 0 {
			if _, t := b.Skip(kbtf.ID(spec.BTFValueTypeID)); spec.Type != uapi.BPF_MAP_TYPE_ARRAY ||
				t.Kind != kbtf.KindDatasec || spec.MaxEntries != 1 {
				return errno.Errorf(errno.EINVAL, "the key of an array must have a type")
			}
			return nil
		}
		if _, t := b.Skip(key); t.Kind != kbtf.KindInt || t.Int.Bits != 32 || t.Int.Offset != 0 {
			return errno.Errorf(errno.EINVAL, "the key of an array must be a 32-bit integer")
		}
	case uapi.BPF_MAP_TYPE_LPM_TRIE:
		if t := b.Type(key); t == nil || t.Kind != kbtf.KindStruct {
			return errno.Errorf(errno.EINVAL, "the key of a trie must be a struct")
		}
	case uapi.BPF_MAP_TYPE_PROG_ARRAY, uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY,
		uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, uapi.BPF_MAP_TYPE_HASH_OF_MAPS:
		return errno.Errorf(errno.ENOTSUPP, "a %s map takes no BTF types", spec.Type.LibName())
	default:
		if key == 0 {
			return errno.Errorf(errno.EINVAL, "the key of a %s map must have a type", spec.Type.LibName())
		}
	}
	return nil
}
