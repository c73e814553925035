package kbtf

import (
	"bytes"
	"reflect"
	"testing"
)

// What is built again from what was parsed says the same.
func TestBuilderRoundTrip(t *testing.T) {
	for _, s := range samples() {
		b, err := Parse(s.data, nil)
		if err != nil {
			continue
		}
		var again Builder
		for id := 1; id < b.Len(); id++ {
			again.Add(*b.Type(ID(id)))
		}
		raw := again.Bytes()
		c, err := Parse(raw, nil)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if !reflect.DeepEqual(b.types, c.types) {
			t.Fatalf("%s: %+v became %+v", s.name, b.types, c.types)
		}
		if third := again.Bytes(); !bytes.Equal(raw, third) {
			t.Fatalf("%s: building is not repeatable", s.name)
		}
	}
}
