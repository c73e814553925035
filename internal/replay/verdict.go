package replay

import (
	"fmt"

	"github.com/skep-ebpf/skep/internal/uapi"
)

// Verdict is what a program's return value means.
type Verdict struct {
	Value uint32
	Name  string
	// Passes says that the packet goes on: up the stack, out of a device, to
	// another program. It is false for what drops or keeps it.
	Passes bool
	// Keep is how many bytes of the packet, from its network header on, a socket
	// filter lets through; -1: all.
	Keep int
}

type action struct {
	name   string
	passes bool
}

var xdpActions = map[uint32]action{
	uapi.XDP_ABORTED:  {"XDP_ABORTED", false},
	uapi.XDP_DROP:     {"XDP_DROP", false},
	uapi.XDP_PASS:     {"XDP_PASS", true},
	uapi.XDP_TX:       {"XDP_TX", true},
	uapi.XDP_REDIRECT: {"XDP_REDIRECT", true},
}

const tcUnspec = ^uint32(0) // TC_ACT_UNSPEC, -1

var tcActions = map[uint32]action{
	tcUnspec:               {"TC_ACT_UNSPEC", true},
	uapi.TC_ACT_OK:         {"TC_ACT_OK", true},
	uapi.TC_ACT_RECLASSIFY: {"TC_ACT_RECLASSIFY", true},
	uapi.TC_ACT_SHOT:       {"TC_ACT_SHOT", false},
	uapi.TC_ACT_PIPE:       {"TC_ACT_PIPE", true},
	uapi.TC_ACT_STOLEN:     {"TC_ACT_STOLEN", false},
	uapi.TC_ACT_QUEUED:     {"TC_ACT_QUEUED", false},
	uapi.TC_ACT_REPEAT:     {"TC_ACT_REPEAT", false},
	uapi.TC_ACT_REDIRECT:   {"TC_ACT_REDIRECT", true},
	uapi.TC_ACT_TRAP:       {"TC_ACT_TRAP", false},
}

// naming says what the return values of a program type mean.
type naming struct {
	// key is what the return value counts as, for a packet of length bytes; nil:
	// as itself.
	key func(value uint32, length int) uint32
	// verdict says what the key stands for.
	verdict func(key uint32) Verdict
}

// Programs of types that are not here do not run on packets.
var namings = map[string]naming{
	uapi.BPF_PROG_TYPE_XDP.LibName():           {verdict: named(xdpActions, unknownXDP)},
	uapi.BPF_PROG_TYPE_SCHED_ACT.LibName():     {verdict: named(tcActions, unknownAction)},
	uapi.BPF_PROG_TYPE_SCHED_CLS.LibName():     {verdict: named(tcActions, class)},
	uapi.BPF_PROG_TYPE_SOCKET_FILTER.LibName(): {key: kept, verdict: filtered},
}

func named(actions map[uint32]action, other func(uint32) Verdict) func(uint32) Verdict {
	return func(v uint32) Verdict {
		if a, ok := actions[v]; ok {
			return Verdict{Value: v, Name: a.name, Passes: a.passes, Keep: -1}
		}
		return other(v)
	}
}

// unknownXDP: the kernel drops the packet and warns (bpf_warn_invalid_xdp_action).
func unknownXDP(v uint32) Verdict {
	return Verdict{Value: v, Name: fmt.Sprintf("%d (invalid)", v), Keep: -1}
}

// unknownAction is TC_ACT_UNSPEC to the kernel (tcf_bpf_act).
func unknownAction(v uint32) Verdict {
	return Verdict{Value: v, Name: fmt.Sprintf("%d (as TC_ACT_UNSPEC)", int32(v)), Passes: true, Keep: -1}
}

// class is a class id, in the form of tc's print_tc_classid.
func class(v uint32) Verdict {
	d := Verdict{Value: v, Passes: true, Keep: -1}
	switch major, minor := v>>16, v&0xffff; {
	case major == 0:
		d.Name = fmt.Sprintf(":%x", minor)
	case minor == 0:
		d.Name = fmt.Sprintf("%x:", major)
	default:
		d.Name = fmt.Sprintf("%x:%x", major, minor)
	}
	return d
}

const (
	ethernetHeader = 14
	keepsAll       = ^uint32(0)
)

// kept is how many bytes a socket filter keeps of a packet, from its network
// header on: all return values that keep everything are one verdict.
func kept(value uint32, length int) uint32 {
	if int64(value) >= int64(length-ethernetHeader) && value != 0 {
		return keepsAll
	}
	return value
}

func filtered(keep uint32) Verdict {
	switch keep {
	case 0:
		return Verdict{Name: "drop"}
	case keepsAll:
		return Verdict{Value: keepsAll, Name: "accept", Passes: true, Keep: -1}
	}
	return Verdict{Value: keep, Name: fmt.Sprintf("accept %d bytes", keep), Passes: true, Keep: int(keep)}
}
