package maps

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func key32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// A map pointer leads back to its map, and the header says what map it is.
func TestFromAddr(t *testing.T) {
	m := newMachine(t, 2)
	for _, info := range Types() {
		s := valid(info.Type)
		if info.Inner {
			s.Inner = newMap(t, m, valid(uapi.BPF_MAP_TYPE_ARRAY))
		}
		mp := newMap(t, m, s)
		if FromAddr(m, mp.Addr()) != mp {
			t.Errorf("%v: the address leads to another map", info.Type)
		}
		if got := mem.Load32(mp.Addr() + HeaderMaxEntries); got != uint64(mp.Spec().MaxEntries) {
			t.Errorf("%v: the header says %d entries", info.Type, got)
		}
		d := mp.Desc()
		if d.Addr != mp.Addr() || d.Type != info.Type || d.MaxEntries != s.MaxEntries || (d.Inner != nil) != info.Inner {
			t.Errorf("%v: description %+v", info.Type, d)
		}
		if info.Inner && (d.Inner.Array != nil || d.Inner.Addr != 0) {
			t.Errorf("%v: the template names the memory of one map", info.Type)
		}
	}
}

func TestUnknownType(t *testing.T) {
	m := newMachine(t, 1)
	for _, typ := range []uapi.MapType{0, uapi.BPF_MAP_TYPE_DEVMAP, uapi.MAX_BPF_MAP_TYPE, 1 << 31} {
		s := Spec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 1, Caps: allCaps}
		_, err := New(m, s)
		if e, _ := errno.Of(err); e != errno.EINVAL || AllocCheck(&s) != errno.EINVAL {
			t.Errorf("%v: %v", typ, err)
		}
	}
}

// More memory than there is gives ENOMEM and leaves nothing behind.
func TestTooMuchMemory(t *testing.T) {
	m := newMachine(t, 2)
	for _, info := range Types() {
		s := valid(info.Type)
		s.Caps = allCaps
		s.MaxEntries = 1 << 31
		switch info.Type {
		case uapi.BPF_MAP_TYPE_LPM_TRIE, uapi.BPF_MAP_TYPE_RINGBUF:
			continue // memory as needed, and less than there is
		case uapi.BPF_MAP_TYPE_ARRAY, uapi.BPF_MAP_TYPE_QUEUE, uapi.BPF_MAP_TYPE_STACK:
			s.ValueSize = 4 << 20
		case uapi.BPF_MAP_TYPE_PERCPU_ARRAY:
			s.ValueSize = 32 << 10
		case uapi.BPF_MAP_TYPE_PROG_ARRAY, uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS:
			s.MaxEntries = 1<<32 - 1
			if m.Region.Size() > uint64(s.MaxEntries)*8 {
				continue
			}
		default:
			s.MaxEntries, s.ValueSize = 1<<27, 32<<10
			if info.FD {
				s.ValueSize, s.KeySize = 4, 512
			}
		}
		if info.Inner {
			s.Inner = newMap(t, m, valid(uapi.BPF_MAP_TYPE_ARRAY))
		}
		mp, err := New(m, s)
		if e, _ := errno.Of(err); e != errno.ENOMEM {
			t.Errorf("%v: %v", info.Type, err)
		}
		if err == nil {
			mp.Free()
		}
	}
}

// Who may not speculate gets an array padded to a power of two, which shows
// nowhere else.
func TestUnprivilegedArray(t *testing.T) {
	m := newMachine(t, 1)
	mp, err := New(m, Spec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mp.Free)
	layout := mp.Desc().Array
	if layout.Mask != 7 || layout.BypassSpecV1 {
		t.Errorf("layout %+v", layout)
	}
	if b, ok := m.Region.Find(layout.Base); !ok || b.Size < 8*8 {
		t.Errorf("the array has %d bytes", b.Size)
	}
	if e := mp.Update(key32(5), make([]byte, 8), 0); e != errno.E2BIG {
		t.Errorf("update behind the end: %s", name(e))
	}
	_, err = New(m, Spec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 1<<31 + 1})
	if e, _ := errno.Of(err); e != errno.E2BIG {
		t.Errorf("an array that cannot be padded: %v", err)
	}
}

// The layouts in the description lead to what a lookup finds.
func TestLayouts(t *testing.T) {
	m := newMachine(t, 3)
	c := m.Acquire()
	defer m.Release(c)
	key, err := m.Region.Alloc(4, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Region.Free(key)
	for _, typ := range []uapi.MapType{uapi.BPF_MAP_TYPE_ARRAY, uapi.BPF_MAP_TYPE_PERCPU_ARRAY} {
		mp := newMap(t, m, Spec{Type: typ, KeySize: 4, ValueSize: 13, MaxEntries: 6})
		l := mp.Desc().Array
		for i := range uint64(6) {
			mem.Store32(key, i)
			for cpu := range uint32(3) {
				want := mp.LookupPercpu(c, key, cpu)
				if typ == uapi.BPF_MAP_TYPE_ARRAY {
					want = mp.LookupElem(c, key)
				}
				if got := l.Base + i*uint64(l.ElemSize) + uint64(cpu)*l.CPUStride; got != want {
					t.Errorf("%v: element %d of CPU %d at %#x, lookup gives %#x", typ, i, cpu, got, want)
				}
			}
		}
		if mp.LookupPercpu(c, key, 3) != 0 {
			t.Errorf("%v: a CPU that is not there has a value", typ)
		}
	}
	one := newMap(t, m, Spec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 13, MaxEntries: 1})
	mem.Store32(key, 0)
	if got, ok := one.Desc().ValueAddr(5); !ok || got != one.LookupElem(c, key)+5 {
		t.Errorf("direct value: %#x, %v", got, ok)
	}
	if _, ok := one.Desc().ValueAddr(13); ok {
		t.Error("a direct value behind the end")
	}
}

func TestForEach(t *testing.T) {
	m := newMachine(t, 2)
	c := m.Acquire()
	defer m.Release(c)
	for _, typ := range []uapi.MapType{
		uapi.BPF_MAP_TYPE_ARRAY, uapi.BPF_MAP_TYPE_PERCPU_ARRAY, uapi.BPF_MAP_TYPE_HASH, uapi.BPF_MAP_TYPE_PERCPU_HASH,
		uapi.BPF_MAP_TYPE_LRU_HASH, uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH,
	} {
		mp := newMap(t, m, Spec{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 8})
		isArray := mp.Desc().Array != nil
		for i := range uint32(8) {
			v := make([]byte, mp.ValueSizeUser())
			for off := 0; off < len(v); off += 8 {
				binary.LittleEndian.PutUint64(v[off:], uint64(i)*10)
			}
			if e := mp.Update(key32(i), v, 0); e != 0 {
				t.Fatal(name(e))
			}
		}
		var keys []uint64
		n, e := mp.ForEach(c, func(key, value uint64) bool {
			if k, v := mem.Load32(key), mem.Load64(value); v != 10*k {
				t.Errorf("%v: key %d has value %d", typ, k, v)
			}
			// A nested walk leaves the key alone.
			before := mem.Load32(key)
			if inner, e := mp.ForEach(c, func(uint64, uint64) bool { return true }); inner != 1 || e != 0 {
				t.Errorf("%v: a walk that stops at once visits %d: %s", typ, inner, name(e))
			}
			if mem.Load32(key) != before {
				t.Errorf("%v: a nested walk changed the key", typ)
			}
			keys = append(keys, before)
			if !isArray {
				if e := mp.DeleteElem(c, key); e != 0 {
					t.Errorf("%v: deleting the element at hand: %s", typ, name(e))
				}
			}
			return false
		})
		if slices.Sort(keys); n != 8 || e != 0 || !slices.Equal(keys, []uint64{0, 1, 2, 3, 4, 5, 6, 7}) {
			t.Errorf("%v: %d visits of %v: %s", typ, n, keys, name(e))
		}
		if n, _ := mp.ForEach(c, func(uint64, uint64) bool { return false }); !isArray && n != 0 {
			t.Errorf("%v: %d elements are left", typ, n)
		}
	}
	q := newMap(t, m, valid(uapi.BPF_MAP_TYPE_QUEUE))
	if _, e := q.ForEach(c, nil); e != errno.EOPNOTSUPP {
		t.Errorf("queue: %s", name(e))
	}
}

// A value that was looked up stays the old one when its key is updated, in maps
// that replace elements, and its memory is not given to anybody while the
// program runs.
func TestOldValueStays(t *testing.T) {
	m := newMachine(t, 1)
	room, err := m.Region.Alloc(32, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Region.Free(room)
	for _, s := range []Spec{
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 8},
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 8, Flags: uapi.BPF_F_NO_PREALLOC},
		{Type: uapi.BPF_MAP_TYPE_LPM_TRIE, KeySize: 8, Flags: uapi.BPF_F_NO_PREALLOC},
	} {
		s.ValueSize, s.MaxEntries = 8, 4
		mp := newMap(t, m, s)
		c := m.Acquire()
		key, value := room, room+16
		mem.Store64(key, 32)
		mem.Store64(value, 1)
		if e := mp.UpdateElem(c, key, value, 0); e != 0 {
			t.Fatal(name(e))
		}
		old := mp.LookupElem(c, key)
		mem.Store64(value, 2)
		if e := mp.UpdateElem(c, key, value, uapi.BPF_EXIST); e != 0 {
			t.Fatal(name(e))
		}
		if got := mem.Load64(old); got != 1 {
			t.Errorf("%v: the value that was looked up became %d", s.Type, got)
		}
		if _, ok := m.Region.Find(old); !ok {
			t.Errorf("%v: the value that was looked up is free", s.Type)
		}
		if got := mem.Load64(mp.LookupElem(c, key)); got != 2 {
			t.Errorf("%v: the new value is %d", s.Type, got)
		}
		m.Release(c)
	}
}

// Elements that are not preallocated go back to the region in the end.
func TestMemoryComesBack(t *testing.T) {
	m := newMachine(t, 1)
	for _, typ := range []uapi.MapType{uapi.BPF_MAP_TYPE_HASH, uapi.BPF_MAP_TYPE_PERCPU_HASH, uapi.BPF_MAP_TYPE_LPM_TRIE} {
		mp := newMap(t, m, Spec{Type: typ, KeySize: 8, ValueSize: 100, MaxEntries: 5000, Flags: uapi.BPF_F_NO_PREALLOC})
		empty := m.Region.Used()
		key := func(i uint64) []byte { return binary.LittleEndian.AppendUint64(nil, 32|i<<32) }
		for i := range uint64(5000) {
			if e := mp.Update(key(i), make([]byte, mp.ValueSizeUser()), 0); e != 0 {
				t.Fatal(name(e))
			}
		}
		full := m.Region.Used()
		for i := range uint64(5000) {
			if e := mp.Delete(key(i)); e != 0 {
				t.Fatal(name(e))
			}
		}
		if now := m.Region.Used(); now-empty > (full-empty)/10 {
			t.Errorf("%v: %d bytes when empty, %d when full, %d when empty again", typ, empty, full, now)
		}
	}
}

// Bob Jenkins' own test vectors for lookup3, and the two ways of counting that
// Linux uses.
func TestJhash(t *testing.T) {
	for _, tc := range []struct {
		key  string
		seed uint32
		want uint32
	}{
		{"", 0, 0xdeadbeef},
		{"", 0xdeadbeef, 0xbd5b7dde},
		{"Four score and seven years ago", 0, 0x17770551},
		{"Four score and seven years ago", 1, 0xcd628161},
	} {
		if got := jhash([]byte(tc.key), tc.seed); got != tc.want {
			t.Errorf("jhash(%q, %#x) = %#x, want %#x", tc.key, tc.seed, got, tc.want)
		}
	}
}
