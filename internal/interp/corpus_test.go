package interp_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/oracle"
)

var bless = flag.Bool("bless", false, "write what the live kernel gives into the corpus")

// corpusCase is one program of a corpus file:
//
//	== name
//	;; mem = 01 02 03      memory that R1 points to, R2 is its length
//	;; kernel = refused    why the live kernel cannot be asked, if so
//	program text
//	;; r0 = 0x…
//	;; out = …             the memory afterwards, where it changed
type corpusCase struct {
	name, text string
	mem, out   []byte
	r0         uint64
	refused    string
}

func parseCase(t *testing.T, block string) corpusCase {
	t.Helper()
	name, body, _ := strings.Cut(block, "\n")
	c := corpusCase{name: strings.TrimSpace(name)}
	var text strings.Builder
	for line := range strings.Lines(body) {
		directive, ok := strings.CutPrefix(line, ";; ")
		if !ok {
			text.WriteString(line)
			continue
		}
		key, value, _ := strings.Cut(strings.TrimSpace(directive), " = ")
		var err error
		switch key {
		case "mem":
			c.mem, err = unhex(value)
		case "out":
			c.out, err = unhex(value)
		case "r0":
			c.r0, err = strconv.ParseUint(value, 0, 64)
		case "kernel":
			c.refused = value
		default:
			err = fmt.Errorf("unknown directive")
		}
		if err != nil {
			t.Fatalf("%s: %q: %v", c.name, line, err)
		}
	}
	if c.out == nil {
		c.out = c.mem
	}
	c.text = strings.Trim(text.String(), "\n") + "\n"
	return c
}

func unhex(s string) ([]byte, error) { return hex.DecodeString(strings.ReplaceAll(s, " ", "")) }

func (c *corpusCase) format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "== %s\n", c.name)
	if c.mem != nil {
		fmt.Fprintf(&b, ";; mem = % x\n", c.mem)
	}
	if c.refused != "" {
		fmt.Fprintf(&b, ";; kernel = %s\n", c.refused)
	}
	fmt.Fprintf(&b, "%s;; r0 = %#x\n", c.text, c.r0)
	if !bytes.Equal(c.mem, c.out) {
		fmt.Fprintf(&b, ";; out = % x\n", c.out)
	}
	return b.String()
}

// TestCorpus runs every case in testdata over both forms, as written and as
// rewritten, and over the live kernel.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, rest, _ := strings.Cut(string(data), "== ")
			blessed := head
			for n, block := range strings.Split("\n"+rest, "\n== ") {
				c := parseCase(t, strings.TrimPrefix(block, "\n"))
				t.Run(c.name, func(t *testing.T) {
					if *bless && c.refused == "" {
						c.bless(t)
					}
					c.run(t)
				})
				if n > 0 {
					blessed += "\n"
				}
				blessed += c.format()
			}
			if *bless {
				if err := os.WriteFile(file, []byte(blessed), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func (c *corpusCase) run(t *testing.T) {
	b := newBench(t)
	for _, e := range engines {
		for _, rewritten := range []bool{false, true} {
			if !rewritten && strings.Contains(c.text, "may_goto") {
				continue
			}
			got := b.run(e, assemble(t, c.text), c.mem, rewritten)
			c.compare(t, fmt.Sprintf("%s (rewritten: %v)", e.Name(), rewritten), got)
		}
	}
	if ok, _ := oracle.Available(); !ok || c.refused != "" {
		return
	}
	got, refused := runLive(t, assemble(t, c.text), c.mem)
	if refused != "" {
		t.Fatalf("the live kernel refuses the program: %s", refused)
	}
	c.compare(t, "live kernel", got)
}

func (c *corpusCase) compare(t *testing.T, who string, got outcome) {
	t.Helper()
	if got.r0 != c.r0 {
		t.Errorf("%s: r0 = %#x, want %#x", who, got.r0, c.r0)
	}
	if !bytes.Equal(got.memory, c.out) {
		t.Errorf("%s: memory\n% x, want\n% x", who, got.memory, c.out)
	}
}

func (c *corpusCase) bless(t *testing.T) {
	got, refused := runLive(t, assemble(t, c.text), c.mem)
	if refused != "" {
		t.Errorf("the live kernel refuses the program: %s", refused)
		return
	}
	c.r0, c.out = got.r0, got.memory
}

// TestCorpusWasCompared says whether the live kernel confirmed the corpus.
func TestCorpusWasCompared(t *testing.T) { oracle.Require(t) }
