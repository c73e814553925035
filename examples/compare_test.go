package examples_test

import (
	"bytes"
	"maps"
	"os"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/replay"
)

// exampleRuns are the programs of the examples, and what their maps are filled
// with.
var exampleRuns = []struct {
	object, program string
	rules           string
}{
	{object: "firewall/firewall.o", program: "firewall"},
	{object: "firewall/firewall.o", program: "firewall", rules: "firewall/rules.json"},
	{object: "classifier/classifier.o", program: "classify"},
	{object: "classifier/classifier.o", program: "remark"},
	{object: "loadbalancer/loadbalancer.o", program: "loadbalancer"},
}

// TestEngines runs each example over captures in the interpreter and in the
// checking interpreter, which stops at any access that the verifier should have
// excluded: verdicts, packets and maps are the same.
func TestEngines(t *testing.T) {
	captures := []string{"vlan.pcapng", "fragments.pcap", "odd.pcap", "gopacket-modbus.pcap",
		"gopacket-dns.pcap", "gopacket-tls.pcapng"}
	for _, run := range exampleRuns {
		name := run.program
		if run.rules != "" {
			name += " with rules"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fast := loadOurs(t, skep.Interpreter, run.object, run.rules)
			checked := loadOurs(t, skep.CheckingInterpreter, run.object, run.rules)
			for _, file := range captures {
				compareEngines(t, fast.Programs[run.program], checked.Programs[run.program], readCapture(t, file))
			}
			for name, m := range fast.Maps {
				if want, got := ourContents(m), ourContents(checked.Maps[name]); !maps.Equal(got, want) {
					t.Errorf("map %s: %x, in the interpreter %x", name, got, want)
				}
			}
		})
	}
}

func compareEngines(t *testing.T, fast, checked *skep.Program, c capture) {
	t.Helper()
	if c.linkType != layers.LinkTypeEthernet {
		t.Fatalf("%s has packets of link type %v", c.name, c.linkType)
	}
	for i, packet := range c.packets {
		want, wantErr := fast.Run(skep.RunOptions{Data: packet})
		got, gotErr := checked.Run(skep.RunOptions{Data: packet})
		if wantErr != nil || gotErr != nil {
			if wantErr == nil || gotErr == nil || wantErr.Error() != gotErr.Error() {
				t.Fatalf("%s, packet %d: %v, in the interpreter %v", c.name, i, gotErr, wantErr)
			}
			continue
		}
		if got.Return != want.Return || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("%s, packet %d: returned %#x, in the interpreter %#x; packet\n%x, in the interpreter\n%x",
				c.name, i, got.Return, want.Return, got.Data, want.Data)
		}
	}
}

// loadOurs loads an example into a skep kernel with one CPU.
func loadOurs(t *testing.T, engine *skep.Engine, object, rules string) *skep.Collection {
	t.Helper()
	k, err := skep.New(skep.Config{CPUs: 1, Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	collection, err := k.LoadFile(object, nil)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if rules == "" {
		return collection
	}
	f, err := os.Open(rules)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := replay.Fill(collection.Maps, f); err != nil {
		t.Fatal(err)
	}
	return collection
}

// contents are the elements of a map: key to value. A per-CPU value is that of
// all CPUs that have one, of which there is one.
type contents map[string]string

func ourContents(m *skep.Map) contents {
	out := contents{}
	for key, value := range m.All() {
		if m.PerCPU() {
			value = m.CPUValues(value)[0]
		}
		out[string(key)] = string(value)
	}
	return out
}
