package oracle

import (
	"bytes"
	"slices"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// MapSpec says what map to make.
type MapSpec struct {
	Type       uapi.MapType
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Flags      uint32
	Extra      uint64
	Name       string
	Inner      *Map // template of a map of maps
	BTF        *BTF // describes key and value
	BTFKeyID   uint32
	BTFValueID uint32

	// Tweak changes the attribute last, for what has no field here.
	Tweak func(*uapi.MapCreateAttr)
}

// Map is a map in the live kernel.
type Map struct {
	FD   int
	Spec MapSpec

	k *Kernel
}

// NewMap makes a map that is closed when the test ends. It fails the test if the
// kernel refuses.
func NewMap(t testing.TB, spec MapSpec) *Map {
	t.Helper()
	m, e := CreateMap(spec)
	if e != 0 {
		t.Fatalf("oracle: map create %+v: %v", spec, e)
	}
	t.Cleanup(m.Close)
	return m
}

// CreateMap makes a map in the live kernel; the caller closes it.
func CreateMap(spec MapSpec) (*Map, errno.Errno) { return Live().CreateMap(spec) }

// CreateMap makes a map; the caller closes it.
func (k *Kernel) CreateMap(spec MapSpec) (*Map, errno.Errno) {
	a := uapi.MapCreateAttr{
		MapType:        spec.Type,
		KeySize:        spec.KeySize,
		ValueSize:      spec.ValueSize,
		MaxEntries:     spec.MaxEntries,
		MapFlags:       spec.Flags,
		MapExtra:       spec.Extra,
		BTFKeyTypeID:   spec.BTFKeyID,
		BTFValueTypeID: spec.BTFValueID,
	}
	copy(a.MapName[:uapi.BPF_OBJ_NAME_LEN-1], spec.Name)
	if spec.Inner != nil {
		a.InnerMapFD = uint32(spec.Inner.FD)
	}
	if spec.BTF != nil {
		a.BTFFD = uint32(spec.BTF.FD)
	}
	if spec.Tweak != nil {
		spec.Tweak(&a)
	}
	fd, e := k.do(uapi.BPF_MAP_CREATE, &a)
	if e != 0 {
		return nil, e
	}
	return &Map{fd, spec, k}, 0
}

// Close drops the descriptor.
func (m *Map) Close() { m.k.CloseFD(m.FD) }

// perCPU has the types whose elements have one value for each possible CPU.
var perCPU = []uapi.MapType{
	uapi.BPF_MAP_TYPE_PERCPU_HASH, uapi.BPF_MAP_TYPE_PERCPU_ARRAY,
	uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
}

// ValueBytes is the size of a value as bpf(2) transfers it: for a per-CPU map,
// the values of all possible CPUs, each rounded up to eight bytes.
func (m *Map) ValueBytes() int {
	if slices.Contains(perCPU, m.Spec.Type) {
		return (int(m.Spec.ValueSize) + 7) &^ 7 * m.k.CPUs
	}
	return int(m.Spec.ValueSize)
}

// elem runs an element command.
func (m *Map) elem(cmd uapi.Cmd, key, value []byte, flags uint64) errno.Errno {
	var pins Pins
	defer pins.Release()
	a := uapi.MapElemAttr{MapFD: uint32(m.FD), Key: pins.Addr(key), Value: pins.Addr(value), Flags: flags}
	_, e := m.k.do(cmd, &a)
	return e
}

// Lookup returns the value of key. key is nil for a queue, stack or bloom filter.
func (m *Map) Lookup(key []byte) ([]byte, errno.Errno) { return m.LookupFlags(key, 0) }

// LookupFlags is Lookup with flags.
func (m *Map) LookupFlags(key []byte, flags uint64) ([]byte, errno.Errno) {
	value := make([]byte, m.ValueBytes())
	e := m.elem(uapi.BPF_MAP_LOOKUP_ELEM, key, value, flags)
	return value, e
}

// LookupAndDelete returns the value of key and deletes the element.
func (m *Map) LookupAndDelete(key []byte, flags uint64) ([]byte, errno.Errno) {
	value := make([]byte, m.ValueBytes())
	e := m.elem(uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, key, value, flags)
	return value, e
}

// Update sets the value of key.
func (m *Map) Update(key, value []byte, flags uint64) errno.Errno {
	return m.elem(uapi.BPF_MAP_UPDATE_ELEM, key, value, flags)
}

// Delete deletes the element of key.
func (m *Map) Delete(key []byte) errno.Errno {
	return m.elem(uapi.BPF_MAP_DELETE_ELEM, key, nil, 0)
}

// NextKey returns the key after key, the first one if key is nil, ENOENT at the
// end.
func (m *Map) NextKey(key []byte) ([]byte, errno.Errno) {
	next := make([]byte, m.Spec.KeySize)
	e := m.elem(uapi.BPF_MAP_GET_NEXT_KEY, key, next, 0)
	return next, e
}

// Freeze makes the map read-only for bpf(2).
func (m *Map) Freeze() errno.Errno {
	a := uapi.MapElemAttr{MapFD: uint32(m.FD)}
	_, e := m.k.do(uapi.BPF_MAP_FREEZE, &a)
	return e
}

// Info returns what the kernel says of the map.
func (m *Map) Info() (uapi.MapInfo, errno.Errno) {
	var i uapi.MapInfo
	b, e := m.k.Info(m.FD, uapi.SizeofMapInfo)
	i.Decode(b)
	return i, e
}

// Entry is an element of a map.
type Entry struct{ Key, Value []byte }

// Dump returns all elements in the order of their keys' bytes. Nobody else may
// change the map meanwhile.
func (m *Map) Dump() ([]Entry, errno.Errno) {
	var entries []Entry
	key, e := m.NextKey(nil)
	for ; e == 0; key, e = m.NextKey(key) {
		value, le := m.Lookup(key)
		if le == errno.ENOENT { // an array of maps or programs has holes
			continue
		}
		if le != 0 {
			return nil, le
		}
		entries = append(entries, Entry{key, value})
	}
	if e != errno.ENOENT {
		return nil, e
	}
	slices.SortFunc(entries, func(a, b Entry) int { return bytes.Compare(a.Key, b.Key) })
	return entries, 0
}

// Clear deletes all elements of a hash-like map, and zeroes those of an array.
func (m *Map) Clear() errno.Errno {
	entries, e := m.Dump()
	if e != 0 {
		return e
	}
	for _, en := range entries {
		switch m.Spec.Type {
		case uapi.BPF_MAP_TYPE_ARRAY, uapi.BPF_MAP_TYPE_PERCPU_ARRAY:
			e = m.Update(en.Key, make([]byte, m.ValueBytes()), 0)
		default:
			e = m.Delete(en.Key)
		}
		if e != 0 {
			return e
		}
	}
	return 0
}
