package testrun_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/interp"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/rewrite"
	"github.com/skep-ebpf/skep/internal/testrun"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
	"github.com/skep-ebpf/skep/internal/verifier"
)

func assemble(tb testing.TB, text string) []insn.Instruction {
	tb.Helper()
	a := insn.Assembler{Helper: func(name string) (int32, bool) {
		id, ok := uapi.ParseFuncID("BPF_FUNC_" + name)
		return int32(id), ok
	}}
	code, err := a.Assemble(text)
	if err != nil {
		tb.Fatalf("%v in\n%s", err, text)
	}
	return code
}

// verified is the program behind skep's verifier. Callbacks want BTF, which these
// tests do not have: programs with them are sealed as they are.
func (b *bench) verified(tb testing.TB, pt *desc.ProgType, at uapi.AttachType, code []insn.Instruction) *prog.Verified {
	tb.Helper()
	for _, i := range code {
		if i.IsFuncRef() {
			return b.seal(tb, pt, at, code)
		}
	}
	info := desc.ProgInfo{Type: pt.Type, ExpectedAttach: at, GPL: true, Caps: allCaps}
	log, err := verifier.NewLog(1, 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := verifier.Verify(&prog.Raw{Info: info, Insns: code}, &verifier.Env{
		Type: pt, CPUs: 1, Record: true, Log: log,
		ResolveMap: b.resolve,
	})
	if err != nil {
		tb.Fatalf("skep's verifier refuses what the kernel accepts: %v\n%s", err, log)
	}
	return v
}

var allCaps = desc.Caps{BPF: true, Perfmon: true, NetAdmin: true, SysAdmin: true}

// seal makes a verified program out of code that the live kernel accepts. R6
// holds the context throughout, and R1 up to the first call; what is reached
// through them is the context.
func (b *bench) seal(tb testing.TB, pt *desc.ProgType, at uapi.AttachType, code []insn.Instruction) *prog.Verified {
	tb.Helper()
	raw := &prog.Raw{Insns: code, Info: desc.ProgInfo{Type: pt.Type, ExpectedAttach: at, GPL: true, Caps: allCaps}}
	parts := prog.VerifiedParts{Type: pt, Insns: code, Facts: make([]prog.Fact, len(code))}
	starts := make([]bool, len(code))
	starts[0] = true
	ctxInR1 := true
	for n, i := range code {
		f := &parts.Facts[n]
		*f = prog.Fact{Orig: int32(n), Seen: true}
		base := i.Src()
		if i.IsStore() {
			base = i.Dst()
		}
		switch {
		case i.IsSubprogCall() || i.IsFuncRef():
			starts[n+1+int(i.Imm())] = true
			f.Wide = prog.WideFunc
		case i.IsHelperCall():
			ctxInR1 = false
			if f.Helper = pt.Helper(uapi.FuncID(i.Imm()), &raw.Info); f.Helper == nil {
				tb.Fatalf("%s may not call %s", pt.Name, uapi.FuncID(i.Imm()))
			}
		case i.Class() != insn.ClassLDX && !i.IsStore():
		case base == insn.R6 || base == insn.R1 && ctxInR1:
			a := desc.CtxAccess{Off: uint32(i.Off()), Size: uint32(i.SizeBytes()), Write: i.IsStore()}
			if f.Mem, f.Ctx = prog.MemCtx, pt.Context.Access(a, &raw.Info); f.Ctx == nil {
				tb.Fatalf("instruction %d makes an access that %s does not allow", n, pt.Context.Name)
			}
		default:
			f.Mem = prog.MemPlain
		}
	}
	for n, isStart := range starts {
		if isStart {
			parts.Subprogs = append(parts.Subprogs, prog.Subprog{Start: int32(n), StackDepth: exec.StackSize / 2})
		}
	}
	return prog.Seal(raw, parts)
}

// bench is a machine of skep's.
type bench struct {
	m     *exec.Machine
	trace []string
	// constant is a map with read-only data at value, which a program loads with
	// "map[fd:0][0]", and live the same map in the kernel.
	constant *desc.Map
	value    uint64
	live     []*oracle.Map
	maps     []maps.Map // those behind the constant one
}

// constants puts data into a frozen map on both sides, in the place of the one
// before.
func (b *bench) constants(t *testing.T, data []byte) {
	t.Helper()
	size := (len(data) + 7) &^ 7
	data = append(bytes.Clone(data), make([]byte, size-len(data))...)
	live, e := oracle.CreateMap(oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: uint32(size),
		MaxEntries: 1, Flags: uapi.BPF_F_RDONLY_PROG})
	if e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(live.Close)
	if e := live.Update(make([]byte, 4), data, 0); e != 0 {
		t.Fatal(e)
	}
	if e := live.Freeze(); e != 0 {
		t.Fatal(e)
	}
	b.live = []*oracle.Map{live}
	if b.value != 0 {
		b.m.Region.Free(b.value)
	}
	addr, err := b.m.Region.Alloc(uint64(size), 8)
	if err != nil {
		t.Fatal(err)
	}
	copy(mem.Bytes(addr, uint64(size)), data)
	b.value = addr
	b.constant = &desc.Map{ID: 1, Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: uint32(size), MaxEntries: 1,
		Flags: uapi.BPF_F_RDONLY_PROG, SpinLockOff: -1, TimerOff: -1, ReadOnlyProg: true,
		Frozen:    func() bool { return true },
		ValueAddr: func(off uint32) (uint64, bool) { return addr + uint64(off), off < uint32(size) }}
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	region, err := mem.NewRegion(64 << 20)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := exec.NewMachine(region, 1)
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{m: m}
	now := uint64(0)
	m.Clock = func() uint64 { now += 1000; return now }
	m.BootClock, m.TAIClock = m.Clock, m.Clock
	m.Rand = func() uint64 { return 4 }
	m.Trace = func(_ int, line string) { b.trace = append(b.trace, line) }
	used := region.Used()
	tb.Cleanup(func() {
		if b.value != 0 {
			region.Free(b.value)
		}
		for _, m := range b.maps {
			m.Free()
		}
		m.Synchronize()
		if got := region.Used(); got != used {
			tb.Errorf("test runs left %d bytes behind", got-used)
		}
		if err := region.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func (b *bench) compile(tb testing.TB, e exec.Engine, pt *desc.ProgType, at uapi.AttachType, code []insn.Instruction) *testrun.Program {
	tb.Helper()
	v, err := rewrite.Run(b.verified(tb, pt, at, code), rewrite.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	img, err := e.Compile(v, helpers.Env(b.m))
	if err != nil {
		tb.Fatalf("%s: %v", e.Name(), err)
	}
	tb.Cleanup(img.Close)
	return &testrun.Program{Machine: b.m, Image: img, Type: pt.Type, ExpectedAttach: at}
}

var engines = []exec.Engine{interp.New(), interp.NewChecking()}

// add makes a map on both sides and returns what a program calls it.
func (b *bench) add(t *testing.T, spec oracle.MapSpec) string {
	t.Helper()
	if len(b.live) == 0 {
		b.constants(t, make([]byte, 8))
	}
	b.live = append(b.live, oracle.NewMap(t, spec))
	m, err := maps.New(b.m, maps.Spec{Type: spec.Type, KeySize: spec.KeySize, ValueSize: spec.ValueSize,
		MaxEntries: spec.MaxEntries, Flags: spec.Flags, Caps: allCaps})
	if err != nil {
		t.Fatal(err)
	}
	b.maps = append(b.maps, m)
	return fmt.Sprintf("map[fd:%d]", len(b.maps))
}

// resolve finds the map that a program calls by a number.
func (b *bench) resolve(fd int32) (*desc.Map, error) {
	if fd == 0 {
		return b.constant, nil
	}
	return b.maps[fd-1].Desc(), nil
}

// try compares one program, which begins with the context in R6 and returns R0,
// on a few packets.
func try(t *testing.T, b *bench, typ uapi.ProgType, body string, packets ...[]byte) {
	t.Helper()
	tryFlags(t, b, typ, 0, 0, body, packets...)
}

// tryFlags is try with flags for the load and for the run.
func tryFlags(t *testing.T, b *bench, typ uapi.ProgType, load, test uint32, body string, packets ...[]byte) {
	t.Helper()
	s := newSubject(t, b, typ, 0, load, "r6 = r1\n"+body+"\nexit")
	for _, data := range packets {
		s.compare(t, fmt.Sprintf("%s, %d bytes, program\n%s\n", typ.LibName(), len(data), body), oracle.Input{Data: data, Flags: test})
	}
	if t.Failed() {
		t.FailNow()
	}
}

// run does what oracle.Program.Run does, in skep.
func run(p *testrun.Program, in oracle.Input) oracle.Output {
	data := buffer(in.DataOut, len(in.Data), 4096)
	ctx := buffer(in.CtxOut, len(in.Ctx), 256)
	var m usermem.Segments
	a := uapi.TestRunAttr{
		DataSizeIn: uint32(len(in.Data)), DataIn: m.Add(bytes.Clone(in.Data)),
		DataSizeOut: uint32(len(data)), DataOut: m.Add(data),
		CtxSizeIn: uint32(len(in.Ctx)), CtxIn: m.Add(bytes.Clone(in.Ctx)),
		CtxSizeOut: uint32(len(ctx)), CtxOut: m.Add(ctx),
		Repeat: in.Repeat, Flags: in.Flags, CPU: in.CPU, BatchSize: in.BatchSize,
	}
	err := testrun.CheckAttr(&a)
	if err == nil {
		err = testrun.BPF(p, &a, &m)
	}
	out := oracle.Output{Retval: a.Retval, Data: data[:min(int(a.DataSizeOut), len(data))],
		Ctx: ctx[:min(int(a.CtxSizeOut), len(ctx))]}
	if err != nil {
		out.Errno, _ = errno.Of(err)
	}
	return out
}

func buffer(asked, in, extra int) []byte {
	switch {
	case asked > 0:
		return make([]byte, asked)
	case asked < 0 || in == 0:
		return nil
	}
	return make([]byte, in+extra)
}

// subject is one program in the kernel and in skep.
type subject struct {
	live *oracle.Program
	skep []*testrun.Program
}

func newSubject(t *testing.T, b *bench, typ uapi.ProgType, at uapi.AttachType, flags uint32, text string) *subject {
	t.Helper()
	code := assemble(t, text)
	s := &subject{live: oracle.Load(t, oracle.Prog{Type: typ, Insns: code, ExpectedAttachType: at, Flags: flags, LogLevel: 1,
		Maps: b.live})}
	if s.live.Errno != 0 {
		t.Fatalf("the kernel refuses the program: %v\n%s\n%s", s.live.Errno, text, s.live.Log)
	}
	for _, e := range engines {
		s.skep = append(s.skep, b.compile(t, e, progtype.Lookup(typ), at, code))
	}
	return s
}

// compare runs the program on both sides.
func (s *subject) compare(t *testing.T, what string, in oracle.Input) {
	t.Helper()
	want := s.live.Run(in)
	for _, p := range s.skep {
		got := run(p, in)
		if got.Errno != want.Errno {
			t.Errorf("%s: errno %v, kernel %v", what, got.Errno, want.Errno)
			continue
		}
		if want.Errno != 0 && want.Errno != errno.ENOSPC {
			continue
		}
		if got.Retval != want.Retval {
			t.Errorf("%s: returned %d (%#x), kernel %d (%#x)", what, int32(got.Retval), got.Retval, int32(want.Retval), want.Retval)
		}
		if !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s: packet\n%x, kernel\n%x", what, got.Data, want.Data)
		}
		if !bytes.Equal(got.Ctx, want.Ctx) {
			t.Errorf("%s: context\n%x, kernel\n%x", what, got.Ctx, want.Ctx)
		}
	}
}
