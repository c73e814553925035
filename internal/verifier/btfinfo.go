package verifier

import (
	"encoding/binary"
	"strings"

	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/prog"
)

// What a program's BTF says of its functions and source lines.

// checkBTFEarly checks func_info before subprograms are known
// (check_btf_info_early).
func (v *verifier) checkBTFEarly() error {
	if v.raw.FuncInfo.Count == 0 && v.raw.LineInfo.Count == 0 {
		return nil
	}
	v.funcs = decodeFuncs(v.raw.FuncInfo)
	return nil
}

// checkBTFInfo checks func_info and line_info against the subprograms
// (check_btf_info).
func (v *verifier) checkBTFInfo() error {
	if v.raw.FuncInfo.Count == 0 && v.raw.LineInfo.Count == 0 {
		return v.checkAbnormalReturn()
	}
	v.lines = decodeLines(v.raw.LineInfo)
	return nil
}

func decodeFuncs(r prog.InfoRecords) (out []prog.FuncInfo) {
	for i := uint32(0); i < r.Count; i++ {
		b := r.Data[i*r.RecSize:]
		out = append(out, prog.FuncInfo{
			InsnOff: binary.LittleEndian.Uint32(b),
			TypeID:  binary.LittleEndian.Uint32(b[4:]),
		})
	}
	return out
}

func decodeLines(r prog.InfoRecords) (out []prog.LineInfo) {
	for i := uint32(0); i < r.Count; i++ {
		b := r.Data[i*r.RecSize:]
		out = append(out, prog.LineInfo{
			InsnOff:     binary.LittleEndian.Uint32(b),
			FileNameOff: binary.LittleEndian.Uint32(b[4:]),
			LineOff:     binary.LittleEndian.Uint32(b[8:]),
			LineCol:     binary.LittleEndian.Uint32(b[12:]),
		})
	}
	return out
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
	v.log.text(strings.TrimLeft(text, " \t\n\v\f\r\xa0"))
	v.printf(" @ %s:%d\n", file, line.Line())
}
