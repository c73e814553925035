package abi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// described is a program with all that can be told of one: two maps, a
// subprogram, functions and lines.
type described struct {
	fd, btf, array, hash uint32
	code                 []insn.Instruction
}

// typesOf is BTF with two functions, and where in it their ids and the strings
// for a line are.
func typesOf(t testing.TB) (raw []byte, mainID, subID, file, line uint32) {
	b, err := btf.NewBuilder(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	ctx := &btf.Pointer{Target: &btf.Struct{Name: "__sk_buff", Size: 4, Members: []btf.Member{{Name: "len", Type: i}}}}
	add := func(name string) uint32 {
		id, err := b.Add(&btf.Func{Name: name, Linkage: btf.StaticFunc,
			Type: &btf.FuncProto{Return: i, Params: []btf.FuncParam{{Name: "ctx", Type: ctx}}}})
		if err != nil {
			t.Fatal(err)
		}
		return uint32(id)
	}
	mainID, subID = add("main_prog"), add("sub_prog")
	if _, err := b.Add(&btf.Struct{Name: "file.c", Size: 4, Members: []btf.Member{{Name: "line_one", Type: i}}}); err != nil {
		t.Fatal(err)
	}
	// Names of types cannot have dots or spaces in all places; any string will do.
	if raw, err = b.Marshal(nil, nil); err != nil {
		t.Fatal(err)
	}
	strings := raw[uapi.BTFHeaderEnd+binary.LittleEndian.Uint32(raw[16:]):]
	at := func(s string) uint32 { return uint32(bytes.Index(strings, []byte("\x00"+s+"\x00")) + 1) }
	return raw, mainID, subID, at("main_prog"), at("line_one")
}

func loadDescribed(b *box) *described {
	d := &described{}
	raw, mainID, subID, file, line := typesOf(b)
	lent := func(fd uint32) uint32 { return uint32(b.lend(int(fd))) }
	array, hash := mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 16, 1, 0), mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 8, 4, 0)
	d.btf = uint32(b.sudo(uapi.BPF_BTF_LOAD, loadBTF(b, raw)))
	d.array, d.hash = uint32(b.sudo(uapi.BPF_MAP_CREATE, enc(&array))), uint32(b.sudo(uapi.BPF_MAP_CREATE, enc(&hash)))
	d.code = slices.Concat(
		insn.LoadMapValue(insn.R1, int32(lent(d.array)), 8), // 0
		[]insn.Instruction{insn.LoadMem(insn.SizeDW, insn.R6, insn.R1, 0)},
		// Which lookups are inlined is the engine's matter; this is a call in all.
		onZero(int32(lent(d.hash)), uapi.BPF_FUNC_map_delete_elem), // 3
		[]insn.Instruction{ // 9
			insn.Mov32Imm(insn.R7, 1), insn.JumpImm(insn.JmpNE, insn.R7, 1, 1), insn.Goto(1),
			insn.Mov64Imm(insn.R6, 77), // never reached
			insn.Mov32Reg(insn.R6, insn.R6), insn.ALU64Reg(insn.OpAdd, insn.R6, insn.R7),
			insn.CallSub(2), insn.ALU64Reg(insn.OpAdd, insn.R0, insn.R6), insn.Exit(),
			insn.Mov64Imm(insn.R0, 5), insn.Exit(), // 18
		})
	funcs, lines := make([]byte, 16), make([]byte, 48)
	for i, v := range []uint32{0, mainID, 18, subID} {
		binary.LittleEndian.PutUint32(funcs[4*i:], v)
	}
	for i, v := range []uint32{0, file, line, 1<<10 | 3, 12, file, line, 7 << 10, 18, file, line, 9 << 10} {
		binary.LittleEndian.PutUint32(lines[4*i:], v)
	}
	a := b.progAttr(uapi.BPF_PROG_TYPE_SCHED_CLS, d.code)
	a.ProgName = name("described")
	a.ProgBTFFD = lent(d.btf)
	a.FuncInfo, a.FuncInfoCnt, a.FuncInfoRecSize = b.addr(funcs), 2, 8
	a.LineInfo, a.LineInfoCnt, a.LineInfoRecSize = b.addr(lines), 3, 16
	log := make([]byte, 4096)
	a.LogLevel, a.LogBuf, a.LogSize = 1, b.addr(log), 4096
	d.fd = uint32(b.sudo(uapi.BPF_PROG_LOAD, enc(&a)))
	b.note("log %s", addresses.ReplaceAllString(uapi.CString(log), "ADDRESS "))
	return d
}

// array is one of those that a program's information can bring along.
type array struct {
	name string
	size uint32 // of an element
	set  func(i *uapi.ProgInfo, addr uint64, n uint32)
	// show makes what came back independent of the kernel that it came from; nil:
	// only whether something came is noted.
	show func(b []byte) any
}

// infoArrays: each array with room for nothing, one, all, more, and with bad
// addresses.
func infoArrays(b *box) {
	d := loadDescribed(b)
	for _, a := range arrays {
		for _, n := range []uint32{0, 1, 2, 3, 1000} {
			buf := filled(a.size * 1000)
			var ask uapi.ProgInfo
			a.set(&ask, b.addr(buf), n)
			i := b.progInfo(d.fd, ask)
			b.note("%s with room for %d: %s", a.name, n, counts(&i))
			b.note("%s with room for %d: %v", a.name, n, a.show(buf))
			a.set(&ask, badAddr, n)
			b.progInfo(d.fd, ask)
			a.set(&ask, 0, n)
			b.progInfo(d.fd, ask)
		}
	}
	recordSizes(b, d.fd)
	shortInfo(b, d.fd)
	afterClose(b, d)
}

// counts are the fields of a program's information that do not depend on the
// engine.
func counts(i *uapi.ProgInfo) string {
	return fmt.Sprintf("%v %q tag %x xlated %d maps %d functions %d/%d lines %d/%d/%d btf %v gpl %d uid %d verified %d",
		i.Type, uapi.CString(i.Name[:]), i.Tag, i.XlatedProgLen, i.NrMapIDs, i.NrFuncInfo, i.FuncInfoRecSize,
		i.NrLineInfo, i.LineInfoRecSize, i.JitedLineInfoRecSize, i.BTFID != 0, i.GPLCompatible, i.CreatedByUID, i.VerifiedInsns)
}

func untouched(b []byte) string {
	n := len(b)
	for n > 0 && b[n-1] == fill {
		n--
	}
	return fmt.Sprintf("%d bytes", n)
}

var arrays = []array{
	{"map ids", 4, func(i *uapi.ProgInfo, addr uint64, n uint32) { i.MapIDs, i.NrMapIDs = addr, n },
		func(b []byte) any { return untouched(b) }},
	{"instructions", 1, func(i *uapi.ProgInfo, addr uint64, n uint32) { i.XlatedProgInsns, i.XlatedProgLen = addr, n }, showCode},
	{"functions", 8, func(i *uapi.ProgInfo, addr uint64, n uint32) {
		i.FuncInfo, i.NrFuncInfo, i.FuncInfoRecSize = addr, n, 8
	}, showWords},
	{"lines", 16, func(i *uapi.ProgInfo, addr uint64, n uint32) {
		i.LineInfo, i.NrLineInfo, i.LineInfoRecSize = addr, n, 16
	}, showWords},
}

func showWords(b []byte) any {
	var out []uint32
	for len(b) >= 4 {
		if v := binary.LittleEndian.Uint32(b); v != 0xa5a5a5a5 {
			out = append(out, v)
		}
		b = b[4:]
	}
	return out
}

// showCode shows instructions without the numbers of maps and the addresses of
// helpers.
func showCode(b []byte) any {
	n := 0
	for n+8 <= len(b) && b[n] != fill {
		n += 8
	}
	code, err := insn.Decode(b[:n])
	if err != nil {
		return err
	}
	for at := range code {
		i := code[at]
		switch {
		case i.IsWide():
			code[at] = i.WithImm(0)
		case i.IsHelperCall():
			code[at] = i.WithImm(0)
		}
	}
	return fmt.Sprintf("%v and %x", code, bytes.TrimRight(b[n:], "\xa5"))
}

// recordSizes: the sizes of records that a caller may claim to know.
func recordSizes(b *box, fd uint32) {
	for _, n := range []uint32{0, 1} {
		for _, size := range []uint32{0, 1, 7, 8, 9, 16, 1 << 31} {
			b.progInfo(fd, uapi.ProgInfo{FuncInfo: b.addr(make([]byte, 64)), NrFuncInfo: n, FuncInfoRecSize: size})
			b.progInfo(fd, uapi.ProgInfo{LineInfo: b.addr(make([]byte, 64)), NrLineInfo: n, LineInfoRecSize: size})
			b.progInfo(fd, uapi.ProgInfo{JitedLineInfo: b.addr(make([]byte, 64)), NrJitedLineInfo: n, JitedLineInfoRecSize: size})
		}
	}
}

// shortInfo asks with structures of every length.
func shortInfo(b *box, fd uint32) {
	for n := range uapi.SizeofProgInfo + 1 {
		buf := make([]byte, n+1)
		a := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(n), Info: b.addr(buf)}
		attr := enc(&a)
		b.call(fmt.Sprintf("%d bytes", n), uapi.BPF_OBJ_GET_INFO_BY_FD, attr)
		a.Decode(attr)
		var i uapi.ProgInfo
		i.Decode(buf)
		b.note("%d bytes: %d came, %s", n, a.InfoLen, counts(&i))
	}
}

// afterClose: what a program holds is there as long as it is, and can be had by
// id.
func afterClose(b *box, d *described) {
	ids := make([]byte, 8)
	i := b.progInfo(d.fd, uapi.ProgInfo{NrMapIDs: 2, MapIDs: b.addr(ids)})
	for at, want := range []uint32{d.array, d.hash} {
		m := b.mapInfo(want)
		b.note("map %d is at its place %v", at, m.ID == binary.LittleEndian.Uint32(ids[4*at:]))
	}
	bi := b.btfInfo(d.btf, uapi.BTFInfo{})
	b.note("btf is the program's %v", bi.ID == i.BTFID)
	b.call("btf by id", uapi.BPF_BTF_GET_FD_BY_ID, pad(u32(i.BTFID), 16))
	b.call("program by id", uapi.BPF_PROG_GET_FD_BY_ID, pad(u32(i.ID), 16))
}

func (b *box) btfInfo(fd uint32, ask uapi.BTFInfo) (i uapi.BTFInfo) {
	buf := make([]byte, uapi.SizeofBTFInfo)
	ask.Encode(buf)
	a := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(len(buf)), Info: b.addr(buf)}
	b.call("btf info", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&a))
	i.Decode(buf)
	return i
}

// btfInfos: the data and the name, with room for none, some, all.
func btfInfos(b *box) {
	raw := smallBTF(b)
	fd := uint32(b.sudo(uapi.BPF_BTF_LOAD, loadBTF(b, raw)))
	for _, n := range []uint32{0, 1, 24, uint32(len(raw)) - 1, uint32(len(raw)), uint32(len(raw)) + 1, 4096} {
		buf := filled(4096)
		i := b.btfInfo(fd, uapi.BTFInfo{BTF: b.addr(buf), BTFSize: n})
		b.note("room for %d: size %d kernel %d name %d, data %x", n, i.BTFSize, i.KernelBTF, i.NameLen, bytes.TrimRight(buf, "\xa5"))
		b.btfInfo(fd, uapi.BTFInfo{BTF: badAddr, BTFSize: n})
		b.btfInfo(fd, uapi.BTFInfo{BTFSize: n})
	}
	for _, n := range []uint32{0, 1, 2, 16, 4096, 1 << 31} {
		for _, addr := range []uint64{0, badAddr, b.addr(filled(16))} {
			i := b.btfInfo(fd, uapi.BTFInfo{Name: addr, NameLen: n})
			b.note("name with room for %d: %d", n, i.NameLen)
		}
	}
	for n := range uapi.SizeofBTFInfo + 9 {
		for _, last := range []byte{0, 1} {
			buf := make([]byte, n+1)
			if n > 0 {
				buf[n-1] = last
			}
			a := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(n), Info: b.addr(buf)}
			attr := enc(&a)
			b.call(fmt.Sprintf("%d bytes", n), uapi.BPF_OBJ_GET_INFO_BY_FD, attr)
			a.Decode(attr)
			b.note("%d came", a.InfoLen)
		}
	}
}
