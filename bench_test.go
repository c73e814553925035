package skep_test

import (
	"sort"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/capture"
	"github.com/skep-ebpf/skep/internal/oracle"
)

// workloads are the examples with a capture that keeps them busy.
var workloads = []struct{ object, program, capture string }{
	{"firewall", "firewall", "crowd.pcap"},
	{"classifier", "classify", "crowd.pcap"},
	{"loadbalancer", "loadbalancer", "crowd.pcap"},
}

func packetsOf(b testing.TB, name string, limit int) [][]byte {
	b.Helper()
	r, err := capture.Open("testdata/captures/" + name)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var out [][]byte
	for len(out) < limit {
		p, err := r.Next()
		if err != nil {
			break
		}
		out = append(out, append([]byte(nil), p.Data...))
	}
	return out
}

func median(d []time.Duration) float64 {
	sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
	return float64(d[len(d)/2])
}

// BenchmarkExamples measures a run of each example in skep and, on the same
// packets in the same process, in the live kernel's JIT (BPF_PROG_TEST_RUN with
// repetition). Each figure is the median over the packets.
func BenchmarkExamples(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.object, func(b *testing.B) {
			packets := packetsOf(b, w.capture, 200)
			object := "examples/" + w.object + "/" + w.object + ".o"
			ours := measureSkep(b, object, w.program, packets)
			b.ReportMetric(ours, "ns/run")
			b.ReportMetric(0, "ns/op")
			if live, ok := measureLive(b, object, w.program, packets); ok {
				b.ReportMetric(live, "kernel-ns/run")
				b.ReportMetric(ours/live, "x-kernel")
			}
		})
	}
}

const repeats = 2000

func measureSkep(b *testing.B, object, program string, packets [][]byte) float64 {
	k, err := skep.New(skep.Config{CPUs: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	coll, err := k.LoadFile(object, &skep.LoadOptions{Programs: []string{program}})
	if err != nil {
		b.Fatal(err)
	}
	defer coll.Close()
	var each []time.Duration
	b.ResetTimer()
	for b.Loop() {
		for _, p := range packets {
			res, err := coll.Programs[program].Run(skep.RunOptions{Data: p, Repeat: repeats})
			if err != nil {
				b.Fatal(err)
			}
			each = append(each, res.Duration)
		}
	}
	b.StopTimer()
	return median(each)
}

func measureLive(b *testing.B, object, program string, packets [][]byte) (float64, bool) {
	if ok, reason := oracle.Available(); !ok {
		b.Logf("oracle: not run: %s", reason)
		return 0, false
	}
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		b.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		b.Fatal(err)
	}
	defer coll.Close()
	var each []time.Duration
	for _, p := range packets {
		in := append([]byte(nil), p...)
		_, d, err := coll.Programs[program].Benchmark(in, repeats, nil)
		if err != nil {
			b.Fatal(err)
		}
		each = append(each, d)
	}
	return median(each), true
}

// BenchmarkVerify measures verification of the examples beside the live
// kernel's, which counts the same instructions.
func BenchmarkVerify(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.object, func(b *testing.B) {
			object := "examples/" + w.object + "/" + w.object + ".o"
			insns := 0
			start := time.Now()
			n := 0
			for b.Loop() {
				k, err := skep.New(skep.Config{CPUs: 1})
				if err != nil {
					b.Fatal(err)
				}
				coll, err := k.LoadFile(object, &skep.LoadOptions{Programs: []string{w.program}})
				if err != nil {
					b.Fatal(err)
				}
				info, err := coll.Programs[w.program].Info()
				if err != nil {
					b.Fatal(err)
				}
				insns, n = info.VerifiedInsns, n+1
				coll.Close()
				k.Close()
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(n)/float64(insns), "ns/verified-insn")
			b.ReportMetric(float64(insns), "insns")
		})
	}
}
