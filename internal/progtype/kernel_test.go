package progtype_test

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// allCaps are the privileges that the tests have.
var allCaps = desc.Caps{BPF: true, Perfmon: true, NetAdmin: true, SysAdmin: true}

// attachTypes are the expected attach types that a type is tried with.
func attachTypes(pt *desc.ProgType) []uapi.AttachType {
	switch pt.Type {
	case uapi.BPF_PROG_TYPE_XDP:
		return []uapi.AttachType{uapi.BPF_XDP, uapi.BPF_XDP_DEVMAP, uapi.BPF_XDP_CPUMAP}
	case uapi.BPF_PROG_TYPE_KPROBE:
		return []uapi.AttachType{0, uapi.BPF_TRACE_KPROBE_MULTI, uapi.BPF_TRACE_KPROBE_SESSION,
			uapi.BPF_TRACE_UPROBE_MULTI, uapi.BPF_TRACE_UPROBE_SESSION}
	case uapi.BPF_PROG_TYPE_SK_SKB:
		return []uapi.AttachType{uapi.BPF_SK_SKB_STREAM_PARSER, uapi.BPF_SK_SKB_STREAM_VERDICT}
	}
	if pt.ExpectedAttach != nil {
		return pt.ExpectedAttach
	}
	return []uapi.AttachType{0}
}

// eachType runs a test for every program type that the live kernel knows, with
// each attach type.
func eachType(t *testing.T, f func(t *testing.T, q question)) {
	oracle.Require(t)
	for _, pt := range progtype.AllVerifiable() {
		for _, at := range attachTypes(pt) {
			t.Run(fmt.Sprintf("%s/%d", pt.Name, at), func(t *testing.T) {
				t.Parallel()
				q := question{pt: pt, attach: at, license: "GPL"}
				if pt.Sleep == desc.SleepOnly {
					q.flags = uapi.BPF_F_SLEEPABLE
				}
				if q.unknownToKernel() {
					t.Skipf("oracle: not run: the live kernel is built without %s programs", pt.Name)
				}
				f(t, q)
			})
		}
	}
}

// question is a program that both verifiers are asked about.
type question struct {
	pt      *desc.ProgType
	attach  uapi.AttachType
	license string
	flags   uint32
	code    []insn.Instruction
	maps    *testMaps
	caps    desc.Caps
	noCaps  bool
	level   uint32
}

func (q question) unknownToKernel() bool {
	q.code = program("r0 = 1\nexit")
	p := q.live()
	return p.Errno == errno.EINVAL && p.Log == ""
}

func (q question) live() *oracle.Program {
	o := oracle.Prog{Type: q.pt.Type, Insns: q.code, License: q.license, ExpectedAttachType: q.attach,
		Flags: q.flags, LogLevel: max(q.level, 1)}
	if q.maps != nil {
		o.Maps = q.maps.live
	}
	p := oracle.LoadProg(o)
	p.Close()
	return p
}

func (q question) skep(t testing.TB) (errno.Errno, string) {
	t.Helper()
	log, err := verifier.NewLog(max(q.level, 1), 1<<24)
	if err != nil {
		t.Fatal(err)
	}
	at := q.attach
	if at == 0 {
		at = q.pt.DefaultAttach
	}
	caps := q.caps
	if caps == (desc.Caps{}) && !q.noCaps {
		caps = allCaps
	}
	info := desc.ProgInfo{Type: q.pt.Type, ExpectedAttach: at, Flags: q.flags, GPL: q.license == "GPL",
		Caps: caps, VerifyOnly: true}
	_, err = verifier.Verify(&prog.Raw{Info: info, Insns: q.code}, &verifier.Env{
		Type: q.pt, Log: log, CPUs: oracle.PossibleCPUs(), Clock: func() int64 { return 0 },
		ResolveMap: func(fd int32) (*desc.Map, error) {
			if q.maps == nil || int(fd) >= len(q.maps.descs) {
				return nil, errno.EBADF
			}
			return q.maps.descs[fd], nil
		},
	})
	var rejected *verifier.Error
	if errors.As(err, &rejected) {
		return rejected.Errno, log.String()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, log.String()
}

// score counts answers that agree.
type score struct {
	mu                  sync.Mutex
	asked, same, logged int
	// refused are answers that skep does not have: what it does not understand it
	// refuses, and says so.
	refused  map[string]int
	causes   map[string]int
	examples map[string]string
}

// ask asks both, counts, and fails the test for each difference that is not
// excused.
func (s *score) ask(t *testing.T, q question, what string) {
	t.Helper()
	live := q.live()
	code, log := q.skep(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = map[string]int{}
	}
	s.asked++
	want, got := normal(live.Log), normal(log)
	if code == live.Errno {
		s.same++
		if want == got {
			s.logged++
			return
		}
	}
	if code == errno.ENOTSUPP && strings.HasSuffix(got, " is not supported") {
		s.refused[lastLine(got)]++
		return
	}
	if s.causes == nil {
		s.causes, s.examples = map[string]int{}, map[string]string{}
	}
	cause := fmt.Sprintf("kernel %v %q, skep %v %q", live.Errno, lastLine(want), code, lastLine(got))
	s.causes[cause]++
	if s.examples[cause] == "" {
		s.examples[cause] = what + firstDifference(want, got)
	}
}

// report fails the test if the verdicts are not all the same.
func (s *score) report(t *testing.T) {
	t.Helper()
	t.Logf("%d asked, %d same verdict, %d same log", s.asked, s.same, s.logged)
	for why, n := range s.refused {
		t.Logf("%d not understood: %s", n, why)
	}
	var all []string
	for c := range s.causes {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return s.causes[all[i]] > s.causes[all[j]] })
	for _, c := range all {
		t.Errorf("%d times %s\nfor instance %s", s.causes[c], c, s.examples[c])
	}
}

var (
	volatileText = regexp.MustCompile(`(?:0x[0-9a-f]{6,}|ffff[0-9a-f]{6,}) *|(?m)^processed .*$|(?m)^verification time.*$`)
)

func normal(log string) string {
	return strings.TrimSpace(volatileText.ReplaceAllString(log, ""))
}

// firstDifference shows the lines in which two logs part.
func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) - 1 {
		if a[i] != b[i] {
			return fmt.Sprintf("\nkernel: %s\nskep:   %s", a[i], b[i])
		}
	}
	return ""
}

// lastLine is what the log ends with: the reason.
func lastLine(log string) string {
	return log[strings.LastIndexByte(log, '\n')+1:]
}

// program assembles text.
func program(text string) []insn.Instruction {
	a := insn.Assembler{Helper: func(name string) (int32, bool) {
		id, ok := uapi.ParseFuncID("BPF_FUNC_" + name)
		return int32(id), ok
	}}
	code, err := a.Assemble(text)
	if err != nil {
		panic(fmt.Sprintf("%v in\n%s", err, text))
	}
	return code
}

type testMaps struct {
	live  []*oracle.Map
	descs []*desc.Map
}
