package verifier

import (
	"strconv"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
)

// Register liveness: which registers are read from an instruction on, so that
// the others need not be equal for two states to be (compute_live_registers).

// useDef are the registers that an instruction reads and writes.
type useDef struct{ use, def, in uint16 }

const (
	allRegs  uint16 = 0xffff
	clobbers uint16 = 1<<callerSaved - 1
)

func bit(r insn.Reg) uint16 { return 1 << r }

func (v *verifier) computeLiveRegs() {
	state := make([]useDef, len(v.insns))
	for i := range v.insns {
		state[i].use, state[i].def = v.usesDefs(i)
	}
	for changed := true; changed; {
		changed = false
		for _, i := range v.postorder {
			out := uint16(0)
			for _, s := range v.successors(int(i)) {
				out |= state[s].in
			}
			if in := out&^state[i].def | state[i].use; in != state[i].in {
				state[i].in = in
				changed = true
			}
		}
	}
	for i := range state {
		v.aux[i].live = state[i].in
	}
	if v.log.on(LogLevel2) {
		v.printLiveRegs()
	}
}

func (v *verifier) printLiveRegs() {
	v.print(append(v.line(), "Live regs before insn:\n"...))
	for i := 0; i < len(v.insns); i++ {
		b := v.line()
		if scc := v.aux[i].scc; scc != 0 {
			b = append(appendPadded(b, int(scc)), ' ')
		} else {
			b = append(b, "    "...)
		}
		b = append(appendPadded(b, i), ": "...)
		for r := range insn.RFP {
			if v.aux[i].live&bit(r) != 0 {
				b = append(b, '0'+byte(r))
			} else {
				b = append(b, '.')
			}
		}
		v.print(v.appendInsn(append(b, ' '), i))
		if v.insns[i].IsWide() {
			i++
		}
	}
}

// appendPadded appends n as %3d does.
func appendPadded(b []byte, n int) []byte {
	for limit := 100; limit > 1 && n < limit; limit /= 10 {
		b = append(b, ' ')
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// usesDefs is the effect of one instruction on registers; what is not
// understood uses them all.
func (v *verifier) usesDefs(i int) (use, def uint16) {
	in := v.insns[i]
	dst, src := bit(in.Dst()), bit(in.Src())
	switch in.Class() {
	case insn.ClassALU, insn.ClassALU64:
		return aluUses(in, dst, src), dst
	case insn.ClassJMP, insn.ClassJMP32:
		return v.jumpUses(i)
	case insn.ClassLDX:
		if in.Mode() == insn.ModeMem || in.Mode() == insn.ModeMemSX {
			return src, dst
		}
	case insn.ClassST:
		if in.Mode() == insn.ModeMem {
			return dst, 0
		}
	case insn.ClassSTX:
		switch in.Mode() {
		case insn.ModeMem:
			return dst | src, 0
		case insn.ModeAtomic:
			return atomicUses(in, dst, src)
		}
	case insn.ClassLD:
		if in.Mode() == insn.ModeImm && in.Size() == insn.SizeDW {
			return 0, dst
		}
	}
	return allRegs, 0
}

func aluUses(in insn.Instruction, dst, src uint16) uint16 {
	switch op := in.Op() & insn.OpMask; {
	case op == insn.OpEnd:
		return dst
	case op == insn.OpMov && in.Source() == insn.SrcK:
		return 0
	case op == insn.OpMov:
		return src
	case in.Source() == insn.SrcK:
		return dst
	}
	return dst | src
}

func atomicUses(in insn.Instruction, dst, src uint16) (use, def uint16) {
	switch imm := in.Imm(); {
	case imm == insn.AtomicCmpxchg:
		return bit(0) | dst | src, bit(0)
	case imm == insn.AtomicLoadAcq:
		return src, dst
	case imm == insn.AtomicStoreRel || imm&insn.AtomicFetch == 0:
		return dst | src, 0
	}
	return dst | src, src
}

func (v *verifier) jumpUses(i int) (use, def uint16) {
	in := v.insns[i]
	dst, src := bit(in.Dst()), bit(in.Src())
	switch in.Op() & insn.OpMask {
	case insn.JmpJA, insn.JmpJCOND:
		return 0, 0
	case insn.JmpEXIT:
		return bit(0), 0
	case insn.JmpCALL:
		if isHelperCall(in) {
			if h := v.helper(in.Imm()); h != nil {
				return argMask(h), clobbers
			}
		}
		return clobbers &^ bit(0), clobbers
	}
	if in.Source() == insn.SrcK {
		return dst, 0
	}
	return dst | src, 0
}

// argMask are the registers that a helper takes arguments in.
func argMask(h *desc.Helper) uint16 { return 1<<(argCount(h)+1) - 1 - 1 }

func argCount(h *desc.Helper) int {
	for i, a := range h.Args {
		if a == desc.ArgNone {
			return i
		}
	}
	return len(h.Args)
}
