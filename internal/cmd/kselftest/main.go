// Command kselftest measures skep's verifier by the kernel's own raw tests: it
// reads tools/testing/selftests/bpf/verifier of a kernel source tree, prepares
// each test as test_verifier does, runs it on skep and on the live kernel, and
// compares verdict, first failing message and return values.
//
//	go run ./internal/cmd/kselftest -src /path/to/linux-source-6.1
//
// The tree is read, never copied: nothing of it is in this repository.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func main() {
	src := flag.String("src", "", "the kernel source tree to read")
	list := flag.Bool("v", false, "list every difference")
	logs := flag.String("log", "", "print both logs of the tests whose name contains this")
	flag.Parse()
	if err := measure(*src, *list, *logs); err != nil {
		fmt.Fprintln(os.Stderr, "kselftest:", err)
		os.Exit(1)
	}
}

// tally counts what came out.
type tally struct {
	run, notRun                      int
	verdict, errno, message, refused int
	accepted, results                int
	weAccept, theyAccept             []string
	reasons                          map[string]int
}

func measure(src string, list bool, logs string) error {
	if ok, reason := oracle.Available(); !ok {
		return fmt.Errorf("the live kernel cannot be asked: %s", reason)
	}
	t, err := openTree(src)
	if err != nil {
		return err
	}
	all, broken, err := t.cases()
	if err != nil {
		return err
	}
	for _, b := range broken {
		fmt.Println("not read:", b)
	}
	ours, err := newKernels()
	if err != nil {
		return err
	}
	live := oracle.Live()
	n := tally{reasons: map[string]int{}}
	for i := range all {
		c := &all[i]
		if logs != "" && !strings.Contains(c.name, logs) {
			continue
		}
		n.one(c, live, ours, list, logs != "")
	}
	n.print(len(all))
	return nil
}

// ourKernels are skep twice: one that runs programs, and one that gives verdicts
// on what cannot run too.
type ourKernels struct{ running, verdicts *oracle.Kernel }

// canRun are the program types that skep runs.
var canRun = []uapi.ProgType{
	0, uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_SCHED_ACT, uapi.BPF_PROG_TYPE_XDP,
}

func (o *ourKernels) runCase(c *testCase) (*outcome, error) {
	if slices.Contains(canRun, uapi.ProgType(c.v.number("prog_type"))) {
		return runCase(o.running, c)
	}
	return runCase(o.verdicts, c)
}

func newKernels() (*ourKernels, error) {
	running, err := underTest(skep.Config{CPUs: 1})
	if err != nil {
		return nil, err
	}
	verdicts, err := underTest(skep.Config{CPUs: 1, VerifyOnly: true})
	return &ourKernels{running, verdicts}, err
}

// underTest is skep as a kernel for the harness. It lives as long as the
// command.
func underTest(c skep.Config) (*oracle.Kernel, error) {
	k, err := skep.New(c)
	if err != nil {
		return nil, err
	}
	task := k.Task()
	return &oracle.Kernel{
		CPUs: 1,
		Call: func(cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
			n, err := task.BPF(int(cmd), attr)
			if err == nil {
				return n, 0
			}
			e, _ := errno.Of(err)
			return -1, e
		},
		CloseFD: func(fd int) { task.CloseFD(fd) },
	}, nil
}

func (n *tally) one(c *testCase, live *oracle.Kernel, ours *ourKernels, list, logs bool) {
	want, err := runCase(live, c)
	if err != nil {
		n.notRun++
		if !errors.Is(err, errNotRun) {
			fmt.Printf("%s: %s: %v\n", c.file, c.name, err)
		}
		n.reasons["live: "+err.Error()]++
		return
	}
	got, err := ours.runCase(c)
	if err != nil {
		// The kernel could run it: that skep could not is a difference.
		got = &outcome{errno: errno.ENOTSUPP, message: err.Error()}
	}
	n.run++
	diff := n.compare(c, want, got)
	if list && diff != "" {
		fmt.Printf("%s: %s: %s\n", c.file, c.name, diff)
	}
	if logs {
		fmt.Printf("== %s\n-- kernel: %v\n%s\n-- skep: %v\n%s\n", c.name, want.errno, want.log, got.errno, got.log)
	}
}

// compare counts, and says what differs first.
func (n *tally) compare(c *testCase, want, got *outcome) string {
	switch {
	case want.errno != 0 && got.errno == 0:
		n.weAccept = append(n.weAccept, c.name)
		return fmt.Sprintf("accepted only here; the kernel: %s (%s)", want.message, want.errno.Name())
	case want.errno == 0 && got.errno != 0:
		n.theyAccept = append(n.theyAccept, c.name)
		return fmt.Sprintf("accepted only by the kernel; skep: %s (%s)", got.message, got.errno.Name())
	}
	n.verdict++
	if want.errno != 0 {
		n.refused++
		if want.errno == got.errno {
			n.errno++
		}
		if want.message == got.message {
			n.message++
		}
		if want.errno != got.errno || want.message != got.message {
			return fmt.Sprintf("%s %q, the kernel %s %q", got.errno.Name(), got.message, want.errno.Name(), want.message)
		}
		return ""
	}
	n.accepted++
	if slices.Equal(want.runs, got.runs) || !slices.Contains(canRun, uapi.ProgType(c.v.number("prog_type"))) {
		n.results++
		return ""
	}
	return fmt.Sprintf("runs %v, the kernel %v", got.runs, want.runs)
}

func (n *tally) print(all int) {
	percent := func(a, b int) string {
		return fmt.Sprintf("%d of %d (%.1f %%)", a, b, 100*float64(a)/float64(max(b, 1)))
	}
	fmt.Printf("%d tests read, %d run on both, %d not run\n", all, n.run, n.notRun)
	fmt.Printf("verdict equal:        %s\n", percent(n.verdict, n.run))
	fmt.Printf("errno of rejections:  %s\n", percent(n.errno, n.refused))
	fmt.Printf("message of rejections: %s\n", percent(n.message, n.refused))
	fmt.Printf("results of accepted:  %s\n", percent(n.results, n.accepted))
	fmt.Printf("accepted only here: %d, only by the kernel: %d\n", len(n.weAccept), len(n.theyAccept))
	for _, name := range n.weAccept {
		fmt.Println("  only here:", name)
	}
	for reason, count := range n.reasons {
		fmt.Printf("  not run: %d %s\n", count, reason)
	}
}
