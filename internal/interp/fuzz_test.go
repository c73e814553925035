package interp_test

import (
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/rewrite"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// FuzzCompile gives any slots to the rewriter and the engines: they accept or
// refuse, though only verified programs ever get there.
func FuzzCompile(f *testing.F) {
	for _, form := range insn.Forms() {
		f.Add(insn.Encode([]insn.Instruction{form.Template(), form.Template(), insn.Exit()}))
	}
	env := &exec.Env{Helper: func(uapi.FuncID, *prog.Fact) exec.HelperFunc {
		return func(*exec.CPU, uint64, uint64, uint64, uint64, uint64) uint64 { return 0 }
	}}
	f.Fuzz(func(t *testing.T, data []byte) {
		code, err := insn.Decode(data)
		if err != nil || len(code) == 0 {
			return
		}
		for _, caps := range []desc.Caps{{}, {BPF: true, Perfmon: true}} {
			raw := &prog.Raw{Insns: code, Info: desc.ProgInfo{Caps: caps}}
			parts := prog.VerifiedParts{Type: &desc.ProgType{}, Insns: code, Facts: make([]prog.Fact, len(code)), Subprogs: []prog.Subprog{{}}}
			for at := range code {
				parts.Facts[at] = prog.Fact{Orig: int32(at), Seen: at%5 != 4}
			}
			v := prog.Seal(raw, parts)
			if out, err := rewrite.Run(v, rewrite.Options{ZeroExtend: true}); err == nil {
				rewrite.Xlated(out)
				v = out
			}
			for _, e := range engines {
				if img, err := e.Compile(v, env); err == nil {
					img.Close()
				}
			}
		}
	})
}
