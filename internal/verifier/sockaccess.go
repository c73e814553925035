package verifier

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
)

// accessSock checks an access to the fields of a socket, which can be read as the
// program type's table says (check_sock_access).
func (v *verifier) accessSock(a *access) error {
	r := v.reg(a.reg)
	if a.write {
		return v.fail(errno.EACCES, ReasonType, "R%d cannot write into %s\n", a.reg, r.typ)
	}
	f := v.sockField(r.typ, a)
	if f == nil {
		return v.fail(errno.EACCES, ReasonContext, "R%d invalid %s access off=%d size=%d\n", a.reg, r.typ, a.off, a.size)
	}
	v.facts[v.insnIdx].Ctx = f
	v.setLoaded(a)
	return nil
}

// sockField finds the field that is read, nil if it may not be.
func (v *verifier) sockField(t regType, a *access) *desc.CtxField {
	all := v.typ.Sockets
	if all == nil || a.off < 0 {
		return nil
	}
	layout := map[regType]*desc.Context{ptrSockCommon: all.Common, ptrSocket: all.Full, ptrTCPSock: all.TCP, ptrXDPSock: all.XDP}[t]
	if layout == nil || a.off >= int(layout.Size) {
		return nil
	}
	return layout.Access(desc.CtxAccess{Insn: v.insn, Off: uint32(a.off), Size: uint32(a.size)}, v.info)
}
