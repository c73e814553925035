//go:build linux

package oracle

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// maxAttempts bounds how often an interrupted call is repeated.
const maxAttempts = 30

func call(cmd uapi.Cmd, attr []byte) (uintptr, errno.Errno) {
	for attempt := 0; ; attempt++ {
		r, _, e := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(unsafe.Pointer(unsafe.SliceData(attr))), uintptr(len(attr)))
		// A signal for the Go scheduler interrupts a long verification (EAGAIN)
		// or a long test run (EINTR).
		interrupted := e == unix.EINTR || e == unix.EAGAIN && cmd == uapi.BPF_PROG_LOAD
		if interrupted && attempt < maxAttempts {
			continue
		}
		return r, errno.Errno(e)
	}
}
