package kbtf

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/skep-ebpf/skep/internal/errno"
)

// Limits of the format (uapi/linux/btf.h).
const (
	MaxSize         = 16 << 20 // of BTF_LOAD's data
	maxTypes        = 0x000fffff
	maxNameOff      = 0x00ffffff
	maxVlen         = 0xffff
	maxResolveDepth = 32
	magic           = 0xeb9f
	headerSize      = 24
)

// Parse checks BTF data as BTF_LOAD does. What is wrong is written to log (which
// may be nil) in the kernel's words and returned as an error with its errno.
func Parse(data []byte, log io.Writer) (*BTF, error) {
	if log == nil {
		log = io.Discard
	}
	p := &parser{log: log, btf: &BTF{data: data, types: make([]Type, 1), byName: map[string][]ID{}}}
	types, err := p.header()
	if err == nil {
		err = p.types(types)
	}
	if err == nil {
		err = p.references()
	}
	if err != nil {
		return nil, err
	}
	return p.btf, nil
}

type parser struct {
	log io.Writer
	btf *BTF
}

// fail logs the kernel's words and makes the error.
func (p *parser) fail(e errno.Errno, format string, args ...any) error {
	fmt.Fprintf(p.log, format+"\n", args...)
	return errno.Errorf(e, "bad BTF: "+format, args...)
}

// header checks the header and the sections and returns the type section.
func (p *parser) header() ([]byte, error) {
	d := p.btf.data
	if len(d) < 8 {
		return nil, p.fail(errno.EINVAL, "hdr_len not found")
	}
	hdrLen := binary.LittleEndian.Uint32(d[4:])
	if uint64(len(d)) < uint64(hdrLen) || hdrLen < 8 {
		return nil, p.fail(errno.EINVAL, "btf_header not found")
	}
	var h [headerSize]byte
	copy(h[:], d[:min(hdrLen, headerSize)])
	for _, b := range d[min(hdrLen, headerSize):hdrLen] {
		if b != 0 {
			return nil, p.fail(errno.E2BIG, "Unsupported btf_header")
		}
	}
	switch {
	case binary.LittleEndian.Uint16(h[0:]) != magic:
		return nil, p.fail(errno.EINVAL, "Invalid magic")
	case h[2] != 1:
		return nil, p.fail(errno.ENOTSUPP, "Unsupported version")
	case h[3] != 0:
		return nil, p.fail(errno.ENOTSUPP, "Unsupported flags")
	case len(d) == int(hdrLen):
		return nil, p.fail(errno.EINVAL, "No data")
	}
	typeOff, typeLen := binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
	strOff, strLen := binary.LittleEndian.Uint32(h[16:]), binary.LittleEndian.Uint32(h[20:])
	body := d[hdrLen:]
	if err := p.sections(uint32(len(body)), [2]uint32{typeOff, typeLen}, [2]uint32{strOff, strLen}); err != nil {
		return nil, err
	}
	p.btf.str = body[strOff : strOff+strLen]
	if strLen == 0 || strLen-1 > maxNameOff || p.btf.str[0] != 0 || p.btf.str[strLen-1] != 0 {
		return nil, p.fail(errno.EINVAL, "Invalid string section")
	}
	if typeOff%4 != 0 {
		return nil, p.fail(errno.EINVAL, "Unaligned type_off")
	}
	if typeLen == 0 {
		return nil, p.fail(errno.EINVAL, "No type found")
	}
	return body[typeOff : typeOff+typeLen], nil
}

// sections holds that the sections fill the body without gap or overlap
// (btf_check_sec_info) and that the strings come last.
func (p *parser) sections(size uint32, types, strs [2]uint32) error {
	a, b := types, strs
	if b[0] < a[0] {
		a, b = b, a
	}
	var total uint64
	for _, s := range [][2]uint32{a, b} {
		switch {
		case s[0] > size:
			return p.fail(errno.EINVAL, "Invalid section offset")
		case uint64(s[0]) < total:
			return p.fail(errno.EINVAL, "Section overlap found")
		case uint64(s[0]) > total:
			return p.fail(errno.EINVAL, "Unsupported section found")
		case uint64(size)-total < uint64(s[1]):
			return p.fail(errno.EINVAL, "Total section length too long")
		}
		total += uint64(s[1])
	}
	if total != uint64(size) {
		return p.fail(errno.EINVAL, "Unsupported section found")
	}
	if uint64(strs[0])+uint64(strs[1]) != uint64(size) {
		return p.fail(errno.EINVAL, "String section is not at the end")
	}
	return nil
}
