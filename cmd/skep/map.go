package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/btfdump"
)

func (a *app) mapCommand() *cobra.Command {
	return group("map", "Show maps, in bpftool's words", &cobra.Command{
		Use:   "dump MAP",
		Short: "Show what a map holds once its object is loaded",
		Long: `dump creates the maps of an object and prints the elements of one: initial
values and data sections. What a program leaves in its maps is printed by
skep run.

  MAP := { file OBJ [name NAME] }`,
		RunE: func(_ *cobra.Command, args []string) error {
			w := words{args}
			ref, err := w.reference("map")
			if err != nil {
				return err
			}
			if err := w.end(); err != nil {
				return err
			}
			return a.mapDump(ref)
		},
	})
}

func (a *app) mapDump(ref reference) error {
	k, err := newKernel("interp", nil, nil)
	if err != nil {
		return err
	}
	defer k.Close()
	coll, err := k.LoadFile(ref.object, &skep.LoadOptions{Programs: []string{}})
	if err != nil {
		return describe(ref.object, err)
	}
	defer coll.Close()
	m, err := pickMap(coll, ref)
	if err != nil {
		return err
	}
	d := readMap(m, mapReading{limit: -1})
	switch {
	case a.pretty:
		var b bytes.Buffer
		if err := btfdump.MapJSON(&b, d.types(), d.elements()); err != nil {
			return err
		}
		return a.print(json.RawMessage(b.Bytes()))
	case a.json:
		if err := btfdump.MapJSON(a.out, d.types(), d.elements()); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.out)
		return err
	case d.types() != nil && len(d.elems) > 0:
		return btfdump.FormatMap(a.out, *d.types(), d.elements())
	}
	d.printBytes(a)
	return nil
}

// pickMap chooses a map by name, or the only one.
func pickMap(coll *skep.Collection, ref reference) (*skep.Map, error) {
	names := slices.Sorted(maps.Keys(coll.Maps))
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s has no maps", ref.object)
	case ref.name == "" && len(names) == 1:
		return coll.Maps[names[0]], nil
	case coll.Maps[ref.name] != nil:
		return coll.Maps[ref.name], nil
	}
	list := strings.Join(names, ", ")
	if ref.name == "" {
		return nil, fmt.Errorf("%s has %d maps: choose one of %s", ref.object, len(names), list)
	}
	return nil, fmt.Errorf("%s has no map %q; it has %s", ref.object, ref.name, list)
}

// printBytes prints elements without BTF as bpftool does.
func (d *mapDump) printBytes(a *app) {
	for _, e := range d.elems {
		fmt.Fprintf(a.out, "key: % x ", e.key)
		if !d.PerCPU() {
			fmt.Fprintf(a.out, " value: % x\n", e.values[0])
			continue
		}
		for cpu, v := range e.values {
			fmt.Fprintf(a.out, "\nvalue (CPU %02d): % x", cpu, v)
		}
		fmt.Fprintln(a.out)
	}
	what := "elements"
	if len(d.elems) == 1 {
		what = "element"
	}
	fmt.Fprintf(a.out, "Found %d %s\n", len(d.elems), what)
}
