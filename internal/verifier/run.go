package verifier

import (
	"strconv"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// privileges are what the loader of the program may do.
type privileges struct {
	bpf    bool // CAP_BPF
	leaks  bool // may see kernel addresses
	uninit bool // may read stack that was not written
	specV1 bool // needs no protection against speculation past checks
	specV4 bool // nor past stores
}

func privilegesOf(c desc.Caps) privileges {
	perfmon := c.Perfmon || c.SysAdmin
	return privileges{bpf: c.BPF || c.SysAdmin, leaks: perfmon, uninit: perfmon, specV1: perfmon, specV4: perfmon}
}

// verifier is one verification under way (struct bpf_verifier_env).
type verifier struct {
	raw  *prog.Raw
	env  *Env
	typ  *desc.ProgType
	info *desc.ProgInfo
	log  *Log
	priv privileges
	// digest is the program's, once maps are compared with it.
	digest [32]byte

	strictAlignment, testStateFreq, testInvariants bool

	// The program, with the immediates of wide loads resolved, and what is known
	// of each instruction.
	insns []insn.Instruction
	aux   []insnAux
	facts []prog.Fact
	subs  []subprog
	funcs []prog.FuncInfo
	lines []prog.LineInfo
	// lastFunc is the record before the one that is being checked.
	lastFunc prog.FuncInfo
	// maps: those that the program uses, and behind them templates of inner maps.
	maps []*desc.Map
	used int

	succ      [][2]int32
	succLen   []uint8
	postorder []int32
	sccs      [][]*sccVisit

	// The walk.
	cur     *state
	pending []*branch
	spare   []*branch
	arena   arena
	states  stateTable
	live    stackLiveness
	bt      tracked
	ids     uint32

	insn    insn.Instruction // that is being checked
	insnIdx int
	prevIdx int
	hist    int // its entry in the history, -1 for none
	jumps   int
	// quiet: marks of precision are made quietly; quietMarks: some were.
	quiet, quietMarks bool
	// loadsLeave: a load from the packet was a way out of a subprogram, so that
	// precision is followed quietly as well.
	loadsLeave bool
	confusion  string // what tracking cannot be true
	// exploreLimits: masks of pointer arithmetic were noted, so that states must
	// agree in more.
	exploreLimits bool
	maxDepth      int

	// The log.
	text       []byte
	dirtyRegs  uint32
	dirtyStack uint64
	stepEnd    uint64
	stepWidth  int
	lastLine   int

	believed *believed
	stats    prog.Stats
}

func newVerifier(raw *prog.Raw, env *Env) *verifier {
	info := raw.Info
	v := &verifier{
		raw: raw, env: env, typ: env.Type, info: &info, log: env.Log,
		priv:    privilegesOf(info.Caps),
		insnIdx: -1, hist: -1, lastLine: -1,
		text: make([]byte, 0, 1024),
	}
	v.strictAlignment = info.Flags&uapi.BPF_F_STRICT_ALIGNMENT != 0 && info.Flags&uapi.BPF_F_ANY_ALIGNMENT == 0
	v.testStateFreq = v.priv.bpf && info.Flags&uapi.BPF_F_TEST_STATE_FREQ != 0
	v.testInvariants = info.Flags&uapi.BPF_F_TEST_REG_INVARIANTS != 0
	v.live.funcs = make(map[callChain]*liveFunc)
	if env.Record {
		v.believed = &believed{}
	}
	return v
}

// maxInsns is BPF_COMPLEXITY_LIMIT_INSNS, which bounds the program's length too.
const maxInsns = 1_000_000

// run makes the passes of the verification in Linux's order (bpf_check).
func (v *verifier) run() error {
	n := len(v.raw.Insns)
	if n == 0 || n > maxInsns {
		return v.reject(errno.E2BIG, ReasonComplexity, "the program has no instructions, or too many")
	}
	if v.typ == nil {
		return v.reject(errno.EINVAL, ReasonOther, "the program type is not known")
	}
	v.insns = append([]insn.Instruction(nil), v.raw.Insns...)
	v.aux = make([]insnAux, n)
	v.facts = make([]prog.Fact, n)
	for i := range v.facts {
		v.facts[i].Orig = int32(i)
	}
	v.states.buckets = make([]*saved, n)

	err := v.passes()
	if err == nil {
		v.shrinkStacks()
		err = v.checkStackDepth()
	}
	return err
}

func (v *verifier) passes() error {
	for _, pass := range []func() error{
		v.bindFDArray, v.checkBTFEarly, v.findSubprogs, v.checkSubprogs, v.checkBTFInfo, v.resolveWide, v.checkCFG,
		v.checkSleepable,
	} {
		if err := pass(); err != nil {
			return err
		}
	}
	v.computeSuccessors()
	v.computePostorder()
	v.computeSCC()
	v.computeLiveRegs()
	v.markFastcalls()
	if err := v.checkFunction(0); err != nil {
		return err
	}
	return v.checkGlobals()
}

// checkSleepable holds that only programs of types that may sleep ask for it
// (check_attach_btf_id).
func (v *verifier) checkSleepable() error {
	sleeps := v.raw.Info.Flags&uapi.BPF_F_SLEEPABLE != 0
	switch {
	case v.typ.Sleep == desc.SleepOnly && !sleeps:
		return v.fail(errno.EINVAL, ReasonOther, "Syscall programs can only be sleepable\n")
	case v.typ.Sleep == desc.SleepNever && sleeps:
		return v.fail(errno.EINVAL, ReasonOther, "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable\n")
	}
	return nil
}

// checkAbnormalReturn refuses, without BTF, what may leave a subprogram by
// another way than its exit.
func (v *verifier) checkAbnormalReturn() error {
	for i := range v.subs[:len(v.subs)-1] {
		if i == 0 {
			continue
		}
		if v.subs[i].hasLoadAbs {
			return v.fail(errno.EINVAL, ReasonBTF, "LD_ABS is not allowed in subprogs without BTF\n")
		}
		if v.subs[i].hasTailCall {
			return v.fail(errno.EINVAL, ReasonBTF, "tail_call is not allowed in subprogs without BTF\n")
		}
	}
	return nil
}

// checkFunction walks the main program or a global function (do_check_common).
func (v *verifier) checkFunction(sub int) error {
	v.lastLine = -1
	v.insnIdx = v.subs[sub].start
	s := &state{branches: 1, first: int32(v.insnIdx), last: -1, insn: int32(v.insnIdx)}
	s.frames[0] = v.newFrame(mainCallsite, 0, sub)
	v.cur = s
	if sub != 0 {
		if v.logging() {
			v.printf("Validating %s() func#%d...\n", v.subprogName(sub), sub)
		}
		if err := v.setDeclared(sub, s.frames[0]); err != nil {
			return err
		}
	} else {
		if v.hasFuncInfo() && !v.mainReliable() {
			v.subs[0].unreliable = true
		}
		s.frames[0].regs[insn.R1].setPointer(ptrCtx)
	}
	if err := v.explore(); err != nil {
		return err
	}
	if !v.log.on(LogLevel2) {
		v.log.rewind(0)
	}
	v.freeStates()
	return nil
}

// freeStates forgets what was saved while a function was walked.
func (v *verifier) freeStates() {
	clear(v.states.buckets)
	for i := range v.sccs {
		v.sccs[i] = nil
	}
}

// checkGlobals walks the global functions that are called, each on its own
// (do_check_subprogs).
func (v *verifier) checkGlobals() error {
	if !v.hasFuncInfo() {
		return nil
	}
	for again := true; again; {
		again = false
		for n := 1; n < len(v.subs)-1; n++ {
			sub := &v.subs[n]
			if !v.isGlobal(n) || !sub.called || sub.verified {
				continue
			}
			if err := v.checkFunction(n); err != nil {
				return err
			}
			if v.logging() {
				v.printf("Func#%d ('%s') is safe for any args that match its prototype\n", n, v.subprogName(n))
			}
			sub.verified = true
			again = true
		}
	}
	return nil
}

// printStats writes the figures at the log's end (print_verification_stats).
func (v *verifier) printStats() {
	if v.log == nil || v.log.level == 0 {
		return
	}
	if v.log.on(LogStats) {
		v.printf("verification time %d usec\n", v.stats.VerificationNS/1000)
		b := append(v.line(), "stack depth "...)
		for i := range max(0, len(v.subs)-1) {
			if i > 0 {
				b = append(b, '+')
			}
			b = appendInt(b, v.subs[i].shownOr())
		}
		v.print(append(b, '\n'))
	}
	v.printf("processed %d insns (limit %d) max_states_per_insn %d total_states %d peak_states %d mark_read %d\n",
		v.stats.Insns, maxInsnsProcessed, v.stats.MaxStatesPerInsn, v.stats.TotalStates, v.stats.PeakStates,
		v.stats.MarkRead)
}

func (s *subprog) shownOr() int {
	if s.shownDepth == 0 {
		return s.stackDepth
	}
	return s.shownDepth
}

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

func decimal(n int) string { return strconv.Itoa(n) }
