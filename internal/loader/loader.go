// Package loader takes ELF objects to bpf(2) attributes: it reads them with
// github.com/cilium/ebpf (sections, BTF, CO-RE), and creates maps and programs
// through the system call alone, as libbpf does.
package loader

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Object is an ELF object that was read. Nothing is loaded yet.
type Object struct {
	// Name is the base name of the file without its ending; it starts the names
	// of data maps.
	Name string
	Spec *ebpf.CollectionSpec
	// Programs are the names of the programs in order of section and offset.
	Programs []string
	// Maps are the names of the maps, data sections included, in order.
	Maps []string

	externs externs
}

// Open reads an ELF object from a file.
func Open(path string) (*Object, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxObject+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(data) > maxObject {
		return nil, fmt.Errorf("%s has more than %d bytes: no object file is so large", path, maxObject)
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	o, err := Read(name, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

// Read reads an ELF object that is in memory.
func Read(name string, data []byte) (o *Object, err error) {
	// The input is hostile, and the ELF reader is somebody else's: what makes it
	// panic is an error of the file.
	defer func() {
		if r := recover(); r != nil {
			o, err = nil, fmt.Errorf("not a sound ELF object: %v", r)
		}
	}()
	f, err := openELF(data)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("the symbols of the object: %w", err)
	}
	refs, err := readReferences(f, syms)
	if err != nil {
		return nil, err
	}
	if err := checkLinked(f, syms, refs); err != nil {
		return nil, err
	}
	o = &Object{Name: name, externs: readExterns(syms, refs)}
	adapted, err := adapt(data, f)
	if err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(adapted))
	if err != nil {
		return nil, fmt.Errorf("reading the ELF object: %w", err)
	}
	if err := addKconfig(spec); err != nil {
		return nil, err
	}
	shareData(spec)
	o.Spec = spec
	for name := range spec.Maps {
		o.Maps = append(o.Maps, name)
	}
	slices.Sort(o.Maps)
	o.Programs = o.programOrder()
	return o, nil
}

// openELF reads the headers of an object and checks that it is for BPF.
func openELF(data []byte) (*elf.File, error) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, fmt.Errorf("not an ELF object (compile with clang -target bpf)")
	}
	if err := checkHeaders(data); err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("not a sound ELF object: %w", err)
	}
	return f, nil
}

// programOrder is the order in which the functions stand in the file, so that
// listings follow the source.
func (o *Object) programOrder() []string {
	var names []string
	for name, p := range o.Spec.Programs {
		if p.Type != ebpf.UnspecifiedProgram || p.SectionName != ".text" {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		pa, pb := o.externs.funcs[a], o.externs.funcs[b]
		if pa.section != pb.section {
			return pa.section - pb.section
		}
		if pa.offset != pb.offset {
			return int(int64(pa.offset) - int64(pb.offset))
		}
		return strings.Compare(a, b)
	})
	return names
}

// Types is the object's BTF, nil without.
func (o *Object) Types() *btf.Spec { return o.Spec.Types }
