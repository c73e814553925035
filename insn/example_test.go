package insn_test

import (
	"fmt"

	"github.com/skep-ebpf/skep/insn"
)

func Example() {
	prog, err := insn.Assemble(`
		r0 = 0
		r2 = 10
	loop:
		r0 += r2
		r2 -= 1
		if r2 != 0 goto loop
		exit
	`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(insn.Disassemble(prog))
	// Output:
	// r0 = 0
	// r2 = 10
	// r0 += r2
	// r2 -= 1
	// if r2 != 0x0 goto pc-3
	// exit
}

func ExampleAssemble_error() {
	_, err := insn.Assemble("r0 = 0\nr0 += w1\nexit")
	fmt.Println(err)
	// Output: 2:7: expected 64-bit register r0 to r10 or number, found "w1"
}

func ExampleAssembler() {
	helpers := map[string]int32{"bpf_map_lookup_elem": 1}
	a := insn.Assembler{
		Helper: func(name string) (int32, bool) { id, ok := helpers[name]; return id, ok },
		Map:    func(name string) (int32, bool) { return 4, name == "flows" },
	}
	prog, err := a.Assemble(`
		*(u32 *)(r10 -4) = 0
		r2 = r10
		r2 += -4
		r1 = map[flows] ll
		call bpf_map_lookup_elem
		exit
	`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(insn.Disassemble(prog[2:]))
	// Output:
	// r2 += -4
	// r1 = map[fd:4] ll
	// call unknown#1
	// exit
}

func ExamplePrinter_AppendText() {
	p := insn.Printer{CallName: func(i insn.Instruction) string {
		if i.IsHelperCall() && i.Imm() == 1 {
			return "bpf_map_lookup_elem"
		}
		return ""
	}}
	for _, i := range []insn.Instruction{
		insn.StoreMem(insn.SizeW, insn.RFP, -4, insn.R1),
		insn.Atomic(insn.SizeDW, insn.AtomicAdd|insn.AtomicFetch, insn.RFP, insn.R1, -8),
		insn.Call(1),
		insn.Jump32Imm(insn.JmpSGT, insn.R0, -1, 2),
	} {
		fmt.Printf("%s\n", p.AppendText(nil, i, 0))
	}
	// Output:
	// (63) *(u32 *)(r10 -4) = r1
	// (db) r1 = atomic64_fetch_add((u64 *)(r10 -8), r1)
	// (85) call bpf_map_lookup_elem#1
	// (66) if w0 s> 0xffffffff goto pc+2
}

func ExampleInstruction_Check() {
	i := insn.Mov64Imm(insn.R1, 5).WithOff(3)
	err := i.Check()
	fmt.Println(err)
	fmt.Println(err.(*insn.EncodingError).KernelText())
	// Output:
	// insn 0: mov64_imm uses the reserved offset: 0x3, must be 0x0
	// BPF_MOV uses reserved fields
}
