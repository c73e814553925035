package maps

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Map is one map. The zero [errno.Errno] means success throughout; an operation
// that a map type lacks answers with the errno of Linux's map_ops.
type Map interface {
	Program
	Syscall

	// Spec is what the map was made from. It must not be changed.
	Spec() *Spec
	// Desc is the map as the verifier and the rewriter see it. The layer above
	// fills in ID and Frozen before it shows the map to anybody.
	Desc() *desc.Map
	// Addr is the address of the map's header, the value of a map pointer in a
	// program.
	Addr() uint64
	// MemUsage is what fdinfo shows as memlock (map_mem_usage), in bytes.
	MemUsage() uint64
	// ReleaseUser is called when the last reference from user space (a file
	// descriptor or a pin) is gone while programs may still hold the map
	// (map_release_uref).
	ReleaseUser()
	// Free is called once, at the last reference. Memory goes back after a grace
	// period.
	Free()
}

// Program is the face that helpers call. key and value are addresses in the
// region. c is the CPU that the program runs on.
type Program interface {
	// LookupElem returns the address of the value, 0 if there is none; of a
	// per-CPU map the running CPU's value; of a map of maps the header of the
	// inner map.
	LookupElem(c *exec.CPU, key uint64) uint64
	// LookupPercpu returns the address of another CPU's value.
	LookupPercpu(c *exec.CPU, key uint64, cpu uint32) uint64
	UpdateElem(c *exec.CPU, key, value, flags uint64) errno.Errno
	DeleteElem(c *exec.CPU, key uint64) errno.Errno

	Push(c *exec.CPU, value, flags uint64) errno.Errno
	Pop(c *exec.CPU, value uint64) errno.Errno
	Peek(c *exec.CPU, value uint64) errno.Errno

	// ForEach calls visit with the addresses of key and value of every element
	// until it returns true, and returns the number of calls
	// (bpf_for_each_map_elem). Elements may come and go meanwhile.
	ForEach(c *exec.CPU, visit func(key, value uint64) (stop bool)) (int64, errno.Errno)
}

// Syscall is the face that bpf(2) calls. Keys have Spec.KeySize bytes, values
// ValueSizeUser. Flags are checked here; the kernel checks those of a lookup and
// BPF_F_LOCK of an update before it reads the key, so the layer above may ask
// [FlagsOK] first.
type Syscall interface {
	// ValueSizeUser is the size of a value in user memory (bpf_map_value_size).
	ValueSizeUser() uint32
	Lookup(key, value []byte, flags uint64) errno.Errno
	// Update stores a value. A map of file descriptors answers EOPNOTSUPP: it is
	// an [FDMap].
	Update(key, value []byte, flags uint64) errno.Errno
	Delete(key []byte) errno.Errno
	LookupAndDelete(key, value []byte, flags uint64) errno.Errno
	// NextKey writes the key that follows key, the first one if key is nil or
	// not in the map. ENOENT: there is none.
	NextKey(key, next []byte) errno.Errno

	// LookupBatch, LookupAndDeleteBatch, UpdateBatch and DeleteBatch work on
	// the caller's memory. Count is written back there through b.PutCount as the
	// kernel does, also on most failures. ENOTSUPP: the type has no such command.
	LookupBatch(b *Batch) errno.Errno
	LookupAndDeleteBatch(b *Batch) errno.Errno
	UpdateBatch(b *Batch) errno.Errno
	DeleteBatch(b *Batch) errno.Errno
}

// Batch is what the BPF_MAP_*_BATCH commands work on: the fields of the
// attribute and the memory that its addresses are in.
type Batch struct {
	Mem       usermem.Mem
	InBatch   uint64
	OutBatch  uint64
	Keys      uint64
	Values    uint64
	Count     uint32
	ElemFlags uint64
	Flags     uint64
	// PutCount writes count into the caller's attribute; it fails with EFAULT.
	PutCount func(n uint32) error
	// Resolve turns file descriptors into objects for an [FDMap].
	Resolve Resolver
	// Scratch gives room for a value, which may be large, for the time of the
	// command; nil takes it from the Go heap.
	Scratch func(size uint32) ([]byte, errno.Errno)
}

// FDMap is a map whose values are file descriptors when user space writes and
// ids when it reads: prog_array, perf_event_array, array_of_maps, hash_of_maps.
type FDMap interface {
	Map
	// UpdateFD puts the object behind fd into the map. resolve is called at the
	// point where the kernel looks at the file descriptor, with no lock held.
	UpdateFD(key []byte, fd uint32, resolve Resolver, flags uint64) errno.Errno
}

// Resolver finds the object behind a file descriptor and takes a reference,
// which the slot gives back with Object.Put. Its errors are those of the
// kernel: EBADF for a bad descriptor, EINVAL for one of another kind.
type Resolver func(fd uint32) (Object, errno.Errno)

// Object is what a slot of an [FDMap] holds: an object of the layer above. It
// is a [ProgObject], a [MapObject] or a [PerfObject] as the map needs.
type Object interface {
	// ID is what user space reads from the slot.
	ID() uint32
	// Put gives a reference back. It is called with no lock held, after a grace
	// period.
	Put()
}

// MapObject is an object in a map of maps.
type MapObject interface {
	Object
	Map() Map
}

// ProgObject is an object in a prog array.
type ProgObject interface {
	Object
	// Image is what a tail call continues with.
	Image() exec.Image
	// Owner is compared with that of the first program that was put into the map
	// or used it.
	Owner() ProgOwner
	// Entry is an opaque non-zero word that the slot shows to machine code.
	Entry() uint64
}

// Offsets in the header of a map (struct bpf_map), which starts at the address
// that ld_imm64 loads. Machine code and inlined helpers may rely on them.
const (
	// HeaderHandle is the handle of the Go object (exec.Machine.Handle), 4 bytes.
	HeaderHandle = 0
	// HeaderType, HeaderKeySize, HeaderValueSize, HeaderMaxEntries and HeaderFlags
	// are 4 bytes each.
	HeaderType       = 4
	HeaderKeySize    = 8
	HeaderValueSize  = 12
	HeaderMaxEntries = 16
	HeaderFlags      = 20
	// HeaderSize is the size of the header in bytes.
	HeaderSize = 64
)

// FromAddr returns the map whose header is at addr, a map pointer that the
// verifier accepted. It panics on anything else.
func FromAddr(m *exec.Machine, addr uint64) Map {
	return m.Object(uint32(mem.Load32(addr + HeaderHandle))).(*base).self
}

// FlagsOK makes the checks of flags that the element commands make before they
// touch the caller's memory: of a lookup if write is false, of an update
// otherwise.
func FlagsOK(m Map, flags uint64, write bool) errno.Errno {
	if write {
		return m.Spec().lockFlag(flags)
	}
	return m.Spec().readFlags(flags)
}
