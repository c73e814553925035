package skep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Map is a map by its fd.
type Map struct {
	Name       string
	Type       string // "hash", "percpu_array", …
	ID         uint32
	KeySize    int // bytes
	ValueSize  int // bytes; of one CPU's value in a per-CPU map
	MaxEntries int
	Flags      uint32
	// Key and Value describe the elements; nil without BTF.
	Key, Value btf.Type

	task *Task
	fd   int
	user int // bytes of a value in user memory
	kind uapi.MapType
}

func newMap(t *Task, name string, fd int, key, value btf.Type) (*Map, error) {
	info, err := mapInfo(t, fd)
	if err != nil {
		return nil, err
	}
	out := &Map{
		Name: name, Type: info.Type.LibName(), ID: info.ID, KeySize: int(info.KeySize),
		ValueSize: int(info.ValueSize), MaxEntries: int(info.MaxEntries), Flags: info.MapFlags,
		Key: key, Value: value, task: t, fd: fd, kind: info.Type,
	}
	out.user = out.ValueSize
	if out.PerCPU() {
		out.user = (out.ValueSize + 7) &^ 7 * out.CPUs()
	}
	return out, nil
}

func mapInfo(t *Task, fd int) (info uapi.MapInfo, err error) {
	buf := make([]byte, uapi.SizeofMapInfo)
	if err := t.info(fd, buf); err != nil {
		return info, err
	}
	info.Decode(buf)
	return info, nil
}

// info is OBJ_GET_INFO_BY_FD.
func (t *Task) info(fd int, buf []byte) error {
	var mem usermem.Segments
	return t.infoAt(&mem, fd, mem.Add(buf), len(buf))
}

func (t *Task) infoAt(mem *usermem.Segments, fd int, addr uint64, size int) error {
	a := uapi.InfoAttr{BpfFD: uint32(fd), InfoLen: uint32(size), Info: addr}
	attr := make([]byte, uapi.InfoAttrEnd)
	a.Encode(attr)
	_, err := t.call(mem, uapi.BPF_OBJ_GET_INFO_BY_FD, attr)
	return err
}

// Close closes the map's fd. One that belongs to a [Collection] is closed with
// that, and not by itself.
func (m *Map) Close() error { return m.task.CloseFD(m.fd) }

// FD is the map's file descriptor in the kernel's task, for [Task.BPF].
func (m *Map) FD() int { return m.fd }

// PerCPU says whether the map has a value for each CPU.
func (m *Map) PerCPU() bool {
	switch m.kind {
	case uapi.BPF_MAP_TYPE_PERCPU_HASH, uapi.BPF_MAP_TYPE_PERCPU_ARRAY, uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH,
		uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		return true
	}
	return false
}

// CPUs is how many values an element has: of a per-CPU map one for each CPU.
func (m *Map) CPUs() int {
	if !m.PerCPU() {
		return 1
	}
	return len(m.task.kernel.abi.Machine.CPUs)
}

func (m *Map) elem(cmd uapi.Cmd, key, value []byte, flags uint64) error {
	var mem usermem.Segments
	a := uapi.MapElemAttr{MapFD: uint32(m.fd), Key: mem.Add(key), Value: mem.Add(value), Flags: flags}
	attr := make([]byte, uapi.MapElemAttrEnd)
	a.Encode(attr)
	_, err := m.task.call(&mem, cmd, attr)
	return err
}

func (m *Map) sized(what string, b []byte, want int) error {
	if len(b) == want {
		return nil
	}
	return fmt.Errorf("map %s: a %s of %d bytes; it has %d: %w", m.Name, what, len(b), want, errno.EINVAL)
}

// Lookup returns the value of a key: of a per-CPU map the values of all CPUs
// one after the other, each padded to 8 bytes. The error of a missing key wraps
// ENOENT.
func (m *Map) Lookup(key []byte) ([]byte, error) {
	if err := m.sized("key", key, m.KeySize); err != nil {
		return nil, err
	}
	value := make([]byte, m.user)
	return value, m.elem(uapi.BPF_MAP_LOOKUP_ELEM, key, value, 0)
}

// Update stores a value, in the form that Lookup returns. flags are BPF_ANY (0),
// BPF_NOEXIST (1), BPF_EXIST (2).
func (m *Map) Update(key, value []byte, flags uint64) error {
	if err := m.sized("key", key, m.KeySize); err != nil {
		return err
	}
	if err := m.sized("value", value, m.user); err != nil {
		return err
	}
	return m.elem(uapi.BPF_MAP_UPDATE_ELEM, key, value, flags)
}

// Delete removes a key.
func (m *Map) Delete(key []byte) error {
	if err := m.sized("key", key, m.KeySize); err != nil {
		return err
	}
	return m.elem(uapi.BPF_MAP_DELETE_ELEM, key, nil, 0)
}

// Pop takes the next value out of a queue or stack.
func (m *Map) Pop() ([]byte, error) {
	value := make([]byte, m.user)
	return value, m.elem(uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, nil, value, 0)
}

// All walks over the elements with BPF_MAP_GET_NEXT_KEY. Elements that vanish
// on the way are left out; a map that changes all the time is walked at most
// four times its size. The slices are the caller's.
func (m *Map) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		var prev []byte
		for range 4 * (m.MaxEntries + 1) {
			key := make([]byte, m.KeySize)
			if err := m.elem(uapi.BPF_MAP_GET_NEXT_KEY, prev, key, 0); err != nil {
				return
			}
			value, err := m.Lookup(key)
			if err == nil && !yield(key, value) || err != nil && !errors.Is(err, errno.ENOENT) {
				return
			}
			prev = key
		}
	}
}

// CPUValues cuts what Lookup returned of a per-CPU map into the values of the
// CPUs.
func (m *Map) CPUValues(value []byte) [][]byte {
	step := (m.ValueSize + 7) &^ 7
	var out [][]byte
	for at := 0; at+m.ValueSize <= len(value); at += step {
		out = append(out, value[at:at+m.ValueSize])
	}
	return out
}

// Uint32Key is the key of an array.
func Uint32Key(index uint32) []byte { return binary.LittleEndian.AppendUint32(nil, index) }
