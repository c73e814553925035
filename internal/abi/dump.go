package abi

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/prog"
)

// dump is the program's code as user space sees it: addresses of maps become
// the maps' ids (bpf_insn_prepare_dump).
func dump(p *object.Prog) []byte {
	code := append([]insn.Instruction(nil), p.Code.Insns...)
	for n := 0; n+1 < len(code); n++ {
		if !code[n].IsWide() {
			continue
		}
		if show := dumpWide[p.Code.Facts[n].Wide]; show != nil {
			code[n], code[n+1] = show(code[n], code[n+1], &p.Code.Facts[n])
		}
		n++
	}
	return insn.Encode(code)
}

type wide = insn.Instruction

// dumpWide says how 64-bit immediates are shown, by what they load.
var dumpWide = map[prog.WideKind]func(a, b wide, f *prog.Fact) (wide, wide){
	prog.WideMap: func(a, b wide, f *prog.Fact) (wide, wide) {
		return a.WithSrc(insn.PseudoMapFD).WithImm(int32(f.Map.ID)), b.WithImm(0)
	},
	prog.WideMapValue: func(a, b wide, f *prog.Fact) (wide, wide) {
		off := uint32(0)
		if base, ok := f.Map.ValueAddr(0); ok {
			off = uint32(f.Imm64 - base)
		}
		return a.WithSrc(insn.PseudoMapValue).WithImm(int32(f.Map.ID)), b.WithImm(int32(off))
	},
}
