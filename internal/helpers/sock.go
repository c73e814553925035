package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// sockHelpers look sockets up. There are none to be found, but programs must be
// able to ask.
var sockHelpers = []helper{
	fn(uapi.BPF_FUNC_sk_lookup_tcp, zero),
	fn(uapi.BPF_FUNC_sk_lookup_udp, zero),
	fn(uapi.BPF_FUNC_skc_lookup_tcp, zero),
	fn(uapi.BPF_FUNC_sk_release, zero),
	fn(uapi.BPF_FUNC_tcp_check_syncookie, noListener),
	fn(uapi.BPF_FUNC_tcp_gen_syncookie, noListener),
}

// skbSockHelpers look at the socket of a packet.
var skbSockHelpers = []helper{
	fn(uapi.BPF_FUNC_sk_fullsock, skFullsock),
	fn(uapi.BPF_FUNC_tcp_sock, zero),
	fn(uapi.BPF_FUNC_get_listener_sock, zero),
	fn(uapi.BPF_FUNC_sk_assign, skAssign),
}

// noListener: no socket listens for TCP, so none has SYN cookies.
func noListener(*exec.CPU, uint64, uint64, uint64, uint64, uint64) uint64 {
	return failure(errno.EINVAL)
}

func skFullsock(_ *exec.CPU, sk, _, _, _, _ uint64) uint64 {
	if mem.At[ktype.Sock](sk).Fullsock == 0 {
		return 0
	}
	return sk
}

// skAssign works at ingress only, for sockets that packets can be delivered to
// (bpf_sk_assign).
func skAssign(c *exec.CPU, _, sk, flags, _, _ uint64) uint64 {
	if sk == 0 || flags != 0 {
		return failure(errno.EINVAL)
	}
	return failure(errno.EOPNOTSUPP)
}

// socketCookie numbers a socket when it is first asked for (sock_gen_cookie).
func socketCookie(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if s.Socket == nil {
		return 0
	}
	if s.Socket.Cookie == 0 {
		s.Socket.Cookie = s.Socket.Addr - c.Machine.Region.Base() + 1
	}
	return s.Socket.Cookie
}

// overflowUID is what a packet without a socket belongs to.
const overflowUID = 65534

func socketUID(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	s := c.Run.(*netbuf.SKB)
	if s.Socket == nil || s.Socket.Fullsock == 0 {
		return overflowUID
	}
	return uint64(s.Socket.UID)
}

// netnsCookie: the one network namespace has the first number.
func netnsCookie(*exec.CPU, uint64, uint64, uint64, uint64, uint64) uint64 { return 1 }
