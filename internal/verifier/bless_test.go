package verifier_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/oracle"
)

// TestBless writes what the live kernel says into the corpus, where
// SKEP_BLESS is set: the verdict, and the line that gives the reason.
func TestBless(t *testing.T) {
	if os.Getenv("SKEP_BLESS") == "" {
		t.Skip("SKEP_BLESS is not set")
	}
	oracle.Require(t)
	files, _ := filepath.Glob("testdata/*.txt")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, part := range strings.Split("\n"+string(b), "\n== ")[1:] {
			c := parseCase(t, f, part)
			if c.unpriv {
				out = append(out, part)
				continue
			}
			code, log := c.ask(t, 1)
			head, body, _ := strings.Cut(part, "\n--\n")
			var keep []string
			for _, l := range strings.Split(head, "\n") {
				if !strings.HasPrefix(l, "want ") && !strings.HasPrefix(l, "log ") {
					keep = append(keep, l)
				}
			}
			if code != 0 {
				keep = append(keep, "want "+code.Name(), "log "+reasonLine(log))
			}
			out = append(out, strings.Join(keep, "\n")+"\n--\n"+strings.TrimSpace(body)+"\n")
		}
		text := "== " + strings.Join(out, "\n== ")
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// reasonLine is the line before the figures at the log's end.
func reasonLine(log string) string {
	l := strings.Split(strings.TrimSpace(log), "\n")
	return l[max(0, len(l)-2)]
}
