package skep_test

import (
	"errors"
	"testing"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
)

// A kernel for verdicts takes what cannot run, and runs nothing; the others
// refuse it.
func TestVerifyOnly(t *testing.T) {
	for _, tc := range []struct {
		name, typ, code string
		runs            bool
	}{
		{"a type that does not run", "cgroup_sock", "r1 = *(u32 *)(r1 +4)\nr0 = 1\nexit", false},
		{"bpf_get_current_task, which has no body", "xdp", "call 35\nr0 = 2\nexit", false},
		{"what can run", "xdp", "r0 = 2\nexit", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, err := insn.Assemble(tc.code)
			if err != nil {
				t.Fatal(err)
			}
			spec := skep.ProgramSpec{Name: "p", Type: tc.typ, Insns: code, License: "GPL"}
			ordinary := newKernel(t, skep.Config{CPUs: 1})
			if p, err := ordinary.Task().LoadProgram(spec); (err == nil) != tc.runs {
				t.Errorf("an ordinary kernel says %v", err)
			} else if err == nil {
				p.Close()
			}
			p, err := newKernel(t, skep.Config{CPUs: 1, VerifyOnly: true}).Task().LoadProgram(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if info, err := p.Info(); err != nil || info.ID == 0 || info.Type != tc.typ {
				t.Errorf("info %+v, %v", info, err)
			}
			if _, err := p.Run(skep.RunOptions{Data: make([]byte, 64)}); !errors.Is(err, errno.ENOTSUPP) {
				t.Errorf("a run gives %v", err)
			}
			if _, err := p.NewRunner(); !errors.Is(err, errno.ENOTSUPP) {
				t.Errorf("a runner gives %v", err)
			}
		})
	}
}
