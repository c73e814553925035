package interp_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// progArray is a prog array of one machine.
type progArray struct{ slots [4]exec.Image }

func (a *progArray) Image(i uint32) exec.Image {
	if int(i) < len(a.slots) {
		return a.slots[i]
	}
	return nil
}

// newProgArray makes a prog array and the header that programs point to.
func (b *bench) newProgArray() (*progArray, uint64) {
	a, addr := &progArray{}, b.alloc(64)
	mem.Store32(addr, uint64(b.machine.Handle(a)))
	return a, addr
}

// eachEngine runs a test body over both forms.
func eachEngine(t *testing.T, body func(t *testing.T, b *bench, e exec.Engine)) {
	for _, e := range engines {
		t.Run(e.Name(), func(t *testing.T) { body(t, newBench(t), e) })
	}
}

// tailCaller counts in the memory at counter, then calls slot index.
func tailCaller(array, counter uint64, index int32) []insn.Instruction {
	code := append(insn.LoadImm64(insn.R2, counter), insn.Mov64Imm(insn.R3, 1),
		insn.Atomic(insn.SizeDW, insn.AtomicAdd, insn.R2, insn.R3, 0))
	code = append(code, insn.LoadImm64(insn.R2, array)...)
	return append(code, insn.Mov64Imm(insn.R3, index), insn.Call(int32(uapi.BPF_FUNC_tail_call)),
		insn.Mov64Imm(insn.R0, 5), insn.Exit())
}

// A program that calls itself runs MAX_TAIL_CALL_CNT times more; then it goes
// on behind the call.
func TestTailCallLimit(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		array, addr := b.newProgArray()
		counter := b.alloc(8)
		img := b.compile(e, seal(tailCaller(addr, counter, 2)))
		array.slots[2] = img
		for round := uint64(1); round <= 2; round++ {
			if r0 := img.Run(b.cpu, 0); r0 != 5 {
				t.Errorf("r0 = %d, want 5", r0)
			}
			if n := mem.Load64(counter); n != round*(exec.MaxTailCalls+1) {
				t.Errorf("ran %d times after %d rounds, want %d each", n, round, exec.MaxTailCalls+1)
			}
		}
	})
}

// An empty slot and an index out of range: the program goes on.
func TestTailCallNowhere(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		_, addr := b.newProgArray()
		for _, index := range []int32{0, 3, 4, -1} {
			if r0 := b.compile(e, seal(tailCaller(addr, b.alloc(8), index))).Run(b.cpu, 0); r0 != 5 {
				t.Errorf("slot %d: r0 = %d, want 5", index, r0)
			}
		}
	})
}

// A tail call from a subprogram ends the subprogram only: what it calls returns
// to the subprogram's caller, whose frame is as it was. The context goes along.
func TestTailCallFromSubprogram(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		array, addr := b.newProgArray()
		array.slots[0] = b.compile(e, seal(assemble(t, `
			r6 = r1
			*(u64 *)(r10 -128) = -1
			r0 = r6
			r0 += 7
			exit`)))
		code := assemble(t, `
			r6 = 1000
			*(u64 *)(r10 -8) = 100
			call sub
			r0 += r6
			r1 = *(u64 *)(r10 -8)
			r0 += r1
			exit
			sub:
			*(u64 *)(r10 -64) = 9
			r2 = 0 ll
			r3 = 0
			call 12
			r0 = 0
			exit`)
		at := 8
		if !code[at].IsWide() {
			t.Fatalf("insn %d is %s", at, code[at])
		}
		copy(code[at:], insn.LoadImm64(insn.R2, addr))
		if r0 := b.compile(e, seal(code)).Run(b.cpu, 20); r0 != 1127 {
			t.Errorf("r0 = %d, want 1127", r0)
		}
	})
}

// loopHelper is bpf_loop.
func loopHelper(c *exec.CPU, n, fn, ctx, _, _ uint64) uint64 {
	for i := range n {
		if c.Call(fn, i, ctx, 0, 0, 0) != 0 {
			return i + 1
		}
	}
	return n
}

const loopText = `
	r6 = 77
	*(u64 *)(r10 -8) = 0
	r1 = 10
	r2 = subprog[body] ll
	r3 = r10
	r3 += -8
	r4 = 0
	call 181
	r1 = *(u64 *)(r10 -8)
	r0 <<= 32
	r0 += r1
	r0 += r6
	exit
	body:
	*(u64 *)(r10 -16) = r1
	r6 = r2
	r7 = *(u64 *)(r10 -16)
	r3 = *(u64 *)(r6 +0)
	r3 += r7
	*(u64 *)(r6 +0) = r3
	call leaf
	exit
	leaf:
	r0 = 0
	if r7 != 6 goto +1
	r0 = 1
	exit`

// A helper calls a subprogram back, which calls another; the caller's registers
// and frame survive.
func TestCallback(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		b.helpers[uapi.BPF_FUNC_loop] = loopHelper
		text := strings.Replace(loopText, "if r7 != 6", "if r1 != 6", 1)
		text = strings.Replace(text, "call leaf", "r1 = r7\ncall leaf", 1)
		img := b.compile(e, seal(assemble(t, text)))
		for range 3 {
			if r0 := img.Run(b.cpu, 0); r0 != 7<<32+(0+1+2+3+4+5+6)+77 {
				t.Errorf("r0 = %#x", r0)
			}
		}
		if b.cpu.Call != nil {
			t.Error("the callback function is still set after the run")
		}
	})
}

// A helper runs another program on the same CPU: the two do not share a stack.
func TestNestedRun(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		inner := b.compile(e, seal(assemble(t, "*(u64 *)(r10 -8) = 1\n*(u64 *)(r10 -512) = 2\ncall f\nexit\nf: *(u64 *)(r10 -8) = 3\nr0 = 4\nexit")))
		b.helpers[5] = func(c *exec.CPU, _, _, _, _, _ uint64) uint64 { return inner.Run(c, 0) }
		outer := b.compile(e, seal(assemble(t, `
			*(u64 *)(r10 -8) = 100
			call f
			r1 = *(u64 *)(r10 -8)
			r0 += r1
			exit
			f:
			*(u64 *)(r10 -16) = 20
			call 5
			r1 = *(u64 *)(r10 -16)
			r0 += r1
			exit`)))
		if r0 := outer.Run(b.cpu, 0); r0 != 124 {
			t.Errorf("r0 = %d, want 124", r0)
		}
	})
}

const endless = "r0 = 0\nnext:\nr0 += 1\ngoto next\nexit"

// A run is bounded by fuel, counted in backward jumps, or by a flag.
func TestLimit(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		img := b.compile(e, seal(assemble(t, endless)))
		b.cpu.Limit(5000, nil)
		img.Run(b.cpu, 0)
		if !b.cpu.Stopped {
			t.Error("the run ended, but is not marked as stopped")
		}
		var stop atomic.Bool
		b.cpu.Limit(-1, &stop)
		timer := time.AfterFunc(time.Millisecond, func() { stop.Store(true) })
		defer timer.Stop()
		img.Run(b.cpu, 0)
		if !b.cpu.Stopped {
			t.Error("the run ended, but is not marked as stopped")
		}
	})
}

// Fuel is exact: a loop that needs n backward jumps gets through with n.
func TestFuelIsExact(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		img := b.compile(e, seal(assemble(t, "r0 = 0\nnext:\nr0 += 1\nif r0 < 3000 goto next\nexit")))
		for fuel, stopped := range map[int64]bool{2998: true, 2999: false, 3000: false, 0: true} {
			b.cpu.Limit(fuel, nil)
			if r0 := img.Run(b.cpu, 0); b.cpu.Stopped != stopped || !stopped && r0 != 3000 {
				t.Errorf("fuel %d: r0 = %d, stopped %v, want %v", fuel, r0, b.cpu.Stopped, stopped)
			}
		}
	})
}

// Stopping in a callback deep inside ends the whole run and leaves the CPU fit
// for the next.
func TestStopInCallback(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		b.helpers[uapi.BPF_FUNC_loop] = loopHelper
		img := b.compile(e, seal(assemble(t, `
			call f
			r0 = 1
			exit
			f:
			r1 = -1 ll
			r2 = subprog[body] ll
			call 181
			exit
			body:
			r0 = 0
			call g
			exit
			g: next: goto next`)))
		good := b.compile(e, seal(assemble(t, "call f\nr0 += 1\nexit\nf: r0 = 41\nexit")))
		for range 3 {
			b.cpu.Limit(100_000, nil)
			if img.Run(b.cpu, 0); !b.cpu.Stopped {
				t.Fatal("not stopped")
			}
			b.cpu.Limit(-1, nil)
			if r0 := good.Run(b.cpu, 0); r0 != 42 || b.cpu.Stopped {
				t.Fatalf("the next run gives %d, stopped %v", r0, b.cpu.Stopped)
			}
		}
	})
}

// Runs of the fast form do not allocate.
func TestNoAllocation(t *testing.T) {
	b := newBench(t)
	b.helpers[uapi.BPF_FUNC_loop] = loopHelper
	array, addr := b.newProgArray()
	for name, code := range map[string][]insn.Instruction{
		"calls":      assemble(t, "call a\nexit\na: call b\nexit\nb: r0 = 1\nexit"),
		"callbacks":  assemble(t, "r1 = 5\nr2 = subprog[f] ll\ncall 181\nexit\nf: r0 = 0\nexit"),
		"tail calls": tailCaller(addr, b.alloc(8), 0),
	} {
		img := b.compile(engines[0], seal(code))
		array.slots[0] = img
		if n := testing.AllocsPerRun(100, func() { img.Run(b.cpu, 0) }); n != 0 {
			t.Errorf("%s: %v allocations a run", name, n)
		}
	}
}

// What an engine has no operation for does not compile.
func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"may_goto +0\nexit":                    "must have been rewritten",
		"r0 = *(u8 *)skb[4]\nexit":             "must have been rewritten",
		"r1 = map[fd:3] ll\nexit":              "must have been resolved",
		"call 1\nexit":                         "no helper function 1",
		"call kfunc unknown#7\nexit":           "kernel functions cannot be called",
		"r1 = addr_space_cast(r2, 0, 1)\nexit": "are for arenas",
		"gotox r1\nexit":                       "indirect jumps",
	} {
		eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
			_, err := e.Compile(seal(assemble(t, text)), b.env())
			if !errors.Is(err, errno.ENOTSUPP) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want ENOTSUPP and %q", text, err, want)
			}
		})
	}
}

// violation runs code in the checking form and returns what it stops at.
func violation(t *testing.T, b *bench, v *prog.Verified, ctx uint64) (found *exec.Violation) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			found = r.(*exec.Violation)
		}
	}()
	b.compile(engines[1], v).Run(b.cpu, ctx)
	return nil
}

// Each kind of access that the verifier excludes is found, where it happens.
func TestViolations(t *testing.T) {
	b := newBench(t)
	block := b.alloc(24)
	for _, tc := range []struct {
		text string
		at   int
		want string
	}{
		{"r0 = *(u8 *)(r1 +23)\nexit", -1, ""},
		{"r0 = *(u8 *)(r1 +24)\nexit", 0, "no live allocation"},
		{"r0 = *(u16 *)(r1 +23)\nexit", 0, "no live allocation"},
		{"r0 = 0\n*(u64 *)(r1 -8) = 1\nexit", 1, "no live allocation"},
		{"r2 = 0\nr0 = *(u64 *)(r2 +0)\nexit", 1, "no live allocation"},
		{"r0 = *(u64 *)(r10 +0)\nexit", 0, "no live allocation"},
		{"r2 = r10\nr2 += -8\nr0 = *(u64 *)(r2 +4)\nexit", 2, "no live frame"},
		{"r2 = r10\nr2 -= 24\n*(u64 *)(r10 -16) = 0\n*(u64 *)(r2 +0) = 1\nexit", 3, "no live frame"},
		{"call f\nr0 = *(u64 *)(r0 -8)\nexit\nf: r0 = r10\n*(u64 *)(r10 -8) = 1\nexit", 1, "no live frame"},
		{"r2 = 1\nr1 += 4\nlock *(u64 *)(r1 +0) += r2\nexit", 2, "not aligned"},
		{"r10 = 1\nexit", 0, "r10 is written"},
		{"r0 = 1", 1, "ran to 1"},
		{"call 12\nexit", 0, "no prog array"},
		{"r6 = r1\ncall f\nr0 = *(u8 *)(r1 +0)\nexit\nf: r0 = 0\nexit", 2, "no live allocation"},
		{"call a\nexit\na: call b\nexit\nb: call c\nexit\nc: call d\nexit\nd: call e\nexit\ne: call f\nexit\nf: call g\nexit\ng: call h\nexit\nh: r0 = 0\nexit", 14, "more than 8 frames"},
	} {
		got := violation(t, b, seal(assemble(t, tc.text)), block)
		if tc.want == "" {
			if got != nil {
				t.Errorf("%q: %v", tc.text, got)
			}
			continue
		}
		if got == nil || got.Insn != tc.at || !strings.Contains(got.Reason, tc.want) {
			t.Errorf("%q: %v, want insn %d and %q", tc.text, got, tc.at, tc.want)
		}
		if r0 := b.compile(engines[1], seal(assemble(t, "r0 = 3\nexit"))).Run(b.cpu, 0); r0 != 3 {
			t.Errorf("%q: the CPU is not fit for another run", tc.text)
		}
	}
}

// packet is a run state with a packet.
type packet struct{ meta, data, end uint64 }

func (p packet) Packet() (meta, data, end uint64) { return p.meta, p.data, p.end }

func TestPacketViolation(t *testing.T) {
	b := newBench(t)
	buffer := b.alloc(256)
	b.cpu.Run = packet{buffer + 96, buffer + 100, buffer + 140}
	for off, good := range map[int]bool{96: true, 139: true, 95: false, 140: false, 138: true} {
		v := seal([]insn.Instruction{insn.LoadMem(insn.SizeB, insn.R0, insn.R1, int16(off)), insn.Exit()})
		if got := violation(t, b, v, buffer); (got == nil) != good {
			t.Errorf("offset %d of the buffer: %v", off, got)
		}
	}
}

// beliefs fails at one instruction.
type beliefs struct {
	t  *testing.T
	at int
}

func (s *beliefs) Check(orig, depth int, m prog.Machine) string {
	if orig != s.at {
		return ""
	}
	if m.Ctx() != 4711 || depth != 1 || m.Reg(insn.R6) != 6 || m.Load(m.FramePointer(0)-8, 8) != 8 || m.Load(m.FramePointer(1)-8, 4) != 9 {
		s.t.Errorf("the machine shows depth %d, r6 %d, context %d", depth, m.Reg(insn.R6), m.Ctx())
	}
	return "R6=6 is not what was believed"
}

// The verifier's beliefs are asked at each instruction.
func TestBeliefs(t *testing.T) {
	b := newBench(t)
	v := seal(assemble(t, "*(u64 *)(r10 -8) = 8\ncall f\nexit\nf: *(u64 *)(r10 -8) = 9\nr6 = 6\nr0 = 0\nexit"))
	parts := v.VerifiedParts
	parts.States = &beliefs{t, 5}
	b.cpu.Ctx = 4711
	got := violation(t, b, prog.Seal(v.Raw(), parts), 0)
	if got == nil || got.Insn != 5 || !strings.Contains(got.Reason, "not what was believed") {
		t.Errorf("got %v", got)
	}
}

// Loads through bad pointers give zero.
func TestProbe(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bench, e exec.Engine) {
		block := b.alloc(8)
		mem.Store64(block, 0x8182838485868788)
		for _, tc := range []struct {
			mode, size uint8
			addr, want uint64
		}{
			{insn.ModeProbeMem, insn.SizeB, block, 0x88},
			{insn.ModeProbeMem, insn.SizeH, block, 0x8788},
			{insn.ModeProbeMem, insn.SizeW, block, 0x85868788},
			{insn.ModeProbeMem, insn.SizeDW, block, 0x8182838485868788},
			{insn.ModeProbeMemSX, insn.SizeB, block, 0xffffffffffffff88},
			{insn.ModeProbeMemSX, insn.SizeH, block, 0xffffffffffff8788},
			{insn.ModeProbeMemSX, insn.SizeW, block, 0xffffffff85868788},
			{insn.ModeProbeMem, insn.SizeDW, 0, 0},
			{insn.ModeProbeMem, insn.SizeDW, ^uint64(0), 0},
			{insn.ModeProbeMemSX, insn.SizeW, b.machine.Region.Base() - 1, 0},
			{insn.ModeProbeMem, insn.SizeW, b.machine.Region.Base() + b.machine.Region.Size() - 3, 0},
		} {
			code := []insn.Instruction{insn.Make(insn.ClassLDX|tc.mode|tc.size, insn.R0, insn.R1, 0, 0), insn.Exit()}
			if r0 := b.compile(e, seal(code)).Run(b.cpu, tc.addr); r0 != tc.want {
				t.Errorf("mode %#x size %#x at %#x: %#x, want %#x", tc.mode, tc.size, tc.addr, r0, tc.want)
			}
		}
	})
}

// A lookup in a per-CPU array, inlined: the element of the CPU that runs.
func TestPercpuLookup(t *testing.T) {
	const cpus, stride, elemSize = 3, 256, 24
	for _, e := range engines {
		for id := range cpus {
			b := newBenchOn(t, cpus, id)
			header := b.alloc(64 + cpus*stride)
			for n := range uint64(cpus * stride / 8) {
				mem.Store64(header+64+n*8, n)
			}
			v := seal(append(insn.LoadImm64(insn.R1, header), assemble(t, `
				*(u32 *)(r10 -4) = 3
				r2 = r10
				r2 += -4
				call 1
				if r0 == 0 goto +1
				r0 = *(u64 *)(r0 +8)
				exit`)...))
			v.Facts[5].Map = &desc.Map{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, MaxEntries: 8, Addr: header,
				Array: &desc.ArrayLayout{Base: header + 64, ElemSize: elemSize, Mask: 7, CPUStride: stride}}
			want := uint64(id*stride+3*elemSize+8) / 8
			if r0 := b.compile(e, rewritten(t, v)).Run(b.cpu, 0); r0 != want {
				t.Errorf("%s on CPU %d: %d, want %d", e.Name(), id, r0, want)
			}
		}
	}
}

// The number of the CPU needs no call.
func TestProcessorID(t *testing.T) {
	for _, e := range engines {
		b := newBenchOn(t, 4, 3)
		v := rewritten(t, seal([]insn.Instruction{insn.Call(int32(uapi.BPF_FUNC_get_smp_processor_id)), insn.Exit()}))
		if r0 := b.compile(e, v).Run(b.cpu, 0); r0 != 3 {
			t.Errorf("%s: CPU %d, want 3", e.Name(), r0)
		}
	}
}
