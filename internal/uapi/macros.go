package uapi

// The constants below are macros in the kernel's headers, so BTF has no trace of
// them. A test compares them with the headers of the host.

// Sizes (linux/bpf.h).
const (
	BPF_OBJ_NAME_LEN  = 16
	BPF_TAG_SIZE      = 8
	BPF_BUILD_ID_SIZE = 20
)

// Flags of BPF_PROG_ATTACH and BPF_LINK_CREATE (linux/bpf.h).
const (
	BPF_F_ALLOW_OVERRIDE = 1 << 0
	BPF_F_ALLOW_MULTI    = 1 << 1
	BPF_F_REPLACE        = 1 << 2
	BPF_F_BEFORE         = 1 << 3
	BPF_F_AFTER          = 1 << 4
	BPF_F_ID             = 1 << 5
	BPF_F_PREORDER       = 1 << 6
)

// Flags of BPF_PROG_LOAD (linux/bpf.h).
const (
	BPF_F_STRICT_ALIGNMENT    = 1 << 0
	BPF_F_ANY_ALIGNMENT       = 1 << 1
	BPF_F_TEST_RND_HI32       = 1 << 2
	BPF_F_TEST_STATE_FREQ     = 1 << 3
	BPF_F_SLEEPABLE           = 1 << 4
	BPF_F_XDP_HAS_FRAGS       = 1 << 5
	BPF_F_XDP_DEV_BOUND_ONLY  = 1 << 6
	BPF_F_TEST_REG_INVARIANTS = 1 << 7
)

// Flags of BPF_LINK_CREATE for netfilter (linux/bpf.h).
const BPF_F_NETFILTER_IP_DEFRAG = 1 << 0

// Flags of BPF_PROG_QUERY and BPF_PROG_TEST_RUN (linux/bpf.h).
const (
	BPF_F_QUERY_EFFECTIVE            = 1 << 0
	BPF_F_TEST_RUN_ON_CPU            = 1 << 0
	BPF_F_TEST_XDP_LIVE_FRAMES       = 1 << 1
	BPF_F_TEST_SKB_CHECKSUM_COMPLETE = 1 << 2
)

// What the source register of a 64-bit immediate load or a call means
// (linux/bpf.h).
const (
	BPF_PSEUDO_MAP_FD        = 1
	BPF_PSEUDO_MAP_VALUE     = 2
	BPF_PSEUDO_BTF_ID        = 3
	BPF_PSEUDO_FUNC          = 4
	BPF_PSEUDO_MAP_IDX       = 5
	BPF_PSEUDO_MAP_IDX_VALUE = 6

	BPF_PSEUDO_CALL       = 1
	BPF_PSEUDO_KFUNC_CALL = 2
)

// Helper flags that are combinations (linux/bpf.h).
const BPF_F_REDIRECT_FLAGS = BPF_F_INGRESS | BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS

// BPF_LINE_INFO_LINE_NUM and BPF_LINE_INFO_LINE_COL of linux/bpf.h.

// Line returns the source line of the record.
func (a *LineInfo) Line() uint32 { return a.LineCol >> 10 }

// Column returns the source column of the record.
func (a *LineInfo) Column() uint32 { return a.LineCol & 0x3ff }

// BTF (linux/btf.h).
const (
	BTF_MAGIC           = 0xeb9f
	BTF_VERSION         = 1
	BTF_MAX_TYPE        = 0x000fffff
	BTF_MAX_NAME_OFFSET = 0x00ffffff
	BTF_MAX_VLEN        = 0xffff
	BTF_INT_SIGNED      = 1 << 0
	BTF_INT_CHAR        = 1 << 1
	BTF_INT_BOOL        = 1 << 2
)

// Attachment to a device, by netlink (linux/if_link.h), and the room in front of
// a packet (linux/bpf.h).
const (
	XDP_FLAGS_UPDATE_IF_NOEXIST = 1 << 0
	XDP_FLAGS_SKB_MODE          = 1 << 1
	XDP_FLAGS_DRV_MODE          = 1 << 2
	XDP_FLAGS_HW_MODE           = 1 << 3
	XDP_FLAGS_REPLACE           = 1 << 4
	XDP_FLAGS_MODES             = XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE | XDP_FLAGS_HW_MODE
	XDP_FLAGS_MASK              = XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_MODES | XDP_FLAGS_REPLACE
	XDP_PACKET_HEADROOM         = 256
)

// Verdicts of traffic control (linux/pkt_cls.h).
const (
	TC_ACT_UNSPEC     = -1
	TC_ACT_OK         = 0
	TC_ACT_RECLASSIFY = 1
	TC_ACT_SHOT       = 2
	TC_ACT_PIPE       = 3
	TC_ACT_STOLEN     = 4
	TC_ACT_QUEUED     = 5
	TC_ACT_REPEAT     = 6
	TC_ACT_REDIRECT   = 7
	TC_ACT_TRAP       = 8
)

// Permissions and kinds of cgroup device access (linux/bpf.h).
const (
	BPF_DEVCG_ACC_MKNOD = 1 << 0
	BPF_DEVCG_ACC_READ  = 1 << 1
	BPF_DEVCG_ACC_WRITE = 1 << 2
	BPF_DEVCG_DEV_BLOCK = 1 << 0
	BPF_DEVCG_DEV_CHAR  = 1 << 1
)
