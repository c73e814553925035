package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

func u64(b []byte) uint64 {
	var w [8]byte
	copy(w[:], b)
	return binary.LittleEndian.Uint64(w[:])
}

func valueText(t btf.Type, b []byte) string {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		return fmt.Sprint(u64(b))
	case *btf.Struct:
		var parts []string
		for _, m := range t.Members {
			n, _ := btf.Sizeof(m.Type)
			parts = append(parts, m.Name+": "+valueText(m.Type, b[m.Offset.Bytes():][:n]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprintf("% x", b)
}

func valueJSON(t btf.Type, b []byte) json.RawMessage {
	j, _ := json.Marshal(valueText(t, b))
	return j
}
