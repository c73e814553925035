package insn

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// syntax is what an operand looks like in assembly.
type syntax uint8

const (
	syntaxNone      syntax = iota
	syntaxReg              // r1
	syntaxReg32            // w1
	syntaxNumber           // 1, -1, 0x1
	syntaxAddend           // +1, - 1
	syntaxTarget           // pc+1, +1, label
	syntaxFunc             // +1, pc+1, label
	syntaxHelper           // name, name#1, 1
	syntaxKfunc            // name, name#1, name#1@1
	syntaxKfuncName        // name that the resolver knows
	syntaxMap              // name
)

// syntaxNames says what was expected.
var syntaxNames = [...]string{
	syntaxReg:       "64-bit register r0 to r10",
	syntaxReg32:     "32-bit register w0 to w10",
	syntaxNumber:    "number",
	syntaxAddend:    "+ or - and a number",
	syntaxTarget:    "pc+N, pc-N or a label",
	syntaxFunc:      "+N, -N or a label",
	syntaxHelper:    "helper name#id or id",
	syntaxKfunc:     "kernel function name#id",
	syntaxKfuncName: "kernel function name",
	syntaxMap:       "map name",
}

// A node of the grammar is what has been read of an instruction: a prefix of one
// or more templates.
type node struct {
	words    map[string]*node // by literal token
	operands []edge           // in the order in which they are tried
	leaf     *leaf            // where the line may end here
}

type edge struct {
	syntax syntax
	next   *node
}

// A leaf is the form that a line has, and the directives of its operands.
type leaf struct {
	form  *Form
	verbs []byte
}

// grammar returns the tree of all templates.
var grammar = sync.OnceValue(buildGrammar)

func buildGrammar() *node {
	root := &node{}
	for op := range table {
		for n := range table[op] {
			f := &table[op][n]
			if !f.defined() {
				continue
			}
			for _, text := range append([]string{f.text}, f.alt...) {
				root.add(f, text)
			}
		}
	}
	return root
}

// add makes the path for a template.
func (n *node) add(f *Form, text string) {
	var verbs []byte
	for _, e := range splitTemplate(text) {
		if e.verb != 0 {
			verbs = append(verbs, e.verb)
			n = n.operand(operands[e.verb].syntax)
			continue
		}
		tokens, err := lexLine(nil, e.lit)
		if err != nil {
			panic("insn: form " + f.Name + ": " + err.Error())
		}
		for _, t := range tokens[:len(tokens)-1] {
			n = n.word(t.text)
		}
	}
	if n.leaf != nil && n.leaf.form != f {
		panic("insn: forms " + f.Name + " and " + n.leaf.form.Name + " have the same syntax")
	}
	n.leaf = &leaf{f, verbs}
}

// word returns the node behind a literal token.
func (n *node) word(text string) *node {
	if n.words == nil {
		n.words = map[string]*node{}
	}
	if n.words[text] == nil {
		n.words[text] = &node{}
	}
	return n.words[text]
}

// operand returns the node behind an operand.
func (n *node) operand(s syntax) *node {
	for _, e := range n.operands {
		if e.syntax == s {
			return e.next
		}
	}
	n.operands = append(n.operands, edge{s, &node{}})
	slices.SortFunc(n.operands, func(a, b edge) int { return int(a.syntax) - int(b.syntax) })
	return n.operand(s)
}

// expected describes what may follow the node.
func (n *node) expected() string {
	var parts []string
	for _, e := range n.operands {
		parts = append(parts, syntaxNames[e.syntax])
	}
	const atMost = 14 // all operators of arithmetic; after "r1 =" there are twice as many
	if len(n.words) <= atMost {
		for _, w := range slices.Sorted(maps.Keys(n.words)) {
			parts = append(parts, strconv.Quote(w))
		}
	} else {
		parts = append(parts, "one of many words")
	}
	if n.leaf != nil {
		parts = append(parts, "end of line")
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " or " + parts[len(parts)-1]
}
