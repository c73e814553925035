package kbtf

import (
	"fmt"
	"io"

	"github.com/skep-ebpf/skep/internal/errno"
)

// logger writes the kernel's log, one message a Write: where a buffer cuts
// messages, it cuts the same ones.
type logger struct {
	w     io.Writer // nil: nobody listens
	whole bool      // types are spelled out: they were not when they were read
}

func newLogger(w io.Writer) logger {
	if l, ok := w.(interface{ Level() uint32 }); ok && l.Level() == 0 {
		w = nil
	}
	return logger{w: w}
}

// say writes one message.
func (l *logger) say(format string, args ...any) {
	if l.w != nil {
		fmt.Fprintf(l.w, format, args...)
	}
}

// fail says what is wrong and makes the error of it.
func (l *logger) fail(e errno.Errno, format string, args ...any) error {
	l.say(format, args...)
	return errno.Errorf(e, "bad BTF: "+format, args...)
}

// longestName is as much of a name as fits a message.
const longestName = 1024

// name is how the log calls what has the name at an offset
// (__btf_name_by_offset).
func (p *parser) name(off uint32) string {
	if off == 0 {
		return "(anon)"
	}
	s, ok := p.btf.strings.at(off)
	if !ok {
		return "(invalid-name-offset)"
	}
	return s[:min(len(s), longestName)]
}

func (p *parser) sayHeader() {
	h := &p.hdr
	p.say("magic: 0x%x\n", h.magic)
	p.say("version: %d\n", h.version)
	p.say("flags: 0x%x\n", h.flags)
	p.say("hdr_len: %d\n", h.size)
	p.say("type_off: %d\n", h.typeOff)
	p.say("type_len: %d\n", h.typeLen)
	p.say("str_off: %d\n", h.strOff)
	p.say("str_len: %d\n", h.strLen)
	p.say("btf_total_size: %d\n", len(p.btf.data))
}

// sayType writes the line of a type, with what is wrong about it if wrong is
// not "". A brief line leaves the details out, as they may not be there.
func (p *parser) sayType(r *raw, brief bool, wrong string) {
	if p.w == nil {
		return
	}
	space := " "
	if brief {
		space = ""
	}
	p.say("[%d] %s %s%s", r.id, r.kind(), p.name(r.nameOff), space)
	if !brief {
		kinds[r.kind()].details(p, r)
	}
	p.endLine(wrong)
}

func (p *parser) endLine(wrong string) {
	if wrong != "" {
		p.say(" ")
		p.say("%s", wrong)
	}
	p.say("\n")
}

// bad says what is wrong about a type, in a line of its own.
func (p *parser) bad(r *raw, format string, args ...any) error {
	return p.wrong(r, &complaint{text: fmt.Sprintf(format, args...)})
}

// sayMember writes the line of a member of a structure. Its type is given
// separately, since the kernel names the type behind modifiers once it knows it.
func (p *parser) sayMember(r *raw, i int, typ ID, wrong string) {
	if p.w == nil {
		return
	}
	if p.whole {
		p.sayType(r, false, "")
	}
	m := r.entry(12, i)
	name, off := p.name(word(m, 0)), word(m, 2)
	if r.flag() {
		p.say("\t%s type_id=%d bitfield_size=%d bits_offset=%d", name, typ, off>>24, off&0xffffff)
	} else {
		p.say("\t%s type_id=%d bits_offset=%d", name, typ, off)
	}
	p.endLine(wrong)
}

func (p *parser) badMember(r *raw, i int, typ ID, wrong string) error {
	p.sayMember(r, i, typ, wrong)
	return errno.Errorf(errno.EINVAL, "bad BTF: [%d] %s %s, member %d: %s", r.id, r.kind(), p.name(r.nameOff), i, wrong)
}

// sayVar writes the line of a variable in a section.
func (p *parser) sayVar(r *raw, i int, wrong string) {
	if p.w == nil {
		return
	}
	if p.whole {
		p.sayType(r, false, "")
	}
	v := r.entry(12, i)
	p.say("\t type_id=%d offset=%d size=%d", word(v, 0), word(v, 1), word(v, 2))
	p.endLine(wrong)
}

func (p *parser) badVar(r *raw, i int, wrong string) error {
	p.sayVar(r, i, wrong)
	return errno.Errorf(errno.EINVAL, "bad BTF: [%d] %s %s, variable %d: %s", r.id, r.kind(), p.name(r.nameOff), i, wrong)
}
