package progtype

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/patch"
)

// lowering is the type of desc.CtxField.Lower.
type lowering func(p *patch.Patch, a desc.CtxAccess)

// sizes of loads and stores by their width in bytes.
var sizeOf = map[uint32]uint8{1: insn.SizeB, 2: insn.SizeH, 4: insn.SizeW, 8: insn.SizeDW}

func load(size uint8, dst, src insn.Reg, off int16) insn.Instruction {
	return insn.Make(insn.ClassLDX|insn.ModeMem|size, dst, src, off, 0)
}

// store is the access's store, of a register or an immediate, at another place
// and width.
func store(a desc.CtxAccess, size uint8, off int16) insn.Instruction {
	return insn.Make(a.Insn.Class()|insn.ModeMem|size, a.Dst, a.Src, off, a.Imm)
}

func movImm(dst insn.Reg, imm int32) insn.Instruction {
	return insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcK, dst, 0, 0, imm)
}

// jumpImm compares dst, as 64 bits, with an immediate; the patch fills in where
// it goes.
func jumpImm(op uint8, dst insn.Reg, imm int32) insn.Instruction {
	return insn.Make(insn.ClassJMP|op|insn.SrcK, dst, 0, 0, imm)
}

// member is a field that is one member of the structure that the context
// pointer points to.
func member(size uint8, off int16) lowering {
	return func(p *patch.Patch, a desc.CtxAccess) {
		if a.Write {
			p.Emit(store(a, size, off))
			return
		}
		p.Emit(load(size, a.Dst, a.Src, off))
	}
}

// chain is a field at the end of a chain of pointers, each hop the offset of
// one; a NULL on the way reads as 0 when nullable.
func chain(nullable bool, size uint8, off int16, hops ...int16) lowering {
	return func(p *patch.Patch, a desc.CtxAccess) {
		src := a.Src
		for _, hop := range hops {
			p.Emit(load(insn.SizeDW, a.Dst, src, hop))
			if nullable {
				p.Jump(jumpImm(insn.JmpEQ, a.Dst, 0), patch.End)
			}
			src = a.Dst
		}
		p.Emit(load(size, a.Dst, src, off))
	}
}
