package replay

import (
	"context"
	"testing"

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

func TestExamples(t *testing.T) {
	for _, tc := range []struct{ object, program string }{
		{"examples/firewall/firewall.o", "firewall"},
		{"examples/classifier/classifier.o", "classify"},
		{"examples/classifier/classifier.o", "remark"},
		{"examples/loadbalancer/loadbalancer.o", "loadbalancer"},
	} {
		t.Run(tc.program, func(t *testing.T) {
			coll := loaded(t, skep.Config{}, tc.object)
			stats, err := Run(context.Background(), Config{
				Program: coll.Programs[tc.program], Maps: coll.Maps, Capture: opened(t, "crowd.pcap"),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", stats)
			for _, r := range stats.Rows {
				t.Logf("%+v", r)
			}
		})
	}
}
