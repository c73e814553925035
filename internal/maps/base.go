package maps

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
)

// base is what all maps share: the header, the description, the memory that
// goes with the map, and answers to the operations that a type lacks.
type base struct {
	m      *exec.Machine
	spec   Spec
	d      desc.Map
	addr   uint64
	handle uint32
	owned  []uint64 // allocations that live as long as the map
	// template is what the maps inside a map of maps look like.
	template *Spec
	self     Map
}

func newBase(m *exec.Machine, spec Spec) (*base, error) {
	b := &base{m: m, spec: spec}
	addr, err := b.alloc(HeaderSize, 64)
	if err != nil {
		return nil, err
	}
	b.addr = addr
	b.handle = m.Handle(b)
	mem.Store32(addr+HeaderHandle, uint64(b.handle))
	mem.Store32(addr+HeaderType, uint64(spec.Type))
	mem.Store32(addr+HeaderKeySize, uint64(spec.KeySize))
	mem.Store32(addr+HeaderValueSize, uint64(spec.ValueSize))
	mem.Store32(addr+HeaderMaxEntries, uint64(spec.MaxEntries))
	mem.Store32(addr+HeaderFlags, uint64(spec.Flags))
	b.d = spec.desc(addr)
	return b, nil
}

// alloc gets zeroed memory that is freed with the map.
func (b *base) alloc(size, align uint64) (uint64, error) {
	addr, err := b.m.Region.Alloc(size, align)
	if err != nil {
		return 0, errno.Errorf(errno.ENOMEM, "%d bytes for a map of type %s: %w", size, b.spec.Type.LibName(), err)
	}
	b.owned = append(b.owned, addr)
	return addr, nil
}

// release gives everything back at once.
func (b *base) release() {
	b.m.Drop(b.handle)
	for _, a := range b.owned {
		b.m.Region.Free(a)
	}
	b.owned = nil
}

// Image implements [exec.ProgArray] for the Go side of a map's header: what a
// tail call to slot i goes on with, nil where the map is no prog array.
func (b *base) Image(i uint32) exec.Image {
	if a, ok := b.self.(*ProgArray); ok {
		return a.Image(i)
	}
	return nil
}

// Free implements [Map].
func (b *base) Free() { b.m.Defer(b.release) }

// Spec implements [Map].
func (b *base) Spec() *Spec { return &b.spec }

// Desc implements [Map].
func (b *base) Desc() *desc.Map { return &b.d }

// Addr implements [Map].
func (b *base) Addr() uint64 { return b.addr }

// ReleaseUser implements [Map].
func (b *base) ReleaseUser() {}

// cpus is the number of possible CPUs.
func (b *base) cpus() int { return len(b.m.CPUs) }

// ValueSizeUser implements [Syscall] for types whose values are copied as they
// are.
func (b *base) ValueSizeUser() uint32 { return b.spec.ValueSize }

// What follows are the answers of a type that has no such operation.

// LookupElem implements [Program].
func (b *base) LookupElem(*exec.CPU, uint64) uint64 { return 0 }

// LookupPercpu implements [Program].
func (b *base) LookupPercpu(*exec.CPU, uint64, uint32) uint64 { return 0 }

// UpdateElem implements [Program].
func (b *base) UpdateElem(_ *exec.CPU, _, _, _ uint64) errno.Errno {
	return errno.EOPNOTSUPP
}

// DeleteElem implements [Program].
func (b *base) DeleteElem(*exec.CPU, uint64) errno.Errno { return errno.EOPNOTSUPP }

// Push implements [Program].
func (b *base) Push(*exec.CPU, uint64, uint64) errno.Errno { return errno.EOPNOTSUPP }

// Pop implements [Program].
func (b *base) Pop(*exec.CPU, uint64) errno.Errno { return errno.EOPNOTSUPP }

// Peek implements [Program].
func (b *base) Peek(*exec.CPU, uint64) errno.Errno { return errno.EOPNOTSUPP }

// ForEach implements [Program].
func (b *base) ForEach(*exec.CPU, func(key, value uint64) bool) (int64, errno.Errno) {
	return 0, errno.EOPNOTSUPP
}

// Lookup implements [Syscall].
func (b *base) Lookup(_, _ []byte, _ uint64) errno.Errno { return errno.EOPNOTSUPP }

// Update implements [Syscall].
func (b *base) Update(_, _ []byte, _ uint64) errno.Errno { return errno.EOPNOTSUPP }

// Delete implements [Syscall].
func (b *base) Delete([]byte) errno.Errno { return errno.EOPNOTSUPP }

// LookupAndDelete implements [Syscall].
func (b *base) LookupAndDelete(_, _ []byte, flags uint64) errno.Errno {
	if e := b.readFlags(flags); e != 0 {
		return e
	}
	return errno.ENOTSUPP
}

// NextKey implements [Syscall].
func (b *base) NextKey(_, _ []byte) errno.Errno { return errno.EOPNOTSUPP }

// LookupBatch implements [Syscall].
func (b *base) LookupBatch(*Batch) errno.Errno { return errno.ENOTSUPP }

// LookupAndDeleteBatch implements [Syscall].
func (b *base) LookupAndDeleteBatch(*Batch) errno.Errno { return errno.ENOTSUPP }

// UpdateBatch implements [Syscall].
func (b *base) UpdateBatch(*Batch) errno.Errno { return errno.ENOTSUPP }

// DeleteBatch implements [Syscall].
func (b *base) DeleteBatch(*Batch) errno.Errno { return errno.ENOTSUPP }

func (b *base) lockFlag(flags uint64) errno.Errno  { return b.spec.lockFlag(flags) }
func (b *base) readFlags(flags uint64) errno.Errno { return b.spec.readFlags(flags) }
