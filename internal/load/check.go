package load

import (
	"slices"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Limits on the number of instructions (BPF_MAXINSNS and
// BPF_COMPLEXITY_LIMIT_INSNS).
const (
	maxInsnsUnprivileged = 4096
	maxInsns             = 1000000
)

const knownFlags = uapi.BPF_F_STRICT_ALIGNMENT | uapi.BPF_F_ANY_ALIGNMENT | uapi.BPF_F_TEST_STATE_FREQ |
	uapi.BPF_F_SLEEPABLE | uapi.BPF_F_TEST_RND_HI32 | uapi.BPF_F_XDP_HAS_FRAGS |
	uapi.BPF_F_XDP_DEV_BOUND_ONLY | uapi.BPF_F_TEST_REG_INVARIANTS | uapi.BPF_F_TOKEN_FD

// Check refuses what bpf_prog_load refuses before it copies the program in, in
// its order. An expected_attach_type of 0 becomes what it stands for.
func (l *Loader) Check(a *uapi.ProgLoadAttr, creds object.Credentials) error {
	if typ := l.Types(a.ProgType); typ != nil && a.ExpectedAttachType == 0 {
		a.ExpectedAttachType = typ.DefaultAttach
	}
	if a.ProgFlags&^uint32(knownFlags) != 0 {
		return errno.Errorf(errno.EINVAL, "unknown program flags %#x", a.ProgFlags&^uint32(knownFlags))
	}
	if a.ProgFlags&uapi.BPF_F_TOKEN_FD != 0 {
		return errno.Errorf(errno.EBADF, "fd %d is no BPF token", a.ProgTokenFD)
	}
	bpf := creds.Caps.Has(object.CapBPF)
	if l.UnprivilegedDisabled && !bpf {
		return errno.Errorf(errno.EPERM, "CAP_BPF is missing, and unprivileged bpf is disabled")
	}
	limit := uint32(maxInsns)
	if !bpf {
		limit = maxInsnsUnprivileged
	}
	if a.InsnCnt == 0 || a.InsnCnt > limit {
		return errno.Errorf(errno.E2BIG, "a program of %d instructions; the limit is %d", a.InsnCnt, limit)
	}
	if err := l.permit(a, creds.Caps, bpf); err != nil {
		return err
	}
	return l.attach(a)
}

// netAdminTypes are what is_net_admin_prog_type lists, perfmonTypes what
// is_perfmon_prog_type does: also the types that skep does not have, so that
// the errno is the same.
var (
	netAdminTypes = []uapi.ProgType{
		uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_SCHED_ACT, uapi.BPF_PROG_TYPE_XDP,
		uapi.BPF_PROG_TYPE_LWT_IN, uapi.BPF_PROG_TYPE_LWT_OUT, uapi.BPF_PROG_TYPE_LWT_XMIT,
		uapi.BPF_PROG_TYPE_LWT_SEG6LOCAL, uapi.BPF_PROG_TYPE_SK_SKB, uapi.BPF_PROG_TYPE_SK_MSG,
		uapi.BPF_PROG_TYPE_FLOW_DISSECTOR, uapi.BPF_PROG_TYPE_CGROUP_DEVICE, uapi.BPF_PROG_TYPE_CGROUP_SOCK,
		uapi.BPF_PROG_TYPE_CGROUP_SOCK_ADDR, uapi.BPF_PROG_TYPE_CGROUP_SOCKOPT, uapi.BPF_PROG_TYPE_CGROUP_SYSCTL,
		uapi.BPF_PROG_TYPE_SOCK_OPS, uapi.BPF_PROG_TYPE_EXT, uapi.BPF_PROG_TYPE_NETFILTER,
	}
	perfmonTypes = []uapi.ProgType{
		uapi.BPF_PROG_TYPE_KPROBE, uapi.BPF_PROG_TYPE_TRACEPOINT, uapi.BPF_PROG_TYPE_PERF_EVENT,
		uapi.BPF_PROG_TYPE_RAW_TRACEPOINT, uapi.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
		uapi.BPF_PROG_TYPE_TRACING, uapi.BPF_PROG_TYPE_LSM, uapi.BPF_PROG_TYPE_STRUCT_OPS, uapi.BPF_PROG_TYPE_EXT,
	}
	unprivilegedTypes = []uapi.ProgType{uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_CGROUP_SKB}
)

func (l *Loader) permit(a *uapi.ProgLoadAttr, caps object.CapSet, bpf bool) error {
	switch {
	case !bpf && !slices.Contains(unprivilegedTypes, a.ProgType):
		return errno.Errorf(errno.EPERM, "a %v program needs CAP_BPF", a.ProgType)
	case slices.Contains(netAdminTypes, a.ProgType) && !caps.Has(object.CapNetAdmin):
		return errno.Errorf(errno.EPERM, "a %v program needs CAP_NET_ADMIN", a.ProgType)
	case slices.Contains(perfmonTypes, a.ProgType) && !caps.Has(object.CapPerfmon):
		return errno.Errorf(errno.EPERM, "a %v program needs CAP_PERFMON", a.ProgType)
	}
	return nil
}

// expectedAttach has the attach types of program types that skep does not have:
// they are looked at before the type itself is.
var expectedAttach = map[uapi.ProgType][]uapi.AttachType{
	uapi.BPF_PROG_TYPE_CGROUP_SOCK: {0, uapi.BPF_CGROUP_INET_SOCK_CREATE, uapi.BPF_CGROUP_INET_SOCK_RELEASE,
		uapi.BPF_CGROUP_INET4_POST_BIND, uapi.BPF_CGROUP_INET6_POST_BIND},
	uapi.BPF_PROG_TYPE_CGROUP_SOCK_ADDR: {uapi.BPF_CGROUP_INET4_BIND, uapi.BPF_CGROUP_INET6_BIND,
		uapi.BPF_CGROUP_INET4_CONNECT, uapi.BPF_CGROUP_INET6_CONNECT, uapi.BPF_CGROUP_UNIX_CONNECT,
		uapi.BPF_CGROUP_INET4_GETPEERNAME, uapi.BPF_CGROUP_INET6_GETPEERNAME, uapi.BPF_CGROUP_UNIX_GETPEERNAME,
		uapi.BPF_CGROUP_INET4_GETSOCKNAME, uapi.BPF_CGROUP_INET6_GETSOCKNAME, uapi.BPF_CGROUP_UNIX_GETSOCKNAME,
		uapi.BPF_CGROUP_UDP4_SENDMSG, uapi.BPF_CGROUP_UDP6_SENDMSG, uapi.BPF_CGROUP_UNIX_SENDMSG,
		uapi.BPF_CGROUP_UDP4_RECVMSG, uapi.BPF_CGROUP_UDP6_RECVMSG, uapi.BPF_CGROUP_UNIX_RECVMSG},
	uapi.BPF_PROG_TYPE_CGROUP_SKB:     {uapi.BPF_CGROUP_INET_INGRESS, uapi.BPF_CGROUP_INET_EGRESS},
	uapi.BPF_PROG_TYPE_CGROUP_SOCKOPT: {uapi.BPF_CGROUP_SETSOCKOPT, uapi.BPF_CGROUP_GETSOCKOPT},
	uapi.BPF_PROG_TYPE_SK_LOOKUP:      {uapi.BPF_SK_LOOKUP},
	uapi.BPF_PROG_TYPE_SK_REUSEPORT:   {0, uapi.BPF_SK_REUSEPORT_SELECT, uapi.BPF_SK_REUSEPORT_SELECT_OR_MIGRATE},
	uapi.BPF_PROG_TYPE_NETFILTER:      {uapi.BPF_NETFILTER},
	uapi.BPF_PROG_TYPE_SYSCALL:        {0},
	uapi.BPF_PROG_TYPE_EXT:            {0},
}

// attach mirrors what bpf_prog_load does with the attach target, and
// bpf_prog_load_check_attach.
func (l *Loader) attach(a *uapi.ProgLoadAttr) error {
	switch {
	case a.AttachProgFD != 0:
		return errno.Errorf(errno.EINVAL, "programs of type %v have no attach target", a.ProgType)
	case a.AttachBTFID != 0:
		return errno.Errorf(errno.EINVAL, "programs of type %v have no attach_btf_id", a.ProgType)
	case a.ProgIfindex != 0:
		return errno.Errorf(errno.EINVAL, "no device with ifindex %d takes programs", a.ProgIfindex)
	}
	allowed := expectedAttach[a.ProgType]
	if typ := l.Types(a.ProgType); typ != nil {
		allowed = typ.ExpectedAttach
	}
	if allowed == nil || slices.Contains(allowed, a.ExpectedAttachType) {
		return nil
	}
	return errno.Errorf(errno.EINVAL, "expected_attach_type %v is not one for %v", a.ExpectedAttachType, a.ProgType)
}
