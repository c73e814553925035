package insn

import (
	"fmt"
	"strings"
)

// A Form is one way to use an opcode: the row of the table that validity,
// disassembly and assembly are derived from. Several forms share an opcode when
// another field selects the operation, as the immediate does for atomics.
type Form struct {
	// Name identifies the form: "add64_imm", "ldxw", "atomic64_fetch_add".
	Name string
	// Opcode is the opcode byte.
	Opcode uint8
	// Group is the conformance group of RFC 9669, or where else the form is defined.
	Group Group
	// CPU is the instruction set version (LLVM's -mcpu=v1 to v4) that introduced
	// the form, 0 for those that only rewritten programs hold.
	CPU uint8
	// Since is the first Linux release whose verifier accepts the form.
	Since Release

	text   string      // template, see template.go
	kernel string      // template for the verifier log where it says less than text
	alt    []string    // further templates that the assembler accepts
	refuse string      // the verifier's line on a wrong field; %d or %x is the immediate
	noOp   string      // on a field that selects no form of the opcode, if another line
	fixed  Instruction // mask of the bits that the form prescribes
	value  Instruction // their values
	sel    Instruction // those of the fixed bits that tell forms of one opcode apart
	lax    Instruction // those of the fixed bits that the kernel does not look at
	second second      // of a form with two slots, what the second one's immediate is

	print, printKernel []elem
}

// second says what the immediate of a second slot is.
type second uint8

const (
	secondZero    second = iota // must be zero
	secondIgnored               // unused, but the kernel does not look at it
	secondUsed
)

// Group says which document defines a form.
type Group uint8

// The conformance groups of RFC 9669 section 2.4, and what is outside of it.
const (
	GroupNone     Group = iota // text of an undefined instruction
	GroupBase32                // RFC 9669 base32
	GroupBase64                // RFC 9669 base64
	GroupAtomic32              // RFC 9669 atomic32
	GroupAtomic64              // RFC 9669 atomic64
	GroupDivMul32              // RFC 9669 divmul32
	GroupDivMul64              // RFC 9669 divmul64
	GroupPacket                // RFC 9669 packet, deprecated
	GroupLinux                 // Linux: Documentation/bpf and include/uapi/linux/bpf.h
	GroupInternal              // made by the verifier's rewriting passes only
)

var groupNames = [...]string{
	"none", "base32", "base64", "atomic32", "atomic64", "divmul32", "divmul64",
	"packet", "linux", "internal",
}

// String returns the group's name as RFC 9669 writes it.
func (g Group) String() string {
	if int(g) < len(groupNames) {
		return groupNames[g]
	}
	return fmt.Sprintf("Group(%d)", uint8(g))
}

// Release is a Linux release: the major number in the upper byte, the minor one
// in the lower. Later releases are greater.
type Release uint16

// LinuxRelease returns the release with this major and minor number.
func LinuxRelease(major, minor uint8) Release { return Release(major)<<8 | Release(minor) }

// String returns the release as "6.18".
func (r Release) String() string { return fmt.Sprintf("%d.%d", r>>8, r&0xff) }

// Reference is the Linux release whose behaviour this module follows.
const Reference Release = 6<<8 | 18

// Field names a field of an instruction.
type Field uint8

// The fields of an instruction.
const (
	FieldOp Field = iota
	FieldDst
	FieldSrc
	FieldOff
	FieldImm
	FieldNext // the second slot of a 64-bit immediate load
)

var fieldNames = [...]string{
	"opcode", "destination register", "source register", "offset", "immediate", "second slot",
}

// String returns the field's name in words.
func (f Field) String() string { return fieldNames[f] }

// The bits of each field.
const (
	maskOp  Instruction = 0xff
	maskDst Instruction = 0xf00
	maskSrc Instruction = 0xf000
	maskOff Instruction = 0xffff0000
	maskImm Instruction = 0xffffffff << 32
	maskAll Instruction = 1<<64 - 1
)

var fieldMasks = [...]Instruction{maskOp, maskDst, maskSrc, maskOff, maskImm}

// get returns the value of a field.
func (f Field) get(i Instruction) int64 {
	switch f {
	case FieldOp:
		return int64(i.Op())
	case FieldDst:
		return int64(i.Dst())
	case FieldSrc:
		return int64(i.Src())
	case FieldOff:
		return int64(i.Off())
	}
	return int64(i.Imm())
}

// Uses reports whether the field holds an operand; if not, the form prescribes its value.
func (f *Form) Uses(field Field) bool {
	if field == FieldNext {
		return f.second == secondUsed
	}
	return f.fixed&fieldMasks[field] == 0
}

// Template returns an instruction of this form with all operands zero.
func (f *Form) Template() Instruction { return f.value }

// Wide reports whether the form takes two slots.
func (f *Form) Wide() bool { return f.value.IsWide() }

// defined reports whether the form is an instruction, not just a way to print one.
func (f *Form) defined() bool { return f.Group != GroupNone }

// Forms returns the instruction set: all forms in the order of their opcodes.
func Forms() []Form {
	var all []Form
	for _, forms := range &table {
		for n := range forms {
			if forms[n].defined() {
				all = append(all, forms[n])
			}
		}
	}
	return all
}

// selectForm returns the row that prints i, nil if the kernel has no text for it.
func (i Instruction) selectForm() *Form {
	forms := table[i.Op()]
	for n := range forms {
		if f := &forms[n]; i&f.sel == f.value&f.sel {
			return f
		}
	}
	return nil
}

// Form returns the form that i has by its opcode and the fields that select an
// operation; other fields may be wrong ([Instruction.Check]). It returns nil
// where no such form is defined.
func (i Instruction) Form() *Form {
	if f := i.selectForm(); f != nil && f.defined() {
		return f
	}
	return nil
}

// KnownOpcode reports whether a program may hold the opcode at all, as
// bpf_opcode_in_insntable() of the kernel's [Reference] release does. The
// verifier refuses others with "unknown opcode".
func KnownOpcode(op uint8) bool {
	for n := range table[op] {
		f := &table[op][n]
		if f.defined() && f.Group != GroupInternal && f.Since <= Reference {
			return true
		}
	}
	return false
}

// EncodingError says why an instruction is not a valid encoding.
type EncodingError struct {
	Instruction Instruction
	// Form is the form that the instruction comes closest to, nil if there is none.
	Form *Form
	// Field is the wrong field.
	Field Field
	// Next is the slot after the instruction, if that is wrong ([FieldNext]).
	Next Instruction
	// Index is the instruction's slot, where a whole program was checked.
	Index int

	missing bool  // there is no second slot
	near    *Form // a form of the same opcode, nil if the opcode is unknown
}

// Error describes the field, its value and what the form prescribes.
func (e *EncodingError) Error() string {
	i := e.Instruction
	got := e.Field.get(i)
	switch {
	case e.Field == FieldNext && e.missing:
		return fmt.Sprintf("insn %d: %s needs a second slot, but the program ends", e.Index, e.Form.Name)
	case e.Field == FieldNext:
		return fmt.Sprintf("insn %d: %s does not allow the second slot 0x%016x", e.Index, e.Form.Name, uint64(e.Next))
	case e.Field == FieldOp:
		return fmt.Sprintf("insn %d: unknown opcode %02x", e.Index, i.Op())
	case e.Form == nil:
		return fmt.Sprintf("insn %d: opcode %02x has no operation for %s %#x", e.Index, i.Op(), e.Field, got)
	case e.Form.Uses(e.Field):
		return fmt.Sprintf("insn %d: %s: no %s r%d, the last register is r10", e.Index, e.Form.Name, e.Field, got)
	}
	return fmt.Sprintf("insn %d: %s uses the reserved %s: %#x, must be %#x",
		e.Index, e.Form.Name, e.Field, got, e.Field.get(e.Form.value))
}

// KernelText returns the line with which the kernel's verifier refuses the instruction.
func (e *EncodingError) KernelText() string {
	i := e.Instruction
	switch {
	case e.near == nil && i.Class() == ClassLDX && i.Mode() != ModeMem && i.Mode() != ModeMemSX:
		return "BPF_LDX uses reserved fields" // resolve_pseudo_ldimm64() looks at this one first
	case e.near == nil:
		return fmt.Sprintf("unknown opcode %02x", i.Op())
	case e.Field == FieldNext && (e.missing || e.Next&^maskImm != 0):
		return "invalid bpf_ld_imm64 insn"
	case e.Field == FieldNext:
		return e.near.noOp
	case e.near.Uses(e.Field):
		return fmt.Sprintf("R%d is invalid", e.Field.get(i))
	}
	text := e.near.refuse
	if e.Form == nil && e.near.noOp != "" {
		text = e.near.noOp
	}
	if strings.Contains(text, "%") {
		text = fmt.Sprintf(text, i.Imm())
	}
	return text
}

// Valid reports whether i is one of the defined forms, with every unused field
// zero and registers that exist, as RFC 9669 demands. The second slot of a
// 64-bit immediate load is not valid by itself; see [Check].
func (i Instruction) Valid() bool {
	f := i.Form()
	return f != nil && f.Group != GroupInternal && i&f.fixed == f.value && i.badRegister(f) == FieldOp
}

// Check returns an [*EncodingError] if the kernel's verifier would refuse i for
// an undefined encoding: an unknown opcode, a reserved field that is not zero, a
// register that does not exist. It is as lenient as the kernel, which does not
// look at some of the unused fields.
func (i Instruction) Check() error {
	f := i.Form()
	if f == nil || f.Group == GroupInternal {
		return i.unknown()
	}
	for field := FieldDst; field <= FieldImm; field++ {
		mask := f.fixed & fieldMasks[field] &^ f.lax
		if i&mask != f.value&mask {
			return &EncodingError{Instruction: i, Form: f, Field: field, near: f}
		}
	}
	if field := i.badRegister(f); field != FieldOp {
		return &EncodingError{Instruction: i, Form: f, Field: field, near: f}
	}
	return nil
}

// badRegister returns the register operand that does not exist, FieldOp if none.
func (i Instruction) badRegister(f *Form) Field {
	if f.Uses(FieldDst) && i.Dst() >= NumRegs {
		return FieldDst
	}
	if f.Uses(FieldSrc) && i.Src() >= NumRegs {
		return FieldSrc
	}
	return FieldOp
}

// unknown returns the error for i, which has no form: its opcode is undefined, or
// the field that selects among the opcode's forms is.
func (i Instruction) unknown() *EncodingError {
	e := &EncodingError{Instruction: i, Field: FieldOp}
	for n := range table[i.Op()] {
		f := &table[i.Op()][n]
		if !f.defined() || f.Group == GroupInternal {
			continue
		}
		for field := FieldSrc; field <= FieldImm; field++ {
			if f.sel&fieldMasks[field] != 0 {
				e.Field, e.near = field, f
				return e
			}
		}
	}
	return e
}

// Check returns an [*EncodingError] for the first instruction of prog that the
// kernel's verifier would refuse for its encoding. It knows of the second slot
// that a 64-bit immediate load takes.
func Check(prog []Instruction) error {
	for n := 0; n < len(prog); n++ {
		if err := prog[n].Check(); err != nil {
			err.(*EncodingError).Index = n
			return err
		}
		if !prog[n].IsWide() {
			continue
		}
		if err := checkNext(prog[n:]); err != nil {
			err.Index = n
			return err
		}
		n++
	}
	return nil
}

// checkNext checks the second slot of the 64-bit immediate load that prog begins with.
func checkNext(prog []Instruction) *EncodingError {
	f := prog[0].Form()
	if len(prog) == 1 {
		return &EncodingError{Instruction: prog[0], Form: f, Field: FieldNext, missing: true, near: f}
	}
	if next := prog[1]; next&^maskImm != 0 || next != 0 && f.second == secondZero {
		return &EncodingError{Instruction: prog[0], Form: f, Field: FieldNext, Next: next, near: f}
	}
	return nil
}
