package maps

import (
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// benchSpecs are the types whose lookup, update and delete are measured and must
// not allocate.
var benchSpecs = []Spec{
	{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 16, MaxEntries: 1024},
	{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: 16, MaxEntries: 1024},
	{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 16, MaxEntries: 1024},
	{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 16, ValueSize: 16, MaxEntries: 1024, Flags: uapi.BPF_F_NO_PREALLOC},
	{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, KeySize: 4, ValueSize: 16, MaxEntries: 1024},
	{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 16, MaxEntries: 1024},
	{Type: uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, KeySize: 4, ValueSize: 16, MaxEntries: 1024},
}

type benchMap struct {
	Map
	c          *exec.CPU
	key, value uint64
}

func newBenchMap(t testing.TB, s Spec) *benchMap {
	t.Helper()
	m := newMachine(t, 2)
	b := &benchMap{Map: newMap(t, m, s)}
	room, err := m.Region.Alloc(512, 8)
	if err != nil {
		t.Fatal(err)
	}
	b.c, b.key, b.value = m.Acquire(), room, room+256
	t.Cleanup(func() {
		m.Region.Free(room)
		m.Release(b.c)
	})
	return b
}

func (b *benchMap) put(i int, flags uint64) {
	mem.Store32(b.key, uint64(i))
	b.UpdateElem(b.c, b.key, b.value, flags)
}

// Programs reach maps without allocating on the Go heap.
func TestNoAllocs(t *testing.T) {
	for _, s := range benchSpecs {
		t.Run(fmt.Sprintf("%s/%#x", s.Type.LibName(), s.Flags), func(t *testing.T) {
			b := newBenchMap(t, s)
			for i := range 2000 {
				b.put(i, 0)
			}
			i := 0
			for what, op := range map[string]func(){
				"lookup": func() { mem.Store32(b.key, uint64(i%1024)); b.LookupElem(b.c, b.key) },
				"update": func() { b.put(i%1024, 0) },
				"replace": func() {
					mem.Store32(b.key, uint64(i%1024))
					b.DeleteElem(b.c, b.key)
					b.put(i%1024, 0)
				},
			} {
				if n := testing.AllocsPerRun(500, func() { op(); i++ }); n != 0 {
					t.Errorf("%s allocates %v times", what, n)
				}
			}
		})
	}
	t.Run("ringbuf", func(t *testing.T) {
		m := newMachine(t, 1)
		r := newMap(t, m, Spec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096}).(*Ringbuf)
		visit := func([]byte) {}
		if n := testing.AllocsPerRun(500, func() { r.Submit(r.Reserve(20, 0), 0); r.Read(visit) }); n != 0 {
			t.Errorf("a record allocates %v times", n)
		}
	})
}

func BenchmarkMaps(bm *testing.B) {
	lpm := Spec{Type: uapi.BPF_MAP_TYPE_LPM_TRIE, KeySize: 8, ValueSize: 16, MaxEntries: 1024, Flags: uapi.BPF_F_NO_PREALLOC}
	for _, s := range append(benchSpecs, lpm) {
		bm.Run(fmt.Sprintf("%s-%#x", s.Type.LibName(), s.Flags), func(bm *testing.B) {
			b := newBenchMap(bm, s)
			key := func(i int) {
				mem.Store32(b.key, uint64(i%1024))
				if s.Type == uapi.BPF_MAP_TYPE_LPM_TRIE {
					mem.Store32(b.key, 32)
					mem.Store32(b.key+4, uint64(i%1024)*0x9e3779b1)
				}
			}
			for i := range 1024 {
				key(i)
				b.UpdateElem(b.c, b.key, b.value, 0)
			}
			bm.Run("lookup", func(bm *testing.B) {
				bm.ReportAllocs()
				for i := 0; bm.Loop(); i++ {
					key(i)
					if b.LookupElem(b.c, b.key) == 0 {
						bm.Fatal("not found")
					}
				}
			})
			bm.Run("update", func(bm *testing.B) {
				bm.ReportAllocs()
				for i := 0; bm.Loop(); i++ {
					key(i)
					b.UpdateElem(b.c, b.key, b.value, 0)
				}
			})
			bm.Run("delete+insert", func(bm *testing.B) {
				bm.ReportAllocs()
				for i := 0; bm.Loop(); i++ {
					key(i)
					b.DeleteElem(b.c, b.key)
					b.UpdateElem(b.c, b.key, b.value, 0)
				}
			})
		})
	}
	bm.Run("ringbuf", func(bm *testing.B) {
		m := newMachine(bm, 1)
		r := newMap(bm, m, Spec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 1 << 20}).(*Ringbuf)
		n := 0
		visit := func([]byte) { n++ }
		bm.ReportAllocs()
		for i := 0; bm.Loop(); i++ {
			r.Submit(r.Reserve(64, 0), uapi.BPF_RB_NO_WAKEUP)
			if i%1000 == 0 {
				r.Read(visit)
			}
		}
	})
}

// The seed keeps an attacker from choosing keys that collide: two maps disagree.
func TestSeeds(t *testing.T) {
	m := newMachine(t, 1)
	s := Spec{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 4, MaxEntries: 16}
	a, b := newMap(t, m, s).(*Hash), newMap(t, m, s).(*Hash)
	if a.seed == b.seed {
		t.Error("two maps have the same seed")
	}
	s.Flags = uapi.BPF_F_ZERO_SEED
	if z := newMap(t, m, s).(*Hash); z.seed != 0 {
		t.Errorf("BPF_F_ZERO_SEED: the seed is %#x", z.seed)
	}
}
