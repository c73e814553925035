package abi_test

import (
	"crypto/sha256"
	"fmt"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// mapHashes: the hash over an array's elements (map_get_hash).
func mapHashes(b *box) {
	for _, a := range []uapi.MapCreateAttr{
		mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0), mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 5, 3, 0),
		mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, uapi.BPF_F_MMAPABLE),
		mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 8, 4, 0), mapAttr(uapi.BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 4, 0),
	} {
		m := uint32(b.sudo(uapi.BPF_MAP_CREATE, enc(&a)))
		b.elem("fill", uapi.BPF_MAP_UPDATE_ELEM, m, u32(0), u64(0x0102030405060708), 0)
		for _, frozen := range []bool{false, true} {
			if frozen {
				b.call("freeze", uapi.BPF_MAP_FREEZE, u32(m))
			}
			for _, size := range []uint32{0, 31, 32, 33, 64} {
				for _, bad := range []bool{false, true} {
					sum, buf := filled(64), make([]byte, uapi.SizeofMapInfo)
					ask := uapi.MapInfo{Hash: b.addr(sum), HashSize: size}
					if bad {
						ask.Hash = badAddr
					}
					ask.Encode(buf)
					ia := uapi.InfoAttr{BpfFD: m, InfoLen: uint32(len(buf)), Info: b.addr(buf)}
					label := fmt.Sprintf("%v frozen %v size %d bad %v", a.MapType, frozen, size, bad)
					b.call(label, uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&ia))
					var i uapi.MapInfo
					i.Decode(buf)
					b.note("%s: %x size %d", label, sum, i.HashSize)
				}
			}
		}
	}
}

// exclusiveMaps: maps that only the program with a certain hash may use.
func exclusiveMaps(b *box) {
	for _, size := range []uint32{0, 1, 31, 32, 33} {
		for _, addr := range []uint64{0, badAddr, b.addr(make([]byte, 64))} {
			for _, entries := range []uint32{0, 1} {
				a := mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, entries, 0)
				a.ExclProgHash, a.ExclProgHashSize = addr, size
				b.call(fmt.Sprintf("hash of %d bytes at %v, %d entries", size, addr > badAddr, entries), uapi.BPF_MAP_CREATE, enc(&a))
			}
		}
	}
	named := append(insn.LoadMapFD(insn.R1, 0), trivial...)
	for _, c := range []struct {
		name   string
		hashed []insn.Instruction
	}{{"its own", named}, {"another's", trivial}} {
		sum := sha256.Sum256(insn.Encode(c.hashed))
		a := mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)
		a.ExclProgHash, a.ExclProgHashSize = b.addr(sum[:]), 32
		m := b.mapFD(a)
		load := func(label string, code []insn.Instruction, fds ...uint32) {
			log := make([]byte, 2048)
			pa := b.progAttr(uapi.BPF_PROG_TYPE_SOCKET_FILTER, code)
			pa.LogLevel, pa.LogBuf, pa.LogSize = 1, b.addr(log), uint32(len(log))
			if len(fds) > 0 {
				pa.FDArray, pa.FDArrayCnt = b.addr(u32(fds[0])), 1
			}
			b.call(label, uapi.BPF_PROG_LOAD, enc(&pa))
			b.note("%s: %q", label, addresses.ReplaceAllString(uapi.CString(log), "ADDRESS "))
		}
		load("a program that names a map with the hash of "+c.name, append(insn.LoadMapFD(insn.R1, int32(m)), trivial...))
		load("a program bound to a map with the hash of "+c.name, trivial, m)
		if p := b.progFD(uapi.BPF_PROG_TYPE_SOCKET_FILTER, trivial); p != ^uint32(0) {
			bind := uapi.ProgBindMapAttr{ProgFD: p, MapFD: m}
			b.call("binding later", uapi.BPF_PROG_BIND_MAP, enc(&bind))
		}
		outer := mapAttr(uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, 0)
		outer.InnerMapFD = m
		o := b.mapFD(outer)
		b.elem("as inner map", uapi.BPF_MAP_UPDATE_ELEM, o, u32(0), u32(m), 0)
	}
}
