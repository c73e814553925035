package main

import (
	"encoding/hex"
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

// decoded is a record as its reader wants to see it.
type decoded struct {
	text string
	json json.RawMessage // nil where only the bytes are known
}

func decode(coll *skep.Collection, name string, record []byte) decoded {
	t := eventType(coll, name, record)
	if t == nil {
		return decoded{text: hex.EncodeToString(record)}
	}
	n, _ := btf.Sizeof(t)
	return decoded{text: valueText(t, record[:n]), json: valueJSON(t, record[:n])}
}
