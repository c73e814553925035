package skep_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progen"
	"github.com/skep-ebpf/skep/internal/uapi"
)

var (
	programs  = flag.Int("programs", 20000, "how many generated programs to compare")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first generated program")
)

// underTest is skep with an engine, as a kernel for the oracle's harness.
func underTest(t testing.TB, engine *skep.Engine) *oracle.Kernel {
	t.Helper()
	k, err := skep.New(skep.Config{CPUs: 1, Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	task := k.Task()
	return &oracle.Kernel{
		CPUs: 1,
		Call: func(cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
			n, err := task.BPF(int(cmd), attr)
			if err == nil {
				return n, 0
			}
			e, ok := errno.Of(err)
			if !ok {
				t.Fatalf("%v: an error without errno: %v", cmd, err)
			}
			return -1, e
		},
		CloseFD: func(fd int) { task.CloseFD(fd) },
	}
}

// agreement counts how verdicts compare.
type agreement struct{ same, weAccept, theyAccept, otherErrno, result int }

func (a *agreement) add(want, got *progen.Outcome, diff string) {
	switch {
	case diff == "":
		a.same++
	case want.Errno != 0 && got.Errno == 0:
		a.weAccept++
	case want.Errno == 0 && got.Errno != 0:
		a.theyAccept++
	case want.Errno != got.Errno:
		a.otherErrno++
	default:
		a.result++
	}
}

// Generated programs have the same verdict, and those that are accepted the same
// results and map contents, in the interpreter, in the checking interpreter
// (which holds the verifier's beliefs against what happens) and in the live
// kernel.
func TestGenerated(t *testing.T) {
	oracle.Require(t)
	live := progen.NewLive()
	defer live.Close()
	fast := progen.NewOn(underTest(t, skep.Interpreter))
	defer fast.Close()
	checked := progen.NewOn(underTest(t, skep.CheckingInterpreter))
	defer checked.Close()

	n := *programs
	if testing.Short() {
		n = min(n, 1000)
	}
	var count agreement
	accepted := 0
	for seed := *firstSeed; seed < *firstSeed+uint64(n); seed++ {
		p := progen.Generate(progen.Config{}, seed)
		want, err := live.Run(p)
		if err != nil {
			t.Fatal(err)
		}
		if want.Errno == 0 {
			accepted++
		}
		got, err := fast.Run(p)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		diff := settle(p, want, got)
		count.add(want, got, diff)
		if diff != "" {
			t.Errorf("seed %d: interpreter: %s\n%s%s", seed, diff, p.Text(), verdicts(p, live, fast))
		}
		ch, err := checked.Run(p)
		if err != nil {
			t.Fatalf("seed %d: checking interpreter: %v", seed, err)
		}
		if d := settle(p, got, ch); d != "" {
			t.Errorf("seed %d: checking interpreter against interpreter: %s\n%s", seed, d, p.Text())
		}
		if t.Failed() && count.same < int(seed-*firstSeed)-20 {
			t.Fatalf("too many differences; stopped at seed %d: %+v", seed, count)
		}
	}
	t.Logf("%d programs, %d accepted by the live kernel: verdict, results and maps equal in %d (%.2f %%); "+
		"accepted only here %d, only there %d, other errno %d, other result %d",
		n, accepted, count.same, 100*float64(count.same)/float64(n),
		count.weAccept, count.theyAccept, count.otherErrno, count.result)
}

// settle says in what outcomes differ. Programs with a mistake that are accepted
// all the same may read what the stack held before, which privileged programs
// may: of them only the verdict counts.
func settle(p *progen.Program, want, got *progen.Outcome) string {
	diff := progen.Diff(want, got)
	if want.Errno == got.Errno && !p.Stable() {
		return ""
	}
	return diff
}

// verdicts is what both verifiers say last.
func verdicts(p *progen.Program, live, ours *progen.Live) string {
	var b strings.Builder
	for _, r := range []struct {
		name string
		*progen.Live
	}{{"kernel", live}, {"skep", ours}} {
		r.LogLevel = 1
		out, err := r.Run(p)
		r.LogLevel = 0
		if err != nil || out.Errno == 0 {
			continue
		}
		lines := strings.Split(strings.TrimSpace(out.Log), "\n")
		fmt.Fprintf(&b, "%s says:\n\t%s\n", r.name, strings.Join(lines[max(0, len(lines)-6):], "\n\t"))
	}
	return b.String()
}
