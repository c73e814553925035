package ktype

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/skep-ebpf/skep/internal/kbtf"
)

// structs are the structures that skep's kernel BTF has, by the kernel's names.
var structs = []struct {
	name string
	typ  reflect.Type
}{
	{"sk_buff", reflect.TypeFor[SKBuff]()},
	{"skb_shared_info", reflect.TypeFor[SharedInfo]()},
	{"skb_frag", reflect.TypeFor[Frag]()},
	{"xdp_buff", reflect.TypeFor[XDPBuff]()},
	{"xdp_rxq_info", reflect.TypeFor[XDPRxqInfo]()},
	{"xdp_txq_info", reflect.TypeFor[XDPTxqInfo]()},
	{"net_device", reflect.TypeFor[NetDevice]()},
	{"sock", reflect.TypeFor[Sock]()},
}

// typedefs are names that Linux gives to some of them.
var typedefs = []struct{ name, of string }{{"skb_frag_t", "skb_frag"}}

// inner has the members that Linux keeps in a structure inside of another:
// those of the outer one whose names have the prefix, which must come first.
var inner = map[string]struct{ prefix, member, name string }{
	"sock": {"skc_", "__sk_common", "sock_common"},
}

// BTF is skep's own kernel BTF: what the structures of this package look like,
// the structures of the program interface and its enumerations. Relocations and
// accesses to kernel memory are resolved against it. It must not be changed.
var BTF = sync.OnceValue(func() []byte {
	e := &encoder{base: map[string]kbtf.ID{}, composite: map[string]kbtf.ID{}, pointers: map[kbtf.ID]kbtf.ID{}}
	for _, s := range structs {
		e.composite[s.name] = e.b.Add(kbtf.Type{})
	}
	for _, s := range structs {
		e.structure(s.name, s.typ)
	}
	for _, d := range typedefs {
		e.b.Add(kbtf.Type{Kind: kbtf.KindTypedef, Name: d.name, Ref: e.composite[d.of]})
	}
	e.interfaceTypes()
	return e.b.Bytes()
})

// Types is [BTF], parsed.
var Types = sync.OnceValue(func() *kbtf.BTF {
	b, err := kbtf.Parse(BTF(), nil)
	if err != nil {
		panic(fmt.Sprintf("ktype: skep's own BTF is not sound: %v", err))
	}
	return b
})

// encoder makes BTF of Go types.
type encoder struct {
	b         kbtf.Builder
	base      map[string]kbtf.ID // integers, by C's name
	composite map[string]kbtf.ID // structures and forward declarations
	pointers  map[kbtf.ID]kbtf.ID
}

// baseTypes are C's integers by name; those that Go types become are by size.
var (
	baseTypes = map[string]kbtf.Type{
		"char":                   {Size: 1, Int: kbtf.Int{Signed: true, Bits: 8}},
		"unsigned char":          {Size: 1, Int: kbtf.Int{Bits: 8}},
		"short unsigned int":     {Size: 2, Int: kbtf.Int{Bits: 16}},
		"unsigned int":           {Size: 4, Int: kbtf.Int{Bits: 32}},
		"int":                    {Size: 4, Int: kbtf.Int{Signed: true, Bits: 32}},
		"long long int":          {Size: 8, Int: kbtf.Int{Signed: true, Bits: 64}},
		"long long unsigned int": {Size: 8, Int: kbtf.Int{Bits: 64}},
	}
	bySize = map[int]string{1: "unsigned char", 2: "short unsigned int", 4: "unsigned int", 8: "long long unsigned int"}
)

// integer is the id of an integer type.
func (e *encoder) integer(name string) kbtf.ID {
	id, ok := e.base[name]
	if !ok {
		t := baseTypes[name]
		t.Kind, t.Name = kbtf.KindInt, name
		id = e.b.Add(t)
		e.base[name] = id
	}
	return id
}

// pointer is the id of a pointer to a structure, an integer or void.
func (e *encoder) pointer(to string) kbtf.ID {
	var target kbtf.ID
	if _, ok := baseTypes[to]; ok {
		target = e.integer(to)
	} else if to != "void" {
		if target, ok = e.composite[to]; !ok {
			target = e.b.Add(kbtf.Type{Kind: kbtf.KindFwd, Name: to})
			e.composite[to] = target
		}
	}
	id, ok := e.pointers[target]
	if !ok {
		id = e.b.Add(kbtf.Type{Kind: kbtf.KindPtr, Ref: target})
		e.pointers[target] = id
	}
	return id
}

func (e *encoder) array(elem kbtf.ID, n int) kbtf.ID {
	return e.b.Add(kbtf.Type{Kind: kbtf.KindArray, Ref: elem, Index: e.integer("unsigned int"), Elems: uint32(n)})
}

// structure sets a structure of the table from its Go type: members are the
// fields with a btf tag "name" or "name,type"; "name:3" is a bit-field of the
// lowest 3 bits.
func (e *encoder) structure(name string, typ reflect.Type) {
	out := kbtf.Type{Kind: kbtf.KindStruct, Name: name, Size: uint32(typ.Size())}
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, ok := f.Tag.Lookup("btf")
		if !ok {
			continue
		}
		member, ctype, _ := strings.Cut(tag, ",")
		member, width, _ := strings.Cut(member, ":")
		bits, _ := strconv.Atoi(width) // 0 without
		out.KindFlag = out.KindFlag || bits != 0
		out.Members = append(out.Members, kbtf.Member{Name: member, Type: e.member(f.Type, ctype), Offset: uint32(8 * f.Offset), Bits: uint32(bits)})
	}
	if in, ok := inner[name]; ok {
		e.nest(&out, in.prefix, in.member, in.name)
	}
	e.b.Set(e.composite[name], out)
}

// member is the type of a member. ctype says what the Go type does not: what a
// pointer points to, or that bytes are characters.
func (e *encoder) member(t reflect.Type, ctype string) kbtf.ID {
	if to, ok := strings.CutPrefix(ctype, "*"); ok {
		return e.pointer(to)
	}
	switch t.Kind() {
	case reflect.Array:
		return e.array(e.member(t.Elem(), ctype), t.Len())
	case reflect.Struct:
		for _, s := range structs {
			if s.typ == t {
				return e.composite[s.name]
			}
		}
		return e.array(e.integer("char"), int(t.Size())) // no structure of Linux's: only room
	}
	if ctype != "" {
		return e.integer(ctype)
	}
	return e.integer(bySize[int(t.Size())])
}

// nest moves the leading members with a prefix into a structure of their own.
func (e *encoder) nest(t *kbtf.Type, prefix, member, name string) {
	n := 0
	for n < len(t.Members) && strings.HasPrefix(t.Members[n].Name, prefix) {
		n++
	}
	size := t.Size
	if n < len(t.Members) {
		size = t.Members[n].Offset / 8
	}
	id := e.b.Add(kbtf.Type{Kind: kbtf.KindStruct, Name: name, Size: size, Members: t.Members[:n:n]})
	e.composite[name] = id
	t.Members = append([]kbtf.Member{{Name: member, Type: id}}, t.Members[n:]...)
}
