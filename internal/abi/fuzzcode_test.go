package abi_test

import (
	"encoding/binary"
	"slices"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

type code = []insn.Instruction

// code makes a program of one of some sorts, seldom with something changed.
func (z *fuzz) code() code {
	c := fuzzSorts[z.pick(len(fuzzSorts))](z)
	for z.chance(12) {
		c[z.pick(len(c))] ^= insn.Instruction(1) << z.pick(64)
	}
	return c
}

func call(id uapi.FuncID) insn.Instruction { return insn.Call(int32(id)) }

// imm is a small constant.
func (z *fuzz) imm() int32 { return int32(z.odd(uint32(z.pick(70)))) }

func (z *fuzz) mapFD() int32 { return int32(z.aMap()) }

// keyed puts a key and a value on the stack and their addresses in R2 and R3.
func (z *fuzz) keyed() code {
	return code{
		insn.StoreImm(insn.SizeDW, insn.R10, -8, z.imm()), insn.StoreImm(insn.SizeDW, insn.R10, -16, z.imm()),
		insn.Mov64Reg(insn.R2, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R2, -8),
		insn.Mov64Reg(insn.R3, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R3, -16),
	}
}

// unlessNull goes on when R0 is no null pointer, and ends otherwise.
func unlessNull(then code) code {
	return slices.Concat(code{insn.JumpImm(insn.JmpEQ, insn.R0, 0, int16(len(then)))}, then, trivial)
}

// fuzzSorts are sorts of programs, each around one mechanism.
var fuzzSorts = []func(z *fuzz) code{
	func(z *fuzz) code { return code{insn.Mov64Imm(insn.R0, z.imm()), insn.Exit()} },
	// A value is found and changed.
	func(z *fuzz) code {
		return slices.Concat(z.keyed(), insn.LoadMapFD(insn.R1, z.mapFD()), code{call(uapi.BPF_FUNC_map_lookup_elem)},
			unlessNull(code{insn.LoadMem(insn.SizeW, insn.R1, insn.R0, 0), insn.Atomic(insn.SizeW, insn.AtomicAdd, insn.R0, insn.R1, 0)}))
	},
	// Elements come and go.
	func(z *fuzz) code {
		ids := []uapi.FuncID{uapi.BPF_FUNC_map_update_elem, uapi.BPF_FUNC_map_delete_elem, uapi.BPF_FUNC_map_push_elem,
			uapi.BPF_FUNC_map_pop_elem, uapi.BPF_FUNC_map_peek_elem, uapi.BPF_FUNC_map_lookup_percpu_elem}
		return slices.Concat(z.keyed(), insn.LoadMapFD(insn.R1, z.mapFD()),
			code{insn.Mov64Imm(insn.R4, z.imm()), call(ids[z.pick(len(ids))])}, trivial)
	},
	// A map is found in a map.
	func(z *fuzz) code {
		return slices.Concat(z.keyed(), insn.LoadMapFD(insn.R1, z.mapFD()), code{call(uapi.BPF_FUNC_map_lookup_elem)},
			code{insn.JumpImm(insn.JmpNE, insn.R0, 0, 2)}, trivial,
			code{insn.Mov64Reg(insn.R1, insn.R0), insn.Mov64Reg(insn.R2, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R2, -8),
				call(uapi.BPF_FUNC_map_lookup_elem)},
			unlessNull(code{insn.StoreImm(insn.SizeW, insn.R0, 0, 1)}))
	},
	// Tail calls, perhaps to itself.
	func(z *fuzz) code {
		return slices.Concat(insn.LoadMapFD(insn.R2, z.mapFD()),
			code{insn.Mov64Imm(insn.R3, z.imm()), call(uapi.BPF_FUNC_tail_call)}, trivial)
	},
	// A record in a ring buffer.
	func(z *fuzz) code {
		ends := []uapi.FuncID{uapi.BPF_FUNC_ringbuf_submit, uapi.BPF_FUNC_ringbuf_discard}
		return slices.Concat(insn.LoadMapFD(insn.R1, z.mapFD()),
			code{insn.Mov64Imm(insn.R2, z.imm()), insn.Mov64Imm(insn.R3, 0), call(uapi.BPF_FUNC_ringbuf_reserve)},
			unlessNull(code{insn.Mov64Reg(insn.R1, insn.R0), insn.Mov64Imm(insn.R2, z.imm()), call(ends[z.pick(2)])}))
	},
	// An event, or a line of text.
	func(z *fuzz) code {
		if z.chance(2) {
			return slices.Concat(z.keyed(), code{insn.Mov64Reg(insn.R1, insn.R2), insn.Mov64Imm(insn.R2, 8), insn.Mov64Imm(insn.R3, 5),
				call(uapi.BPF_FUNC_trace_printk)}, trivial)
		}
		return slices.Concat(z.keyed(), insn.LoadMapFD(insn.R2, z.mapFD()), code{insn.Mov64Imm(insn.R3, -1),
			insn.Mov64Reg(insn.R4, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R4, -16), insn.Mov64Imm(insn.R5, 16),
			call(uapi.BPF_FUNC_perf_event_output)}, trivial)
	},
	// A loop that may be too long to walk.
	func(z *fuzz) code {
		n := []int32{3, 100, 5000, 200000, -1}[z.pick(5)]
		return code{insn.Mov64Imm(insn.R0, 0), insn.ALU64Imm(insn.OpAdd, insn.R0, 1), insn.JumpImm(insn.JmpLT, insn.R0, n, -2), insn.Exit()}
	},
	// A callback, many times: long to run, quick to verify.
	func(z *fuzz) code {
		n := []int32{1, 1000, 1 << 23}[z.pick(3)]
		return slices.Concat(code{insn.Mov64Imm(insn.R1, n)}, insn.LoadFunc(insn.R2, 6),
			code{insn.Mov64Imm(insn.R3, 0), insn.Mov64Imm(insn.R4, 0), call(uapi.BPF_FUNC_loop)}, trivial, trivial)
	},
	// All elements.
	func(z *fuzz) code {
		return slices.Concat(insn.LoadMapFD(insn.R1, z.mapFD()), insn.LoadFunc(insn.R2, 6),
			code{insn.Mov64Imm(insn.R3, 0), insn.Mov64Imm(insn.R4, 0), call(uapi.BPF_FUNC_for_each_map_elem)}, trivial, trivial)
	},
	// The packet: of XDP, or of an sk_buff.
	func(z *fuzz) code {
		data, end := int16(0), int16(4)
		if z.chance(2) {
			data, end = 76, 80
		}
		return slices.Concat(code{insn.LoadMem(insn.SizeW, insn.R2, insn.R1, data), insn.LoadMem(insn.SizeW, insn.R3, insn.R1, end),
			insn.Mov64Reg(insn.R4, insn.R2), insn.ALU64Imm(insn.OpAdd, insn.R4, z.imm()), insn.JumpReg(insn.JmpGT, insn.R4, insn.R3, 2),
			insn.LoadMem(insn.SizeB, insn.R5, insn.R2, int16(z.pick(16))), insn.StoreMem(insn.SizeB, insn.R2, 0, insn.R5)}, trivial)
	},
	// Some helper with whatever is in the registers.
	func(z *fuzz) code {
		return slices.Concat(z.keyed(), code{insn.Mov64Imm(insn.R4, z.imm()), insn.Mov64Imm(insn.R5, z.imm()),
			insn.Call(int32(z.pick(212)))}, trivial)
	},
	// Anything.
	func(z *fuzz) code {
		c := code{insn.Mov64Imm(insn.R0, 0)}
		for range z.pick(24) {
			var raw [8]byte
			for i := range raw {
				raw[i] = z.byte()
			}
			i := insn.Instruction(binary.LittleEndian.Uint64(raw[:]))
			op := fuzzOpcodes[z.pick(len(fuzzOpcodes))]
			c = append(c, i.WithOp(op).WithDst(insn.Reg(z.pick(11))).WithOff(int16(z.pick(20)-8)).WithImm(z.imm()))
		}
		return append(c, insn.Exit())
	},
}

// fuzzOpcodes are the opcodes that there are.
var fuzzOpcodes = func() (out []uint8) {
	for op := range 256 {
		if insn.KnownOpcode(uint8(op)) {
			out = append(out, uint8(op))
		}
	}
	return out
}()
