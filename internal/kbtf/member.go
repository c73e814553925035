package kbtf

import "math"

// member checks that a member of a structure fits, by the kind of its type
// (btf_kind_operations.check_member and check_kflag_member).
func (r *resolver) member(id ID, i int) error {
	t := &r.btf.types[id]
	m := t.Members[i]
	mt := &r.btf.types[m.Type]
	shown := m.Type // the log names the type behind modifiers
	if mt.Kind.IsModifier() {
		if shown, mt, _ = r.btf.Sized(m.Type); mt == nil {
			return r.badMember(r.at(id), i, m.Type, "Invalid member")
		}
	}
	var wrong string
	switch {
	case !t.KindFlag:
		wrong = r.plainMember(t, m, shown, mt)
	case mt.Kind == KindInt:
		wrong = flaggedInt(t, m, mt)
	case mt.Kind == KindEnum || mt.Kind == KindEnum64:
		wrong = flaggedEnum(t, m)
	case m.Bits != 0:
		wrong = "Invalid member bitfield_size"
	default:
		wrong = r.plainMember(t, m, shown, mt)
	}
	if wrong != "" {
		return r.badMember(r.at(id), i, shown, wrong)
	}
	return nil
}

const (
	notAligned = "Member is not byte aligned"
	exceeds    = "Member exceeds struct_size"
)

// plainMember checks a member that is no bit-field by the new encoding.
func (r *resolver) plainMember(t *Type, m Member, id ID, mt *Type) string {
	switch mt.Kind {
	case KindInt:
		if math.MaxUint32-m.Offset < uint32(mt.Int.Offset) {
			return "bits_offset exceeds U32_MAX"
		}
		return bitsFit(t, m.Offset+uint32(mt.Int.Offset), uint32(mt.Int.Bits))
	case KindFloat:
		if m.Offset%(8*min(pointerSize, mt.Size)) != 0 {
			return "Member is not properly aligned"
		}
		if uint64(m.Offset/8)+uint64(mt.Size) > uint64(t.Size) {
			return exceeds
		}
		return ""
	}
	if m.Offset%8 != 0 {
		return notAligned
	}
	// The offset was found to be inside when the structure was read.
	if _, _, size := r.btf.Sized(id); t.Size-m.Offset/8 < size {
		return exceeds
	}
	return ""
}

// bitsFit checks that n bits at an offset lie in the structure, and that no more
// than 128 must be copied to see them.
func bitsFit(t *Type, off, n uint32) string {
	bits := n + off%8
	switch {
	case bits > maxBits:
		return "nr_copy_bits exceeds 128"
	case t.Size < off/8 || t.Size-off/8 < roundUp(bits):
		return exceeds
	}
	return ""
}

// flaggedInt mirrors btf_int_check_kflag_member.
func flaggedInt(t *Type, m Member, mt *Type) string {
	bits := uint32(mt.Int.Bits)
	switch {
	case !mt.Int.regular():
		return "Invalid member base type"
	case m.Bits == 0 && m.Offset%8 != 0:
		return "Invalid member offset"
	case m.Bits > bits:
		return "Invalid member bitfield_size"
	case m.Bits != 0:
		bits = m.Bits
	}
	return bitsFit(t, m.Offset, bits)
}

// flaggedEnum mirrors btf_enum_check_kflag_member: every enumeration counts as
// an int.
func flaggedEnum(t *Type, m Member) string {
	const intBits = 32
	bits := m.Bits
	switch {
	case m.Bits == 0 && m.Offset%8 != 0:
		return notAligned
	case m.Bits == 0:
		bits = intBits
	case m.Bits > intBits:
		return "Invalid member bitfield_size"
	}
	if t.Size < roundUp(m.Offset+bits) {
		return exceeds
	}
	return ""
}
