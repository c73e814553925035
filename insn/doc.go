// Package insn is the eBPF instruction set: decoding and encoding, construction,
// disassembly and assembly.
//
// An [Instruction] is the eight bytes of the kernel's struct bpf_insn in one
// number, with methods for its fields. A program is a []Instruction, in which a
// 64-bit immediate load takes two elements.
//
// Everything else is derived from one table of [Form] values: which encodings
// are defined ([Instruction.Valid], [Check]), in which version and Linux release
// they came up, how they are printed ([Printer]) and how they are written in
// assembly ([Assemble]).
//
// # Text
//
// [Printer.AppendText] prints an instruction as the verifier log does and
// [Printer.AppendXlated] lists a program as "bpftool prog dump xlated" does. The
// kernel's text leaves out what some instructions refer to, so [Disassemble] and
// [Printer.AppendAsm] differ from it there and tell all valid instructions apart:
//
//	kernel                     assembler
//	r1 = 0x1122                r1 = 0x1122 ll
//	r1 = 0x5                   r1 = map[fd:5] ll
//	r1 = 0x5                   r1 = map[fd:5][0]+16 ll
//	r1 = 0x5                   r1 = map[idx:5] ll, r1 = map[idx:5][0]+16 ll
//	r1 = 0x5                   r1 = btf[fd:0][id:5] ll
//	r1 = 0x5                   r1 = subprog[+5] ll
//	call bpf_rcu_read_lock#77  call kfunc bpf_rcu_read_lock#77@2
//
// The number after @ is the index of the kernel function's BTF in fd_array; it is
// left out if it is zero.
//
// # Assembly
//
// There is one instruction a line. A comment begins with ; or // and goes to the
// end of the line; so does one that begins with # at the start of a line. A line
// may begin with labels:
//
//	    r0 = 0
//	    r2 = 10
//	loop:
//	    r0 += r2
//	    r2 -= 1
//	    if r2 != 0 goto loop   ; or: goto pc-3, goto -3
//	    exit
//
// A jump goes to a label or to a distance from the next instruction. So does a
// call to a subprogram, "call pc+3", and a callback, "r2 = subprog[label] ll".
// "call 3" calls the helper with that id; "call name#3" does too, and the name is
// for the reader. An [Assembler] resolves names that stand alone: of helpers, of
// kernel functions and of maps in "r1 = map[name] ll".
//
// Numbers are decimal, hexadecimal (0x), octal (0, 0o) or binary (0b). An
// immediate of 32 bits may be written signed or unsigned. Where the text of
// LLVM's disassembler differs from the kernel's, that is accepted as well: w1 for
// the register of a narrow load or store, its names for atomic operations.
//
// # Sources
//
// The instruction set is that of RFC 9669 and, for what came later or is Linux's
// own, of the kernel's Documentation/bpf/standardization/instruction-set.rst,
// include/uapi/linux/bpf.h and include/linux/filter.h. The text is that of
// print_bpf_insn() in kernel/bpf/disasm.c and of bpftool. The package's tests
// compare opcodes, messages on reserved fields and text with the live kernel,
// release 6.18, and its assembly with LLVM's.
//
// Instructions are kept in little-endian encoding on every machine; an object
// for a big-endian target is to be refused before it comes here.
package insn
