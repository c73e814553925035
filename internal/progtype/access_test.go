package progtype_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

var sizeCode = map[uint32]uint8{1: insn.SizeB, 2: insn.SizeH, 4: insn.SizeW, 8: insn.SizeDW}

// Every width at every offset of every context, loaded and stored: the tables
// accept exactly what the live kernel accepts, and what the kernel learns of a
// loaded pointer is what the table says.
func TestContextAccessLikeKernel(t *testing.T) {
	oracle.Require(t)
	for _, pt := range progtype.All() {
		attach := []uapi.AttachType{0}
		if pt.Type == uapi.BPF_PROG_TYPE_XDP {
			attach = []uapi.AttachType{uapi.BPF_XDP, uapi.BPF_XDP_DEVMAP}
		}
		for _, at := range attach {
			t.Run(fmt.Sprintf("%s/%d", pt.Name, at), func(t *testing.T) {
				t.Parallel()
				for off := uint32(0); off <= pt.Context.Size; off++ {
					for size := uint32(1); size <= 8; size *= 2 {
						for _, write := range []bool{false, true} {
							compareAccess(t, pt, at, desc.CtxAccess{Off: off, Size: size, Write: write})
						}
					}
				}
			})
		}
	}
}

func compareAccess(t *testing.T, pt *desc.ProgType, at uapi.AttachType, a desc.CtxAccess) {
	t.Helper()
	access := insn.Make(insn.ClassLDX|insn.ModeMem|sizeCode[a.Size], insn.R2, insn.R1, int16(a.Off), 0)
	if a.Write {
		access = insn.Make(insn.ClassSTX|insn.ModeMem|sizeCode[a.Size], insn.R1, insn.R2, int16(a.Off), 0)
	}
	live := oracle.LoadProg(oracle.Prog{
		Type: pt.Type, ExpectedAttachType: at, LogLevel: 2,
		Insns: []insn.Instruction{
			insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcK, insn.R2, 0, 0, 0),
			access,
			insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcK, insn.R0, 0, 0, 0),
			insn.Make(insn.ClassJMP|insn.JmpEXIT, 0, 0, 0, 0),
		},
	})
	defer live.Close()
	f := pt.Context.Access(a, &desc.ProgInfo{Type: pt.Type, ExpectedAttach: at})
	if (f != nil) != (live.Errno == 0) {
		t.Errorf("offset %d, %d bytes, write %v: kernel says %v, table says %v\n%s",
			a.Off, a.Size, a.Write, live.Errno, f != nil, live.Log)
		return
	}
	if f == nil || a.Write {
		return
	}
	want := map[desc.FieldKind]string{
		desc.FieldPacket: "R2=pkt(", desc.FieldPacketEnd: "R2=pkt_end(", desc.FieldPacketMeta: "R2=pkt_meta(",
		desc.FieldSockCommonOrNull: "R2=sock_common_or_null(", desc.FieldScalar: "R2=scalar(",
	}[f.Kind]
	if !strings.Contains(live.Log, want) {
		t.Errorf("offset %d, %d bytes: table says %s, kernel says\n%s", a.Off, a.Size, want, live.Log)
	}
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
