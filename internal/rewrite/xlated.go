package rewrite

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Xlated is a rewritten program as BPF_OBJ_GET_INFO_BY_FD shows it
// (bpf_insn_prepare_dump): encodings of the rewriting itself are undone, maps
// are shown by id, calls between subprograms by distance and number. Helpers
// stay numbers, where Linux shows privileged callers a kernel address.
func Xlated(v *prog.Verified) []insn.Instruction {
	out := make([]insn.Instruction, len(v.Insns))
	copy(out, v.Insns)
	for at := range out {
		i, fact := out[at], &v.Facts[at]
		switch {
		case i.Op() == insn.OpcodeTailCall:
			out[at] = insn.Call(int32(uapi.BPF_FUNC_tail_call))
		case i.IsSubprogCall():
			out[at] = i.WithOff(int16(i.Imm())).WithImm(fact.Sub)
		case i.Class() == insn.ClassLDX && i.Mode() == insn.ModeProbeMem:
			out[at] = i.WithOp(insn.ClassLDX | insn.ModeMem | i.Size())
		case isPercpu(i):
			out[at] = i.WithImm(0)
		case i.IsFuncRef() && at+1 < len(out):
			out[at+1] = out[at+1].WithImm(fact.Sub)
		case i.IsWide() && at+1 < len(out) && fact.Map != nil && fact.Wide != prog.WideConst:
			out[at], out[at+1] = mapByID(v, i, out[at+1], fact)
		}
	}
	return out
}

// mapByID shows an address in a map as the map's id and an offset.
func mapByID(v *prog.Verified, first, second insn.Instruction, fact *prog.Fact) (insn.Instruction, insn.Instruction) {
	kind, off := insn.PseudoMapFD, int32(0)
	if fact.Wide == prog.WideMapValue {
		kind = insn.PseudoMapValue
		// The second slot of the program as given.
		if given := int(fact.Orig) + 1; given < len(v.Raw().Insns) {
			off = v.Raw().Insns[given].Imm()
		}
	}
	return first.WithSrc(kind).WithImm(int32(fact.Map.ID)), second.WithImm(off)
}

// isPercpu says whether i makes the address of a CPU's instance of an object.
func isPercpu(i insn.Instruction) bool {
	return i.Op() == insn.ClassALU64|insn.OpMov|insn.SrcX && i.Off() == insn.OffPercpu
}
