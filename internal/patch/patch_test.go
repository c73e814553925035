package patch

import (
	"slices"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
)

var (
	mov = insn.Mov64Imm(insn.R0, 1)
	jeq = insn.JumpImm(insn.JmpEQ, insn.R0, 0, 0)
)

func TestFinish(t *testing.T) {
	var p Patch
	for _, tc := range []struct {
		name    string
		build   func()
		offsets []int16 // of every instruction
		targets []int
	}{
		{"straight", func() { p.Emit(mov, mov) }, []int16{0, 0}, nil},
		{"end", func() { p.Jump(jeq, End).Emit(mov, mov) }, []int16{2, 0, 0}, nil},
		{"end of nothing", func() { p.Jump(jeq, End) }, []int16{0}, nil},
		{"forward and backward", func() {
			top, out := p.Label(), p.Label()
			p.Bind(top).Emit(mov).Jump(jeq, out).Jump(insn.Goto(0), top).Bind(out).Emit(mov)
		}, []int16{0, 1, -3, 0}, nil},
		{"gotol", func() { p.Jump(insn.Gotol(0), End).Emit(mov) }, []int16{0, 0}, nil},
		{"target", func() { p.Jump(jeq, Target).Emit(mov).Jump(insn.Goto(0), Target) }, []int16{0, 0, 0}, []int{0, 2}},
		{"closed end", func() { p.Jump(jeq, End).Emit(mov).Close().Emit(mov).Jump(jeq, End).Emit(mov) },
			[]int16{1, 0, 0, 1, 0}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.Reset()
			tc.build()
			code, err := p.Finish()
			if err != nil {
				t.Fatal(err)
			}
			var offsets []int16
			for _, i := range code {
				offsets = append(offsets, i.Off())
			}
			if !slices.Equal(offsets, tc.offsets) || !slices.Equal(p.Targets(), tc.targets) {
				t.Errorf("offsets %v, targets %v; want %v, %v", offsets, p.Targets(), tc.offsets, tc.targets)
			}
			if tc.name == "gotol" && code[0].Imm() != 1 {
				t.Errorf("gotol got the distance %d, want 1", code[0].Imm())
			}
			if p.Len() != len(code) {
				t.Errorf("Len is %d for %d instructions", p.Len(), len(code))
			}
		})
	}
}

func TestKeep(t *testing.T) {
	var p Patch
	if at, ok := p.Emit(mov).Kept(); ok {
		t.Errorf("a patch that keeps nothing keeps %d", at)
	}
	if at, ok := p.Keep(mov).Emit(mov).Kept(); !ok || at != 1 {
		t.Errorf("kept %d, %v; want 1", at, ok)
	}
	p.Reset()
	if at, ok := p.Kept(); ok {
		t.Errorf("an empty patch keeps %d", at)
	}
}

func TestFinishErrors(t *testing.T) {
	var unboundLabel, far Patch
	unboundLabel.Jump(jeq, unboundLabel.Label())
	far.Jump(jeq, End)
	for range 1 << 15 {
		far.Emit(mov)
	}
	for want, p := range map[string]*Patch{"never bound": &unboundLabel, "32768 instructions long": &far} {
		if _, err := p.Finish(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
}
