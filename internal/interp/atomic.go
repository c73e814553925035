package interp

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/mem"
)

// atomicKind is an atomic operation with its width in bytes.
type atomicKind uint64

func kindOf(operation int32, width int) atomicKind {
	return atomicKind(uint32(operation)&^uint32(insn.AtomicFetch))<<8 | atomicKind(width)
}

func (k atomicKind) operation() int32 { return int32(k >> 8) }
func (k atomicKind) width() int       { return int(k & 0xff) }

// The operations without the fetch bit.
const (
	rmwAdd     = insn.AtomicAdd
	rmwOr      = insn.AtomicOr
	rmwAnd     = insn.AtomicAnd
	rmwXor     = insn.AtomicXor
	rmwXchg    = insn.AtomicXchg &^ insn.AtomicFetch
	rmwCmpxchg = insn.AtomicCmpxchg &^ insn.AtomicFetch
)

// atomic performs the atomic operations that the loop does not.
func (o *op) atomic(r *[16]uint64) {
	kind := atomicKind(o.imm)
	base, value := r[o.dst&15]+uint64(o.off), r[o.src&15]
	switch o.code {
	case opAtomic:
		kind.rmw(base, value, 0)
	case opAtomicFetch:
		r[o.src&15] = kind.rmw(base, value, 0)
	case opAtomicCmpxchg:
		r[0] = kind.rmw(base, value, r[0])
	case opLoadAcquire:
		r[o.dst&15] = loadAcquire(value+uint64(o.off), kind.width())
	case opStoreRelease:
		storeRelease(base, value, kind.width())
	}
}

// rmw performs a read-modify-write and returns the old value, zero-extended.
// addr is aligned, which the verifier demands of atomics whatever the
// processor. expected is R0, for the compare and exchange.
func (k atomicKind) rmw(addr, value, expected uint64) uint64 {
	if k.width() == 8 {
		return rmw64(k.operation(), addr, value, expected)
	}
	return uint64(rmw32(k.operation(), addr, uint32(value), uint32(expected)))
}

func rmw64(operation int32, addr, value, expected uint64) uint64 {
	p := mem.Atomic64(addr)
	switch operation {
	case rmwAdd:
		return p.Add(value) - value
	case rmwOr:
		return p.Or(value)
	case rmwAnd:
		return p.And(value)
	case rmwXchg:
		return p.Swap(value)
	}
	for {
		old, next := p.Load(), value
		if operation == rmwXor {
			next = old ^ value
		} else if old != expected {
			return old
		}
		if p.CompareAndSwap(old, next) {
			return old
		}
	}
}

func rmw32(operation int32, addr uint64, value, expected uint32) uint32 {
	p := mem.Atomic32(addr)
	switch operation {
	case rmwAdd:
		return p.Add(value) - value
	case rmwOr:
		return p.Or(value)
	case rmwAnd:
		return p.And(value)
	case rmwXchg:
		return p.Swap(value)
	}
	for {
		old, next := p.Load(), value
		if operation == rmwXor {
			next = old ^ value
		} else if old != expected {
			return old
		}
		if p.CompareAndSwap(old, next) {
			return old
		}
	}
}

// loadAcquire loads width bytes; the loads and stores that follow it in the
// program come after it. Go has atomics of 4 and 8 bytes, so that a narrower
// load reads the aligned word around it.
func loadAcquire(addr uint64, width int) uint64 {
	if width == 8 {
		return mem.Atomic64(addr).Load()
	}
	shift := addr & 3 * 8
	word := uint64(mem.Atomic32(addr&^3).Load()) >> shift
	return word & (1<<(width*8) - 1)
}

// storeRelease stores width bytes after everything before it in the program.
func storeRelease(addr, value uint64, width int) {
	switch width {
	case 8:
		mem.Atomic64(addr).Store(value)
	case 4:
		mem.Atomic32(addr).Store(uint32(value))
	default:
		p := mem.Atomic32(addr &^ 3)
		shift := addr & 3 * 8
		mask := uint32(1<<(width*8)-1) << shift
		for {
			old := p.Load()
			if p.CompareAndSwap(old, old&^mask|uint32(value)<<shift&mask) {
				return
			}
		}
	}
}
