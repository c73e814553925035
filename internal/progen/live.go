package progen

import (
	"fmt"

	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Live runs programs on a kernel: the live one or, with the same code, one under
// test. It keeps the maps between programs:
// making them anew would take longer than all the rest. Use it from one goroutine.
type Live struct {
	// LogLevel asks for the verifier's log.
	LogLevel uint32

	kernel *oracle.Kernel
	maps   map[string]*oracle.Map
}

// NewLive returns a runner on the live kernel; the caller closes it.
func NewLive() *Live { return NewOn(oracle.Live()) }

// NewOn returns a runner on a kernel; the caller closes it.
func NewOn(k *oracle.Kernel) *Live { return &Live{kernel: k, maps: map[string]*oracle.Map{}} }

// Close drops the maps.
func (l *Live) Close() {
	for _, m := range l.maps {
		m.Close()
	}
	clear(l.maps)
}

// Run loads the program and runs it on all its inputs. The error is one of this
// harness, not of the program.
func (l *Live) Run(p *Program) (*Outcome, error) {
	maps, err := l.prepare(p)
	if err != nil {
		return nil, err
	}
	prog := l.kernel.LoadProg(oracle.Prog{Type: p.Type, Insns: p.Insns, Maps: maps, LogLevel: l.LogLevel})
	defer prog.Close()
	out := &Outcome{Errno: prog.Errno, Log: prog.Log}
	if prog.Errno != 0 {
		return out, nil
	}
	for _, in := range p.Inputs {
		r := prog.Run(oracle.Input{Data: in.Packet, Ctx: in.Ctx})
		out.Runs = append(out.Runs, Run{r.Errno, r.Retval, r.Data, r.Ctx})
	}
	for _, m := range maps {
		elements, err := dump(m)
		if err != nil {
			return nil, err
		}
		out.Maps = append(out.Maps, elements)
	}
	return out, nil
}

// prepare returns the program's maps with their first contents.
func (l *Live) prepare(p *Program) ([]*oracle.Map, error) {
	maps := make([]*oracle.Map, len(p.Maps))
	for i, spec := range p.Maps {
		// A program array belongs to the type of program that used it first.
		key := fmt.Sprintf("%v %v %d %d %d %d", p.Type, spec.Type, spec.KeySize, spec.ValueSize, spec.MaxEntries, i)
		m := l.maps[key]
		if m == nil {
			var e error
			if m, e = l.create(spec); e != nil {
				return nil, e
			}
			l.maps[key] = m
		}
		if err := reset(m, spec.Init); err != nil {
			return nil, err
		}
		maps[i] = m
	}
	return maps, nil
}

func (l *Live) create(spec Map) (*oracle.Map, error) {
	m, e := l.kernel.CreateMap(oracle.MapSpec{
		Type: spec.Type, KeySize: spec.KeySize, ValueSize: spec.ValueSize,
		MaxEntries: spec.MaxEntries, Name: spec.Name,
	})
	if e != 0 {
		return nil, fmt.Errorf("map %s: %w", spec.Name, e)
	}
	return m, nil
}

// readable reports whether bpf(2) shows the map's values as they are.
func readable(m *oracle.Map) bool { return m.Spec.Type != uapi.BPF_MAP_TYPE_PROG_ARRAY }

func reset(m *oracle.Map, elements []Element) error {
	if !readable(m) {
		return nil
	}
	if e := m.Clear(); e != 0 {
		return fmt.Errorf("map %s: clear: %w", m.Spec.Name, e)
	}
	for _, el := range elements {
		if e := m.Update(el.Key, el.Value, uapi.BPF_ANY); e != 0 {
			return fmt.Errorf("map %s: update %x: %w", m.Spec.Name, el.Key, e)
		}
	}
	return nil
}

func dump(m *oracle.Map) ([]Element, error) {
	if !readable(m) {
		return nil, nil
	}
	entries, e := m.Dump()
	if e != 0 {
		return nil, fmt.Errorf("map %s: dump: %w", m.Spec.Name, e)
	}
	elements := make([]Element, len(entries))
	for i, en := range entries {
		elements[i] = Element(en)
	}
	return elements, nil
}
