//go:build linux && !mips && !mipsle && !mips64 && !mips64le && !sparc64

package errno

import "syscall"

// The generic numbers are those of the host.

func toHost(e Errno) (syscall.Errno, bool) { return syscall.Errno(e), true }

func fromHost(h syscall.Errno) (Errno, bool) {
	if h == 0 || h > syscall.Errno(maxErrno) {
		return 0, false
	}
	return Errno(h), true
}
