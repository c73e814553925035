// Package insn is the eBPF instruction set: encoding, construction, disassembly
// and assembly.
package insn
