package verifier

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// What a program's BTF says of its functions and source lines.

// recordKind is one of the arrays of records.
type recordKind struct {
	name     string // as the log calls it
	min      uint32 // bytes that a record must have
	known    uint32 // bytes of one that are looked at
	maxCount uint32 // as many are given memory for
	tooMany  errno.Errno
}

var (
	funcRecords = recordKind{"func info", uapi.SizeofFuncInfo, uapi.SizeofFuncInfo, math.MaxInt32 / uapi.SizeofFuncInfo, errno.ENOMEM}
	lineRecords = recordKind{"line_info", uapi.SizeofLineInfo, uapi.SizeofLineInfo, math.MaxInt32 / uapi.SizeofLineInfo, errno.EINVAL}
	coreRecords = recordKind{"core_relo", uapi.SizeofCoreRelo, uapi.SizeofCoreRelo, math.MaxInt32 / uapi.SizeofCoreRelo, errno.EINVAL}
)

// maxRecordSize is MAX_FUNCINFO_REC_SIZE.
const maxRecordSize = 252

// sizeAllowed says whether records may have the declared size.
func (k *recordKind) sizeAllowed(size uint32) bool {
	return size >= k.min && size <= maxRecordSize && size%4 == 0
}

// record copies one record in. It may be longer than known, if what is behind is
// zero; the user is told the known size otherwise.
func (v *verifier) record(k *recordKind, r *prog.InfoRecords, i uint32) ([]byte, error) {
	b, err := r.Record(i)
	if err != nil {
		return nil, v.reject(errno.EFAULT, ReasonBTF, err.Error())
	}
	for _, x := range b[k.known:] {
		if x == 0 {
			continue
		}
		refused := v.fail(errno.E2BIG, ReasonBTF, "nonzero tailing record in %s", k.name)
		if r.Refused != nil && r.Refused(k.known) != nil {
			return nil, v.recode(refused, errno.EFAULT)
		}
		return nil, refused
	}
	return b[:k.known], nil
}

// checkBTFEarly checks func_info as far as it can be before subprograms are
// known (check_btf_info_early).
func (v *verifier) checkBTFEarly() error {
	r := &v.raw.FuncInfo
	switch {
	case r.Count == 0 && v.raw.LineInfo.Count == 0:
		return nil
	case v.raw.BTF == nil:
		return v.reject(errno.EBADF, ReasonBTF, "func_info and line_info need the program's BTF")
	case r.Count == 0:
		return nil
	case !funcRecords.sizeAllowed(r.RecSize):
		return v.fail(errno.EINVAL, ReasonBTF, "invalid func info rec size %d\n", r.RecSize)
	case r.Count > funcRecords.maxCount:
		return v.reject(funcRecords.tooMany, ReasonBTF, "too many func_info records")
	}
	for i := range r.Count {
		b, err := v.record(&funcRecords, r, i)
		if err != nil {
			return err
		}
		f := prog.FuncInfo{InsnOff: binary.LittleEndian.Uint32(b), TypeID: binary.LittleEndian.Uint32(b[4:])}
		if err := v.checkFuncRecord(f, i); err != nil {
			return err
		}
		// More than there can be subprograms need not be kept.
		if v.lastFunc = f; i <= maxSubprogs {
			v.funcs = append(v.funcs, f)
		}
	}
	return nil
}

// checkFuncRecord mirrors the loop of check_btf_func_early.
func (v *verifier) checkFuncRecord(f prog.FuncInfo, i uint32) error {
	if i == 0 && f.InsnOff != 0 {
		return v.fail(errno.EINVAL, ReasonBTF, "nonzero insn_off %d for the first func info record", f.InsnOff)
	}
	if i > 0 && f.InsnOff <= v.lastFunc.InsnOff {
		return v.fail(errno.EINVAL, ReasonBTF, "same or smaller insn offset (%d) than previous func info record (%d)",
			f.InsnOff, v.lastFunc.InsnOff)
	}
	if t := v.raw.BTF.Type(kbtf.ID(f.TypeID)); t == nil || t.Kind != kbtf.KindFunc {
		return v.fail(errno.EINVAL, ReasonBTF, "invalid type id %d in func info", int32(f.TypeID))
	}
	return nil
}

// checkBTFInfo checks func_info, line_info and relocations against the program
// (check_btf_info).
func (v *verifier) checkBTFInfo() error {
	if v.raw.FuncInfo.Count == 0 {
		if err := v.checkAbnormalReturn(); err != nil {
			return err
		}
		if v.raw.LineInfo.Count == 0 {
			return nil
		}
	}
	for _, check := range []func() error{v.checkFuncs, v.checkLines, v.checkRelocations} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkFuncs holds func_info against the subprograms (check_btf_func).
func (v *verifier) checkFuncs() error {
	n := v.raw.FuncInfo.Count
	if n == 0 {
		return nil
	}
	if uint64(n) != uint64(len(v.subs)-1) {
		return v.fail(errno.EINVAL, ReasonBTF, "number of funcs in func_info doesn't match number of subprogs\n")
	}
	for i, f := range v.funcs {
		s := &v.subs[i]
		if uint32(s.start) != f.InsnOff {
			return v.fail(errno.EINVAL, ReasonBTF, "func_info BTF section doesn't match subprog layout in BPF program\n")
		}
		if i == 0 || v.returnsScalar(f) {
			continue
		}
		if s.hasLoadAbs {
			return v.fail(errno.EINVAL, ReasonBTF, "LD_ABS is only allowed in functions that return 'int'.\n")
		}
		if s.hasTailCall {
			return v.fail(errno.EINVAL, ReasonBTF, "tail_call is only allowed in functions that return 'int'.\n")
		}
	}
	return nil
}

// returnsScalar says whether a function returns an integer or enumeration that
// fits a register.
func (v *verifier) returnsScalar(f prog.FuncInfo) bool {
	b := v.raw.BTF
	proto := b.Type(b.Type(kbtf.ID(f.TypeID)).Ref)
	_, t := b.Skip(proto.Ref)
	switch t.Kind {
	case kbtf.KindInt:
		return t.Size <= 8
	case kbtf.KindEnum, kbtf.KindEnum64:
		return true
	}
	return false
}

// checkLines mirrors check_btf_line: records ascend, and each subprogram begins
// with one.
func (v *verifier) checkLines() error {
	r := &v.raw.LineInfo
	if r.Count == 0 {
		return nil
	}
	if r.Count > lineRecords.maxCount {
		return v.reject(lineRecords.tooMany, ReasonBTF, "too many line_info records")
	}
	if !lineRecords.sizeAllowed(r.RecSize) {
		return v.reject(errno.EINVAL, ReasonBTF, fmt.Sprintf("line_info records cannot have %d bytes", r.RecSize))
	}
	subs, next := v.subs[:len(v.subs)-1], 0
	for i := range r.Count {
		b, err := v.record(&lineRecords, r, i)
		if err != nil {
			return err
		}
		l := decodeLine(b)
		if err := v.checkLineRecord(l, i); err != nil {
			return err
		}
		if next < len(subs) {
			start := uint32(subs[next].start)
			if start < l.InsnOff {
				return v.fail(errno.EINVAL, ReasonBTF, "missing bpf_line_info for func#%d\n", next)
			}
			if start == l.InsnOff {
				next++
			}
		}
		v.lines = append(v.lines, l)
	}
	if next != len(subs) {
		return v.fail(errno.EINVAL, ReasonBTF, "missing bpf_line_info for %d funcs starting from func#%d\n", len(subs)-next, next)
	}
	return nil
}

func decodeLine(b []byte) prog.LineInfo {
	le := binary.LittleEndian
	return prog.LineInfo{InsnOff: le.Uint32(b), FileNameOff: le.Uint32(b[4:]), LineOff: le.Uint32(b[8:]), LineCol: le.Uint32(b[12:])}
}

func (v *verifier) checkLineRecord(l prog.LineInfo, i uint32) error {
	prev := uint32(0)
	if i > 0 {
		prev = v.lines[i-1].InsnOff
	}
	strings := v.raw.BTF.StringsLen()
	switch {
	case i > 0 && l.InsnOff <= prev || uint64(l.InsnOff) >= uint64(len(v.insns)):
		return v.fail(errno.EINVAL, ReasonBTF, "Invalid line_info[%d].insn_off:%d (prev_offset:%d prog->len:%d)\n",
			i, l.InsnOff, prev, len(v.insns))
	case v.insns[l.InsnOff].Op() == 0:
		return v.fail(errno.EINVAL, ReasonBTF, "Invalid insn code at line_info[%d].insn_off\n", i)
	case l.LineOff >= strings || l.FileNameOff >= strings:
		return v.fail(errno.EINVAL, ReasonBTF, "Invalid line_info[%d].line_off or .file_name_off\n", i)
	}
	return nil
}

// checkRelocations mirrors check_core_relo up to where a relocation would be
// made: loaders make them, against the BTF of their choice.
func (v *verifier) checkRelocations() error {
	r := &v.raw.CoreRelo
	if r.Count == 0 {
		return nil
	}
	if r.Count > coreRecords.maxCount || !coreRecords.sizeAllowed(r.RecSize) {
		return v.reject(errno.EINVAL, ReasonBTF, fmt.Sprintf("there cannot be %d core_relo records of %d bytes", r.Count, r.RecSize))
	}
	b, err := v.record(&coreRecords, r, 0)
	if err != nil {
		return err
	}
	off, typ := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if off%8 != 0 || uint64(off/8) >= uint64(len(v.insns)) {
		return v.fail(errno.EINVAL, ReasonBTF, "Invalid core_relo[%d].insn_off:%d prog->len:%d\n", 0, off, len(v.insns))
	}
	if v.raw.BTF.Type(kbtf.ID(typ)) == nil {
		return v.fail(errno.EINVAL, ReasonBTF, "relo #%d: bad type id %d\n", 0, typ)
	}
	return v.unsupported("a CO-RE relocation that is left to the kernel")
}

func (v *verifier) hasFuncInfo() bool { return len(v.funcs) > 0 }

// funcType is the BTF of a subprogram's function, nil if there is none.
func (v *verifier) funcType(sub int) *kbtf.Type {
	if v.raw.BTF == nil || sub >= len(v.funcs) {
		return nil
	}
	t := v.raw.BTF.Type(kbtf.ID(v.funcs[sub].TypeID))
	if t == nil || t.Kind != kbtf.KindFunc {
		return nil
	}
	return t
}

// isGlobal says whether a subprogram is a global function, which is verified on
// its own.
func (v *verifier) isGlobal(sub int) bool {
	t := v.funcType(sub)
	return t != nil && t.Linkage == kbtf.Global
}

func (v *verifier) isStatic(sub int) bool {
	t := v.funcType(sub)
	return t != nil && t.Linkage == kbtf.Static
}

func (v *verifier) subprogName(sub int) string {
	if t := v.funcType(sub); t != nil {
		return t.Name
	}
	return ""
}

// lineOf is the line info record that covers an instruction.
func (v *verifier) lineOf(i int) int {
	lo, hi := 0, len(v.lines)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if int(v.lines[mid].InsnOff) <= i {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// printSource prints the source line of an instruction after a prefix, if it is
// not the one that was printed last.
func (v *verifier) printSource(i int, prefix string) {
	if i >= len(v.insns) {
		return
	}
	n := v.lineOf(i)
	line := &v.lines[n]
	if v.lastLine >= 0 {
		last := &v.lines[v.lastLine]
		if n == v.lastLine || line.FileNameOff == last.FileNameOff && line.Line() == last.Line() {
			return
		}
	}
	v.lastLine = n
	text, _ := v.raw.BTF.String(line.LineOff)
	file, _ := v.raw.BTF.String(line.FileNameOff)
	if at := strings.LastIndexByte(file, '/'); at >= 0 {
		file = file[at+1:]
	}
	v.log.text(prefix)
	v.log.text(trimSpace(text))
	v.printf(" @ %s:%d\n", file, line.Line())
}

// trimSpace cuts leading bytes that the kernel's isspace knows, the no-break
// space of Latin-1 among them.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] >= '\t' && s[0] <= '\r' || s[0] == 0xa0) {
		s = s[1:]
	}
	return s
}
