package abi_test

import (
	"fmt"
	"strings"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func progLoadErrors(b *box) {
	good := b.progAttr(uapi.BPF_PROG_TYPE_SOCKET_FILTER, trivial)
	log := make([]byte, 4096)
	try := func(label string, change func(a *uapi.ProgLoadAttr)) {
		a := good
		change(&a)
		b.call(label, uapi.BPF_PROG_LOAD, enc(&a))
	}
	type attr = uapi.ProgLoadAttr
	try("good", func(a *attr) {})
	try("no instructions", func(a *attr) { a.InsnCnt = 0 })
	try("too many instructions", func(a *attr) { a.InsnCnt = 1000001 })
	try("instructions at a bad address", func(a *attr) { a.Insns = badAddr })
	try("instructions at null", func(a *attr) { a.Insns = 0 })
	try("license at a bad address", func(a *attr) { a.License = badAddr })
	try("license at null", func(a *attr) { a.License = 0 })
	try("long license", func(a *attr) { a.License = b.addr([]byte(strings.Repeat("x", 300) + "\x00")) })
	try("unknown flags", func(a *attr) { a.ProgFlags = 1 << 30 })
	try("token flag", func(a *attr) { a.ProgFlags = uapi.BPF_F_TOKEN_FD; a.ProgTokenFD = 7777 })
	try("sleepable", func(a *attr) { a.ProgFlags = uapi.BPF_F_SLEEPABLE })
	try("strict alignment", func(a *attr) { a.ProgFlags = uapi.BPF_F_STRICT_ALIGNMENT })
	try("any alignment", func(a *attr) { a.ProgFlags = uapi.BPF_F_ANY_ALIGNMENT })
	try("test flags", func(a *attr) {
		a.ProgFlags = uapi.BPF_F_TEST_STATE_FREQ | uapi.BPF_F_TEST_RND_HI32 | uapi.BPF_F_TEST_REG_INVARIANTS
	})
	try("type 0", func(a *attr) { a.ProgType = 0 })
	try("type 1000", func(a *attr) { a.ProgType = 1000 })
	try("xdp", func(a *attr) { a.ProgType = uapi.BPF_PROG_TYPE_XDP })
	try("xdp with frags", func(a *attr) { a.ProgType = uapi.BPF_PROG_TYPE_XDP; a.ProgFlags = uapi.BPF_F_XDP_HAS_FRAGS })
	try("xdp, bound to no device", func(a *attr) { a.ProgType = uapi.BPF_PROG_TYPE_XDP; a.ProgFlags = uapi.BPF_F_XDP_DEV_BOUND_ONLY })
	try("xdp, a device that is not there", func(a *attr) { a.ProgType = uapi.BPF_PROG_TYPE_XDP; a.ProgIfindex = 7777 })
	try("a device", func(a *attr) { a.ProgIfindex = 7777 })
	for t := uapi.AttachType(0); t < 70; t++ {
		for _, p := range []uapi.ProgType{uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_XDP, uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_SCHED_ACT} {
			try(fmt.Sprintf("%v expecting attach type %d", p, t), func(a *attr) { a.ProgType, a.ExpectedAttachType = p, t })
		}
	}
	try("attach_btf_id", func(a *attr) { a.AttachBTFID = 1 })
	try("attach_prog_fd", func(a *attr) { a.AttachProgFD = 7777 })
	try("log level without a buffer", func(a *attr) { a.LogLevel = 1 })
	try("log buffer without a level", func(a *attr) { a.LogBuf, a.LogSize = b.addr(log), 4096 })
	try("log buffer without a size", func(a *attr) { a.LogBuf, a.LogLevel = b.addr(log), 1 })
	try("log size without a buffer", func(a *attr) { a.LogSize, a.LogLevel = 4096, 1 })
	try("log level 16", func(a *attr) { a.LogBuf, a.LogSize, a.LogLevel = b.addr(log), 4096, 16 })
	try("log at a bad address", func(a *attr) { a.LogBuf, a.LogSize, a.LogLevel = badAddr, 4096, 1 })
	try("log", func(a *attr) { a.LogBuf, a.LogSize, a.LogLevel = b.addr(log), 4096, 1 })
	try("log too short", func(a *attr) { a.LogBuf, a.LogSize, a.LogLevel = b.addr(log), 10, 2 })
	try("log huge", func(a *attr) { a.LogBuf, a.LogSize, a.LogLevel = b.addr(log), 1<<31, 1 })
	try("func info without BTF", func(a *attr) { a.FuncInfoCnt, a.FuncInfoRecSize, a.FuncInfo = 1, 8, b.addr(log) })
	try("line info without BTF", func(a *attr) { a.LineInfoCnt, a.LineInfoRecSize, a.LineInfo = 1, 16, b.addr(log) })
	try("BTF that is not needed", func(a *attr) { a.ProgBTFFD = 7777 })
	try("fd array", func(a *attr) { a.FDArray = badAddr })
	try("fd array with a count", func(a *attr) { a.FDArray, a.FDArrayCnt = badAddr, 1 })
	try("signature", func(a *attr) { a.Signature, a.SignatureSize = badAddr, 10 })
	b.progFD(uapi.BPF_PROG_TYPE_SOCKET_FILTER, trivial[:1])
	b.progFD(uapi.BPF_PROG_TYPE_SOCKET_FILTER, []insn.Instruction{insn.Exit()})
	b.progFD(uapi.BPF_PROG_TYPE_SOCKET_FILTER, append(insn.LoadMapFD(insn.R1, 7777), trivial...))
}

func names(b *box) {
	for _, n := range []string{"", "abc", "a.b_c9", "with space", "ümlaut", "0123456789abcde", "0123456789abcdef", "tab\t"} {
		a := b.progAttr(uapi.BPF_PROG_TYPE_XDP, trivial)
		a.ProgName = name(n)
		b.call(fmt.Sprintf("%q", n), uapi.BPF_PROG_LOAD, enc(&a))
	}
}

// progInfo: all that Linux tells of a program which does not depend on a JIT.
func progInfo(b *box) {
	m := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 8, 16, 0))
	code := append(insn.LoadMapFD(insn.R1, int32(m)),
		insn.StoreImm(insn.SizeW, insn.R10, -4, 7),
		insn.Mov64Reg(insn.R2, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R2, -4),
		insn.Call(int32(uapi.BPF_FUNC_map_lookup_elem)),
		insn.Mov64Imm(insn.R0, 1), insn.Exit())
	a := b.progAttr(uapi.BPF_PROG_TYPE_SCHED_CLS, code)
	a.ProgName = name("a_prog")
	fd := uint32(b.call("load", uapi.BPF_PROG_LOAD, enc(&a)))
	buf := make([]byte, uapi.SizeofProgInfo)
	ids := make([]byte, 16)
	ask := uapi.ProgInfo{NrMapIDs: 4, MapIDs: b.addr(ids)}
	ask.Encode(buf)
	ia := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(len(buf)), Info: b.addr(buf)}
	b.call("info", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&ia))
	var i uapi.ProgInfo
	i.Decode(buf)
	b.note("type %v tag %x maps %d name %q gpl %d verified %d funcs %d lines %d tags %d rec %d %d uid %d",
		i.Type, i.Tag, i.NrMapIDs, uapi.CString(i.Name[:]), i.GPLCompatible, i.VerifiedInsns,
		i.NrFuncInfo, i.NrLineInfo, i.NrProgTags, i.FuncInfoRecSize, i.LineInfoRecSize, i.CreatedByUID)
	b.note("has id %v, loaded %v, map id %v", i.ID != 0, i.LoadTime != 0, ids[0]|ids[1]|ids[2] != 0)
	for _, size := range []int{uapi.ProgInfoEnd, uapi.SizeofProgInfo, uapi.SizeofProgInfo + 8} {
		for _, last := range []byte{0, 1} {
			long := make([]byte, size)
			long[size-1] = last
			la := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(size), Info: b.addr(long)}
			attr := enc(&la)
			b.call(fmt.Sprintf("info of %d bytes, last %d", size, last), uapi.BPF_OBJ_GET_INFO_BY_FD, attr)
			la.Decode(attr)
			b.note("len %d", la.InfoLen)
		}
	}
	for _, change := range []func(*uapi.ProgInfo){
		func(p *uapi.ProgInfo) { p.NrFuncInfo = 1 },
		func(p *uapi.ProgInfo) { p.NrLineInfo, p.LineInfoRecSize = 1, 12 },
		func(p *uapi.ProgInfo) { p.NrMapIDs, p.MapIDs = 1, badAddr },
		func(p *uapi.ProgInfo) { p.XlatedProgLen, p.XlatedProgInsns = 8, badAddr },
	} {
		var p uapi.ProgInfo
		change(&p)
		clear(buf)
		p.Encode(buf)
		b.call("info", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&ia))
	}
}

func testRunErrors(b *box) {
	ok := []insn.Instruction{insn.Mov64Imm(insn.R0, 2), insn.Exit()}
	data, out := make([]byte, 64), make([]byte, 128)
	for i := range data {
		data[i] = byte(i)
	}
	for _, t := range []uapi.ProgType{uapi.BPF_PROG_TYPE_XDP, uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_SOCKET_FILTER} {
		fd := b.progFD(t, ok)
		try := func(label string, a uapi.TestRunAttr) {
			a.ProgFD = fd
			attr := enc(&a)
			b.call(fmt.Sprintf("%v %s", t, label), uapi.BPF_PROG_TEST_RUN, attr)
			a.Decode(attr)
			b.note("%v %s: ret %d out %d ctx %d data %x", t, label, a.Retval, a.DataSizeOut, a.CtxSizeOut, out)
			clear(out)
		}
		in := func(n int) uapi.TestRunAttr {
			return uapi.TestRunAttr{DataIn: b.addr(data), DataSizeIn: uint32(n)}
		}
		try("nothing", uapi.TestRunAttr{})
		try("13 bytes", in(13))
		try("14 bytes", in(14))
		a := in(64)
		try("64 bytes", a)
		a.DataOut, a.DataSizeOut = b.addr(out), 128
		try("with room", a)
		a.DataSizeOut = 10
		try("with little room", a)
		a.DataSizeOut = 0
		try("no size", a)
		a = in(64)
		a.Repeat = 5
		try("repeat", a)
		a.DataIn = badAddr
		try("data at a bad address", a)
		a = in(64)
		a.DataOut, a.DataSizeOut = badAddr, 64
		try("out at a bad address", a)
		a = in(64)
		a.CtxIn = b.addr(out)
		try("context without size", a)
		a.CtxIn, a.CtxSizeIn = 0, 8
		try("context size without context", a)
		a.CtxIn, a.CtxSizeIn = badAddr, 16
		try("context at a bad address", a)
		a = in(64)
		a.Flags = 1 << 20
		try("unknown flags", a)
		a = in(64)
		a.CPU = 1
		try("a cpu", a)
		a = in(64)
		a.BatchSize = 1
		try("a batch size", a)
		a = in(64)
		a.DataSizeIn = 1 << 20
		try("too much data", a)
	}
}

func btfErrors(b *box) {
	log := make([]byte, 512)
	raw := b.addr(make([]byte, 64))
	for i, a := range []uapi.BTFLoadAttr{
		{},
		{BTF: raw, BTFSize: 1},
		{BTF: raw, BTFSize: 64},
		{BTF: raw, BTFSize: 1 << 30},
		{BTF: badAddr, BTFSize: 64},
		{BTF: raw, BTFSize: 64, BTFFlags: 1},
		{BTF: raw, BTFSize: 64, BTFFlags: uapi.BPF_F_TOKEN_FD, BTFTokenFD: 7777},
		{BTF: raw, BTFSize: 64, BTFLogLevel: 1},
		{BTF: raw, BTFSize: 64, BTFLogBuf: b.addr(log), BTFLogSize: 512},
		{BTF: raw, BTFSize: 64, BTFLogBuf: b.addr(log), BTFLogSize: 512, BTFLogLevel: 1},
		{BTF: raw, BTFSize: 64, BTFLogBuf: b.addr(log), BTFLogSize: 5, BTFLogLevel: 1},
		{BTF: raw, BTFSize: 64, BTFLogBuf: badAddr, BTFLogSize: 512, BTFLogLevel: 1},
		{BTF: raw, BTFSize: 64, BTFLogBuf: b.addr(log), BTFLogSize: 512, BTFLogLevel: 32},
	} {
		attr := enc(&a)
		b.call(fmt.Sprintf("case %d", i), uapi.BPF_BTF_LOAD, attr)
		a.Decode(attr)
		b.note("true size %d log %q", a.BTFLogTrueSize, uapi.CString(log))
		clear(log)
	}
}

func bindMap(b *box) {
	m := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0))
	p := b.progFD(uapi.BPF_PROG_TYPE_XDP, trivial)
	for i, a := range []uapi.ProgBindMapAttr{
		{ProgFD: p, MapFD: m}, {ProgFD: p, MapFD: m}, {ProgFD: p, MapFD: m, Flags: 1},
		{ProgFD: 7777, MapFD: m}, {ProgFD: p, MapFD: 7777},
	} {
		b.call(fmt.Sprintf("case %d", i), uapi.BPF_PROG_BIND_MAP, enc(&a))
	}
	buf := make([]byte, uapi.SizeofProgInfo)
	ia := uapi.InfoAttr{BpfFD: p, InfoLen: uint32(len(buf)), Info: b.addr(buf)}
	b.call("info", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&ia))
	var i uapi.ProgInfo
	i.Decode(buf)
	b.note("maps %d", i.NrMapIDs)
}

func stats(b *box) {
	b.call("unknown", uapi.BPF_ENABLE_STATS, u32(5))
	p := b.progFD(uapi.BPF_PROG_TYPE_XDP, trivial)
	runs := func(label string) {
		a := uapi.TestRunAttr{ProgFD: p, DataIn: b.addr(make([]byte, 64)), DataSizeIn: 64, Repeat: 3}
		b.call(label, uapi.BPF_PROG_TEST_RUN, enc(&a))
		buf := make([]byte, uapi.SizeofProgInfo)
		ia := uapi.InfoAttr{BpfFD: p, InfoLen: uint32(len(buf)), Info: b.addr(buf)}
		b.call("info", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&ia))
		var i uapi.ProgInfo
		i.Decode(buf)
		b.note("%s: %d runs", label, i.RunCnt)
	}
	runs("off")
	b.call("on", uapi.BPF_ENABLE_STATS, u32(0))
	runs("on")
}

func progArray(b *box) {
	m := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2, 0))
	xdp := b.progFD(uapi.BPF_PROG_TYPE_XDP, trivial)
	cls := b.progFD(uapi.BPF_PROG_TYPE_SCHED_CLS, trivial)
	b.elem("bad fd", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u32(7777), 0)
	b.elem("map", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u32(m), 0)
	b.elem("out of range", uapi.BPF_MAP_UPDATE_ELEM, m, u32(2), u32(xdp), 0)
	b.elem("noexist", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u32(xdp), uapi.BPF_NOEXIST)
	b.elem("first", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u32(xdp), 0)
	b.elem("another type", uapi.BPF_MAP_UPDATE_ELEM, m, u32(1), u32(cls), 0)
	b.elem("delete empty", uapi.BPF_MAP_DELETE_ELEM, m, u32(1), nil, 0)
	b.elem("delete", uapi.BPF_MAP_DELETE_ELEM, m, u32(0), nil, 0)
}

func mapInMap(b *box) {
	inner := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 2, 0))
	other := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 8, 2, 0))
	p := b.progFD(uapi.BPF_PROG_TYPE_XDP, trivial)
	for _, t := range []uapi.MapType{uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, uapi.BPF_MAP_TYPE_HASH_OF_MAPS} {
		a := mapAttr(t, 4, 4, 2, 0)
		a.InnerMapFD = inner
		m := b.mapFD(a)
		b.elem("bad fd", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u32(7777), 0)
		b.elem("program", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u32(p), 0)
		b.elem("another shape", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u32(other), 0)
		b.elem("good", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u32(inner), 0)
		b.elem("out of range", uapi.BPF_MAP_UPDATE_ELEM, m, u32(5), u32(inner), 0)
		b.elem("delete", uapi.BPF_MAP_DELETE_ELEM, m, u32(0), nil, 0)
		b.elem("delete again", uapi.BPF_MAP_DELETE_ELEM, m, u32(0), nil, 0)
		a.InnerMapFD = m
		b.call("map in map in map", uapi.BPF_MAP_CREATE, enc(&a))
	}
}
