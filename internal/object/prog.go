package object

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/prog"
)

// Prog is a loaded program with its life.
type Prog struct {
	Header
	Name     string
	Tag      [8]byte
	LoadTime uint64 // nanoseconds since boot
	UID      uint32
	GPL      bool

	// Code is the program after rewriting, Image what runs.
	Code  *prog.Verified
	Image exec.Image
	BTF   *BTF   // nil without
	Bound []*BTF // other BTF that it was loaded with
	Owner maps.ProgOwner

	// Stats is shared by all programs of a kernel.
	Stats *Stats
	runs  atomic.Uint64
	ns    atomic.Uint64

	machine *exec.Machine
	mu      sync.Mutex
	maps    []*Map
}

// Stats says whether run statistics are kept: BPF_ENABLE_STATS holds it up.
type Stats struct{ users atomic.Int32 }

// Enable turns statistics on until the returned function is called.
func (s *Stats) Enable() (disable func()) {
	s.users.Add(1)
	return func() { s.users.Add(-1) }
}

// Register gives a loaded program its id. The references to maps and BTF are
// held by the program from now on. The caller holds the first reference.
func (p *Prog) Register(r *Registry, m *exec.Machine, used []*Map) error {
	p.machine, p.maps = m, used
	if err := r.Add(p, KindProg, p.destroy); err != nil {
		p.destroy()
		return err
	}
	return nil
}

// destroy runs with the last reference: the image and what it refers to go once
// no run can be inside.
func (p *Prog) destroy() {
	p.machine.Defer(func() {
		p.Image.Close()
		for _, m := range p.maps {
			m.Header.Put()
		}
		if p.BTF != nil {
			p.BTF.Put()
		}
		for _, b := range p.Bound {
			b.Put()
		}
	})
}

// Maps are the maps that the program holds, in order.
func (p *Prog) Maps() []*Map {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.maps)
}

// Bind makes the program hold one more map (BPF_PROG_BIND_MAP). The reference
// is taken over unless the program holds the map already.
func (p *Prog) Bind(m *Map) {
	p.mu.Lock()
	if !slices.Contains(p.maps, m) {
		p.maps = append(p.maps, m)
		m = nil
	}
	p.mu.Unlock()
	if m != nil {
		m.Header.Put()
	}
}

// Run executes the program and keeps statistics when they are on.
func (p *Prog) Run(c *exec.CPU, ctx uint64) uint64 {
	if p.Stats == nil || p.Stats.users.Load() == 0 {
		return p.Image.Run(c, ctx)
	}
	start := time.Now()
	ret := p.Image.Run(c, ctx)
	p.runs.Add(1)
	p.ns.Add(uint64(time.Since(start)))
	return ret
}

// CanRun fails for a program that was verified only.
func (p *Prog) CanRun() error {
	if _, verdict := p.Image.(exec.Verdict); verdict {
		return errno.Errorf(errno.ENOTSUPP, "program %s was only verified: this kernel runs no programs", p.Name)
	}
	return nil
}

// Runnable is the program as an image that keeps statistics. It must be used
// only as long as the program is held; closing it does nothing.
func (p *Prog) Runnable() exec.Image { return runnable{p} }

type runnable struct{ p *Prog }

func (r runnable) Run(c *exec.CPU, ctx uint64) uint64 { return r.p.Run(c, ctx) }
func (r runnable) Code() []byte                       { return r.p.Image.Code() }
func (r runnable) Close()                             {}

// RunStats is how often and for how long (in nanoseconds) the program ran while
// statistics were on.
func (p *Prog) RunStats() (runs, ns uint64) { return p.runs.Load(), p.ns.Load() }

// Slot is the program as an element of a prog array. The reference that it
// stands for is given back by Put.
func (p *Prog) Slot() maps.ProgObject { return progSlot{p} }

type progSlot struct{ p *Prog }

func (s progSlot) ID() uint32            { return s.p.Head().ID }
func (s progSlot) Put()                  { s.p.Put() }
func (s progSlot) Image() exec.Image     { return s.p.Image }
func (s progSlot) Owner() maps.ProgOwner { return s.p.Owner }
func (s progSlot) Entry() uint64         { return uint64(s.p.Head().ID) }
