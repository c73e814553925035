package kbtf

import (
	"encoding/binary"
	"fmt"

	"github.com/skep-ebpf/skep/internal/errno"
)

// raw is a type as it lies in the type section: three words, then what its kind
// adds.
type raw struct {
	id                  ID
	nameOff, info, last uint32
	body                []byte
}

const typeWords = 3

func (r *raw) kind() Kind { return Kind(r.info >> 24 & 0x1f) }
func (r *raw) vlen() int  { return int(r.info & maxVlen) }
func (r *raw) flag() bool { return r.info>>31 != 0 }

// word is the i-th word of b.
func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

// entry is the i-th of the entries of size bytes.
func (r *raw) entry(size, i int) []byte { return r.body[size*i : size*(i+1)] }

// complaint is what is wrong with a type.
type complaint struct {
	text  string
	errno errno.Errno // EINVAL if 0
	brief bool        // logged without the type's details
}

// rule is one thing that must hold of a type; nil when it does.
type rule func(p *parser, r *raw) *complaint

// kindInfo is what the format says of a kind (struct btf_kind_operations).
type kindInfo struct {
	label string
	fixed int // bytes after the three words
	entry int // bytes of each of vlen entries
	// rules are looked at in this order: the first that is broken is logged.
	rules []rule
	// details are the part of the log line that is the kind's own.
	details func(p *parser, r *raw)
	// entries checks and logs the entries, after the type itself is logged.
	entries func(p *parser, r *raw) error
	// fill completes the type.
	fill func(p *parser, r *raw, t *Type)
}

var kinds [numKinds]kindInfo

func init() {
	modifier := []rule{noVlen, noFlag, anyRef, anonymous}
	enum := []rule{enumSize, maybeNamed}
	kinds = [numKinds]kindInfo{
		KindInt:       {label: "INT", fixed: 4, rules: []rule{noVlen, noFlag, intWord, intBits, intEncoding}, details: sayInt, fill: fillInt},
		KindPtr:       {label: "PTR", rules: modifier, details: sayRef},
		KindArray:     {label: "ARRAY", fixed: 12, rules: []rule{anonymous, noVlen, noFlag, noSize, arrayTypes}, details: sayArray, fill: fillArray},
		KindStruct:    {label: "STRUCT", entry: 12, rules: []rule{maybeNamed}, details: saySize, entries: checkMembers, fill: fillMembers},
		KindUnion:     {label: "UNION", entry: 12, rules: []rule{maybeNamed}, details: saySize, entries: checkMembers, fill: fillMembers},
		KindEnum:      {label: "ENUM", entry: 8, rules: enum, details: saySize, entries: checkValues, fill: fillValues},
		KindFwd:       {label: "FWD", rules: []rule{noVlen, noType, named}, details: sayForward},
		KindTypedef:   {label: "TYPEDEF", rules: []rule{noVlen, noFlag, anyRef, named}, details: sayRef},
		KindVolatile:  {label: "VOLATILE", rules: modifier, details: sayRef},
		KindConst:     {label: "CONST", rules: modifier, details: sayRef},
		KindRestrict:  {label: "RESTRICT", rules: modifier, details: sayRef},
		KindFunc:      {label: "FUNC", rules: []rule{named, funcLinkage, noFlag}, details: sayRef, fill: fillFunc},
		KindFuncProto: {label: "FUNC_PROTO", entry: 8, rules: []rule{anonymous, noFlag}, details: sayProto, fill: fillParams},
		KindVar:       {label: "VAR", fixed: 4, rules: []rule{noVlen, noFlag, named, someRef, varLinkage}, details: sayVariable, fill: fillVar},
		KindDatasec:   {label: "DATASEC", entry: 12, rules: []rule{someSize, noFlag, sectionNamed}, details: saySize, entries: checkVars, fill: fillVars},
		KindFloat:     {label: "FLOAT", rules: []rule{noVlen, noFlag, floatSize}, details: sayFloat},
		KindDeclTag:   {label: "DECL_TAG", fixed: 4, rules: []rule{tagValue, noVlen, tagComponent}, details: sayDeclTag, fill: fillDeclTag},
		KindTypeTag:   {label: "TYPE_TAG", rules: []rule{noVlen, anyRef, tagName}, details: sayRef},
		KindEnum64:    {label: "ENUM64", entry: 12, rules: enum, details: saySize, entries: checkValues, fill: fillValues},
	}
}

// one checks the type at the start of sec (btf_check_meta).
func (p *parser) one(id ID, sec []byte) (*raw, error) {
	if len(sec) < 4*typeWords {
		return nil, p.fail(errno.EINVAL, "[%d] meta_left:%d meta_needed:%d", id, len(sec), 4*typeWords)
	}
	r := &raw{id: id, nameOff: word(sec, 0), info: word(sec, 1), last: word(sec, 2)}
	k := r.kind()
	switch {
	case r.info&^0x9f00ffff != 0:
		return nil, p.fail(errno.EINVAL, "[%d] Invalid btf_info:%x", id, r.info)
	case k == KindVoid || k >= numKinds:
		return nil, p.fail(errno.EINVAL, "[%d] Invalid kind:%d", id, uint8(k))
	case !p.nameIn(r.nameOff):
		return nil, p.fail(errno.EINVAL, "[%d] Invalid name_offset:%d", id, r.nameOff)
	}
	sec = sec[4*typeWords:]
	need := kinds[k].fixed + kinds[k].entry*r.vlen()
	if len(sec) < need {
		return nil, p.wrong(r, &complaint{text: fmt.Sprintf("meta_left:%d meta_needed:%d", len(sec), need), brief: true})
	}
	r.body = sec[:need]
	if p.loose {
		return r, nil
	}
	for _, rule := range kinds[k].rules {
		if c := rule(p, r); c != nil {
			return nil, p.wrong(r, c)
		}
	}
	p.sayType(r, false, "")
	if check := kinds[k].entries; check != nil {
		if err := check(p, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// wrong logs a complaint and makes the error of it.
func (p *parser) wrong(r *raw, c *complaint) error {
	p.sayType(r, c.brief, c.text)
	e := c.errno
	if e == 0 {
		e = errno.EINVAL
	}
	return errno.Errorf(e, "bad BTF: [%d] %s %s: %s", r.id, r.kind(), p.name(r.nameOff), c.text)
}

// at is the type with an id as it was read.
func (p *parser) at(id ID) *raw {
	sec := p.body[p.begin[id]:]
	r := &raw{id: id, nameOff: word(sec, 0), info: word(sec, 1), last: word(sec, 2)}
	k := &kinds[r.kind()]
	r.body = sec[4*typeWords:][:k.fixed+k.entry*r.vlen()]
	return r
}

// nameIn says whether an offset lies in the string section
// (btf_name_offset_valid).
func (p *parser) nameIn(off uint32) bool {
	return off <= maxNameOff && uint64(off) < uint64(len(p.btf.strings.text))
}

// namedBy says whether the name at an offset is there and of a form.
func (p *parser) namedBy(off uint32, form func(string) bool) bool {
	s, ok := p.btf.strings.at(off)
	return off != 0 && ok && form(s)
}

// need makes the complaint unless the condition holds.
func need(ok bool, text string) *complaint {
	if ok {
		return nil
	}
	return &complaint{text: text}
}

func noVlen(_ *parser, r *raw) *complaint { return need(r.vlen() == 0, "vlen != 0") }
func noFlag(_ *parser, r *raw) *complaint { return need(!r.flag(), "Invalid btf_info kind_flag") }
func noType(_ *parser, r *raw) *complaint { return need(r.last == 0, "type != 0") }
func noSize(_ *parser, r *raw) *complaint { return need(r.last == 0, "size != 0") }

func someSize(_ *parser, r *raw) *complaint { return need(r.last != 0, "size == 0") }
func anyRef(_ *parser, r *raw) *complaint   { return need(r.last <= maxTypes, "Invalid type_id") }
func someRef(_ *parser, r *raw) *complaint {
	return need(r.last != 0 && r.last <= maxTypes, "Invalid type_id")
}

func anonymous(_ *parser, r *raw) *complaint { return need(r.nameOff == 0, "Invalid name") }
func named(p *parser, r *raw) *complaint {
	return need(p.namedBy(r.nameOff, identifier), "Invalid name")
}
func maybeNamed(p *parser, r *raw) *complaint {
	return need(r.nameOff == 0 || p.namedBy(r.nameOff, identifier), "Invalid name")
}
func sectionNamed(p *parser, r *raw) *complaint {
	return need(p.namedBy(r.nameOff, sectionName), "Invalid name")
}

func notEmpty(s string) bool { return s != "" }

func tagName(p *parser, r *raw) *complaint {
	return need(p.namedBy(r.nameOff, notEmpty), "Invalid name")
}
func tagValue(p *parser, r *raw) *complaint {
	return need(p.namedBy(r.nameOff, notEmpty), "Invalid value")
}

func tagComponent(_ *parser, r *raw) *complaint {
	return need(int32(word(r.body, 0)) >= -1, "Invalid component_idx")
}

func funcLinkage(_ *parser, r *raw) *complaint {
	return need(r.vlen() <= int(Global), "Invalid func linkage")
}

func varLinkage(_ *parser, r *raw) *complaint {
	return need(word(r.body, 0) <= uint32(Global), "Linkage not supported")
}

func floatSize(_ *parser, r *raw) *complaint {
	switch r.last {
	case 2, 4, 8, 12, 16:
		return nil
	}
	return need(false, "Invalid type_size")
}

func enumSize(_ *parser, r *raw) *complaint {
	return need(r.last != 0 && r.last <= 8 && r.last&(r.last-1) == 0, "Unexpected size")
}

func arrayTypes(_ *parser, r *raw) *complaint {
	for i, text := range []string{"Invalid elem", "Invalid index"} {
		if id := word(r.body, i); id == 0 || id > maxTypes {
			return need(false, text)
		}
	}
	return nil
}

// The word of an integer: encoding, offset, bits.
const (
	intMask   = 0x0fffffff
	intSigned = 1
	intChar   = 2
	intBool   = 4
	maxBits   = 128
)

func intParts(r *raw) (encoding, offset, bits uint32) {
	v := word(r.body, 0)
	return v >> 24 & 0xf, v >> 16 & 0xff, v & 0xff
}

func intWord(_ *parser, r *raw) *complaint {
	if v := word(r.body, 0); v&^intMask != 0 {
		return &complaint{text: fmt.Sprintf("Invalid int_data:%x", v), brief: true}
	}
	return nil
}

func intBits(_ *parser, r *raw) *complaint {
	_, off, bits := intParts(r)
	if off+bits > maxBits {
		return &complaint{text: fmt.Sprintf("nr_bits exceeds %d", maxBits)}
	}
	return need((off+bits+7)/8 <= r.last, "nr_bits exceeds type_size")
}

func intEncoding(_ *parser, r *raw) *complaint {
	switch enc, _, _ := intParts(r); enc {
	case 0, intSigned, intChar, intBool:
		return nil
	}
	return &complaint{text: "Unsupported encoding", errno: errno.ENOTSUPP}
}
