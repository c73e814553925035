package kbtf

import (
	"encoding/binary"
	"io"

	"github.com/skep-ebpf/skep/internal/errno"
)

// Limits of the format (uapi/linux/btf.h and kernel/bpf/btf.c).
const (
	MaxSize         = 16 << 20 // of BTF_LOAD's data
	maxTypes        = 0x000fffff
	maxNameOff      = 0x00ffffff
	maxVlen         = 0xffff
	maxResolveDepth = 32
	magic           = 0xeb9f
	version         = 1
	headerSize      = 24
)

// Parse checks BTF data as BTF_LOAD does, by itself: see [Kernel.Parse].
func Parse(data []byte, log io.Writer) (*BTF, error) {
	return (*Kernel)(nil).Parse(data, log)
}

// Kernel is what the kernel's own types say of a program's: which structures a
// program may keep pointers to in its maps. A nil Kernel has no types.
type Kernel struct {
	Types *BTF
	// Destructors names the structures that have a destructor registered: only
	// these can be behind a referenced kptr.
	Destructors map[string]bool
}

// Parse checks BTF data as BTF_LOAD does (btf_parse). What was read and what is
// wrong is written to log (which may be nil), one message a call, in the
// kernel's words; the error carries its errno. The data must not be changed
// afterwards.
func (k *Kernel) Parse(data []byte, log io.Writer) (*BTF, error) {
	p := &parser{logger: newLogger(log), kernel: k, btf: &BTF{data: data, byName: map[string][]ID{}}}
	if len(data) > MaxSize {
		return nil, errno.Errorf(errno.E2BIG, "BTF of %d bytes; the limit is %d", len(data), MaxSize)
	}
	for _, step := range []func() error{p.header, p.stringSection, p.typeSection, p.resolveAll, p.tagOrder, p.specialFields} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p.btf, nil
}

type parser struct {
	logger
	kernel *Kernel
	btf    *BTF
	loose  bool // read what cannot be loaded yet: see Decode
	hdr    header
	body   []byte // what follows the header
	begin  []uint32
}

// header is struct btf_header.
type header struct {
	magic                            uint16
	version, flags                   uint8
	size                             uint32
	typeOff, typeLen, strOff, strLen uint32
}

func decodeHeader(b []byte) (h header) {
	le := binary.LittleEndian
	h.magic, h.version, h.flags = le.Uint16(b), b[2], b[3]
	for i, f := range []*uint32{&h.size, &h.typeOff, &h.typeLen, &h.strOff, &h.strLen} {
		*f = le.Uint32(b[4+4*i:])
	}
	return h
}

// header mirrors btf_parse_hdr.
func (p *parser) header() error {
	d := p.btf.data
	if len(d) < 8 {
		return p.fail(errno.EINVAL, "hdr_len not found")
	}
	size := binary.LittleEndian.Uint32(d[4:])
	if uint64(len(d)) < uint64(size) {
		return p.fail(errno.EINVAL, "btf_header not found")
	}
	known := min(size, headerSize)
	for _, b := range d[known:size] {
		if b != 0 {
			return p.fail(errno.E2BIG, "Unsupported btf_header")
		}
	}
	// A short header is filled up with zeros: its own length too.
	var h [headerSize]byte
	copy(h[:], d[:known])
	p.hdr = decodeHeader(h[:])
	p.sayHeader()
	switch {
	case p.hdr.magic != magic:
		return p.fail(errno.EINVAL, "Invalid magic")
	case p.hdr.version != version:
		return p.fail(errno.ENOTSUPP, "Unsupported version")
	case p.hdr.flags != 0:
		return p.fail(errno.ENOTSUPP, "Unsupported flags")
	case uint64(len(d)) == uint64(p.hdr.size):
		return p.fail(errno.EINVAL, "No data")
	}
	p.body = d[p.hdr.size:]
	return p.layout()
}

// layout holds that the sections fill the body without gap or overlap
// (btf_check_sec_info).
func (p *parser) layout() error {
	type section struct{ off, size uint32 }
	first, second := section{p.hdr.typeOff, p.hdr.typeLen}, section{p.hdr.strOff, p.hdr.strLen}
	// The kernel sorts by the difference as a signed number, and so must we.
	if d := int32(second.off - first.off); d < 0 || d == 0 && int32(second.size-first.size) < 0 {
		first, second = second, first
	}
	size, total := uint32(len(p.body)), uint32(0)
	for _, s := range []section{first, second} {
		switch {
		case s.off > size:
			return p.fail(errno.EINVAL, "Invalid section offset")
		case s.off > total:
			return p.fail(errno.EINVAL, "Unsupported section found")
		case s.off < total:
			return p.fail(errno.EINVAL, "Section overlap found")
		case s.size > size-total:
			return p.fail(errno.EINVAL, "Total section length too long")
		}
		total += s.size
	}
	if total != size {
		return p.fail(errno.EINVAL, "Unsupported section found")
	}
	return nil
}

// stringSection mirrors btf_parse_str_sec.
func (p *parser) stringSection() error {
	off, size := p.hdr.strOff, p.hdr.strLen
	if uint64(off)+uint64(size) != uint64(len(p.body)) {
		return p.fail(errno.EINVAL, "String section is not at the end")
	}
	s := p.body[off:]
	if size == 0 || size-1 > maxNameOff || s[0] != 0 || s[size-1] != 0 {
		return p.fail(errno.EINVAL, "Invalid string section")
	}
	p.btf.strings = newStringTable(s)
	return nil
}

// typeSection mirrors the first half of btf_parse_type_sec: each type by itself.
func (p *parser) typeSection() error {
	if p.hdr.typeOff%4 != 0 {
		return p.fail(errno.EINVAL, "Unaligned type_off")
	}
	if p.hdr.typeLen == 0 {
		return p.fail(errno.EINVAL, "No type found")
	}
	b := p.btf
	b.types, p.begin = make([]Type, 1), make([]uint32, 1)
	end := p.hdr.typeOff + p.hdr.typeLen
	for at, id := p.hdr.typeOff, ID(1); at < end; id++ {
		r, err := p.one(id, p.body[at:end])
		if err != nil {
			return err
		}
		if len(b.types) == maxTypes {
			// The kernel says so and reads on, without the type (btf_add_type).
			p.say("Exceeded max num of types")
		} else {
			p.add(at, r)
		}
		at += uint32(typeWords*4 + len(r.body))
	}
	return nil
}

// add makes a type of what was checked.
func (p *parser) add(at uint32, r *raw) {
	t := Type{Kind: r.kind(), KindFlag: r.flag()}
	t.Name, _ = p.btf.strings.at(r.nameOff)
	if t.Kind.hasSize() {
		t.Size = r.last
	} else if t.Kind != KindFwd && t.Kind != KindArray {
		t.Ref = ID(r.last)
	}
	if fill := kinds[t.Kind].fill; fill != nil {
		fill(p, r, &t)
	}
	b := p.btf
	id := ID(len(b.types))
	b.types = append(b.types, t)
	p.begin = append(p.begin, at)
	if t.Name != "" && len(t.Name) <= maxNameLen {
		b.byName[t.Name] = append(b.byName[t.Name], id)
	}
}
