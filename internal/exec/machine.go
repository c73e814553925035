package exec

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/skep-ebpf/skep/internal/mem"
)

// Machine is what all CPUs of one kernel share: memory, time, randomness, the
// table of objects that programs name by address, and the read-copy-update
// domain that decides when memory may be reused.
type Machine struct {
	Region *mem.Region
	CPUs   []*CPU

	// Clock is CLOCK_MONOTONIC in nanoseconds, BootClock CLOCK_BOOTTIME,
	// TAIClock CLOCK_TAI.
	Clock     func() uint64
	BootClock func() uint64
	TAIClock  func() uint64
	// Rand gives 64 random bits.
	Rand func() uint64
	// Trace receives what bpf_trace_printk prints, a line at a time without the
	// newline.
	Trace func(cpu int, line string)

	objects atomic.Pointer[[]any]
	objMu   sync.Mutex
	objFree []uint32

	idle chan *CPU
	rcu  rcu
}

// NewMachine makes a machine with n CPUs in region.
func NewMachine(region *mem.Region, n int) (*Machine, error) {
	m := &Machine{Region: region, idle: make(chan *CPU, n)}
	m.objects.Store(&[]any{nil})
	for id := range n {
		c, err := newCPU(m, id)
		if err != nil {
			return nil, fmt.Errorf("CPU %d: %w", id, err)
		}
		m.CPUs = append(m.CPUs, c)
		m.idle <- c
	}
	m.rcu.init(n)
	return m, nil
}

// Acquire takes any idle CPU and waits for one if there is none. Between
// Acquire and Release nothing that the holder can reach is freed: it is a
// read-copy-update read section.
func (m *Machine) Acquire() *CPU {
	c := <-m.idle
	m.rcu.enter(c.ID)
	return c
}

// Release gives the CPU back.
func (m *Machine) Release(c *CPU) {
	m.rcu.leave(c.ID)
	c.Run, c.Ctx, c.Call, c.Redirect = nil, 0, nil, Redirect{}
	c.unlimit()
	m.idle <- c
	m.rcu.reap()
}

// Defer runs free once every run that was under way has ended (call_rcu): at
// once, on the caller's goroutine, when there is none. The caller must hold no
// lock that a free function takes, and free functions must not block.
func (m *Machine) Defer(free func()) { m.rcu.later(free) }

// Synchronize waits until every run that was under way has ended
// (synchronize_rcu). The caller must not hold a CPU.
func (m *Machine) Synchronize() {
	done := make(chan struct{})
	m.Defer(func() { close(done) })
	<-done
}

// Handle registers a Go object that off-heap memory refers to, and returns the
// number to store there. Handle 0 is never given out.
func (m *Machine) Handle(v any) uint32 {
	m.objMu.Lock()
	defer m.objMu.Unlock()
	old := *m.objects.Load()
	if n := len(m.objFree); n > 0 {
		h := m.objFree[n-1]
		m.objFree = m.objFree[:n-1]
		// Readers may be looking at the table: they get a new one.
		t := append([]any(nil), old...)
		t[h] = v
		m.objects.Store(&t)
		return h
	}
	t := append(old[:len(old):len(old)], v)
	m.objects.Store(&t)
	return uint32(len(t) - 1)
}

// Object is what a handle stands for, nil if nothing.
func (m *Machine) Object(h uint32) any {
	t := *m.objects.Load()
	if int(h) >= len(t) {
		return nil
	}
	return t[h]
}

// ObjectAt is the Go side of the object at addr, whose first four bytes hold a
// handle as struct bpf_map's do.
func (m *Machine) ObjectAt(addr uint64) any { return m.Object(uint32(mem.Load32(addr))) }

// Drop ends a handle's life. The number is reused after a grace period.
func (m *Machine) Drop(h uint32) {
	m.objMu.Lock()
	t := append([]any(nil), *m.objects.Load()...)
	t[h] = nil
	m.objects.Store(&t)
	m.objMu.Unlock()
	m.Defer(func() {
		m.objMu.Lock()
		defer m.objMu.Unlock()
		m.objFree = append(m.objFree, h)
	})
}
