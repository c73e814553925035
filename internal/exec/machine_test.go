package exec

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skep-ebpf/skep/internal/mem"
)

func newMachine(t testing.TB, cpus int) *Machine {
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
	m.Barrier()
}

func TestHandles(t *testing.T) {
	m := newMachine(t, 1)
	h := m.Handle("x")
	if h == 0 || m.Object(h) != "x" {
		t.Fatalf("handle %d is %v", h, m.Object(h))
	}
	c := m.Acquire()
	m.Drop(h)
	if m.Object(h) != "x" {
		t.Error("a run lost an object that was dropped under it")
	}
	if other := m.Handle("y"); other == h {
		t.Error("the number was used again while a run may know it")
	}
	m.Release(c)
	if m.Object(h) != nil {
		t.Error("after the grace period a dropped handle stands for something")
	}
	if again := m.Handle("z"); again != h {
		t.Errorf("handle %d, want the free %d", again, h)
	}
	for _, none := range []uint32{0, 1 << 30, 1<<32 - 64, 1<<32 - 1} {
		if m.Object(none) != nil {
			t.Errorf("%d, which nobody registered, stands for something", none)
		}
	}
}

// The table keeps its objects while it grows, and its size is that of the
// largest number of objects at a time.
func TestHandlesGrow(t *testing.T) {
	m := newMachine(t, 1)
	var all []uint32
	for round := range 3 {
		for i := range 5000 {
			all = append(all, m.Handle(i))
		}
		for i, h := range all {
			if m.Object(h) != i {
				t.Fatalf("round %d: handle %d is %v, want %d", round, h, m.Object(h), i)
			}
			m.Drop(h)
		}
		all = all[:0]
	}
	if used, known := m.Handles(); used != 0 || known != 5000 {
		t.Errorf("%d handles in use of %d, want 0 of 5000", used, known)
	}
}

// within fails the test when f does not return: a deadlock.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}

// A free function may defer others and wait for a grace period.
func TestFreeFunctionsNest(t *testing.T) {
	m := newMachine(t, 2)
	var order []int
	within(t, "a free function that waits", func() {
		c := m.Acquire()
		m.Defer(func() {
			m.Defer(func() { order = append(order, 2) })
			m.Synchronize()
			order = append(order, 1)
		})
		m.Release(c)
		m.Barrier()
	})
	if !slices.Equal(order, []int{1, 2}) {
		t.Errorf("ran %v, want each after the one that deferred it", order)
	}
}

// What others deferred never runs on a goroutine that is inside a run: there it
// could wait for that run's own end.
func TestNothingRunsInsideARun(t *testing.T) {
	m := newMachine(t, 2)
	ran := false
	old := m.Acquire()
	m.Defer(func() { ran = true }) // waits for old only
	c := m.Acquire()
	m.rcu.leave(old.ID) // its goroutine has not come to look at the queue
	m.Defer(func() {})
	if ran {
		t.Error("a free function ran on a goroutine that holds a CPU")
	}
	m.Release(c)
	if !ran {
		t.Error("the run that ended left it in the queue")
	}
}

// A CPU that is kept but paused holds nothing back.
func TestPause(t *testing.T) {
	m := newMachine(t, 1)
	c := m.Acquire()
	c.Pause()
	within(t, "waiting for a paused CPU", m.Synchronize)
	c.Resume()
	ran := false
	m.Defer(func() { ran = true })
	if ran {
		t.Error("freed under a reader")
	}
	if c.Pause(); !ran {
		t.Error("pausing did not end the grace period")
	}
	c.Resume()
	m.Release(c)
}

// When nobody is inside skep any more, nothing is left to be freed, whoever
// deferred and whoever ran it.
func TestNothingIsLeft(t *testing.T) {
	m := newMachine(t, 3)
	var deferred, ran atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for n := range 3000 {
				if i%2 == 0 {
					m.Release(m.Acquire())
					continue
				}
				deferred.Add(1)
				m.Defer(func() {
					if ran.Add(1); n%3 == 0 {
						deferred.Add(1)
						m.Defer(func() { ran.Add(1) })
					}
				})
				if n%100 == 0 {
					m.Synchronize()
				}
			}
		})
	}
	wg.Wait()
	if deferred.Load() != ran.Load() || m.rcu.pending.Load() != 0 {
		t.Errorf("%d deferred, %d ran, %d pending", deferred.Load(), ran.Load(), m.rcu.pending.Load())
	}
}

// benchObjects is how many objects a busy kernel has.
const benchObjects = 10000

func BenchmarkHandle(b *testing.B) {
	m := benchMachine(b)
	for b.Loop() {
		m.Drop(m.Handle(b))
	}
}

func BenchmarkObject(b *testing.B) {
	m := benchMachine(b)
	for i := 0; b.Loop(); i++ {
		if m.Object(uint32(i%benchObjects)+1) == nil {
			b.Fatal("the object is gone")
		}
	}
}

func BenchmarkReadSection(b *testing.B) {
	m := benchMachine(b)
	c := m.Acquire()
	defer m.Release(c)
	for b.Loop() {
		c.Pause()
		c.Resume()
	}
}

func benchMachine(b *testing.B) *Machine {
	m := newMachine(b, 2)
	for range benchObjects {
		m.Handle(b)
	}
	return m
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
