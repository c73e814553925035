package loader

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// externs is what the ELF file says of symbols that are defined elsewhere, and
// of where functions stand: the ELF reader keeps neither for kconfig variables.
type externs struct {
	funcs map[string]place
	// refs are the relocations against undefined symbols, by place.
	refs map[place]symbol
	// weak undefined symbols may stay unresolved.
	weak map[string]bool
}

// place is a byte in a section of the file.
type place struct {
	section int
	offset  uint64
}

type symbol struct{ name string }

// readExterns collects them.
func readExterns(f *elf.File) (externs, error) {
	x := externs{funcs: map[string]place{}, refs: map[place]symbol{}, weak: map[string]bool{}}
	syms, err := f.Symbols()
	if err != nil {
		return x, nil // no symbols, no externs
	}
	for _, s := range syms {
		switch {
		case elf.ST_TYPE(s.Info) == elf.STT_FUNC:
			x.funcs[s.Name] = place{int(s.Section), s.Value}
		case s.Section == elf.SHN_UNDEF && elf.ST_BIND(s.Info) == elf.STB_WEAK:
			x.weak[s.Name] = true
		}
	}
	for _, sec := range f.Sections {
		if sec.Type == elf.SHT_REL {
			if err := x.relocations(sec, syms); err != nil {
				return x, err
			}
		}
	}
	return x, nil
}

const relSize = 16

func (x *externs) relocations(sec *elf.Section, syms []elf.Symbol) error {
	rels, err := sec.Data()
	if err != nil {
		return fmt.Errorf("section %s: %w", sec.Name, err)
	}
	for ; len(rels) >= relSize; rels = rels[relSize:] {
		n := binary.LittleEndian.Uint64(rels[8:]) >> 32
		if n == 0 || n > uint64(len(syms)) {
			continue
		}
		if s := syms[n-1]; s.Section == elf.SHN_UNDEF {
			x.refs[place{int(sec.Info), binary.LittleEndian.Uint64(rels)}] = symbol{s.Name}
		}
	}
	return nil
}
