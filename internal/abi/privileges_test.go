package abi_test

import (
	"fmt"
	"regexp"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// privileges: what each type of map and program, each kind of code and each
// command asks for.
func privileges(b *box) {
	for t := uapi.MapType(1); t.Known(); t++ {
		a, ok := sizes[t]
		if !ok {
			continue
		}
		a.MapType = t
		if t == uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS || t == uapi.BPF_MAP_TYPE_HASH_OF_MAPS {
			inner := mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)
			a.InnerMapFD = uint32(b.sudo(uapi.BPF_MAP_CREATE, enc(&inner)))
		}
		b.call(fmt.Sprintf("a map of type %v", t), uapi.BPF_MAP_CREATE, enc(&a))
	}
	for t := uapi.ProgType(1); t.Known(); t++ {
		if t == uapi.BPF_PROG_TYPE_LSM || t == uapi.BPF_PROG_TYPE_EXT {
			continue // hosts refuse them by policies of their own
		}
		a := b.progAttr(t, trivial)
		if progtype.Lookup(t) == nil {
			a.Insns = badAddr // the errnos that come before the type is looked up
		}
		b.call(fmt.Sprintf("a program of type %v", t), uapi.BPF_PROG_LOAD, enc(&a))
	}
	for _, n := range []uint32{4096, 4097, 1000000, 1000001} {
		a := b.progAttr(uapi.BPF_PROG_TYPE_SOCKET_FILTER, trivial)
		a.InsnCnt, a.Insns = n, badAddr
		b.call(fmt.Sprintf("%d instructions", n), uapi.BPF_PROG_LOAD, enc(&a))
	}
	leaks(b)
	strangers(b)
	b.call("statistics", uapi.BPF_ENABLE_STATS, u32(0))
}

// sizes are attributes with which the types of map that skep has can be made.
var sizes = map[uapi.MapType]uapi.MapCreateAttr{
	uapi.BPF_MAP_TYPE_HASH:             mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_ARRAY:            mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_PROG_ARRAY:       mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY: mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_PERCPU_HASH:      mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_PERCPU_ARRAY:     mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_LRU_HASH:         mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH:  mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_LPM_TRIE:         mapAttr(0, 8, 4, 1, uapi.BPF_F_NO_PREALLOC),
	uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS:    mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_HASH_OF_MAPS:     mapAttr(0, 4, 4, 1, 0),
	uapi.BPF_MAP_TYPE_QUEUE:            mapAttr(0, 0, 4, 1, 0),
	uapi.BPF_MAP_TYPE_STACK:            mapAttr(0, 0, 4, 1, 0),
	uapi.BPF_MAP_TYPE_RINGBUF:          mapAttr(0, 0, 0, 4096, 0),
}

// addresses of maps in logs, with the spaces that align what follows them.
var addresses = regexp.MustCompile(`0x[0-9a-f]{9,} *`)

// leaks: code that only CAP_PERFMON may load, or CAP_BPF.
func leaks(b *box) {
	m := mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0)
	fd := int32(b.sudo(uapi.BPF_MAP_CREATE, enc(&m)))
	for _, c := range []struct {
		name string
		code []insn.Instruction
	}{
		{"a pointer returned", []insn.Instruction{insn.Mov64Reg(insn.R0, insn.R1), insn.Exit()}},
		{"a stack pointer returned", []insn.Instruction{insn.Mov64Reg(insn.R0, insn.R10), insn.Exit()}},
		{"stack not written", []insn.Instruction{insn.LoadMem(insn.SizeDW, insn.R0, insn.R10, -8), insn.Exit()}},
		{"pointer arithmetic", []insn.Instruction{insn.Mov64Imm(insn.R0, 0), insn.Mov64Reg(insn.R2, insn.R10), insn.ALU64Reg(insn.OpSub, insn.R2, insn.R10), insn.Exit()}},
		{"pointers compared", []insn.Instruction{insn.Mov64Imm(insn.R0, 0), insn.JumpReg(insn.JmpEQ, insn.R1, insn.R10, 0), insn.Exit()}},
		{"pointer stored in a map", append(append(lookupZero(fd),
			insn.JumpImm(insn.JmpEQ, insn.R0, 0, 1), insn.StoreMem(insn.SizeDW, insn.R0, 0, insn.R10)), trivial...)},
		{"map pointer arithmetic", append(append(insn.LoadMapFD(insn.R1, fd), insn.ALU64Imm(insn.OpAdd, insn.R1, 8)), trivial...)},
		{"a subprogram", []insn.Instruction{insn.CallSub(1), insn.Exit(), insn.Mov64Imm(insn.R0, 0), insn.Exit()}},
		{"a bounded loop", []insn.Instruction{insn.Mov64Imm(insn.R0, 0), insn.ALU64Imm(insn.OpAdd, insn.R0, 1), insn.JumpImm(insn.JmpLT, insn.R0, 4, -2), insn.Exit()}},
		{"a variable offset into the stack", []insn.Instruction{
			insn.StoreImm(insn.SizeDW, insn.R10, -8, 0), insn.StoreImm(insn.SizeDW, insn.R10, -16, 0),
			insn.LoadMem(insn.SizeW, insn.R2, insn.R1, 0), insn.ALU64Imm(insn.OpAnd, insn.R2, 8),
			insn.Mov64Reg(insn.R3, insn.R10), insn.ALU64Reg(insn.OpAdd, insn.R3, insn.R2),
			insn.LoadMem(insn.SizeB, insn.R0, insn.R3, -16), insn.Exit()}},
		{"a helper for CAP_BPF", []insn.Instruction{insn.Call(int32(uapi.BPF_FUNC_ktime_get_boot_ns)), insn.Exit()}},
		{"a helper for CAP_PERFMON", []insn.Instruction{
			insn.Mov64Reg(insn.R1, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R1, -8), insn.Mov64Imm(insn.R2, 8),
			insn.Mov64Imm(insn.R3, 0), insn.Call(int32(uapi.BPF_FUNC_probe_read_kernel)), insn.Exit()}},
		{"a helper for all", []insn.Instruction{insn.Call(int32(uapi.BPF_FUNC_ktime_get_ns)), insn.Exit()}},
		{"printk", []insn.Instruction{
			insn.StoreImm(insn.SizeDW, insn.R10, -8, 'x'), insn.Mov64Reg(insn.R1, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R1, -8),
			insn.Mov64Imm(insn.R2, 8), insn.Call(int32(uapi.BPF_FUNC_trace_printk)), insn.Exit()}},
	} {
		for _, t := range []uapi.ProgType{uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_CGROUP_SKB, uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_XDP} {
			if progtype.Lookup(t) == nil {
				continue
			}
			log := make([]byte, 4096)
			a := b.progAttr(t, c.code)
			a.LogLevel, a.LogBuf, a.LogSize = 1, b.addr(log), uint32(len(log))
			b.call(fmt.Sprintf("%s in %v", c.name, t), uapi.BPF_PROG_LOAD, enc(&a))
			b.note("log %q", addresses.ReplaceAllString(uapi.CString(log), "ADDRESS "))
		}
	}
}

// lookupZero finds element 0 of a map.
func lookupZero(fd int32) []insn.Instruction { return onZero(fd, uapi.BPF_FUNC_map_lookup_elem) }

// onZero calls a helper on key 0 of a map.
func onZero(fd int32, helper uapi.FuncID) []insn.Instruction {
	return append(insn.LoadMapFD(insn.R1, fd),
		insn.StoreImm(insn.SizeW, insn.R10, -4, 0),
		insn.Mov64Reg(insn.R2, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R2, -4),
		insn.Call(int32(helper)))
}

// strangers: what a caller may do with the objects of somebody who had all
// privileges.
func strangers(b *box) {
	ma := mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 8, 4, 0)
	m := uint32(b.sudo(uapi.BPF_MAP_CREATE, enc(&ma)))
	pa := b.progAttr(uapi.BPF_PROG_TYPE_SCHED_CLS, append(lookupZero(int32(b.lend(int(m)))), trivial...))
	p := uint32(b.sudo(uapi.BPF_PROG_LOAD, enc(&pa)))
	b.elem("update", uapi.BPF_MAP_UPDATE_ELEM, m, u32(1), u64(2), 0)
	b.elem("lookup", uapi.BPF_MAP_LOOKUP_ELEM, m, u32(1), u64(0), 0)
	b.elem("next key", uapi.BPF_MAP_GET_NEXT_KEY, m, nil, u32(0), 0)
	b.elem("lookup and delete", uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, m, u32(1), u64(0), 0)
	b.elem("delete", uapi.BPF_MAP_DELETE_ELEM, m, u32(1), nil, 0)
	run := uapi.TestRunAttr{ProgFD: p, DataIn: b.addr(make([]byte, 64)), DataSizeIn: 64}
	b.call("run", uapi.BPF_PROG_TEST_RUN, enc(&run))
	bind := uapi.ProgBindMapAttr{ProgFD: p, MapFD: m}
	b.call("bind", uapi.BPF_PROG_BIND_MAP, enc(&bind))
	mi := b.mapInfo(m)
	b.note("map %v %d", mi.Type, mi.MaxEntries)
	pi := b.progInfo(p, uapi.ProgInfo{})
	b.note("program %v xlated %v lines %d funcs %d maps %d tags %d lens %v", pi.Type, pi.XlatedProgLen > 0,
		pi.NrLineInfo, pi.NrFuncInfo, pi.NrMapIDs, pi.NrProgTags, pi.NrJitedFuncLens)
	code := make([]byte, 4096)
	pi = b.progInfo(p, uapi.ProgInfo{XlatedProgLen: 4096, XlatedProgInsns: b.addr(code), NrMapIDs: 4, MapIDs: b.addr(make([]byte, 16))})
	b.note("xlated %v, something there %v", pi.XlatedProgLen > 0, code[0] != 0)
	for _, cmd := range []uapi.Cmd{uapi.BPF_PROG_GET_NEXT_ID, uapi.BPF_MAP_GET_NEXT_ID, uapi.BPF_BTF_GET_NEXT_ID} {
		b.call(cmd.String(), cmd, pad(u32(noID), 16))
	}
	b.call("program by id", uapi.BPF_PROG_GET_FD_BY_ID, pad(u32(pi.ID), 16))
	b.call("map by id", uapi.BPF_MAP_GET_FD_BY_ID, pad(u32(mi.ID), 16))
	b.call("freeze", uapi.BPF_MAP_FREEZE, u32(m))
}
