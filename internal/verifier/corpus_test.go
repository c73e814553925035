package verifier_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// A corpus file holds cases of the form
//
//	== name
//	type xdp                    (default socket_filter)
//	flags strict state-freq     (default none)
//	caps none                   (default all)
//	license MIT                 (default GPL)
//	want EACCES                 (default: accepted)
//	log R1 !read_ok             (any number: text that the log must have)
//	--
//	r0 = 0
//	exit
//
// Maps are named by what they are: map[array], see testMaps.
type testCase struct {
	file, name string
	typ        uapi.ProgType
	attach     uapi.AttachType
	flags      uint32
	unpriv     bool
	license    string
	want       errno.Errno
	logs       []string
	insns      []insn.Instruction
	maps       []string
}

var flagNames = map[string]uint32{
	"strict":     uapi.BPF_F_STRICT_ALIGNMENT,
	"any-align":  uapi.BPF_F_ANY_ALIGNMENT,
	"state-freq": uapi.BPF_F_TEST_STATE_FREQ,
	"invariants": uapi.BPF_F_TEST_REG_INVARIANTS,
}

func loadCorpus(t testing.TB) (cases []*testCase) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus in testdata: %v", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, splitCases(t, filepath.Base(f), string(b))...)
	}
	return cases
}

func splitCases(t testing.TB, file, text string) (cases []*testCase) {
	for _, part := range strings.Split("\n"+text, "\n== ")[1:] {
		cases = append(cases, parseCase(t, file, part))
	}
	return cases
}

func parseCase(t testing.TB, file, text string) *testCase {
	c := &testCase{file: file, typ: uapi.BPF_PROG_TYPE_SOCKET_FILTER, license: "GPL"}
	head, body, ok := strings.Cut(text, "\n--\n")
	lines := strings.Split(head, "\n")
	c.name = lines[0]
	if !ok {
		t.Fatalf("%s: %s: no program", file, c.name)
	}
	for _, l := range lines[1:] {
		key, val, _ := strings.Cut(strings.TrimSpace(l), " ")
		switch key {
		case "", "#":
		case "type":
			if c.typ, ok = uapi.ParseProgType(val); !ok {
				t.Fatalf("%s: %s: type %q", file, c.name, val)
			}
		case "flags":
			for _, f := range strings.Fields(val) {
				if flagNames[f] == 0 {
					t.Fatalf("%s: %s: flag %q", file, c.name, f)
				}
				c.flags |= flagNames[f]
			}
		case "caps":
			c.unpriv = val == "none"
		case "license":
			c.license = val
		case "want":
			if c.want, ok = errno.ByName(val); !ok {
				t.Fatalf("%s: %s: errno %q", file, c.name, val)
			}
		case "log":
			c.logs = append(c.logs, val)
		default:
			t.Fatalf("%s: %s: header %q", file, c.name, l)
		}
	}
	a := insn.Assembler{
		Map: func(name string) (int32, bool) {
			for i, n := range c.maps {
				if n == name {
					return int32(i), true
				}
			}
			c.maps = append(c.maps, name)
			return int32(len(c.maps) - 1), testMaps[name].typ != 0
		},
		Helper: func(name string) (int32, bool) {
			id, ok := uapi.ParseFuncID(strings.TrimPrefix(name, "bpf_"))
			return int32(id), ok
		},
	}
	var err error
	if c.insns, err = a.Assemble(body); err != nil {
		t.Fatalf("%s: %s: %v", file, c.name, err)
	}
	return c
}

// testMap describes a map that cases can name.
type testMap struct {
	typ             uapi.MapType
	key, value, max uint32
	flags           uint32
	inner           string
	frozen          bool
	direct          bool
	data            []byte
}

var testMaps = map[string]testMap{
	"array":        {typ: uapi.BPF_MAP_TYPE_ARRAY, key: 4, value: 48, max: 4},
	"array1":       {typ: uapi.BPF_MAP_TYPE_ARRAY, key: 4, value: 64, max: 1, direct: true},
	"hash":         {typ: uapi.BPF_MAP_TYPE_HASH, key: 8, value: 48, max: 4},
	"lru":          {typ: uapi.BPF_MAP_TYPE_LRU_HASH, key: 16, value: 8, max: 16},
	"percpu_array": {typ: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, key: 4, value: 16, max: 4},
	"percpu_hash":  {typ: uapi.BPF_MAP_TYPE_PERCPU_HASH, key: 4, value: 16, max: 4},
	"lpm":          {typ: uapi.BPF_MAP_TYPE_LPM_TRIE, key: 8, value: 8, max: 4, flags: 1},
	"prog_array":   {typ: uapi.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 4},
	"ringbuf":      {typ: uapi.BPF_MAP_TYPE_RINGBUF, max: 4096},
	"perf":         {typ: uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, key: 4, value: 4, max: 2},
	"queue":        {typ: uapi.BPF_MAP_TYPE_QUEUE, value: 8, max: 4},
	"stack":        {typ: uapi.BPF_MAP_TYPE_STACK, value: 8, max: 4},
	"aom":          {typ: uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, key: 4, value: 4, max: 4, inner: "array"},
	"hom":          {typ: uapi.BPF_MAP_TYPE_HASH_OF_MAPS, key: 4, value: 4, max: 4, inner: "hash"},
	"ro":           {typ: uapi.BPF_MAP_TYPE_ARRAY, key: 4, value: 16, max: 4, flags: uapi.BPF_F_RDONLY_PROG},
	"wo":           {typ: uapi.BPF_MAP_TYPE_ARRAY, key: 4, value: 16, max: 4, flags: uapi.BPF_F_WRONLY_PROG},
	"rodata": {typ: uapi.BPF_MAP_TYPE_ARRAY, key: 4, value: 32, max: 1, flags: uapi.BPF_F_RDONLY_PROG,
		frozen: true, direct: true, data: []byte("\x01\xff\x03\x04\x05\x06\x07\x88format %d\x00aaaaaaaaaaaaaa")},
}

// describe makes the description that the verifier sees.
func describe(name string, id uint32) *desc.Map {
	m := testMaps[name]
	d := &desc.Map{
		ID: id, Type: m.typ, Name: name[:min(len(name), 15)], KeySize: m.key, ValueSize: m.value, MaxEntries: m.max, Flags: m.flags,
		Addr: 0xffff888000000000 + uint64(id)<<12, SpinLockOff: -1, TimerOff: -1,
		ReadOnlyProg:  m.flags&uapi.BPF_F_RDONLY_PROG != 0,
		WriteOnlyProg: m.flags&uapi.BPF_F_WRONLY_PROG != 0,
		Frozen:        func() bool { return m.frozen },
	}
	if m.inner != "" {
		d.Inner = describe(m.inner, id+100)
	}
	if m.typ == uapi.BPF_MAP_TYPE_ARRAY {
		data := m.data
		if data == nil {
			data = make([]byte, m.value)
		}
		d.ValueAddr = func(off uint32) (uint64, bool) {
			if off >= m.value || m.max != 1 {
				return 0, false
			}
			return mem.HostAddr(data[off:]), true
		}
	}
	return d
}

var allCaps = desc.Caps{BPF: true, Perfmon: true, NetAdmin: true, SysAdmin: true}

// verify runs the case through the verifier.
func (c *testCase) verify(level uint32) (v *prog.Verified, code errno.Errno, log *verifier.Log, err error) {
	log, err = verifier.NewLog(level, 1<<30-1)
	if level == 0 {
		log, err = nil, nil
	}
	if err != nil {
		return nil, 0, nil, err
	}
	maps := make([]*desc.Map, len(c.maps))
	for i, n := range c.maps {
		maps[i] = describe(n, uint32(i+1))
	}
	info := desc.ProgInfo{Type: c.typ, ExpectedAttach: c.attach, Flags: c.flags, GPL: c.license == "GPL"}
	if !c.unpriv {
		info.Caps = allCaps
	}
	env := &verifier.Env{
		Type: progtype.Lookup(c.typ), Log: log, CPUs: 2,
		Clock: func() int64 { return 0 },
		ResolveMap: func(fd int32) (*desc.Map, error) {
			switch {
			case fd < 0 || fd > 1000:
				return nil, errno.EBADF
			case int(fd) >= len(maps):
				return nil, errno.EINVAL // some file of the test process
			}
			return maps[fd], nil
		},
	}
	v, err = verifier.Verify(&prog.Raw{Info: info, Insns: c.insns}, env)
	var rejected *verifier.Error
	if errors.As(err, &rejected) {
		code = rejected.Errno
	}
	return v, code, log, err
}

func TestCorpus(t *testing.T) {
	for _, c := range loadCorpus(t) {
		t.Run(c.file+"/"+c.name, func(t *testing.T) {
			_, code, log, err := c.verify(2)
			if code != c.want {
				t.Errorf("verdict %v, want %v (%v)\n%s", code.Name(), c.want.Name(), err, log)
			}
			for _, l := range c.logs {
				if !strings.Contains(log.String(), l) {
					t.Errorf("the log does not have %q:\n%s", l, log)
				}
			}
		})
	}
}

var (
	addresses = regexp.MustCompile(`\(18\) r(\d+) = 0x[0-9a-f]{9,} *`)
	times     = regexp.MustCompile(`verification time \d+ usec`)
)

// normal removes from a log what differs from run to run.
func normal(log string) string {
	log = addresses.ReplaceAllString(log, "(18) r$1 = 0xADDR")
	return times.ReplaceAllString(log, "verification time N usec")
}

// firstDifference shows where two logs part.
func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < max(len(a), len(b)); i++ {
		x, y := "<end>", "<end>"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d:\n  skep  %q\n  linux %q", i+1, x, y)
		}
	}
	return ""
}
