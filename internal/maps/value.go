package maps

import (
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func roundUp(n, align uint64) uint64 { return (n + align - 1) &^ (align - 1) }

// index reads the key of an array.
func index(key []byte) uint32 { return binary.LittleEndian.Uint32(key) }

// store copies a value into the map (copy_map_value): the spin lock in it stays
// as it is. With BPF_F_LOCK the element's lock is held for the copy.
func (b *base) store(dst uint64, src []byte, flags uint64) {
	n := uint64(b.spec.ValueSize)
	if b.spec.SpinLock == nil {
		copy(mem.Bytes(dst, n), src)
		return
	}
	off := uint64(*b.spec.SpinLock)
	if flags&uapi.BPF_F_LOCK != 0 {
		SpinLock(dst + off)
		defer SpinUnlock(dst + off)
	}
	copy(mem.Bytes(dst, off), src[:off])
	copy(mem.Bytes(dst+off+4, n-off-4), src[off+4:n])
}

// load copies a value out to user space: the spin lock in it reads as zero.
func (b *base) load(dst []byte, src uint64, flags uint64) {
	n := uint64(b.spec.ValueSize)
	if b.spec.SpinLock == nil {
		copy(dst, mem.Bytes(src, n))
		return
	}
	off := uint64(*b.spec.SpinLock)
	if flags&uapi.BPF_F_LOCK != 0 {
		SpinLock(src + off)
		defer SpinUnlock(src + off)
	}
	copy(dst, mem.Bytes(src, n))
	clear(dst[off : off+4])
}

// percpu is how per-CPU values lie in memory: those of one CPU together, the
// next CPU's a fixed distance on.
type percpu struct {
	size   uint64 // of one value, a multiple of 8
	stride uint64 // from a CPU's value to the next CPU's
	cpus   uint64
}

// at is the address of a CPU's value, given CPU 0's.
func (p *percpu) at(first uint64, cpu int) uint64 { return first + uint64(cpu)*p.stride }

// storeAll and loadAll copy the values of all CPUs from and to user space, where
// they lie one behind the other.
func (p *percpu) storeAll(first uint64, src []byte) {
	for cpu := range p.cpus {
		copy(mem.Bytes(first+cpu*p.stride, p.size), src[cpu*p.size:])
	}
}

func (p *percpu) loadAll(dst []byte, first uint64) {
	for cpu := range p.cpus {
		copy(dst[cpu*p.size:(cpu+1)*p.size], mem.Bytes(first+cpu*p.stride, p.size))
	}
}
