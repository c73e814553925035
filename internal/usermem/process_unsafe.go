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
func (Process) Read(addr uint64, p []byte) error { return guarded(addr, p, false) }

// Write implements [Mem].
func (Process) Write(addr uint64, p []byte) error { return guarded(addr, p, true) }

// guarded is watched neither by the race detector nor by the checks of pointers
// that come with it: an address that is not the caller's is what it is for.
//
//go:norace
//go:nocheckptr
func guarded(addr uint64, p []byte, write bool) (err error) {
	if len(p) == 0 {
		return nil
	}
	if addr < firstPage || addr >= lastUser || addr+uint64(len(p)) > lastUser {
		return fault(addr, len(p))
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, isFault := r.(interface{ Addr() uintptr }); !isFault {
				panic(r)
			}
			err = fault(addr, len(p))
		}
	}()
	a := uintptr(addr)
	q := unsafe.Slice(*(**byte)(unsafe.Pointer(&a)), len(p))
	if write {
		copy(q, p)
	} else {
		copy(p, q)
	}
	return nil
}
