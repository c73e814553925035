package progtype_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/progtype"
)

// Every width at every offset of every context, loaded (with and without sign)
// and stored, for every attach type: skep says what the live kernel says, and
// makes the same of what is loaded.
func TestContextAccessLikeKernel(t *testing.T) {
	eachType(t, func(t *testing.T, q question) {
		if q.attach != attachTypes(q.pt)[0] && !slices.ContainsFunc(q.pt.Context.Fields,
			func(f desc.CtxField) bool { return f.Allow != nil }) {
			return // no field depends on the attach type
		}
		var s score
		q.level = 2
		for _, off := range interestingOffsets(q.pt.Context) {
			for bits := 8; bits <= 64; bits *= 2 {
				for _, form := range []string{"r2 = *(u%d *)(r1 %+d)", "*(u%d *)(r1 %+d) = r3", "*(u%d *)(r1 %+d) = 7", "r2 = *(s%d *)(r1 %+d)"} {
					if bits == 64 && strings.Contains(form, "(s") {
						continue
					}
					text := "r3 = 5\n" + fmt.Sprintf(form, bits, off) + "\nr0 = 1\nexit"
					q.code = program(text)
					s.ask(t, q, text)
				}
			}
		}
		s.report(t)
	})
}

// interestingOffsets are all offsets of a small context, and of a large one
// those at its ends.
func interestingOffsets(c *desc.Context) (offs []int) {
	const near = 72
	for off := -1; off <= min(int(c.Size), 32760)+1; off++ {
		if c.Size < 300 || off < near || off > min(int(c.Size), 32760)-near {
			offs = append(offs, off)
		}
	}
	return offs
}

// Every accepted access can be lowered, in each direction and with source and
// destination in one register.
func TestEveryFieldLowers(t *testing.T) {
	for _, pt := range progtype.All() {
		prev := uint32(0)
		for i := range pt.Context.Fields {
			f := &pt.Context.Fields[i]
			if f.Off < prev {
				t.Errorf("%s: field %s is out of order", pt.Name, f.Name)
			}
			prev = f.Off + f.Size
			for _, a := range []desc.CtxAccess{
				{Dst: insn.R1, Src: insn.R1},
				{Write: true, Dst: insn.R1, Src: insn.R2, Insn: insn.Make(insn.ClassSTX, 0, 0, 0, 0)},
				{Write: true, Dst: insn.R1, Imm: 7, Insn: insn.Make(insn.ClassST, 0, 0, 0, 0)},
			} {
				a.Off, a.Size = f.Off, f.Width()
				if a.Write && !f.Write {
					continue
				}
				var p patch.Patch
				f.Lower(&p, a)
				code, err := p.Finish()
				if err != nil || len(code) == 0 {
					t.Errorf("%s.%s: lowering gives %v, %v", pt.Context.Name, f.Name, code, err)
				}
			}
		}
	}
}
