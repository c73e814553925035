package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// routeHelpers and xdpRouteHelpers ask the routing table and devices.
var (
	routeHelpers = []helper{
		fn(uapi.BPF_FUNC_fib_lookup, fibLookup),
		fn(uapi.BPF_FUNC_check_mtu, skbCheckMTU),
	}
	xdpRouteHelpers = []helper{
		fn(uapi.BPF_FUNC_fib_lookup, fibLookup).of(proto.XDP),
		fn(uapi.BPF_FUNC_check_mtu, xdpCheckMTU).of(proto.XDP),
	}
)

const fibFlags = uapi.BPF_FIB_LOOKUP_DIRECT | uapi.BPF_FIB_LOOKUP_OUTPUT | uapi.BPF_FIB_LOOKUP_SKIP_NEIGH |
	uapi.BPF_FIB_LOOKUP_TBID | uapi.BPF_FIB_LOOKUP_SRC | uapi.BPF_FIB_LOOKUP_MARK

const (
	afInet  = 2
	afInet6 = 10
)

// fibLookup knows the run's own device, which does not forward, and no other
// (bpf_ipv4_fib_lookup, bpf_ipv6_fib_lookup).
func fibLookup(c *exec.CPU, _, params, size, flags, _ uint64) uint64 {
	if int32(size) < uapi.SizeofFibLookup || uint32(flags)&^uint32(fibFlags) != 0 {
		return failure(errno.EINVAL)
	}
	if family := mem.Load8(params + uapi.OffFibLookupFamily); family != afInet && family != afInet6 {
		return failure(errno.EAFNOSUPPORT)
	}
	dev := runDevice(c)
	if dev == nil || uint32(mem.Load32(params+uapi.OffFibLookupIfindex)) != dev.Ifindex {
		return failure(errno.ENODEV)
	}
	return uapi.BPF_FIB_LKUP_RET_FWD_DISABLED
}

func runDevice(c *exec.CPU) *netbuf.Device {
	switch r := c.Run.(type) {
	case *netbuf.SKB:
		return r.Device
	case *netbuf.XDP:
		return r.Device
	}
	return nil
}

func skbCheckMTU(c *exec.CPU, _, ifindex, mtu, diff, flags uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	segs := flags&uapi.BPF_MTU_CHK_SEGS != 0
	if flags&^uapi.BPF_MTU_CHK_SEGS != 0 || segs && (uint32(diff) != 0 || mem.Load32(mtu) != 0) {
		return failure(errno.EINVAL)
	}
	return checkMTU(s.Device, uint32(ifindex), mtu, s.Len, int32(diff), isGSO(s))
}

func xdpCheckMTU(c *exec.CPU, _, ifindex, mtu, diff, flags uint64) uint64 {
	x := c.Run.(*netbuf.XDP)
	if flags != 0 {
		return failure(errno.EINVAL)
	}
	return checkMTU(x.Device, uint32(ifindex), mtu, uint32(x.DataEnd-x.Data), int32(diff), false)
}

// checkMTU holds a length against a device's MTU and writes that to mtu. A
// packet that will be cut into segments passes.
func checkMTU(dev *netbuf.Device, ifindex uint32, mtu uint64, length uint32, diff int32, gso bool) uint64 {
	if dev == nil || ifindex != 0 && ifindex != dev.Ifindex {
		return failure(errno.ENODEV)
	}
	header := int32(dev.HardHeaderLen)
	n := int32(length)
	if asked := int32(mem.Load32(mtu)); asked != 0 {
		n = asked + header
	}
	ret := uint64(uapi.BPF_MTU_CHK_RET_FRAG_NEEDED)
	if n+diff <= int32(dev.MTU)+header || gso {
		ret = uapi.BPF_MTU_CHK_RET_SUCCESS
	}
	mem.Store32(mtu, uint64(dev.MTU))
	return ret
}
