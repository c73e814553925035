package skep

import (
	"bytes"
	"fmt"
	"io"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/loader"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// LoadOptions say how an object is loaded.
type LoadOptions struct {
	// Programs names the programs to load; nil: all of them.
	Programs []string
	// Choose, where not nil, is asked which programs to load instead: it is given
	// the names of all, in the order of the file, before anything is loaded. Its
	// error ends the load.
	Choose func(programs []string) ([]string, error)
	// LogLevel is the verifier's: 1 the last path, 2 every instruction, 4
	// statistics, or-ed. A rejected program has a log of level 1 in any case.
	LogLevel uint32
	// LogSize is the room for a log in bytes; 0: 1 MiB.
	LogSize int
	// KeepGoing loads what can be loaded: a program that fails is in
	// Collection.Failed instead of ending the load.
	KeepGoing bool
	// KernelTypes is BTF to resolve CO-RE relocations against; nil: skep's own
	// kernel types.
	KernelTypes io.ReaderAt
}

// Collection is an object file that was loaded.
type Collection struct {
	// Programs and Maps by their names in the object. Data sections are maps too
	// (".rodata", ".bss").
	Programs map[string]*Program
	Maps     map[string]*Map
	// Order has the programs' names in the order of the file, loaded or not, and
	// Declared what the file says of them.
	Order    []string
	Declared map[string]Declaration
	// Failed says why programs were not loaded, with LoadOptions.KeepGoing.
	Failed map[string]error
	// Types is the object's BTF, nil without.
	Types *btf.Spec

	inst *loader.Instance
}

// Declaration is a program as an object file has it.
type Declaration struct {
	Section string
	Type    string // "xdp", …; "unspec" where the section does not say it
	Insns   int    // with the subprograms that it calls
}

func declarations(obj *loader.Object) map[string]Declaration {
	out := map[string]Declaration{}
	for _, name := range obj.Programs {
		p := obj.Spec.Programs[name]
		out[name] = Declaration{p.SectionName, uapi.ProgType(p.Type).LibName(), int(p.Instructions.Size() / insn.Size)}
	}
	return out
}

// LoadFile reads an ELF object, creates its maps and loads its programs as the
// kernel's own task. A rejected program is a [*VerifierError]; nothing is left
// behind then.
func (k *Kernel) LoadFile(path string, opt *LoadOptions) (*Collection, error) {
	obj, err := loader.Open(path)
	if err != nil {
		return nil, err
	}
	return k.root.load(obj, opt)
}

// Load is LoadFile for an object in memory; name is what it is called.
func (k *Kernel) Load(name string, object []byte, opt *LoadOptions) (*Collection, error) {
	obj, err := loader.Read(name, object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return k.root.load(obj, opt)
}

func (t *Task) load(obj *loader.Object, opt *LoadOptions) (*Collection, error) {
	if opt == nil {
		opt = &LoadOptions{}
	}
	names, err := opt.choose(obj.Programs)
	if err != nil {
		return nil, err
	}
	types, err := kernelTypes(opt.KernelTypes)
	if err != nil {
		return nil, err
	}
	inst, err := obj.New(caller{t}, loader.Options{LogLevel: opt.LogLevel, LogSize: opt.LogSize, KernelTypes: types})
	if err != nil {
		return nil, err
	}
	c := &Collection{
		Programs: map[string]*Program{}, Maps: map[string]*Map{}, Failed: map[string]error{},
		Order: obj.Programs, Declared: declarations(obj), Types: obj.Types(), inst: inst,
	}
	if err := c.fill(t, names, opt.KeepGoing); err != nil {
		inst.Close()
		return nil, err
	}
	return c, nil
}

// choose says which of an object's programs are to be loaded.
func (o *LoadOptions) choose(all []string) ([]string, error) {
	switch {
	case o.Choose != nil:
		return o.Choose(all)
	case o.Programs != nil:
		return o.Programs, nil
	}
	return all, nil
}

func (c *Collection) fill(t *Task, names []string, keepGoing bool) error {
	for _, name := range names {
		p, err := c.inst.Program(name)
		if err != nil && keepGoing {
			c.Failed[name] = rejected(err)
			continue
		}
		if err != nil {
			return rejected(err)
		}
		c.Programs[name] = &Program{task: t, fd: p.FD, Name: name, Section: p.Spec.SectionName,
			Type: uapi.ProgType(p.Spec.Type).LibName(), Log: p.Log}
	}
	if err := c.inst.LoadSlots(); err != nil && !keepGoing {
		return rejected(err)
	}
	for name, m := range c.inst.Maps {
		wrapped, err := newMap(t, name, m.FD, m.Spec.Key, m.Spec.Value)
		if err != nil {
			return err
		}
		c.Maps[name] = wrapped
	}
	return nil
}

// Close closes the collection's fds. What is pinned lives on.
func (c *Collection) Close() error {
	c.inst.Close()
	return nil
}

// kernelTypes reads BTF to relocate against.
func kernelTypes(r io.ReaderAt) (*btf.Spec, error) {
	if r == nil {
		r = bytes.NewReader(ktype.BTF())
	}
	spec, err := btf.LoadSpecFromReader(r)
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's BTF: %w", err)
	}
	return spec, nil
}
