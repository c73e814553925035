package mem

import "golang.org/x/sys/windows"

const defaultLimit = 64 << 30

func reserve(size uint64) (uint64, func() error, error) {
	p, err := windows.VirtualAlloc(0, uintptr(size), windows.MEM_RESERVE, windows.PAGE_READWRITE)
	if err != nil {
		return 0, nil, err
	}
	return uint64(p), func() error { return windows.VirtualFree(p, 0, windows.MEM_RELEASE) }, nil
}

// commit backs the pages: Windows reserves and commits in two steps.
func commit(addr, size uint64) error {
	_, err := windows.VirtualAlloc(uintptr(addr), uintptr(size), windows.MEM_COMMIT, windows.PAGE_READWRITE)
	return err
}

func zero(addr, size uint64) { clear(Bytes(addr, size)) }
