package maps

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

const (
	pageSize = 4096
	// arrayHead is sizeof(struct bpf_array) as far as memlock shows it.
	arrayHead = 312
	// percpuMax bounds a per-CPU value (PCPU_MIN_UNIT_SIZE).
	percpuMax = 32 << 10
	// maxNesting bounds how deep bpf_for_each_map_elem calls can be nested.
	maxNesting = exec.MaxDepth
)

// accessFlags are the flags that every type takes (BPF_F_ACCESS_MASK).
const accessFlags = uapi.BPF_F_RDONLY | uapi.BPF_F_RDONLY_PROG | uapi.BPF_F_WRONLY | uapi.BPF_F_WRONLY_PROG

// accessOK mirrors bpf_map_flags_access_ok.
func accessOK(flags uint32) bool {
	both := uint32(uapi.BPF_F_RDONLY_PROG | uapi.BPF_F_WRONLY_PROG)
	return flags&both != both
}

// arrayCheck mirrors array_map_alloc_check.
func arrayCheck(s *Spec) errno.Errno {
	const mask = uapi.BPF_F_NUMA_NODE | uapi.BPF_F_MMAPABLE | accessFlags |
		uapi.BPF_F_PRESERVE_ELEMS | uapi.BPF_F_INNER_MAP
	isPercpu := s.Type == uapi.BPF_MAP_TYPE_PERCPU_ARRAY
	switch {
	case s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize == 0,
		s.Flags&^mask != 0 || !accessOK(s.Flags),
		isPercpu && s.numa(),
		s.Type != uapi.BPF_MAP_TYPE_ARRAY && s.Flags&(uapi.BPF_F_MMAPABLE|uapi.BPF_F_INNER_MAP) != 0,
		s.Type != uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY && s.Flags&uapi.BPF_F_PRESERVE_ELEMS != 0:
		return errno.EINVAL
	case s.ValueSize > math.MaxInt32:
		return errno.E2BIG
	case isPercpu && s.ValueSize > percpuMax:
		return errno.E2BIG
	}
	return 0
}

// slots is what arrays of all kinds share: a block of elements of one size,
// addressed by a 32-bit index.
type slots struct {
	*base
	first uint64 // address of element 0
	size  uint64 // distance between elements
	limit uint32 // number of elements (max_entries)
}

// entries is how many elements an array has room for, and its index mask. For
// creators whom the kernel does not trust with speculation the array is padded
// to a power of two (array_map_alloc).
func entries(s *Spec) (n uint64, mask uint32, e errno.Errno) {
	mask = uint32(uint64(1)<<bits.Len32(s.MaxEntries-1) - 1)
	if s.Caps.Perfmon {
		return uint64(s.MaxEntries), mask, 0
	}
	if mask == math.MaxUint32 { // max_entries would overflow
		return 0, 0, errno.E2BIG
	}
	return uint64(mask) + 1, mask, 0
}

// newSlots allocates the elements: copies of them for copies CPUs, stride apart.
func newSlots(b *base, size uint64, copies int) (s slots, mask uint32, stride uint64, err error) {
	n, mask, e := entries(&b.spec)
	if e != 0 {
		return s, 0, 0, errno.Errorf(e, "%d entries cannot be padded to a power of two", b.spec.MaxEntries)
	}
	align := uint64(64)
	if b.spec.Flags&uapi.BPF_F_MMAPABLE != 0 {
		align = pageSize
	}
	stride = roundUp(n*size, align)
	if hi, total := bits.Mul64(stride, uint64(copies)); hi != 0 || total > b.m.Region.Size() {
		return s, 0, 0, errno.Errorf(errno.ENOMEM, "%d elements of %d bytes do not fit the memory of this kernel", n, size)
	}
	first, err := b.alloc(stride*uint64(copies), align)
	return slots{base: b, first: first, size: size, limit: b.spec.MaxEntries}, mask, stride, err
}

// at is the address of an element, 0 if there is none.
func (s *slots) at(i uint32) uint64 {
	if i >= s.limit {
		return 0
	}
	return s.first + uint64(i)*s.size
}

// NextKey mirrors array_map_get_next_key.
func (s *slots) NextKey(key, next []byte) errno.Errno {
	i := uint32(math.MaxUint32)
	if key != nil {
		i = index(key)
	}
	switch {
	case i >= s.limit:
		i = 0
	case i == s.limit-1:
		return errno.ENOENT
	default:
		i++
	}
	binary.LittleEndian.PutUint32(next, i)
	return 0
}

// updateFlags are the checks of array_map_update_elem.
func (s *slots) updateFlags(i uint32, flags uint64) errno.Errno {
	switch {
	case flags&^uapi.BPF_F_LOCK > uapi.BPF_EXIST:
		return errno.EINVAL
	case i >= s.limit:
		return errno.E2BIG
	case flags&uapi.BPF_NOEXIST != 0:
		return errno.EEXIST
	}
	return s.lockFlag(flags)
}

// forEachKeys holds the keys that bpf_for_each_map_elem shows to its callback:
// for each CPU a small stack, since calls can be nested.
type forEachKeys struct{ addr uint64 }

const keyStack = 8 * (1 + maxNesting) // depth, then keys

func newForEachKeys(b *base) (forEachKeys, error) {
	addr, err := b.alloc(keyStack*uint64(b.cpus()), 64)
	return forEachKeys{addr}, err
}

// push reserves a key; the result of pop gives it back.
func (f forEachKeys) push(c *exec.CPU) (key uint64, ok bool) {
	top := f.addr + keyStack*uint64(c.ID)
	n := mem.Load64(top)
	if n == maxNesting {
		return 0, false
	}
	mem.Store64(top, n+1)
	return top + 8*(n+1), true
}

func (f forEachKeys) pop(c *exec.CPU) {
	top := f.addr + keyStack*uint64(c.ID)
	mem.Store64(top, mem.Load64(top)-1)
}

// visitAll mirrors bpf_for_each_array_elem; off is what to add to an element's
// address for the running CPU.
func (s *slots) visitAll(c *exec.CPU, keys forEachKeys, off uint64, visit func(key, value uint64) bool) (int64, errno.Errno) {
	key, ok := keys.push(c)
	if !ok {
		return 0, errno.EBUSY
	}
	defer keys.pop(c)
	for i := range s.limit {
		mem.Store32(key, uint64(i))
		if visit(key, s.at(i)+off) {
			return int64(i) + 1, 0
		}
	}
	return int64(s.limit), 0
}

// Array is BPF_MAP_TYPE_ARRAY.
type Array struct {
	slots
	keys forEachKeys
	mask uint32
}

func newArray(b *base) (Map, error) {
	s, mask, _, err := newSlots(b, roundUp(uint64(b.spec.ValueSize), 8), 1)
	if err != nil {
		return nil, err
	}
	a := &Array{slots: s, mask: mask}
	if a.keys, err = newForEachKeys(b); err != nil {
		return nil, err
	}
	if b.spec.Flags&uapi.BPF_F_INNER_MAP == 0 {
		b.d.Array = &desc.ArrayLayout{Base: a.first, ElemSize: uint32(a.size), Mask: mask, BypassSpecV1: b.spec.Caps.Perfmon}
	}
	b.d.ValueAddr = a.valueAddr
	return a, nil
}

// valueAddr mirrors array_map_direct_value_addr.
func (a *Array) valueAddr(off uint32) (uint64, bool) {
	if a.limit != 1 || off >= a.spec.ValueSize {
		return 0, false
	}
	return a.first + uint64(off), true
}

// Data is the memory of all elements, for mapping it into an address space. Only
// an array with BPF_F_MMAPABLE may be mapped.
func (a *Array) Data() []byte {
	return mem.Bytes(a.first, roundUp(uint64(a.limit)*a.size, pageSize))
}

// LookupElem implements [Program].
func (a *Array) LookupElem(_ *exec.CPU, key uint64) uint64 { return a.at(uint32(mem.Load32(key))) }

// UpdateElem implements [Program].
func (a *Array) UpdateElem(_ *exec.CPU, key, value, flags uint64) errno.Errno {
	return a.update(uint32(mem.Load32(key)), mem.Bytes(value, uint64(a.spec.ValueSize)), flags)
}

// DeleteElem implements [Program].
func (a *Array) DeleteElem(*exec.CPU, uint64) errno.Errno { return errno.EINVAL }

// ForEach implements [Program].
func (a *Array) ForEach(c *exec.CPU, visit func(key, value uint64) bool) (int64, errno.Errno) {
	return a.visitAll(c, a.keys, 0, visit)
}

// Lookup implements [Syscall].
func (a *Array) Lookup(key, value []byte, flags uint64) errno.Errno {
	if e := a.readFlags(flags); e != 0 {
		return e
	}
	v := a.at(index(key))
	if v == 0 {
		return errno.ENOENT
	}
	a.load(value, v, flags)
	return 0
}

// Update implements [Syscall].
func (a *Array) Update(key, value []byte, flags uint64) errno.Errno {
	if e := a.lockFlag(flags); e != 0 {
		return e
	}
	return a.update(index(key), value, flags)
}

func (a *Array) update(i uint32, value []byte, flags uint64) errno.Errno {
	if e := a.updateFlags(i, flags); e != 0 {
		return e
	}
	a.store(a.at(i), value, flags)
	return 0
}

// Delete implements [Syscall].
func (a *Array) Delete([]byte) errno.Errno { return errno.EINVAL }

// LookupBatch implements [Syscall].
func (a *Array) LookupBatch(b *Batch) errno.Errno { return lookupBatch(a, b) }

// UpdateBatch implements [Syscall].
func (a *Array) UpdateBatch(b *Batch) errno.Errno { return updateBatch(a, b) }

// MemUsage mirrors array_map_mem_usage.
func (a *Array) MemUsage() uint64 {
	n := uint64(a.limit) * a.size
	if a.spec.Flags&uapi.BPF_F_MMAPABLE != 0 {
		return roundUp(arrayHead, pageSize) + roundUp(n, pageSize)
	}
	return arrayHead + n
}
