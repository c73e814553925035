package verifier

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// Packet pointers: how much of the packet behind one may be accessed is learned
// from comparisons with the packet's end.

// packetTaken decides a comparison with the packet's end from an earlier one
// (is_pkt_ptr_branch_taken).
func packetTaken(c bounds.Cond, a, b *reg) int {
	if b.typ != ptrPacketEnd {
		if a.typ != ptrPacketEnd {
			return bounds.TakenUnknown
		}
		a, c = b, c.Flip()
	}
	known := func(yes bool) int {
		if yes {
			return bounds.TakenAlways
		}
		return bounds.TakenNever
	}
	switch c {
	case bounds.LE, bounds.GT:
		if a.to.num == beyondPacketEnd {
			return known(c == bounds.GT)
		}
	case bounds.LT, bounds.GE:
		if a.to.num < 0 {
			return known(c == bounds.GE)
		}
	}
	return bounds.TakenUnknown
}

// matchPacket learns from a comparison of a packet pointer with the packet's
// end, or of a metadata pointer with the packet's start
// (try_match_pkt_pointers). It says whether the comparison was one.
func (v *verifier) matchPacket(c *comparison, other *state) bool {
	if !c.register() || c.width != bounds.W64 {
		return false
	}
	// Written as "pointer cond end".
	ptr, end, cond := c.in.Dst(), c.in.Src(), c.cond
	regs := v.regs()
	if !isPacketPair(&regs[ptr], &regs[end]) {
		ptr, end, cond = end, ptr, cond.Flip()
		if !isPacketPair(&regs[ptr], &regs[end]) {
			return false
		}
	}
	jump, stay := other, v.cur
	switch cond {
	case bounds.GT: // beyond if it jumps, within if not
		v.packetRange(stay, &regs[ptr], false)
		markPacketEnd(jump, ptr, beyondPacketEnd)
	case bounds.GE:
		v.packetRange(stay, &regs[ptr], true)
		markPacketEnd(jump, ptr, atPacketEnd)
	case bounds.LT:
		v.packetRange(jump, &regs[ptr], true)
		markPacketEnd(stay, ptr, atPacketEnd)
	case bounds.LE:
		v.packetRange(jump, &regs[ptr], false)
		markPacketEnd(stay, ptr, beyondPacketEnd)
	default:
		return false
	}
	return true
}

// isPacketPair says whether end bounds what ptr may access.
func isPacketPair(ptr, end *reg) bool {
	return ptr.typ == ptrPacket && end.typ == ptrPacketEnd ||
		ptr.typ == ptrPacketMeta && end.typ == ptrPacket && end.id == 0 && end.off == 0 && end.Var.Is(0)
}

// packetRange notes that the packet reaches up to ptr, and one byte beyond if
// ptr was less than the end (find_good_pkt_pointers).
func (v *verifier) packetRange(s *state, ptr *reg, less bool) {
	if ptr.off < 0 || ptr.off == 0 && less {
		return
	}
	if ptr.UMax > maxPacketOff || ptr.UMax+uint64(ptr.off) > maxPacketOff {
		return
	}
	typ, id, reach := ptr.typ, ptr.id, ptr.off
	if less {
		reach++
	}
	s.eachReg(func(r *reg) {
		if r.typ == typ && r.id == id {
			r.to.num = max(r.to.num, reach)
		}
	})
}

// markPacketEnd notes that register n is not within the packet.
func markPacketEnd(s *state, n insn.Reg, where int32) {
	if r := &s.top().regs[n]; r.typ == ptrPacket {
		r.to.num = where
	}
}

// forgetPackets invalidates all packet pointers: a helper may have moved the
// packet (clear_all_pkt_pointers).
func (v *verifier) forgetPackets() {
	v.cur.eachReg(func(r *reg) {
		if r.typ.isPacketAny() {
			v.invalidate(r)
		}
	})
}

// invalidate makes a register unusable (mark_reg_invalid).
func (v *verifier) invalidate(r *reg) {
	if v.priv.leaks {
		v.setUnknown(r)
	} else {
		v.setNotInit(r)
	}
}

// accessPacket checks an access through a packet pointer (check_packet_access).
func (v *verifier) accessPacket(n insn.Reg, off, size int, zeroOK bool) error {
	r := v.reg(n)
	if r.SMin < 0 {
		return v.failNegative(n)
	}
	var err error
	if r.to.num < 0 {
		err = v.reject(errno.EINVAL, ReasonBounds, "")
	} else {
		err = v.inBounds(n, int64(off), int64(size), uint32(r.to.num), zeroOK)
	}
	if err != nil {
		return v.also(err, "R%d offset is outside of the packet\n", n)
	}
	return nil
}

// mayAccessPacket says whether this program may read or write the packet
// directly; inHelper: through the helper that is being called.
func (v *verifier) mayAccessPacket(write bool, call *helperCall) bool {
	if !v.typ.PacketAccess && !v.typ.PacketToAll || write && !v.typ.DirectPacketWrite {
		return false
	}
	if call != nil && !v.typ.PacketToAll {
		return call.proto.PktAccess
	}
	if write {
		v.info.WritesPacket = true
	}
	return true
}
