package insn

import "slices"

// table holds the instruction set by opcode. Within an opcode the forms that
// another field selects come first; a form without selector comes last and
// prints what no other form matches.
var table = buildTable()

// origin says where a form comes from and when it became available.
type origin struct {
	group Group
	cpu   uint8
	since Release
}

// The origins, by the release that introduced them.
var (
	base32   = origin{GroupBase32, 1, LinuxRelease(3, 18)}
	base64   = origin{GroupBase64, 1, LinuxRelease(3, 18)}
	divmul32 = origin{GroupDivMul32, 1, LinuxRelease(3, 18)}
	divmul64 = origin{GroupDivMul64, 1, LinuxRelease(3, 18)}
	packet   = origin{GroupPacket, 1, LinuxRelease(3, 18)}
	lessThan = origin{GroupBase64, 2, LinuxRelease(4, 14)} // JLT, JLE, JSLT, JSLE
	jmp32    = origin{GroupBase32, 3, LinuxRelease(5, 1)}
	xadd32   = origin{GroupAtomic32, 1, LinuxRelease(3, 18)}
	xadd64   = origin{GroupAtomic64, 1, LinuxRelease(3, 18)}
	atomic32 = origin{GroupAtomic32, 3, LinuxRelease(5, 12)}
	atomic64 = origin{GroupAtomic64, 3, LinuxRelease(5, 12)}
	v4base32 = origin{GroupBase32, 4, LinuxRelease(6, 6)}
	v4base64 = origin{GroupBase64, 4, LinuxRelease(6, 6)}
	v4div32  = origin{GroupDivMul32, 4, LinuxRelease(6, 6)}
	v4div64  = origin{GroupDivMul64, 4, LinuxRelease(6, 6)}
	arena    = origin{GroupLinux, 4, LinuxRelease(6, 9)}
	acqRel   = origin{GroupLinux, 4, LinuxRelease(6, 15)}
	indirect = origin{GroupLinux, 4, LinuxRelease(6, 19)}
	internal = origin{group: GroupInternal}
	textOnly = origin{}
)

// in returns the origin o as of another release.
func (o origin) in(major, minor uint8) origin {
	o.since = LinuxRelease(major, minor)
	return o
}

// define returns a form whose operands are the fields in uses. All others are zero.
func (o origin) define(name string, op uint8, uses Instruction, text string, alt ...string) Form {
	return Form{
		Name: name, Opcode: op, Group: o.group, CPU: o.cpu, Since: o.since,
		text: text, alt: alt, fixed: ^uses, value: Instruction(op),
	}
}

// when returns the form f for instructions in which these bits have this value.
func (f Form) when(mask, value Instruction) Form {
	f.fixed |= mask
	f.value |= value
	f.sel |= mask
	return f
}

func offIs(off int16) (mask, value Instruction) { return maskOff, Instruction(0).WithOff(off) }
func immIs(imm int32) (mask, value Instruction) { return maskImm, Instruction(0).WithImm(imm) }
func srcIs(src Reg) (mask, value Instruction)   { return maskSrc, Instruction(0).WithSrc(src) }

// reserved sets the kernel's name of the instruction in its line on reserved fields.
func reserved(name string, forms []Form) []Form {
	for n := range forms {
		forms[n].refuse = name + " uses reserved fields"
	}
	return forms
}

func buildTable() (t [256][]Form) {
	all := slices.Concat(
		reserved("BPF_ALU", aluForms()),
		reserved("BPF_NEG", negForms()),
		reserved("BPF_MOV", movForms()),
		reserved("BPF_END", endForms()),
		reserved("BPF_JMP/JMP32", condJumpForms()),
		jumpForms(),
		reserved("BPF_CALL", callForms()),
		reserved("BPF_LDX", loadForms()),
		storeForms(),
		reserved("BPF_ATOMIC", atomicForms()),
		reserved("BPF_LD_IMM64", wideForms()),
		reserved("BPF_LD_[ABS|IND]", packetForms()),
	)
	for _, f := range all {
		f.compile()
		t[f.Opcode] = append(t[f.Opcode], f)
	}
	for op := range t {
		// A form without selector matches everything: it has to be the last.
		slices.SortStableFunc(t[op], func(a, b Form) int {
			return boolInt(a.sel == 0) - boolInt(b.sel == 0)
		})
	}
	return t
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A register width: the class, how the registers are printed.
type width struct {
	class      uint8
	suffix     string
	dst, src   string
	base, dmul origin
	v4, v4dmul origin
}

var widths = []width{
	{ClassALU64, "64", "%d", "%s", base64, divmul64, v4base64, v4div64},
	{ClassALU, "32", "%D", "%S", base32, divmul32, v4base32, v4div32},
}

// aluForms are the operations with two operands, but for MOV.
func aluForms() (forms []Form) {
	ops := []struct {
		op     uint8
		name   string
		text   string
		dmul   bool // in the group divmul
		signed bool // selected by offset 1
	}{
		{op: OpAdd, name: "add", text: "+="},
		{op: OpSub, name: "sub", text: "-="},
		{op: OpMul, name: "mul", text: "*=", dmul: true},
		{op: OpDiv, name: "sdiv", text: "s/=", dmul: true, signed: true},
		{op: OpDiv, name: "div", text: "/=", dmul: true},
		{op: OpOr, name: "or", text: "|="},
		{op: OpAnd, name: "and", text: "&="},
		{op: OpLsh, name: "lsh", text: "<<="},
		{op: OpRsh, name: "rsh", text: ">>="},
		{op: OpMod, name: "smod", text: "s%%=", dmul: true, signed: true},
		{op: OpMod, name: "mod", text: "%%=", dmul: true},
		{op: OpXor, name: "xor", text: "^="},
		{op: OpArsh, name: "arsh", text: "s>>="},
		{op: 0xe0, text: "(null)"}, // undefined, and so the kernel prints them
		{op: 0xf0, text: "(null)"},
	}
	for _, w := range widths {
		for _, o := range ops {
			from := w.base
			switch {
			case o.name == "":
				from = textOnly
			case o.signed:
				from = w.v4dmul
			case o.dmul:
				from = w.dmul
			}
			imm := from.define(o.name+w.suffix+"_imm", w.class|o.op|SrcK, maskDst|maskImm, w.dst+" "+o.text+" %i")
			reg := from.define(o.name+w.suffix+"_reg", w.class|o.op|SrcX, maskDst|maskSrc, w.dst+" "+o.text+" "+w.src)
			if o.signed {
				imm, reg = imm.when(offIs(1)), reg.when(offIs(1))
			}
			forms = append(forms, imm, reg)
		}
	}
	return forms
}

func negForms() (forms []Form) {
	for _, w := range widths {
		text := w.dst + " = -" + w.dst
		forms = append(forms,
			w.base.define("neg"+w.suffix, w.class|OpNeg, maskDst, text),
			textOnly.define("", w.class|OpNeg|SrcX, maskDst, text))
	}
	return forms
}

func movForms() (forms []Form) {
	for _, w := range widths {
		imm, reg := w.class|OpMov|SrcK, w.class|OpMov|SrcX
		forms = append(forms,
			w.base.define("mov"+w.suffix+"_imm", imm, maskDst|maskImm, w.dst+" = %i"),
			w.base.define("mov"+w.suffix+"_reg", reg, maskDst|maskSrc, w.dst+" = "+w.src),
			w.v4.define("movsx"+w.suffix+"_8", reg, maskDst|maskSrc, w.dst+" = (s8)"+w.src).when(offIs(8)),
			w.v4.define("movsx"+w.suffix+"_16", reg, maskDst|maskSrc, w.dst+" = (s16)"+w.src).when(offIs(16)))
	}
	// The kernel's text for 32 bits in a 32-bit register, which is not a form: w1 = (s32)w2.
	return append(forms,
		v4base64.define("movsx64_32", ClassALU64|OpMov|SrcX, maskDst|maskSrc, "%d = (s32)%s").when(offIs(32)),
		textOnly.define("", ClassALU|OpMov|SrcX, maskDst|maskSrc, "%D = (s32)%S").when(offIs(32)),
		arena.define("addr_space_cast", ClassALU64|OpMov|SrcX, maskDst|maskSrc|maskImm,
			"%d = addr_space_cast(%s, %a, %b)").when(offIs(AddrSpaceCastOff)),
		internal.define("mov_percpu", ClassALU64|OpMov|SrcX, maskDst|maskSrc,
			"%d = &(void __percpu *)(%s)").when(offIs(OffPercpu)))
}

// endForms change the byte order. The kernel prints any width, three are defined.
func endForms() (forms []Form) {
	for _, e := range []struct {
		op   uint8
		name string
		from origin
	}{
		{ClassALU | OpEnd | EndToLE, "le", base32},
		{ClassALU | OpEnd | EndToBE, "be", base32},
		{ClassALU64 | OpEnd, "bswap", v4base32},
	} {
		for _, width := range []struct {
			bits int32
			text string
		}{{16, "16"}, {32, "32"}, {64, "64"}} {
			from := e.from
			if width.bits == 64 {
				from.group = GroupBase64
			}
			forms = append(forms, from.define(e.name+width.text, e.op, maskDst,
				"%d = "+e.name+width.text+" %d").when(immIs(width.bits)))
		}
		forms = append(forms, textOnly.define("", e.op, maskDst|maskImm, "%d = "+e.name+"%i %d"))
	}
	return append(forms, textOnly.define("", ClassALU64|OpEnd|SrcX, maskDst|maskImm, "%d = bswap%i %d"))
}

// condJumpForms are the comparisons. The kernel prints every other opcode of the
// two classes as if it were one.
func condJumpForms() (forms []Form) {
	ops := []struct {
		op   uint8
		name string
		text string
		v2   bool
	}{
		{op: JmpEQ, name: "jeq", text: "=="},
		{op: JmpGT, name: "jgt", text: ">"},
		{op: JmpGE, name: "jge", text: ">="},
		{op: JmpSET, name: "jset", text: "&"},
		{op: JmpNE, name: "jne", text: "!="},
		{op: JmpSGT, name: "jsgt", text: "s>"},
		{op: JmpSGE, name: "jsge", text: "s>="},
		{op: JmpLT, name: "jlt", text: "<", v2: true},
		{op: JmpLE, name: "jle", text: "<=", v2: true},
		{op: JmpSLT, name: "jslt", text: "s<", v2: true},
		{op: JmpSLE, name: "jsle", text: "s<=", v2: true},
		{op: JmpJA, text: "jmp"},
		{op: JmpEXIT, text: "exit"},
		{op: JmpJCOND, text: "(null)"},
		{op: 0xf0, text: "(null)"},
	}
	for _, w := range []struct {
		class            uint8
		suffix, dst, src string
		from, v2         origin
	}{
		{ClassJMP, "", "%d", "%s", base64, lessThan},
		{ClassJMP32, "32", "%D", "%S", jmp32, jmp32},
	} {
		for _, o := range ops {
			from := w.from
			switch {
			case o.name == "":
				from = textOnly
			case o.v2:
				from = w.v2
			}
			forms = append(forms,
				from.define(o.name+w.suffix+"_imm", w.class|o.op|SrcK, maskDst|maskImm|maskOff,
					"if "+w.dst+" "+o.text+" %x goto %j"),
				from.define(o.name+w.suffix+"_reg", w.class|o.op|SrcX, maskDst|maskSrc|maskOff,
					"if "+w.dst+" "+o.text+" "+w.src+" goto %j"))
		}
	}
	return slices.DeleteFunc(forms, func(f Form) bool {
		// Printed otherwise, below.
		return f.Opcode == ClassJMP|JmpJA || f.Opcode == ClassJMP|JmpJA|SrcX ||
			f.Opcode == ClassJMP32|JmpJA || f.Opcode == ClassJMP|JmpEXIT ||
			f.Opcode == OpcodeTailCall
	})
}

// jumpForms are the jumps without comparison, and exit.
func jumpForms() []Form {
	exit := base32.define("exit", ClassJMP|JmpEXIT, 0, "exit")
	exit.lax = maskOff
	mayGoto := arena.define("may_goto", ClassJMP|JmpJCOND, maskOff, "may_goto %j").when(srcIs(CondMayGoto))
	mayGoto.refuse = "invalid may_goto imm %d"
	return slices.Concat(
		reserved("BPF_JA", []Form{
			base32.define("ja", ClassJMP|JmpJA, maskOff, "goto %j"),
			v4base32.define("jal", ClassJMP32|JmpJA, maskImm, "gotol %l"),
			indirect.define("jax", ClassJMP|JmpJA|SrcX, maskDst, "gotox %d"),
		}),
		reserved("BPF_EXIT", []Form{exit}),
		[]Form{
			mayGoto,
			internal.define("tail_call", OpcodeTailCall, 0, "tail_call"),
		},
	)
}

func callForms() (forms []Form) {
	helper := base32.define("call", ClassJMP|JmpCALL, maskImm, "call %h").when(srcIs(0))
	sub := base32.in(4, 16).define("call_sub", ClassJMP|JmpCALL, maskImm, "call %l").when(srcIs(PseudoCall))
	sub.kernel = "call %c"
	kfunc := base32.in(5, 13).define("call_kfunc", ClassJMP|JmpCALL, maskImm|maskOff, "call kfunc %k", "call %N").when(srcIs(PseudoKfuncCall))
	kfunc.kernel = "call %K"
	forms = append(forms, helper, sub, kfunc)
	for _, op := range []uint8{ClassJMP | JmpCALL, ClassJMP | JmpCALL | SrcX, ClassJMP32 | JmpCALL, ClassJMP32 | JmpCALL | SrcX} {
		forms = append(forms, textOnly.define("", op, maskSrc|maskImm|maskOff, "call unknown#%i"))
	}
	return forms
}

// An access size: its bits and how it is printed.
type access struct {
	bits     uint8
	suffix   string
	unsigned string
	signed   string
}

var accesses = []access{
	{SizeB, "b", "u8", "s8"},
	{SizeH, "h", "u16", "s16"},
	{SizeW, "w", "u32", "s32"},
	{SizeDW, "dw", "u64", ""},
}

// Memory operands, by which register holds the address.
func atSrc(typ string) string { return "*(" + typ + " *)(%s %o)" }
func atDst(typ string) string { return "*(" + typ + " *)(%d %o)" }

func loadForms() (forms []Form) {
	uses := maskDst | maskSrc | maskOff
	for _, a := range accesses {
		op := ClassLDX | a.bits
		ldx := base32.define("ldx"+a.suffix, op|ModeMem, uses, "%d = "+atSrc(a.unsigned))
		if a.bits == SizeDW {
			ldx.Group = GroupBase64
		} else {
			// LLVM's spelling where a 32-bit register receives the value.
			ldx.alt = []string{"%D = " + atSrc(a.unsigned)}
		}
		forms = append(forms, ldx,
			internal.define("probe_ldx"+a.suffix, op|ModeProbeMem, uses, "probe %d = "+atSrc(a.unsigned)),
			internal.define("probe32_ldx"+a.suffix, op|ModeProbeMem32, uses, "probe32 %d = "+atSrc(a.unsigned)))
		if a.signed == "" {
			continue
		}
		forms = append(forms,
			v4base64.define("ldsx"+a.suffix, op|ModeMemSX, uses, "%d = "+atSrc(a.signed)),
			internal.define("probe_ldsx"+a.suffix, op|ModeProbeMemSX, uses, "probe %d = "+atSrc(a.signed)),
			internal.define("probe32_ldsx"+a.suffix, op|ModeProbeMem32SX, uses, "probe32 %d = "+atSrc(a.signed)))
	}
	return forms
}

func storeForms() (forms []Form) {
	var st, stx []Form
	for _, a := range accesses {
		at := atDst(a.unsigned)
		imm := base32.define("st"+a.suffix, ClassST|ModeMem|a.bits, maskDst|maskOff|maskImm, at+" = %i")
		reg := base32.define("stx"+a.suffix, ClassSTX|ModeMem|a.bits, maskDst|maskSrc|maskOff, at+" = %s")
		if a.bits == SizeDW {
			imm.Group, reg.Group = GroupBase64, GroupBase64
		} else {
			reg.alt = []string{at + " = %S"}
		}
		st = append(st, imm,
			internal.define("probe32_st"+a.suffix, ClassST|ModeProbeMem32|a.bits, maskDst|maskOff|maskImm, "probe32 "+at+" = %i"))
		stx = append(stx, reg,
			internal.define("probe32_stx"+a.suffix, ClassSTX|ModeProbeMem32|a.bits, maskDst|maskSrc|maskOff, "probe32 "+at+" = %s"))
	}
	st = append(st, internal.define("nospec", OpcodeNospec, 0, "nospec"))
	return slices.Concat(reserved("BPF_ST", st), reserved("BPF_STX", stx))
}

// atomicForms are the read-modify-write operations, and the ordered load and
// store. The kernel prints the former for 8 and 16 bits too, where they are not defined.
func atomicForms() (forms []Form) {
	const src32, src64 = "%S", "%s"
	for _, a := range []atomicSize{
		{accesses[0], "", "", textOnly, textOnly, "", ""},
		{accesses[1], "", "", textOnly, textOnly, "", ""},
		{accesses[2], "", "32_32", xadd32, atomic32, src32, "w0"},
		{accesses[3], "64", "_64", xadd64, atomic64, src64, "r0"},
	} {
		forms = append(forms, a.forms()...)
	}
	forms = append(forms, orderedForms()...)
	for _, f := range slices.Clone(forms) {
		if !f.defined() {
			continue
		}
		f.Name, f.text, f.alt = "probe_"+f.Name, "probe "+f.text, nil
		f.Opcode = f.Opcode&^ModeMask | ModeProbeAtomic
		f.value = f.value.WithOp(f.Opcode)
		f.Group, f.CPU, f.Since = GroupInternal, 0, 0
		forms = append(forms, f)
	}
	for n := range forms {
		forms[n].noOp = "BPF_ATOMIC uses invalid atomic opcode %02x"
	}
	return forms
}

// An atomicSize is one width of the read-modify-write operations.
type atomicSize struct {
	access
	bits      string // in the name of the kernel's text
	llvm      string // in LLVM's names for exchanges
	plain     origin
	fetch     origin
	src, zero string // the registers in LLVM's text
}

func (a atomicSize) forms() (forms []Form) {
	op := ClassSTX | ModeAtomic | a.access.bits
	at, ptr := atDst(a.unsigned), "(("+a.unsigned+" *)(%d %o), "
	uses := maskDst | maskSrc | maskOff
	for _, o := range []struct {
		imm        int32
		name, text string
		plain      origin
	}{
		{AtomicAdd, "add", "+=", a.plain},
		{AtomicOr, "or", "|=", a.fetch},
		{AtomicAnd, "and", "&=", a.fetch},
		{AtomicXor, "xor", "^=", a.fetch},
	} {
		name := "atomic" + a.bits + "_fetch_" + o.name
		forms = append(forms,
			o.plain.define("atomic"+a.bits+"_"+o.name, op, uses, "lock "+at+" "+o.text+" %s",
				"lock "+at+" "+o.text+" "+a.src).when(immIs(o.imm)),
			a.fetch.define(name, op, uses, "%s = "+name+ptr+"%s)",
				a.src+" = atomic_fetch_"+o.name+ptr+a.src+")").when(immIs(o.imm|AtomicFetch)))
	}
	xchg, cmpxchg := "atomic"+a.bits+"_xchg", "atomic"+a.bits+"_cmpxchg"
	return append(forms,
		a.fetch.define(xchg, op, uses, "%s = "+xchg+ptr+"%s)",
			a.src+" = xchg"+a.llvm+"(%d %o, "+a.src+")").when(immIs(AtomicXchg)),
		a.fetch.define(cmpxchg, op, uses, "r0 = "+cmpxchg+ptr+"r0, %s)",
			a.zero+" = cmpxchg"+a.llvm+"(%d %o, "+a.zero+", "+a.src+")").when(immIs(AtomicCmpxchg)))
}

func orderedForms() (forms []Form) {
	uses := maskDst | maskSrc | maskOff
	for _, a := range accesses {
		op := ClassSTX | ModeAtomic | a.bits
		load := acqRel.define("load_acquire"+a.suffix, op, uses,
			"%d = load_acquire(("+a.unsigned+" *)(%s %o))").when(immIs(AtomicLoadAcq))
		store := acqRel.define("store_release"+a.suffix, op, uses,
			"store_release(("+a.unsigned+" *)(%d %o), %s)").when(immIs(AtomicStoreRel))
		if a.bits != SizeDW {
			load.alt = []string{"%D = load_acquire((" + a.unsigned + " *)(%s %o))"}
			store.alt = []string{"store_release((" + a.unsigned + " *)(%d %o), %S)"}
		}
		forms = append(forms, load, store)
	}
	return forms
}

// wideForms load 64 bits from two slots; the source register says what they mean.
func wideForms() (forms []Form) {
	const op = ClassLD | ModeImm | SizeDW
	for _, f := range []Form{
		base64.define("lddw", op, maskDst|maskImm, "%d = %q ll").when(srcIs(0)),
		base64.define("lddw_map_fd", op, maskDst|maskImm, "%d = map[fd:%i] ll", "%d = map[%m] ll").when(srcIs(PseudoMapFD)),
		base64.in(5, 2).define("lddw_map_value", op, maskDst|maskImm, "%d = map[fd:%i][0]%v ll", "%d = map[%m][0]%v ll").when(srcIs(PseudoMapValue)),
		base64.in(5, 10).define("lddw_btf_id", op, maskDst|maskImm, "%d = btf[fd:%n][id:%i] ll").when(srcIs(PseudoBTFID)),
		base64.in(5, 13).define("lddw_func", op, maskDst|maskImm, "%d = subprog[%f] ll").when(srcIs(PseudoFunc)),
		base64.in(5, 14).define("lddw_map_idx", op, maskDst|maskImm, "%d = map[idx:%i] ll").when(srcIs(PseudoMapIdx)),
		base64.in(5, 14).define("lddw_map_idx_value", op, maskDst|maskImm, "%d = map[idx:%i][0]%v ll").when(srcIs(PseudoMapIdxValue)),
		textOnly.define("", op, maskDst|maskSrc|maskImm, "%d = %q"),
	} {
		f.kernel, f.noOp = "%d = %Q", "unrecognized bpf_ld_imm64 insn"
		switch src := f.value.Src(); {
		case src == PseudoFunc:
			f.second = secondIgnored
		case src != PseudoMapFD && src != PseudoMapIdx:
			f.second = secondUsed
		}
		forms = append(forms, f)
	}
	return forms
}

// packetForms are the loads that classic BPF left behind.
func packetForms() (forms []Form) {
	for _, a := range accesses {
		abs, ind, from := "ldabs"+a.suffix, "ldind"+a.suffix, packet
		if a.bits == SizeDW {
			abs, ind, from = "", "", textOnly
		}
		at := "r0 = *(" + a.unsigned + " *)skb["
		forms = append(forms,
			from.define(abs, ClassLD|ModeAbs|a.bits, maskImm, at+"%i]"),
			from.define(ind, ClassLD|ModeInd|a.bits, maskSrc|maskImm, at+"%s %p]"))
	}
	return forms
}
