package progen

import (
	"slices"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// helper is a helper function and a way to call it.
type helper struct {
	id    uapi.FuncID
	types []uapi.ProgType
	moves bool // the packet: pointers into it are lost
	emit  func(*gen, *fn, int32) bool
}

var (
	onSkb = []uapi.ProgType{uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_SCHED_CLS}
	onTC  = []uapi.ProgType{uapi.BPF_PROG_TYPE_SCHED_CLS}
	onXDP = []uapi.ProgType{uapi.BPF_PROG_TYPE_XDP}
	onNet = []uapi.ProgType{uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_XDP}
)

// helperTable has helpers whose effect follows from their arguments and the
// packet.
var helperTable = []helper{
	{uapi.BPF_FUNC_skb_load_bytes, onSkb, false, loadBytes(0)},
	{uapi.BPF_FUNC_skb_load_bytes_relative, onSkb, false, loadBytes(5)},
	{uapi.BPF_FUNC_skb_store_bytes, onTC, true, storeBytes(true)},
	{uapi.BPF_FUNC_l3_csum_replace, onTC, true, csumReplace},
	{uapi.BPF_FUNC_l4_csum_replace, onTC, true, csumReplace},
	{uapi.BPF_FUNC_skb_pull_data, onTC, true, ctxInts(60)},
	{uapi.BPF_FUNC_skb_change_tail, onTC, true, ctxInts(90, 0)},
	{uapi.BPF_FUNC_csum_diff, onNet, false, csumDiff},
	{uapi.BPF_FUNC_xdp_adjust_head, onXDP, true, ctxDelta(24)},
	{uapi.BPF_FUNC_xdp_adjust_tail, onXDP, true, ctxDelta(16)},
	{uapi.BPF_FUNC_xdp_adjust_meta, onXDP, true, ctxDelta(32)},
	{uapi.BPF_FUNC_xdp_load_bytes, onXDP, false, loadBytes(0)},
	{uapi.BPF_FUNC_xdp_store_bytes, onXDP, false, storeBytes(false)},
	{uapi.BPF_FUNC_xdp_get_buff_len, onXDP, false, ctxInts()},
}

// allowedHelpers are those of the program's type and the configuration.
func (g *gen) allowedHelpers() []helper {
	var allowed []helper
	for _, h := range helperTable {
		if slices.Contains(h.types, g.out.Type) && (g.cfg.Helpers == nil || slices.Contains(g.cfg.Helpers, h.id)) {
			allowed = append(allowed, h)
		}
	}
	return allowed
}

// helper calls a helper.
func (g *gen) helper(f *fn) bool {
	if !f.hasCtx || len(g.helpers) == 0 {
		return false
	}
	h := pick(g, g.helpers)
	if h.moves && f.packetPtrs > 0 {
		return false
	}
	f.moves = f.moves || h.moves
	return h.emit(g, f, int32(h.id))
}

// argument puts a small number into an argument register: a constant, or a
// variable one of at most limit.
func (g *gen) argument(f *fn, r insn.Reg, limit int) {
	if g.chance(0.6) {
		f.movImm(r, int32(g.IntN(limit+1)))
		return
	}
	set := uint16(0)
	for a := insn.R1; a < r; a++ {
		set |= bit(a) // arguments that are in place
	}
	if n := g.number(f, set); n != r {
		f.mov(r, n)
	}
	mask := int32(1)
	for mask*2-1 <= int32(limit) {
		mask *= 2
	}
	f.emit(insn.ClassALU64|insn.OpAnd|insn.SrcK, r, 0, 0, mask-1)
	f.set(r, value{kind: scalar, max: uint64(mask - 1)})
}

// loadBytes calls a helper that copies packet bytes to the stack.
func loadBytes(flagsArg insn.Reg) func(*gen, *fn, int32) bool {
	return func(g *gen, f *fn, id int32) bool {
		size := pick(g, []int{1, 2, 4, 6, 8, 14, 16, 20})
		room, align := size, 1
		if uapi.FuncID(id) == uapi.BPF_FUNC_xdp_load_bytes {
			room, align = (size+7)&^7, 8
		}
		at, ok := g.slot(f, room, align)
		if !ok {
			return false
		}
		if align == 8 {
			g.fill(f, at, room) // where it fails, this helper leaves the stack as it was
		}
		g.argument(f, insn.R2, 64)
		f.frameAddr(insn.R3, at)
		f.movImm(insn.R4, int32(size))
		if flagsArg != 0 {
			f.movImm(flagsArg, int32(g.IntN(2)))
		}
		f.mov(insn.R1, insn.R6)
		f.call(id)
		f.markInit(at, size, true) // the others zero it where they fail
		return true
	}
}

// storeBytes calls a helper that copies from the stack to the packet.
func storeBytes(flags bool) func(*gen, *fn, int32) bool {
	return func(g *gen, f *fn, id int32) bool {
		size := 8 * (1 + g.IntN(2))
		at, ok := g.slot(f, size, 8)
		if !ok {
			return false
		}
		g.fill(f, at, size)
		g.argument(f, insn.R2, 60)
		f.frameAddr(insn.R3, at)
		f.movImm(insn.R4, int32(1+g.IntN(size)))
		if flags {
			f.movImm(insn.R5, int32(g.IntN(2))) // BPF_F_RECOMPUTE_CSUM
		}
		f.mov(insn.R1, insn.R6)
		f.call(id)
		return true
	}
}

// csumReplace calls bpf_l3_csum_replace or bpf_l4_csum_replace.
func csumReplace(g *gen, f *fn, id int32) bool {
	g.argument(f, insn.R2, 50)
	g.argument(f, insn.R3, 0xffff)
	g.argument(f, insn.R4, 0xffff)
	f.movImm(insn.R5, pick(g, []int32{0, 2, 4, 2, 4, 0x12, 0x14, 0x24}))
	f.mov(insn.R1, insn.R6)
	f.call(id)
	return true
}

// csumDiff calls bpf_csum_diff on two pieces of the stack, either of which may be
// empty.
func csumDiff(g *gen, f *fn, id int32) bool {
	pieces := [2]struct{ at, size int }{}
	for i := range pieces {
		size := 4 * g.IntN(5)
		at, ok := g.slot(f, 16, 8)
		if !ok {
			return false
		}
		g.fill(f, at, 16)
		pieces[i].at, pieces[i].size = at, size
	}
	for i, p := range pieces {
		r := insn.R1 + insn.Reg(2*i)
		if p.size == 0 && g.chance(0.5) {
			f.movImm(r, 0)
		} else {
			f.frameAddr(r, p.at)
		}
		f.movImm(r+1, int32(p.size))
	}
	f.movImm(insn.R5, g.imm32())
	f.call(id)
	return true
}

// ctxInts calls a helper that takes the context and numbers of at most limits.
func ctxInts(limits ...int) func(*gen, *fn, int32) bool {
	return func(g *gen, f *fn, id int32) bool {
		for i, limit := range limits {
			g.argument(f, insn.R2+insn.Reg(i), limit)
		}
		f.mov(insn.R1, insn.R6)
		f.call(id)
		return true
	}
}

// ctxDelta calls a helper that takes the context and a number around zero.
func ctxDelta(limit int) func(*gen, *fn, int32) bool {
	return func(g *gen, f *fn, id int32) bool {
		f.movImm(insn.R2, int32(g.IntN(2*limit+1)-limit))
		f.mov(insn.R1, insn.R6)
		f.call(id)
		return true
	}
}

// subprog is a function that others call.
type subprog struct {
	*fn
	args []argKind
}

type argKind uint8

const (
	argNumber argKind = iota
	argCtx
	argStack // a piece of the caller's stack
)

// argStackSize is how many initialised bytes an argStack points to.
const argStackSize = 16

// planSubprogs makes the functions, the last first: each may call those after
// it.
func (g *gen) planSubprogs() {
	n := 1 + g.IntN(2)
	g.subs = make([]*subprog, n)
	for i := n - 1; i >= 0; i-- {
		g.subs[i] = g.newSubprog(i)
	}
}

func (g *gen) newSubprog(index int) *subprog {
	s := &subprog{fn: &fn{}}
	for range g.IntN(4) {
		s.args = append(s.args, pick(g, []argKind{argNumber, argNumber, argCtx, argStack}))
	}
	stack := insn.Reg(0)
	for i, a := range s.args {
		r := insn.R1 + insn.Reg(i)
		switch a {
		case argNumber:
			s.setScalar(r)
		case argCtx:
			if !s.hasCtx {
				s.hasCtx = true
				s.emit(insn.ClassALU64|insn.OpMov|insn.SrcX, insn.R6, r, 0, 0)
				s.keep |= bit(insn.R6)
			}
		case argStack:
			stack = r
		}
	}
	s.depth = 1
	if stack != 0 {
		p := insn.R7
		s.emit(insn.ClassALU64|insn.OpMov|insn.SrcX, p, stack, 0, 0)
		s.keep |= bit(p)
		g.element(s.fn, p, memory{size: argStackSize, aligned: true, stack: -1}, true)
		s.keep &^= bit(p)
		s.set(p, value{})
	}
	later := g.subs
	g.subs = make([]*subprog, len(later))
	copy(g.subs[index+1:], later[index+1:]) // those before are not there yet
	g.block(s.fn, 1+g.IntN(4))
	g.mixRegisters(s.fn)
	s.exit()
	return s
}

// callSubprog calls a subprogram.
func (g *gen) callSubprog(f *fn) bool {
	var there []int
	for i, s := range g.subs {
		if s == nil || s.moves && f.packetPtrs > 0 {
			continue
		}
		if f.hasCtx || !slices.Contains(s.args, argCtx) {
			there = append(there, i)
		}
	}
	if len(there) == 0 {
		return false
	}
	i := pick(g, there)
	at, ok := g.slot(f, argStackSize, 8)
	if !ok {
		return false
	}
	if slices.Contains(g.subs[i].args, argStack) {
		g.fill(f, at, argStackSize)
	}
	var set uint16
	for n, a := range g.subs[i].args {
		r := insn.R1 + insn.Reg(n)
		switch a {
		case argNumber:
			if have := g.number(f, set); have != r {
				f.mov(r, have)
			}
		case argCtx:
			f.mov(r, insn.R6)
			f.set(r, value{})
		case argStack:
			f.frameAddr(r, at)
			f.set(r, value{})
		}
		set |= bit(r)
	}
	f.moves = f.moves || g.subs[i].moves
	f.calls = append(f.calls, callSite{len(f.code), i})
	f.emit(insn.ClassJMP|insn.JmpCALL, 0, insn.PseudoCall, 0, 0)
	f.clobber()
	f.setScalar(insn.R0)
	return true
}
