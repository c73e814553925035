package progen

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
)

// livePrograms is how many programs the live test loads.
const livePrograms = 2000

// TestLive loads and runs programs on the live kernel: those without a mistake
// must be accepted and give the same result twice, the share that is accepted
// must leave both verdicts something to compare, and all must be fast enough for
// differential tests.
func TestLive(t *testing.T) {
	oracle.Require(t)
	n := livePrograms
	if testing.Short() {
		n /= 10
	}
	l := NewLive()
	defer l.Close()
	var accepted, valid, insns, slow, tooComplex int
	refused := map[string]int{}
	start := time.Now()
	for seed := range uint64(n) {
		p := Generate(Config{}, seed)
		insns += len(p.Insns)
		began := time.Now()
		out := mustRun(t, l, p)
		if d := time.Since(began); d > 100*time.Millisecond {
			slow++
			t.Logf("seed %d (%s) took %v: %v", seed, p.Mistake, d, name(out.Errno))
		}
		if p.Mistake == "" {
			valid++
		}
		switch {
		case out.Errno == 0:
			accepted++
		case p.Mistake == "" && out.Errno == errno.E2BIG && tooComplex < n/1000:
			tooComplex++ // no grammar foresees the verifier's walk
		case p.Mistake == "":
			refused["(valid)"]++
			if refused["(valid)"] < 5 {
				t.Errorf("seed %d was refused: %v\n%s\n%s", seed, out.Errno, lastLines(l, p), p.Text())
			}
		default:
			refused[p.Mistake]++
		}
		for i, r := range out.Runs {
			if r.Errno != 0 && (r.Errno != errno.EINVAL && r.Errno != errno.ENOTSUPP) {
				t.Errorf("seed %d: run %d: %v", seed, i, r.Errno)
			}
		}
	}
	took := time.Since(start)
	rate := float64(accepted) / float64(n)
	t.Logf("%d programs of %d instructions on average in %v, %.0f per second; %.1f %% accepted, %d of %d valid ones too complex, %d slow",
		n, insns/n, took.Round(time.Millisecond), float64(n)/took.Seconds(), 100*rate, tooComplex, valid, slow)
	for _, m := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("refused %4d %s", refused[m], m)
	}
	if rate < 0.6 || rate > 0.9 {
		t.Errorf("%.1f %% accepted: one verdict is hardly tested", 100*rate)
	}
}

// TestLiveIsDeterministic runs valid programs twice.
func TestLiveIsDeterministic(t *testing.T) {
	oracle.Require(t)
	a, b := NewLive(), NewLive() // with maps at other addresses
	defer a.Close()
	defer b.Close()
	for seed := range uint64(livePrograms / 4) {
		p := Generate(Config{Mistakes: -1}, seed)
		if d := Diff(mustRun(t, a, p), mustRun(t, b, p)); d != "" {
			t.Fatalf("seed %d: second run: %s\n%s", seed, d, p.Text())
		}
	}
}

func mustRun(t *testing.T, l *Live, p *Program) *Outcome {
	t.Helper()
	out, err := l.Run(p)
	if err != nil {
		t.Fatalf("seed %d: %v", p.Seed, err)
	}
	return out
}

// lastLines returns the end of the verifier's log for p.
func lastLines(l *Live, p *Program) string {
	l.LogLevel = 2
	defer func() { l.LogLevel = 0 }()
	out, err := l.Run(p)
	if err != nil {
		return fmt.Sprint(err)
	}
	lines := strings.Split(strings.TrimSpace(out.Log), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
