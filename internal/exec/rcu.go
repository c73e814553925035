package exec

import (
	"math"
	"sync"
	"sync/atomic"
)

// rcu is an epoch scheme: a CPU shows the epoch in which its read section began,
// 0 when it is in none; what was deferred in epoch e may run when no CPU shows e
// or less.
//
// Free functions run one after the other, and never on a goroutine that is in a
// read section: they are run by the CPU that leaves one, or by the caller of
// later when no CPU is in any. A free function may defer others and may wait for
// a grace period.
type rcu struct {
	epoch atomic.Uint64
	cpus  []paddedEpoch
	// pending is how many functions and waiters there are, so that a CPU that
	// leaves can see without the lock that there is nothing to do.
	pending atomic.Int64

	mu       sync.Mutex
	queue    []deferred
	waiters  []waiter
	draining bool // somebody runs free functions and will look at the queue again
}

// paddedEpoch keeps each CPU's word on a cache line of its own.
type paddedEpoch struct {
	atomic.Uint64
	_ [56]byte
}

type deferred struct {
	epoch uint64
	free  func()
}

type waiter struct {
	epoch uint64
	done  chan struct{}
}

func (r *rcu) init(n int) {
	r.cpus = make([]paddedEpoch, n)
	r.epoch.Store(1)
}

func (r *rcu) enter(cpu int) { r.cpus[cpu].Store(r.epoch.Load()) }

func (r *rcu) leave(cpu int) { r.cpus[cpu].Store(0) }

// poll does what had to wait for a CPU that left its read section.
func (r *rcu) poll() {
	if r.pending.Load() != 0 {
		r.reap(false)
	}
}

// tick opens a new epoch, so that read sections that begin from now on hold back
// nothing of the one that it returns. r.mu is held.
func (r *rcu) tick() uint64 { return r.epoch.Add(1) - 1 }

// later queues free.
func (r *rcu) later(free func()) {
	r.mu.Lock()
	r.queue = append(r.queue, deferred{r.tick(), free})
	r.pending.Add(1)
	r.mu.Unlock()
	// A CPU that is in a read section now sees what is pending when it leaves.
	r.reap(true)
}

// wait returns when every read section that was under way has ended.
func (r *rcu) wait() {
	w := waiter{done: make(chan struct{})}
	r.mu.Lock()
	w.epoch = r.tick()
	r.waiters = append(r.waiters, w)
	r.pending.Add(1)
	r.mu.Unlock()
	r.reap(true)
	<-w.done
}

// reap wakes who waited long enough and runs what no reader can still see. With
// idle it does the second only when there is no reader at all: one of them may
// be the caller.
func (r *rcu) reap(idle bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		oldest := r.oldest()
		r.wake(oldest)
		if r.draining || idle && oldest != math.MaxUint64 {
			return
		}
		ready := r.take(oldest)
		if len(ready) == 0 {
			return
		}
		r.run(ready)
	}
}

// oldest is the epoch of the read section that began first.
func (r *rcu) oldest() uint64 {
	oldest := uint64(math.MaxUint64)
	for i := range r.cpus {
		if e := r.cpus[i].Load(); e != 0 {
			oldest = min(oldest, e)
		}
	}
	return oldest
}

func (r *rcu) wake(oldest uint64) {
	n := 0
	for n < len(r.waiters) && r.waiters[n].epoch < oldest {
		close(r.waiters[n].done)
		n++
	}
	r.waiters = r.waiters[n:]
	r.pending.Add(int64(-n))
}

// take removes the functions that may run from the queue.
func (r *rcu) take(oldest uint64) []deferred {
	n := 0
	for n < len(r.queue) && r.queue[n].epoch < oldest {
		n++
	}
	ready := r.queue[:n:n]
	if r.queue = r.queue[n:]; len(r.queue) == 0 {
		r.queue = nil
	}
	return ready
}

// run calls the functions with the lock released. They stay pending until they
// have returned.
func (r *rcu) run(ready []deferred) {
	r.draining = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.draining = false
		r.pending.Add(int64(-len(ready)))
	}()
	for i := range ready {
		ready[i].free()
		ready[i].free = nil
	}
}

// empty says whether nothing is left to run.
func (r *rcu) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue) == 0 && !r.draining
}
