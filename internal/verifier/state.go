package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
)

// Limits of the walk, as in kernel/bpf/verifier.c and include/linux/bpf.h.
const (
	maxInsnsProcessed = 1_000_000 // BPF_COMPLEXITY_LIMIT_INSNS
	maxBranches       = 8192      // BPF_COMPLEXITY_LIMIT_JMP_SEQ
	maxUnprivStates   = 64        // BPF_COMPLEXITY_LIMIT_STATES
	maxFrames         = 8         // MAX_CALL_FRAMES
	maxStack          = 512       // MAX_BPF_STACK
	maxSubprogs       = 256       // BPF_MAX_SUBPROGS
	maxUsedMaps       = 64        // MAX_USED_MAPS
	maxVarOff         = 1 << 29   // BPF_MAX_VAR_OFF
	maxVarSize        = 1 << 29   // BPF_MAX_VAR_SIZ
	maxPacketOff      = 0xffff    // MAX_PACKET_OFF
	slotSize          = 8         // BPF_REG_SIZE
)

// mainCallsite stands for the call site of a frame that nothing called.
const mainCallsite = -1

// retRange is the range that a callback must return.
type retRange struct{ min, max int32 }

// frame is the state of one function in the chain of calls (bpf_func_state).
type frame struct {
	regs  [insn.NumRegs]reg
	stack []slot // the slot at fp-8 first

	callsite int32 // the call that made this frame
	subprog  int32
	number   uint8 // depth in the chain

	inCallback bool
	retRange   retRange
	// callbackDepth counts the iterations of the callback that this frame's
	// current call unrolls.
	callbackDepth uint32
}

func (f *frame) copyFrom(src *frame) {
	stack := append(f.stack[:0], src.stack...)
	*f = *src
	f.stack = stack
}

// refKind is the kind of a held resource.
type refKind uint8

const (
	refPointer refKind = iota // an object that must be released
	refLock                   // a bpf_spin_lock
)

// ref is one resource that the program holds.
type ref struct {
	kind refKind
	insn int32
	id   uint32
	lock int32 // map index of a lock
}

// jump is an entry of a path's history: the walk came to idx from prev, and what
// else backtracking must know of idx.
type jump struct {
	idx, prev int32
	flags     histFlags
	linked    uint64
}

// histFlags says what an instruction of the history did (INSN_F_*).
type histFlags uint16

const (
	histFrame       histFlags = 0x7 // frame of the stack slot
	histSlotShift             = 3
	histSlotMask    histFlags = 0x3f << histSlotShift
	histStackAccess histFlags = 1 << 9
	histDstStack    histFlags = 1 << 10 // the destination of a comparison is a stack pointer
	histSrcStack    histFlags = 1 << 11
)

func stackAccess(frame uint8, spi int) histFlags {
	return histStackAccess | histFlags(spi)<<histSlotShift | histFlags(frame)
}

func (f histFlags) slot() int { return int(f&histSlotMask) >> histSlotShift }

// state is the abstract state of the machine at one point of one path
// (bpf_verifier_state).
type state struct {
	frames [maxFrames]*frame
	depth  int // index of the current frame

	refs  []ref
	locks int // bpf_spin_locks held
	lock  struct {
		id  uint32
		mem int32 // map index
	}

	// parent is the last saved state on the path; history what happened since.
	parent  *saved
	history []jump
	// first and last: the instruction after parent, and the one before this.
	insn, first, last int32

	branches      int32 // paths from here that are not finished
	dfsDepth      int32
	callbackDepth uint32 // callbacks that are being unrolled
	mayGotoDepth  uint32
	speculative   bool
	cleaned       bool
	equal         *saved // the state that this one was found equal to (backedges)
}

func (s *state) top() *frame { return s.frames[s.depth] }

// saved is a state kept at a prune point, in the list of its bucket.
type saved struct {
	state
	next, prev *saved
	hits       int
	misses     int
	evicted    bool
}

// frameInsn is the instruction that frame n stands at: the current one, or the
// call it waits for.
func (s *state) frameInsn(n int) int {
	if n == s.depth {
		return int(s.insn)
	}
	return int(s.frames[n+1].callsite)
}

func sameCallsites(a, b *state) bool {
	if a.depth != b.depth {
		return false
	}
	for n := a.depth; n >= 0; n-- {
		if a.frames[n].callsite != b.frames[n].callsite {
			return false
		}
	}
	return true
}

// eachReg calls fn for every register and spilled register of all frames.
func (s *state) eachReg(fn func(r *reg)) {
	for n := 0; n <= s.depth; n++ {
		f := s.frames[n]
		for i := range f.regs {
			fn(&f.regs[i])
		}
		for i := range f.stack {
			if f.stack[i].isSpill() {
				fn(&f.stack[i].spill)
			}
		}
	}
}

// arena keeps frames that are no longer used, so that branching need not
// allocate.
type arena struct{ frames []*frame }

// maxFreeFrames bounds what the arena keeps.
const maxFreeFrames = 4096

func (a *arena) frame() *frame {
	if n := len(a.frames); n > 0 {
		f := a.frames[n-1]
		a.frames = a.frames[:n-1]
		return f
	}
	return new(frame)
}

func (a *arena) free(s *state) {
	for n := range s.frames {
		a.freeFrame(s.frames[n])
		s.frames[n] = nil
	}
}

func (a *arena) freeFrame(f *frame) {
	if f != nil && len(a.frames) < maxFreeFrames {
		a.frames = append(a.frames, f)
	}
}

// copyState makes dst equal to src, with its own frames.
func (a *arena) copyState(dst, src *state) {
	frames := dst.frames
	refs, history := dst.refs, dst.history
	*dst = *src
	dst.refs = append(refs[:0], src.refs...)
	dst.history = append(history[:0], src.history...)
	for n := range frames {
		switch {
		case n > src.depth:
			a.freeFrame(frames[n])
			frames[n] = nil
		case frames[n] == nil:
			frames[n] = a.frame()
			fallthrough
		default:
			frames[n].copyFrom(src.frames[n])
		}
	}
	dst.frames = frames
}

// branch is a path that waits to be walked.
type branch struct {
	state
	at, from int
	logPos   uint64
}

// push sets the current state aside, to be continued at instruction idx
// (push_stack). The returned state may be changed until the next push.
func (v *verifier) push(idx, prev int, speculative bool) (*state, error) {
	var b *branch
	if n := len(v.spare); n > 0 {
		b, v.spare = v.spare[n-1], v.spare[:n-1]
	} else {
		b = new(branch)
	}
	v.arena.copyState(&b.state, v.cur)
	b.at, b.from, b.logPos = idx, prev, v.log.pos()
	b.speculative = b.speculative || speculative
	v.pending = append(v.pending, b)
	if len(v.pending) > maxBranches {
		return nil, v.fail(errno.E2BIG, ReasonComplexity, "The sequence of %d jumps is too complex.\n", len(v.pending))
	}
	if b.parent != nil {
		b.parent.branches++
	}
	return &b.state, nil
}

// pop continues with the path that was set aside last; ok is false if there is
// none.
func (v *verifier) pop() (idx, prev int, ok bool) {
	n := len(v.pending)
	if n == 0 {
		return 0, 0, false
	}
	b := v.pending[n-1]
	at, from := b.at, b.from
	v.pending = v.pending[:n-1]
	// The two states trade places: what the current one has is not needed again.
	*v.cur, b.state = b.state, *v.cur
	if !v.log.on(LogLevel2) {
		v.log.rewind(b.logPos)
	}
	if len(v.spare) < 64 {
		b.parent, b.equal = nil, nil
		v.spare = append(v.spare, b)
	} else {
		v.arena.free(&b.state)
	}
	return at, from, true
}

// newFrame makes a frame for a call.
func (v *verifier) newFrame(callsite, number, subprog int) *frame {
	f := v.arena.frame()
	*f = frame{stack: f.stack[:0], callsite: int32(callsite), number: uint8(number), subprog: int32(subprog)}
	for n := range f.regs {
		v.setNotInit(&f.regs[n])
	}
	fp := &f.regs[insn.RFP]
	fp.setPointer(ptrStack)
	fp.frame = uint8(number)
	v.dirtyAll()
	return f
}
