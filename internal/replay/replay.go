package replay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/capture"
	"github.com/skep-ebpf/skep/internal/errno"
)

// Config says what is run over what.
type Config struct {
	Program *skep.Program
	Capture *capture.Reader
	// Maps are the program's; what comes through ring buffers and perf event
	// arrays among them is read while the capture runs.
	Maps map[string]*skep.Map
	// Clock, where not nil, follows the packets' time stamps.
	Clock *Clock

	// Packet is told of each packet that was run, Event of each record that the
	// program sent, Progress now and then how far the reading came; nil for
	// nobody. An error ends the run.
	Packet   func(*Packet) error
	Event    func(Event) error
	Progress func(read, size int64, packets int)
}

// Packet is one packet and what came of it. The slices are valid until the
// callback returns.
type Packet struct {
	Number  int // from 1, in the capture
	Time    time.Time
	In      []byte // with an Ethernet header
	Out     []byte // as the program left it; what a socket filter keeps of In
	Return  uint32
	Verdict Verdict
}

// Event is one record of a ring buffer or perf event array.
type Event struct {
	skep.Event
	Map    string
	Packet int // of which packet it came
}

// Clock gives a kernel the time of the packet that is being run, in time since
// 1970: [Clock.Now] is made for [skep.Config]. It never goes back.
type Clock struct{ now atomic.Int64 }

// Now is the time.
func (c *Clock) Now() time.Duration { return time.Duration(c.now.Load()) }

func (c *Clock) set(t time.Time) {
	if n := t.UnixNano(); n > c.now.Load() {
		c.now.Store(n)
	}
}

// Run runs the program over what is left of the capture. The statistics are
// those of what was run, also when it returns an error: an [*capture.Error]
// where the capture is broken, the context's when that ended the run.
func Run(ctx context.Context, c Config) (*Stats, error) {
	l, err := newLoop(c)
	if err != nil {
		return &Stats{}, err
	}
	defer l.close()
	defer context.AfterFunc(ctx, l.runner.Stop)()
	start := time.Now()
	err = l.run(ctx)
	l.stats.Elapsed = time.Since(start)
	l.stats.sort()
	return l.stats, err
}

type loop struct {
	Config
	naming  naming
	runner  *skep.Runner
	sources []*source
	stats   *Stats
	rows    map[uint32]*Row
	started time.Time // of the stretch under way
}

func newLoop(c Config) (*loop, error) {
	names, ok := namings[c.Program.Type]
	if !ok {
		return nil, fmt.Errorf("program %s: a %s program does not run on packets: skep run takes xdp, sched_cls, sched_act and socket_filter", c.Program.Name, c.Program.Type)
	}
	l := &loop{Config: c, naming: names, stats: &Stats{}, rows: map[uint32]*Row{}}
	var err error
	if l.sources, err = openSources(c.Maps); err != nil {
		return nil, err
	}
	if l.runner, err = c.Program.NewRunner(); err != nil {
		closeSources(l.sources)
		return nil, err
	}
	return l, nil
}

func (l *loop) close() {
	l.runner.Close()
	closeSources(l.sources)
}

func (l *loop) run(ctx context.Context) error {
	in, err := read(ctx, l.Capture)
	if err != nil {
		return err
	}
	for {
		var b *batch
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b = <-in.full:
		}
		if err := l.batch(b); err != nil {
			if ctx.Err() != nil && errors.Is(err, errno.EINTR) {
				return ctx.Err()
			}
			return err
		}
		l.stats.add(b)
		if l.Progress != nil {
			l.Progress(b.read, b.size, l.stats.Packets)
		}
		if b.done {
			return b.err
		}
		in.free <- b
	}
}

// batch runs the packets of a batch. The clock stops while others look at
// packets and events.
func (l *loop) batch(b *batch) error {
	l.begin()
	for i := range b.packets {
		p := &b.packets[i]
		if err := l.one(p, b.data[p.from:p.to]); err != nil {
			l.end()
			return err
		}
	}
	l.end()
	l.runner.Quiesce()
	return l.deliver()
}

func (l *loop) begin() { l.started = time.Now() }

func (l *loop) end() { l.stats.Program += time.Since(l.started) }

func (l *loop) one(p *record, data []byte) error {
	if p.refused != nil {
		l.stats.refuse(p.refused.Error())
		return nil
	}
	if l.Clock != nil {
		l.Clock.set(p.time)
	}
	ret, err := l.runner.Run(data, uint64(p.time.UnixNano()))
	if err != nil {
		return l.failed(p, data, err)
	}
	row := l.row(ret, len(data))
	row.Packets++
	row.Bytes += uint64(len(data))
	l.stats.Packets++
	l.stats.Bytes += uint64(len(data))
	for _, s := range l.sources {
		s.drain(p.number)
	}
	if l.Packet == nil {
		return nil
	}
	l.end()
	defer l.begin()
	if err := l.Packet(&Packet{
		Number: p.number, Time: p.time, In: data, Out: l.out(row, data), Return: ret, Verdict: row.Verdict,
	}); err != nil {
		return err
	}
	return l.deliver()
}

// failed sorts out packets that no program can be run on.
func (l *loop) failed(p *record, data []byte, err error) error {
	switch {
	case !errors.Is(err, errno.EINVAL) && !errors.Is(err, errno.ENOMEM):
		return fmt.Errorf("packet %d: %w", p.number, err)
	case len(data) < ethernetHeader:
		l.stats.refuse("shorter than an Ethernet header")
	default:
		l.stats.refuse(err.Error())
	}
	return nil
}

// out is the packet after the run. A socket filter cannot change it, but a test
// run hands it back without its Ethernet header.
func (l *loop) out(row *Row, in []byte) []byte {
	if l.naming.key == nil {
		return l.runner.Packet()
	}
	if row.Keep >= 0 {
		return in[:min(len(in), ethernetHeader+row.Keep)]
	}
	return in
}

// row is the line of the histogram that a return value counts in.
func (l *loop) row(ret uint32, length int) *Row {
	key := ret
	if l.naming.key != nil {
		key = l.naming.key(ret, length)
	}
	if r := l.rows[key]; r != nil {
		return r
	}
	r := l.stats.newRow(l.naming.verdict(key))
	l.rows[key] = r
	return r
}

// deliver hands over the events that were read.
func (l *loop) deliver() error {
	for _, s := range l.sources {
		l.stats.Events += len(s.records)
		if err := s.deliver(l.Event); err != nil {
			return err
		}
	}
	return nil
}
