package exec

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skep-ebpf/skep/internal/mem"
)

func newMachine(t *testing.T, cpus int) *Machine {
	t.Helper()
	region, err := mem.NewRegion(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { region.Close() })
	m, err := NewMachine(region, cpus)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What is deferred runs when the runs that were under way have ended, not
// before, and at once when there are none.
func TestGracePeriod(t *testing.T) {
	m := newMachine(t, 2)
	ran := 0
	m.Defer(func() { ran++ })
	if ran != 1 {
		t.Fatal("nobody reads, and the free function did not run")
	}
	a := m.Acquire()
	m.Defer(func() { ran++ })
	b := m.Acquire() // begins after the object was unlinked
	if ran != 1 {
		t.Fatal("freed under a reader")
	}
	m.Release(a)
	if ran != 2 {
		t.Fatal("a reader that came later holds it back")
	}
	m.Release(b)
	m.Synchronize()
}

func TestHandles(t *testing.T) {
	m := newMachine(t, 1)
	h := m.Handle("x")
	if h == 0 || m.Object(h) != "x" {
		t.Fatalf("handle %d is %v", h, m.Object(h))
	}
	c := m.Acquire()
	m.Drop(h)
	if m.Object(h) != nil {
		t.Error("a dropped handle stands for something")
	}
	if other := m.Handle("y"); other == h {
		t.Error("the number was used again while a run may know it")
	}
	m.Release(c)
	if again := m.Handle("z"); again != h {
		t.Errorf("handle %d, want the free %d", again, h)
	}
	if m.Object(1<<30) != nil {
		t.Error("a number out of the table stands for something")
	}
}

// Readers look at objects through handles while writers replace and free them:
// nobody may see one that was freed.
func TestReadersAndWriters(t *testing.T) {
	m := newMachine(t, 4)
	type object struct{ freed atomic.Bool }
	var current atomic.Uint32
	current.Store(m.Handle(&object{}))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := m.Acquire()
				if o, ok := m.Object(current.Load()).(*object); ok && o.freed.Load() {
					t.Error("a reader sees a freed object")
				}
				m.Release(c)
			}
		})
	}
	for range 2000 {
		old := current.Load()
		o := m.Object(old).(*object)
		current.Store(m.Handle(&object{}))
		m.Defer(func() { o.freed.Store(true) })
		m.Drop(old)
	}
	close(stop)
	wg.Wait()
}
