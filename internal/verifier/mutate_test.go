package verifier_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// mutator changes programs at random, so that most of them go wrong in some way
// and many stay right.
type mutator struct {
	r    *rand.Rand
	pool []insn.Instruction // instructions of all cases
}

func newMutator(seed uint64, cases []*testCase) *mutator {
	m := &mutator{r: rand.New(rand.NewPCG(seed, 6))}
	for _, c := range cases {
		for i := 0; i < len(c.insns); i++ {
			if c.insns[i].IsWide() {
				i++
				continue
			}
			m.pool = append(m.pool, c.insns[i])
		}
	}
	return m
}

var interesting = []int32{0, 1, -1, 2, 4, 7, 8, -8, 14, 16, 31, 32, 63, 64, 255, 256, 4095, 0x7fff, -0x8000,
	0xffff, 0x7fffffff, -0x80000000, 1 << 29, -16, -32, -512}

func (m *mutator) imm() int32 {
	switch m.r.IntN(3) {
	case 0:
		return interesting[m.r.IntN(len(interesting))]
	case 1:
		return int32(m.r.IntN(64)) - 16
	}
	return int32(m.r.Uint32())
}

// mutate returns a changed copy of a program. Wide loads stay as they are, and
// jumps are not adjusted.
func (m *mutator) mutate(prog []insn.Instruction) []insn.Instruction {
	out := slices.Clone(prog)
	for range 1 + m.r.IntN(4) {
		i := m.r.IntN(len(out))
		wide := out[i].IsWide() || i > 0 && out[i-1].IsWide()
		switch k := m.r.IntN(10); {
		case wide:
		case k < 2:
			out[i] = out[i].WithImm(m.imm())
		case k < 3:
			out[i] = out[i].WithOff(int16(m.r.IntN(48) - 24))
		case k < 4:
			out[i] = out[i].WithDst(insn.Reg(m.r.IntN(11)))
		case k < 5:
			out[i] = out[i].WithSrc(insn.Reg(m.r.IntN(11)))
		case k < 6:
			ops := []uint8{0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x57, 0x5f, 0x67, 0x6f, 0x77,
				0x7f, 0x87, 0x97, 0x9f, 0xa7, 0xaf, 0xb7, 0xbf, 0xc7, 0xcf, 0xd4, 0xdc, 0xd7,
				0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x55, 0x5d, 0x65, 0x6d, 0x75, 0x7d, 0xa5, 0xad,
				0xb5, 0xbd, 0xc5, 0xcd, 0xd5, 0xdd, 0xe5,
				0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91, 0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b, 0xc3, 0xdb}
			op := ops[m.r.IntN(len(ops))]
			if c := op & insn.ClassMask; (c == insn.ClassALU64 || c == insn.ClassJMP) && m.r.IntN(3) == 0 {
				op ^= 3 // the 32-bit class
			}
			out[i] = out[i].WithOp(op)
			if op&insn.SrcMask != 0 && insn.Instruction(op).Class() >= insn.ClassALU {
				out[i] = out[i].WithImm(0)
			}
		case k < 8:
			out[i] = m.pool[m.r.IntN(len(m.pool))]
		case k < 9 && len(out) < 200:
			out = slices.Insert(out, i, m.pool[m.r.IntN(len(m.pool))])
		case len(out) > 2:
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}

// count is how many programs a comparison makes: SKEP_PROGRAMS, or a few.
func count(few int) int {
	if n, err := strconv.Atoi(os.Getenv("SKEP_PROGRAMS")); err == nil {
		return n
	}
	return few
}

func TestOracleMutations(t *testing.T) {
	oracle.Require(t)
	compareMutations(t, loadCorpus(t), count(2000))
}

// known says whether skep has all helpers that the program calls.
func (c *testCase) known() bool {
	typ, info := progtype.Lookup(c.typ), desc.ProgInfo{Type: c.typ, GPL: true, Caps: allCaps}
	for _, in := range c.insns {
		if in.Op() == insn.ClassJMP|insn.JmpCALL && in.Src() == 0 && uint32(in.Imm()) < uint32(uapi.BPF_FUNC_MAX_ID) &&
			typ.Helper(uapi.FuncID(in.Imm()), &info) == nil {
			return false
		}
	}
	return true
}

// maxSlow is how many programs with long walks are compared.
const maxSlow = 10

func compareMutations(t *testing.T, cases []*testCase, n int) {
	var a agreement
	seed, _ := strconv.ParseUint(os.Getenv("SKEP_SEED"), 10, 64)
	m := newMutator(seed+1, cases)
	failures, accepted, slow := 0, 0, 0
	for i := range n {
		base := cases[m.r.IntN(len(cases))]
		c := *base
		c.insns = m.mutate(base.insns)
		if !c.known() {
			continue
		}
		// Long walks are compared by their figures alone.
		level := uint32(2)
		start := time.Now()
		if _, _, _, _ = c.verify(0); time.Since(start) > 20*time.Millisecond {
			if slow++; slow > maxSlow {
				continue
			}
			level = verifier.LogStats
		}
		_, code, log, err := c.verify(level)
		want, wantLog := c.ask(t, level)
		a.cases++
		if code == errno.ENOTSUPP {
			a.refused++
		}
		if want == 0 {
			accepted++
		}
		same := true
		if (code == 0) == (want == 0) {
			a.verdict++
		}
		if code == want {
			a.errno++
		} else if code != errno.ENOTSUPP {
			same = false
			t.Errorf("program %d from %s: skep %s (%v), Linux %s\n%s\n%s", i, base.name, code.Name(), err, want.Name(),
				insn.Disassemble(c.insns), lastLines(wantLog))
		}
		if d := firstDifference(normal(log.String()), normal(wantLog)); d == "" {
			a.log++
		} else if same && code != errno.ENOTSUPP {
			same = false
			t.Errorf("program %d from %s: log differs: %s\n%s", i, base.name, d, insn.Disassemble(c.insns))
			if os.Getenv("SKEP_DUMP") != "" {
				t.Logf("skep:\n%s\nlinux:\n%s", log, wantLog)
			}
		}
		if !same {
			if failures++; failures >= 40 {
				break
			}
		}
	}
	a.report(t)
	t.Logf("%d accepted by Linux", accepted)
}
