package kbtf

import (
	"github.com/skep-ebpf/skep/internal/errno"
)

// checkMembers checks the members of a structure, as far as they can be without
// their types (btf_struct_check_meta).
func checkMembers(p *parser, r *raw) error {
	last := uint32(0)
	for i := range r.vlen() {
		m := r.entry(12, i)
		name, typ, off := word(m, 0), word(m, 1), word(m, 2)
		if r.flag() {
			off &= 0xffffff
		}
		var wrong string
		switch {
		case !p.nameIn(name):
			wrong = "Invalid member name_offset:" + utoa(name)
		case name != 0 && !p.namedBy(name, identifier):
			wrong = "Invalid name"
		case typ == 0 || typ > maxTypes:
			wrong = "Invalid type_id"
		case r.kind() == KindUnion && off != 0, off < last:
			wrong = "Invalid member bits_offset"
		case roundUp(off) > r.last:
			wrong = "Member bits_offset exceeds its struct size"
		}
		if wrong != "" {
			return p.badMember(r, i, ID(typ), wrong)
		}
		p.sayMember(r, i, ID(typ), "")
		last = off
	}
	return nil
}

// roundUp is how many bytes a number of bits takes.
func roundUp(bits uint32) uint32 {
	if bits%8 != 0 {
		return bits/8 + 1
	}
	return bits / 8
}

// checkValues checks the values of an enumeration (btf_enum_check_meta,
// btf_enum64_check_meta).
func checkValues(p *parser, r *raw) error {
	size := kinds[r.kind()].entry
	for i := range r.vlen() {
		e := r.entry(size, i)
		name := word(e, 0)
		if !p.nameIn(name) {
			return p.fail(errno.EINVAL, "\tInvalid name_offset:%d", name)
		}
		if !p.namedBy(name, identifier) {
			return p.bad(r, "Invalid name")
		}
		if p.w == nil {
			continue
		}
		if v := enumValue(r, e); r.flag() {
			p.say("\t%s val=%d\n", p.name(name), int64(v))
		} else {
			p.say("\t%s val=%d\n", p.name(name), v)
		}
	}
	return nil
}

func enumValue(r *raw, e []byte) uint64 {
	n := uint64(word(e, 1))
	switch {
	case r.kind() == KindEnum64:
		return n | uint64(word(e, 2))<<32
	case r.flag():
		return uint64(int64(int32(n)))
	}
	return n
}

// checkVars checks the variables of a section (btf_datasec_check_meta).
func checkVars(p *parser, r *raw) error {
	var end, sum uint64
	for i := range r.vlen() {
		v := r.entry(12, i)
		typ, off, size := word(v, 0), word(v, 1), word(v, 2)
		var wrong string
		switch {
		case typ == 0 || typ > maxTypes:
			wrong = "Invalid type_id"
		case uint64(off) < end || off >= r.last:
			wrong = "Invalid offset"
		case size == 0 || size > r.last:
			wrong = "Invalid size"
		// The sum is one of 32 bits.
		case off+size > r.last:
			wrong = "Invalid offset+size"
		}
		if wrong != "" {
			return p.badVar(r, i, wrong)
		}
		p.sayVar(r, i, "")
		end = uint64(off + size)
		sum += uint64(size)
	}
	if uint64(r.last) < sum {
		return p.bad(r, "Invalid btf_info size")
	}
	return nil
}

func fillInt(_ *parser, r *raw, t *Type) {
	enc, off, bits := intParts(r)
	t.Int = Int{Signed: enc&intSigned != 0, Char: enc&intChar != 0, Bool: enc&intBool != 0, Offset: uint8(off), Bits: uint8(bits)}
}

func fillArray(_ *parser, r *raw, t *Type) {
	t.Ref, t.Index, t.Elems = ID(word(r.body, 0)), ID(word(r.body, 1)), word(r.body, 2)
}

func fillFunc(_ *parser, r *raw, t *Type) { t.Linkage = Linkage(r.vlen()) }

func fillVar(_ *parser, r *raw, t *Type) { t.Linkage = Linkage(word(r.body, 0)) }

func fillDeclTag(_ *parser, r *raw, t *Type) { t.Component = int32(word(r.body, 0)) }

func fillMembers(p *parser, r *raw, t *Type) {
	t.Members = make([]Member, r.vlen())
	for i := range t.Members {
		e := r.entry(12, i)
		m := Member{Type: ID(word(e, 1)), Offset: word(e, 2)}
		m.Name, _ = p.btf.strings.at(word(e, 0))
		if r.flag() {
			m.Bits, m.Offset = m.Offset>>24, m.Offset&0xffffff
		}
		t.Members[i] = m
	}
}

func fillValues(p *parser, r *raw, t *Type) {
	size := kinds[t.Kind].entry
	t.Values = make([]Value, r.vlen())
	for i := range t.Values {
		e := r.entry(size, i)
		t.Values[i].Name, _ = p.btf.strings.at(word(e, 0))
		t.Values[i].N = enumValue(r, e)
	}
}

func fillParams(p *parser, r *raw, t *Type) {
	t.Members = make([]Member, r.vlen())
	for i := range t.Members {
		e := r.entry(8, i)
		t.Members[i].Name, _ = p.btf.strings.at(word(e, 0))
		t.Members[i].Type = ID(word(e, 1))
	}
}

func fillVars(_ *parser, r *raw, t *Type) {
	t.Members = make([]Member, r.vlen())
	for i := range t.Members {
		e := r.entry(12, i)
		t.Members[i] = Member{Type: ID(word(e, 0)), Offset: word(e, 1), Bits: word(e, 2)}
	}
}
