package skep_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/capture"
)

// exampleObjects are the objects of the programs that examples/verdicts.json
// names.
var exampleObjects = map[string]string{
	"firewall": "firewall/firewall.o", "classify": "classifier/classifier.o",
	"remark": "classifier/classifier.o", "loadbalancer": "loadbalancer/loadbalancer.o",
}

// Each example gives, for each Ethernet capture, the histogram of verdicts that
// was taken from the live kernel (go test ./examples -update). The captures are
// read by skep's own reader.
func TestVerdicts(t *testing.T) {
	text, err := os.ReadFile("examples/verdicts.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]map[string]int
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for engineName, engine := range skep.Engines() {
		for name, byCapture := range want {
			for _, file := range ethernetCaptures(t) {
				t.Run(engineName+"/"+name+"/"+file, func(t *testing.T) {
					t.Parallel()
					packets := packetsOf(t, file, 1<<20)
					if engine != skep.Interpreter && (testing.Short() || len(packets) > 100) {
						packets = packets[:min(len(packets), 100)]
						runExample(t, engine, name, packets) // no violation
						return
					}
					got := runExample(t, engine, name, packets)
					if !maps.Equal(got, byCapture[file]) {
						t.Errorf("verdicts %v\nthe live kernel's %v", got, byCapture[file])
					}
				})
			}
		}
	}
}

// ethernetCaptures are the captures that programs are run over.
func ethernetCaptures(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/captures/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures (%v)", err)
	}
	for _, file := range files {
		r, err := capture.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		// The link layer of pcapng is in the file, ahead of its packets.
		if _, err := r.Next(); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if r.LinkType().String() == "Ethernet" {
			names = append(names, filepath.Base(file))
		}
		r.Close()
	}
	return names
}

// runExample counts the verdicts of a program, which may be "NAME with RULES".
func runExample(t *testing.T, engine *skep.Engine, name string, packets [][]byte) map[string]int {
	t.Helper()
	name, rules, _ := strings.Cut(name, " with ")
	k := newKernel(t, skep.Config{CPUs: 1, Engine: engine})
	coll, err := k.LoadFile("examples/"+exampleObjects[name], nil)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { coll.Close() })
	if rules != "" {
		fillRules(t, coll, "examples/"+rules)
	}
	verdicts := map[string]int{}
	prog := coll.Programs[name]
	for i, packet := range packets {
		if !inOnePiece(prog.Type, packet) {
			continue
		}
		res, err := prog.Run(skep.RunOptions{Data: packet})
		if err != nil {
			t.Fatalf("packet %d (%d bytes): %v", i, len(packet), err)
		}
		verdicts[fmt.Sprintf("%#x", res.Return)]++
	}
	return verdicts
}

// inOnePiece says whether the packet is one of those that the histograms count:
// see examples/README.md.
func inOnePiece(progType string, packet []byte) bool {
	const page, tailroom = 4096, 320
	if progType == "xdp" {
		return len(packet) >= 14 && len(packet) <= page-256-tailroom
	}
	smallest := 14
	switch {
	case len(packet) < smallest:
		return false
	case binary.BigEndian.Uint16(packet[12:]) == 0x0800:
		smallest += 20
	case binary.BigEndian.Uint16(packet[12:]) == 0x86dd:
		smallest += 40
	}
	return len(packet) >= smallest && len(packet) <= page-64-tailroom
}

// fillRules puts the firewall's rules in its maps.
func fillRules(t *testing.T, coll *skep.Collection, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rules map[string][]struct {
		Key struct {
			PrefixLen uint32
			Addr      []uint16
		}
		Value struct {
			Action, ID uint32
			Packets    uint64
		}
	}
	if err := json.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		for _, r := range rules[name] {
			key := binary.LittleEndian.AppendUint32(nil, r.Key.PrefixLen)
			for _, octet := range r.Key.Addr {
				key = append(key, byte(octet))
			}
			value := binary.LittleEndian.AppendUint32(nil, r.Value.Action)
			value = binary.LittleEndian.AppendUint32(value, r.Value.ID)
			value = binary.LittleEndian.AppendUint64(value, r.Value.Packets)
			if err := coll.Maps[name].Update(key, value, 0); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
	}
}
