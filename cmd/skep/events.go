package main

import (
	"encoding/json"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep"
)

// eventType finds the type of a map's records: what the map declares, or else
// the one structure of the object whose name has "event" in it, if it is as
// large as the record. Perf events are padded: size is then the least that the
// record can have.
func eventType(coll *skep.Collection, name string, record []byte) btf.Type {
	m := coll.Maps[name]
	fits := func(t btf.Type) bool {
		n, err := btf.Sizeof(t)
		return err == nil && (n == len(record) || m.Type == "perf_event_array" && n < len(record) && len(record)-n < 8)
	}
	if t := m.Value; t != nil && fits(t) {
		return t
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
