package skep

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/skep-ebpf/skep/internal/exec"
)

// clocks gives a machine time, randomness and a place to print to.
func clocks(m *exec.Machine, c Config) {
	// Nobody meets a kernel that booted just now: programs take a time of 0 for
	// none, and jiffies and the coarse clock do not begin at it.
	start := time.Now().Add(-time.Second)
	clock := c.Clock
	if clock == nil {
		clock = func() time.Duration { return time.Since(start) }
	}
	m.Clock = func() uint64 { return uint64(clock()) }
	m.BootClock = m.Clock
	m.TAIClock = func() uint64 { return uint64(start.UnixNano()) + m.Clock() }
	if c.Clock != nil {
		m.TAIClock = m.Clock
	}
	source := c.Rand
	if source == nil {
		source = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	var mu sync.Mutex
	m.Rand = func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		return source.Uint64()
	}
	m.Trace = func(cpu int, line string) {
		if c.Trace != nil {
			c.Trace(line)
		}
	}
}
