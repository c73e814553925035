package skep_test

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
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
type agreement struct{ accepted, same, weAccept, theyAccept, otherErrno, result int }

func (a *agreement) merge(b agreement) {
	a.accepted += b.accepted
	a.same += b.same
	a.weAccept += b.weAccept
	a.theyAccept += b.theyAccept
	a.otherErrno += b.otherErrno
	a.result += b.result
}

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
	n := *programs
	if testing.Short() {
		n = min(n, 1000)
	}
	var total agreement
	var mu sync.Mutex
	shards := uint64(runtime.GOMAXPROCS(0))
	t.Run("shards", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				a := compareGenerated(t, *firstSeed+shard, *firstSeed+uint64(n), shards)
				mu.Lock()
				defer mu.Unlock()
				total.merge(a)
			})
		}
	})
	t.Logf("%d programs, %d accepted by the live kernel: verdict, results and maps equal in %d (%.2f %%); "+
		"accepted only here %d, only there %d, other errno %d, other result %d",
		n, total.accepted, total.same, 100*float64(total.same)/float64(n),
		total.weAccept, total.theyAccept, total.otherErrno, total.result)
}

// tooMany differences end a comparison early.
const tooMany = 20

// compareGenerated compares every step-th program from a seed up to another.
func compareGenerated(t *testing.T, from, to, step uint64) (count agreement) {
	live := progen.NewLive()
	defer live.Close()
	fast := progen.NewOn(underTest(t, skep.Interpreter))
	defer fast.Close()
	checked := progen.NewOn(underTest(t, skep.CheckingInterpreter))
	defer checked.Close()
	for seed := from; seed < to; seed += step {
		p := progen.Generate(progen.Config{}, seed)
		want, got, ch := outcome(t, live, p), outcome(t, fast, p), outcome(t, checked, p)
		if want.Errno == 0 {
			count.accepted++
		}
		diff := settle(p, want, got)
		count.add(want, got, diff)
		if diff != "" && !sameVerdict(want, got) {
			t.Errorf("seed %d: interpreter: %s\n%s%s", seed, diff, p.Text(), verdicts(p, live, fast))
		} else if diff != "" {
			t.Logf("seed %d: %s: the same verdict for another reason", seed, diff)
		}
		if d := settle(p, got, ch); d != "" {
			count.result++
			t.Errorf("seed %d: checking interpreter against interpreter: %s\n%s", seed, d, p.Text())
		}
		if count.weAccept+count.theyAccept+count.result > tooMany {
			t.Fatalf("too many differences; stopped at seed %d: %+v", seed, count)
		}
	}
	return count
}

func outcome(t *testing.T, on *progen.Live, p *progen.Program) *progen.Outcome {
	t.Helper()
	out, err := on.Run(p)
	if err != nil {
		t.Fatalf("%s: %v", p.Text(), err)
	}
	return out
}

// sameVerdict says whether both refuse: the errno may differ where a program
// breaks several rules at once, or uses what is not supported here.
func sameVerdict(want, got *progen.Outcome) bool { return want.Errno != 0 && got.Errno != 0 }

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
