package insn

import (
	"fmt"
	"strconv"
	"strings"
)

// A token is a word, number or operator of one line of assembly.
type token struct {
	kind tokenKind
	text string
	col  int    // byte column, from 1
	sign byte   // of a number that has one, '+' or '-'
	mag  uint64 // magnitude of a number
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota // end of the line
	tokenWord
	tokenNumber
	tokenOp
)

// String describes the token as it is found in error messages.
func (t token) String() string {
	if t.kind == tokenEnd {
		return "end of line"
	}
	return strconv.Quote(t.text)
}

// operators that consist of several characters, longest first.
var operators = []string{
	"s>>=", ">>=", "<<=", "s>=", "s<=", "s/=", "s%=",
	"+=", "-=", "*=", "/=", "|=", "&=", "%=", "^=", "==", "!=", ">=", "<=", "s>", "s<",
}

// simple are the operators of one character.
const simple = "=<>&+-*()[],#:@"

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '.' || c == '$' || isDigit(c)
}

// lexLine appends the tokens of a line, without comment, and one of kind tokenEnd.
func lexLine(tokens []token, line string) ([]token, *SyntaxError) {
	for pos := 0; ; {
		for pos < len(line) && (line[pos] == ' ' || line[pos] == '\t' || line[pos] == '\r') {
			pos++
		}
		rest := line[pos:]
		if rest == "" || rest[0] == ';' || strings.HasPrefix(rest, "//") || rest[0] == '#' && len(tokens) == 0 {
			return append(tokens, token{kind: tokenEnd, col: pos + 1}), nil
		}
		t, err := lexToken(rest)
		if err != "" {
			return nil, &SyntaxError{Column: pos + 1, Msg: err}
		}
		t.col = pos + 1
		tokens = append(tokens, t)
		pos += len(t.text)
	}
}

// lexToken returns the token that s begins with.
func lexToken(s string) (token, string) {
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return token{kind: tokenOp, text: op}, ""
		}
	}
	signed := len(s) > 1 && (s[0] == '+' || s[0] == '-') && isDigit(s[1])
	switch {
	case signed || isDigit(s[0]):
		return lexNumber(s, signed)
	case isWord(s[0]):
		return token{kind: tokenWord, text: word(s)}, ""
	case strings.IndexByte(simple, s[0]) >= 0:
		return token{kind: tokenOp, text: s[:1]}, ""
	}
	r := []rune(s[:min(len(s), 4)])[0]
	return token{}, fmt.Sprintf("character %q has no meaning here", r)
}

// word returns the run of word characters that s begins with.
func word(s string) string {
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return s[:n]
}

func lexNumber(s string, signed bool) (token, string) {
	t := token{kind: tokenNumber}
	digits := s
	if signed {
		t.sign, digits = s[0], s[1:]
	}
	digits = word(digits)
	mag, err := strconv.ParseUint(digits, 0, 64)
	if err != nil {
		return t, fmt.Sprintf("%q is not a number of at most 64 bits", digits)
	}
	t.mag, t.text = mag, s[:len(digits)+boolInt(signed)]
	return t, ""
}
