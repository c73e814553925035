// Package mem is the memory that programs see: one reserved range of addresses
// off the Go heap for each kernel, and loads and stores by address.
//
// Verified code is handed real addresses and runs without run-time checks, so
// its memory must neither move nor be scanned by the garbage collector. Go
// pointers never go into it: an object that has a Go side stores a handle.
//
// This package and files named *_unsafe.go are the only places that turn
// integers into pointers.
package mem

import (
	"sync/atomic"
	"unsafe"
)

// ptr turns an address into a pointer. The indirection is what go vet wants to
// see for memory that the garbage collector does not own.
func ptr(addr uint64) unsafe.Pointer {
	p := uintptr(addr)
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}

// Pointer returns addr as a pointer for overlaying a Go struct on off-heap
// memory. The struct must contain no Go pointers.
func Pointer(addr uint64) unsafe.Pointer { return ptr(addr) }

// At overlays a T on the memory at addr. T must contain no Go pointers.
func At[T any](addr uint64) *T { return (*T)(ptr(addr)) }

// Bytes is the n bytes at addr, not a copy.
func Bytes(addr, n uint64) []byte {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(ptr(addr)), n)
}

// Load8 reads one byte at addr.
func Load8(addr uint64) uint64 { return uint64(*(*uint8)(ptr(addr))) }

// Load16 reads two bytes at addr, which need not be aligned.
func Load16(addr uint64) uint64 { return uint64(*(*uint16)(ptr(addr))) }

// Load32 reads four bytes at addr, which need not be aligned.
func Load32(addr uint64) uint64 { return uint64(*(*uint32)(ptr(addr))) }

// Load64 reads eight bytes at addr, which need not be aligned.
func Load64(addr uint64) uint64 { return *(*uint64)(ptr(addr)) }

// Store8 writes the low byte of v at addr.
func Store8(addr, v uint64) { *(*uint8)(ptr(addr)) = uint8(v) }

// Store16 writes the low two bytes of v at addr.
func Store16(addr, v uint64) { *(*uint16)(ptr(addr)) = uint16(v) }

// Store32 writes the low four bytes of v at addr.
func Store32(addr, v uint64) { *(*uint32)(ptr(addr)) = uint32(v) }

// Store64 writes v at addr.
func Store64(addr, v uint64) { *(*uint64)(ptr(addr)) = v }

// Atomic32 is the aligned word at addr for atomic access.
func Atomic32(addr uint64) *atomic.Uint32 { return (*atomic.Uint32)(ptr(addr)) }

// Atomic64 is the aligned double word at addr for atomic access.
func Atomic64(addr uint64) *atomic.Uint64 { return (*atomic.Uint64)(ptr(addr)) }

// HostAddr is the address of a byte slice of the host program, as a caller of
// bpf(2) puts it into an attribute. The slice must stay reachable and must not
// be on a stack while the address is in use.
func HostAddr(b []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}
