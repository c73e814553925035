package examples_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

var update = flag.Bool("update", false, "rewrite testdata/elf/index.json from the sources and objects")

const elfDir = "../testdata/elf"

// An object is one entry of testdata/elf/index.json: what is in an object, and
// what is to come of it.
type object struct {
	Object   string    `json:"object"`
	Source   string    `json:"source"`
	Programs []program `json:"programs"`
	Maps     []mapDef  `json:"maps,omitempty"`
	Cases    []runCase `json:"cases"`
}

type program struct {
	Name    string `json:"name"`
	Section string `json:"section"`
	Type    string `json:"type"`
}

type mapDef struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// A runCase is one comment line. A "run:" line gives a packet, what the program
// returns and, if it is given, the packet afterwards; the lines of a source are
// run in their order, on one instance of the object. A "reject:" line gives the
// errno that refuses the program and a part of the verifier's log.
type runCase struct {
	Program string `json:"program"`
	Data    string `json:"data,omitempty"` // hex
	Return  int32  `json:"return"`
	Out     string `json:"out,omitempty"` // hex
	Errno   string `json:"errno,omitempty"`
	Log     string `json:"log,omitempty"`
}

// parseCases reads the "run:" and "reject:" lines of the comments of a source.
func parseCases(source []byte) ([]runCase, error) {
	var cases []runCase
	lines := bufio.NewScanner(bytes.NewReader(source))
	for number := 1; lines.Scan(); number++ {
		text, isComment := strings.CutPrefix(lines.Text(), " * ")
		kind, rest, found := strings.Cut(text, ": ")
		if !isComment || !found || kind != "run" && kind != "reject" {
			continue
		}
		c, err := parseCase(rest)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if (kind == "reject") != (c.Errno != "") {
			return nil, fmt.Errorf("line %d: an errno goes with reject, and with nothing else", number)
		}
		cases = append(cases, c)
	}
	return cases, lines.Err()
}

func parseCase(text string) (c runCase, err error) {
	for text != "" {
		key, rest, found := strings.Cut(text, "=")
		if !found {
			return c, fmt.Errorf("%q is not key=value", text)
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, text, _ = strings.Cut(rest[1:], `"`)
			text = strings.TrimPrefix(text, " ")
		} else {
			value, text, _ = strings.Cut(rest, " ")
		}
		switch key {
		case "prog":
			c.Program = value
		case "data":
			c.Data, err = expandHex(value)
		case "out":
			c.Out, err = expandHex(value)
		case "ret":
			var n int64
			n, err = strconv.ParseInt(value, 0, 32)
			c.Return = int32(n)
		case "errno":
			c.Errno = value
		case "log":
			c.Log = value
		default:
			err = fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return c, err
		}
	}
	if c.Program == "" {
		return c, fmt.Errorf("no prog= in it")
	}
	return c, nil
}

// expandHex turns "0800,00*3" into "0800000000": commas part groups of hex
// digits, and a group may be repeated.
func expandHex(text string) (string, error) {
	var out strings.Builder
	for group := range strings.SplitSeq(text, ",") {
		digits, times, repeated := strings.Cut(group, "*")
		n := 1
		if repeated {
			var err error
			if n, err = strconv.Atoi(times); err != nil {
				return "", err
			}
		}
		if _, err := hex.DecodeString(digits); err != nil {
			return "", fmt.Errorf("%q: %w", group, err)
		}
		out.WriteString(strings.Repeat(digits, n))
	}
	return out.String(), nil
}

// describe makes the index's entry for a source and its object.
func describe(t *testing.T, source string) object {
	t.Helper()
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	file := strings.TrimSuffix(source, ".c") + ".o"
	spec, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		t.Fatal(err)
	}
	o := object{Object: filepath.Base(file), Source: filepath.Base(source)}
	for name, p := range spec.Programs {
		o.Programs = append(o.Programs, program{name, p.SectionName, p.Type.String()})
	}
	for name, m := range spec.Maps {
		o.Maps = append(o.Maps, mapDef{name, m.Type.String()})
	}
	slices.SortFunc(o.Programs, func(a, b program) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Maps, func(a, b mapDef) int { return strings.Compare(a.Name, b.Name) })
	if o.Cases, err = parseCases(text); err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return o
}

// TestIndex holds testdata/elf/index.json against the sources and the objects,
// and every program against having an expectation.
func TestIndex(t *testing.T) {
	sources, err := filepath.Glob(elfDir + "/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources in %s (%v)", elfDir, err)
	}
	var objects []object
	for _, source := range sources {
		o := describe(t, source)
		for _, p := range o.Programs {
			if !slices.ContainsFunc(o.Cases, func(c runCase) bool { return c.Program == p.Name }) {
				t.Errorf("%s: program %s has no run: or reject: line", o.Source, p.Name)
			}
		}
		objects = append(objects, o)
	}
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	if err := encoder.Encode(objects); err != nil {
		t.Fatal(err)
	}
	index := elfDir + "/index.json"
	if *update {
		if err := os.WriteFile(index, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is out of date: go test ./examples -run TestIndex -update", index)
	}
}

func loadIndex(t *testing.T) []object {
	t.Helper()
	text, err := os.ReadFile(elfDir + "/index.json")
	if err != nil {
		t.Fatal(err)
	}
	var objects []object
	if err := json.Unmarshal(text, &objects); err != nil {
		t.Fatal(err)
	}
	return objects
}
