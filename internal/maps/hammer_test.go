package maps

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// worker acts as a program on its CPU, with room for a key and a value.
type worker struct {
	c          *exec.CPU
	key, value uint64
	rng        *rand.Rand
}

// hammer runs programs on all CPUs and system calls beside them. Programs give
// their CPU back now and then, so that memory can be freed.
func hammer(t *testing.T, m *exec.Machine, program func(w *worker), syscall func(rng *rand.Rand)) {
	t.Helper()
	rounds := 3000
	if testing.Short() {
		rounds = 500
	}
	var wg sync.WaitGroup
	for i := range len(m.CPUs) {
		room, err := m.Region.Alloc(256, 8)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer m.Region.Free(room)
			w := &worker{key: room, value: room + 64, rng: rand.New(rand.NewPCG(1, uint64(i)))}
			for range rounds / 10 {
				w.c = m.Acquire()
				for range 10 {
					program(w)
				}
				m.Release(w.c)
			}
		})
	}
	for i := range 2 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(2, uint64(i)))
			for range rounds {
				syscall(rng)
			}
		})
	}
	wg.Wait()
}

// Every value starts with its key and ends with its complement. Programs on any
// CPU and system calls change a small table together; what is found under a key
// is that key's value, unless the element was reused after it was found.
func TestHashHammer(t *testing.T) {
	for _, s := range []Spec{
		{Type: uapi.BPF_MAP_TYPE_HASH, MaxEntries: 20},
		{Type: uapi.BPF_MAP_TYPE_HASH, MaxEntries: 20, Flags: uapi.BPF_F_NO_PREALLOC},
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, MaxEntries: 20},
		{Type: uapi.BPF_MAP_TYPE_LRU_HASH, MaxEntries: 20, Flags: uapi.BPF_F_NO_COMMON_LRU},
		{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, MaxEntries: 20},
		{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, MaxEntries: 20, Flags: uapi.BPF_F_NO_PREALLOC},
		{Type: uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, MaxEntries: 20},
		{Type: uapi.BPF_MAP_TYPE_LPM_TRIE, MaxEntries: 20, Flags: uapi.BPF_F_NO_PREALLOC},
	} {
		s.KeySize, s.ValueSize = 8, 16
		t.Run(fmt.Sprintf("%s/%#x", s.Type.LibName(), s.Flags), func(t *testing.T) {
			m := newMachine(t, 4)
			mp := newMap(t, m, s)
			size := int(mp.ValueSizeUser())
			key := func(rng *rand.Rand) uint64 {
				n := rng.Uint64N(30)
				if s.Type == uapi.BPF_MAP_TYPE_LPM_TRIE {
					return n%33 | n<<40
				}
				return n
			}
			var bad atomic.Int64
			program := func(w *worker) {
				k := key(w.rng)
				mem.Store64(w.key, k)
				switch w.rng.IntN(4) {
				case 0, 1:
					mem.Store64(w.value, k)
					mem.Store64(w.value+8, ^k)
					mp.UpdateElem(w.c, w.key, w.value, w.rng.Uint64N(3))
				case 2:
					mp.DeleteElem(w.c, w.key)
				case 3:
					if v := mp.LookupElem(w.c, w.key); v != 0 {
						if a := mem.Load64(v); a != 0 && a != k && a >= 30 && s.Type != uapi.BPF_MAP_TYPE_LPM_TRIE {
							bad.Add(1)
						}
					}
					mp.ForEach(w.c, func(_, _ uint64) bool { return false })
				}
			}
			syscall := func(rng *rand.Rand) {
				k := key(rng)
				kb := binary.LittleEndian.AppendUint64(nil, k)
				v := make([]byte, size)
				for off := 0; off < size; off += 16 {
					binary.LittleEndian.PutUint64(v[off:], k)
					binary.LittleEndian.PutUint64(v[off+8:], ^k)
				}
				switch rng.IntN(6) {
				case 0, 1:
					mp.Update(kb, v, rng.Uint64N(3))
				case 2:
					mp.Delete(kb)
				case 3:
					clear(v)
					if mp.Lookup(kb, v, 0) == 0 && s.Type == uapi.BPF_MAP_TYPE_HASH && binary.LittleEndian.Uint64(v) != k {
						bad.Add(1)
					}
				case 4:
					mp.LookupAndDelete(kb, v, 0)
				case 5:
					n := 0
					for k := []byte(nil); n < 100; n++ {
						nk := make([]byte, 8)
						if mp.NextKey(k, nk) != 0 {
							break
						}
						k = nk
					}
				}
			}
			hammer(t, m, program, syscall)
			if n := bad.Load(); n != 0 {
				t.Errorf("%d values belonged to no key or another one", n)
			}
			checkComplete(t, mp)
		})
	}
}

// checkComplete walks the map, which nobody changes any more: no key twice, no
// more than fit, each found.
func checkComplete(t *testing.T, mp Map) {
	t.Helper()
	seen := map[string]bool{}
	key, next := []byte(nil), make([]byte, mp.Spec().KeySize)
	for mp.NextKey(key, next) == 0 {
		if seen[string(next)] {
			t.Fatalf("key %x comes twice", next)
		}
		seen[string(next)] = true
		if e := mp.Lookup(next, make([]byte, mp.ValueSizeUser()), 0); e != 0 {
			t.Errorf("key %x is not found: %s", next, name(e))
		}
		key = append(key[:0], next...)
	}
	if len(seen) > int(mp.Spec().MaxEntries) {
		t.Errorf("%d elements in a map for %d", len(seen), mp.Spec().MaxEntries)
	}
	for k := range seen {
		if e := mp.Delete([]byte(k)); e != 0 {
			t.Errorf("key %x cannot be deleted: %s", k, name(e))
		}
	}
	// Nothing was lost: the map can be filled again.
	if _, lru := mp.(*LRUHash); lru || mp.Spec().Type == uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH {
		return
	}
	for i := range uint64(mp.Spec().MaxEntries) {
		k := binary.LittleEndian.AppendUint64(nil, 8+i<<32)
		if mp.Spec().Type == uapi.BPF_MAP_TYPE_LPM_TRIE {
			k = binary.LittleEndian.AppendUint64(nil, 32|i<<32)
		}
		if e := mp.Update(k, make([]byte, mp.ValueSizeUser()), uapi.BPF_NOEXIST); e != 0 {
			t.Fatalf("element %d of %d does not fit the empty map: %s", i, mp.Spec().MaxEntries, name(e))
		}
	}
}

// Producers on all CPUs, one consumer: every record that had room arrives once,
// whole, and each producer's in order.
func TestRingbufHammer(t *testing.T) {
	m := newMachine(t, 4)
	r := newMap(t, m, Spec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096}).(*Ringbuf)
	var sent, dropped, got atomic.Int64
	last := map[uint64]uint64{}
	consume := func() {
		r.Read(func(rec []byte) {
			cpu, seq := binary.LittleEndian.Uint64(rec), binary.LittleEndian.Uint64(rec[8:])
			if prev, ok := last[cpu]; ok && seq <= prev {
				t.Errorf("producer %d: record %d after %d", cpu, seq, prev)
			}
			last[cpu] = seq
			for i, b := range rec[16:] {
				if b != byte(seq) {
					t.Errorf("byte %d of record %d is %#x", i, seq, b)
					break
				}
			}
			got.Add(1)
		})
	}
	var mu sync.Mutex
	seqs := make([]uint64, len(m.CPUs))
	hammer(t, m, func(w *worker) {
		n := 16 + w.rng.Uint64N(100)
		s := r.Reserve(n, 0)
		if s == 0 {
			dropped.Add(1)
			return
		}
		seqs[w.c.ID]++
		seq := seqs[w.c.ID]
		mem.Store64(s, uint64(w.c.ID))
		mem.Store64(s+8, seq)
		for i := uint64(16); i < n; i++ {
			mem.Store8(s+i, seq)
		}
		if w.rng.IntN(8) == 0 {
			r.Discard(s, 0)
			return
		}
		r.Submit(s, 0)
		sent.Add(1)
	}, func(*rand.Rand) {
		mu.Lock()
		consume()
		mu.Unlock()
	})
	consume()
	if sent.Load() != got.Load() || sent.Load() == 0 {
		t.Errorf("%d records were sent, %d arrived (%d had no room)", sent.Load(), got.Load(), dropped.Load())
	}
}

// The consumer is woken for the first record after it caught up, or when asked.
func TestRingbufWake(t *testing.T) {
	m := newMachine(t, 1)
	r := newMap(t, m, Spec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096}).(*Ringbuf)
	woken := func() bool {
		select {
		case <-r.Wait():
			return true
		default:
			return false
		}
	}
	for i, tc := range []struct {
		flags uint64
		read  bool
		want  bool
	}{
		{0, false, true},
		{0, false, false}, // the consumer has not caught up
		{uapi.BPF_RB_FORCE_WAKEUP, true, true},
		{uapi.BPF_RB_NO_WAKEUP, true, false},
		{0, false, true},
	} {
		r.Submit(r.Reserve(8, 0), tc.flags)
		if got := woken(); got != tc.want {
			t.Errorf("record %d: woken %v", i, got)
		}
		if !r.Ready() {
			t.Errorf("record %d: there is nothing to read", i)
		}
		if tc.read {
			r.Read(func([]byte) {})
		}
	}
}

// A perf buffer counts room and losses as the kernel does, and pads samples.
func TestPerfBuffer(t *testing.T) {
	p, err := NewPerfBuffer(1, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if e := p.Output(0, nil, nil); e.Name() != "EOPNOTSUPP" {
		t.Errorf("output from another CPU: %s", name(e))
	}
	n := 0
	for p.Output(1, make([]byte, 100), []byte{1, 2, 3}) == 0 {
		n++
	}
	if want := 4095 / 120; n != want { // 8 + 4 + 103, rounded up
		t.Errorf("%d samples fit, want %d", n, want)
	}
	if p.Output(1, make([]byte, 100), nil) == 0 || p.Lost() != 2 {
		t.Errorf("%d samples were lost, want 2", p.Lost())
	}
	read := p.Read(func(data []byte, lost uint64) {
		if len(data) != 108 || data[100] != 1 || data[103] != 0 || lost != 0 {
			t.Errorf("sample %x, %d lost", data, lost)
		}
	})
	if read != n {
		t.Errorf("%d samples read, %d written", read, n)
	}
	if e := p.Output(1, []byte{9}, nil); e != 0 {
		t.Fatal(name(e))
	}
	p.Read(func(data []byte, lost uint64) {
		if lost != 2 || len(data) != 4 || data[0] != 9 {
			t.Errorf("sample %x, %d lost before it", data, lost)
		}
	})
}
