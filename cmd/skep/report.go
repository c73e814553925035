package main

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf/btf"
	"github.com/gopacket/gopacket/layers"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/capture"
	"github.com/skep-ebpf/skep/internal/replay"
)

// How many events and lines of printk are kept without --all: on paper, and in
// JSON.
const (
	shownText = 10
	shownJSON = 1000
)

// report is what a run tells its user.
type report struct {
	limit  int // of events and lines; negative: none
	inJSON bool
	all    bool

	coll    *skep.Collection
	program *skep.Program
	insns   int
	mapIDs  []uint32

	link        layers.LinkType
	stats       *replay.Stats
	interrupted bool
	broken      *capture.Error
	written     int // packets, to --out

	first   time.Time
	packets []packetJSON
	events  []event
	types   map[eventForm]btf.Type // found before
	printk  lines
	maps    []mapDump
}

// event is a record that is kept, with its type, nil where that is not known.
type event struct {
	replay.Event
	typ btf.Type
}

// lines are the first of many lines.
type lines struct {
	kept  []string
	total int
}

func newReport(a *app, o *runOptions) *report {
	r := &report{types: map[eventForm]btf.Type{}, limit: shownText, inJSON: a.json, all: o.all}
	switch {
	case o.all:
		r.limit = -1
	case a.json:
		r.limit = shownJSON
	}
	return r
}

func (r *report) room(n int) bool { return r.limit < 0 || n < r.limit }

// object takes what was loaded.
func (r *report) object(l *loaded) error {
	r.coll, r.program = l.coll, l.prog
	info, err := l.prog.Info()
	if err != nil {
		return err
	}
	r.insns, r.mapIDs = l.coll.Declared[l.prog.Name].Insns, info.MapIDs
	return nil
}

// trace takes a line of printk.
func (r *report) trace(line string) {
	r.printk.total++
	if r.room(len(r.printk.kept)) {
		r.printk.kept = append(r.printk.kept, line)
	}
}

// event takes a record that the program sent.
func (r *report) event(e replay.Event) error {
	if r.room(len(r.events)) {
		r.events = append(r.events, event{e, r.eventType(e.Map, len(e.Data))})
	}
	return nil
}

// packetJSON is a packet in the output of -v -j.
type packetJSON struct {
	Packet  int       `json:"packet"`
	Time    time.Time `json:"time"`
	Length  int       `json:"length"`
	Out     int       `json:"length_out"`
	Verdict string    `json:"verdict"`
	Value   uint32    `json:"value"`
}

// packet shows one packet: number, seconds since the first, length, verdict.
func (r *report) packet(a *app, p *replay.Packet) error {
	if a.json {
		r.packets = append(r.packets, packetJSON{p.Number, p.Time, len(p.In), len(p.Out), p.Verdict.Name, p.Return})
		return nil
	}
	if r.first.IsZero() {
		r.first = p.Time
	}
	change := ""
	if string(p.In) != string(p.Out) {
		change = "  rewritten"
		if len(p.In) != len(p.Out) {
			change = fmt.Sprintf("  rewritten to %d bytes", len(p.Out))
		}
	}
	_, err := fmt.Fprintf(a.out, "%7d  %12.6f  %5d  %s%s\n", p.Number, p.Time.Sub(r.first).Seconds(), len(p.In), p.Verdict.Name, change)
	return err
}

// width is that of cells on paper.
func (r *report) width() int {
	if r.all {
		return 0
	}
	return shownWidth
}

// readMaps takes the contents of the maps.
func (r *report) readMaps(all map[string]*skep.Map) {
	how := mapReading{limit: r.limit, skipZero: !r.inJSON && !r.all}
	if how.limit == shownText {
		how.limit = shownElems
	}
	for _, name := range usedMaps(all, r.mapIDs) {
		d := readMap(all[name], how)
		d.width = r.width()
		r.maps = append(r.maps, d)
	}
}
