package main

import (
	"fmt"
	"slices"
	"strings"
)

// cpp is a C preprocessor that is just large enough for the tree: object-like
// and function-like macros, # and ##, conditionals. Includes are left out; the
// caller reads the headers that matter first.
type cpp struct {
	macros map[string]*macro
	eval   func([]token) (int64, error)
}

type macro struct {
	function bool
	params   []string
	body     []token
}

// run preprocesses source: directives take effect, and the tokens of the other
// lines are returned, expanded.
func (p *cpp) run(src string) ([]token, error) {
	all, err := lex(src)
	if err != nil {
		return nil, err
	}
	var text, out []token
	var conds []cond
	for len(all) > 0 {
		end := slices.IndexFunc(all, func(t token) bool { return t.kind == newline })
		line := all
		if end >= 0 {
			line, all = all[:end], all[end+1:]
		} else {
			all = nil
		}
		if len(line) > 0 && line[0].kind == punct && line[0].text == "#" {
			// What came before was written with the macros of that place.
			out, text = append(out, p.expand(text)...), nil
			if err := p.directive(line[1:], &conds); err != nil {
				return nil, err
			}
		} else if active(conds) {
			text = append(text, line...)
		}
	}
	return append(out, p.expand(text)...), nil
}

type cond struct{ on, taken bool }

func active(c []cond) bool {
	for _, x := range c {
		if !x.on {
			return false
		}
	}
	return true
}

func (p *cpp) directive(line []token, conds *[]cond) error {
	if len(line) == 0 {
		return nil
	}
	top := len(*conds) - 1
	switch line[0].text {
	case "if", "ifdef", "ifndef":
		on := active(*conds) && p.condition(line)
		*conds = append(*conds, cond{on, on})
	case "elif":
		if top >= 0 {
			c := &(*conds)[top]
			c.on = !c.taken && active((*conds)[:top]) && p.condition(append([]token{{kind: ident, text: "if"}}, line[1:]...))
			c.taken = c.taken || c.on
		}
	case "else":
		if top >= 0 {
			c := &(*conds)[top]
			c.on = !c.taken && active((*conds)[:top])
			c.taken = true
		}
	case "endif":
		if top >= 0 {
			*conds = (*conds)[:top]
		}
	case "define":
		if active(*conds) {
			return p.define(line[1:])
		}
	case "undef":
		if active(*conds) && len(line) > 1 {
			delete(p.macros, line[1].text)
		}
	}
	return nil
}

func (p *cpp) condition(line []token) bool {
	switch line[0].text {
	case "ifdef", "ifndef":
		_, ok := p.macros[line[1].text]
		return ok == (line[0].text == "ifdef")
	}
	v, err := p.eval(p.expand(p.defined(line[1:])))
	return err == nil && v != 0
}

// defined replaces defined(X).
func (p *cpp) defined(ts []token) (out []token) {
	for i := 0; i < len(ts); i++ {
		if ts[i].text != "defined" {
			out = append(out, ts[i])
			continue
		}
		i++
		if i < len(ts) && ts[i].text == "(" {
			i++
		}
		v := "0"
		if i < len(ts) && p.macros[ts[i].text] != nil {
			v = "1"
		}
		if i+1 < len(ts) && ts[i+1].text == ")" {
			i++
		}
		out = append(out, token{kind: number, text: v})
	}
	return out
}

func (p *cpp) define(line []token) error {
	if len(line) == 0 || line[0].kind != ident {
		return fmt.Errorf("#define without a name")
	}
	m := &macro{}
	rest := line[1:]
	if len(rest) > 0 && rest[0].text == "(" && !rest[0].space {
		m.function = true
		i := 1
		for ; i < len(rest) && rest[i].text != ")"; i++ {
			if rest[i].kind == ident || rest[i].text == "..." {
				m.params = append(m.params, rest[i].text)
			}
		}
		rest = rest[min(i+1, len(rest)):]
	}
	m.body = rest
	p.macros[line[0].text] = m
	return nil
}

// maxTokens bounds what macros may grow to.
const maxTokens = 4 << 20

// expand replaces macros until there are none left.
func (p *cpp) expand(in []token) (out []token) {
	work := slices.Clone(in)
	slices.Reverse(work) // a stack: the next token is last
	for len(work) > 0 && len(out) < maxTokens {
		t := work[len(work)-1]
		work = work[:len(work)-1]
		m := p.macros[t.text]
		if t.kind != ident || m == nil || slices.Contains(t.hidden, t.text) {
			out = append(out, t)
			continue
		}
		var args [][]token
		if m.function {
			n, a, ok := arguments(work)
			if !ok {
				out = append(out, t)
				continue
			}
			args, work = a, work[:len(work)-n]
		}
		body := p.substitute(m, args)
		for i := len(body) - 1; i >= 0; i-- {
			b := body[i]
			b.hidden = append(slices.Clip(b.hidden), t.hidden...)
			b.hidden = append(b.hidden, t.text)
			work = append(work, b)
		}
	}
	return out
}

// arguments reads a parenthesised list off the stack.
func arguments(stack []token) (n int, args [][]token, ok bool) {
	at := func(i int) token { return stack[len(stack)-1-i] }
	if len(stack) == 0 || at(0).text != "(" || at(0).kind != punct {
		return 0, nil, false
	}
	level := 0
	cur := []token{}
	for i := range stack {
		t := at(i)
		if t.kind == punct {
			switch t.text {
			case "(", "{", "[":
				level++
				if level == 1 {
					continue
				}
			case ")", "}", "]":
				level--
				if level == 0 {
					return i + 1, append(args, cur), true
				}
			case ",":
				if level == 1 {
					args, cur = append(args, cur), []token{}
					continue
				}
			}
		}
		cur = append(cur, t)
	}
	return 0, nil, false
}

func (p *cpp) substitute(m *macro, args [][]token) (out []token) {
	arg := func(name string) ([]token, bool) {
		if i := slices.Index(m.params, name); i >= 0 && i < len(args) {
			return args[i], true
		}
		return nil, false
	}
	for i := 0; i < len(m.body); i++ {
		t := m.body[i]
		if t.text == "#" && t.kind == punct && i+1 < len(m.body) {
			if a, ok := arg(m.body[i+1].text); ok {
				out = append(out, token{kind: str, text: spell(a), space: t.space})
				i++
				continue
			}
		}
		pasted := i+1 < len(m.body) && m.body[i+1].text == "##" || len(out) > 0 && i > 0 && m.body[i-1].text == "##"
		if t.text == "##" && t.kind == punct {
			continue
		}
		var piece []token
		if a, ok := arg(t.text); ok && t.kind == ident {
			piece = a
			if !pasted {
				piece = p.expand(a)
			}
		} else {
			piece = []token{t}
		}
		if i > 0 && m.body[i-1].text == "##" && len(out) > 0 && len(piece) > 0 {
			last := &out[len(out)-1]
			last.text += piece[0].text
			last.hidden = nil
			piece = piece[1:]
		}
		out = append(out, slices.Clone(piece)...)
	}
	return out
}

func spell(ts []token) string {
	var b strings.Builder
	for i, t := range ts {
		if t.space && i > 0 {
			b.WriteByte(' ')
		}
		if t.kind == str {
			b.WriteString(`"` + t.text + `"`)
		} else {
			b.WriteString(t.text)
		}
	}
	return b.String()
}
