package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/capture"
)

const root = "../../"

func loaded(t testing.TB, c skep.Config, object string) *skep.Collection {
	t.Helper()
	c.CPUs = 1
	k, err := skep.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	coll, err := k.LoadFile(root+object, nil)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return coll
}

func opened(t testing.TB, name string) *capture.Reader {
	t.Helper()
	r, err := capture.Open(root + "testdata/captures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

var examples = []struct{ object, program string }{
	{"examples/firewall/firewall.o", "firewall"},
	{"examples/classifier/classifier.o", "classify"},
	{"examples/classifier/classifier.o", "remark"},
	{"examples/loadbalancer/loadbalancer.o", "loadbalancer"},
}

// The histograms are those that the live kernel gave (examples/verdicts.json),
// for captures all of whose packets it takes.
func TestVerdicts(t *testing.T) {
	text, err := os.ReadFile(root + "examples/verdicts.json")
	if err != nil {
		t.Fatal(err)
	}
	var kernel map[string]map[string]map[string]int
	if err := json.Unmarshal(text, &kernel); err != nil {
		t.Fatal(err)
	}
	for _, ex := range examples {
		for _, file := range []string{"web.pcapng", "vlan.pcapng", "tos.pcap.gz", "crowd.pcap", "gopacket-modbus.pcap", "gopacket-dns.pcap"} {
			t.Run(ex.program+"/"+file, func(t *testing.T) {
				t.Parallel()
				coll := loaded(t, skep.Config{}, ex.object)
				stats, err := Run(t.Context(), Config{
					Program: coll.Programs[ex.program], Maps: coll.Maps, Capture: opened(t, file),
				})
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]int{}
				packets := 0
				for _, r := range stats.Rows {
					got[fmt.Sprintf("%#x", r.Value)] = r.Packets
					packets += r.Packets
				}
				if want := kernel[ex.program][file]; !maps.Equal(got, want) {
					t.Errorf("verdicts %v, the kernel's %v", got, want)
				}
				if stats.Packets != packets || stats.Skipped() != 0 || stats.Program <= 0 || stats.Elapsed < stats.Program {
					t.Errorf("%+v", stats)
				}
			})
		}
	}
}

// Packets, events and clock are told one after the other.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	clock := &Clock{}
	coll := loaded(t, skep.Config{Clock: clock.Now}, "examples/firewall/firewall.o")
	var last Packet
	dropped, events := 0, 0
	stats, err := Run(t.Context(), Config{
		Program: coll.Programs["firewall"], Maps: coll.Maps, Capture: opened(t, "crowd.pcap"), Clock: clock,
		Packet: func(p *Packet) error {
			if p.Number != last.Number+1 || !bytes.Equal(p.In, p.Out) || clock.Now() < time.Duration(p.Time.UnixNano()) {
				t.Errorf("packet %d after %d, clock %v", p.Number, last.Number, clock.Now())
			}
			last = *p
			if !p.Verdict.Passes {
				dropped++
			}
			return nil
		},
		Event: func(e Event) error {
			if e.Packet != last.Number || last.Verdict.Passes || e.Map != "events" || len(e.Data) != 48 {
				t.Errorf("event of packet %d, %d bytes, after packet %d (%s)", e.Packet, len(e.Data), last.Number, last.Verdict.Name)
			}
			events++
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if dropped == 0 || events != dropped || stats.Events != events || last.Number != stats.Packets {
		t.Errorf("%d dropped, %d events, %+v", dropped, events, stats)
	}
}

// Without a callback for packets, events still know their packet.
func TestEventPackets(t *testing.T) {
	t.Parallel()
	numbers := func(packet func(*Packet) error) (out []int) {
		coll := loaded(t, skep.Config{}, "examples/firewall/firewall.o")
		_, err := Run(t.Context(), Config{
			Program: coll.Programs["firewall"], Maps: coll.Maps, Capture: opened(t, "odd.pcap"), Packet: packet,
			Event: func(e Event) error { out = append(out, e.Packet); return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	one, many := numbers(func(*Packet) error { return nil }), numbers(nil)
	if len(one) == 0 || fmt.Sprint(one) != fmt.Sprint(many) {
		t.Errorf("%v, in batches %v", one, many)
	}
}

func TestStops(t *testing.T) {
	t.Parallel()
	coll := loaded(t, skep.Config{}, "examples/firewall/firewall.o")
	ctx, cancel := context.WithCancel(t.Context())
	stats, err := Run(ctx, Config{
		Program: coll.Programs["firewall"], Maps: coll.Maps, Capture: opened(t, "crowd.pcap"),
		Packet: func(p *Packet) error {
			if p.Number == 100 {
				cancel()
			}
			return nil
		},
	})
	if !errors.Is(err, context.Canceled) || stats.Packets < 100 || stats.Packets > 100+3*batchPackets {
		t.Errorf("%d packets, %v", stats.Packets, err)
	}

	failure := errors.New("enough")
	stats, err = Run(t.Context(), Config{
		Program: coll.Programs["firewall"], Capture: opened(t, "crowd.pcap"),
		Packet: func(p *Packet) error { return failure },
	})
	if err != failure || stats.Packets != 1 {
		t.Errorf("%d packets, %v", stats.Packets, err)
	}
}

func TestBroken(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(root + "testdata/captures/crowd.pcap")
	if err != nil {
		t.Fatal(err)
	}
	r, err := capture.NewReader("cut", bytes.NewReader(whole[:20000]))
	if err != nil {
		t.Fatal(err)
	}
	coll := loaded(t, skep.Config{}, "examples/firewall/firewall.o")
	stats, err := Run(t.Context(), Config{Program: coll.Programs["firewall"], Capture: r})
	var broken *capture.Error
	if !errors.As(err, &broken) || broken.Packets != stats.Packets || stats.Packets == 0 {
		t.Errorf("%d packets, %v", stats.Packets, err)
	}
}

// A reader that blocks for ever does not keep Run from ending.
func TestBlocked(t *testing.T) {
	t.Parallel()
	head, err := os.ReadFile(root + "testdata/captures/gopacket-dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	blocked, writer := io.Pipe()
	defer writer.Close()
	r, err := capture.NewReader("blocked", io.MultiReader(bytes.NewReader(head), blocked))
	if err != nil {
		t.Fatal(err)
	}
	coll := loaded(t, skep.Config{}, "examples/firewall/firewall.o")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, Config{Program: coll.Programs["firewall"], Capture: r}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestNoPacketProgram(t *testing.T) {
	t.Parallel()
	coll := loaded(t, skep.Config{}, "examples/firewall/firewall.o")
	p := *coll.Programs["firewall"]
	p.Type = "kprobe"
	if _, err := Run(t.Context(), Config{Program: &p, Capture: opened(t, "web.pcapng")}); err == nil {
		t.Error("a kprobe ran on packets")
	}
}

func BenchmarkRun(b *testing.B) {
	for _, ex := range examples {
		b.Run(ex.program, func(b *testing.B) {
			coll := loaded(b, skep.Config{}, ex.object)
			var total, program time.Duration
			packets := 0
			for b.Loop() {
				stats, err := Run(b.Context(), Config{
					Program: coll.Programs[ex.program], Maps: coll.Maps, Capture: opened(b, "crowd.pcap"),
				})
				if err != nil {
					b.Fatal(err)
				}
				packets += stats.Packets
				total += stats.Elapsed
				program += stats.Program
			}
			b.ReportMetric(float64(program.Nanoseconds())/float64(packets), "ns/packet")
			b.ReportMetric(float64(total.Nanoseconds())/float64(packets), "ns/packet-in-all")
		})
	}
}

// A packet's way through the loop allocates nothing.
func TestAllocations(t *testing.T) {
	coll := loaded(t, skep.Config{}, "examples/loadbalancer/loadbalancer.o")
	packets := 0
	allocations := testing.AllocsPerRun(2, func() {
		stats, err := Run(t.Context(), Config{
			Program: coll.Programs["loadbalancer"], Maps: coll.Maps, Capture: opened(t, "crowd.pcap"),
		})
		if err != nil {
			t.Fatal(err)
		}
		packets = stats.Packets
	})
	if perPacket := allocations / float64(packets); perPacket > 0.1 {
		t.Errorf("%.2f allocations a packet", perPacket)
	}
}
