package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// tunnelHelpers ask what a tunnel device took off a packet. No packet of a test
// run or a capture came through one, so the answers are those of Linux for
// packets without tunnel metadata or security path.
var tunnelHelpers = []helper{
	fn(uapi.BPF_FUNC_skb_get_tunnel_key, getTunnelKey),
	fn(uapi.BPF_FUNC_skb_get_tunnel_opt, getTunnelOpt),
	fn(uapi.BPF_FUNC_skb_get_xfrm_state, getXfrmState),
}

// none clears the output and fails.
func none(out, size uint64, e errno.Errno) uint64 {
	clear(mem.Bytes(out, size))
	return failure(e)
}

func getTunnelKey(_ *exec.CPU, _, out, size, _, _ uint64) uint64 {
	return none(out, size, errno.EINVAL)
}
func getTunnelOpt(_ *exec.CPU, _, out, size, _, _ uint64) uint64 {
	return none(out, size, errno.ENOENT)
}
func getXfrmState(_ *exec.CPU, _, _, out, size, _ uint64) uint64 {
	return none(out, size, errno.EINVAL)
}
