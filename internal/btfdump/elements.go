package btfdump

import (
	"fmt"
	"io"

	"github.com/cilium/ebpf/btf"
)

// Element is an element of a map.
type Element struct {
	Key   []byte
	Value []byte
	// PerCPU are the values of the CPUs instead, where each has its own.
	PerCPU [][]byte
	// Err says why the value cannot be read; it takes the place of the value.
	Err error
}

// Types are the types of a map's keys and values. A nil Key is left out, as are
// the keys of a map of variables.
type Types struct{ Key, Value btf.Type }

// FormatMap writes the elements of a map as bpftool map dump does for maps with
// BTF: an array of objects with key and value.
func FormatMap(w io.Writer, t Types, elements []Element) error {
	d := &dumper{writer: newWriter(w, true), plain: true}
	d.begin('[')
	for _, e := range elements {
		if e.Err != nil {
			d.elementError(e)
		} else if err := d.element(t, e); err != nil {
			return err
		}
	}
	d.end(']')
	d.out.WriteByte('\n')
	return d.out.Flush()
}

// MapJSON writes the elements of a map as bpftool -j map dump does: bytes, and
// "formatted" if t is not nil.
func MapJSON(w io.Writer, t *Types, elements []Element) error {
	d := &dumper{writer: newWriter(w, false)}
	d.begin('[')
	for _, e := range elements {
		if e.Err != nil {
			d.elementError(e)
			continue
		}
		d.begin('{')
		d.name("key")
		d.hex(e.Key)
		if e.PerCPU == nil {
			d.name("value")
			d.hex(e.Value)
		} else {
			d.name("values")
			d.perCPU(e.PerCPU, func(b []byte) error { d.hex(b); return nil })
		}
		if t != nil {
			d.name("formatted")
			if err := d.element(*t, e); err != nil {
				return err
			}
		}
		d.end('}')
	}
	d.end(']')
	return d.out.Flush()
}

// element writes one element by its types.
func (d *dumper) element(t Types, e Element) error {
	d.values = 0
	d.begin('{')
	if t.Key != nil {
		d.name("key")
		if err := d.dump(t.Key, e.Key); err != nil {
			return fmt.Errorf("key: %w", err)
		}
	}
	value := func(b []byte) error {
		if err := d.dump(t.Value, b); err != nil {
			return fmt.Errorf("value: %w", err)
		}
		return nil
	}
	var err error
	if e.PerCPU == nil {
		d.name("value")
		err = value(e.Value)
	} else {
		d.name("values")
		err = d.perCPU(e.PerCPU, value)
	}
	d.end('}')
	return err
}

// perCPU writes the values of the CPUs.
func (d *dumper) perCPU(values [][]byte, value func([]byte) error) error {
	d.begin('[')
	for cpu, b := range values {
		d.begin('{')
		d.field("cpu", cpu)
		d.name("value")
		if err := value(b); err != nil {
			return err
		}
		d.end('}')
	}
	d.end(']')
	return nil
}

func (d *dumper) elementError(e Element) {
	d.begin('{')
	d.name("key")
	d.hex(e.Key)
	d.name("value")
	d.begin('{')
	d.field("error", e.Err.Error())
	d.end('}')
	d.end('}')
}
