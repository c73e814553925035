package loader

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/uapi"
)

// kconfigSection is the section of variables that the kernel's configuration
// answers. It is in the BTF alone; libbpf makes a read-only map of it.
const kconfigSection = ".kconfig"

// kernelVersion is LINUX_KERNEL_VERSION of the kernel that skep mirrors.
const kernelVersion = 6<<16 | 18<<8

// An option is a line of the configuration: a number, or a choice.
type option struct {
	number uint64
	choice byte // 'y', 'n', 'm'; 0: a number
}

var yes = option{choice: 'y'}

// kconfig are the options that skep's kernel answers for: what its behaviour
// corresponds to.
var kconfig = map[string]option{
	"LINUX_KERNEL_VERSION":                   {number: kernelVersion},
	"LINUX_HAS_SYSCALL_WRAPPER":              {number: 1},
	"LINUX_HAS_BPF_COOKIE":                   {number: 1},
	"CONFIG_HZ":                              {number: 1000},
	"CONFIG_64BIT":                           yes,
	"CONFIG_BPF":                             yes,
	"CONFIG_BPF_SYSCALL":                     yes,
	"CONFIG_BPF_JIT":                         yes,
	"CONFIG_DEBUG_INFO_BTF":                  yes,
	"CONFIG_NET":                             yes,
	"CONFIG_INET":                            yes,
	"CONFIG_IPV6":                            yes,
	"CONFIG_NET_SCHED":                       yes,
	"CONFIG_NET_CLS_BPF":                     yes,
	"CONFIG_NET_ACT_BPF":                     yes,
	"CONFIG_XDP_SOCKETS":                     yes,
	"CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS": yes,
}

// addKconfig declares the map of .kconfig where the object's BTF has the
// section, which the ELF reader keeps for itself.
func addKconfig(spec *ebpf.CollectionSpec) error {
	var ds *btf.Datasec
	if spec.Types == nil || spec.Types.TypeByName(kconfigSection, &ds) != nil {
		return nil
	}
	if spec.Maps[kconfigSection] != nil {
		return fmt.Errorf("a map has the name of the section %s", kconfigSection)
	}
	ds = layout(ds)
	spec.Maps[kconfigSection] = &ebpf.MapSpec{
		Name: kconfigSection, Type: ebpf.Array, KeySize: 4, ValueSize: ds.Size, MaxEntries: 1,
		Flags: uapi.BPF_F_RDONLY_PROG, Key: &btf.Void{}, Value: ds,
	}
	return nil
}

// layout gives the variables their places in libbpf's order: by alignment, size
// and name (bpf_object__collect_externs).
func layout(ds *btf.Datasec) *btf.Datasec {
	out := &btf.Datasec{Name: ds.Name, Vars: slices.Clone(ds.Vars)}
	slices.SortStableFunc(out.Vars, func(a, b btf.VarSecinfo) int {
		return cmp.Or(cmp.Compare(alignment(b.Type), alignment(a.Type)), cmp.Compare(a.Size, b.Size),
			strings.Compare(a.Type.TypeName(), b.Type.TypeName()))
	})
	for i := range out.Vars {
		v := &out.Vars[i]
		align := alignment(v.Type)
		v.Offset = (out.Size + align - 1) &^ (align - 1)
		out.Size = v.Offset + v.Size
	}
	return out
}

// alignment is the alignment of a variable that a configuration can fill: of an
// integer, an enum or a row of them.
func alignment(t btf.Type) uint32 {
	if v, ok := t.(*btf.Var); ok {
		t = v.Type
	}
	t = btf.UnderlyingType(t)
	if a, ok := t.(*btf.Array); ok {
		t = btf.UnderlyingType(a.Type)
	}
	size, err := btf.Sizeof(t)
	if err != nil || bits.OnesCount(uint(size)) != 1 || size > 8 {
		return 1
	}
	return uint32(size)
}

// fillKconfig gives the variables of .kconfig their values.
func fillKconfig(m *ebpf.MapSpec, weak map[string]bool) ([]byte, error) {
	ds, ok := m.Value.(*btf.Datasec)
	if !ok {
		return nil, fmt.Errorf("%s has no BTF", kconfigSection)
	}
	data := make([]byte, ds.Size)
	for _, v := range ds.Vars {
		name := v.Type.TypeName()
		option, known := kconfig[name]
		if !known {
			if !weak[name] || strings.HasPrefix(name, "LINUX_") {
				return nil, fmt.Errorf("the kernel has no option %s (declare it __weak to read 0)", name)
			}
			continue
		}
		typ, ok := v.Type.(*btf.Var)
		if !ok {
			return nil, fmt.Errorf("%s is not a variable", name)
		}
		size, err := btf.Sizeof(typ.Type)
		if err != nil || uint64(v.Offset)+uint64(size) > uint64(len(data)) {
			return nil, fmt.Errorf("%s lies outside of its section", name)
		}
		if err := option.put(data[v.Offset:int(v.Offset)+size], typ.Type); err != nil {
			return nil, fmt.Errorf("extern %s: %w", name, err)
		}
	}
	return data, nil
}

// tristate are the values of enum libbpf_tristate.
var tristate = map[byte]byte{'n': 0, 'y': 1, 'm': 2}

// put writes an option to a variable of a type that can hold it (libbpf's
// find_kcfg_type and set_kcfg_value_tri, set_kcfg_value_num).
func (o option) put(to []byte, typ btf.Type) error {
	var full [8]byte
	switch t := btf.UnderlyingType(typ).(type) {
	case *btf.Int:
		switch {
		case len(to) > len(full):
		case o.choice == 0 && t.Encoding != btf.Bool:
			if !o.fits(8*len(to), t.Encoding == btf.Signed) {
				return fmt.Errorf("%d does not fit in %d bytes", o.number, len(to))
			}
			binary.LittleEndian.PutUint64(full[:], o.number)
			copy(to, full[:])
			return nil
		case o.choice != 0 && len(to) == 1 && t.Encoding == btf.Bool && o.choice != 'm':
			to[0] = b2u(o.choice == 'y')
			return nil
		case o.choice != 0 && len(to) == 1 && t.Encoding != btf.Bool:
			to[0] = o.choice
			return nil
		}
	case *btf.Enum:
		if o.choice != 0 && len(to) == 4 && t.Name == "libbpf_tristate" {
			to[0] = tristate[o.choice]
			return nil
		}
	}
	if o.choice == 0 {
		return fmt.Errorf("the option is a number, which a %v cannot hold", typ)
	}
	return fmt.Errorf("the option is y, n or m, which a %v cannot hold (bool, char and enum libbpf_tristate can)", typ)
}

// fits says whether a number can be held by so many bits.
func (o option) fits(bits int, signed bool) bool {
	if signed {
		bits--
	}
	return bits >= 64 || o.number>>bits == 0
}

func b2u(b bool) byte {
	if b {
		return 1
	}
	return 0
}
