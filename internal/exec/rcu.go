package exec

import (
	"sync"
	"sync/atomic"
)

// rcu is an epoch scheme: a CPU shows the epoch in which its run began, 0 when
// it is idle; what was deferred in epoch e may run when no CPU shows e or less.
type rcu struct {
	epoch   atomic.Uint64
	cpus    []paddedEpoch
	pending atomic.Int64

	mu    sync.Mutex
	queue []deferred
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

func (r *rcu) init(n int) {
	r.cpus = make([]paddedEpoch, n)
	r.epoch.Store(1)
}

func (r *rcu) enter(cpu int) { r.cpus[cpu].Store(r.epoch.Load()) }

func (r *rcu) leave(cpu int) { r.cpus[cpu].Store(0) }

// later queues free and opens a new epoch, so that runs that begin from now on
// do not hold it back.
func (r *rcu) later(free func()) {
	r.mu.Lock()
	e := r.epoch.Load()
	r.queue = append(r.queue, deferred{e, free})
	r.epoch.Store(e + 1)
	r.pending.Add(1)
	r.mu.Unlock()
	r.reap()
}

// reap runs what no reader can still see.
func (r *rcu) reap() {
	if r.pending.Load() == 0 {
		return
	}
	r.mu.Lock()
	oldest := ^uint64(0)
	for i := range r.cpus {
		if e := r.cpus[i].Load(); e != 0 {
			oldest = min(oldest, e)
		}
	}
	n := 0
	for n < len(r.queue) && r.queue[n].epoch < oldest {
		n++
	}
	ready := append([]deferred(nil), r.queue[:n]...)
	r.queue = append(r.queue[:0], r.queue[n:]...)
	r.pending.Add(int64(-n))
	r.mu.Unlock()
	for _, d := range ready {
		d.free()
	}
}
