package main

import (
	"encoding/hex"
	"encoding/json"
)

// runJSON is the report as JSON.
type runJSON struct {
	Object   string        `json:"object"`
	Program  string        `json:"program"`
	Type     string        `json:"type"`
	Section  string        `json:"section"`
	Capture  string        `json:"capture"`
	Link     string        `json:"link_type"`
	Packets  int           `json:"packets"`
	Bytes    uint64        `json:"bytes"`
	Cut      int           `json:"cut_short"`
	Verdicts []verdictJSON `json:"verdicts"`
	NotRun   []notRunJSON  `json:"not_run"`
	NS       int64         `json:"program_ns"`
	Elapsed  int64         `json:"elapsed_ns"`
	PerPkt   int64         `json:"ns_per_packet"`
	Rate     float64       `json:"packets_per_second"`
	Written  *int          `json:"written,omitempty"`
	Maps     []mapJSON     `json:"maps"`
	Events   []eventJSON   `json:"events"`
	EventsN  int           `json:"events_total"`
	Printk   []string      `json:"printk"`
	PrintkN  int           `json:"printk_total"`
	Results  []packetJSON  `json:"results,omitempty"`
	Stopped  bool          `json:"interrupted"`
	Error    string        `json:"error,omitempty"`
}

type verdictJSON struct {
	Verdict string `json:"verdict"`
	Value   uint32 `json:"value"`
	Packets int    `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

type notRunJSON struct {
	Reason  string `json:"reason"`
	Packets int    `json:"packets"`
}

type mapJSON struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	MaxEntries int        `json:"max_entries"`
	Entries    []elemJSON `json:"entries"`
	// NotShown counts entries that are there and not in Entries.
	NotShown int `json:"entries_not_shown,omitempty"`
}

type eventJSON struct {
	Map    string          `json:"map"`
	Packet int             `json:"packet"`
	CPU    int             `json:"cpu"`
	Lost   uint64          `json:"lost,omitempty"`
	Data   string          `json:"data"` // hexadecimal
	Value  json.RawMessage `json:"value,omitempty"`
}

func (r *report) json(o *runOptions) *runJSON {
	s := r.stats
	j := &runJSON{
		Object: o.object, Program: r.program.Name, Type: r.program.Type, Section: r.program.Section,
		Capture: o.pcap, Link: r.link.String(),
		Packets: s.Packets, Bytes: s.Bytes, Cut: s.Cut,
		Verdicts: []verdictJSON{}, NotRun: []notRunJSON{}, Maps: []mapJSON{}, Events: []eventJSON{},
		NS: s.Program.Nanoseconds(), Elapsed: s.Elapsed.Nanoseconds(), PerPkt: s.PerPacket().Nanoseconds(), Rate: s.Rate(),
		EventsN: s.Events, Printk: append([]string{}, r.printk.kept...), PrintkN: r.printk.total,
		Results: r.packets, Stopped: r.interrupted,
	}
	if o.out != "" {
		j.Written = &r.written
	}
	if r.broken != nil {
		j.Error = r.broken.Error()
	}
	for _, row := range s.Rows {
		j.Verdicts = append(j.Verdicts, verdictJSON{row.Name, row.Value, row.Packets, row.Bytes})
	}
	for _, n := range s.NotRun {
		j.NotRun = append(j.NotRun, notRunJSON{n.Reason, n.Packets})
	}
	for i := range r.maps {
		d := &r.maps[i]
		j.Maps = append(j.Maps, mapJSON{d.Name, d.Type, d.MaxEntries, d.formatted(), d.left()})
	}
	for _, e := range r.events {
		j.Events = append(j.Events, eventJSON{e.Map, e.Packet, e.CPU, e.Lost, hex.EncodeToString(e.Data), e.value()})
	}
	return j
}

// elemJSON is an element of a map, in the form of the "formatted" part of
// bpftool's JSON.
type elemJSON struct {
	Key    json.RawMessage `json:"key,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
	Values []cpuValueJSON  `json:"values,omitempty"`
}

type cpuValueJSON struct {
	CPU   int             `json:"cpu"`
	Value json.RawMessage `json:"value"`
}
