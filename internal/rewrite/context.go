package rewrite

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/prog"
)

// prologue puts the program type's code before the first instruction; jumps
// back to that instruction do not run it again (gen_prologue).
func prologue(p *program) error {
	if p.Type == nil || p.Type.Prologue == nil {
		return nil
	}
	code := p.patch()
	if p.Type.Prologue(code, p.info); code.Len() == 0 {
		return nil
	}
	return p.before(0, code)
}

// contextAccess replaces accesses to the context and to sockets by accesses to
// the structures behind them, and gives loads through pointers that may be bad
// their own encoding (convert_ctx_accesses).
func contextAccess(p *program) error {
	return p.each(func(at int, i insn.Instruction, fact *prog.Fact) error {
		switch fact.Mem {
		case prog.MemCtx, prog.MemSock:
			return p.lowerAccess(at, i, fact)
		case prog.MemProbe:
			p.Insns[at] = probed(i)
		}
		return nil
	})
}

// probed is the load that gives zero where the address is bad.
func probed(i insn.Instruction) insn.Instruction {
	if i.Class() != insn.ClassLDX {
		return i
	}
	switch i.Mode() {
	case insn.ModeMem:
		return i.WithOp(insn.ClassLDX | insn.ModeProbeMem | i.Size())
	case insn.ModeMemSX:
		return i.WithOp(insn.ClassLDX | insn.ModeProbeMemSX | i.Size())
	}
	return i
}

func (p *program) lowerAccess(at int, i insn.Instruction, fact *prog.Fact) error {
	field := fact.Ctx
	if field == nil || field.Lower == nil {
		return errno.Errorf(errno.EINVAL, "bpf verifier is misconfigured: insn %d accesses a context field that has no translation", fact.Orig)
	}
	a := desc.CtxAccess{
		Insn: i, Off: uint32(int32(i.Off())), Size: uint32(i.SizeBytes()),
		Write: i.IsStore(), Dst: i.Dst(), Src: i.Src(), Imm: i.Imm(), Info: p.info,
	}
	size, off := a.Size, a.Off
	narrow := !a.Write && !field.AnyWidth && size < field.Width()
	if narrow {
		a.Size = field.Width()
		a.Off &^= a.Size - 1
		a.Insn = i.WithOff(int16(a.Off)).WithOp(insn.ClassLDX | insn.ModeMem | sizeCode(a.Size))
	}
	code := p.patch()
	if field.Lower(code, a); code.Len() == 0 {
		return errno.Errorf(errno.EINVAL, "bpf verifier is misconfigured: the translation of %s is empty", field.Name)
	}
	code.Close()
	if narrow && size < loadedSize(code, a) {
		extract(code, a, size, off)
	}
	if i.IsLoad() && i.Mode() == insn.ModeMemSX {
		code.Emit(insn.MovSX64(a.Dst, a.Dst, int16(size*8)))
	}
	return p.replace(at, code)
}

func sizeCode(bytes uint32) uint8 {
	switch bytes {
	case 1:
		return insn.SizeB
	case 2:
		return insn.SizeH
	case 4:
		return insn.SizeW
	}
	return insn.SizeDW
}

// loadedSize is the size of what the translation of a load reads in the end:
// where that is no more than the program asked for, nothing needs to be cut
// (target_size).
func loadedSize(code *patch.Patch, a desc.CtxAccess) uint32 {
	for n := code.Len() - 1; n >= 0; n-- {
		if i := code.At(n); i.Class() == insn.ClassLDX && i.Dst() == a.Dst {
			return uint32(i.SizeBytes())
		}
	}
	return a.Size
}

// extract cuts the bytes that the program asked for out of the whole field.
func extract(code *patch.Patch, a desc.CtxAccess, size, off uint32) {
	if shift := int32(off-a.Off) * 8; shift != 0 {
		op := insn.ALU32Imm(insn.OpRsh, a.Dst, shift)
		if a.Size > 4 {
			op = insn.ALU64Imm(insn.OpRsh, a.Dst, shift)
		}
		code.Emit(op)
	}
	code.Emit(insn.ALU32Imm(insn.OpAnd, a.Dst, int32(uint32(1<<(size*8)-1))))
}

// packetLoad turns LD_ABS and LD_IND into a call of the function that the
// program type has for them; the program ends with 0 when the packet is too
// short (bpf_gen_ld_abs). The context is in R6.
func packetLoad(p *program) error {
	return p.each(func(at int, i insn.Instruction, fact *prog.Fact) error {
		if i.Class() != insn.ClassLD || i.Mode() != insn.ModeAbs && i.Mode() != insn.ModeInd {
			return nil
		}
		helper := p.packetHelper(i)
		if helper == nil {
			return errno.Errorf(errno.EINVAL, "bpf verifier is misconfigured: %s programs have no packet loads", p.Type.Name)
		}
		code := p.patch()
		if i.Mode() == insn.ModeAbs {
			code.Emit(insn.Mov64Imm(insn.R2, i.Imm()))
		} else if code.Emit(insn.Mov64Reg(insn.R2, i.Src())); i.Imm() != 0 {
			code.Emit(insn.ALU64Imm(insn.OpAdd, insn.R2, i.Imm()))
		}
		code.Emit(insn.Mov64Reg(insn.R1, insn.R6))
		code.Keep(insn.Call(int32(helper.ID)))
		code.Jump(insn.JumpImm(insn.JmpSGE, insn.R0, 0, 0), patch.End)
		code.Emit(insn.ALU32Reg(insn.OpXor, insn.R0, insn.R0), insn.Exit())
		fact.Helper, fact.Mem, fact.Ctx = helper, prog.MemNone, nil
		return p.replace(at, code)
	})
}

func (p *program) packetHelper(i insn.Instruction) *desc.Helper {
	if p.Type == nil {
		return nil
	}
	switch i.SizeBytes() {
	case 1:
		return p.Type.LoadAbsHelper[0]
	case 2:
		return p.Type.LoadAbsHelper[1]
	case 4:
		return p.Type.LoadAbsHelper[2]
	}
	return nil
}
