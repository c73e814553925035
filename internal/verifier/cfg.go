package verifier

import (
	"slices"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// insnAux is what the verifier notes about one instruction, beyond the facts
// that leave it.
type insnAux struct {
	prune      bool // states are compared here
	jumpTarget bool // the history must say how this was reached
	target     bool // of a jump
	checkpoint bool // a state is always saved here
	callsBack  bool // a helper that calls a subprogram
	nospec     bool // speculation must stop before
	// nospecAfter: speculation must stop after this store.
	nospecAfter bool
	// fastcall: part of the pattern around a helper that keeps registers.
	fastcall bool

	live    uint16  // registers that are read from here on
	scc     uint32  // loop that the instruction is part of; 0: none
	ptrType regType // what a load or store accesses
	mapIdx  int32   // of an ld_imm64, as in target
	mapOff  uint32

	mapSeen   int32 // map of a helper call on every path; 0: none yet
	keySeen   bool
	keyPoison bool
	loop      loopInline
	alu       aluState
	spills    uint8 // spills around a fastcall helper
}

// subprog is a function of the program. The list of subprograms ends with one
// that begins behind the last instruction.
type subprog struct {
	start      int
	stackDepth int // bytes of stack that it uses
	shownDepth int // the same without what fastcall patterns use
	postorder  int // index of its first instruction in verifier.postorder
	exit       int // its last exit instruction

	hasTailCall, tailCallReachable, hasLoadAbs bool
	changesPacket, mightSleep                  bool
	isCallback                                 bool

	fastcallOff  int  // lowest offset of fastcall spills; 0: none
	fastcallKeep bool // their stack is needed

	called, verified bool // of a global function
	args             []subArg
	argsKnown        bool
	unreliable       bool // the BTF does not tell what the caller passes
}

// containing is the index of the subprogram that instruction i belongs to.
func (v *verifier) containing(i int) int {
	lo, hi := 0, len(v.subs)-2
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if v.subs[mid].start <= i {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// subprogAt is the index of the subprogram that starts at i, -1 if none does.
func (v *verifier) subprogAt(i int) int {
	n, ok := slices.BinarySearchFunc(v.subs[:len(v.subs)-1], i, func(s subprog, at int) int { return s.start - at })
	if !ok {
		return -1
	}
	return n
}

func isPseudoCall(i insn.Instruction) bool {
	return i.Op() == insn.ClassJMP|insn.JmpCALL && i.Src() == insn.PseudoCall
}

func isPseudoFunc(i insn.Instruction) bool {
	return i.IsWide() && i.Src() == insn.PseudoFunc
}

func isKfuncCall(i insn.Instruction) bool {
	return i.Op() == insn.ClassJMP|insn.JmpCALL && i.Src() == insn.PseudoKfuncCall
}

func isHelperCall(i insn.Instruction) bool {
	return i.Op() == insn.ClassJMP|insn.JmpCALL && i.Src() == 0
}

func isHelper(i insn.Instruction, id uapi.FuncID) bool {
	return isHelperCall(i) && uint32(i.Imm()) == uint32(id)
}

func isMayGoto(i insn.Instruction) bool {
	return i.Op() == insn.ClassJMP|insn.JmpJCOND && i.Src() == insn.CondMayGoto
}

func isJumpClass(i insn.Instruction) bool {
	return i.Class() == insn.ClassJMP || i.Class() == insn.ClassJMP32
}

// jumpOffset is the distance of a jump (bpf_jmp_offset).
func jumpOffset(i insn.Instruction) int {
	if i.Op() == insn.ClassJMP32|insn.JmpJA {
		return int(i.Imm())
	}
	return int(i.Off())
}

// findSubprogs collects where subprograms begin (add_subprog_and_kfunc).
func (v *verifier) findSubprogs() error {
	starts, err := v.subprogStarts()
	for _, at := range append(starts, len(v.insns)) {
		v.subs = append(v.subs, subprog{start: at})
	}
	if err != nil {
		return err
	}
	if v.log.on(LogLevel2) {
		for n := range starts {
			v.printf("func#%d @%d\n", n, starts[n])
		}
	}
	return nil
}

func (v *verifier) subprogStarts() ([]int, error) {
	starts := []int{0}
	for i, in := range v.insns {
		if !isPseudoCall(in) && !isPseudoFunc(in) && !isKfuncCall(in) {
			continue
		}
		if !v.priv.bpf {
			return starts, v.fail(errno.EPERM, ReasonPrivilege,
				"loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN\n")
		}
		if isKfuncCall(in) {
			return starts, v.unsupported("calling a kernel function")
		}
		to := i + int(in.Imm()) + 1
		if to < 0 || to >= len(v.insns) {
			return starts, v.fail(errno.EINVAL, ReasonFlow, "call to invalid destination\n")
		}
		at, found := slices.BinarySearch(starts, to)
		if found {
			continue
		}
		if len(starts) >= maxSubprogs {
			return starts, v.fail(errno.E2BIG, ReasonFlow, "too many subprograms\n")
		}
		starts = slices.Insert(starts, at, to)
	}
	return starts, nil
}

// checkSubprogs checks that no jump leaves its subprogram and that control
// cannot fall out of one (check_subprogs).
func (v *verifier) checkSubprogs() error {
	n := 0
	for i, in := range v.insns {
		sub := &v.subs[n]
		end := v.subs[n+1].start
		if isHelper(in, uapi.BPF_FUNC_tail_call) {
			sub.hasTailCall, sub.tailCallReachable = true, true
		}
		if in.Class() == insn.ClassLD && (in.Mode() == insn.ModeAbs || in.Mode() == insn.ModeInd) {
			sub.hasLoadAbs = true
		}
		if isJumpClass(in) {
			switch in.Op() & insn.OpMask {
			case insn.JmpCALL:
			case insn.JmpEXIT:
				sub.exit = i
			default:
				if to := i + jumpOffset(in) + 1; to < sub.start || to >= end {
					return v.fail(errno.EINVAL, ReasonFlow, "jump out of range from insn %d to %d\n", i, to)
				}
			}
		}
		if i != end-1 {
			continue
		}
		switch in.Op() {
		case insn.ClassJMP | insn.JmpEXIT, insn.ClassJMP | insn.JmpJA, insn.ClassJMP32 | insn.JmpJA:
		default:
			return v.fail(errno.EINVAL, ReasonFlow, "last insn is not an exit or jmp\n")
		}
		n++
	}
	return nil
}

// Marks of the depth-first search over the program.
const (
	discovered  = 0x10
	explored    = 0x20
	fallThrough = 1
	branching   = 2
)

// cfgWalk is the search that finds unreachable code and the places where paths
// join (check_cfg).
type cfgWalk struct {
	v     *verifier
	state []uint8
	stack []int32
}

func (v *verifier) checkCFG() error {
	w := cfgWalk{v: v, state: make([]uint8, len(v.insns)), stack: make([]int32, 0, len(v.insns))}
	w.state[0] = discovered
	w.stack = append(w.stack, 0)
	for len(w.stack) > 0 {
		i := int(w.stack[len(w.stack)-1])
		deeper, err := w.visit(i)
		if err != nil {
			return err
		}
		if !deeper {
			w.state[i] = explored
			w.stack = w.stack[:len(w.stack)-1]
		}
	}
	for i := 0; i < len(v.insns); i++ {
		if w.state[i] != explored {
			return v.fail(errno.EINVAL, ReasonFlow, "unreachable insn %d\n", i)
		}
		if v.insns[i].IsWide() {
			if w.state[i+1] != 0 {
				return v.fail(errno.EINVAL, ReasonFlow, "jump into the middle of ldimm64 insn %d\n", i)
			}
			i++
		}
	}
	return nil
}

// edge follows the edge from i to to; deeper says that to must be visited
// first.
func (w *cfgWalk) edge(i, to int, kind uint8) (deeper bool, err error) {
	v := w.v
	if w.state[i] >= discovered|kind && w.state[i] < explored {
		return false, nil
	}
	if to < 0 || to >= len(v.insns) {
		v.logLine(i, decimal(i)+": ")
		return false, v.fail(errno.EINVAL, ReasonFlow, "jump out of range from insn %d to %d\n", i, to)
	}
	if kind == branching {
		v.joinPoint(to)
		v.aux[to].target = true
	}
	switch {
	case w.state[to] == 0:
		w.state[i] = discovered | kind
		w.state[to] = discovered
		w.stack = append(w.stack, int32(to))
		return true, nil
	case w.state[to]&0xf0 == discovered:
		if v.priv.bpf {
			return false, nil
		}
		v.logLine(i, decimal(i)+": ")
		v.logLine(to, decimal(to)+": ")
		return false, v.fail(errno.EINVAL, ReasonFlow, "back-edge from insn %d to %d\n", i, to)
	}
	w.state[i] = discovered | kind
	return false, nil
}

// joinPoint marks an instruction that several paths may reach.
func (v *verifier) joinPoint(i int) {
	v.aux[i].prune = true
	v.aux[i].jumpTarget = true
}

// visit follows the next edge out of instruction i.
func (w *cfgWalk) visit(i int) (deeper bool, err error) {
	v := w.v
	in := v.insns[i]
	if isPseudoFunc(in) {
		return w.call(i, 2, true)
	}
	if !isJumpClass(in) {
		return w.edge(i, i+insnSlots(in), fallThrough)
	}
	switch in.Op() & insn.OpMask {
	case insn.JmpEXIT:
		return false, nil
	case insn.JmpCALL:
		v.noteHelper(i)
		return w.call(i, 1, in.Src() == insn.PseudoCall)
	case insn.JmpJA:
		to := i + jumpOffset(in) + 1
		deeper, err := w.edge(i, to, fallThrough)
		if err == nil && !deeper {
			v.joinPoint(to)
			v.aux[to].target = true
		}
		return deeper, err
	}
	v.aux[i].prune = true
	if isMayGoto(in) {
		v.aux[i].checkpoint = true
	}
	if deeper, err := w.edge(i, i+1, fallThrough); deeper || err != nil {
		return deeper, err
	}
	return w.edge(i, i+int(in.Off())+1, branching)
}

func insnSlots(in insn.Instruction) int {
	if in.IsWide() {
		return 2
	}
	return 1
}

// call follows the edges out of a call: past it and, for a subprogram, into it.
func (w *cfgWalk) call(i, slots int, enter bool) (deeper bool, err error) {
	v := w.v
	if deeper, err := w.edge(i, i+slots, fallThrough); deeper || err != nil {
		return deeper, err
	}
	v.joinPoint(i + slots)
	if !enter {
		return false, nil
	}
	to := i + int(v.insns[i].Imm()) + 1
	v.aux[i].prune = true
	caller, callee := &v.subs[v.containing(i)], &v.subs[v.containing(to)]
	caller.changesPacket = caller.changesPacket || callee.changesPacket
	caller.mightSleep = caller.mightSleep || callee.mightSleep
	return w.edge(i, to, branching)
}

// noteHelper marks what a helper call means for control flow.
func (v *verifier) noteHelper(i int) {
	in := v.insns[i]
	if !isHelperCall(in) {
		return
	}
	if syncCallback(in) {
		v.aux[i].callsBack = true
		v.aux[i].checkpoint = true
		v.joinPoint(i)
	}
	h := v.helper(in.Imm())
	if h == nil {
		return
	}
	sub := &v.subs[v.containing(i)]
	sub.mightSleep = sub.mightSleep || h.MightSleep
	sub.changesPacket = sub.changesPacket || h.ChangesPktData
}

// syncCallback says whether a helper calls a subprogram before it returns
// (is_sync_callback_calling_insn).
func syncCallback(in insn.Instruction) bool {
	return isHelper(in, uapi.BPF_FUNC_for_each_map_elem) || isHelper(in, uapi.BPF_FUNC_find_vma) ||
		isHelper(in, uapi.BPF_FUNC_loop) || isHelper(in, uapi.BPF_FUNC_user_ringbuf_drain)
}

// computeSuccessors fills the table of successors: the one in line first.
func (v *verifier) computeSuccessors() {
	v.succ = make([][2]int32, len(v.insns))
	v.succLen = make([]uint8, len(v.insns))
	for i, in := range v.insns {
		n := 0
		add := func(to int) {
			// The second slot of a wide load is looked at like an instruction.
			if to < len(v.insns) {
				v.succ[i][n] = int32(to)
				n++
			}
		}
		jumps, falls := false, true
		if isJumpClass(in) {
			switch in.Op() & insn.OpMask {
			case insn.JmpEXIT:
				falls = false
			case insn.JmpJA:
				jumps, falls = true, false
			case insn.JmpCALL, 0xf0:
			default:
				jumps = true
			}
		}
		if falls {
			add(i + insnSlots(in))
		}
		if jumps {
			add(i + jumpOffset(in) + 1)
		}
		v.succLen[i] = uint8(n)
	}
}

func (v *verifier) successors(i int) []int32 { return v.succ[i][:v.succLen[i]] }

// computePostorder orders the instructions of each subprogram so that
// successors come first where the flow allows (compute_postorder).
func (v *verifier) computePostorder() {
	state := make([]uint8, len(v.insns))
	var stack []int32
	for n := range v.subs[:len(v.subs)-1] {
		v.subs[n].postorder = len(v.postorder)
		stack = append(stack, int32(v.subs[n].start))
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			state[i] |= discovered
			if state[i]&explored != 0 {
				v.postorder = append(v.postorder, i)
				stack = stack[:len(stack)-1]
				continue
			}
			for _, s := range v.successors(int(i)) {
				if state[s] == 0 {
					stack = append(stack, s)
					state[s] |= discovered
				}
			}
			state[i] |= explored
		}
	}
	v.subs[len(v.subs)-1].postorder = len(v.postorder)
}

// computeSCC numbers the loops: strongly connected components of the flow
// within subprograms (compute_scc), found with Tarjan's algorithm.
func (v *verifier) computeSCC() {
	const popped = ^uint32(0)
	n := len(v.insns)
	pre, low := make([]uint32, n), make([]uint32, n)
	var stack, path []int32
	order, id := uint32(1), uint32(1)
	for root := range n {
		if pre[root] != 0 {
			continue
		}
		path = append(path[:0], int32(root))
	walk:
		for len(path) > 0 {
			i := path[len(path)-1]
			if pre[i] == 0 {
				pre[i], low[i] = order, order
				order++
				stack = append(stack, i)
			}
			for _, s := range v.successors(int(i)) {
				if pre[s] == 0 {
					path = append(path, s)
					continue walk
				}
				low[i] = min(low[i], low[s])
			}
			path = path[:len(path)-1]
			if low[i] < pre[i] {
				continue
			}
			loop := stack[len(stack)-1] != i || slices.Contains(v.successors(int(i)), i)
			for {
				s := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				low[s] = popped
				if loop {
					v.aux[s].scc = id
				}
				if s == i {
					break
				}
			}
			if loop {
				id++
			}
		}
	}
	v.sccs = make([][]*sccVisit, id)
}
