package btfdump

import (
	"strings"

	"github.com/skep-ebpf/skep/internal/kbtf"
)

// maxIndent is as far as lines are indented.
const maxIndent = 13

func indent(level int) string { return strings.Repeat("\t", min(level, maxIndent)) }

// spaced is a name with a space before it, if there is one.
func spaced(name string) string {
	if name == "" {
		return ""
	}
	return " " + name
}

// compositeName is "struct name" or "union name".
func (c *cWriter) compositeName(id kbtf.ID) string {
	if c.types[id].Kind == kbtf.KindStruct {
		return "struct" + spaced(c.tag(id))
	}
	return "union" + spaced(c.tag(id))
}

// definition writes a structure or union with its members, and with padding
// where the compiler would lay them out otherwise.
func (c *cWriter) definition(id kbtf.ID, level int) {
	defer func() { c.level-- }()
	if !c.descend() {
		return
	}
	t := &c.types[id]
	isStruct := t.Kind == kbtf.KindStruct
	packed := isStruct && c.packed(t)
	c.print(c.compositeName(id) + " {")
	end, inBits := uint64(0), false
	for _, m := range t.Members {
		align := uint64(1)
		if !packed {
			align = uint64(c.align(m.Type))
		}
		c.padding(end, uint64(m.Offset), align, inBits && m.Bits != 0, level+1)
		c.print("\n" + indent(level+1))
		c.declare(m.Type, m.Name, level+1)
		if inBits = m.Bits != 0; inBits {
			c.printf(": %d", m.Bits)
			end = uint64(m.Offset) + uint64(m.Bits)
		} else {
			end = uint64(m.Offset) + 8*c.size(m.Type)
		}
		c.print(";")
	}
	if isStruct {
		c.padding(end, 8*uint64(t.Size), uint64(c.align(id)), false, level+1)
	}
	if len(t.Members) > 0 || t.Size > 0 {
		c.print("\n" + indent(level))
	}
	c.print("}")
	if packed {
		c.print(" __attribute__((packed))")
	}
}

// pads are the types of padding, the largest first.
var pads = []struct {
	name string
	bits uint64
}{{"long", 64}, {"int", 32}, {"short", 16}, {"char", 8}}

// padding fills the bits between two members with unnamed bit-fields of the
// largest type that helps. What the compiler leaves free of itself, since the
// next member is aligned so, is not written.
func (c *cWriter) padding(from, to, align uint64, inBits bool, level int) {
	if from >= to {
		return
	}
	i := 0
	for i < len(pads)-1 && roundUp(from, pads[i].bits) > to {
		i++
	}
	pad := pads[i]
	if next := roundUp(from, pad.bits); next > from && next <= to {
		switch {
		case inBits:
			c.pad(pad.name, next-from, level)
		case next == to && roundUp(from, 8*align) != next, next != to && to-next <= next-from:
			c.pad(pad.name, 0, level)
		}
		from = next
	}
	for ; to-from >= pad.bits && c.err == nil; from += pad.bits {
		c.pad(pad.name, pad.bits, level)
	}
	if rest := to - from; rest > 0 && c.err == nil {
		i := len(pads) - 1
		for pads[i].bits < rest {
			i--
		}
		c.pad(pads[i].name, rest, level)
	}
}

func (c *cWriter) pad(name string, bits uint64, level int) {
	if c.steps++; c.steps > maxSteps {
		c.fail("the structures have too large holes")
	}
	c.printf("\n%s%s: %d;", indent(level), name, bits)
}

func roundUp(n, to uint64) uint64 {
	if to == 0 {
		return n
	}
	return (n + to - 1) / to * to
}

// enumeration writes an enum with its values.
func (c *cWriter) enumeration(id kbtf.ID, level int) {
	t := &c.types[id]
	c.print("enum" + spaced(c.tag(id)))
	if len(t.Values) == 0 {
		return
	}
	c.print(" {")
	for _, v := range t.Values {
		c.printf("\n%s%s = ", indent(level+1), numbered(v.Name, c.idents))
		switch {
		case t.Kind == kbtf.KindEnum && t.KindFlag:
			c.printf("%d,", int64(v.N))
		case t.Kind == kbtf.KindEnum:
			c.printf("%d,", v.N)
		case t.KindFlag:
			c.printf("%dLL,", int64(v.N))
		default:
			c.printf("%dULL,", v.N)
		}
	}
	c.print("\n" + indent(level) + "}")
}

// chain is what a declaration goes through from the declared to its base type:
// pointers, qualifiers, arrays, prototypes. C is written from its end.
type chain struct{ ids []kbtf.ID }

func (ch *chain) empty() bool { return len(ch.ids) == 0 }

// top is the type at the end.
func (ch *chain) top() kbtf.ID { return ch.ids[len(ch.ids)-1] }

func (ch *chain) pop() kbtf.ID {
	id := ch.top()
	ch.ids = ch.ids[:len(ch.ids)-1]
	return id
}

// declare writes the declaration of a name, which may be empty.
func (c *cWriter) declare(id kbtf.ID, name string, level int) {
	defer func() { c.level-- }()
	if !c.descend() {
		return
	}
	var ch chain
	for {
		if ch.ids = append(ch.ids, id); len(ch.ids) > maxNesting {
			c.fail("a type leads to itself")
			return
		}
		t := &c.types[id]
		if id == 0 || !linksOn(t.Kind) {
			break
		}
		id = t.Ref
	}
	c.chain(&ch, name, level)
}

// linksOn has the kinds after which a declaration goes on with another type.
func linksOn(k kbtf.Kind) bool {
	switch k {
	case kbtf.KindPtr, kbtf.KindVolatile, kbtf.KindConst, kbtf.KindRestrict, kbtf.KindFuncProto, kbtf.KindTypeTag, kbtf.KindArray:
		return true
	}
	return false
}

var qualifiers = map[kbtf.Kind]string{
	kbtf.KindVolatile: "volatile", kbtf.KindConst: "const", kbtf.KindRestrict: "restrict",
}

// leading writes the qualifiers at the end of the chain, which stand before the
// base type.
func (c *cWriter) leading(ch *chain) {
	for !ch.empty() {
		q, ok := qualifiers[c.types[ch.top()].Kind]
		if !ok {
			return
		}
		c.print(q + " ")
		ch.pop()
	}
}

// dropQualifiers forgets qualifiers that mean nothing: of arrays and functions.
func (c *cWriter) dropQualifiers(ch *chain) {
	for !ch.empty() {
		if k := c.types[ch.top()].Kind; qualifiers[k] == "" && k != kbtf.KindTypeTag {
			return
		}
		ch.pop()
	}
}

// chain writes a chain and the name in its place. No space stands between the
// asterisk of a pointer and what follows.
func (c *cWriter) chain(ch *chain, name string, level int) {
	defer func() { c.level-- }()
	if !c.descend() {
		return
	}
	pointer := true
	for !ch.empty() {
		id := ch.pop()
		t := &c.types[id]
		switch t.Kind {
		case kbtf.KindArray:
			c.arrayOf(ch, t, name, pointer, level)
			return
		case kbtf.KindFuncProto:
			c.function(ch, t, name, pointer, level)
			return
		case kbtf.KindPtr:
			if !pointer {
				c.print(" ")
			}
			c.print("*")
		case kbtf.KindVolatile, kbtf.KindConst, kbtf.KindRestrict:
			c.print(" " + qualifiers[t.Kind])
		default:
			if !c.base(ch, id, level) {
				return
			}
		}
		pointer = t.Kind == kbtf.KindPtr
	}
	c.declarator(name, pointer)
}

// declarator writes a name after what is before it.
func (c *cWriter) declarator(name string, pointer bool) {
	if pointer {
		c.print(name)
	} else {
		c.print(spaced(name))
	}
}

// base writes the type that a declaration begins with.
func (c *cWriter) base(ch *chain, id kbtf.ID, level int) bool {
	t := &c.types[id]
	c.leading(ch)
	switch t.Kind {
	case kbtf.KindVoid:
		c.print("void")
	case kbtf.KindInt, kbtf.KindFloat:
		c.print(t.Name)
	case kbtf.KindStruct, kbtf.KindUnion:
		if t.Name == "" {
			c.definition(id, level)
		} else {
			c.print(c.compositeName(id))
		}
	case kbtf.KindEnum, kbtf.KindEnum64:
		if t.Name == "" {
			c.enumeration(id, level)
		} else {
			c.print("enum " + c.tag(id))
		}
	case kbtf.KindFwd:
		c.print(forwardKind(t) + " " + c.tag(id))
	case kbtf.KindTypedef:
		c.print(c.ident(id))
	case kbtf.KindTypeTag:
		c.printf(" __attribute__((btf_type_tag(\"%s\")))", t.Name)
	default:
		return false // a function or variable: nothing is declared of them
	}
	return true
}

// arrayOf writes an array: what it is an array of was written, the rest of the
// chain is around its name.
func (c *cWriter) arrayOf(ch *chain, t *kbtf.Type, name string, pointer bool, level int) {
	c.dropQualifiers(ch)
	if ch.empty() {
		c.declarator(name, pointer)
		c.printf("[%d]", t.Elems)
		return
	}
	if name != "" && !pointer {
		c.print(" ")
	}
	nested := c.types[ch.top()].Kind == kbtf.KindArray
	if !nested {
		c.print("(")
	}
	c.chain(ch, name, level)
	if !nested {
		c.print(")")
	}
	c.printf("[%d]", t.Elems)
}

// function writes a prototype: what it returns was written.
func (c *cWriter) function(ch *chain, t *kbtf.Type, name string, pointer bool, level int) {
	c.dropQualifiers(ch)
	if ch.empty() {
		c.declarator(name, pointer)
	} else {
		c.print(" (")
		c.chain(ch, name, level)
		c.print(")")
	}
	c.print("(")
	n := len(t.Members)
	if n == 0 || n == 1 && t.Members[0].Type == 0 {
		c.print("void)")
		return
	}
	for i, m := range t.Members {
		if i > 0 {
			c.print(", ")
		}
		if i == n-1 && m.Type == 0 {
			c.print("...")
		} else {
			c.declare(m.Type, m.Name, level)
		}
	}
	c.print(")")
}
