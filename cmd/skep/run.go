package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"

	"github.com/gopacket/gopacket/layers"
	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/capture"
	"github.com/skep-ebpf/skep/internal/replay"
)

// runOptions are the flags of `skep run`.
type runOptions struct {
	object, pcap, prog, out, maps, engine, clock string
	seed                                         uint64
	verbose, all                                 bool
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run OBJ --pcap FILE",
		Short: "Run a program over a capture",
		Long: `run loads an object, verifies the program and runs it once for each packet of a
capture (pcap or pcapng, compressed by gzip or not). It prints how often each
verdict came, how fast the program was, its maps, and what it sent to user space
through ring buffers, perf events and printk.

Packets arrive at device 1, receive queue 0, of one CPU. Captures without
Ethernet headers (loopback, raw IP, Linux cooked) get a header with zero
addresses. With --clock capture, the default, programs see the packets' own time
stamps as the time since boot, so that a run can be repeated; the same is true
of random numbers and --seed.

--out writes the packets that go on: XDP_PASS, XDP_TX and XDP_REDIRECT; class
ids and every TC_ACT but SHOT, STOLEN, QUEUED, TRAP and REPEAT; what a socket
filter accepts.

--maps fills maps before the run: a JSON object with the elements of each map,
{"MAP": [{"key": …, "value": …}, …]}, by the names of the BTF types or as bytes
in bpftool's form.

Ctrl-C ends the run with the figures so far and exit status 130.`,
		Example: `  skep run firewall.o --pcap traffic.pcapng --out passed.pcapng
  tcpdump -w - | skep run filter.o --pcap - -j`,
		Args: needOneObject,
		RunE: func(_ *cobra.Command, args []string) error {
			o.object = args[0]
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			// The second Ctrl-C ends the process at once.
			context.AfterFunc(ctx, stop)
			return a.run(ctx, &o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.pcap, "pcap", "", "run over the capture in `FILE`; - is standard input")
	f.StringVar(&o.prog, "prog", "", "run the program `NAME`, where the object has several")
	f.StringVar(&o.out, "out", "", "write the packets that go on, as rewritten, to `FILE` (pcapng)")
	f.StringVar(&o.maps, "maps", "", "fill maps from `FILE` (JSON) first")
	f.StringVar(&o.clock, "clock", "capture", "the time that programs see: of the capture, or of the host")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the random numbers that programs see")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print a line for each packet")
	f.BoolVar(&o.all, "all", false, "print maps, events and printk in full length")
	engineFlag(cmd, &o.engine)
	return cmd
}

func needOneObject(cmd *cobra.Command, args []string) error {
	if err := needObject(cmd, args); err != nil {
		return err
	}
	if len(args) > 1 {
		return fmt.Errorf("one object at a time: %q is too much", args[1])
	}
	return nil
}

func (a *app) run(ctx context.Context, o *runOptions) error {
	r, err := a.newRun(o)
	if err != nil {
		return err
	}
	defer r.close()
	stats, err := r.replay(ctx)
	if fatal := r.result(stats, err); fatal != nil {
		return fatal
	}
	if err := r.finish(); err != nil {
		return err
	}
	if a.json {
		if err := a.print(r.report.json(o)); err != nil {
			return err
		}
	} else {
		r.report.print(a, o)
	}
	if err != nil && (a.json && !errors.Is(err, context.Canceled)) {
		return errReported // it is in the JSON
	}
	return err
}

// run is one `skep run` under way.
type run struct {
	app     *app
	opt     *runOptions
	clock   *replay.Clock // nil: the host's
	kernel  *skep.Kernel
	object  *loaded
	capture *capture.Reader
	out     *capture.Writer
	report  *report
	bar     *progress
}

// newRun opens everything, in an order in which mistakes show early.
func (a *app) newRun(o *runOptions) (r *run, err error) {
	r = &run{app: a, opt: o, report: newReport(a, o)}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	switch o.clock {
	case "capture":
		r.clock = &replay.Clock{}
	case "host":
	default:
		return r, fmt.Errorf("--clock is capture or host, not %q", o.clock)
	}
	if o.pcap == "" {
		return r, fmt.Errorf("which packets? give a capture with --pcap FILE")
	}
	if o.out == "-" {
		return r, fmt.Errorf("--out - would mix packets with the figures: write to a file")
	}
	if r.capture, err = capture.Open(o.pcap); err != nil {
		return r, err
	}
	r.report.link = r.capture.LinkType()
	if err := r.load(); err != nil {
		return r, err
	}
	if o.out != "" {
		if r.out, err = capture.Create(o.out, layers.LinkTypeEthernet); err != nil {
			return r, err
		}
	}
	r.bar = newProgress(a, o)
	return r, nil
}

func (r *run) load() error {
	e, err := engine(r.opt.engine)
	if err != nil {
		return err
	}
	c := skep.Config{CPUs: 1, Engine: e, Trace: r.report.trace, Rand: rand.NewPCG(r.opt.seed, r.opt.seed)}
	if r.clock != nil {
		c.Clock = r.clock.Now
	}
	if r.kernel, err = skep.New(c); err != nil {
		return err
	}
	if r.object, err = load(r.kernel, r.opt.object, r.opt.prog); err != nil {
		return err
	}
	if err := r.report.object(r.object); err != nil {
		return err
	}
	if r.opt.maps == "" {
		return nil
	}
	f, err := os.Open(r.opt.maps)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := replay.Fill(r.object.coll.Maps, f); err != nil {
		return fmt.Errorf("%s: %w", r.opt.maps, err)
	}
	return nil
}

func (r *run) replay(ctx context.Context) (*replay.Stats, error) {
	c := replay.Config{
		Program: r.object.prog, Maps: r.object.coll.Maps, Capture: r.capture, Clock: r.clock,
		Event: r.report.event, Progress: r.bar.update,
	}
	if r.out != nil || r.opt.verbose {
		c.Packet = r.packet
	}
	defer r.bar.clear()
	return replay.Run(ctx, c)
}

// packet writes and shows one packet.
func (r *run) packet(p *replay.Packet) error {
	if r.opt.verbose {
		if err := r.report.packet(r.app, p); err != nil {
			return err
		}
	}
	if r.out == nil || !p.Verdict.Passes {
		return nil
	}
	r.report.written++
	return r.out.Write(p.Out, p.Time, p.Verdict.Name)
}

// result takes what the replay came to. What was good is reported when the
// capture is broken or the user has had enough; other errors have no figures.
func (r *run) result(stats *replay.Stats, err error) error {
	var broken *capture.Error
	interrupted := errors.Is(err, context.Canceled)
	if err != nil && !interrupted && !errors.As(err, &broken) {
		return err
	}
	r.report.stats, r.report.interrupted, r.report.broken = stats, interrupted, broken
	r.report.readMaps(r.object.coll.Maps)
	return nil
}

// finish completes the capture that was written.
func (r *run) finish() error {
	if r.out == nil {
		return nil
	}
	w := r.out
	r.out = nil
	return w.Close()
}

func (r *run) close() {
	if r.out != nil {
		r.out.Discard()
	}
	if r.capture != nil {
		r.capture.Close()
	}
	if r.object != nil {
		r.object.coll.Close()
	}
	if r.kernel != nil {
		r.kernel.Close()
	}
}
