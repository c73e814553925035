package verifier

import (
	"math/bits"
	"strconv"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// Text of the log: what a state, an instruction and a source line look like
// (kernel/bpf/log.c).

// line gives an empty buffer to compose a message in.
func (v *verifier) line() []byte { return v.text[:0] }

// print writes a message that was composed in the buffer.
func (v *verifier) print(b []byte) {
	v.log.bytes(b)
	v.text = b[:0]
}

// logging says whether the walk itself is logged.
func (v *verifier) logging() bool { return v.log.on(LogLevel1 | LogLevel2) }

// dirtySlot notes that a stack slot of the current state was touched: it is
// printed with the next line.
func (v *verifier) dirtySlot(spi int) { v.dirtyStack |= 1 << spi }

func (v *verifier) dirtyAll() { v.dirtyRegs, v.dirtyStack = ^uint32(0), ^uint64(0) }

// insnPrinter prints calls of helpers with their names.
var insnPrinter = insn.Printer{CallName: callName}

// privatePrinter does the same without addresses.
var privatePrinter = insn.Printer{CallName: callName, HidePointers: true}

func callName(i insn.Instruction) string {
	if i.Src() != 0 {
		return ""
	}
	return helperName(i.Imm())
}

// helperName is the name of a helper as the log gives it (func_id_name).
func helperName(id int32) string {
	if id < 0 || id >= int32(uapi.BPF_FUNC_MAX_ID) {
		return "unknown"
	}
	return "bpf_" + uapi.FuncID(id).LibName()
}

// appendInsn appends an instruction and a newline.
func (v *verifier) appendInsn(b []byte, i int) []byte {
	next := insn.Instruction(0)
	if i+1 < len(v.insns) {
		next = v.insns[i+1]
	}
	p := &insnPrinter
	if !v.priv.leaks {
		p = &privatePrinter
	}
	return append(p.AppendText(b, v.insns[i], next), '\n')
}

// Alignment of what follows an instruction (BPF_LOG_ALIGNMENT).
const (
	logColumn = 40
	logStep   = 8
)

// padding is the number of columns to fill before the ';' after a line of pos
// columns.
func padding(pos int) int {
	col := max(pos+logStep/2, logColumn)
	return (col+logStep-1)/logStep*logStep - pos - 1
}

// logStep prints the instruction that is about to be checked.
func (v *verifier) printStep() {
	if v.dirtyRegs != 0 || v.dirtyStack != 0 {
		v.printAfter(v.cur)
	}
	v.logLine(v.insnIdx, "; ")
	start := v.log.pos()
	b := strconv.AppendInt(v.line(), int64(v.insnIdx), 10)
	b = append(b, ": "...)
	v.print(v.appendInsn(b, v.insnIdx))
	v.stepEnd = v.log.pos()
	v.stepWidth = int(v.stepEnd - start)
}

// printAfter prints what the last instruction changed, on its line if nothing
// was printed since (print_insn_state).
func (v *verifier) printAfter(s *state) {
	b := v.line()
	if v.stepEnd != 0 && v.stepEnd == v.log.pos() {
		v.log.rewind(v.stepEnd - 1)
		for range padding(v.stepWidth) {
			b = append(b, ' ')
		}
		b = append(b, ';')
	} else {
		b = append(strconv.AppendInt(b, int64(v.insnIdx), 10), ':')
	}
	v.print(v.appendState(b, s, s.depth, false))
}

// printState prints all of one frame.
func (v *verifier) printState(s *state, frame int) {
	v.print(v.appendState(v.line(), s, frame, true))
}

// appendState appends the registers and stack slots of a frame, all or those
// that changed (print_verifier_state).
func (v *verifier) appendState(b []byte, s *state, n int, all bool) []byte {
	f := s.frames[n]
	if f.number != 0 {
		b = append(b, " frame"...)
		b = strconv.AppendUint(b, uint64(f.number), 10)
		b = append(b, ':')
	}
	for i := range f.regs {
		r := &f.regs[i]
		if r.typ == notInit || !all && v.dirtyRegs>>i&1 == 0 {
			continue
		}
		b = append(b, " R"...)
		b = strconv.AppendUint(b, uint64(i), 10)
		b = append(b, '=')
		b = v.appendReg(b, f, r)
	}
	for i := range f.stack {
		if all || v.dirtyStack>>i&1 != 0 {
			b = v.appendSlot(b, f, i)
		}
	}
	sep := " refs="
	for i := range s.refs {
		if s.refs[i].id == 0 {
			if i == 0 {
				break
			}
			continue
		}
		b = append(b, sep...)
		b = strconv.AppendUint(b, uint64(s.refs[i].id), 10)
		sep = ","
	}
	if f.inCallback {
		b = append(b, " cb"...)
	}
	if !all {
		v.dirtyRegs, v.dirtyStack = 0, 0
	}
	return append(b, '\n')
}

var slotChars = [...]byte{slotInvalid: '?', slotSpill: 'r', slotMisc: 'm', slotZero: '0'}

func (v *verifier) appendSlot(b []byte, f *frame, spi int) []byte {
	s := &f.stack[spi]
	if s.kind == [slotSize]slotKind{} {
		return b
	}
	b = append(b, " fp"...)
	b = strconv.AppendInt(b, int64(spiOffset(spi)), 10)
	b = append(b, '=')
	for _, k := range s.kind {
		if k == slotSpill && s.isSpill() {
			break
		}
		b = append(b, slotChars[k])
	}
	if s.isSpill() {
		b = v.appendReg(b, f, &s.spill)
	}
	return b
}

// list appends "name=" items separated by commas.
type list struct {
	b   []byte
	sep bool
}

func (l *list) item(name string) {
	if l.sep {
		l.b = append(l.b, ',')
	}
	l.sep = true
	l.b = append(l.b, name...)
}

func (l *list) num(name string, n int64) {
	l.item(name)
	l.b = strconv.AppendInt(l.b, n, 10)
}

// appendReg appends the value of a register (print_reg_state).
func (v *verifier) appendReg(b []byte, f *frame, r *reg) []byte {
	t := r.typ
	if t == scalar && r.precise {
		b = append(b, 'P')
	}
	if t == scalar && r.IsConst() {
		return bounds.AppendSigned(b, int64(r.Const()))
	}
	b = append(b, t.String()...)
	if t == ptrStack {
		if f.number != r.frame {
			b = append(b, '[')
			b = strconv.AppendUint(b, uint64(r.frame), 10)
			b = append(b, ']')
		}
		if r.IsConst() {
			return bounds.AppendSigned(b, int64(r.Const())+int64(r.off))
		}
	}
	l := list{b: append(b, '(')}
	if r.id != 0 {
		l.num("id=", int64(r.group()))
	}
	if r.id&addedConst != 0 {
		if r.off >= 0 {
			l.b = append(l.b, '+')
		}
		l.b = strconv.AppendInt(l.b, int64(r.off), 10)
	}
	if r.refID != 0 {
		l.num("ref_obj_id=", int64(r.refID))
	}
	v.appendTarget(&l, r)
	if r.IsConst() {
		if r.Const() != 0 {
			l.item("imm=")
			l.b = bounds.AppendSigned(l.b, int64(r.Const()))
		}
	} else {
		if l.sep {
			l.b = append(l.b, ',')
		}
		n := len(l.b)
		l.b = r.AppendRanges(l.b)
		if len(l.b) == n && l.sep {
			l.b = l.b[:n-1] // nothing known: no comma
		}
	}
	return append(l.b, ')')
}

// appendTarget appends what a pointer points to.
func (v *verifier) appendTarget(l *list, r *reg) {
	switch r.typ.base() {
	case constMapPtr, ptrMapKey, ptrMapValue:
		m := v.mapOf(r)
		if m.Name != "" && !v.isInner(r.to.mapIdx) {
			l.item("map=")
			l.b = append(l.b, m.Name...)
		}
		l.num("ks=", int64(m.KeySize))
		l.num("vs=", int64(m.ValueSize))
	}
	if r.typ != scalar && r.off != 0 {
		l.item("off=")
		l.b = bounds.AppendSigned(l.b, int64(r.off))
	}
	if r.typ.isPacket() {
		l.item("r=")
		l.b = bounds.AppendUnsigned(l.b, uint64(int64(r.to.num)))
	}
	if r.typ.base() == ptrMem {
		l.item("sz=")
		l.b = bounds.AppendUnsigned(l.b, uint64(uint32(r.to.num)))
	}
}

// appendRegMask appends a set of registers as "r1,r6".
func appendRegMask(b []byte, set uint32) []byte {
	sep := ""
	for ; set != 0; set &= set - 1 {
		b = append(append(b, sep...), 'r')
		b = strconv.AppendInt(b, int64(bits.TrailingZeros32(set)), 10)
		sep = ","
	}
	return b
}

// appendSlots appends a set of stack slots as "-8,-16".
func appendSlots(b []byte, set uint64) []byte {
	sep := ""
	for ; set != 0; set &= set - 1 {
		b = append(b, sep...)
		b = strconv.AppendInt(b, int64(spiOffset(bits.TrailingZeros64(set))), 10)
		sep = ","
	}
	return b
}

// logLine prints the source line of an instruction, unless it was the last one
// printed (verbose_linfo).
func (v *verifier) logLine(i int, prefix string) {
	if v.log == nil || v.log.level == 0 || len(v.lines) == 0 {
		return
	}
	v.printSource(i, prefix)
}
