package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// schedCls and schedAct are the classifiers and actions of traffic control.
// Context access as in tc_cls_act_is_valid_access. Linux puts a prologue before
// programs that write to packets, which copies a cloned sk_buff
// (bpf_unclone_prologue); skep's are never clones.
var (
	schedCls = sched(uapi.BPF_PROG_TYPE_SCHED_CLS, "sched_cls")
	schedAct = sched(uapi.BPF_PROG_TYPE_SCHED_ACT, "sched_act")
)

func sched(t uapi.ProgType, name string) desc.ProgType {
	return desc.ProgType{
		Type: t,
		Name: name,
		Context: skbContext(nil,
			[]string{"mark", "tc_index", "priority", "tc_classid", "cb", "tstamp", "queue_mapping"}),
		Helper:            helpers.Lookup,
		DirectPacketWrite: true,
		PacketAccess:      true,
		LoadAbs:           true,
		LoadAbsHelper:     helpers.LoadAbs,
		NeedsNetAdmin:     true,
		Sockets:           &sockets,
	}
}
