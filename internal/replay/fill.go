package replay

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep"
)

// maxFill bounds the size of a file of map contents.
const maxFill = 64 << 20

// Fill puts elements into maps. The input is a JSON object of arrays,
// {"MAP": [{"key": …, "value": …}, …]}: numbers, structures and arrays as BTF
// describes them, or bytes as `bpftool map dump -j` prints them, ["0x0a", …]. A
// per-CPU map takes the same value on every CPU.
func Fill(all map[string]*skep.Map, from io.Reader) error {
	var contents map[string][]struct{ Key, Value any }
	if err := newDecoder(from).Decode(&contents); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			return fmt.Errorf(`expected {"MAP": [{"key": …, "value": …}, …]}, found a %s at byte %d`, wrongType.Value, wrongType.Offset)
		}
		return fmt.Errorf("not sound JSON: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		m := all[name]
		if m == nil {
			return fmt.Errorf("the object has no map %q; it has %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		}
		for i, e := range contents[name] {
			if err := put(m, e.Key, e.Value); err != nil {
				return fmt.Errorf("map %s, element %d: %w", name, i, err)
			}
		}
	}
	return nil
}

// newDecoder keeps numbers as they are written.
func newDecoder(from io.Reader) *json.Decoder {
	d := json.NewDecoder(io.LimitReader(from, maxFill))
	d.UseNumber()
	return d
}

func put(m *skep.Map, k, v any) error {
	key, value := make([]byte, m.KeySize), make([]byte, m.ValueSize)
	if err := encode(key, m.Key, k); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if err := encode(value, m.Value, v); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	if m.PerCPU() {
		one := append(value, make([]byte, -len(value)&7)...)
		value = bytes.Repeat(one, m.CPUs())
	}
	return m.Update(key, value, 0)
}

// encode writes v to b as a value of type t; without a type as a number or as
// bytes.
func encode(b []byte, t btf.Type, v any) error {
	if raw, ok := rawBytes(v); ok {
		if len(raw) != len(b) {
			return fmt.Errorf("%d bytes where %d are needed", len(raw), len(b))
		}
		copy(b, raw)
		return nil
	}
	if t == nil {
		return integer(b, v, nil)
	}
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		return integer(b, v, nil)
	case *btf.Enum:
		return integer(b, v, t)
	case *btf.Pointer:
		return integer(b, v, nil)
	case *btf.Array:
		return array(b, t, v)
	case *btf.Struct:
		return members(b, t.Name, t.Members, v)
	case *btf.Union:
		return members(b, t.Name, t.Members, v)
	}
	return fmt.Errorf("a %v cannot be given in JSON: give its bytes, [\"0x00\", …]", t)
}

// rawBytes takes bpftool's form of bytes.
func rawBytes(v any) ([]byte, bool) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, false
	}
	var out []byte
	for _, e := range list {
		s, ok := e.(string)
		if !ok || !strings.HasPrefix(s, "0x") {
			return nil, false
		}
		n, err := strconv.ParseUint(s, 0, 8)
		if err != nil {
			return nil, false
		}
		out = append(out, byte(n))
	}
	return out, true
}

// integer writes a number, a truth value, or the name of an enumerator.
func integer(b []byte, v any, enum *btf.Enum) error {
	n, err := number(v, enum)
	if err != nil {
		return err
	}
	bits := uint(8 * len(b))
	if len(b) > 8 || n.Sign() >= 0 && n.BitLen() > int(bits) || n.Sign() < 0 && n.Cmp(new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), bits-1))) < 0 {
		return fmt.Errorf("%v does not fit %d bytes", v, len(b))
	}
	var word [8]byte
	u := n.Uint64()
	if n.Sign() < 0 {
		u = uint64(n.Int64())
	}
	binary.LittleEndian.PutUint64(word[:], u)
	copy(b, word[:])
	return nil
}

func number(v any, enum *btf.Enum) (*big.Int, error) {
	switch v := v.(type) {
	case bool:
		return big.NewInt(map[bool]int64{true: 1}[v]), nil
	case json.Number:
		return parseNumber(v.String())
	case string:
		if enum != nil {
			for _, e := range enum.Values {
				if e.Name == v {
					return new(big.Int).SetUint64(e.Value), nil
				}
			}
		}
		return parseNumber(v)
	}
	return nil, fmt.Errorf("expected a number, found %s", kind(v))
}

func parseNumber(s string) (*big.Int, error) {
	if n, ok := new(big.Int).SetString(s, 0); ok && len(s) < 32 {
		return n, nil
	}
	return nil, fmt.Errorf("expected a whole number, found %q", s)
}

func array(b []byte, t *btf.Array, v any) error {
	size, err := btf.Sizeof(t.Type)
	if err != nil {
		return err
	}
	if s, ok := v.(string); ok && size == 1 {
		if len(s) > len(b) {
			return fmt.Errorf("%q has %d bytes where there is room for %d", s, len(s), len(b))
		}
		copy(b, s)
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return fmt.Errorf("expected an array, found %s", kind(v))
	}
	if len(list) > int(t.Nelems) {
		return fmt.Errorf("%d elements where the array has %d", len(list), t.Nelems)
	}
	for i, e := range list {
		if err := encode(b[i*size:(i+1)*size], t.Type, e); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

// members writes the members that are there; others stay zero.
func members(b []byte, name string, all []btf.Member, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("expected an object for struct %s, found %s", name, kind(v))
	}
	for _, field := range slices.Sorted(maps.Keys(object)) {
		if err := member(b, all, field, object[field]); err != nil {
			return err
		}
	}
	return nil
}

func member(b []byte, all []btf.Member, field string, v any) error {
	for _, m := range all {
		if m.Name != field {
			continue
		}
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			return err
		}
		if m.BitfieldSize != 0 {
			err = bitfield(b, m, v)
		} else {
			at := int(m.Offset.Bytes())
			err = encode(b[at:at+size], m.Type, v)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		return nil
	}
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
	}
	return fmt.Errorf("there is no member %q; there are %s", field, strings.Join(names, ", "))
}

// bitfield writes a member that is narrower than its type, of at most 64 bits.
func bitfield(b []byte, m btf.Member, v any) error {
	n, err := number(v, nil)
	if err != nil {
		return err
	}
	if n.Sign() < 0 || n.BitLen() > int(m.BitfieldSize) {
		return fmt.Errorf("%v does not fit %d bits", v, m.BitfieldSize)
	}
	for i := range m.BitfieldSize {
		at := m.Offset + i
		b[at/8] |= byte(n.Bit(int(i))) << (at % 8)
	}
	return nil
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case string:
		return "text"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	case bool:
		return "a truth value"
	}
	return "a number"
}
