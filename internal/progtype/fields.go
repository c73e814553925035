package progtype

import (
	"slices"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// The fields below are of contexts whose structures on the kernel's side skep
// does not have: they can be verified, not lowered.

// reads is a field that can be read whole only.
func reads(name string, off, size uint32) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: size, Read: true}
}

// parts is a field of which parts may be read.
func parts(name string, off, size uint32) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: size, Read: true, Narrow: true}
}

// words is an array of 32-bit words that can be read whole only.
func words(name string, off, size uint32) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: size, Elem: 4, Read: true}
}

// partWords is an array of 32-bit words of which parts may be read.
func partWords(name string, off, size uint32) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: size, Elem: 4, Read: true, Narrow: true}
}

// points is a field that is a pointer when it is read whole.
func points(name string, off, size uint32, kind desc.FieldKind) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: size, Kind: kind, Read: true}
}

// anyWidth is memory that may be read at every width.
func anyWidth(name string, off, size uint32) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: size, Read: true, AnyWidth: true}
}

// writable lets a field be written, whole.
func writable(f desc.CtxField) desc.CtxField {
	f.Write = true
	return f
}

// when restricts a field by attach type.
func when(f desc.CtxField, attach ...uapi.AttachType) desc.CtxField {
	f.Allow = func(_ desc.CtxAccess, p *desc.ProgInfo) bool {
		return p != nil && slices.Contains(attach, p.ExpectedAttach)
	}
	return f
}

// returns is the Return of a type whose every program has one range.
func returns(lo, hi int32) func(*desc.ProgInfo) *desc.Range {
	r := &desc.Range{Min: lo, Max: hi}
	return func(*desc.ProgInfo) *desc.Range { return r }
}
