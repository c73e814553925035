package desc

import "github.com/skep-ebpf/skep/internal/uapi"

// Map is a map as the verifier and the rewriter see it. It stays valid as long
// as the map object that it describes.
type Map struct {
	ID         uint32
	Type       uapi.MapType
	Name       string
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Flags      uint32

	// Addr is where struct bpf_map of this map lies in the kernel's region: the
	// value of a map pointer in a program.
	Addr uint64
	// Inner is the template that the maps inside a map-in-map follow.
	Inner *Map
	// HasBTF says whether the map's values are described by BTF.
	HasBTF bool
	// SpinLockOff is the offset of the struct bpf_spin_lock in a value, or -1.
	SpinLockOff int32
	// TimerOff is the offset of the struct bpf_timer in a value, or -1.
	TimerOff int32
	// ReadOnlyProg and WriteOnlyProg mirror BPF_F_RDONLY_PROG and
	// BPF_F_WRONLY_PROG.
	ReadOnlyProg, WriteOnlyProg bool
	// Exclusive is the digest of the one program that may use the map
	// (excl_prog_hash); nil: any may.
	Exclusive *[32]byte

	// Frozen says whether user space can no longer write (BPF_MAP_FREEZE).
	Frozen func() bool
	// ValueAddr gives the address of the byte at offset off of the direct value
	// (map_direct_value_addr), or ok == false where the map has none.
	ValueAddr func(off uint32) (addr uint64, ok bool)

	// Array is set for maps whose lookup can be inlined as an index into one
	// block: where the block lies and how far the elements are apart. It is nil
	// in an Inner template, whose block is not that of the maps inside.
	Array *ArrayLayout

	// Slots is set for maps whose elements are 8-byte words, 0 where empty: of an
	// array of maps the address of the inner map, which is what a lookup gives;
	// of a prog array what its programs show to machine code.
	Slots *ArrayLayout
}

// ArrayLayout says how the elements of an array-like map lie in memory.
type ArrayLayout struct {
	Base     uint64 // address of element 0
	ElemSize uint32 // distance between elements
	Mask     uint32 // index_mask that bounds speculation
	// BypassSpecV1 is set when the kernel leaves the mask out: the creator of
	// the map was privileged.
	BypassSpecV1 bool
	// CPUStride is the distance from a CPU's element to the same element of the
	// next CPU; Base is CPU 0's. 0: the elements are shared.
	CPUStride uint64
}
