package main

import (
	"encoding/json"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep"
)

// eventForm is what the type of a record is found by.
type eventForm struct {
	name string // of the map
	size int
}

// eventType is the type of a map's records of a size, nil where it is not known.
func (r *report) eventType(name string, size int) btf.Type {
	form := eventForm{name, size}
	t, ok := r.types[form]
	if !ok {
		t = findEventType(r.coll, form)
		r.types[form] = t
	}
	return t
}

// findEventType takes what the map declares, or else the one structure of the
// object whose name has "event" in it, if it is as large as the record. Perf
// events are padded to a multiple of eight bytes, less four.
func findEventType(coll *skep.Collection, form eventForm) btf.Type {
	m := coll.Maps[form.name]
	fits := func(t btf.Type) bool {
		n, err := btf.Sizeof(t)
		return err == nil && (n == form.size || m.Type == "perf_event_array" && n < form.size && form.size-n < 8)
	}
	if m.Value != nil && fits(m.Value) {
		return m.Value
	}
	if coll.Types == nil {
		return nil
	}
	var found btf.Type
	for t, err := range coll.Types.All() {
		if err != nil {
			return nil
		}
		s, ok := t.(*btf.Struct)
		if !ok || !strings.Contains(strings.ToLower(s.Name), "event") || !fits(s) {
			continue
		}
		if found != nil {
			return nil // which of them?
		}
		found = s
	}
	return found
}

// value is the record as its type describes it, nil without a type.
func (e *event) value() json.RawMessage {
	if e.typ == nil {
		return nil
	}
	return valueJSON(e.typ, e.Data)
}
