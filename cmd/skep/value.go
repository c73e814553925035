package main

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/btfdump"
)

// valueJSON is a value as BTF describes it, or else its bytes, in bpftool's
// JSON.
func valueJSON(t btf.Type, b []byte) json.RawMessage {
	if t != nil {
		if j, err := btfdump.JSON(t, b); err == nil {
			return j
		}
	}
	j, _ := json.Marshal(hexBytes(b))
	return j
}

// valueText is a value on one line of paper: {packets: 3, addr: 10.20.0.1}. Bytes
// are hexadecimal, but addresses are addresses.
func valueText(t btf.Type, b []byte) string {
	var out strings.Builder
	if t != nil && writeValue(&out, t, b, 0) {
		return out.String()
	}
	return hex.EncodeToString(b)
}

// Bounds on what hostile types can make of a value: how deep they are looked
// into, and how much text comes of it.
const (
	maxNesting = 16
	maxText    = 1 << 16
)

// writeValue reports false where data and type do not go together.
func writeValue(out *strings.Builder, t btf.Type, b []byte, depth int) bool {
	if depth > maxNesting || out.Len() > maxText {
		return false
	}
	size, err := btf.Sizeof(t)
	if err != nil || size > len(b) {
		return false
	}
	b = b[:size]
	if a, ok := btf.As[*btf.Array](t); ok {
		return writeArray(out, a, b, depth)
	}
	if s, ok := btf.As[*btf.Struct](t); ok && !hasBitfields(s) {
		return writeStruct(out, s, b, depth)
	}
	if v, ok := t.(*btf.Var); ok {
		return writeValue(out, v.Type, b, depth+1)
	}
	j, err := btfdump.JSON(t, b)
	if err != nil {
		return false
	}
	var text string
	if json.Unmarshal(j, &text) == nil {
		out.WriteString(text)
	} else {
		out.Write(j)
	}
	return true
}

func hasBitfields(s *btf.Struct) bool {
	for _, m := range s.Members {
		if m.BitfieldSize != 0 {
			return true
		}
	}
	return false
}

func writeStruct(out *strings.Builder, s *btf.Struct, b []byte, depth int) bool {
	if isAddress(s.Name) && writeAddress(out, b) {
		return true
	}
	out.WriteByte('{')
	for i, m := range s.Members {
		if i > 0 {
			out.WriteString(", ")
		}
		if m.Name != "" {
			out.WriteString(m.Name + ": ")
		}
		at := int(m.Offset.Bytes())
		if at > len(b) || !writeMember(out, m, b[at:], depth) {
			return false
		}
	}
	out.WriteByte('}')
	return true
}

// writeMember writes the value of a member at the start of b.
func writeMember(out *strings.Builder, m btf.Member, b []byte, depth int) bool {
	if a, ok := btf.As[*btf.Array](m.Type); ok && isAddress(m.Name) && isBytes(a) && int(a.Nelems) <= len(b) && writeAddress(out, b[:a.Nelems]) {
		return true
	}
	return writeValue(out, m.Type, b, depth+1)
}

// isAddress says whether a name is that of a network address. Only bytes and
// structures are taken by their name: numbers may be in either byte order.
func isAddress(name string) bool { return strings.Contains(strings.ToLower(name), "addr") }

func writeAddress(out *strings.Builder, b []byte) bool {
	a, ok := netip.AddrFromSlice(b)
	if ok {
		out.WriteString(a.String())
	}
	return ok
}

func isBytes(a *btf.Array) bool {
	elem, ok := btf.As[*btf.Int](a.Type)
	return ok && elem.Size == 1 && elem.Encoding != btf.Bool
}

// writeArray shows bytes in hexadecimal, text as text, and other elements one
// after the other.
func writeArray(out *strings.Builder, a *btf.Array, b []byte, depth int) bool {
	if j, err := btfdump.JSON(a, b); err == nil && len(j) > 0 && j[0] == '"' {
		out.Write(j)
		return true
	}
	if isBytes(a) {
		out.WriteString(hex.EncodeToString(b))
		return true
	}
	size, err := btf.Sizeof(a.Type)
	if err != nil || size == 0 {
		return false
	}
	out.WriteByte('[')
	for i := range int(a.Nelems) {
		if i > 0 {
			out.WriteByte(' ')
		}
		if !writeValue(out, a.Type, b[i*size:], depth+1) {
			return false
		}
	}
	out.WriteByte(']')
	return true
}
