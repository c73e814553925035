package verifier_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// infoTypes is BTF with functions of several kinds.
type infoTypes struct {
	raw     []byte
	parsed  *kbtf.BTF
	ids     map[string]uint32 // functions by name
	strings uint32            // size of the string section
	line    uint32            // where a source line begins
	path    uint32
	live    *oracle.BTF
}

func newInfoTypes(t testing.TB) *infoTypes {
	integer := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	wide := &btf.Int{Name: "__int128", Size: 16, Encoding: btf.Signed}
	enum := &btf.Enum{Name: "verdict", Size: 4, Values: []btf.EnumValue{{Name: "DROP", Value: 1}}}
	ctx := &btf.Pointer{Target: &btf.Struct{Name: "__sk_buff"}}
	results := map[string]btf.Type{
		"int": integer, "void": &btf.Void{}, "enum": enum, "wide": wide, "ptr": ctx,
		"typedef": &btf.Typedef{Name: "s32", Type: integer}, "float": &btf.Float{Name: "double", Size: 8},
	}
	b, err := btf.NewBuilder(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := &infoTypes{ids: map[string]uint32{}}
	for _, name := range []string{"int", "void", "enum", "wide", "ptr", "typedef", "float"} {
		for link, suffix := range map[btf.FuncLinkage]string{btf.StaticFunc: "", btf.GlobalFunc: "_global"} {
			id, err := b.Add(&btf.Func{Name: "f_" + name + suffix, Linkage: link, Type: &btf.FuncProto{Return: results[name],
				Params: []btf.FuncParam{{Name: "ctx", Type: ctx}}}})
			if err != nil {
				t.Fatal(err)
			}
			x.ids[name+suffix] = uint32(id)
		}
	}
	// Strings of source lines come as names of types that nothing refers to.
	if _, err := b.Add(&btf.TypeTag{Type: integer, Value: "  \treturn 0; /* source */"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(&btf.TypeTag{Type: integer, Value: "src/dir/prog.c"}); err != nil {
		t.Fatal(err)
	}
	if x.raw, err = b.Marshal(nil, nil); err != nil {
		t.Fatal(err)
	}
	if x.parsed, err = kbtf.Parse(x.raw, nil); err != nil {
		t.Fatal(err)
	}
	x.strings = x.parsed.StringsLen()
	for off := range x.strings {
		switch s, _ := x.parsed.String(off); s {
		case "  \treturn 0; /* source */":
			x.line = off
		case "src/dir/prog.c":
			x.path = off
		}
	}
	x.live = oracle.LoadBTF(t, x.raw, 0)
	return x
}

// infoCase is a program with its records.
type infoCase struct {
	name              string
	insns             []insn.Instruction
	funcs, lines      []uint32
	relos             []uint32
	funcRec, lineRec  uint32 // record sizes
	funcCnt, lineCnt  uint32
	reloRec, reloCnt  uint32
	withoutBTF        bool
	funcTail, linTail byte // what is in the tail of long records
}

// pack lays words of records out in records of a size. Behind them are zeros, for
// whoever counts too many.
func pack(words []uint32, known int, size uint32, tail byte) []byte {
	n := len(words) / known
	if size == 0 || size > 4096 {
		size = uint32(4 * known)
	}
	out := make([]byte, int(size)*(n+1))
	for i := range n {
		r := out[i*int(size):][:size]
		for j := range known {
			if 4*j+4 <= len(r) {
				binary.LittleEndian.PutUint32(r[4*j:], words[i*known+j])
			}
		}
		if len(r) > 4*known {
			r[len(r)-1] = tail
		}
	}
	return out
}

// infoVerdict is what became of a load.
type infoVerdict struct {
	errno   errno.Errno
	log     string
	refused [3]uint32 // record sizes afterwards
}

func (c *infoCase) records() (funcs, lines, relos []byte) {
	return pack(c.funcs, 2, c.funcRec, c.funcTail), pack(c.lines, 4, c.lineRec, c.linTail), pack(c.relos, 4, c.reloRec, 0)
}

func (c *infoCase) ours(x *infoTypes, level uint32) infoVerdict {
	log, err := verifier.NewLog(level, 1<<20)
	if err != nil {
		return infoVerdict{errno: errno.EINVAL}
	}
	out := infoVerdict{refused: [3]uint32{c.funcRec, c.lineRec, c.reloRec}}
	raw := &prog.Raw{Info: desc.ProgInfo{Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, GPL: true, Caps: allCaps}, Insns: c.insns}
	if !c.withoutBTF {
		raw.BTF = x.parsed
	}
	f, l, r := c.records()
	for i, set := range []struct {
		to         *prog.InfoRecords
		data       []byte
		size, want uint32
	}{{&raw.FuncInfo, f, c.funcRec, c.funcCnt}, {&raw.LineInfo, l, c.lineRec, c.lineCnt}, {&raw.CoreRelo, r, c.reloRec, c.reloCnt}} {
		*set.to = prog.InfoRecords{RecSize: set.size, Count: set.want, Data: set.data,
			Refused: func(size uint32) error { out.refused[i] = size; return nil }}
	}
	env := &verifier.Env{Type: progtype.Lookup(raw.Info.Type), Log: log, CPUs: 2, Clock: func() int64 { return 0 },
		ResolveMap: func(int32) (*desc.Map, error) { return nil, errno.EBADF }}
	_, err = verifier.Verify(raw, env)
	var rejected *verifier.Error
	if errors.As(err, &rejected) {
		out.errno = rejected.Errno
	}
	out.log = normal(log.String())
	return out
}

func (c *infoCase) linux(x *infoTypes, level uint32) infoVerdict {
	f, l, r := c.records()
	var pins oracle.Pins
	defer pins.Release()
	var attr *uapi.ProgLoadAttr
	p := oracle.LoadProg(oracle.Prog{Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Insns: c.insns, LogLevel: level, LogSize: 1 << 18,
		Tweak: func(a *uapi.ProgLoadAttr) {
			attr = a
			a.FuncInfo, a.FuncInfoRecSize, a.FuncInfoCnt = pins.Addr(f), c.funcRec, c.funcCnt
			a.LineInfo, a.LineInfoRecSize, a.LineInfoCnt = pins.Addr(l), c.lineRec, c.lineCnt
			a.CoreRelos, a.CoreReloRecSize, a.CoreReloCnt = pins.Addr(r), c.reloRec, c.reloCnt
			a.ProgBTFFD = uint32(x.live.FD)
			if c.withoutBTF {
				a.ProgBTFFD = ^uint32(0)
			}
		}})
	defer p.Close()
	return infoVerdict{p.Errno, normal(p.Log), [3]uint32{attr.FuncInfoRecSize, attr.LineInfoRecSize, attr.CoreReloRecSize}}
}

// base is a program of two functions with sound records.
func (x *infoTypes) base() *infoCase {
	c := &infoCase{name: "sound", funcRec: 8, lineRec: 16, reloRec: 16}
	c.insns = append(c.insns, insn.CallSub(3))
	c.insns = append(c.insns, insn.LoadImm64(insn.R2, 1<<40)...)
	c.insns = append(c.insns, insn.Exit(), insn.Mov64Imm(insn.R0, 0), insn.Exit())
	c.funcs = []uint32{0, x.ids["int"], 4, x.ids["int"]}
	c.lines = []uint32{0, x.path, x.line, 7<<10 | 3, 1, x.path, x.line, 8<<10 | 1, 4, x.path, x.line, 3 << 10}
	c.funcCnt, c.lineCnt = 2, 3
	return c
}

// infoCases varies the program and its records.
func (x *infoTypes) infoCases() (cases []*infoCase) {
	add := func(change func(c *infoCase), format string, args ...any) {
		c := x.base()
		c.name = fmt.Sprintf(format, args...)
		change(c)
		cases = append(cases, c)
	}
	add(func(*infoCase) {}, "sound")
	add(func(c *infoCase) { c.withoutBTF = true }, "no BTF")
	add(func(c *infoCase) { c.withoutBTF, c.funcCnt, c.lineCnt, c.reloCnt = true, 0, 0, 1 }, "relocations alone")
	for _, size := range []uint32{0, 4, 7, 8, 9, 10, 12, 15, 16, 17, 20, 24, 250, 251, 252, 256, 4096, 4100, 0xffffffff} {
		for _, tail := range []byte{0, 1} {
			add(func(c *infoCase) { c.funcRec, c.funcTail = size, tail }, "func record of %d, tail %d", size, tail)
			add(func(c *infoCase) { c.lineRec, c.linTail = size, tail }, "line record of %d, tail %d", size, tail)
		}
		add(func(c *infoCase) { c.reloRec, c.reloCnt, c.relos = size, 1, []uint32{1, 99, 0, 0} }, "relocation record of %d", size)
	}
	for _, n := range []uint32{0, 1, 2, 3, 4, 0x80000000, 0xffffffff} {
		add(func(c *infoCase) { c.funcCnt = n }, "%d func records", n)
		add(func(c *infoCase) { c.lineCnt = n }, "%d line records", n)
		add(func(c *infoCase) { c.funcCnt, c.lineCnt = n, 0 }, "%d func records, no lines", n)
		add(func(c *infoCase) { c.lineCnt, c.funcCnt = n, 0 }, "%d line records, no functions", n)
	}
	for i := range 4 {
		for _, v := range []uint32{0, 1, 2, 3, 4, 5, 6, 7, 99, 0xffffffff, x.ids["void"], x.ids["int_global"]} {
			add(func(c *infoCase) { c.funcs[i] = v }, "func word %d is %d", i, v)
		}
	}
	for i := range 12 {
		for _, v := range []uint32{0, 1, 2, 3, 4, 5, 6, 7, 99, 0xffffff, 0xffffffff, x.strings - 1, x.strings, x.strings + 1} {
			add(func(c *infoCase) { c.lines[i] = v }, "line word %d is %d", i, v)
		}
	}
	for _, off := range []uint32{0, 4, 8, 40, 48, 0xfffffff8} {
		for _, typ := range []uint32{0, 1, 9999} {
			if typ == 9999 || off%8 != 0 || off >= 48 { // others are relocations that Linux makes
				add(func(c *infoCase) { c.reloCnt, c.relos = 1, []uint32{off, typ, 0, 0} }, "relocation at %d of type %d", off, typ)
			}
		}
	}
	for name := range x.ids { // what leaves a subprogram otherwise
		for _, body := range [][]insn.Instruction{{insn.LoadAbs(insn.SizeB, 0)}, {insn.Call(int32(uapi.BPF_FUNC_tail_call))}} {
			for _, funcs := range []uint32{0, 2} {
				add(func(c *infoCase) {
					c.insns = append(append(c.insns[:4:4], body...), insn.Mov64Imm(insn.R0, 0), insn.Exit())
					c.funcs[3], c.funcCnt = x.ids[name], funcs
				}, "%v in a function of %s, %d records", body[0], name, funcs)
			}
		}
		add(func(c *infoCase) { c.funcs[1] = x.ids[name] }, "main of %s", name)
		add(func(c *infoCase) { c.funcs[3] = x.ids[name] }, "function of %s", name)
	}
	return append(cases, x.randomCases()...)
}

func (x *infoTypes) randomCases() (cases []*infoCase) {
	r := rand.New(rand.NewPCG(3, 4))
	small := func() uint32 {
		return []uint32{0, 1, 2, 3, 4, 5, 6, x.line, x.path, x.strings, 1 << 10, 0xffffffff}[r.IntN(12)]
	}
	for i := range 1500 {
		c := x.base()
		c.name = fmt.Sprint("random ", i)
		for range 1 + r.IntN(3) {
			switch r.IntN(6) {
			case 0:
				c.funcs[r.IntN(4)] = small()
			case 1, 2:
				c.lines[r.IntN(12)] = small()
			case 3:
				c.funcCnt = uint32(r.IntN(4))
			case 4:
				c.lineCnt = uint32(r.IntN(5))
			case 5:
				c.lineRec, c.linTail = 4*uint32(r.IntN(8)), byte(r.IntN(2))
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// The records of a program's BTF: verdict, errno, the log and what is left in
// the attribute are the live kernel's.
func TestOracleBTFInfo(t *testing.T) {
	oracle.Require(t)
	x := newInfoTypes(t)
	var n, errnos, logs, sizes int
	for i, c := range x.infoCases() {
		level := []uint32{2, 1}[i%2]
		ours, linux := c.ours(x, level), c.linux(x, level)
		n++
		if ours.errno != linux.errno {
			errnos++
			t.Errorf("%s: %s, Linux %s\n%s\n--\n%s", c.name, ours.errno.Name(), linux.errno.Name(), ours.log, linux.log)
		} else if d := firstDifference(ours.log, linux.log); d != "" {
			logs++
			t.Errorf("%s: %s", c.name, d)
		}
		if ours.refused != linux.refused {
			sizes++
			t.Errorf("%s: record sizes %v, Linux %v", c.name, ours.refused, linux.refused)
		}
	}
	t.Logf("%d loads: errno agrees in %d, the log in %d, the sizes left in %d", n, n-errnos, n-errnos-logs, n-sizes)
}
