package loader

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// adapt returns a copy of an object that the ELF reader takes as libbpf takes
// the original:
//   - weak undefined symbols are global, for the reader knows no weak kconfig
//     variables; which are weak is in externs;
//   - kernel symbols (__ksym) of any type have none, as the reader wants it;
//   - variables are hidden, for the reader would copy each with its types, which
//     nobody uses and a hostile file could make expensive.
func adapt(data []byte, f *elf.File) ([]byte, error) {
	out := bytes.Clone(data)
	for _, s := range f.Sections {
		switch {
		case s.Flags&elf.SHF_COMPRESSED != 0 || s.Type == elf.SHT_NOBITS:
		case s.Type == elf.SHT_SYMTAB:
			adaptSymbols(within(out, s))
		case s.Name == ".BTF":
			if err := adaptKsyms(within(out, s)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
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
