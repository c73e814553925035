package main

import (
	"fmt"
	"strconv"
	"strings"
)

// value is an initialiser: a number, a string, a name that is neither, or a
// list with designators.
type value struct {
	num    int64
	text   string
	isText bool
	name   string // of a function, or of what could not be evaluated
	list   []item
	isList bool
}

type item struct {
	field string // designated by name
	index int64  // or by number, -1 without
	v     value
}

// field finds a designated member, the last one of that name.
func (v *value) field(name string) *value {
	for i := len(v.list) - 1; i >= 0; i-- {
		if v.list[i].field == name {
			return &v.list[i].v
		}
	}
	return nil
}

func (v *value) number(name string) int64 {
	if f := v.field(name); f != nil {
		return f.num
	}
	return 0
}

// ints is a list of numbers, by position or designator.
func (v *value) ints(name string) []int64 {
	f := v.field(name)
	if f == nil {
		return nil
	}
	var out []int64
	for _, it := range f.list {
		if it.index >= 0 {
			for int64(len(out)) < it.index && it.index < 1<<16 {
				out = append(out, 0)
			}
		}
		out = append(out, it.v.num)
	}
	return out
}

// parser reads initialisers off preprocessed tokens.
type parser struct {
	ts  []token
	at  int
	env *env
}

// env is what names mean.
type env struct {
	consts map[string]int64
	offset func(structure, member string) (int64, error)
	end    func(structure, member string) (int64, error)
	size   func(typ string) (int64, error)
}

func (p *parser) peek() token {
	for p.at < len(p.ts) && p.ts[p.at].kind == newline {
		p.at++
	}
	if p.at < len(p.ts) {
		return p.ts[p.at]
	}
	return token{kind: punct}
}

func (p *parser) next() token {
	t := p.peek()
	p.at++
	return t
}

func (p *parser) is(text string) bool {
	t := p.peek()
	return t.kind == punct && t.text == text
}

func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(text string) error {
	if !p.accept(text) {
		return fmt.Errorf("%q where %q was expected", p.peek().text, text)
	}
	return nil
}

// initialiser reads an expression or a braced list.
func (p *parser) initialiser() (value, error) {
	if !p.is("{") {
		return p.expression(0)
	}
	p.at++
	v := value{isList: true}
	for !p.accept("}") {
		it := item{index: -1}
		switch {
		case p.accept("."):
			it.field = p.next().text
			if err := p.want("="); err != nil {
				return v, err
			}
		case p.accept("["):
			n, err := p.expression(0)
			if err != nil {
				return v, err
			}
			it.index = n.num
			if err := p.want("]"); err != nil {
				return v, err
			}
			if err := p.want("="); err != nil {
				return v, err
			}
		}
		var err error
		if it.v, err = p.initialiser(); err != nil {
			return v, err
		}
		v.list = append(v.list, it)
		if !p.accept(",") && !p.is("}") {
			return v, fmt.Errorf("%q in a list", p.peek().text)
		}
	}
	return v, nil
}

// binary operators by precedence.
var precedence = map[string]int{
	"?": 1, "||": 2, "&&": 3, "|": 4, "^": 5, "&": 6, "==": 7, "!=": 7,
	"<": 8, ">": 8, "<=": 8, ">=": 8, "<<": 9, ">>": 9, "+": 10, "-": 10, "*": 11, "/": 11, "%": 11,
}

func (p *parser) expression(level int) (value, error) {
	left, err := p.unary()
	for err == nil {
		op := p.peek()
		prec := precedence[op.text]
		if op.kind != punct || prec == 0 || prec <= level {
			return left, nil
		}
		p.at++
		if op.text == "?" {
			left, err = p.conditional(left)
			continue
		}
		var right value
		if right, err = p.expression(prec); err == nil {
			left, err = apply(op.text, left, right)
		}
	}
	return left, err
}

func (p *parser) conditional(c value) (value, error) {
	a, err := p.expression(0)
	if err != nil {
		return a, err
	}
	if err := p.want(":"); err != nil {
		return a, err
	}
	b, err := p.expression(0)
	if c.num != 0 {
		return a, err
	}
	return b, err
}

func apply(op string, a, b value) (value, error) {
	x, y := a.num, b.num
	truth := func(v bool) value {
		if v {
			return value{num: 1}
		}
		return value{}
	}
	switch op {
	case "|":
		return value{num: x | y}, nil
	case "^":
		return value{num: x ^ y}, nil
	case "&":
		return value{num: x & y}, nil
	case "+":
		return value{num: x + y}, nil
	case "-":
		return value{num: x - y}, nil
	case "*":
		return value{num: x * y}, nil
	case "<<":
		return value{num: x << uint64(y&63)}, nil
	case ">>":
		return value{num: int64(uint64(x) >> uint64(y&63))}, nil
	case "==":
		return truth(x == y), nil
	case "!=":
		return truth(x != y), nil
	case "<":
		return truth(x < y), nil
	case ">":
		return truth(x > y), nil
	case "<=":
		return truth(x <= y), nil
	case ">=":
		return truth(x >= y), nil
	case "&&":
		return truth(x != 0 && y != 0), nil
	case "||":
		return truth(x != 0 || y != 0), nil
	case "/", "%":
		if y == 0 {
			return value{}, fmt.Errorf("division by zero")
		}
		if op == "/" {
			return value{num: x / y}, nil
		}
		return value{num: x % y}, nil
	}
	return value{}, fmt.Errorf("operator %s", op)
}

func (p *parser) unary() (value, error) {
	t := p.next()
	switch {
	case t.kind == number:
		n, err := parseNumber(t.text)
		return value{num: n}, err
	case t.kind == char && len(t.text) == 1:
		return value{num: int64(t.text[0])}, nil
	case t.kind == str:
		v := value{isText: true, text: t.text}
		for p.peek().kind == str {
			v.text += p.next().text
		}
		return v, nil
	case t.kind == ident:
		return p.named(t.text)
	case t.text == "(":
		return p.parenthesis()
	case t.text == "-", t.text == "~", t.text == "!", t.text == "+", t.text == "&":
		v, err := p.unary()
		switch t.text {
		case "-":
			v.num = -v.num
		case "~":
			v.num = ^v.num
		case "!":
			r, _ := apply("==", v, value{})
			v.num = r.num
		}
		return v, err
	}
	return value{}, fmt.Errorf("%q in an expression", t.text)
}

func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseUint(strings.TrimRight(strings.ToLower(s), "ul"), 0, 64)
	if err != nil {
		return 0, fmt.Errorf("number %q", s)
	}
	return int64(n), nil
}

// integer types that a cast may name, with their sizes; negative: signed.
var casts = map[string]int{
	"__u8": 1, "__u16": 2, "__u32": 4, "__u64": 8, "__s8": -1, "__s16": -2, "__s32": -4, "__s64": -8,
	"u8": 1, "u16": 2, "u32": 4, "u64": 8, "int": -4, "uint32_t": 4, "uint64_t": 8, "int32_t": -4, "long": -8, "unsigned": 4,
}

func (p *parser) parenthesis() (value, error) {
	t := p.peek()
	_, isCast := casts[t.text]
	if t.kind == ident && (isCast || t.text == "struct" || t.text == "enum" || t.text == "const") {
		var words []string
		for !p.is(")") && p.at < len(p.ts) {
			words = append(words, p.next().text)
		}
		p.at++
		if p.is("{") {
			return p.initialiser()
		}
		v, err := p.unary()
		return cast(v, words), err
	}
	v, err := p.expression(0)
	if p.is("{") || err != nil {
		return v, err
	}
	return v, p.want(")")
}

func cast(v value, words []string) value {
	switch casts[words[len(words)-1]] {
	case 1:
		v.num = int64(uint8(v.num))
	case 2:
		v.num = int64(uint16(v.num))
	case 4:
		v.num = int64(uint32(v.num))
	case -1:
		v.num = int64(int8(v.num))
	case -2:
		v.num = int64(int16(v.num))
	case -4:
		v.num = int64(int32(v.num))
	}
	return v
}

func (p *parser) named(name string) (value, error) {
	switch name {
	case "offsetof":
		return p.offsetof(p.env.offset)
	case "offsetofend":
		return p.offsetof(p.env.end)
	case "sizeof":
		text, err := p.rawParenthesis()
		if err != nil {
			return value{}, err
		}
		n, err := p.env.size(text)
		return value{num: n}, err
	}
	if n, ok := p.env.consts[name]; ok {
		return value{num: n}, nil
	}
	return value{name: name}, nil
}

func (p *parser) offsetof(of func(structure, member string) (int64, error)) (value, error) {
	text, err := p.rawParenthesis()
	if err != nil {
		return value{}, err
	}
	typ, member, ok := strings.Cut(text, ",")
	if !ok {
		return value{}, fmt.Errorf("offsetof(%s)", text)
	}
	n, err := of(strings.TrimSpace(strings.TrimPrefix(typ, "struct ")), strings.TrimSpace(member))
	return value{num: n}, err
}

// rawParenthesis reads what stands in parentheses as text.
func (p *parser) rawParenthesis() (string, error) {
	if err := p.want("("); err != nil {
		return "", err
	}
	var b strings.Builder
	for level := 1; p.at < len(p.ts); {
		t := p.next()
		if t.kind == punct {
			switch t.text {
			case "(":
				level++
			case ")":
				if level--; level == 0 {
					return b.String(), nil
				}
			}
		}
		if b.Len() > 0 && t.kind == ident {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return "", fmt.Errorf("a parenthesis without an end")
}
