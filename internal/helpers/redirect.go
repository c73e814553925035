package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// redirectHelpers send packets of traffic control to another device. They leave
// the target in exec.CPU.Redirect; the hook acts on it when the program returns
// what they returned.
var redirectHelpers = []helper{
	fn(uapi.BPF_FUNC_redirect, tcRedirect),
	fn(uapi.BPF_FUNC_redirect_peer, redirectPeer),
	fn(uapi.BPF_FUNC_redirect_neigh, redirectNeigh),
	fn(uapi.BPF_FUNC_clone_redirect, cloneRedirect),
}

func tcRedirect(c *exec.CPU, ifindex, flags, _, _, _ uint64) uint64 {
	if flags&^uapi.BPF_F_INGRESS != 0 {
		return uapi.TC_ACT_SHOT
	}
	return redirectTo(c, ifindex, flags)
}

func redirectPeer(c *exec.CPU, ifindex, flags, _, _, _ uint64) uint64 {
	if flags != 0 {
		return uapi.TC_ACT_SHOT
	}
	return redirectTo(c, ifindex, uapi.BPF_F_PEER)
}

func redirectNeigh(c *exec.CPU, ifindex, _, size, flags, _ uint64) uint64 {
	if n := int32(size); n != 0 && n < uapi.SizeofRedirNeigh || flags != 0 {
		return uapi.TC_ACT_SHOT
	}
	return redirectTo(c, ifindex, uapi.BPF_F_NEIGH)
}

func redirectTo(c *exec.CPU, ifindex, flags uint64) uint64 {
	c.Redirect = exec.Redirect{Ifindex: uint32(ifindex), Flags: flags, Set: true}
	return uapi.TC_ACT_REDIRECT
}

// cloneRedirect sends a copy of the packet. The only device that a run knows is
// its own loopback, which swallows it (bpf_clone_redirect).
func cloneRedirect(c *exec.CPU, _, ifindex, flags, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	s.ComputePointers()
	switch {
	case flags&^uapi.BPF_F_INGRESS != 0:
		return failure(errno.EINVAL)
	case isGSO(s) && s.Shared().GSOType == 0:
		return failure(errno.EBADMSG)
	case s.Device == nil || uint32(ifindex) != s.Device.Ifindex:
		return failure(errno.EINVAL)
	}
	return 0
}
