package insn

import (
	"fmt"
	"strings"
)

// An Assembler turns text into instructions. Its functions resolve names; the
// zero value knows no names and assembles everything that is written in numbers.
type Assembler struct {
	// Helper returns the id of the helper in "call bpf_map_lookup_elem".
	Helper func(name string) (id int32, ok bool)
	// Kfunc returns the BTF id of the kernel function in "call kfunc bpf_obj_new_impl"
	// and the index of its BTF in fd_array, zero for that of vmlinux.
	Kfunc func(name string) (id int32, btf int16, ok bool)
	// Map returns the file descriptor of the map in "r1 = map[flows] ll".
	Map func(name string) (fd int32, ok bool)
	// Internal accepts the instructions and the register that only rewritten programs hold.
	Internal bool
}

// A SyntaxError says where and why text could not be assembled.
type SyntaxError struct {
	Line   int // from 1
	Column int // in bytes, from 1
	Msg    string
}

// Error returns "line:column: message".
func (e *SyntaxError) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Msg) }

// Assemble returns the instructions that text describes, one a line, in the
// syntax of [Disassemble]; see the package documentation. The error is a
// [*SyntaxError]. It knows no names of helpers, kernel functions and maps:
// [Assembler] does.
func Assemble(text string) ([]Instruction, error) {
	var a Assembler
	return a.Assemble(text)
}

// Assemble returns the instructions that text describes.
func (a *Assembler) Assemble(text string) ([]Instruction, error) {
	p := parser{Assembler: a, labels: map[string]int{}}
	lines, err := p.lex(text)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		if err := p.parseLine(l); err != nil {
			err.Line = l.number
			return nil, err
		}
	}
	if err := p.resolveLabels(); err != nil {
		return nil, err
	}
	return p.prog, nil
}

// A line of the text without its labels.
type line struct {
	number int
	labels []string
	tokens []token
}

// A fixup is a jump to a label whose place is not known yet.
type fixup struct {
	slot int
	verb byte
	v    value
	line int
}

type parser struct {
	*Assembler
	labels map[string]int // slot; -1 before the line is parsed
	prog   []Instruction
	fixups []fixup

	// Of the line at hand:
	tokens []token
	values []value
	failed failure
}

// lex cuts the text into lines of tokens and collects the labels.
func (p *parser) lex(text string) (lines []line, _ error) {
	for n, s := range strings.Split(text, "\n") {
		tokens, err := lexLine(nil, s)
		if err == nil {
			l := line{number: n + 1, tokens: tokens}
			if err = p.takeLabels(&l); err == nil {
				if len(l.labels) > 0 || len(l.tokens) > 1 {
					lines = append(lines, l)
				}
				continue
			}
		}
		err.Line = n + 1
		return nil, err
	}
	return lines, nil
}

// takeLabels moves the labels that the line begins with out of its tokens.
func (p *parser) takeLabels(l *line) *SyntaxError {
	for l.tokens[0].kind == tokenWord && l.tokens[1].text == ":" {
		t := l.tokens[0]
		if _, ok := p.labels[t.text]; ok {
			return &SyntaxError{Column: t.col, Msg: fmt.Sprintf("label %q is already defined", t.text)}
		}
		if isReserved(t.text) {
			return &SyntaxError{Column: t.col, Msg: fmt.Sprintf("%q cannot be a label", t.text)}
		}
		p.labels[t.text] = -1
		l.labels = append(l.labels, t.text)
		l.tokens = l.tokens[2:]
	}
	return nil
}

// isReserved reports whether a label of that name could not be told from another operand.
func isReserved(name string) bool {
	_, isReg := parseReg(name, 'r', 16)
	_, isReg32 := parseReg(name, 'w', 16)
	return isReg || isReg32 || name == "pc" || name == "kfunc"
}

func (p *parser) parseLine(l line) *SyntaxError {
	for _, name := range l.labels {
		p.labels[name] = len(p.prog)
	}
	if len(l.tokens) == 1 {
		return nil
	}
	p.tokens, p.values, p.failed = l.tokens, p.values[:0], failure{}
	leaf := p.match(grammar(), 0)
	if leaf == nil {
		return p.failed.error(p.tokens)
	}
	if leaf.form.Group == GroupInternal && !p.Internal {
		return &SyntaxError{Column: l.tokens[0].col, Msg: leaf.form.Name + " is an instruction that only rewriting makes"}
	}
	b := binding{slots: slots{first: leaf.form.value}}
	for n, v := range p.values {
		verb := leaf.verbs[n]
		if v.label != "" {
			p.fixups = append(p.fixups, fixup{len(p.prog), verb, v, l.number})
			continue
		}
		if err := operands[verb].set(&b, v); err != nil {
			return &SyntaxError{Column: v.col, Msg: err.Error()}
		}
	}
	p.prog = append(p.prog, b.first)
	if leaf.form.Wide() {
		p.prog = append(p.prog, b.second)
	}
	return nil
}

// resolveLabels sets the targets of the jumps to labels.
func (p *parser) resolveLabels() error {
	for _, f := range p.fixups {
		b := binding{slots: slots{first: p.prog[f.slot]}}
		if err := operands[f.verb].set(&b, f.v.number(int64(p.labels[f.v.label]-f.slot-1))); err != nil {
			return &SyntaxError{f.line, f.v.col, fmt.Sprintf("label %q: %v", f.v.label, err)}
		}
		p.prog[f.slot] = b.first
	}
	return nil
}

// A failure is the place that the parser came to on a line that matches no template.
type failure struct {
	pos  int
	node *node  // what may follow
	msg  string // or what is wrong, where more is known
}

// fail keeps the failure that is furthest on.
func (p *parser) fail(pos int, n *node, msg string) {
	if f := &p.failed; pos > f.pos || pos == f.pos && (msg != "" || f.node == nil && f.msg == "") {
		*f = failure{pos, n, msg}
	}
}

func (f *failure) error(tokens []token) *SyntaxError {
	t := tokens[f.pos]
	switch {
	case f.msg != "":
		return &SyntaxError{Column: t.col, Msg: f.msg}
	case f.pos == 0:
		return &SyntaxError{Column: t.col, Msg: fmt.Sprintf("expected an instruction, found %s", t)}
	}
	return &SyntaxError{Column: t.col, Msg: fmt.Sprintf("expected %s, found %s", f.node.expected(), t)}
}

// match follows the tokens from pos through the grammar and returns the leaf at
// the end of the line, with the operands in p.values. Literal tokens go before
// operands. No template is long, which bounds the search.
func (p *parser) match(n *node, pos int) *leaf {
	t := p.tokens[pos]
	if t.kind == tokenEnd {
		if n.leaf == nil {
			p.fail(pos, n, "")
		}
		return n.leaf
	}
	if next := n.words[t.text]; next != nil {
		if leaf := p.match(next, pos+1); leaf != nil {
			return leaf
		}
	}
	p.fail(pos, n, "")
	depth := len(p.values)
	for _, e := range n.operands {
		v, width := p.operand(e.syntax, pos)
		if width == 0 {
			continue
		}
		p.values = append(p.values[:depth], v)
		if leaf := p.match(e.next, pos+width); leaf != nil {
			return leaf
		}
	}
	p.values = p.values[:depth]
	return nil
}
