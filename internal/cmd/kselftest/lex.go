package main

import (
	"fmt"
	"strings"
)

// token is one preprocessing token of C.
type token struct {
	kind  kind
	text  string // strings without quotes, escapes resolved
	space bool   // white space before it
	// hidden names macros that the token came out of: they are not expanded
	// again in it.
	hidden []string
}

type kind uint8

const (
	ident kind = iota
	number
	str
	char
	punct
	newline
)

// puncts are those of more than one character, longest first.
var puncts = []string{"...", "<<=", ">>=", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "##", "->", "++", "--", "+=", "-=", "|=", "&="}

// lex cuts C source into tokens. Comments become white space, and continued
// lines are joined.
func lex(src string) ([]token, error) {
	src = strings.ReplaceAll(src, "\\\r\n", " ")
	src = strings.ReplaceAll(src, "\\\n", " ")
	var out []token
	space := false
	for i := 0; i < len(src); {
		c := src[i]
		start := i
		t := token{space: space}
		switch {
		case c == '\n':
			t.kind, i = newline, i+1
		case c == ' ' || c == '\t' || c == '\r' || c == '\f':
			space, i = true, i+1
			continue
		case strings.HasPrefix(src[i:], "//"):
			for i < len(src) && src[i] != '\n' {
				i++
			}
			space = true
			continue
		case strings.HasPrefix(src[i:], "/*"):
			end := strings.Index(src[i+2:], "*/")
			if end < 0 {
				return nil, fmt.Errorf("a comment without an end")
			}
			i += end + 4
			space = true
			continue
		case isAlpha(c):
			for i < len(src) && (isAlpha(src[i]) || isDigit(src[i])) {
				i++
			}
			t.kind, t.text = ident, src[start:i]
		case isDigit(c):
			for i < len(src) && (isAlpha(src[i]) || isDigit(src[i])) {
				i++
			}
			t.kind, t.text = number, src[start:i]
		case c == '"' || c == '\'':
			text, n, err := quoted(src[i:])
			if err != nil {
				return nil, err
			}
			i += n
			t.kind, t.text = str, text
			if c == '\'' {
				t.kind = char
			}
		default:
			t.kind, t.text = punct, string(c)
			for _, p := range puncts {
				if strings.HasPrefix(src[i:], p) {
					t.text = p
					break
				}
			}
			i += len(t.text)
		}
		out = append(out, t)
		space = false
	}
	return out, nil
}

func isAlpha(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '"': '"', '\'': '\'', '0': 0}

func quoted(s string) (text string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), i + 1, nil
		case s[i] == '\\' && i+1 < len(s):
			i++
			if e, ok := escapes[s[i]]; ok {
				b.WriteByte(e)
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0, fmt.Errorf("a string without an end")
}
