package loader

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// kernelVersion is LINUX_KERNEL_VERSION of the kernel that skep mirrors.
const kernelVersion = 6<<16 | 18<<8

// kconfig are the options that skep's kernel answers for: what its behaviour
// corresponds to. Tristates are 'y', 'n', 'm' as characters.
var kconfig = map[string]uint64{
	"LINUX_KERNEL_VERSION":                   kernelVersion,
	"LINUX_HAS_SYSCALL_WRAPPER":              1,
	"LINUX_HAS_BPF_COOKIE":                   1,
	"CONFIG_HZ":                              1000,
	"CONFIG_BPF":                             'y',
	"CONFIG_BPF_SYSCALL":                     'y',
	"CONFIG_BPF_JIT":                         'y',
	"CONFIG_NET":                             'y',
	"CONFIG_INET":                            'y',
	"CONFIG_IPV6":                            'y',
	"CONFIG_NET_SCHED":                       'y',
	"CONFIG_NET_CLS_BPF":                     'y',
	"CONFIG_XDP_SOCKETS":                     'y',
	"CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS": 'y',
}

// fillKconfig gives the variables of .kconfig their values.
func fillKconfig(m *ebpf.MapSpec, weak map[string]bool) ([]byte, error) {
	ds, ok := m.Value.(*btf.Datasec)
	if !ok {
		return nil, fmt.Errorf(".kconfig has no BTF")
	}
	data := make([]byte, ds.Size)
	for _, v := range ds.Vars {
		name := v.Type.TypeName()
		value, known := kconfig[name]
		if !known {
			if !weak[name] {
				return nil, fmt.Errorf("the kernel has no option %s (declare it __weak to read 0)", name)
			}
			continue
		}
		if uint64(v.Offset)+uint64(v.Size) > uint64(len(data)) {
			return nil, fmt.Errorf(".kconfig: %s lies outside of the section", name)
		}
		if isBool(v.Type) {
			value = b2u(value == 'y' || value == 'm')
		}
		var full [8]byte
		binary.LittleEndian.PutUint64(full[:], value)
		copy(data[v.Offset:v.Offset+v.Size], full[:])
	}
	return data, nil
}

func isBool(t btf.Type) bool {
	v, ok := t.(*btf.Var)
	if !ok {
		return false
	}
	i, ok := btf.UnderlyingType(v.Type).(*btf.Int)
	return ok && i.Encoding == btf.Bool
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
