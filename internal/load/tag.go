package load

import (
	"crypto/sha256"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Digest is the SHA-256 over a program's instructions, in which map fds count as
// 0 (bpf_prog_calc_tag, SHA-256 since 6.18). Its first eight bytes are the
// program's tag.
func Digest(code []insn.Instruction) [sha256.Size]byte {
	stable := append([]insn.Instruction(nil), code...)
	for i := 0; i+1 < len(stable); i++ {
		if !stable[i].IsWide() {
			continue
		}
		if src := stable[i].Src(); src == insn.PseudoMapFD || src == insn.PseudoMapValue {
			stable[i] = stable[i].WithImm(0)
			stable[i+1] = stable[i+1].WithImm(0)
		}
		i++
	}
	return sha256.Sum256(insn.Encode(stable))
}

// owner is what a program has in common with others in a prog array.
func owner(raw *prog.Raw, image exec.Image) maps.ProgOwner {
	return maps.ProgOwner{
		Type: raw.Info.Type, Jited: image.Code() != nil,
		XDPFrags: raw.Info.Flags&uapi.BPF_F_XDP_HAS_FRAGS != 0, AttachType: raw.Info.ExpectedAttach,
	}
}
