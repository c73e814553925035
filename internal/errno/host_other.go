//go:build !(linux && !mips && !mipsle && !mips64 && !mips64le && !sparc64) && !darwin && !windows && !js && !wasip1 && !plan9

package errno

import "syscall"

// Elsewhere only the numbers that every Unix has had since the seventh edition
// are known to be the same.
const lastCommon = EDOM

func toHost(e Errno) (syscall.Errno, bool) { return syscall.Errno(e), e <= lastCommon && e != EAGAIN }

func fromHost(h syscall.Errno) (Errno, bool) {
	e := Errno(h)
	return e, h != 0 && h <= syscall.Errno(lastCommon) && e != EAGAIN
}
