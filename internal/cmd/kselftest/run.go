package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// outcome is what became of a test on one kernel.
type outcome struct {
	errno   errno.Errno
	message string // the first line of the log that says what is wrong
	log     string
	runs    []run
}

type run struct {
	errno  errno.Errno
	retval uint32
}

// errNotRun is for tests that cannot be prepared.
var errNotRun = errors.New("not run")

// flags of a test that mean something else than a load flag.
const (
	flagUnaligned = 1 << iota
	flagStrict
)

// runCase prepares a test as test_verifier does and runs it. errNotRun: the test
// needs something that this command does not prepare, or a map that k does not
// have.
func runCase(k *oracle.Kernel, c *testCase) (*outcome, error) {
	code, err := instructions(c.v.field("insns"))
	if err != nil {
		return nil, err
	}
	p := oracle.Prog{Type: uapi.ProgType(c.v.number("prog_type")), LogLevel: 2, LogSize: 16 << 20}
	if p.Type == 0 {
		p.Type = uapi.BPF_PROG_TYPE_SOCKET_FILTER
	}
	p.ExpectedAttachType = uapi.AttachType(c.v.number("expected_attach_type"))
	p.Flags = loadFlags(c.v.number("flags"))
	for _, unable := range []string{"fill_helper", "fixup_kfunc_btf_id", "kfunc", "btf_types"} {
		if c.v.field(unable) != nil {
			return nil, fmt.Errorf("%w: it uses .%s", errNotRun, unable)
		}
	}
	for _, it := range c.v.list {
		make, ok := fixups[it.field]
		if !ok {
			continue
		}
		m, err := make(k, p.Type)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", errNotRun, err)
		}
		defer m.Close()
		for _, at := range it.v.list {
			if n := int(at.v.num); n >= 0 && n < len(code) {
				code[n] = code[n].WithImm(int32(m.FD))
			}
		}
	}
	p.Insns = code
	prog := k.LoadProg(p)
	defer prog.Close()
	out := &outcome{errno: prog.Errno, log: prog.Log, message: complaint(prog.Log)}
	if prog.Errno == 0 && c.v.number("result") != 0 {
		out.runs = testRuns(prog, c)
	}
	return out, nil
}

// instructions turns an initialiser of struct bpf_insn into code, without the
// zeros at the end.
func instructions(v *value) ([]insn.Instruction, error) {
	if v == nil {
		return nil, fmt.Errorf("%w: it has no instructions", errNotRun)
	}
	var code []insn.Instruction
	for _, it := range v.list {
		if !it.v.isList {
			return nil, fmt.Errorf("%w: %q is no instruction", errNotRun, it.v.name)
		}
		code = append(code, insn.Make(uint8(it.v.number("code")), insn.Reg(it.v.number("dst_reg")&15),
			insn.Reg(it.v.number("src_reg")&15), int16(it.v.number("off")), int32(it.v.number("imm"))))
	}
	for len(code) > 0 && code[len(code)-1] == 0 {
		code = code[:len(code)-1]
	}
	return code, nil
}

func loadFlags(f int64) uint32 {
	flags := uint32(uapi.BPF_F_TEST_RND_HI32)
	if f&flagStrict != 0 {
		flags |= uapi.BPF_F_STRICT_ALIGNMENT
	}
	if f&flagUnaligned != 0 {
		flags |= uapi.BPF_F_ANY_ALIGNMENT
	}
	if f&^3 != 0 {
		flags |= uint32(f)
	}
	return flags
}

const testDataLen = 64

// testRuns runs an accepted program as often as the test says.
func testRuns(prog *oracle.Program, c *testCase) (out []run) {
	n := max(int(c.v.number("runs")), 1)
	for i := range n {
		data := make([]byte, testDataLen)
		src := &c.v
		if r := c.v.field("retvals"); r != nil && i < len(r.list) {
			src = &r.list[i].v
		}
		for j, b := range src.ints("data") {
			if j < len(data) {
				data[j] = byte(b)
			}
		}
		for j, w := range src.ints("data64") {
			if 8*j+8 <= len(data) {
				binary.LittleEndian.PutUint64(data[8*j:], uint64(w))
			}
		}
		r := prog.Run(oracle.Input{Data: data})
		out = append(out, run{r.Errno, r.Retval})
	}
	return out
}

// complaint is the line of a log that says why the program was refused: the last
// before the statistics that is neither an instruction nor a state.
func complaint(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		l := lines[i]
		if l == "" || strings.HasPrefix(l, "processed ") || strings.HasPrefix(l, "verification time") ||
			strings.HasPrefix(l, "stack depth") || strings.HasPrefix(l, "mark_precise") {
			continue
		}
		return l
	}
	return ""
}
