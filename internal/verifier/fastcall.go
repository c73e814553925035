package verifier

import (
	"math"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Compilers keep registers over helpers that are known to change few of them by
// spilling them just before and filling them just after. Where the helper really
// leaves them alone, those instructions go away, and their stack does not count
// (mark_fastcall_patterns).

// inlinedHelpers keep registers, as Linux inlines them on the machines that skep
// mirrors.
var inlinedHelpers = map[uapi.FuncID]bool{
	uapi.BPF_FUNC_get_smp_processor_id: true,
	uapi.BPF_FUNC_get_current_task_btf: true,
	uapi.BPF_FUNC_get_current_task:     true,
}

const fastcallBroken = math.MinInt16

func (v *verifier) markFastcalls() {
	const store = insn.ClassSTX | insn.ModeMem | insn.SizeDW
	for n := range v.subs[:len(v.subs)-1] {
		sub := &v.subs[n]
		lowest := 0
		for i := sub.start; i < v.subs[n+1].start; i++ {
			if in := v.insns[i]; in.Op() == store && in.Dst() == insn.RFP {
				lowest = min(lowest, int(in.Off()))
			}
		}
		for i := sub.start; i < v.subs[n+1].start; i++ {
			if in := v.insns[i]; in.Op() == insn.ClassJMP|insn.JmpCALL {
				if h := v.helper(in.Imm()); isHelperCall(in) && h != nil {
					v.markFastcall(sub, i, lowest, h)
				}
			}
		}
	}
}

// markFastcall finds the pattern around one call.
func (v *verifier) markFastcall(sub *subprog, call, off int, h *desc.Helper) {
	const store, load = insn.ClassSTX | insn.ModeMem | insn.SizeDW, insn.ClassLDX | insn.ModeMem | insn.SizeDW
	changed := argMask(h)
	if h.Ret != desc.RetVoid {
		changed |= 1
	}
	kept := clobbers &^ changed
	n := 0
	for i := 1; i <= callerSaved; i++ {
		if call-i < 0 || call+i >= len(v.insns) || v.aux[call-i+1].target || v.aux[call+i].target {
			break
		}
		st, ld := v.insns[call-i], v.insns[call+i]
		if st.Op() != store || ld.Op() != load || st.Dst() != insn.RFP || ld.Src() != insn.RFP ||
			st.Src() != ld.Dst() || bit(st.Src())&kept == 0 || int(st.Off()) != off || int(ld.Off()) != off {
			break
		}
		kept &^= bit(st.Src())
		v.aux[call-i].fastcall, v.aux[call+i].fastcall = true, true
		off += slotSize
		n = i
	}
	if n == 0 {
		return
	}
	if h.FastCall && inlinedHelpers[h.ID] {
		v.aux[call].spills = uint8(n)
	} else {
		sub.fastcallKeep = true
	}
	sub.fastcallOff = min(sub.fastcallOff, off)
}

// fastcallContract: other instructions use the stack of the pattern, so that it
// must stay (check_fastcall_stack_contract).
func (v *verifier) fastcallContract(f *frame, i, off int) {
	sub := &v.subs[f.subprog]
	if sub.fastcallOff <= off || v.aux[i].fastcall {
		return
	}
	sub.fastcallOff = fastcallBroken
	for i := sub.start; i < v.subs[f.subprog+1].start; i++ {
		v.aux[i].spills, v.aux[i].fastcall = 0, false
	}
}

// shrinkStacks leaves the stack of patterns out of the depths that are checked
// and shown (remove_fastcall_spills_fills). The instructions stay: engines may
// run them.
func (v *verifier) shrinkStacks() {
	for n := range v.subs[:len(v.subs)-1] {
		sub := &v.subs[n]
		sub.shownDepth = sub.stackDepth
		for i := sub.start; i < v.subs[n+1].start; i++ {
			if v.aux[i].spills > 0 && !sub.fastcallKeep {
				sub.shownDepth = -sub.fastcallOff
			}
		}
	}
}
