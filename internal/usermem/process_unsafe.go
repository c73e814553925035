package usermem

import (
	"runtime/debug"
	"unsafe"
)

// Process is the memory of this process. A bad address gives EFAULT instead of
// a crash: while a copy runs, a fault on its goroutine is a panic that is
// recovered here.
type Process struct{}

const (
	firstPage = 1 << 12 // never mapped
	lastUser  = 1 << 56 // beyond any address that a process can have
)

// Read implements [Mem].
func (Process) Read(addr uint64, p []byte) error {
	return guarded(addr, len(p), func(q []byte) { copy(p, q) })
}

// Write implements [Mem].
func (Process) Write(addr uint64, p []byte) error {
	return guarded(addr, len(p), func(q []byte) { copy(q, p) })
}

func guarded(addr uint64, n int, f func([]byte)) (err error) {
	if n == 0 {
		return nil
	}
	if addr < firstPage || addr >= lastUser || addr+uint64(n) > lastUser {
		return fault(addr, n)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, isFault := r.(interface{ Addr() uintptr }); !isFault {
				panic(r)
			}
			err = fault(addr, n)
		}
	}()
	a := uintptr(addr)
	f(unsafe.Slice(*(**byte)(unsafe.Pointer(&a)), n))
	return nil
}
