package bounds

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/walk.txt anew; TestKernel must pass for the same seed")

// recordedSeed is one of those that TestKernel asks the live kernel about.
const recordedSeed = 1

// TestRecorded holds a program's states against those recorded where the live
// kernel agreed, for hosts that have none.
func TestRecorded(t *testing.T) {
	const path = "testdata/walk.txt"
	got := newWalk(recordedSeed).text()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(string(file), "\n")
	for n, line := range strings.Split(got, "\n") {
		if n >= len(want) || line != want[n] {
			t.Fatalf("%s:%d: differs; got\n%s", path, n+1, line)
		}
	}
}

// text is the walk as the kernel's log would show it.
func (w *walk) text() string {
	var b strings.Builder
	for _, e := range w.want {
		if e.jumped {
			fmt.Fprintf(&b, "%d jumps:", e.at)
		} else {
			fmt.Fprintf(&b, "%d: %v ;", e.at, w.prog[e.at])
		}
		for _, r := range slices.Sorted(maps.Keys(e.regs)) {
			fmt.Fprintf(&b, " %v=%s", strings.ToUpper(r.String()), e.regs[r])
		}
		b.WriteByte('\n')
	}
	return b.String()
}
