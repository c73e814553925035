package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
)

// fieldTypes is what a register holds that was loaded from a context field.
var fieldTypes = [...]regType{
	desc.FieldScalar:           scalar,
	desc.FieldPacket:           ptrPacket,
	desc.FieldPacketMeta:       ptrPacketMeta,
	desc.FieldPacketEnd:        ptrPacketEnd,
	desc.FieldFlowKeys:         ptrFlowKeys,
	desc.FieldSocket:           ptrSocket,
	desc.FieldSocketOrNull:     ptrSocket | orNull,
	desc.FieldSockCommonOrNull: ptrSockCommon | orNull,
	desc.FieldTPBuffer:         ptrTPBuffer,
}

// accessCtx checks an access to the context: only whole fields, as the program
// type allows.
func (v *verifier) accessCtx(a *access) error {
	if err := v.leaks(a, "ctx"); err != nil {
		return err
	}
	r := v.reg(a.reg)
	if err := v.unmodified(r, a.reg, false); err != nil {
		return err
	}
	f := v.ctxField(a)
	if f == nil {
		err := v.fail(errno.EACCES, ReasonContext, "invalid bpf_context access off=%d size=%d\n", a.off, a.size)
		v.logLine(v.insnIdx, "; ")
		return err
	}
	v.facts[v.insnIdx].Ctx = f
	if !a.loads() {
		return nil
	}
	dst := v.reg(insn.Reg(a.value))
	if f.Kind == desc.FieldScalar || uint32(a.size) < f.Width() { // a part of a pointer is a number
		v.setUnknown(dst)
		return nil
	}
	if f.Kind == desc.FieldTrusted {
		return v.unsupported("a pointer to struct " + f.BTF)
	}
	t := fieldTypes[f.Kind]
	dst.setPointer(t)
	if t&orNull != 0 {
		dst.id = v.newID()
	}
	dst.zextAt = 0
	return nil
}

// ctxField finds the field that is accessed, nil if it may not be.
func (v *verifier) ctxField(a *access) *desc.CtxField {
	c := v.typ.Context
	if c == nil || a.off > int(c.Size) {
		return nil
	}
	if a.off < 0 {
		if c.NegativeOK && !a.write && a.off%a.size == 0 {
			return &c.Fields[0]
		}
		return nil
	}
	f := c.Access(desc.CtxAccess{Insn: v.insn, Off: uint32(a.off), Size: uint32(a.size), Write: a.write}, v.info)
	if f == nil || f.Kind != desc.FieldScalar && a.signed && uint32(a.size) == f.Width() {
		return nil
	}
	return f
}
