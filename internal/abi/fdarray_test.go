package abi_test

import (
	"encoding/binary"
	"fmt"
	"regexp"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// fdArrays: programs whose maps are in an array of fds. With a count the maps
// belong to the program whether it names them or not.
func fdArrays(b *box) {
	many := make([]uint32, 70)
	for i := range many {
		a := mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)
		many[i] = uint32(b.sudo(uapi.BPF_MAP_CREATE, enc(&a)))
	}
	btf := uint32(b.sudo(uapi.BPF_BTF_LOAD, loadBTF(b, smallBTF(b))))
	pa := b.progAttr(uapi.BPF_PROG_TYPE_XDP, trivial)
	prog := uint32(b.sudo(uapi.BPF_PROG_LOAD, enc(&pa)))
	m, n := many[0], many[1]
	named := append(insn.LoadMapIdx(insn.R1, 0), trivial...)
	second := append(insn.LoadMapIdx(insn.R1, 1), trivial...)
	for _, c := range []struct {
		name  string
		fds   []uint32
		count uint32
		code  []insn.Instruction
	}{
		{"no count, named", []uint32{m}, 0, named},
		{"no count, second named", []uint32{m, n}, 0, second},
		{"no count, not named", []uint32{7777}, 0, trivial},
		{"one", []uint32{m}, 1, trivial},
		{"one, named", []uint32{m}, 1, named},
		{"two, second named", []uint32{m, n}, 2, second},
		{"one counted, second named", []uint32{m, n}, 1, second},
		{"one counted, second bad and named", []uint32{m, 7777}, 1, second},
		{"the same twice", []uint32{m, m}, 2, named},
		{"BTF", []uint32{btf}, 1, trivial},
		{"BTF, named", []uint32{btf}, 1, named},
		{"a map and BTF", []uint32{m, btf}, 2, named},
		{"BTF twice", []uint32{btf, btf}, 2, trivial},
		{"a bad fd", []uint32{7777}, 1, trivial},
		{"-1", []uint32{^uint32(0)}, 1, trivial},
		{"stdin", []uint32{0}, 1, trivial},
		{"a program", []uint32{prog}, 1, trivial},
		{"a good one and a program", []uint32{m, prog}, 2, trivial},
		{"none", nil, 1, trivial},
		{"none, no count, named", nil, 0, named},
		{"63", many[:63], 63, trivial},
		{"64", many[:64], 64, trivial},
		{"65", many[:65], 65, trivial},
		{"64 and one more named", many[:65], 64, append(insn.LoadMapIdx(insn.R1, 64), trivial...)},
		{"more than fit a number", []uint32{m}, 1 << 30, trivial},
		{"the largest count", []uint32{m}, 1<<32 - 1, trivial},
		{"a map that the type cannot have", []uint32{m, n}, 2, append(lookupZero(7777), trivial...)},
	} {
		var raw []byte
		for _, fd := range c.fds {
			raw = binary.LittleEndian.AppendUint32(raw, fd)
		}
		a := b.progAttr(uapi.BPF_PROG_TYPE_XDP, c.code)
		log := make([]byte, 4096)
		a.LogLevel, a.LogBuf, a.LogSize = 1, b.addr(log), uint32(len(log))
		a.FDArray, a.FDArrayCnt = b.addr(raw), c.count
		fd := b.call(c.name, uapi.BPF_PROG_LOAD, enc(&a))
		b.note("%s: log %q", c.name, fdNumbers.ReplaceAllString(addresses.ReplaceAllString(uapi.CString(log), "ADDRESS "), "fd N is"))
		if fd < 0 {
			continue
		}
		ids := make([]byte, 400)
		i := b.progInfo(uint32(fd), uapi.ProgInfo{NrMapIDs: 100, MapIDs: b.addr(ids)})
		var order []int
		for at := range min(int(i.NrMapIDs), 100) {
			id := binary.LittleEndian.Uint32(ids[4*at:])
			for which := range 3 {
				if mi := b.mapInfo(many[which]); mi.ID == id {
					order = append(order, which)
				}
			}
		}
		b.note("%s: %d maps, %s", c.name, i.NrMapIDs, fmt.Sprint(order))
	}
}

// fdNumbers are of objects, whose fds differ from kernel to kernel.
var fdNumbers = regexp.MustCompile(`fd [0-9]{2,3} is`)
