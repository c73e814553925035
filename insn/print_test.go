package insn_test

import (
	"testing"

	"github.com/skep-ebpf/skep/insn"
)

// TestHidePointers prints what a 6.18 kernel printed to a task with CAP_BPF but
// not CAP_PERFMON: zero for maps by descriptor, the address for maps by index.
func TestHidePointers(t *testing.T) {
	p := insn.Printer{HidePointers: true}
	for src, want := range map[insn.Reg]string{
		0:                      "(18) r1 = 0xffff888134000000",
		insn.PseudoMapFD:       "(18) r1 = 0x0",
		insn.PseudoMapValue:    "(18) r1 = 0x0",
		insn.PseudoMapIdx:      "(18) r1 = 0xffff888134000000",
		insn.PseudoMapIdxValue: "(18) r1 = 0xffff888134000000",
	} {
		i := insn.LoadImm64(insn.R1, 0xffff888134000000)
		if got := string(p.AppendText(nil, i[0].WithSrc(src), i[1])); got != want {
			t.Errorf("source register %d: printed %q, want %q", src, got, want)
		}
	}
}

// TestPrintUndefined prints what the verifier refuses before it prints it. The
// text is that of print_bpf_insn(), which bpftool contains.
func TestPrintUndefined(t *testing.T) {
	var p *insn.Printer
	for op, want := range map[uint8]string{
		0x00: "BUG_ld_00",
		0x99: "BUG_ldx_99",
		0x02: "BUG_st_02",
		0x03: "BUG_03",
		0xe4: "(e4) w1 (null) 7",
		0xff: "(ff) r1 (null) r2",
		0x8f: "(8f) r1 = -r1",
		0xdf: "(df) r1 = bswap7 r1",
		0x8d: "(8d) call unknown#7",
		0x0e: "(0e) if w1 jmp w2 goto pc+3",
		0x9d: "(9d) if r1 exit r2 goto pc+3",
		0xed: "(ed) if r1 (null) r2 goto pc+3",
		0x38: "(38) r0 = *(u64 *)skb[7]",
	} {
		i := insn.Make(op, 1, 2, 3, 7)
		if got := string(p.AppendText(nil, i, 0)); got != want {
			t.Errorf("opcode %02x: printed %q, want %q", op, got, want)
		}
	}
}

func TestString(t *testing.T) {
	for want, i := range map[string]insn.Instruction{
		"r0 = 0":               insn.Mov64Imm(0, 0),
		"*(u64 *)(r1 -8) = r2": insn.StoreMem(insn.SizeDW, 1, -8, 2),
		"BUG_ld_00":            0,
	} {
		if got := i.String(); got != want {
			t.Errorf("%016x is %q, want %q", uint64(i), got, want)
		}
	}
	if got := insn.R10.String() + insn.Reg(200).String(); got != "r10r200" {
		t.Errorf("registers print as %q", got)
	}
}
