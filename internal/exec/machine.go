package exec

import (
	"fmt"

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

	objects objects

	idle chan *CPU
	rcu  rcu
}

// NewMachine makes a machine with n CPUs in region.
func NewMachine(region *mem.Region, n int) (*Machine, error) {
	m := &Machine{Region: region, idle: make(chan *CPU, n)}
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
// read-copy-update read section. A holder that keeps the CPU while it runs
// nothing leaves the section with [CPU.Pause].
func (m *Machine) Acquire() *CPU {
	c := <-m.idle
	c.Resume()
	return c
}

// Release gives the CPU back.
func (m *Machine) Release(c *CPU) {
	c.Run, c.Ctx, c.Call, c.Redirect = nil, 0, nil, Redirect{}
	c.unlimit()
	c.leave()
	m.idle <- c
	m.rcu.poll()
}

// Pause ends the CPU's read section while the holder keeps the CPU for later:
// no program runs on it until [CPU.Resume]. It may run what was deferred.
func (c *CPU) Pause() {
	c.leave()
	c.Machine.rcu.poll()
}

func (c *CPU) leave() { c.Machine.rcu.leave(c.ID) }

// Resume begins a read section after [CPU.Pause].
func (c *CPU) Resume() { c.Machine.rcu.enter(c.ID) }

// Defer runs free once every run that was under way has ended (call_rcu): at
// once, on the caller's goroutine, when there is none and nobody else is running
// such functions. They run one after the other, never on a goroutine that is in
// a run, and may call Defer and Synchronize. The caller must hold no lock that a
// free function takes.
func (m *Machine) Defer(free func()) { m.rcu.later(free) }

// Synchronize waits until every run that was under way has ended
// (synchronize_rcu). It must not be called from inside a run, which would wait
// for itself.
func (m *Machine) Synchronize() { m.rcu.wait() }

// Barrier waits until everything that was deferred has run, and what that
// deferred in turn (rcu_barrier). It must be called neither from inside a run
// nor from a free function.
func (m *Machine) Barrier() {
	for {
		done := make(chan struct{})
		m.Defer(func() { close(done) })
		if <-done; m.rcu.empty() {
			return
		}
	}
}

// Handle registers a Go object that off-heap memory refers to, and returns the
// number to store there. Handle 0 is never given out.
func (m *Machine) Handle(v any) uint32 { return m.objects.add(v) }

// Publish comes before a store that lets running programs find an object by its
// address (rcu_assign_pointer): the Go side of it, as it is now, is what
// [Machine.Object] gives them. Off-heap memory alone orders nothing in Go.
func (m *Machine) Publish() { m.objects.published.Add(1) }

// Object is what a handle stands for, nil if nothing. It takes no lock.
func (m *Machine) Object(h uint32) any { return m.objects.get(h) }

// ObjectAt is the Go side of the object at addr, whose first four bytes hold a
// handle as struct bpf_map's do.
func (m *Machine) ObjectAt(addr uint64) any { return m.Object(uint32(mem.Load32(addr))) }

// Drop ends a handle's life: after a grace period it stands for nothing, and the
// number may be used again. Runs that are under way still find the object.
func (m *Machine) Drop(h uint32) { m.Defer(func() { m.objects.remove(h) }) }

// Handles is how many objects are registered, and how many numbers were ever
// given out: for leak tests.
func (m *Machine) Handles() (used, known int) { return m.objects.size() }
