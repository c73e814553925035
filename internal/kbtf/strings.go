package kbtf

import "strings"

// stringTable is the string section. Names are slices of it, found in bounded
// time: a hostile section is one string of megabytes that a million types name
// at different offsets.
type stringTable struct {
	text string
	// zero[i] is where the first zero byte at or after block i begins.
	zero []uint32
}

const stringBlock = 4096

func newStringTable(section []byte) stringTable {
	t := stringTable{text: string(section), zero: make([]uint32, len(section)/stringBlock+2)}
	next := uint32(len(section))
	t.zero[len(t.zero)-1] = next
	for i := len(t.zero) - 2; i >= 0; i-- {
		start := i * stringBlock
		if n := strings.IndexByte(t.text[start:min(start+stringBlock, len(t.text))], 0); n >= 0 {
			next = uint32(start + n)
		}
		t.zero[i] = next
	}
	return t
}

// at is the string at an offset; ok is false outside of the section.
func (t *stringTable) at(off uint32) (s string, ok bool) {
	if uint64(off) >= uint64(len(t.text)) {
		return "", false
	}
	block := int(off) / stringBlock
	limit := min((block+1)*stringBlock, len(t.text))
	if n := strings.IndexByte(t.text[off:limit], 0); n >= 0 {
		return t.text[off : int(off)+n], true
	}
	return t.text[off:t.zero[block+1]], true
}

// maxNameLen is KSYM_NAME_LEN.
const maxNameLen = 512

// identifier mirrors btf_name_valid_identifier: C's identifiers, dots, and by
// the kernel's ctype table the letters of Latin-1.
func identifier(s string) bool {
	if s == "" || len(s) > maxNameLen || digit(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !letter(c) && !digit(c) && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0xc0 && c != 0xd7 && c != 0xf7
}

// sectionName mirrors btf_name_valid_section: printable by the same table.
func sectionName(s string) bool {
	if s == "" || len(s) > maxNameLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e && c < 0xa0 {
			return false
		}
	}
	return true
}
