package interp_test

import (
	"testing"
	"time"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/rewrite"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// kernels are loops over memory in R1 of size R2, as programs have them in
// their inner parts. insns is how many instructions one run executes.
var kernels = []struct {
	name, text string
	memory     int
	insns      int
}{
	{"alu", `
		r0 = 1
		r3 = 1000
		next:
		r4 = r0
		r4 <<= 13
		r0 ^= r4
		r4 = r0
		r4 >>= 7
		r0 ^= r4
		r4 = r0
		r4 <<= 17
		r0 ^= r4
		r3 += -1
		if r3 != 0 goto next
		exit`, 8, 3 + 11*1000},
	{"alu32", `
		w0 = 1
		w3 = 1000
		next:
		w4 = w0
		w4 *= 0x41c64e6d
		w4 += 12345
		w0 ^= w4
		w5 = w0
		w5 >>= 16
		w0 += w5
		w3 += -1
		if w3 != 0 goto next
		exit`, 8, 3 + 9*1000},
	{"checksum", `
		r0 = 0
		r3 = 700
		next:
		r4 = *(u16 *)(r1 +0)
		r0 += r4
		r1 += 2
		r3 += -1
		if r3 != 0 goto next
		r4 = r0
		r4 >>= 16
		r0 &= 0xffff
		r0 += r4
		exit`, 1400, 3 + 5*700 + 4},
	{"parse", `
		r6 = r1
		r7 = 200
		r0 = 0
		next:
		r3 = *(u16 *)(r6 +12)
		if r3 != 8 goto bad
		r3 = *(u8 *)(r6 +14)
		r4 = r3
		r4 >>= 4
		if r4 != 4 goto bad
		r3 &= 15
		r3 <<= 2
		if r3 != 20 goto bad
		r4 = *(u8 *)(r6 +23)
		if r4 == 6 goto tcp
		if r4 != 17 goto bad
		tcp:
		r4 = *(u32 *)(r6 +26)
		r5 = *(u32 *)(r6 +30)
		*(u32 *)(r10 -16) = r4
		*(u32 *)(r10 -12) = r5
		r4 = *(u16 *)(r6 +34)
		r4 = be16 r4
		*(u16 *)(r10 -8) = r4
		r5 = *(u16 *)(r6 +36)
		r5 = be16 r5
		*(u16 *)(r10 -6) = r5
		r0 += r4
		goto count
		bad:
		r0 += 1
		count:
		r7 += -1
		if r7 != 0 goto next
		exit`, 64, 4 + 24*200},
	{"calls", `
		r6 = 300
		r7 = 0
		next:
		r1 = r7
		call add
		r7 = r0
		r6 += -1
		if r6 != 0 goto next
		r0 = r7
		exit
		add:
		r0 = r1
		r0 += 3
		exit`, 8, 4 + 8*300},
}

// BenchmarkKernels prints the time for an instruction, and how often the
// program would have run in the same time in the live kernel's machine code.
func BenchmarkKernels(b *testing.B) {
	for _, k := range kernels {
		code := assemble(b, k.text)
		memory := make([]byte, k.memory)
		if k.name == "parse" {
			copy(memory[12:], []byte{8, 0, 0x45})
			memory[23] = 17
		}
		live := liveTime(b, code, memory)
		for _, e := range engines {
			b.Run(k.name+"/"+e.Name(), func(b *testing.B) {
				bench := newBench(b)
				addr := bench.alloc(k.memory)
				copy(mem.Bytes(addr, uint64(k.memory)), memory)
				v := seal(code)
				img := bench.compile(e, v)
				for b.Loop() {
					img.Run(bench.cpu, addr)
				}
				perRun := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
				b.ReportMetric(perRun/float64(k.insns), "ns/insn")
				if live > 0 {
					b.ReportMetric(perRun/live, "x-kernel-jit")
				}
			})
		}
	}
}

// liveTime is what one run takes in the live kernel in nanoseconds, without the
// empty program's; 0 where it cannot be asked.
func liveTime(b *testing.B, code []insn.Instruction, memory []byte) float64 {
	if ok, _ := oracle.Available(); !ok {
		return 0
	}
	m := oracle.NewMap(b, oracle.MapSpec{
		Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: uint32(resultSize + len(memory) + 8), MaxEntries: 1,
	})
	value := make([]byte, resultSize+len(memory)+8)
	copy(value[resultSize:], memory)
	if e := m.Update(make([]byte, 4), value, 0); e != 0 {
		b.Fatal(e)
	}
	wrapped := wrap(code, func(off uint32) []insn.Instruction { return insn.LoadMapValue(insn.R1, 0, off) }, len(memory))
	empty := assemble(b, "r0 = 0\nexit")
	return max(0.1, liveRun(b, wrapped, m)-liveRun(b, empty, m))
}

func liveRun(b *testing.B, code []insn.Instruction, m *oracle.Map) float64 {
	p := oracle.Load(b, oracle.Prog{Type: uapi.BPF_PROG_TYPE_XDP, Insns: code, Maps: []*oracle.Map{m}, LogLevel: 1})
	if p.Errno != 0 {
		b.Fatalf("the live kernel refuses: %v\n%s", p.Errno, p.Log)
	}
	best := time.Hour
	for range 5 {
		r := p.Run(oracle.Input{Data: make([]byte, 64), Repeat: 20000})
		if r.Errno != 0 {
			b.Fatal(r.Errno)
		}
		best = min(best, r.Duration)
	}
	return float64(best.Nanoseconds())
}

// BenchmarkEntry is a run that does nothing.
func BenchmarkEntry(b *testing.B) {
	bench := newBench(b)
	img := bench.compile(engines[0], seal(assemble(b, "r0 = 2\nexit")))
	for b.Loop() {
		img.Run(bench.cpu, 0)
	}
}

// BenchmarkMapLookup looks an array element up, through a helper and inlined.
func BenchmarkMapLookup(b *testing.B) {
	const loop = `
		r6 = 100
		r7 = 0
		next:
		*(u32 *)(r10 -4) = 3
		r2 = r10
		r2 += -4
		r1 = 0 ll
		call 1
		if r0 == 0 goto out
		r1 = *(u64 *)(r0 +0)
		r1 += 1
		*(u64 *)(r0 +0) = r1
		r6 += -1
		if r6 != 0 goto next
		out:
		r0 = 0
		exit`
	for _, inlined := range []bool{false, true} {
		name := map[bool]string{false: "helper", true: "inlined"}[inlined]
		b.Run(name, func(b *testing.B) {
			bench := newBench(b)
			header := bench.alloc(64 + 16*8)
			code := assemble(b, loop)
			copy(code[5:], insn.LoadImm64(insn.R1, header))
			bench.helpers[uapi.BPF_FUNC_map_lookup_elem] = arrayLookup
			v := seal(code)
			if inlined {
				m := &desc.Map{Type: uapi.BPF_MAP_TYPE_ARRAY, MaxEntries: 16, Addr: header,
					Array: &desc.ArrayLayout{Base: header + 64, ElemSize: 8, Mask: 15, BypassSpecV1: true}}
				v.Facts[7].Map = m
				v = rewritten(b, v)
			}
			img := bench.compile(engines[0], v)
			for b.Loop() {
				img.Run(bench.cpu, 0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/lookup")
		})
	}
}

// arrayLookup is bpf_map_lookup_elem of the benchmark's array.
func arrayLookup(_ *exec.CPU, header, key, _, _, _ uint64) uint64 {
	index := mem.Load32(key)
	if index >= 16 {
		return 0
	}
	return header + 64 + index*8
}

func rewritten(tb testing.TB, v *prog.Verified) *prog.Verified {
	tb.Helper()
	v, err := rewrite.Run(v, rewrite.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
