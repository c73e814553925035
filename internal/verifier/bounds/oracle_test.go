package bounds

import (
	"flag"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

var (
	oraclePrograms = flag.Int("oracle.programs", 60, "random programs that the live kernel is asked about")
	oracleSeed     = flag.Uint64("oracle.seed", 1, "seed of the first of these")
)

var (
	logInsn  = regexp.MustCompile(`^(\d+): (?:\([0-9a-f]{2}\) [^;]*;|R)`)
	logFrom  = regexp.MustCompile(`^from (\d+) to (\d+): R`)
	logJump  = regexp.MustCompile(`^from (\d+) to`)
	logReg   = regexp.MustCompile(`R(\d+)=P?(scalar\((?:[^()]|\([^()]*\))*\)|-?[0-9a-fx]+)`)
	logGroup = regexp.MustCompile(`id=\d+([+-]\d+)?,?`)
)

// states are the registers that the kernel's log shows: after an instruction, and
// where a jump arrives. The first time counts: later ones are of other paths.
type states struct {
	after   map[int]map[insn.Reg]string
	arrival map[int]map[insn.Reg]string // by the jump
	jumped  map[int]bool                // both ways were explored
}

func parseLog(log string) states {
	s := states{make(map[int]map[insn.Reg]string), make(map[int]map[insn.Reg]string), make(map[int]bool)}
	for line := range strings.Lines(log) {
		if m := logJump.FindStringSubmatch(line); m != nil {
			at, _ := strconv.Atoi(m[1])
			s.jumped[at] = true
		}
		m, into := logInsn.FindStringSubmatch(line), s.after
		if m == nil {
			m, into = logFrom.FindStringSubmatch(line), s.arrival
		}
		if m == nil {
			continue
		}
		at, _ := strconv.Atoi(m[1])
		if into[at] != nil {
			continue
		}
		into[at] = make(map[insn.Reg]string)
		for _, r := range logReg.FindAllStringSubmatch(line, -1) {
			n, _ := strconv.Atoi(r[1])
			into[at][insn.Reg(n)] = logGroup.ReplaceAllString(r[2], "")
		}
	}
	return s
}

// TestKernel holds every operation against the live kernel: random programs of
// loads, arithmetic, moves and jumps, and the state that the kernel's log shows
// after each instruction and at each jump's target.
func TestKernel(t *testing.T) {
	oracle.Require(t)
	m := oracle.NewMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	compared, bad := 0, 0
	for n := range *oraclePrograms {
		seed := *oracleSeed + uint64(n)
		w := newWalk(seed)
		p := oracle.LoadProg(oracle.Prog{
			Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Insns: w.prog, Maps: []*oracle.Map{m},
			LogLevel: 2, LogSize: 4 << 20,
		})
		p.Close()
		if p.Errno != 0 {
			t.Errorf("seed %d: %v\n%s", seed, p.Errno, p.Log[max(0, len(p.Log)-2000):])
			continue
		}
		got := parseLog(p.Log)
		for _, e := range w.want {
			diff, n := e.compare(got)
			compared += n
			if diff == "" {
				continue
			}
			t.Errorf("seed %d, %d: %v with %s\n%s", seed, e.at, w.prog[e.at], e.before, diff)
			bad++
			break // what follows was computed from this
		}
		if bad >= 10 {
			break
		}
	}
	t.Logf("%d register states compared", compared)
}

// compare says how the kernel's states differ from what was expected, and how
// many registers it looked at.
func (e *expectation) compare(got states) (diff string, compared int) {
	where, regs := "after", got.after[e.at]
	if e.jumped {
		where, regs = "where it jumps to", got.arrival[e.at]
	}
	if e.decided && got.jumped[e.at] {
		diff = "  the kernel explored both ways\n"
	}
	for r, want := range e.regs {
		compared++
		if have := regs[r]; have != want {
			diff += fmt.Sprintf("  R%d %s:\n    kernel %s\n    got    %s\n", r, where, have, want)
		}
	}
	return diff, compared
}
