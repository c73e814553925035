package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep/internal/abi"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func (a *app) featureCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "feature [probe]",
		Short: "Say what is supported: commands, types, helpers, engines",
		Long: `feature prints what skep has of Linux 6.18, from the tables that the code itself
works from. With -j the keys are those of "bpftool feature probe", which
bpftool prints for the kernel of this machine.`,
		RunE: func(_ *cobra.Command, args []string) error {
			w := words{args}
			if w.is("probe") {
				w.is("kernel")
			}
			if err := w.end("probe"); err != nil {
				return err
			}
			f := features()
			if a.json {
				return a.print(f.json())
			}
			f.print(a)
			return nil
		},
	}
	return cmd
}

// feature is something that Linux 6.18 has, and whether skep has it.
type feature struct {
	name      string
	available bool
}

type featureSet struct {
	commands, progTypes, mapTypes []feature
	helpers                       []typeHelpers
	engines                       []string
}

// typeHelpers are the helpers that programs of a type may call.
type typeHelpers struct {
	progType string
	helpers  []string
}

func features() *featureSet {
	f := &featureSet{engines: engineNames()}
	have := abi.Commands()
	for c := uapi.Cmd(0); c.Known(); c++ {
		f.commands = append(f.commands, feature{c.String(), slices.Contains(have, c)})
	}
	for t := uapi.ProgType(1); t.Known(); t++ {
		d := progtype.Lookup(t)
		f.progTypes = append(f.progTypes, feature{t.LibName(), d != nil})
		if d != nil {
			f.helpers = append(f.helpers, typeHelpers{t.LibName(), helpersOf(d)})
		}
	}
	for t := uapi.MapType(1); t.Known(); t++ {
		_, ok := maps.Lookup(t)
		f.mapTypes = append(f.mapTypes, feature{t.LibName(), ok})
	}
	return f
}

// helpersOf lists what a fully privileged program under the GPL may call.
func helpersOf(t *desc.ProgType) []string {
	info := &desc.ProgInfo{
		Type: t.Type, GPL: true, Caps: desc.Caps{BPF: true, Perfmon: true, NetAdmin: true, SysAdmin: true},
	}
	out := []string{}
	for id := uapi.FuncID(1); id.Known(); id++ {
		if t.Helper(id, info) != nil {
			out = append(out, "bpf_"+id.LibName())
		}
	}
	return out
}

func (f *featureSet) print(a *app) {
	section := func(title, what string, list []feature) {
		fmt.Fprintln(a.out, title)
		for _, e := range list {
			is := "is"
			if !e.available {
				is = "is NOT"
			}
			fmt.Fprintf(a.out, "%s%s %s available\n", what, e.name, is)
		}
		fmt.Fprintln(a.out)
	}
	section("bpf() commands:", "", f.commands)
	section("eBPF program types:", "eBPF program_type ", f.progTypes)
	section("eBPF map types:", "eBPF map_type ", f.mapTypes)
	fmt.Fprintln(a.out, "eBPF helper functions:")
	for _, t := range f.helpers {
		fmt.Fprintf(a.out, "eBPF helpers supported for program type %s:\n", t.progType)
		for _, h := range t.helpers {
			fmt.Fprintf(a.out, "\t- %s\n", h)
		}
	}
	fmt.Fprintln(a.out, "\nEngines:")
	for _, e := range f.engines {
		fmt.Fprintf(a.out, "engine %s is available\n", e)
	}
}

// featuresJSON has bpftool's keys, and two of skep's own.
type featuresJSON struct {
	Syscall   map[string]bool     `json:"syscall_config"`
	Commands  map[string]bool     `json:"commands"`
	ProgTypes map[string]bool     `json:"program_types"`
	MapTypes  map[string]bool     `json:"map_types"`
	Helpers   map[string][]string `json:"helpers"`
	Engines   []string            `json:"engines"`
}

func (f *featureSet) json() *featuresJSON {
	keyed := func(list []feature, suffix string) map[string]bool {
		out := map[string]bool{}
		for _, e := range list {
			out["have_"+e.name+suffix] = e.available
		}
		return out
	}
	j := &featuresJSON{
		Syscall:   map[string]bool{"have_bpf_syscall": true},
		Commands:  keyed(f.commands, ""),
		ProgTypes: keyed(f.progTypes, "_prog_type"),
		MapTypes:  keyed(f.mapTypes, "_map_type"),
		Helpers:   map[string][]string{},
		Engines:   f.engines,
	}
	for _, t := range f.helpers {
		j.Helpers[t.progType+"_available_helpers"] = t.helpers
	}
	return j
}
