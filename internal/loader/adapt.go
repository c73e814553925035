package loader

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
)

// adapt returns a copy of an object that the ELF reader takes as libbpf takes
// the original:
//   - weak undefined symbols are global, for the reader knows no weak kconfig
//     variables; which are weak is in externs;
//   - kernel symbols (__ksym) of any type have none, as the reader wants it;
//   - variables are hidden, for the reader would copy each with its types, which
//     nobody uses and a hostile file could make expensive.
func adapt(data []byte, f *elf.File) []byte {
	out := bytes.Clone(data)
	for _, s := range f.Sections {
		switch {
		case s.Flags&elf.SHF_COMPRESSED != 0 || s.Type == elf.SHT_NOBITS:
		case s.Type == elf.SHT_SYMTAB:
			adaptSymbols(within(out, s))
		case s.Name == ".BTF":
			adaptKsyms(within(out, s))
		}
	}
	return out
}

// within is what a section has of the file.
func within(data []byte, s *elf.Section) []byte {
	if s.Offset > uint64(len(data)) || s.FileSize > uint64(len(data))-s.Offset {
		return nil
	}
	return data[s.Offset : s.Offset+s.FileSize]
}

// Layout of an Elf64_Sym.
const (
	symSize    = 24
	symInfo    = 4
	symOther   = 5
	symSection = 6
	symBytes   = 16
)

func adaptSymbols(table []byte) {
	for ; len(table) >= symSize; table = table[symSize:] {
		info := table[symInfo]
		undefined := elf.SectionIndex(binary.LittleEndian.Uint16(table[symSection:])) == elf.SHN_UNDEF
		switch {
		case undefined && elf.ST_BIND(info) == elf.STB_WEAK:
			table[symInfo] = elf.ST_INFO(elf.STB_GLOBAL, elf.ST_TYPE(info))
		case !undefined && elf.ST_TYPE(info) == elf.STT_OBJECT:
			table[symOther] = table[symOther]&^3 | byte(elf.STV_HIDDEN)
		}
	}
}

// Layout of BTF (struct btf_header, struct btf_type) as far as it matters here.
const (
	btfHeaderLen = 4
	btfTypeOff   = 8
	btfTypeLen   = 12
	btfStrOff    = 16
	btfStrLen    = 20
	btfHeader    = 24

	btfTypeSize    = 12
	btfKindDatasec = 15
	btfSecInfo     = 12
)

// btfRest is what follows a struct btf_type, by kind: so many bytes, and so many
// for each of vlen.
var btfRest = [...]struct{ once, each int }{
	1: {once: 4}, 3: {once: 12}, 4: {each: 12}, 5: {each: 12}, 6: {each: 8}, 13: {each: 8}, 14: {once: 4},
	btfKindDatasec: {each: btfSecInfo}, 17: {once: 4}, 19: {each: 12},
}

// btfRecord is a type of raw BTF with what follows it.
type btfRecord []byte

func (r btfRecord) name() uint32 { return binary.LittleEndian.Uint32(r) }
func (r btfRecord) kind() int    { return int(binary.LittleEndian.Uint32(r[4:]) >> 24 & 0x1f) }
func (r btfRecord) vlen() int    { return int(binary.LittleEndian.Uint32(r[4:]) & 0xffff) }

const btfKindVar = 14

// adaptKsyms gives the variables of .ksyms no type. Unsound BTF stays what it is.
func adaptKsyms(raw []byte) {
	records, strings := btfRecords(raw)
	for _, r := range records {
		if r.kind() != btfKindDatasec || !hasString(strings, r.name(), ".ksyms") {
			continue
		}
		for info := r[btfTypeSize:]; len(info) >= btfSecInfo; info = info[btfSecInfo:] {
			id := binary.LittleEndian.Uint32(info)
			if id != 0 && uint64(id) <= uint64(len(records)) && records[id-1].kind() == btfKindVar {
				binary.LittleEndian.PutUint32(records[id-1][8:], 0)
			}
		}
	}
}

// btfRecords cuts BTF into its types, of which the first has id 1, and gives its
// strings.
func btfRecords(raw []byte) (records []btfRecord, strings []byte) {
	if len(raw) < btfHeader {
		return nil, nil
	}
	start := uint64(binary.LittleEndian.Uint32(raw[btfHeaderLen:]))
	part := func(off, size int) []byte {
		from := start + uint64(binary.LittleEndian.Uint32(raw[off:]))
		to := from + uint64(binary.LittleEndian.Uint32(raw[size:]))
		if to > uint64(len(raw)) {
			return nil
		}
		return raw[from:to]
	}
	for types := part(btfTypeOff, btfTypeLen); len(types) >= btfTypeSize; {
		r := btfRecord(types)
		size := btfTypeSize
		if k := r.kind(); k < len(btfRest) {
			size += btfRest[k].once + btfRest[k].each*r.vlen()
		}
		if size > len(types) {
			return nil, nil
		}
		records, types = append(records, slices.Clip(r[:size])), types[size:]
	}
	return records, part(btfStrOff, btfStrLen)
}

// hasString says whether the string at an offset is s.
func hasString(strings []byte, at uint32, s string) bool {
	return uint64(at) < uint64(len(strings)) && bytes.HasPrefix(strings[at:], append([]byte(s), 0))
}
