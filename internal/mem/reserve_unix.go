//go:build unix

package mem

import (
	"runtime"

	"golang.org/x/sys/unix"
)

const defaultLimit = 64 << 30

func reserve(size uint64) (uint64, func() error, error) {
	flags := unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_NORESERVE
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return 0, nil, err
	}
	return uint64(uintptr(p)), func() error { return unix.MunmapPtr(p, uintptr(size)) }, nil
}

// commit has nothing to do: the kernel backs pages when they are touched.
func commit(addr, size uint64) error { return nil }

// zero clears pages; where the host can, by giving them back.
func zero(addr, size uint64) {
	b := Bytes(addr, size)
	if runtime.GOOS == "linux" && size >= 64<<10 && unix.Madvise(b, unix.MADV_DONTNEED) == nil {
		return
	}
	clear(b)
}
