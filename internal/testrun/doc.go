// Package testrun runs programs on packets that are given to it:
// BPF_PROG_TEST_RUN as net/bpf/test_run.c has it ([BPF]), and a [Runner] that
// puts one packet after the other through a program without allocating.
package testrun

import (
	"sync/atomic"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Program is what is to be run.
type Program struct {
	Machine        *exec.Machine
	Image          exec.Image
	Type           uapi.ProgType
	ExpectedAttach uapi.AttachType
	// Stop, when not nil, ends the run soon after it becomes true: the
	// counterpart of a signal to the caller, and EINTR like one.
	Stop *atomic.Bool
}

// Supported says whether programs of a type can be run here; the others answer
// ENOTSUPP.
func Supported(t uapi.ProgType) bool { return kindOf(t) != kindNone }

// kind is how a program type runs.
type kind uint8

const (
	kindNone kind = iota
	kindL3        // on an sk_buff that starts at its network header
	kindL2        // on an sk_buff that starts at its Ethernet header
	kindXDP       // on an xdp_buff
)

func kindOf(t uapi.ProgType) kind {
	switch t {
	case uapi.BPF_PROG_TYPE_SOCKET_FILTER:
		return kindL3
	case uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_SCHED_ACT:
		return kindL2
	case uapi.BPF_PROG_TYPE_XDP:
		return kindXDP
	}
	return kindNone
}
