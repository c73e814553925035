package loader

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/skep-ebpf/skep/insn"
)

// What an object may cost, so that a small file cannot ask for much memory or
// time.
const (
	// maxObject bounds a file, and what its sections have beyond it: zeroes, and
	// what was compressed.
	maxObject = 256 << 20
	// maxBTF is the kernel's bound (BTF_MAX_SIZE).
	maxBTF = 16 << 20
	// maxTypes bounds the types of an object (kernels have some 150,000).
	maxTypes = 1 << 16
	// maxSections and maxNames bound what the names of sections and symbols cost:
	// each is copied, and many may share one long string.
	maxSections = 8192
	maxNames    = 64 << 20
	// maxLinked bounds the instructions of all programs together, each with the
	// functions that it calls.
	maxLinked = 8 << 20
)

// function is a function of the file in the graph of calls.
type function struct {
	place
	name  string
	slots uint64
	calls []*function
	seen  *function // the last program that it was counted in
}

// callGraph finds out who calls whom before the ELF reader links each program
// with the functions that it calls.
type callGraph struct {
	f      *elf.File
	syms   []elf.Symbol
	refs   references
	funcs  []*function // by place
	byName map[string]*function
}

// checkLinked checks that programs do not become too large by linking.
func checkLinked(f *elf.File, syms []elf.Symbol, refs references) error {
	g := callGraph{f: f, syms: syms, refs: refs, byName: map[string]*function{}}
	g.addFunctions()
	for n, s := range f.Sections {
		if isCode(s) {
			if err := g.addCalls(n, s); err != nil {
				return err
			}
		}
	}
	total := uint64(0)
	for _, program := range g.funcs {
		pending := []*function{program}
		for len(pending) > 0 {
			fn := pending[len(pending)-1]
			pending = pending[:len(pending)-1]
			if fn.seen == program {
				continue
			}
			fn.seen = program
			if total += fn.slots + uint64(len(fn.calls)); total > maxLinked {
				return fmt.Errorf("with the functions that they call, programs have over %d instructions", maxLinked)
			}
			pending = append(pending, fn.calls...)
		}
	}
	return nil
}

func isCode(s *elf.Section) bool {
	return s.Type == elf.SHT_PROGBITS && s.Flags&elf.SHF_EXECINSTR != 0
}

func (g *callGraph) addFunctions() {
	for _, s := range g.syms {
		if int(s.Section) >= len(g.f.Sections) || !isCode(g.f.Sections[s.Section]) {
			continue
		}
		typ := elf.ST_TYPE(s.Info)
		if typ == elf.STT_FUNC || typ == elf.STT_NOTYPE && elf.ST_BIND(s.Info) != elf.STB_LOCAL {
			fn := &function{place: place{int(s.Section), s.Value}, name: s.Name, slots: s.Size / insn.Size}
			g.funcs, g.byName[s.Name] = append(g.funcs, fn), fn
		}
	}
	slices.SortStableFunc(g.funcs, func(a, b *function) int { return a.place.compare(b.place) })
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.section, q.section), cmp.Compare(p.offset, q.offset))
}

// at is the last function that begins at a place or before it, in its section.
func (g *callGraph) at(p place) *function {
	n, found := slices.BinarySearchFunc(g.funcs, p, func(fn *function, p place) int { return fn.place.compare(p) })
	if !found {
		n--
	}
	if n < 0 || g.funcs[n].section != p.section {
		return nil
	}
	return g.funcs[n]
}

// addCalls adds the calls and function references of a section.
func (g *callGraph) addCalls(n int, s *elf.Section) error {
	code, err := s.Data()
	if err != nil {
		return fmt.Errorf("section %s: %w", s.Name, err)
	}
	targets := g.refs[n]
	for off := uint64(0); off+insn.Size <= uint64(len(code)); off += insn.Size {
		i := insn.Instruction(binary.LittleEndian.Uint64(code[off:]))
		sym, relocated := targets[off]
		if !relocated && !i.IsSubprogCall() {
			continue
		}
		caller, callee := g.at(place{n, off}), g.callee(n, off, i, sym, relocated)
		if caller != nil && callee != nil && !slices.Contains(last(caller.calls, 8), callee) {
			caller.calls = append(caller.calls, callee)
		}
	}
	return nil
}

// last are the last elements of a slice.
func last[T any](s []T, n int) []T { return s[max(0, len(s)-n):] }

// callee is the function that an instruction names, nil if it names none.
func (g *callGraph) callee(section int, off uint64, i insn.Instruction, sym elf.Symbol, relocated bool) *function {
	switch {
	case !relocated:
		return g.at(place{section, off + insn.Size*uint64(1+int64(i.Imm()))})
	case elf.ST_TYPE(sym.Info) != elf.STT_SECTION:
		return g.byName[sym.Name]
	case i.IsCall():
		return g.at(place{int(sym.Section), insn.Size * uint64(1+int64(i.Imm()))})
	}
	return g.at(place{int(sym.Section), uint64(uint32(i.Imm()))})
}
