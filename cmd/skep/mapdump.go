package main

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/btfdump"
)

// mapDump is the contents of a map.
type mapDump struct {
	*skep.Map
	elems []elem
	total int  // elements in the map
	more  bool // and even more: it was not counted to the end
	zero  int  // elements of an array that are zero and left out
	width int  // of a cell on paper; 0: as it is
}

type elem struct {
	key    []byte // nil for queues and stacks
	values [][]byte
}

// mapReading says how much of a map is read.
type mapReading struct {
	limit    int  // elements; negative: all
	skipZero bool // leave out elements of arrays that are zero
}

// maxCounted bounds how many elements of a large map are looked at to count
// them and to sort them.
const maxCounted = 1 << 16

// readMap reads the elements of a map, sorted by key. Queues and stacks are
// emptied by it: there is no other way to look into them.
func readMap(m *skep.Map, how mapReading) mapDump {
	d := mapDump{Map: m}
	next := d.Map.All()
	if m.KeySize == 0 {
		next = popped(m)
	}
	for key, value := range next {
		if how.limit >= 0 && d.total == maxCounted {
			d.more = true
			break
		}
		d.total++
		values := [][]byte{value}
		if m.PerCPU() {
			values = m.CPUValues(value)
		}
		if how.skipZero && isArray(m) && !isData(m) && allZero(values) {
			d.zero++
			continue
		}
		d.elems = append(d.elems, elem{key, values})
	}
	if m.KeySize != 0 {
		slices.SortFunc(d.elems, byKey(m))
	}
	if how.limit >= 0 && len(d.elems) > how.limit {
		d.elems = d.elems[:how.limit]
	}
	return d
}

// left is how many elements are not in elems for want of room.
func (d *mapDump) left() int { return d.total - d.zero - len(d.elems) }

func popped(m *skep.Map) func(yield func(k, v []byte) bool) {
	return func(yield func(k, v []byte) bool) {
		if m.Type != "queue" && m.Type != "stack" {
			return
		}
		for range m.MaxEntries {
			v, err := m.Pop()
			if err != nil || !yield(nil, v) {
				return
			}
		}
	}
}

func isArray(m *skep.Map) bool { return m.Type == "array" || m.Type == "percpu_array" }

// isData says whether a map is a data section of the object.
func isData(m *skep.Map) bool {
	t, _ := btf.As[*btf.Datasec](m.Value)
	return t != nil
}

func allZero(values [][]byte) bool {
	return !slices.ContainsFunc(values, func(v []byte) bool { return len(bytes.Trim(v, "\x00")) > 0 })
}

// byKey orders numbers by value and other keys by their bytes.
func byKey(m *skep.Map) func(a, b elem) int {
	typ, isInt := btf.As[*btf.Int](m.Key)
	if m.Key == nil {
		isInt = m.KeySize <= 8 && m.KeySize != 0
	}
	if !isInt {
		return func(a, b elem) int { return bytes.Compare(a.key, b.key) }
	}
	signed := typ != nil && typ.Encoding == btf.Signed
	return func(a, b elem) int {
		// Little-endian: the last byte counts most, and has the sign.
		for i := len(a.key) - 1; i >= 0; i-- {
			x, y := int(a.key[i]), int(b.key[i])
			if signed && i == len(a.key)-1 {
				x, y = int(int8(a.key[i])), int(int8(b.key[i]))
			}
			if x != y {
				return cmp.Compare(x, y)
			}
		}
		return 0
	}
}

// usedMaps lists the maps that a program uses by name, data sections last. Where
// it can call other programs by a prog array, that is all of them.
func usedMaps(all map[string]*skep.Map, ids []uint32) []string {
	var out []string
	for name, m := range all {
		used := slices.Contains(ids, m.ID)
		if used && m.Type == "prog_array" {
			return mapOrder(slices.Collect(maps.Keys(all)))
		}
		if used {
			out = append(out, name)
		}
	}
	return mapOrder(out)
}

func mapOrder(names []string) []string {
	isSection := func(name string) int { return strings.Count(name[:1], ".") }
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(isSection(a), isSection(b)), cmp.Compare(a, b))
	})
	return names
}

// formatted are the elements by their BTF types; in bytes where there are none.
func (d *mapDump) formatted() []elemJSON {
	out := []elemJSON{}
	for _, e := range d.elems {
		out = append(out, d.elem(e))
	}
	return out
}

func (d *mapDump) elem(e elem) (j elemJSON) {
	if e.key != nil && !isData(d.Map) {
		j.Key = valueJSON(d.Key, e.key)
	}
	if !d.PerCPU() {
		j.Value = valueJSON(d.Value, e.values[0])
		return j
	}
	for cpu, v := range e.values {
		j.Values = append(j.Values, cpuValueJSON{cpu, valueJSON(d.Value, v)})
	}
	return j
}

// elements are the elements for btfdump.
func (d *mapDump) elements() []btfdump.Element {
	var out []btfdump.Element
	for _, e := range d.elems {
		b := btfdump.Element{Key: e.key, Value: e.values[0]}
		if d.PerCPU() {
			b.PerCPU = e.values
		}
		out = append(out, b)
	}
	return out
}

// types are the types of the map's elements, nil without BTF. The key of a data
// section says nothing.
func (d *mapDump) types() *btfdump.Types {
	if d.Value == nil {
		return nil
	}
	t := &btfdump.Types{Key: d.Key, Value: d.Value}
	if isData(d.Map) {
		t.Key = nil
	}
	return t
}
