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
	// refs are the names of undefined symbols, by the place that refers to them.
	refs map[place]string
	// weak undefined symbols may stay unresolved.
	weak map[string]bool
}

// place is a byte in a section of the file.
type place struct {
	section int
	offset  uint64
}

// readExterns collects them.
func readExterns(syms []elf.Symbol, refs references) externs {
	x := externs{funcs: map[string]place{}, refs: map[place]string{}, weak: map[string]bool{}}
	for _, s := range syms {
		switch {
		case elf.ST_TYPE(s.Info) == elf.STT_FUNC:
			x.funcs[s.Name] = place{int(s.Section), s.Value}
		case s.Section == elf.SHN_UNDEF && elf.ST_BIND(s.Info) == elf.STB_WEAK:
			x.weak[s.Name] = true
		}
	}
	for section, targets := range refs {
		for off, sym := range targets {
			if sym.Section == elf.SHN_UNDEF {
				x.refs[place{section, off}] = sym.Name
			}
		}
	}
	return x
}

// references are the symbols that sections of code refer to, by section and
// offset.
type references map[int]map[uint64]elf.Symbol

const relSize = 16

func readReferences(f *elf.File, syms []elf.Symbol) (references, error) {
	out := references{}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_REL || uint64(s.Info) >= uint64(len(f.Sections)) || !isCode(f.Sections[s.Info]) {
			continue
		}
		rels, err := s.Data()
		if err != nil {
			return nil, fmt.Errorf("section %s: %w", s.Name, err)
		}
		targets := map[uint64]elf.Symbol{}
		for ; len(rels) >= relSize; rels = rels[relSize:] {
			n := binary.LittleEndian.Uint64(rels[8:]) >> 32
			if n != 0 && n <= uint64(len(syms)) {
				targets[binary.LittleEndian.Uint64(rels)] = syms[n-1]
			}
		}
		out[int(s.Info)] = targets
	}
	return out, nil
}
