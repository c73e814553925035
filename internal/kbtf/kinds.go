package kbtf

import (
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/errno"
)

// nameRule says which names a kind may have.
type nameRule uint8

const (
	nameNone     nameRule = iota // must be anonymous
	nameAny                      // may be anonymous, else an identifier
	nameRequired                 // an identifier
	nameSection                  // like ".bss" or "?.maps"
	nameText                     // any text, but some (tags)
	nameFree                     // anything: the name is not looked at
)

// kindRule is what the format says of a kind. The table holds what is common to
// the kernel's btf_kind_operations; what is particular is in decode.
type kindRule struct {
	label    string // as the kernel logs it
	flag     bool   // kind_flag may be set
	vlen     bool   // vlen may be non-zero
	sized    bool   // the last word is a size; otherwise a type
	mustZero bool   // the last word must be 0
	name     nameRule
	entry    int // bytes in each of vlen entries
	extra    int // bytes after the type, besides
	decode   func(p *parser, id ID, t *Type, raw rawType) error
}

// rawType is a type as it lies in the type section.
type rawType struct {
	nameOff, info, last uint32
	vlen                int
	body                []byte // entries and extra
}

var kinds [numKinds]kindRule

func init() {
	kinds = [numKinds]kindRule{
		KindInt:       {label: "INT", sized: true, name: nameFree, extra: 4, decode: decodeInt},
		KindPtr:       {label: "PTR", name: nameNone, decode: decodeRef},
		KindArray:     {label: "ARRAY", mustZero: true, name: nameNone, extra: 12, decode: decodeArray},
		KindStruct:    {label: "STRUCT", flag: true, vlen: true, sized: true, name: nameAny, entry: 12, decode: decodeStruct},
		KindUnion:     {label: "UNION", flag: true, vlen: true, sized: true, name: nameAny, entry: 12, decode: decodeStruct},
		KindEnum:      {label: "ENUM", flag: true, vlen: true, sized: true, name: nameAny, entry: 8, decode: decodeEnum},
		KindFwd:       {label: "FWD", flag: true, mustZero: true, name: nameRequired, decode: decodeFwd},
		KindTypedef:   {label: "TYPEDEF", name: nameRequired, decode: decodeRef},
		KindVolatile:  {label: "VOLATILE", name: nameNone, decode: decodeRef},
		KindConst:     {label: "CONST", name: nameNone, decode: decodeRef},
		KindRestrict:  {label: "RESTRICT", name: nameNone, decode: decodeRef},
		KindFunc:      {label: "FUNC", vlen: true, name: nameRequired, decode: decodeFunc},
		KindFuncProto: {label: "FUNC_PROTO", vlen: true, name: nameNone, entry: 8, decode: decodeProto},
		KindVar:       {label: "VAR", name: nameRequired, extra: 4, decode: decodeVar},
		KindDatasec:   {label: "DATASEC", vlen: true, sized: true, name: nameSection, entry: 12, decode: decodeDatasec},
		KindFloat:     {label: "FLOAT", sized: true, name: nameFree, decode: decodeFloat},
		KindDeclTag:   {label: "DECL_TAG", flag: true, name: nameText, extra: 4, decode: decodeDeclTag},
		KindTypeTag:   {label: "TYPE_TAG", flag: true, name: nameText, decode: decodeRef},
		KindEnum64:    {label: "ENUM64", flag: true, vlen: true, sized: true, name: nameAny, entry: 12, decode: decodeEnum},
	}
}

// types decodes the type section.
func (p *parser) types(sec []byte) error {
	for len(sec) > 0 {
		id := ID(len(p.btf.types))
		if id > maxTypes {
			return p.fail(errno.E2BIG, "Exceeded max num of types")
		}
		if len(sec) < 12 {
			return p.fail(errno.EINVAL, "[%d] meta_left:%d meta_needed:%d", id, len(sec), 12)
		}
		raw := rawType{
			nameOff: binary.LittleEndian.Uint32(sec),
			info:    binary.LittleEndian.Uint32(sec[4:]),
			last:    binary.LittleEndian.Uint32(sec[8:]),
		}
		n, err := p.one(id, raw, sec[12:])
		if err != nil {
			return err
		}
		sec = sec[12+n:]
	}
	return nil
}

// one decodes one type and returns how many bytes follow its three words.
func (p *parser) one(id ID, raw rawType, rest []byte) (int, error) {
	if raw.info&^0x9f00ffff != 0 {
		return 0, p.fail(errno.EINVAL, "[%d] Invalid btf_info:%x", id, raw.info)
	}
	kind := Kind(raw.info >> 24 & 0x1f)
	if kind == KindVoid || kind >= numKinds {
		return 0, p.fail(errno.EINVAL, "[%d] Invalid kind:%d", id, kind)
	}
	rule := &kinds[kind]
	raw.vlen = int(raw.info & maxVlen)
	t := Type{Kind: kind, KindFlag: raw.info>>31 != 0}
	name, ok := p.btf.String(raw.nameOff)
	if !ok {
		return 0, p.fail(errno.EINVAL, "[%d] Invalid name_offset:%d", id, raw.nameOff)
	}
	t.Name = name
	need := rule.extra
	if rule.entry > 0 {
		need += rule.entry * raw.vlen
	}
	switch {
	case len(rest) < need:
		return 0, p.bad(id, &t, "meta_left:%d meta_needed:%d", len(rest), need)
	case t.KindFlag && !rule.flag:
		return 0, p.bad(id, &t, "Invalid btf_info kind_flag")
	case raw.vlen != 0 && !rule.vlen:
		return 0, p.bad(id, &t, "vlen != 0")
	case rule.mustZero && kind == KindArray && raw.last != 0:
		return 0, p.bad(id, &t, "size != 0")
	case rule.mustZero && raw.last != 0:
		return 0, p.bad(id, &t, "type != 0")
	case !rule.name.allows(name):
		return 0, p.bad(id, &t, "Invalid name")
	}
	raw.body = rest[:need]
	if rule.sized {
		t.Size = raw.last
	}
	if err := rule.decode(p, id, &t, raw); err != nil {
		return 0, err
	}
	p.btf.types = append(p.btf.types, t)
	if name != "" {
		p.btf.byName[name] = append(p.btf.byName[name], id)
	}
	return need, nil
}

// bad logs a type with what is wrong about it.
func (p *parser) bad(id ID, t *Type, format string, args ...any) error {
	name := t.Name
	if name == "" {
		name = "(anon)"
	}
	return p.fail(errno.EINVAL, "[%d] %s %s "+format, append([]any{id, kinds[t.Kind].label, name}, args...)...)
}

func (r nameRule) allows(s string) bool {
	switch r {
	case nameNone:
		return s == ""
	case nameAny:
		return s == "" || identifier(s)
	case nameRequired:
		return identifier(s)
	case nameSection:
		return s != "" && printable(s)
	case nameFree:
		return true
	}
	return s != ""
}

// identifier mirrors btf_name_valid_identifier: dots are allowed since compilers
// make such names.
func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		alpha := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.'
		if !alpha && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) < maxNameLen
}

// maxNameLen is KSYM_NAME_LEN.
const maxNameLen = 512

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

func u32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

func decodeRef(p *parser, id ID, t *Type, raw rawType) error {
	t.Ref = ID(raw.last)
	if t.Ref > maxTypes {
		return p.bad(id, t, "Invalid type_id")
	}
	return nil
}

func decodeInt(p *parser, id ID, t *Type, raw rawType) error {
	v := u32(raw.body, 0)
	if v&^0x0fff00ff != 0 {
		return p.bad(id, t, "Invalid int_data:%x", v)
	}
	enc := v >> 24 & 0xf
	t.Int = Int{Signed: enc&1 != 0, Char: enc&2 != 0, Bool: enc&4 != 0, Offset: uint8(v >> 16), Bits: uint8(v)}
	bits := uint32(t.Int.Bits) + uint32(t.Int.Offset)
	switch {
	case bits > 128:
		return p.bad(id, t, "nr_bits exceeds %d", 128)
	case (bits+7)/8 > t.Size:
		return p.bad(id, t, "nr_bits exceeds type_size")
	case enc != 0 && enc != 1 && enc != 2 && enc != 4:
		return p.bad(id, t, "Unsupported encoding")
	}
	return nil
}

func decodeFloat(p *parser, id ID, t *Type, raw rawType) error {
	switch t.Size {
	case 2, 4, 8, 12, 16:
		return nil
	}
	return p.bad(id, t, "Invalid type_size")
}

func decodeArray(p *parser, id ID, t *Type, raw rawType) error {
	t.Ref, t.Index, t.Elems = ID(u32(raw.body, 0)), ID(u32(raw.body, 1)), u32(raw.body, 2)
	switch {
	case t.Ref == 0 || t.Ref > maxTypes:
		return p.bad(id, t, "Invalid elem")
	case t.Index == 0 || t.Index > maxTypes:
		return p.bad(id, t, "Invalid index")
	}
	return nil
}

func decodeFwd(p *parser, id ID, t *Type, raw rawType) error { return nil }

func decodeStruct(p *parser, id ID, t *Type, raw rawType) error {
	last := uint32(0)
	t.Members = make([]Member, raw.vlen)
	for i := range t.Members {
		b := raw.body[12*i:]
		name, ok := p.btf.String(u32(b, 0))
		m := Member{Name: name, Type: ID(u32(b, 1)), Offset: u32(b, 2)}
		if t.KindFlag {
			m.Bits, m.Offset = m.Offset>>24, m.Offset&0xffffff
		}
		t.Members[i] = m
		switch {
		case !ok:
			return p.bad(id, t, "Invalid member name_offset:%d", u32(b, 0))
		case name != "" && !identifier(name):
			return p.bad(id, t, "Invalid name")
		case m.Type == 0 || m.Type > maxTypes:
			return p.bad(id, t, "Invalid type_id")
		case t.Kind == KindUnion && m.Offset != 0:
			return p.bad(id, t, "Invalid member bits_offset")
		case last > m.Offset:
			return p.bad(id, t, "Invalid member bits_offset")
		case uint64(m.Offset+7)/8 > uint64(t.Size):
			return p.bad(id, t, "Member bits_offset exceeds its struct size")
		}
		last = m.Offset
	}
	return nil
}

func decodeEnum(p *parser, id ID, t *Type, raw rawType) error {
	if t.Size > 8 || t.Size == 0 || t.Size&(t.Size-1) != 0 {
		return p.bad(id, t, "Unexpected size")
	}
	entry := kinds[t.Kind].entry
	t.Values = make([]Value, raw.vlen)
	for i := range t.Values {
		b := raw.body[entry*i:]
		name, ok := p.btf.String(u32(b, 0))
		if !ok {
			return p.bad(id, t, "Invalid name_offset:%d", u32(b, 0))
		}
		if !identifier(name) {
			return p.bad(id, t, "Invalid name")
		}
		n := uint64(u32(b, 1))
		switch {
		case t.Kind == KindEnum64:
			n |= uint64(u32(b, 2)) << 32
		case t.KindFlag:
			n = uint64(int64(int32(n)))
		}
		t.Values[i] = Value{name, n}
	}
	return nil
}

func decodeFunc(p *parser, id ID, t *Type, raw rawType) error {
	t.Ref, t.Linkage = ID(raw.last), Linkage(raw.vlen)
	if raw.vlen > int(Global) {
		return p.bad(id, t, "Invalid func linkage")
	}
	return nil
}

func decodeProto(p *parser, id ID, t *Type, raw rawType) error {
	t.Ref = ID(raw.last)
	t.Members = make([]Member, raw.vlen)
	for i := range t.Members {
		b := raw.body[8*i:]
		name, ok := p.btf.String(u32(b, 0))
		if !ok {
			return p.bad(id, t, "Invalid arg#%d", i+1)
		}
		t.Members[i] = Member{Name: name, Type: ID(u32(b, 1))}
	}
	return nil
}

func decodeVar(p *parser, id ID, t *Type, raw rawType) error {
	t.Ref, t.Linkage = ID(raw.last), Linkage(u32(raw.body, 0))
	switch {
	case t.Ref == 0 || t.Ref > maxTypes:
		return p.bad(id, t, "Invalid type_id")
	case u32(raw.body, 0) > uint32(Global):
		return p.bad(id, t, "Linkage not supported")
	}
	return nil
}

func decodeDatasec(p *parser, id ID, t *Type, raw rawType) error {
	if t.Size == 0 {
		return p.bad(id, t, "Invalid size")
	}
	var end uint64
	var sum uint64
	t.Members = make([]Member, raw.vlen)
	for i := range t.Members {
		b := raw.body[12*i:]
		m := Member{Type: ID(u32(b, 0)), Offset: u32(b, 1), Bits: u32(b, 2)}
		t.Members[i] = m
		switch {
		case m.Type == 0 || m.Type > maxTypes:
			return p.bad(id, t, "Invalid type_id")
		case uint64(m.Offset) < end || m.Offset >= t.Size:
			return p.bad(id, t, "Invalid offset")
		case m.Bits == 0 || m.Bits > t.Size:
			return p.bad(id, t, "Invalid size")
		}
		end = uint64(m.Offset) + uint64(m.Bits)
		if end > uint64(t.Size) {
			return p.bad(id, t, "Invalid offset+size")
		}
		sum += uint64(m.Bits)
	}
	if uint64(t.Size) < sum {
		return p.bad(id, t, "Invalid btf_info size")
	}
	return nil
}

func decodeDeclTag(p *parser, id ID, t *Type, raw rawType) error {
	t.Ref, t.Component = ID(raw.last), int32(u32(raw.body, 0))
	if t.Component < -1 {
		return p.bad(id, t, "Invalid component_idx")
	}
	return nil
}
