package mem

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
)

func newRegion(t *testing.T, limit uint64) *Region {
	t.Helper()
	r, err := NewRegion(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// A random walk of allocations and frees against a plain list: blocks never
// overlap, are zeroed and aligned, and are found by any address inside.
func TestRegionRandomWalk(t *testing.T) {
	r := newRegion(t, 32<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	type live struct{ addr, size uint64 }
	var blocks []live
	for step := range 20000 {
		if len(blocks) > 200 || len(blocks) > 0 && rng.IntN(3) == 0 {
			i := rng.IntN(len(blocks))
			b := blocks[i]
			for _, off := range []uint64{0, b.size / 2, b.size - 1} {
				got, ok := r.Find(b.addr + off)
				if !ok || got.Addr != b.addr || got.Size != b.size {
					t.Fatalf("step %d: Find(%#x+%d) = %+v, %v; want %+v", step, b.addr, off, got, ok, b)
				}
			}
			r.Free(b.addr)
			if _, ok := r.Find(b.addr); ok {
				t.Fatalf("step %d: a freed block is found", step)
			}
			blocks[i] = blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			continue
		}
		size := uint64(1) << rng.IntN(16)
		size += rng.Uint64N(size)
		align := uint64(8) << rng.IntN(4)
		addr, err := r.Alloc(size, align)
		if err != nil {
			t.Fatal(err)
		}
		if addr%align != 0 {
			t.Fatalf("step %d: %#x is not aligned to %d", step, addr, align)
		}
		for i, v := range Bytes(addr, size) {
			if v != 0 {
				t.Fatalf("step %d: byte %d of a new block is %#x", step, i, v)
			}
		}
		for _, b := range blocks {
			if addr < b.addr+b.size && b.addr < addr+size {
				t.Fatalf("step %d: [%#x,+%d) overlaps [%#x,+%d)", step, addr, size, b.addr, b.size)
			}
		}
		for i := range Bytes(addr, size) {
			Store8(addr+uint64(i), 0xa5)
		}
		blocks = append(blocks, live{addr, size})
	}
	for _, b := range blocks {
		r.Free(b.addr)
	}
	if got := r.Used(); got != 0 {
		t.Fatalf("%d bytes in use after everything was freed", got)
	}
}

func TestRegionExhausted(t *testing.T) {
	r := newRegion(t, 1<<20)
	var all []uint64
	for {
		a, err := r.Alloc(64<<10, 0)
		if err != nil {
			if !errors.Is(err, errno.ENOMEM) {
				t.Fatalf("exhausted region: %v, want ENOMEM", err)
			}
			break
		}
		all = append(all, a)
	}
	if len(all) != 16 {
		t.Fatalf("1 MiB held %d blocks of 64 KiB", len(all))
	}
	for _, a := range all {
		r.Free(a)
	}
	// The pages join again: one block of the whole range fits.
	if _, err := r.Alloc(1<<20, 0); err != nil {
		t.Fatal(err)
	}
}

func TestContains(t *testing.T) {
	r := newRegion(t, 1<<20)
	for _, tc := range []struct {
		addr, n uint64
		want    bool
	}{
		{r.Base(), 1, true},
		{r.Base() + r.Size() - 1, 1, true},
		{r.Base() + r.Size() - 1, 2, false},
		{r.Base() - 1, 2, false},
		{r.Base() + r.Size(), 0, false},
		{r.Base(), ^uint64(0), false},
		{0, 8, false},
	} {
		if got := r.Contains(tc.addr, tc.n); got != tc.want {
			t.Errorf("Contains(base%+d, %d) = %v", int64(tc.addr-r.Base()), tc.n, got)
		}
	}
}

// Slots that came back are reused before the span grows, and a span whose slots
// are all in use is found by none.
func TestSlotsReused(t *testing.T) {
	r := newRegion(t, 1<<20)
	var addrs []uint64
	for range 4096 + 1 { // one span of 16-byte slots and one slot more
		a, err := r.Alloc(16, 8)
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, a)
	}
	for _, a := range addrs[100:200] {
		r.Free(a)
	}
	seen := map[uint64]bool{}
	for range 100 {
		a, err := r.Alloc(10, 8)
		if err != nil {
			t.Fatal(err)
		}
		if a < addrs[100] || a > addrs[199] || seen[a] {
			t.Fatalf("got %#x, which is no slot that came back", a)
		}
		seen[a] = true
	}
}

func BenchmarkAllocFree(b *testing.B) {
	for _, size := range []uint64{48, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r, err := NewRegion(0)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			live := make([]uint64, 1000)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				slot := &live[i%len(live)]
				r.Free(*slot)
				if *slot, err = r.Alloc(size, 8); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
