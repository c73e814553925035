package abi

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// progTestRun mirrors bpf_prog_test_run.
func progTestRun(c *call) (int, error) {
	var a uapi.TestRunAttr
	a.Decode(c.attr[:])
	return -1, errno.Errorf(errno.ENOTSUPP, "pending")
}
