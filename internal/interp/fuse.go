package interp

import (
	"github.com/skep-ebpf/skep/internal/prog"
)

// jumpTargets marks the instructions that jumps and calls go to.
func jumpTargets(v *prog.Verified) []bool {
	targets := make([]bool, len(v.Insns)+1)
	mark := func(at int) {
		if at >= 0 && at < len(targets) {
			targets[at] = true
		}
	}
	for _, s := range v.Subprogs {
		mark(int(s.Start))
	}
	for at := 0; at < len(v.Insns); at++ {
		switch i := v.Insns[at]; {
		case i.IsJump():
			mark(at + 1 + int(i.JumpOffset()))
		case i.IsWide():
			at++
		}
	}
	return targets
}

// fusedMove is the operation for a move and an operation on the copy.
var fusedMove = map[code]code{
	opAdd64K: opMovAdd64K, opLsh64K: opMovLsh64K, opRsh64K: opMovRsh64K, opAnd64K: opMovAnd64K,
}

// fuse joins the last two operations where a pair of them has an operation of
// its own. The last one is no jump target.
func (d *decoder) fuse() {
	n := len(d.ops)
	if n < 2 {
		return
	}
	first, second := &d.ops[n-2], &d.ops[n-1]
	isLoad := first.code >= opLdxW && first.code <= opLdxDW
	sameReg := first.dst == second.dst
	switch fused := fusedMove[second.code]; {
	case first.code == opMov64X && sameReg && fused != 0:
		first.code, first.imm = fused, second.imm
	case !isLoad:
		return
	case second.code == opStxW+first.code-opLdxW && first.dst == second.src:
		first.code += opCopyW - opLdxW
		first.imm = pack(int32(second.dst), second.off)
	case sameReg && (first.code == opLdxW && second.code == opSwap32 || first.code == opLdxH && second.code == opSwap16):
		first.code += opLdxWSwap - opLdxW
	case sameReg && (second.code == opJEq64K || second.code == opJNe64K):
		base := opLdxWJEq64K
		if second.code == opJNe64K {
			base = opLdxWJNe64K
		}
		first.code += base - opLdxW
		first.imm = pack(first.off, int32(uint32(second.imm)))
		d.jumps[len(d.jumps)-1].op--
	default:
		return
	}
	d.ops = d.ops[:n-1]
}

// pack puts two numbers into an immediate; high and low get them out, base the
// high one as a register.
func pack(high, low int32) uint64 { return uint64(uint32(high))<<32 | uint64(uint32(low)) }

func (o *op) high() uint64 { return uint64(int64(o.imm) >> 32) }
func (o *op) low() uint64  { return uint64(int64(int32(o.imm))) }
func (o *op) base() uint8  { return uint8(o.imm >> 32) }
