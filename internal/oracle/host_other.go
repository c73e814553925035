//go:build !linux

package oracle

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

const supported = false

// Release returns "": there is no Linux kernel to ask.
func Release() string { return "" }

// PossibleCPUs returns 1: there is no Linux kernel to ask.
func PossibleCPUs() int { return 1 }

func call(uapi.Cmd, []byte) (uintptr, errno.Errno) { return 0, errno.ENOSYS }

func closeFD(int) {}
