package examples_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/gopacket/gopacket/layers"
)

// The verdicts that the live kernel gives: object, program, capture, then how
// many packets got each return value. `-update` takes them anew.
const verdictsFile = "verdicts.json"

type histogram map[string]int

const (
	xdpDrop = 1
	xdpPass = 2
	xdpTX   = 3
)

// Packets that BPF_PROG_TEST_RUN takes as one piece. XDP: a page less headroom
// and tailroom (bpf_test_init); what is longer goes to fragments, which these
// programs cannot see. Socket buffers: likewise, and a network header must be
// there in whole (bpf_prog_test_run_skb). Others are left out here.
const (
	maxTestRunXDP = 4096 - 256 - 320
	maxTestRunSKB = 4096 - 64 - 320
)

func fitsTestRun(p *ebpf.Program, packet []byte) bool {
	if p.Type() == ebpf.XDP {
		return len(packet) >= 14 && len(packet) <= maxTestRunXDP
	}
	smallest := 14
	switch binary.BigEndian.Uint16(packet[12:]) {
	case 0x0800:
		smallest += 20
	case 0x86dd:
		smallest += 40
	}
	return len(packet) >= smallest && len(packet) <= maxTestRunSKB
}

// A verdict is what one packet came to.
type verdict struct {
	in, out []byte
	ret     uint32
}

// runCapture runs the program over every packet of the capture that a test run
// takes.
func runCapture(t *testing.T, p *ebpf.Program, c capture) []verdict {
	t.Helper()
	var verdicts []verdict
	for i, packet := range c.packets {
		if !fitsTestRun(p, packet) {
			continue
		}
		options := &ebpf.RunOptions{Data: packet, DataOut: make([]byte, maxTestRunSKB+64)}
		ret, err := p.Run(options)
		if err != nil {
			t.Fatalf("packet %d (%d bytes): %v", i, len(packet), err)
		}
		verdicts = append(verdicts, verdict{packet, options.DataOut, ret})
	}
	return verdicts
}

func count(verdicts []verdict) histogram {
	h := histogram{}
	for _, v := range verdicts {
		h[fmt.Sprintf("%#x", v.ret)]++
	}
	return h
}

func loadExample(t *testing.T, object, rules string) *ebpf.Collection {
	t.Helper()
	collection, err := load(t, object, func(string) bool { return true })
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if rules != "" {
		loadRules(t, collection, rules)
	}
	return collection
}

// loadRules puts the firewall's rules in its maps.
func loadRules(t *testing.T, collection *ebpf.Collection, file string) {
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
	for name, entries := range rules {
		for _, e := range entries {
			key := binary.NativeEndian.AppendUint32(nil, e.Key.PrefixLen)
			for _, octet := range e.Key.Addr {
				key = append(key, byte(octet))
			}
			if err := collection.Maps[name].Put(key, e.Value); err != nil {
				t.Fatalf("%s: %v: %v", file, e, err)
			}
		}
	}
}

// TestVerdicts runs each example over each Ethernet capture.
func TestVerdicts(t *testing.T) {
	needOracle(t)
	verdicts := map[string]map[string]histogram{}
	for _, run := range exampleRuns {
		name := run.program
		if run.rules != "" {
			name += " with " + run.rules
		}
		verdicts[name] = map[string]histogram{}
		all := histogram{}
		for _, file := range captureNames(t) {
			c := readCapture(t, file)
			if c.linkType != layers.LinkTypeEthernet {
				continue
			}
			t.Run(name+"/"+file, func(t *testing.T) {
				collection := loadExample(t, run.object, run.rules)
				results := runCapture(t, collection.Programs[run.program], c)
				verdicts[name][file] = count(results)
				for value, n := range verdicts[name][file] {
					all[value] += n
				}
				switch run.program {
				case "firewall":
					checkFirewall(t, collection, results)
				case "classify":
					checkClasses(t, collection, results)
				case "loadbalancer":
					checkBalancer(t, collection, results)
				}
			})
		}
		if len(all) < 2 {
			t.Errorf("%s: nothing but %v for all captures", name, all)
		}
	}
	checkGolden(t, verdicts)
}

func checkGolden(t *testing.T, verdicts map[string]map[string]histogram) {
	t.Helper()
	if t.Failed() {
		return
	}
	got, err := json.MarshalIndent(verdicts, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(verdictsFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(verdictsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the verdicts are not those of %s, but\n%s", verdictsFile, got)
	}
}

// checkFirewall holds the counters and the events against the verdicts.
func checkFirewall(t *testing.T, collection *ebpf.Collection, results []verdict) {
	t.Helper()
	type counter struct{ Packets, Bytes uint64 }
	const firstDrop = 3 // enum reason
	var total, drops, bytes uint64
	var perCPU []counter
	entries := collection.Maps["counters"].Iterate()
	for reason := uint32(0); entries.Next(&reason, &perCPU); {
		for _, c := range perCPU {
			total += c.Packets
			bytes += c.Bytes
			if reason >= firstDrop {
				drops += c.Packets
			}
		}
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	var wantDrops, wantBytes uint64
	for _, v := range results {
		wantBytes += uint64(len(v.in))
		if v.ret == xdpDrop {
			wantDrops++
		} else if v.ret != xdpPass {
			t.Errorf("verdict %d", v.ret)
		}
		if !slices.Equal(v.in, v.out) {
			t.Error("the firewall changed a packet")
		}
	}
	if total != uint64(len(results)) || drops != wantDrops || bytes != wantBytes {
		t.Errorf("the counters say %d packets, %d dropped, %d bytes; it was %d, %d, %d",
			total, drops, bytes, len(results), wantDrops, wantBytes)
	}
	var lost uint64
	if err := collection.Variables["events_lost"].Get(&lost); err != nil {
		t.Fatal(err)
	}
	if events := countEvents(t, collection.Maps["events"]); events+lost != wantDrops {
		t.Errorf("%d events and %d lost for %d drops", events, lost, wantDrops)
	}
}

func countEvents(t *testing.T, m *ebpf.Map) (n uint64) {
	t.Helper()
	reader, err := ringbuf.NewReader(m)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		record, err := reader.Read()
		if errors.Is(err, ringbuf.ErrFlushed) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		const sizeofEvent = 48
		if len(record.RawSample) != sizeofEvent {
			t.Fatalf("an event of %d bytes", len(record.RawSample))
		}
		n++
	}
}

// checkClasses holds the map of classes against the class ids returned.
func checkClasses(t *testing.T, collection *ebpf.Collection, results []verdict) {
	t.Helper()
	type counter struct{ Packets, Bytes uint64 }
	want, got := map[uint32]counter{}, map[uint32]counter{}
	for _, v := range results {
		c := want[v.ret]
		c.Packets++
		c.Bytes += uint64(len(v.in))
		want[v.ret] = c
		if v.ret != 0 && v.ret>>16 != 0x800 {
			t.Errorf("class id %#x", v.ret)
		}
	}
	var class uint32
	var c counter
	entries := collection.Maps["classes"].Iterate()
	for entries.Next(&class, &c) {
		got[class] = c
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("classes %v, want %v", got, want)
	}
}

// checkBalancer checks that a packet sent on is the one that came in, with
// another destination and checksums that are as right as they were.
func checkBalancer(t *testing.T, collection *ebpf.Collection, results []verdict) {
	t.Helper()
	flows := map[string]string{}
	balanced := 0
	for i, v := range results {
		if v.ret != xdpTX {
			if v.ret != xdpPass || !slices.Equal(v.in, v.out) {
				t.Errorf("packet %d: verdict %d, or changed", i, v.ret)
			}
			continue
		}
		balanced++
		before, after := dissect(t, v.in), dissect(t, v.out)
		if len(v.in) != len(v.out) || !bytes.Equal(v.in[:6], v.out[6:12]) {
			t.Errorf("packet %d: length or source MAC address", i)
		}
		if after.ipOK != before.ipOK || after.transportOK != before.transportOK {
			t.Errorf("packet %d: checksums were right: %t, %t; now %t, %t", i,
				before.ipOK, before.transportOK, after.ipOK, after.transportOK)
		}
		if !bytes.Equal(before.source, after.source) || bytes.Equal(before.destination, after.destination) {
			t.Errorf("packet %d: from %x to %x, was from %x to %x", i,
				after.source, after.destination, before.source, before.destination)
		}
		key := fmt.Sprintf("%x %x %x %d", before.source, before.destination, before.ports, before.protocol)
		if first, ok := flows[key]; ok && first != string(after.destination) {
			t.Errorf("packet %d: its flow went to another backend before", i)
		}
		flows[key] = string(after.destination)
	}
	var counted uint64
	if err := collection.Variables["balanced"].Get(&counted); err != nil {
		t.Fatal(err)
	}
	if counted != uint64(balanced) {
		t.Errorf("balanced says %d of %d", counted, balanced)
	}
}

// What checkBalancer needs of a packet.
type dissected struct {
	source, destination, ports []byte
	protocol                   int
	ipOK, transportOK          bool
}

func dissect(t *testing.T, packet []byte) (d dissected) {
	t.Helper()
	at := 12
	for binary.BigEndian.Uint16(packet[at:]) == 0x8100 || binary.BigEndian.Uint16(packet[at:]) == 0x88a8 {
		at += 4
	}
	ip := packet[at+2:]
	var segment []byte
	if ip[0]>>4 == 4 {
		header := int(ip[0]&15) * 4
		d.source, d.destination, d.protocol = ip[12:16], ip[16:20], int(ip[9])
		d.ipOK = sum(ip[:header], 0) == 0xffff
		segment = clip(ip, header, int(binary.BigEndian.Uint16(ip[2:])))
	} else {
		d.source, d.destination, d.ipOK = ip[8:24], ip[24:40], true
		segment = clip(ip, 40, 40+int(binary.BigEndian.Uint16(ip[4:])))
		for d.protocol = int(ip[6]); d.protocol == 0 || d.protocol == 60; {
			d.protocol, segment = int(segment[0]), segment[8+8*int(segment[1]):]
		}
	}
	d.ports = segment[:4]
	pseudo := sum(d.source, sum(d.destination, uint32(d.protocol+len(segment))))
	d.transportOK = sum(segment, pseudo) == 0xffff
	if d.protocol == 17 && binary.BigEndian.Uint16(segment[6:]) == 0 {
		d.transportOK = true
	}
	return d
}

// clip is packet[from:to], or all from there on if `to` is no length of a packet.
func clip(packet []byte, from, to int) []byte {
	if to < from || to > len(packet) {
		to = len(packet)
	}
	return packet[from:to]
}

// sum is the ones' complement sum of RFC 1071, folded.
func sum(data []byte, total uint32) uint32 {
	for ; len(data) >= 2; data = data[2:] {
		total += uint32(binary.BigEndian.Uint16(data))
	}
	if len(data) == 1 {
		total += uint32(data[0]) << 8
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return total
}

// TestRemark checks that the action changes the TOS as its table says, keeps
// the header checksum true and touches nothing else.
func TestRemark(t *testing.T) {
	needOracle(t)
	const tosInIPv4 = 14 + 1
	kept := map[byte]byte{46: 46, 48: 48, 56: 48}
	collection := loadExample(t, "classifier/classifier.o", "")
	remarked := 0
	for i, v := range runCapture(t, collection.Programs["remark"], readCapture(t, "tos.pcap.gz")) {
		if binary.BigEndian.Uint16(v.in[12:]) != 0x0800 {
			continue
		}
		old, tos := v.in[tosInIPv4], v.out[tosInIPv4]
		if want := kept[old>>2]<<2 | old&3; tos != want {
			t.Errorf("packet %d: TOS %#x became %#x, want %#x", i, old, tos, want)
		}
		if old != tos {
			remarked++
		}
		if sum(v.out[14:34], 0) != 0xffff {
			t.Errorf("packet %d: header checksum", i)
		}
		if !bytes.Equal(v.in[:14], v.out[:14]) || !bytes.Equal(v.in[26:], v.out[26:]) {
			t.Errorf("packet %d: more than the TOS and the checksum changed", i)
		}
	}
	if remarked == 0 {
		t.Error("no packet was remarked")
	}
}

// TestRules checks that rules.json's rules are matched, allow and deny.
func TestRules(t *testing.T) {
	needOracle(t)
	collection := loadExample(t, "firewall/firewall.o", "firewall/rules.json")
	for _, file := range []string{"crowd.pcap", "gopacket-dns.pcap"} {
		runCapture(t, collection.Programs["firewall"], readCapture(t, file))
	}
	type rule struct {
		Action, ID uint32
		Packets    uint64
	}
	for _, name := range []string{"rules4", "rules6"} {
		var key []byte
		var r rule
		entries := collection.Maps[name].Iterate()
		for entries.Next(&key, &r) {
			if r.Packets == 0 {
				t.Error("no packet for rule " + strconv.Itoa(int(r.ID)))
			}
		}
		if err := entries.Err(); err != nil {
			t.Fatal(err)
		}
	}
}
