package btfdump

import (
	"errors"
	"math"

	"github.com/skep-ebpf/skep/internal/kbtf"
)

// layout knows how compilers lay types out.
type layout struct {
	types  []kbtf.Type
	aligns []uint32 // of structures and unions, once they are known
}

func newLayout(types []kbtf.Type) *layout {
	return &layout{types: types, aligns: make([]uint32, len(types))}
}

const pointerSize = 8

// maxChain bounds how long types refer to each other before a size is found.
const maxChain = 32

// align is the alignment of a type in bytes, 0 where it has none.
func (l *layout) align(id kbtf.ID) uint32 { return l.alignAt(id, 0) }

func (l *layout) alignAt(id kbtf.ID, depth int) uint32 {
	if depth > maxNesting {
		return 0
	}
	t := &l.types[id]
	switch t.Kind {
	case kbtf.KindInt, kbtf.KindEnum, kbtf.KindEnum64, kbtf.KindFloat:
		return min(pointerSize, t.Size)
	case kbtf.KindPtr:
		return pointerSize
	case kbtf.KindTypedef, kbtf.KindVolatile, kbtf.KindConst, kbtf.KindRestrict, kbtf.KindTypeTag, kbtf.KindArray:
		return l.alignAt(t.Ref, depth+1)
	case kbtf.KindStruct, kbtf.KindUnion:
		if l.aligns[id] == 0 {
			l.aligns[id] = 1 // for one that contains itself
			l.aligns[id] = l.compositeAlign(t, depth)
		}
		return l.aligns[id]
	}
	return 0
}

// compositeAlign is 1 if a member is not aligned, or the size is not: then the
// structure must have been packed.
func (l *layout) compositeAlign(t *kbtf.Type, depth int) uint32 {
	most := uint32(1)
	for _, m := range t.Members {
		a := l.alignAt(m.Type, depth+1)
		if a == 0 {
			return 0
		}
		most = max(most, a)
		if m.Bits == 0 && m.Offset%(8*a) != 0 {
			return 1
		}
	}
	if t.Size%most != 0 {
		return 1
	}
	return most
}

// packed says whether a structure was made with the attribute: it is laid out
// as a compiler would not do of itself.
func (l *layout) packed(t *kbtf.Type) bool {
	most := uint32(1)
	for _, m := range t.Members {
		a := l.align(m.Type)
		if a != 0 && m.Bits == 0 && m.Offset%(8*a) != 0 {
			return true
		}
		most = max(most, a)
	}
	return t.Size%most != 0
}

// size is the size of a type in bytes, 0 where it has none.
func (l *layout) size(id kbtf.ID) uint64 {
	count := uint64(1)
	for range maxChain {
		t := &l.types[id]
		size := uint64(t.Size)
		switch t.Kind {
		case kbtf.KindInt, kbtf.KindStruct, kbtf.KindUnion, kbtf.KindEnum, kbtf.KindEnum64, kbtf.KindFloat, kbtf.KindDatasec:
		case kbtf.KindPtr:
			size = pointerSize
		case kbtf.KindArray:
			if count *= uint64(t.Elems); count > math.MaxUint32 {
				return 0
			}
			id = t.Ref
			continue
		case kbtf.KindTypedef, kbtf.KindVolatile, kbtf.KindConst, kbtf.KindRestrict, kbtf.KindTypeTag, kbtf.KindVar:
			id = t.Ref
			continue
		default:
			return 0
		}
		if size *= count; size > math.MaxUint32 {
			return 0
		}
		return size
	}
	return 0
}

// fail ends the writing with an error.
func (c *cWriter) fail(text string) {
	if c.err == nil {
		c.err = errors.New(text)
	}
}
