package abi_test

import (
	"fmt"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/abi"
	"github.com/skep-ebpf/skep/internal/uapi"
)

const badAddr = 0x10 // in the page that is never mapped

var scenarios = []scenario{
	{"form of attributes", attributeForm},
	{"map create", mapCreateErrors},
	{"elements", elementErrors},
	{"hash", hashRules},
	{"frozen", frozen},
	{"read-only fds", readOnlyFD},
	{"batch", batch},
	{"batches of all types", batchTypes},
	{"queue", queueRules},
	{"fd kinds", fdKinds},
	{"ids", ids},
	{"info", info},
	{"prog load", progLoadErrors},
	{"prog names", names},
	{"prog info", progInfo},
	{"test run", testRunErrors},
	{"btf load", btfErrors},
	{"bind map", bindMap},
	{"stats", stats},
	{"prog array", progArray},
	{"map in map", mapInMap},
	{"absent commands", absentCommands},
	{"arrays of information", infoArrays},
	{"btf info", btfInfos},
	{"fd arrays", fdArrays},
	{"hashes of maps", mapHashes},
	{"exclusive maps", exclusiveMaps},
	{"logs of programs", progLogs},
	{"logs of BTF", btfLogs},
}

// attributeForm: sizes, what lies behind the last field, unknown commands.
func attributeForm(b *box) {
	for _, size := range []int{0, 1, 4, 168, 169, 200, 4096, 4097} {
		for _, last := range []byte{0, 1} {
			attr := make([]byte, size)
			if size > 0 {
				attr[size-1] = last
			}
			b.call(fmt.Sprintf("unknown command, %d bytes, last %d", size, last), 1000, attr)
			b.call(fmt.Sprintf("map create, %d bytes, last %d", size, last), uapi.BPF_MAP_CREATE, attr)
		}
	}
	for cmd := uapi.Cmd(0); cmd.Known(); cmd++ {
		end, _ := cmd.LastField()
		if end >= uapi.AttrSize {
			continue
		}
		attr := make([]byte, uapi.AttrSize)
		attr[end] = 1
		b.call(fmt.Sprintf("%v with a byte behind its last field", cmd), cmd, attr)
	}
}

func mapCreateErrors(b *box) {
	type m = uapi.MapCreateAttr
	for i, a := range []m{
		{},
		{MapType: 1000, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 8, ValueSize: 4, MaxEntries: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 0, MaxEntries: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 0},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapFlags: uapi.BPF_F_NO_PREALLOC},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapFlags: 1 << 31},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapFlags: uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapFlags: uapi.BPF_F_RDONLY_PROG | uapi.BPF_F_WRONLY_PROG},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapExtra: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapFlags: uapi.BPF_F_NUMA_NODE, NumaNode: 77},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, NumaNode: 77},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMapFD: 7777},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, BTFFD: 7777},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, BTFFD: 7777, BTFValueTypeID: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, BTFKeyTypeID: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, BTFVmlinuxValueTypeID: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapIfindex: 7777},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapName: name("ok_name.1")},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapName: name("bad-name")},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapName: name("0123456789abcdef")},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapFlags: uapi.BPF_F_TOKEN_FD, MapTokenFD: 7777},
		{MapType: uapi.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 4, MaxEntries: 1, MapFlags: uapi.BPF_F_ZERO_SEED},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{MapType: uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMapFD: 7777},
		{MapType: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096},
		{MapType: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4095},
		{MapType: uapi.BPF_MAP_TYPE_RINGBUF, KeySize: 4, MaxEntries: 4096},
		{MapType: uapi.BPF_MAP_TYPE_LPM_TRIE, KeySize: 8, ValueSize: 4, MaxEntries: 1},
		{MapType: uapi.BPF_MAP_TYPE_LPM_TRIE, KeySize: 8, ValueSize: 4, MaxEntries: 1, MapFlags: uapi.BPF_F_NO_PREALLOC},
	} {
		b.call(fmt.Sprintf("case %d %v", i, a.MapType), uapi.BPF_MAP_CREATE, enc(&a))
	}
}

func name(s string) (n [16]byte) {
	copy(n[:], s)
	return n
}

// elementErrors: every element command with everything that can be wrong.
func elementErrors(b *box) {
	fd := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0))
	key, value := u32(1), u64(7)
	k, v := b.addr(key), b.addr(value)
	for _, cmd := range []uapi.Cmd{
		uapi.BPF_MAP_LOOKUP_ELEM, uapi.BPF_MAP_UPDATE_ELEM, uapi.BPF_MAP_DELETE_ELEM,
		uapi.BPF_MAP_GET_NEXT_KEY, uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM,
	} {
		for i, a := range []uapi.MapElemAttr{
			{MapFD: fd, Key: k, Value: v},
			{MapFD: 7777, Key: k, Value: v},
			{MapFD: ^uint32(0), Key: k, Value: v},
			{MapFD: fd, Key: 0, Value: v},
			{MapFD: fd, Key: badAddr, Value: v},
			{MapFD: fd, Key: k, Value: badAddr},
			{MapFD: fd, Key: k, Value: 0},
			{MapFD: fd, Key: k, Value: v, Flags: uapi.BPF_F_LOCK},
			{MapFD: fd, Key: k, Value: v, Flags: 3},
			{MapFD: fd, Key: k, Value: v, Flags: 8},
			{MapFD: fd, Key: k, Value: v, Flags: 1 << 40},
			{MapFD: fd, Key: b.addr(u32(99)), Value: v},
		} {
			if cmd == uapi.BPF_MAP_DELETE_ELEM {
				a.Value, a.Flags = 0, 0
			}
			if cmd == uapi.BPF_MAP_GET_NEXT_KEY {
				a.Flags = 0
			}
			b.call(fmt.Sprintf("%v case %d", cmd, i), cmd, enc(&a))
		}
	}
	b.note("value %x", value)
}

func (b *box) elem(label string, cmd uapi.Cmd, fd uint32, key, value []byte, flags uint64) {
	a := uapi.MapElemAttr{MapFD: fd, Flags: flags}
	if key != nil {
		a.Key = b.addr(key)
	}
	if value != nil {
		a.Value = b.addr(value)
	}
	b.call(label, cmd, enc(&a))
	if cmd != uapi.BPF_MAP_UPDATE_ELEM { // what is written may be an fd
		b.note("%s value %x", label, value)
	}
}

func hashRules(b *box) {
	fd := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 4, 2, 0))
	up := func(label string, k uint32, flags uint64) {
		b.elem(label, uapi.BPF_MAP_UPDATE_ELEM, fd, u32(k), u32(k+100), flags)
	}
	up("exist on empty", 1, uapi.BPF_EXIST)
	up("noexist", 1, uapi.BPF_NOEXIST)
	up("noexist again", 1, uapi.BPF_NOEXIST)
	up("any", 2, uapi.BPF_ANY)
	up("full", 3, uapi.BPF_ANY)
	up("replace in full", 2, uapi.BPF_EXIST)
	b.elem("lookup", uapi.BPF_MAP_LOOKUP_ELEM, fd, u32(2), make([]byte, 4), 0)
	b.elem("lookup and delete", uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, u32(2), make([]byte, 4), 0)
	b.elem("lookup gone", uapi.BPF_MAP_LOOKUP_ELEM, fd, u32(2), make([]byte, 4), 0)
	b.elem("first key", uapi.BPF_MAP_GET_NEXT_KEY, fd, nil, make([]byte, 4), 0)
	b.elem("key after the last", uapi.BPF_MAP_GET_NEXT_KEY, fd, u32(1), make([]byte, 4), 0)
	b.elem("key after one that is gone", uapi.BPF_MAP_GET_NEXT_KEY, fd, u32(55), make([]byte, 4), 0)
}

func frozen(b *box) {
	fd := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0))
	b.call("freeze", uapi.BPF_MAP_FREEZE, u32(fd))
	b.call("freeze again", uapi.BPF_MAP_FREEZE, u32(fd))
	b.elem("update", uapi.BPF_MAP_UPDATE_ELEM, fd, u32(0), u32(1), 0)
	b.elem("delete", uapi.BPF_MAP_DELETE_ELEM, fd, u32(0), nil, 0)
	b.elem("lookup", uapi.BPF_MAP_LOOKUP_ELEM, fd, u32(0), u32(9), 0)
	b.call("freeze a bad fd", uapi.BPF_MAP_FREEZE, u32(7777))
}

func readOnlyFD(b *box) {
	for _, flags := range []uint32{uapi.BPF_F_RDONLY, uapi.BPF_F_WRONLY} {
		fd := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 4, 2, flags))
		b.elem("update", uapi.BPF_MAP_UPDATE_ELEM, fd, u32(0), u32(1), 0)
		b.elem("lookup", uapi.BPF_MAP_LOOKUP_ELEM, fd, u32(0), u32(1), 0)
		b.elem("delete", uapi.BPF_MAP_DELETE_ELEM, fd, u32(0), nil, 0)
		b.elem("next key", uapi.BPF_MAP_GET_NEXT_KEY, fd, nil, u32(0), 0)
		b.elem("lookup and delete", uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, u32(0), u32(1), 0)
		b.call("freeze", uapi.BPF_MAP_FREEZE, u32(fd))
		for _, cmd := range []uapi.Cmd{
			uapi.BPF_MAP_LOOKUP_BATCH, uapi.BPF_MAP_UPDATE_BATCH, uapi.BPF_MAP_DELETE_BATCH, uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH,
		} {
			a := uapi.MapBatchAttr{MapFD: fd}
			b.call(cmd.String(), cmd, enc(&a))
		}
	}
}

func batch(b *box) {
	fd := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 4, 0))
	keys, values, token := make([]byte, 16), make([]byte, 16), make([]byte, 8)
	for i := range 4 {
		copy(keys[4*i:], u32(uint32(i)))
		copy(values[4*i:], u32(uint32(i+10)))
	}
	run := func(label string, cmd uapi.Cmd, a uapi.MapBatchAttr) {
		attr := enc(&a)
		b.call(label, cmd, attr)
		a.Decode(attr)
		b.note("%s count %d keys %x values %x token %x", label, a.Count, keys, values, token)
	}
	full := uapi.MapBatchAttr{MapFD: fd, Keys: b.addr(keys), Values: b.addr(values), Count: 4}
	run("update", uapi.BPF_MAP_UPDATE_BATCH, full)
	look := full
	look.OutBatch, look.Count = b.addr(token), 3
	clear(keys)
	clear(values)
	run("lookup 3", uapi.BPF_MAP_LOOKUP_BATCH, look)
	look.InBatch = look.OutBatch
	run("lookup rest", uapi.BPF_MAP_LOOKUP_BATCH, look)
	run("delete of an array", uapi.BPF_MAP_DELETE_BATCH, full)
	bad := full
	bad.Flags = 1
	run("flags", uapi.BPF_MAP_UPDATE_BATCH, bad)
	bad = full
	bad.ElemFlags = 1 << 20
	run("element flags", uapi.BPF_MAP_UPDATE_BATCH, bad)
	bad = full
	bad.Count = 0
	run("nothing", uapi.BPF_MAP_UPDATE_BATCH, bad)
	bad = full
	bad.Keys = badAddr
	run("bad keys", uapi.BPF_MAP_UPDATE_BATCH, bad)
	bad = full
	bad.MapFD = 7777
	run("bad fd", uapi.BPF_MAP_UPDATE_BATCH, bad)
}

func queueRules(b *box) {
	for _, t := range []uapi.MapType{uapi.BPF_MAP_TYPE_QUEUE, uapi.BPF_MAP_TYPE_STACK} {
		fd := b.mapFD(mapAttr(t, 0, 4, 2, 0))
		for i := range uint32(3) {
			b.elem("push", uapi.BPF_MAP_UPDATE_ELEM, fd, nil, u32(i), 0)
		}
		b.elem("push, overwrite", uapi.BPF_MAP_UPDATE_ELEM, fd, nil, u32(9), uapi.BPF_EXIST)
		b.elem("push, noexist", uapi.BPF_MAP_UPDATE_ELEM, fd, nil, u32(9), uapi.BPF_NOEXIST)
		b.elem("key where there is none", uapi.BPF_MAP_LOOKUP_ELEM, fd, u32(0), u32(0), 0)
		b.elem("peek", uapi.BPF_MAP_LOOKUP_ELEM, fd, nil, u32(0), 0)
		b.elem("pop", uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, nil, u32(0), 0)
		b.elem("pop, flags", uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, nil, u32(0), uapi.BPF_F_LOCK)
		b.elem("pop", uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, nil, u32(0), 0)
		b.elem("pop empty", uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, nil, u32(0), 0)
		b.elem("delete", uapi.BPF_MAP_DELETE_ELEM, fd, nil, nil, 0)
		b.elem("next", uapi.BPF_MAP_GET_NEXT_KEY, fd, nil, u32(0), 0)
	}
}

// trivial is a program that returns 0.
var trivial = []insn.Instruction{insn.Mov64Imm(insn.R0, 0), insn.Exit()}

func (b *box) progAttr(t uapi.ProgType, code []insn.Instruction) uapi.ProgLoadAttr {
	return uapi.ProgLoadAttr{
		ProgType: t, InsnCnt: uint32(len(code)), Insns: b.addr(insn.Encode(code)), License: b.addr([]byte("GPL\x00")),
	}
}

func (b *box) progFD(t uapi.ProgType, code []insn.Instruction) uint32 {
	a := b.progAttr(t, code)
	return uint32(b.call("load", uapi.BPF_PROG_LOAD, enc(&a)))
}

// fdKinds: every command that takes an fd, with one of another kind.
func fdKinds(b *box) {
	m := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0))
	p := b.progFD(uapi.BPF_PROG_TYPE_SOCKET_FILTER, trivial)
	b.elem("lookup in a program", uapi.BPF_MAP_LOOKUP_ELEM, p, u32(0), u32(0), 0)
	b.call("freeze a program", uapi.BPF_MAP_FREEZE, u32(p))
	run := uapi.TestRunAttr{ProgFD: m}
	b.call("run a map", uapi.BPF_PROG_TEST_RUN, enc(&run))
	bind := uapi.ProgBindMapAttr{ProgFD: m, MapFD: m}
	b.call("bind to a map", uapi.BPF_PROG_BIND_MAP, enc(&bind))
	bind = uapi.ProgBindMapAttr{ProgFD: p, MapFD: p}
	b.call("bind a program", uapi.BPF_PROG_BIND_MAP, enc(&bind))
	c := mapAttr(uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, 0)
	c.InnerMapFD = p
	b.call("a program as inner map", uapi.BPF_MAP_CREATE, enc(&c))
	c = mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)
	c.BTFFD, c.BTFValueTypeID, c.BTFKeyTypeID = m, 1, 1
	b.call("a map as BTF", uapi.BPF_MAP_CREATE, enc(&c))
	pin := uapi.ObjAttr{Pathname: badAddr, BpfFD: m}
	b.call("pin at a bad address", uapi.BPF_OBJ_PIN, enc(&pin))
	pin.BpfFD = 7777
	b.call("pin a bad fd", uapi.BPF_OBJ_PIN, enc(&pin))
	pin = uapi.ObjAttr{Pathname: b.addr([]byte("/sys/x\x00")), BpfFD: m, FileFlags: 1 << 20}
	b.call("pin with unknown flags", uapi.BPF_OBJ_PIN, enc(&pin))
	pin = uapi.ObjAttr{Pathname: b.addr([]byte("/sys/x\x00")), BpfFD: m, PathFD: 5}
	b.call("pin with a path fd and no flag", uapi.BPF_OBJ_PIN, enc(&pin))
	get := uapi.ObjAttr{Pathname: badAddr}
	b.call("get at a bad address", uapi.BPF_OBJ_GET, enc(&get))
	get = uapi.ObjAttr{Pathname: b.addr([]byte("/sys/x\x00")), BpfFD: 3}
	b.call("get with an fd", uapi.BPF_OBJ_GET, enc(&get))
	get = uapi.ObjAttr{Pathname: b.addr([]byte("/sys/x\x00")), FileFlags: uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY}
	b.call("get for nothing", uapi.BPF_OBJ_GET, enc(&get))
}

// noID is larger than the id of anything.
const noID = 0x7ffffff0

func ids(b *box) {
	for _, cmd := range []uapi.Cmd{uapi.BPF_PROG_GET_NEXT_ID, uapi.BPF_MAP_GET_NEXT_ID, uapi.BPF_BTF_GET_NEXT_ID, uapi.BPF_LINK_GET_NEXT_ID} {
		for _, start := range []uint32{noID, 0x7ffffffe, 0x7fffffff, 0x80000000, ^uint32(0)} {
			b.call(fmt.Sprintf("%v from %#x", cmd, start), cmd, pad(u32(start), 16))
		}
	}
	for _, cmd := range []uapi.Cmd{uapi.BPF_PROG_GET_FD_BY_ID, uapi.BPF_MAP_GET_FD_BY_ID, uapi.BPF_BTF_GET_FD_BY_ID, uapi.BPF_LINK_GET_FD_BY_ID} {
		for _, id := range []uint32{0, noID, ^uint32(0)} {
			b.call(fmt.Sprintf("%v of %#x", cmd, id), cmd, pad(u32(id), 16))
		}
	}
	a := uapi.GetIDAttr{StartID: noID, OpenFlags: 1 << 20}
	b.call("map with unknown open flags", uapi.BPF_MAP_GET_FD_BY_ID, enc(&a))
	a = uapi.GetIDAttr{StartID: noID, OpenFlags: uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY}
	b.call("map for nothing", uapi.BPF_MAP_GET_FD_BY_ID, enc(&a))

	fd := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0))
	mi := make([]byte, uapi.SizeofMapInfo)
	ia := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(len(mi)), Info: b.addr(mi)}
	b.call("info", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&ia))
	var m uapi.MapInfo
	m.Decode(mi)
	again := b.call("fd by id", uapi.BPF_MAP_GET_FD_BY_ID, pad(u32(m.ID), 16))
	b.elem("through it", uapi.BPF_MAP_UPDATE_ELEM, uint32(again), u32(0), u32(5), 0)
	ro := uapi.GetIDAttr{StartID: m.ID, OpenFlags: uapi.BPF_F_RDONLY}
	again = b.call("read-only fd by id", uapi.BPF_MAP_GET_FD_BY_ID, enc(&ro))
	b.elem("update through it", uapi.BPF_MAP_UPDATE_ELEM, uint32(again), u32(0), u32(6), 0)
	b.elem("lookup through it", uapi.BPF_MAP_LOOKUP_ELEM, uint32(again), u32(0), u32(0), 0)
}

func info(b *box) {
	a := mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 8, 16, uapi.BPF_F_NO_PREALLOC)
	a.MapName = name("a_map.x")
	fd := b.mapFD(a)
	for _, size := range []int{0, 1, 40, uapi.SizeofMapInfo, uapi.SizeofMapInfo + 8, 4096, 4097} {
		for _, last := range []byte{0, 1} {
			buf := make([]byte, size)
			if size > 0 {
				buf[size-1] = last
			}
			ia := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(size), Info: b.addr(pad(nil, max(size, 1)))}
			if size > 0 {
				ia.Info = b.addr(buf)
			}
			attr := enc(&ia)
			b.call(fmt.Sprintf("%d bytes, last %d", size, last), uapi.BPF_OBJ_GET_INFO_BY_FD, attr)
			ia.Decode(attr)
			var m uapi.MapInfo
			m.Decode(buf)
			m.ID = 0
			b.note("len %d info %+v", ia.InfoLen, m)
		}
	}
	ia := uapi.InfoAttr{BpfFD: fd, InfoLen: uapi.SizeofMapInfo, Info: badAddr}
	b.call("bad address", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&ia))
	ia.BpfFD = 7777
	b.call("bad fd", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&ia))
}

// absentCommands: what commands that skep does not carry out look at first.
func absentCommands(b *box) {
	p := b.progFD(uapi.BPF_PROG_TYPE_SOCKET_FILTER, trivial)
	m := b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0))
	for _, absent := range abi.AbsentCommands() {
		cmd := absent.Cmd
		if cmd == uapi.BPF_PROG_DETACH || cmd == uapi.BPF_PROG_QUERY {
			continue // Linux looks for cgroups and devices, of which there are none here
		}
		b.call(fmt.Sprintf("%v of zeros", cmd), cmd, make([]byte, uapi.AttrSize))
		for _, at := range []int{0, 4, 8} {
			for what, fd := range []uint32{7777, m, p, ^uint32(0)} {
				if cmd == uapi.BPF_TASK_FD_QUERY && at == 0 {
					continue // a process id
				}
				attr := make([]byte, uapi.AttrSize)
				copy(attr[at:], u32(fd))
				b.call(fmt.Sprintf("%v with %s at %d", cmd, []string{"a bad fd", "a map", "a program", "-1"}[what], at), cmd, attr)
			}
		}
	}
	buf := make([]byte, 16)
	for _, a := range []uapi.ProgStreamReadAttr{
		{ProgFD: p}, {ProgFD: p, StreamID: 1}, {ProgFD: p, StreamID: 2}, {ProgFD: p, StreamID: 3},
		{ProgFD: p, StreamID: 1, StreamBuf: b.addr(buf), StreamBufLen: 16}, {ProgFD: p, StreamID: 1, StreamBuf: badAddr, StreamBufLen: 16},
		{ProgFD: m, StreamID: 1}, {ProgFD: 7777, StreamID: 1},
	} {
		n := b.call(fmt.Sprintf("stream %d", a.StreamID), uapi.BPF_PROG_STREAM_READ_BY_FD, enc(&a))
		b.note("read %d", n)
	}
}
