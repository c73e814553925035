package btfdump

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/skep-ebpf/skep/internal/kbtf"
)

const cHeader = `#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

`

const cFooter = `#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
`

// DumpC writes raw BTF as C that compiles, as bpftool btf dump does with format
// c. roots, if any, are the types to write, with what they need.
func DumpC(w io.Writer, raw []byte, roots ...kbtf.ID) error {
	types, err := kbtf.Decode(raw)
	if err != nil {
		return err
	}
	c := newCWriter(bufio.NewWriter(w), types)
	c.print(cHeader)
	err = each(types, roots, c.root)
	if err == nil {
		err = c.err
	}
	if err == nil {
		c.print(cFooter)
	}
	return errors.Join(err, c.out.Flush())
}

// progress is how far a type is: in being ordered, or in being written.
type progress uint8

const (
	untouched progress = iota
	underWay
	finished
)

// typeState is what is known of a type while C is written.
type typeState struct {
	order, emit progress
	referenced  bool // by another type: an anonymous enum is then written there
	forward     bool // it was declared before it is defined
	name        string
	named       bool // name is settled
}

// cWriter writes types as C. What must be known before something else is
// written before it.
type cWriter struct {
	*layout
	out   *bufio.Writer
	state []typeState
	// queue has what is to be defined for the type that is being written.
	queue []kbtf.ID
	// tags and idents count the names of structures and enums, and of typedefs and
	// enum values: one that came before gets a number.
	tags, idents map[string]int
	level, steps int
	err          error
}

func newCWriter(out *bufio.Writer, types []kbtf.Type) *cWriter {
	c := &cWriter{layout: newLayout(types), out: out, state: make([]typeState, len(types)),
		tags: map[string]int{}, idents: map[string]int{}}
	c.state[0].order, c.state[0].emit = finished, finished
	for i := range types {
		t := &types[i]
		c.state[t.Index].referenced = true
		if t.Kind != kbtf.KindFuncProto { // nobody counts what functions return
			c.state[t.Ref].referenced = true
		}
		for _, m := range t.Members {
			c.state[m.Type].referenced = true
		}
	}
	return c
}

func (c *cWriter) print(s string) { c.out.WriteString(s) }

func (c *cWriter) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// root writes a type with all that it needs.
func (c *cWriter) root(id kbtf.ID) {
	if c.err != nil {
		return
	}
	c.queue = c.queue[:0]
	if _, c.err = c.order(id, false); c.err != nil {
		return
	}
	for _, id := range c.queue {
		c.emit(id, 0)
	}
}

// descend bounds the recursion over types, in depth and in all.
func (c *cWriter) descend() bool {
	c.steps++
	if c.level++; c.level > maxNesting || c.steps > maxSteps {
		c.fail("the types are nested too deeply")
	}
	return c.err == nil
}

const (
	maxNesting = 1000
	maxSteps   = 1 << 23
)

// order appends to the queue what must be defined for a type, the needed first.
// strong says that the type itself must be defined, not only declared, where it
// is used: it is embedded, or it has no name by which it could be declared.
func (c *cWriter) order(id kbtf.ID, byPointer bool) (strong bool, err error) {
	defer func() { c.level-- }()
	if !c.descend() {
		return false, c.err
	}
	s, t := &c.state[id], &c.types[id]
	switch s.order {
	case finished:
		return true, nil
	case underWay:
		if t.Kind.IsComposite() && byPointer && t.Name != "" {
			return false, nil
		}
		return false, fmt.Errorf("type %d contains itself", id)
	}
	switch t.Kind {
	case kbtf.KindInt, kbtf.KindFloat, kbtf.KindFunc, kbtf.KindVar, kbtf.KindDatasec, kbtf.KindDeclTag:
		s.order = finished
	case kbtf.KindPtr:
		strong, err = c.order(t.Ref, true)
		s.order = finished
	case kbtf.KindArray:
		return c.order(t.Ref, false)
	case kbtf.KindVolatile, kbtf.KindConst, kbtf.KindRestrict, kbtf.KindTypeTag:
		return c.order(t.Ref, byPointer)
	case kbtf.KindStruct, kbtf.KindUnion:
		return c.orderMembers(id, byPointer)
	case kbtf.KindEnum, kbtf.KindEnum64, kbtf.KindFwd:
		if t.Name != "" || !s.referenced {
			c.queue = append(c.queue, id)
		}
		s.order = finished
		return true, nil
	case kbtf.KindTypedef:
		strong, err = c.order(t.Ref, byPointer)
		if err != nil || byPointer && !strong {
			return false, err
		}
		c.queue = append(c.queue, id)
		s.order = finished
		return true, nil
	case kbtf.KindFuncProto:
		return c.orderParams(t, byPointer)
	}
	return strong, err
}

func (c *cWriter) orderMembers(id kbtf.ID, byPointer bool) (strong bool, err error) {
	s, t := &c.state[id], &c.types[id]
	if byPointer && t.Name != "" {
		return false, nil
	}
	s.order = underWay
	for _, m := range t.Members {
		if _, err := c.order(m.Type, false); err != nil {
			return false, err
		}
	}
	if t.Name != "" {
		c.queue = append(c.queue, id)
	}
	s.order = finished
	return true, nil
}

func (c *cWriter) orderParams(t *kbtf.Type, byPointer bool) (strong bool, err error) {
	strong, err = c.order(t.Ref, byPointer)
	for i := 0; i < len(t.Members) && err == nil; i++ {
		var s bool
		s, err = c.order(t.Members[i].Type, byPointer)
		strong = strong || s
	}
	return strong, err
}

// emit writes the definition of a type, if container is 0, or else what must
// stand before the definition of container, which uses it.
func (c *cWriter) emit(id, container kbtf.ID) {
	defer func() { c.level-- }()
	if !c.descend() {
		return
	}
	s, t := &c.state[id], &c.types[id]
	switch s.emit {
	case finished:
		return
	case underWay:
		c.declareEarly(id, container)
		return
	}
	switch t.Kind {
	case kbtf.KindInt:
		if base, ok := missingTypes[c.tag(id)]; ok {
			c.printf("typedef %s %s;\n\n", base, t.Name)
		}
		s.emit = finished
	case kbtf.KindEnum, kbtf.KindEnum64:
		if container == 0 {
			c.enumeration(id, 0)
			c.print(";\n\n")
		}
		s.emit = finished
	case kbtf.KindPtr, kbtf.KindVolatile, kbtf.KindConst, kbtf.KindRestrict, kbtf.KindTypeTag, kbtf.KindArray:
		c.emit(t.Ref, container)
	case kbtf.KindFwd:
		c.printf("%s %s;\n\n", forwardKind(t), c.tag(id))
		s.emit = finished
	case kbtf.KindTypedef:
		s.emit = underWay
		c.emit(t.Ref, id)
		if !s.forward {
			c.typedef(id)
		}
		s.emit = finished
	case kbtf.KindStruct, kbtf.KindUnion:
		c.composite(id, container)
	case kbtf.KindFuncProto:
		c.emit(t.Ref, container)
		for _, m := range t.Members {
			c.emit(m.Type, container)
		}
	}
}

// missingTypes are names of GCC's own for Arm that other compilers lack.
var missingTypes = map[string]string{
	"__Poly8_t": "unsigned char", "__Poly16_t": "unsigned short",
	"__Poly64_t": "unsigned long long", "__Poly128_t": "unsigned __int128",
}

// declareEarly declares a type that is about to be defined, for one that it
// needs and that refers to it.
func (c *cWriter) declareEarly(id, container kbtf.ID) {
	s, t := &c.state[id], &c.types[id]
	if s.forward {
		return
	}
	switch t.Kind {
	case kbtf.KindStruct, kbtf.KindUnion:
		if id == container || t.Name == "" {
			return
		}
		c.printf("%s;\n\n", c.compositeName(id))
	case kbtf.KindTypedef:
		c.typedef(id)
	default:
		return
	}
	s.forward = true
}

// composite writes a structure or union, after what its members need; or only
// its declaration, where it is used by pointer.
func (c *cWriter) composite(id, container kbtf.ID) {
	s, t := &c.state[id], &c.types[id]
	s.emit = underWay
	if container == 0 || t.Name == "" {
		inside := id
		if t.Name == "" {
			inside = container
		}
		for _, m := range t.Members {
			c.emit(m.Type, inside)
		}
	} else if !s.forward && id != container {
		c.printf("%s;\n\n", c.compositeName(id))
		s.forward = true
	}
	if container != 0 {
		s.emit = untouched
		return
	}
	c.definition(id, 0)
	c.print(";\n\n")
	s.emit = finished
}

// typedef writes a typedef; compilers know what __builtin_va_list is.
func (c *cWriter) typedef(id kbtf.ID) {
	t := &c.types[id]
	if t.Name == "__builtin_va_list" {
		return
	}
	name := c.ident(id)
	if t.Ref == 0 && name == "__gnuc_va_list" { // as old GCCs have it
		c.print("typedef __builtin_va_list __gnuc_va_list;\n\n")
		return
	}
	c.print("typedef ")
	c.declare(t.Ref, name, 0)
	c.print(";\n\n")
}

// tag is the name of a structure, union, enum or integer, ident that of a
// typedef. A name that was used before gets a number.
func (c *cWriter) tag(id kbtf.ID) string   { return c.name(id, c.tags) }
func (c *cWriter) ident(id kbtf.ID) string { return c.name(id, c.idents) }

func (c *cWriter) name(id kbtf.ID, used map[string]int) string {
	s, t := &c.state[id], &c.types[id]
	if s.named || t.Name == "" {
		return s.name
	}
	s.named, s.name = true, t.Name
	if t.Kind == kbtf.KindFwd || t.Kind == kbtf.KindEnum && len(t.Values) == 0 {
		return s.name // a declaration may come again
	}
	s.name = numbered(t.Name, used)
	s.name = s.name[:min(len(s.name), maxCName)]
	return s.name
}

// maxCName is as long as libbpf lets a numbered name become.
const maxCName = 255

func numbered(name string, used map[string]int) string {
	used[name]++
	if n := used[name]; n > 1 {
		return fmt.Sprintf("%s___%d", name, n)
	}
	return name
}
