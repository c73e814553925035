package skep_test

import (
	"errors"
	"testing"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Every program type with every expected attach type: what loads into the live
// kernel loads into one for verdicts.
func TestExpectedAttachTypesLikeKernel(t *testing.T) {
	oracle.Require(t)
	task := newKernel(t, skep.Config{CPUs: 1, VerifyOnly: true}).Task()
	ours := &oracle.Kernel{
		Call: func(cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
			fd, err := task.BPF(int(cmd), attr)
			var e errno.Errno
			if errors.As(err, &e) {
				return fd, e
			}
			return fd, 0
		},
		CloseFD: func(fd int) { task.CloseFD(fd) },
	}
	asked := 0
	for _, pt := range progtype.AllVerifiable() {
		p := oracle.Prog{Type: pt.Type, Insns: []insn.Instruction{
			insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcK, insn.R0, 0, 0, 1),
			insn.Make(insn.ClassJMP|insn.JmpEXIT, 0, 0, 0, 0),
		}}
		for at := uapi.AttachType(0); at < 64; at++ {
			for _, p.Flags = range []uint32{0, uapi.BPF_F_SLEEPABLE} {
				p.ExpectedAttachType = at
				live, got := oracle.LoadProg(p), ours.LoadProg(p)
				live.Close()
				got.Close()
				asked++
				if live.Errno != got.Errno && pt.Type != uapi.BPF_PROG_TYPE_LIRC_MODE2 { // the live kernel may be without
					t.Errorf("%s, attach type %d, flags %#x: kernel %v, skep %v", pt.Name, at, p.Flags, live.Errno, got.Errno)
				}
			}
		}
	}
	t.Logf("%d loads", asked)
}
