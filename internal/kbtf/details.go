package kbtf

import "strconv"

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// The functions here write what the log line of a kind says after its name
// (btf_kind_operations.log_details).

func saySize(p *parser, r *raw)  { p.say("size=%d vlen=%d", r.last, r.vlen()) }
func sayRef(p *parser, r *raw)   { p.say("type_id=%d", r.last) }
func sayFloat(p *parser, r *raw) { p.say("size=%d", r.last) }

func sayVariable(p *parser, r *raw) {
	p.say("type_id=%d linkage=%d", r.last, word(r.body, 0))
}

func sayDeclTag(p *parser, r *raw) {
	p.say("type=%d component_idx=%d", r.last, int32(word(r.body, 0)))
}

func sayArray(p *parser, r *raw) {
	p.say("type_id=%d index_type_id=%d nr_elems=%d", word(r.body, 0), word(r.body, 1), word(r.body, 2))
}

func sayForward(p *parser, r *raw) {
	if r.flag() {
		p.say("union")
	} else {
		p.say("struct")
	}
}

var encodings = map[uint32]string{0: "(none)", intSigned: "SIGNED", intChar: "CHAR", intBool: "BOOL"}

func sayInt(p *parser, r *raw) {
	enc, off, bits := intParts(r)
	text, ok := encodings[enc]
	if !ok {
		text = "UNKN"
	}
	p.say("size=%d bits_offset=%d nr_bits=%d encoding=%s", r.last, off, bits, text)
}

// sayProto writes the parameters; the last one without a type is "...".
func sayProto(p *parser, r *raw) {
	p.say("return=%d args=(", r.last)
	n := r.vlen()
	if n == 0 {
		p.say("void")
	}
	for i := range n {
		a := r.entry(8, i)
		comma := ", "
		if i == 0 {
			comma = ""
		}
		if i == n-1 && word(a, 1) == 0 {
			p.say("%svararg", comma)
		} else {
			p.say("%s%d %s", comma, word(a, 1), p.name(word(a, 0)))
		}
	}
	p.say(")")
}
