package skep

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/loader"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// FuncInfo is a function of a program.
type FuncInfo struct {
	Insn int // where it begins in ProgramInfo.Xlated
	Func *btf.Func
}

// LineInfo is a line of source.
type LineInfo struct {
	Insn      int // the first instruction made from it
	File      string
	Text      string // without the spaces at its start
	Line, Col int
}

// source reads function and line records with the BTF that they refer to.
func (t *Task) source(btfID uint32, funcs, lines []byte) ([]FuncInfo, []LineInfo, error) {
	raw, err := t.btf(btfID)
	if err != nil {
		return nil, nil, fmt.Errorf("BTF %d of the program: %w", btfID, err)
	}
	if err := loader.CheckTypes(raw); err != nil {
		return nil, nil, fmt.Errorf("BTF %d of the program: %w", btfID, err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		return nil, nil, fmt.Errorf("BTF %d of the program: %w", btfID, err)
	}
	var fs []FuncInfo
	for ; len(funcs) >= uapi.SizeofFuncInfo; funcs = funcs[uapi.SizeofFuncInfo:] {
		typ, err := spec.TypeByID(btf.TypeID(binary.LittleEndian.Uint32(funcs[4:])))
		if err != nil {
			return nil, nil, err
		}
		if f, ok := typ.(*btf.Func); ok {
			fs = append(fs, FuncInfo{int(binary.LittleEndian.Uint32(funcs)), f})
		}
	}
	var ls []LineInfo
	for ; len(lines) >= uapi.SizeofLineInfo; lines = lines[uapi.SizeofLineInfo:] {
		var l uapi.LineInfo
		l.Decode(lines)
		ls = append(ls, LineInfo{
			Insn: int(l.InsnOff), File: btfString(raw, l.FileNameOff),
			Text: string(bytes.TrimLeft([]byte(btfString(raw, l.LineOff)), " \t")),
			Line: int(l.Line()), Col: int(l.Column()),
		})
	}
	return fs, ls, nil
}

// btfString is a string of raw BTF, "" where there is none at the offset.
func btfString(raw []byte, off uint32) string {
	const header, strOff, strLen = 24, 16, 20
	if len(raw) < header {
		return ""
	}
	at := uint64(binary.LittleEndian.Uint32(raw[4:])) + uint64(binary.LittleEndian.Uint32(raw[strOff:]))
	end := min(at+uint64(binary.LittleEndian.Uint32(raw[strLen:])), uint64(len(raw)))
	if at+uint64(off) >= end {
		return ""
	}
	return uapi.CString(raw[at+uint64(off) : end])
}

// btf reads BTF by its id.
func (t *Task) btf(id uint32) ([]byte, error) {
	attr := make([]byte, uapi.GetIDAttrEnd)
	ask := uapi.GetIDAttr{StartID: id}
	ask.Encode(attr)
	fd, err := t.call(nil, uapi.BPF_BTF_GET_FD_BY_ID, attr)
	if err != nil {
		return nil, err
	}
	defer t.CloseFD(fd)
	buf := make([]byte, uapi.SizeofBTFInfo)
	if err := t.info(fd, buf); err != nil {
		return nil, err
	}
	var size uapi.BTFInfo
	size.Decode(buf)
	raw := make([]byte, size.BTFSize)
	var mem usermem.Segments
	i := uapi.BTFInfo{BTF: mem.Add(raw), BTFSize: size.BTFSize}
	i.Encode(buf)
	return raw, t.infoAt(&mem, fd, mem.Add(buf), len(buf))
}
