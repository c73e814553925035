package rewrite

import (
	"math"
	"math/bits"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// mapLookup replaces lookups in a map that is known and whose elements lie in
// one block by the computation of the address (map_gen_lookup of array,
// percpu_array and array_of_maps). R1 is the map, R2 points to the key.
//
// The move that turns a per-CPU address into that of the running CPU has the
// distance between CPUs as its immediate: in Linux it is the same for all
// objects, here each map has its own. The element is not behind a pointer, so
// that the code is one load shorter than Linux's.
func mapLookup(p *program) error {
	return p.each(func(at int, i insn.Instruction, fact *prog.Fact) error {
		if !i.IsHelperCall() || i.Imm() != int32(uapi.BPF_FUNC_map_lookup_elem) {
			return nil
		}
		m := fact.Map
		if m == nil || fact.MapPoisoned {
			return nil
		}
		switch {
		case m.Array != nil && m.Array.CPUStride <= math.MaxInt32:
			return p.replace(at, elementAddress(p.patch(), m, m.Array))
		case m.Slots != nil && m.Type == uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS:
			return p.replace(at, elementAddress(p.patch(), m, m.Slots))
		}
		return nil
	})
}

// inlineHelpers replaces bpf_get_smp_processor_id: the number of the running CPU
// is a per-CPU address with a distance of one.
func inlineHelpers(p *program) error {
	return p.each(func(at int, i insn.Instruction, _ *prog.Fact) error {
		if !i.IsHelperCall() || i.Imm() != int32(uapi.BPF_FUNC_get_smp_processor_id) {
			return nil
		}
		return p.replace(at, p.patch().Emit(
			insn.Mov32Imm(insn.R0, 0), insn.Mov64Reg(insn.R0, insn.R0).WithOff(insn.OffPercpu).WithImm(1)))
	})
}

func elementAddress(code *patch.Patch, m *desc.Map, layout *desc.ArrayLayout) *patch.Patch {
	const element, block, key = insn.R0, insn.R1, insn.R2
	none := code.Label()
	if distance := int64(layout.Base - m.Addr); distance >= 0 && distance <= math.MaxInt32 {
		code.Emit(insn.ALU64Imm(insn.OpAdd, block, int32(distance)))
	} else {
		code.Emit(insn.LoadImm64(block, layout.Base)...)
	}
	code.Emit(insn.LoadMem(insn.SizeW, element, key, 0))
	code.Jump(insn.JumpImm(insn.JmpGE, element, int32(m.MaxEntries), 0), none)
	if !layout.BypassSpecV1 {
		code.Emit(insn.ALU32Imm(insn.OpAnd, element, int32(layout.Mask)))
	}
	if bits.OnesCount32(layout.ElemSize) == 1 {
		code.Emit(insn.ALU64Imm(insn.OpLsh, element, int32(bits.TrailingZeros32(layout.ElemSize))))
	} else {
		code.Emit(insn.ALU64Imm(insn.OpMul, element, int32(layout.ElemSize)))
	}
	code.Emit(insn.ALU64Reg(insn.OpAdd, element, block))
	if layout.CPUStride != 0 {
		code.Emit(insn.Mov64Reg(element, element).WithOff(insn.OffPercpu).WithImm(int32(layout.CPUStride)))
	}
	if m.Type == uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS {
		// The element is a pointer to the inner map, or NULL.
		code.Emit(insn.LoadMem(insn.SizeDW, element, element, 0))
		code.Jump(insn.JumpImm(insn.JmpEQ, element, 0, 0), none)
	}
	code.Jump(insn.Goto(0), patch.End)
	return code.Bind(none).Emit(insn.Mov64Imm(element, 0))
}
