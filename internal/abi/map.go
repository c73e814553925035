package abi

import (
	"crypto/sha256"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
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
		BTFKeyTypeID: a.BTFKeyTypeID, BTFValueTypeID: a.BTFValueTypeID, VerifyOnly: c.Loader.VerifyOnly,
		Caps: desc.Caps{
			BPF: c.capable(object.CapBPF), Perfmon: c.capable(object.CapPerfmon),
			NetAdmin: c.capable(object.CapNetAdmin), SysAdmin: c.capable(object.CapSysAdmin),
		},
	}
	if err := c.mapCreateRules(&a, &spec); err != nil {
		return -1, err
	}
	release, err := c.innerMap(&a, &spec)
	if err != nil {
		return -1, err
	}
	defer release()
	if spec.Name, err = object.CheckName(a.MapName[:]); err != nil {
		return -1, err
	}
	btf, err := c.mapBTF(&a, &spec)
	if err != nil {
		return -1, err
	}
	digest, err := c.exclusive(&a)
	var m maps.Map
	if err == nil {
		m, err = maps.New(c.Machine, spec)
	}
	if err != nil {
		if btf != nil {
			btf.Put()
		}
		return -1, err
	}
	m.Desc().Exclusive = digest
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
	return access, nil
}

// lateCheck are the types that look at their sizes when they allocate, which is
// after the caller's privileges were looked at: they have no map_alloc_check.
var lateCheck = map[uapi.MapType]bool{
	uapi.BPF_MAP_TYPE_LPM_TRIE:              true,
	uapi.BPF_MAP_TYPE_RINGBUF:               true,
	uapi.BPF_MAP_TYPE_USER_RINGBUF:          true,
	uapi.BPF_MAP_TYPE_STACK_TRACE:           true,
	uapi.BPF_MAP_TYPE_SOCKMAP:               true,
	uapi.BPF_MAP_TYPE_SOCKHASH:              true,
	uapi.BPF_MAP_TYPE_CPUMAP:                true,
	uapi.BPF_MAP_TYPE_XSKMAP:                true,
	uapi.BPF_MAP_TYPE_CGROUP_STORAGE:        true,
	uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: true,
	uapi.BPF_MAP_TYPE_ARENA:                 true,
}

// mapCreateRules checks what the type wants of sizes, flags and the caller, in
// map_create's order.
func (c *call) mapCreateRules(a *uapi.MapCreateAttr, spec *maps.Spec) error {
	sizes := func() error {
		if e := maps.AllocCheck(spec); e != 0 {
			return errno.Errorf(e, "a %s map cannot have key size %d, value size %d, %d entries, flags %#x",
				a.MapType.LibName(), a.KeySize, a.ValueSize, a.MaxEntries, a.MapFlags)
		}
		return nil
	}
	permit := func() error { return c.mapCreatePermit(a) }
	rules := []func() error{sizes, permit}
	switch {
	case a.MapIfindex != 0: // bpf_map_offload_ops stand in for the type's
		rules = []func() error{permit, func() error { return c.offloadMap(a) }}
	case lateCheck[a.MapType]:
		rules = []func() error{permit, sizes}
	}
	for _, rule := range rules {
		if err := rule(); err != nil {
			return err
		}
	}
	return nil
}

// offloadMap mirrors bpf_map_offload_map_alloc.
func (c *call) offloadMap(a *uapi.MapCreateAttr) error {
	if err := c.need(object.CapSysAdmin, "CAP_SYS_ADMIN"); err != nil {
		return err
	}
	return errno.Errorf(errno.EINVAL, "no device with ifindex %d takes maps", a.MapIfindex)
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
	info, _ := maps.Find(a.MapType, c.Loader.VerifyOnly)
	if p, ok := privileges[info.Priv]; ok {
		return c.need(p.cap, p.name)
	}
	return nil
}

// innerMap resolves the template of a map of maps (bpf_map_meta_alloc).
func (c *call) innerMap(a *uapi.MapCreateAttr, spec *maps.Spec) (release func(), err error) {
	if info, _ := maps.Find(a.MapType, c.Loader.VerifyOnly); !info.Inner {
		return func() {}, nil
	}
	inner, err := c.mapFD(a.InnerMapFD)
	if err != nil {
		return nil, err
	}
	if inner.Desc().Exclusive != nil {
		inner.Put()
		return nil, errno.Errorf(errno.ENOTSUPP, "map %d (%s) is one program's own and no template", inner.ID, inner.Name)
	}
	spec.Inner = inner.Map
	return inner.Put, nil
}

// exclusive reads the digest of the one program that may use the map, nil where
// any may.
func (c *call) exclusive(a *uapi.MapCreateAttr) (*[sha256.Size]byte, error) {
	if a.ExclProgHash == 0 && a.ExclProgHashSize == 0 {
		return nil, nil
	}
	if a.ExclProgHash == 0 || a.ExclProgHashSize != sha256.Size {
		return nil, errno.Errorf(errno.EINVAL, "excl_prog_hash has %d bytes; the hash of a program has %d", a.ExclProgHashSize, sha256.Size)
	}
	digest := new([sha256.Size]byte)
	return digest, c.mem.Read(a.ExclProgHash, digest[:])
}

// mapBTF finds the types of key and value and checks them (map_check_btf). The
// reference to the BTF is the caller's.
func (c *call) mapBTF(a *uapi.MapCreateAttr, spec *maps.Spec) (*object.BTF, error) {
	if a.BTFKeyTypeID == 0 && a.BTFValueTypeID == 0 {
		return nil, nil
	}
	btf, err := lookup[*object.BTF](c, a.BTFFD, object.KindBTF)
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
