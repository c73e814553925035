package main

import (
	"fmt"
	"strings"
)

// words are the arguments of a command in bpftool's grammar: keywords, each
// followed by its value.
type words struct{ rest []string }

func (w *words) empty() bool { return len(w.rest) == 0 }

// is says whether the next word is a keyword, and takes it.
func (w *words) is(keyword string) bool {
	if w.empty() || w.rest[0] != keyword {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

// value takes the value of a keyword.
func (w *words) value(keyword string) (string, error) {
	if w.empty() {
		return "", fmt.Errorf("%s: its value is missing", keyword)
	}
	v := w.rest[0]
	w.rest = w.rest[1:]
	return v, nil
}

// end fails where words are left.
func (w *words) end(expected ...string) error {
	if w.empty() {
		return nil
	}
	if len(expected) == 0 {
		return fmt.Errorf("nothing more was expected, but there is %q", w.rest[0])
	}
	return fmt.Errorf("expected no more arguments or one of %s, got %q", strings.Join(expected, ", "), w.rest[0])
}

// reference names an object file and something in it.
type reference struct{ object, name string }

// reference takes `file OBJ [name NAME]`. what is "program" or "map".
func (w *words) reference(what string) (r reference, err error) {
	for _, keyword := range []string{"id", "tag", "pinned", "name"} {
		if w.is(keyword) {
			return r, fmt.Errorf("%s: a skep kernel ends with its process, so no %s is there from before: name the object, `file OBJ name NAME`", keyword, what)
		}
	}
	if !w.is("file") {
		got := "nothing"
		if !w.empty() {
			got = fmt.Sprintf("%q", w.rest[0])
		}
		return r, fmt.Errorf("which %s? expected `file OBJ [name NAME]`, got %s", what, got)
	}
	if r.object, err = w.value("file"); err != nil {
		return r, err
	}
	if w.is("name") {
		r.name, err = w.value("name")
	}
	return r, err
}
