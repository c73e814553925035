package verifier_test

import (
	"encoding/binary"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// FuzzVerify: no program, however hostile, may make the verifier panic; and what
// it accepts, it accepts again.
func FuzzVerify(f *testing.F) {
	for _, c := range loadCorpus(f) {
		f.Add(insn.Encode(c.insns), uint8(c.typ), c.unpriv)
	}
	types := []uapi.ProgType{uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_XDP, uapi.BPF_PROG_TYPE_SCHED_CLS,
		uapi.BPF_PROG_TYPE_SCHED_ACT}
	names := []string{"array", "hash", "ringbuf", "prog_array", "aom", "rodata", "array1"}
	f.Fuzz(func(t *testing.T, code []byte, kind uint8, unpriv bool) {
		if len(code) > 8*512 {
			return
		}
		c := &testCase{typ: types[int(kind)%len(types)], unpriv: unpriv, license: "GPL", maps: names}
		for len(code) >= insn.Size {
			c.insns = append(c.insns, insn.Instruction(binary.LittleEndian.Uint64(code)))
			code = code[insn.Size:]
		}
		_, first, log, _ := c.verify(1)
		_, second, _, _ := c.verify(0)
		if first != second {
			t.Fatalf("%s with a log, %s without:\n%s", first.Name(), second.Name(), log)
		}
	})
}

// FuzzInfo: nor may the records that come with its BTF.
func FuzzInfo(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0}, uint32(8), []byte{}, uint32(16))
	f.Fuzz(func(t *testing.T, funcs []byte, funcSize uint32, lines []byte, lineSize uint32) {
		if funcSize == 0 || lineSize == 0 {
			return
		}
		raw := &prog.Raw{
			Info:     desc.ProgInfo{Type: uapi.BPF_PROG_TYPE_XDP, GPL: true, Caps: allCaps},
			Insns:    []insn.Instruction{insn.Make(0xb7, 0, 0, 0, 0), insn.Make(0x95, 0, 0, 0, 0)},
			FuncInfo: prog.InfoRecords{RecSize: funcSize, Count: uint32(len(funcs)) / funcSize, Data: funcs},
			LineInfo: prog.InfoRecords{RecSize: lineSize, Count: uint32(len(lines)) / lineSize, Data: lines},
		}
		verifyRaw(raw)
	})
}

func verifyRaw(raw *prog.Raw) { _, _ = verifyWith(raw, progtype.Lookup(raw.Info.Type)) }

func verifyWith(raw *prog.Raw, typ *desc.ProgType) (*prog.Verified, error) {
	return verifier.Verify(raw, &verifier.Env{Type: typ})
}
