package helpers_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// protoMaps are the maps that calls below name by index.
var protoMaps = []struct {
	oracle.MapSpec
	data []byte
}{
	{MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 48, MaxEntries: 4}},
	{MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_QUEUE, ValueSize: 8, MaxEntries: 4}},
	{MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096}},
	{MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 2}},
	{MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PROG_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 4}},
	{MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: 16, MaxEntries: 4}},
	{MapSpec: oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: uapi.BPF_F_RDONLY_PROG},
		data: []byte("%d %d\x00ab%q\x00cdefg")},
}

const constants = 6 // the map with data

func mapFor(id uapi.FuncID) int {
	name := id.LibName()
	switch {
	case strings.HasPrefix(name, "ringbuf"):
		return 2
	case strings.HasSuffix(name, "_push_elem"), strings.HasSuffix(name, "_pop_elem"), strings.HasSuffix(name, "_peek_elem"):
		return 1
	case id == uapi.BPF_FUNC_perf_event_output:
		return 3
	case id == uapi.BPF_FUNC_tail_call:
		return 4
	case id == uapi.BPF_FUNC_map_lookup_percpu_elem:
		return 5
	}
	return 0
}

// kinds are what may be in a register at a call; %[1]d is the register and
// %[2]d a map.
var kinds = []string{
	"",                             // whatever was there
	"r%[1]d = 0",                   // NULL
	"r%[1]d = 64",                  // a number
	"r%[1]d = r6",                  // the context
	"r%[1]d = r10\nr%[1]d += -64",  // initialised stack
	"r%[1]d = r10\nr%[1]d += -192", // uninitialised stack
	"r%[1]d = r10\nr%[1]d += -61",  // unaligned stack
	"r%[1]d = map[fd:%[2]d] ll",    // a map
	"r%[1]d = map[fd:6][0]+0 ll",   // a constant string, of a format
	"r%[1]d = map[fd:6][0]+8 ll",   // one of a bad format
	"r%[1]d = map[fd:6][0]+11 ll",  // text without end
	"r%[1]d = r9",                  // a map value
	"r%[1]d = r8",                  // the packet
	"r%[1]d = r7",                  // a number that is not known
}

// suitable is the kind that fits an argument, -1 where these tests have none.
func suitable(a desc.Arg) int {
	switch a.Base() {
	case desc.ArgNone:
		return 0
	case desc.ArgCtx:
		return 3
	case desc.ArgConstMapPtr:
		return 7
	case desc.ArgMapKey, desc.ArgMapValue, desc.ArgMem:
		return 4
	case desc.ArgConstSize, desc.ArgConstSizeOrZero, desc.ArgConstAllocSizeOrZero:
		return 2
	case desc.ArgAnything:
		return 1
	case desc.ArgConstStr:
		return 8
	}
	return -1
}

// prologue puts the context into R6, an unknown number into R7, a packet pointer
// into R8 (the number where there are none), a map value into R9.
func prologue(pt *desc.ProgType) string {
	var p strings.Builder
	p.WriteString("r6 = r1\n")
	for off := 8; off <= 64; off += 8 {
		fmt.Fprintf(&p, "*(u64 *)(r10 -%d) = 0\n", off)
	}
	p.WriteString("r1 = map[fd:0] ll\nr2 = r10\nr2 += -8\ncall map_lookup_elem\nif r0 == 0 goto out\nr9 = r0\nr7 = *(u64 *)(r9 +0)\nr8 = r7\n")
	if pt.PacketAccess {
		data, end := uapi.OffSkBuffData, uapi.OffSkBuffDataEnd
		if pt.Type == uapi.BPF_PROG_TYPE_XDP {
			data, end = uapi.OffXDPMdData, uapi.OffXDPMdDataEnd
		}
		fmt.Fprintf(&p, "r8 = *(u32 *)(r6 +%d)\nr1 = *(u32 *)(r6 +%d)\nr2 = r8\nr2 += 64\nif r2 > r1 goto out\n", data, end)
	}
	return p.String()
}

// call is a program that calls a helper with these kinds of arguments.
func call(pt *desc.ProgType, id uapi.FuncID, args [5]int) string {
	var p strings.Builder
	p.WriteString(prologue(pt))
	for i, k := range args {
		if k != 0 {
			fmt.Fprintf(&p, kinds[k]+"%[3]s\n", i+1, mapFor(id), "")
		}
	}
	fmt.Fprintf(&p, "call %d\n", id)
	if pt.PacketAccess {
		p.WriteString("r1 = *(u8 *)(r8 +0)\n") // is the packet pointer still good?
	}
	p.WriteString("out:\nr0 = 0\nexit")
	return p.String()
}

// The kernel and skep's verifier, which knows helpers from these prototypes
// alone, say the same of calls with every kind of argument in every register.
func TestPrototypesLikeKernel(t *testing.T) {
	oracle.Require(t)
	for _, pt := range progtype.All() {
		t.Run(pt.Name, func(t *testing.T) {
			t.Parallel()
			live := liveMaps(t)
			cases, same := 0, 0
			for _, id := range helpers.Supported(pt.Type) {
				for _, args := range argumentSets(pt.Helper(id, &desc.ProgInfo{Type: pt.Type, Caps: allCaps})) {
					cases++
					if agree(t, pt, live, call(pt, id, args)) {
						same++
					}
				}
			}
			t.Logf("%d of %d calls have the kernel's log", same, cases)
		})
	}
}

// Every width at every offset of every kind of socket.
func TestSocketFieldsLikeKernel(t *testing.T) {
	oracle.Require(t)
	live := liveMaps(t)
	for name, pointer := range map[string]string{
		"common": "r7 = *(u64 *)(r6 +168)\nif r7 == 0 goto out\n",
		"full":   "r1 = *(u64 *)(r6 +168)\nif r1 == 0 goto out\ncall sk_fullsock\nif r0 == 0 goto out\nr7 = r0\n",
		"tcp":    "r1 = *(u64 *)(r6 +168)\nif r1 == 0 goto out\ncall tcp_sock\nif r0 == 0 goto out\nr7 = r0\n",
		"maybe":  "r7 = *(u64 *)(r6 +168)\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pt := progtype.Lookup(uapi.BPF_PROG_TYPE_SCHED_CLS)
			for off := -4; off <= uapi.SizeofTCPSock; off++ {
				for size := 8; size <= 64; size *= 2 {
					if name == "tcp" && size == 32 && (off == uapi.OffTCPSockBytesReceived+4 || off == uapi.OffTCPSockBytesAcked+4) {
						// Half of a 64-bit counter: Linux accepts it, finds nothing to make
						// of it, and ends with "verifier bug" and EFAULT. Here it is EACCES.
						continue
					}
					agree(t, pt, live, fmt.Sprintf("r6 = r1\n%sr1 = *(u%d *)(r7 %+d)\nout:\nr0 = 0\nexit", pointer, size, off))
				}
			}
			agree(t, pt, live, fmt.Sprintf("r6 = r1\n%s*(u32 *)(r7 +4) = 1\nout:\nr0 = 0\nexit", pointer))
		})
	}
}

// Sockets that are looked up must be given back.
func TestSocketReferencesLikeKernel(t *testing.T) {
	oracle.Require(t)
	live := liveMaps(t)
	const tuple = "r6 = r1\n*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\nr1 = r6\nr2 = r10\nr2 += -16\nr3 = 12\nr4 = -1\nr5 = 0\n"
	const release = "r1 = r0\ncall sk_release\n"
	for _, pt := range progtype.All() {
		if pt.Type == uapi.BPF_PROG_TYPE_SOCKET_FILTER {
			continue
		}
		for _, lookup := range []string{"sk_lookup_tcp", "sk_lookup_udp", "skc_lookup_tcp"} {
			for _, rest := range []string{
				"if r0 == 0 goto out\n" + release, "", release, "if r0 == 0 goto out\n", "r7 = r0\nif r0 == 0 goto out\n" + release + "r1 = *(u32 *)(r7 +4)\n",
				"if r0 == 0 goto out\nr1 = *(u32 *)(r0 +4)\n" + release, "if r0 == 0 goto out\nr1 = *(u32 *)(r0 +8)\n" + release,
				"r7 = r0\nif r0 == 0 goto out\n" + release + "r1 = r7\ncall sk_release\n",
				"if r0 == 0 goto out\nr7 = r0\nr1 = r0\nr2 = r10\nr2 += -16\nr3 = 12\nr4 = r10\nr4 += -16\nr5 = 12\ncall tcp_check_syncookie\nr0 = r7\n" + release,
			} {
				agree(t, pt, live, tuple+"call "+lookup+"\n"+rest+"out:\nr0 = 0\nexit")
			}
		}
	}
}

// liveMaps makes protoMaps in the kernel.
func liveMaps(t *testing.T) (live []*oracle.Map) {
	t.Helper()
	for _, m := range protoMaps {
		lm := oracle.NewMap(t, m.MapSpec)
		if m.data != nil {
			if e := lm.Update(make([]byte, 4), m.data, 0); e != 0 {
				t.Fatal(e)
			}
			if e := lm.Freeze(); e != 0 {
				t.Fatal(e)
			}
		}
		live = append(live, lm)
	}
	return live
}

// argumentSets puts every kind into every argument of a call that is otherwise
// right.
func argumentSets(h *desc.Helper) (sets [][5]int) {
	var right [5]int
	for i, a := range h.Args {
		right[i] = max(suitable(a), 0)
	}
	sets = append(sets, right)
	for i, a := range h.Args {
		if a == desc.ArgNone {
			break
		}
		for k := range kinds {
			if k != right[i] {
				s := right
				s[i] = k
				sets = append(sets, s)
			}
		}
	}
	return sets
}

func agree(t *testing.T, pt *desc.ProgType, live []*oracle.Map, text string) bool {
	t.Helper()
	a := insn.Assembler{Helper: func(name string) (int32, bool) {
		id, ok := uapi.ParseFuncID("BPF_FUNC_" + name)
		return int32(id), ok
	}}
	code, err := a.Assemble(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	p := oracle.LoadProg(oracle.Prog{Type: pt.Type, Insns: code, Maps: live, LogLevel: 2})
	p.Close()
	got, log := verify(t, pt, code)
	if got != p.Errno {
		t.Errorf("kernel %v, skep %v:\n%s\nkernel:\n%s\nskep:\n%s", p.Errno, got, text, p.Log, log)
		return false
	}
	if x, y := lastLines(p.Log), lastLines(log); x != y {
		t.Errorf("%s\nkernel:\n%s\nskep:\n%s", text, x, y)
		return false
	}
	return true
}

var volatileText = regexp.MustCompile(`0x[0-9a-f]{5,} *|verification time.*|processed.*`)

// lastLines is the log from the call on, without what differs from run to run.
func lastLines(log string) string {
	if i := strings.LastIndex(log, " call "); i >= 0 {
		log = log[i:]
	}
	return volatileText.ReplaceAllString(log, "")
}

func verify(t *testing.T, pt *desc.ProgType, code []insn.Instruction) (errno.Errno, string) {
	t.Helper()
	log, err := verifier.NewLog(2, 1<<24)
	if err != nil {
		t.Fatal(err)
	}
	info := desc.ProgInfo{Type: pt.Type, GPL: true, Caps: allCaps}
	_, err = verifier.Verify(&prog.Raw{Info: info, Insns: code}, &verifier.Env{
		Type: pt, Log: log, CPUs: 2, Clock: func() int64 { return 0 },
		ResolveMap: func(fd int32) (*desc.Map, error) { return describe(int(fd)), nil },
	})
	var rejected *verifier.Error
	if errors.As(err, &rejected) {
		return rejected.Errno, log.String()
	}
	return 0, log.String()
}

// describe is a map of protoMaps as the verifier sees it.
func describe(i int) *desc.Map {
	m := protoMaps[i]
	d := &desc.Map{ID: uint32(i + 1), Type: m.Type, KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries,
		Flags: m.Flags, Addr: 0xffff888000000000 + uint64(i)<<12, SpinLockOff: -1, TimerOff: -1,
		ReadOnlyProg: i == constants, Frozen: func() bool { return i == constants }}
	if i == constants {
		d.ValueAddr = func(off uint32) (uint64, bool) { return mem.HostAddr(m.data[off:]), off < m.ValueSize }
	}
	return d
}
