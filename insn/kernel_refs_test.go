package insn_test

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// assemble is for text that is known to be right.
func assemble(t testing.TB, text string) []insn.Instruction {
	t.Helper()
	prog, err := insn.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

var hexNumber = regexp.MustCompile(`0x[0-9a-f]+`)

// TestKernelWideLoads compares the text of 64-bit immediate loads that refer to
// something. The kernel prints the address that it put into them.
func TestKernelWideLoads(t *testing.T) {
	oracle.Require(t)
	m := oracle.NewMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 64, MaxEntries: 1})
	prog := assemble(t, fmt.Sprintf(`
		r1 = map[fd:%[1]d] ll
		r2 = map[fd:%[1]d][0]+48 ll
		r3 = map[idx:0] ll
		r4 = map[idx:0][0]+8 ll
		r5 = subprog[callback] ll
		r0 = -2 ll
		exit
	callback:
		r0 = 0
		exit
	`, m.FD))
	// A callback needs function records; without them the verifier stops there.
	noBTF := oracle.Load(t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Insns: prog, LogLevel: 2, FDArray: []int32{int32(m.FD)}})
	for slot := 0; slot < 10; slot += 2 {
		text := loggedText(noBTF.Log, slot)
		if text == "" {
			t.Fatalf("slot %d was not printed:\n%s", slot, noBTF.Log)
		}
		imm, _ := strconv.ParseUint(hexNumber.FindString(text), 0, 64)
		got := insn.LoadImm64(prog[slot].Dst(), imm)
		var p *insn.Printer
		if kernel := string(p.AppendText(nil, got[0].WithSrc(prog[slot].Src()), got[1])); kernel != text {
			t.Errorf("printed %q, kernel %q", kernel, text)
		}
	}
}

// TestKernelCalls compares the text of calls to subprograms and kernel functions.
func TestKernelCalls(t *testing.T) {
	oracle.Require(t)
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var lock, unlock *btf.Func
	if err := spec.TypeByName("bpf_rcu_read_lock", &lock); err != nil {
		t.Fatal(err)
	}
	if err := spec.TypeByName("bpf_rcu_read_unlock", &unlock); err != nil {
		t.Fatal(err)
	}
	names := map[int32]string{}
	kfuncs := map[string]int32{}
	for _, f := range []*btf.Func{lock, unlock} {
		id, err := spec.TypeID(f)
		if err != nil {
			t.Fatal(err)
		}
		names[int32(id)], kfuncs[f.Name] = f.Name, int32(id)
	}
	a := insn.Assembler{Kfunc: func(name string) (int32, int16, bool) { id, ok := kfuncs[name]; return id, 0, ok }}
	prog, err := a.Assemble(`
		call bpf_rcu_read_lock
		call kfunc bpf_rcu_read_unlock
		call sub
		call pc+1
		exit
	sub:
		r0 = 0
		exit
	`)
	if err != nil {
		t.Fatal(err)
	}
	p := oracle.Load(t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_SCHED_CLS, Insns: prog, LogLevel: 2})
	if p.Errno != 0 {
		t.Fatalf("%v\n%s", p.Errno, p.Log)
	}
	printer := insn.Printer{CallName: func(i insn.Instruction) string { return names[i.Imm()] }}
	for slot := range 4 {
		got := string(printer.AppendText(nil, prog[slot], 0))
		if want := loggedText(p.Log, slot); got != want {
			t.Errorf("printed %q, kernel %q", got, want)
		}
	}
}

// TestBpftoolXlated compares the listing of a loaded program.
func TestBpftoolXlated(t *testing.T) {
	oracle.Require(t)
	bpftool, err := exec.LookPath("bpftool")
	if err != nil {
		t.Skipf("no bpftool on this host: %v", err)
	}
	m := oracle.NewMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 64, MaxEntries: 1})
	info, errno := m.Info()
	if errno != 0 {
		t.Fatal(errno)
	}
	text := fmt.Sprintf(`
		r6 = r1
		r1 = map[fd:%[1]d] ll
		r2 = map[fd:%[1]d][0]+48 ll
		r3 = *(u64 *)(r2 +0)
		r3 = be16 r3
		w4 = w3
		if w4 != 0x5 goto pc+2
		r3 s>>= 7
		lock *(u64 *)(r2 +0) += r3
		*(u32 *)(r10 -4) = -7
		r3 = atomic64_fetch_add((u64 *)(r2 +8), r3)
		r0 = 0x1122334455667788 ll
		r0 = -r0
		exit
	`, m.FD)
	p := oracle.Load(t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Insns: assemble(t, text), LogLevel: 1})
	if p.Errno != 0 {
		t.Fatalf("%v\n%s", p.Errno, p.Log)
	}
	progInfo, errno := p.Info()
	if errno != 0 {
		t.Fatal(errno)
	}
	xlated, errno := p.Xlated()
	if errno != 0 {
		t.Fatal(errno)
	}
	printer := insn.Printer{ImmText: func(dst []byte, i insn.Instruction, imm uint64) []byte {
		switch i.Src() {
		case insn.PseudoMapFD:
			return fmt.Appendf(dst, "map[id:%d]", uint32(imm))
		case insn.PseudoMapValue:
			return fmt.Appendf(dst, "map[id:%d][0]+%d", uint32(imm), imm>>32)
		}
		return dst
	}}
	for _, opcodes := range []bool{false, true} {
		args := []string{"prog", "dump", "xlated", "id", strconv.Itoa(int(progInfo.ID))}
		if opcodes {
			args = append(args, "opcodes")
		}
		want, err := exec.Command(bpftool, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("bpftool: %v\n%s", err, want)
		}
		got := string(printer.AppendXlated(nil, xlated, opcodes))
		if got != string(want) {
			t.Errorf("opcodes %v: printed\n%s\nbpftool\n%s", opcodes, got, want)
		}
		if !strings.Contains(got, fmt.Sprintf("map[id:%d][0]+48", info.ID)) {
			t.Errorf("the map value is missing from\n%s", got)
		}
	}
}

// TestKernelSecondSlot compares the line on the second slot of a wide load.
func TestKernelSecondSlot(t *testing.T) {
	oracle.Require(t)
	m := oracle.NewMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 64, MaxEntries: 1})
	fd := int32(m.FD)
	for _, prog := range [][]insn.Instruction{
		{insn.LoadImm64(0, 7)[0], insn.Exit(), insn.Exit()},
		{insn.LoadImm64(0, 7)[0], insn.Instruction(0).WithOff(1), insn.Exit()},
		{insn.LoadMapFD(0, fd)[0], insn.Instruction(0).WithImm(1), insn.Exit()},
		{insn.LoadMapIdx(0, 0)[0], insn.Instruction(0).WithImm(1), insn.Exit()},
		{insn.LoadImm64(0, 7)[0].WithSrc(9), 0, insn.Exit()},
	} {
		log := oracle.Load(t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Insns: prog, LogLevel: 2, FDArray: []int32{fd}}).Log
		var e *insn.EncodingError
		if err := insn.Check(prog); !errors.As(err, &e) || !strings.Contains(log, e.KernelText()+"\n") {
			t.Errorf("%x: %v, the kernel says\n%s", insn.Encode(prog), err, log)
		}
	}
	accepted := []insn.Instruction{insn.LoadFunc(1, 2)[0], insn.Instruction(0).WithImm(5), insn.Exit()}
	log := oracle.Load(t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Insns: accepted, LogLevel: 2}).Log
	if err := insn.Check(accepted); err != nil || strings.Contains(log, "bpf_ld_imm64") {
		t.Errorf("a callback with a second immediate: %v, the kernel says\n%s", err, log)
	}
}
