package replay

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/skep-ebpf/skep"
)

// eventTypes are the map types that carry events to user space.
var eventTypes = []string{"ringbuf", "perf_event_array"}

// source is a map that carries events, and what was read of it and not
// delivered yet.
type source struct {
	name    string
	events  *skep.Events
	keep    func(skep.Event)
	packet  int // the one that was run last
	records []Event
}

func openSources(all map[string]*skep.Map) ([]*source, error) {
	var out []*source
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		if !slices.Contains(eventTypes, m.Type) {
			continue
		}
		e, err := m.Events()
		if err != nil {
			closeSources(out)
			return nil, fmt.Errorf("reading the events of map %s: %w", name, err)
		}
		s := &source{name: name, events: e}
		s.keep = func(e skep.Event) {
			e.Data = bytes.Clone(e.Data)
			s.records = append(s.records, Event{e, s.name, s.packet})
		}
		out = append(out, s)
	}
	return out, nil
}

func closeSources(list []*source) {
	for _, s := range list {
		s.events.Close()
	}
}

// drain takes what a packet left, so that the program finds room.
func (s *source) drain(packet int) {
	s.packet = packet
	s.events.Read(s.keep)
}

func (s *source) deliver(to func(Event) error) error {
	defer func() { s.records = s.records[:0] }()
	if to == nil {
		return nil
	}
	for _, e := range s.records {
		if err := to(e); err != nil {
			return err
		}
	}
	return nil
}
