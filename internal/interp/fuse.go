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
	if first.dst != second.dst {
		return
	}
	switch fused := fusedMove[second.code]; {
	case first.code == opMov64X && fused != 0:
		first.code, first.imm = fused, second.imm
	case first.code >= opLdxW && first.code <= opLdxDW && int64(second.imm) == int64(int32(second.imm)):
		base := opLdxWJEq64K
		switch second.code {
		case opJEq64K:
		case opJNe64K:
			base = opLdxWJNe64K
		default:
			return
		}
		first.code += base - opLdxW
		first.imm = uint64(uint32(first.off))<<32 | uint64(uint32(second.imm))
		d.jumps[len(d.jumps)-1].op--
	default:
		return
	}
	d.ops = d.ops[:n-1]
}

// displacement and comparand are the two halves of the immediate of a fused
// load and comparison.
func (o *op) displacement() uint64 { return uint64(int64(o.imm) >> 32) }
func (o *op) comparand() uint64    { return uint64(int64(int32(o.imm))) }
