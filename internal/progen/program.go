package progen

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// newMain starts the main program: the context goes to R6, where calls leave it
// and where LD_ABS wants it.
func (g *gen) newMain() *fn {
	f := &fn{isMain: true, hasCtx: true, abs: true, keep: bit(insn.R6)}
	f.emit(insn.ClassALU64|insn.OpMov|insn.SrcX, insn.R6, insn.R1, 0, 0)
	f.set(insn.R6, value{kind: ctx})
	for range 2 + g.IntN(3) {
		if g.chance(0.5) || !g.ctxLoad(f) {
			g.setNumber(f)
		}
	}
	return f
}

// mixRegisters makes the result depend on all numbers that are left: a wrong one
// shows.
func (g *gen) mixRegisters(f *fn) {
	if f.regs[insn.R0].kind != scalar {
		f.movImm(insn.R0, 1)
	}
	for i, v := range f.regs {
		if i > 0 && v.kind == scalar {
			f.emit(insn.ClassALU64|insn.OpMul|insn.SrcK, insn.R0, 0, 0, 0x01000193)
			f.emit(insn.ClassALU64|insn.OpXor|insn.SrcX, insn.R0, insn.Reg(i), 0, 0)
		}
	}
}

// epilogue ends the main program with a result that depends on the registers and
// on the stack.
func (g *gen) epilogue(f *fn) {
	g.mixRegisters(f)
	for at := 0; at < frameSize; at += 8 {
		if f.initialised(at, 8) && g.chance(0.7) {
			f.emit(insn.ClassLDX|insn.ModeMem|insn.SizeDW, insn.R1, insn.R10, at-frameSize, 0)
			f.emit(insn.ClassALU64|insn.OpMul|insn.SrcK, insn.R0, 0, 0, 0x01000193)
			f.emit(insn.ClassALU64|insn.OpAdd|insn.SrcX, insn.R0, insn.R1, 0, 0)
		}
	}
	if g.has(Maps) && g.chance(0.3) { // all 64 bits can be seen in the map
		f.wide(insn.R1, insn.PseudoMapValue, mapGlobal, 0)
		f.emit(insn.ClassSTX|insn.ModeMem|insn.SizeDW, insn.R1, insn.R0, 0, 0)
	}
	f.emit(insn.ClassALU64|insn.OpMov|insn.SrcX, insn.R1, insn.R0, 0, 0)
	f.emit(insn.ClassALU64|insn.OpRsh|insn.SrcK, insn.R1, 0, 0, 32)
	f.emit(insn.ClassALU64|insn.OpXor|insn.SrcX, insn.R0, insn.R1, 0, 0)
	if !g.wants("no-exit") {
		f.exit()
	}
}

// link puts the functions that are called behind the main program.
func (g *gen) link(main *fn) {
	var order []*fn
	start := map[*fn]int{}
	var visit func(f *fn)
	length := 0
	visit = func(f *fn) {
		if _, seen := start[f]; seen {
			return
		}
		start[f] = length
		length += len(f.code)
		order = append(order, f)
		for _, c := range f.calls {
			visit(g.subs[c.callee].fn)
		}
	}
	visit(main)
	for _, f := range order {
		for _, c := range f.calls {
			target := start[g.subs[c.callee].fn]
			f.code[c.at] = f.code[c.at].WithImm(int32(target - (start[f] + c.at) - 1))
		}
		g.out.Insns = append(g.out.Insns, f.code...)
	}
}

// mistakes are the deliberate ones; "bounds" is none, but a number whose bounds only
// the verifier can tell. Those that no statement makes are mutations
// of the finished program.
var mistakes = []string{
	"null-check", "packet-range", "value-range", "uninit-reg", "uninit-stack", "stack-range",
	"stack-align", "ctx-offset", "unbounded", "pointer-arithmetic", "bad-op", "shift-range",
	"div-zero", "infinite-loop", "helper-arg", "no-exit", "mutate", "mutate", "delete",
	mistakeBounds, mistakeBounds, mistakeBounds, mistakeBounds,
}

// mistakeBounds is the number whose bounds only the verifier can tell.
const mistakeBounds = "bounds"

// mutate changes the finished program at random.
func (g *gen) mutate() {
	code := g.out.Insns
	if g.mistake == "delete" {
		g.out.Insns = Delete(code, g.IntN(len(code)), 1)
		g.mistake = ""
		return
	}
	g.out.Mistake, g.mistake = "mutate", ""
	i := g.IntN(len(code))
	in := code[i]
	switch g.IntN(6) {
	case 0:
		in = in.WithDst(insn.Reg(g.IntN(11)))
	case 1:
		in = in.WithSrc(insn.Reg(g.IntN(11)))
	case 2:
		in = in.WithOff(in.Off() + int16(pick(g, []int{-8, -2, -1, 1, 2, 4, 8})))
	case 3:
		in = in.WithImm(g.imm32())
	case 4:
		in = in.WithOp(in.Op() ^ 1<<g.IntN(8))
	case 5:
		j := g.IntN(len(code))
		code[i], code[j] = code[j], code[i]
		return
	}
	code[i] = in
}

// inputs are the packets to run on: some that are what they say, some random.
func (g *gen) inputs() []Input {
	in := make([]Input, 2+g.IntN(2))
	for i := range in {
		in[i].Packet = g.packetBytes()
		if g.out.Type != uapi.BPF_PROG_TYPE_XDP && g.chance(0.5) {
			in[i].Ctx = g.skbCtx()
		}
	}
	return in
}

// packetBytes returns an Ethernet frame.
func (g *gen) packetBytes() []byte {
	size := 14 + g.IntN(100)
	b := g.bytes(size)
	ethertype := pick(g, []uint16{0x0800, 0x0800, 0x86dd, 0x0806, uint16(g.Uint32())})
	b[12], b[13] = byte(ethertype>>8), byte(ethertype)
	ip := b[14:]
	switch {
	case ethertype == 0x0800 && len(ip) >= 20:
		ip[0] = 0x45
		ip[2], ip[3] = byte(len(ip)>>8), byte(len(ip))
		ip[9] = pick(g, []byte{1, 6, 17})
	case ethertype == 0x86dd && len(ip) >= 40:
		ip[0] = 0x60
		ip[4], ip[5] = byte((len(ip)-40)>>8), byte(len(ip)-40)
		ip[6] = pick(g, []byte{6, 17, 58})
	}
	return b
}

// skbCtx returns a __sk_buff with values in the fields that a test run takes.
func (g *gen) skbCtx() []byte {
	b := make([]byte, uapi.SizeofSkBuff)
	copy(b[uapi.OffSkBuffMark:], g.bytes(4))
	copy(b[uapi.OffSkBuffPriority:], g.bytes(4))
	copy(b[uapi.OffSkBuffCb:], g.bytes(20))
	return b
}
