package interp_test

import (
	"encoding/binary"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/interp"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/rewrite"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// engines are the forms that every test body runs over.
var engines = []exec.Engine{interp.New(), interp.NewChecking()}

// bench is a machine with one CPU, and helpers for programs on it.
type bench struct {
	tb      testing.TB
	machine *exec.Machine
	cpu     *exec.CPU
	helpers map[uapi.FuncID]exec.HelperFunc
}

func newBench(tb testing.TB) *bench { return newBenchOn(tb, 1, 0) }

// newBenchOn is a bench with a number of CPUs, of which it holds one.
func newBenchOn(tb testing.TB, cpus, id int) *bench {
	tb.Helper()
	region, err := mem.NewRegion(64 << 20)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := exec.NewMachine(region, cpus)
	if err != nil {
		tb.Fatal(err)
	}
	c := m.Acquire()
	for c.ID != id {
		m.Release(c)
		c = m.Acquire()
	}
	b := &bench{tb: tb, machine: m, cpu: c, helpers: map[uapi.FuncID]exec.HelperFunc{}}
	tb.Cleanup(func() {
		m.Release(b.cpu)
		if err := region.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func (b *bench) env() *exec.Env {
	return &exec.Env{Helper: func(id uapi.FuncID, _ *prog.Fact) exec.HelperFunc { return b.helpers[id] }}
}

func (b *bench) alloc(n int) uint64 {
	b.tb.Helper()
	addr, err := b.machine.Region.Alloc(uint64(n), 8)
	if err != nil {
		b.tb.Fatal(err)
	}
	return addr
}

func (b *bench) compile(e exec.Engine, v *prog.Verified) exec.Image {
	b.tb.Helper()
	img, err := e.Compile(v, b.env())
	if err != nil {
		b.tb.Fatalf("%s: %v", e.Name(), err)
	}
	b.tb.Cleanup(img.Close)
	return img
}

func assemble(tb testing.TB, text string) []insn.Instruction {
	tb.Helper()
	code, err := insn.Assemble(text)
	if err != nil {
		tb.Fatalf("%v in\n%s", err, text)
	}
	return code
}

// seal makes a verified program out of code that the test knows to be good.
// Subprograms are where calls and function pointers go.
func seal(code []insn.Instruction) *prog.Verified {
	raw := &prog.Raw{Insns: code, Info: desc.ProgInfo{
		Type: uapi.BPF_PROG_TYPE_XDP, GPL: true,
		Caps: desc.Caps{BPF: true, Perfmon: true, NetAdmin: true, SysAdmin: true},
	}}
	parts := prog.VerifiedParts{Insns: code, Facts: make([]prog.Fact, len(code))}
	starts := make([]bool, len(code))
	starts[0] = true
	for at, i := range code {
		parts.Facts[at] = prog.Fact{Orig: int32(at), Seen: true, Mem: memKind(i)}
		if i.IsSubprogCall() || i.IsFuncRef() {
			starts[at+1+int(i.Imm())] = true
		}
		if i.IsHelperCall() {
			id := uapi.FuncID(i.Imm())
			parts.Facts[at].Helper = &desc.Helper{ID: id, CallsBack: id == uapi.BPF_FUNC_loop}
		}
	}
	for at, isStart := range starts {
		if isStart {
			parts.Subprogs = append(parts.Subprogs, prog.Subprog{Start: int32(at)})
		}
		s := &parts.Subprogs[len(parts.Subprogs)-1]
		s.StackDepth = max(s.StackDepth, stackUse(code[at]))
	}
	return prog.Seal(raw, parts)
}

func memKind(i insn.Instruction) prog.MemKind {
	if i.Class() == insn.ClassLDX || i.IsStore() {
		return prog.MemPlain
	}
	return prog.MemNone
}

// stackUse is how far below the frame pointer an instruction reaches, as far as
// tests write it: off R10 itself, or a pointer that is moved down by a constant.
func stackUse(i insn.Instruction) uint16 {
	off := 0
	switch {
	case i.Class() == insn.ClassLDX && i.Src() == insn.R10, i.IsStore() && i.Dst() == insn.R10:
		off = int(i.Off())
	case i.Op() == insn.ClassALU64|insn.OpAdd|insn.SrcK && i.Imm() >= -512:
		off = int(i.Imm())
	}
	return uint16(max(0, -off))
}

// resultSize is the room in front of a program's memory for its 64-bit result:
// BPF_PROG_TEST_RUN shows 32 bits of it.
const resultSize = 8

// wrap makes code a subprogram that gets memory in R1 and its length in R2, and
// whose R0 is stored in front of the memory. load is the pair of slots that
// loads the address of the result into R1.
func wrap(code []insn.Instruction, load func(off uint32) []insn.Instruction, length int) []insn.Instruction {
	out := append(load(resultSize), insn.Mov64Imm(insn.R2, int32(length)))
	after := append(load(0),
		insn.StoreMem(insn.SizeDW, insn.R1, 0, insn.R0), insn.Mov64Imm(insn.R0, 0), insn.Exit())
	out = append(out, insn.CallSub(int32(len(after))))
	out = append(out, after...)
	return append(out, code...)
}

// outcome is what a run leaves behind.
type outcome struct {
	r0     uint64
	memory []byte
}

// run runs code over a copy of memory. When rewritten, the program goes through
// all rewriting passes first.
func (b *bench) run(e exec.Engine, code []insn.Instruction, memory []byte, rewritten bool) outcome {
	b.tb.Helper()
	addr := b.alloc(resultSize + len(memory) + 8)
	defer b.machine.Region.Free(addr)
	block := mem.Bytes(addr, uint64(resultSize+len(memory)))
	copy(block[resultSize:], memory)
	code = wrap(code, func(off uint32) []insn.Instruction { return insn.LoadImm64(insn.R1, addr+uint64(off)) }, len(memory))
	v := seal(code)
	if rewritten {
		var err error
		if v, err = rewrite.Run(v, rewrite.Options{}); err != nil {
			b.tb.Fatal(err)
		}
	}
	img := b.compile(e, v)
	top := b.cpu.StackTop
	if r0 := img.Run(b.cpu, 0); r0 != 0 {
		b.tb.Errorf("%s: the wrapper returned %#x", e.Name(), r0)
	}
	if b.cpu.StackTop != top || b.cpu.TailCalls != 0 {
		b.tb.Errorf("%s: the run left the CPU with its stack at %#x (was %#x) and %d tail calls", e.Name(), b.cpu.StackTop, top, b.cpu.TailCalls)
	}
	out := outcome{r0: binary.LittleEndian.Uint64(block), memory: append([]byte(nil), block[resultSize:]...)}
	return out
}

// runLive runs code over memory in the live kernel. It returns the verifier's
// log when the kernel refuses the program.
func runLive(tb testing.TB, code []insn.Instruction, memory []byte) (out outcome, refused string) {
	tb.Helper()
	m := oracle.NewMap(tb, oracle.MapSpec{
		Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: uint32(resultSize + len(memory) + 8), MaxEntries: 1,
	})
	defer m.Close()
	key, value := make([]byte, 4), make([]byte, resultSize+len(memory)+8)
	copy(value[resultSize:], memory) // and room, so that empty memory has an address
	if e := m.Update(key, value, 0); e != 0 {
		tb.Fatal(e)
	}
	code = wrap(code, func(off uint32) []insn.Instruction { return insn.LoadMapValue(insn.R1, 0, off) }, len(memory))
	p := oracle.LoadProg(oracle.Prog{Type: uapi.BPF_PROG_TYPE_XDP, Insns: code, Maps: []*oracle.Map{m}, LogLevel: 1})
	defer p.Close()
	if p.Errno != 0 {
		return out, p.Errno.Name() + "\n" + p.Log
	}
	if r := p.Run(oracle.Input{Data: make([]byte, 64)}); r.Errno != 0 {
		tb.Fatalf("test run: %v", r.Errno)
	}
	value, e := m.Lookup(key)
	if e != 0 {
		tb.Fatal(e)
	}
	return outcome{binary.LittleEndian.Uint64(value), value[resultSize : resultSize+len(memory)]}, ""
}
