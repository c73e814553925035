package progtype_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

var allTypes = flag.Bool("args.all", false, "check the arguments of every helper in every program type")

// A kind is something that a register may hold at a call.
type kind struct {
	name string
	// code sets register %[1]d; %[2]d is a map that fits the helper.
	code string
	// needs is what the code before the call must have prepared.
	needs string
}

var kinds = []kind{
	{"nothing", "", ""},
	{"0", "r%[1]d = 0", ""},
	{"1", "r%[1]d = 1", ""},
	{"64", "r%[1]d = 64", ""},
	{"65", "r%[1]d = 65", ""},
	{"-1", "r%[1]d = -1", ""},
	{"unknown", "r%[1]d = r7", ""},
	{"at most 31", "r%[1]d = r7\nr%[1]d &= 31", ""},
	{"at most 127", "r%[1]d = r7\nr%[1]d &= 127", ""},
	{"ctx", "r%[1]d = r6", ""},
	{"ctx+8", "r%[1]d = r6\nr%[1]d += 8", ""},
	{"stack", "r%[1]d = r10\nr%[1]d += -64", ""},
	{"uninit stack", "r%[1]d = r10\nr%[1]d += -160", ""},
	{"odd stack", "r%[1]d = r10\nr%[1]d += -61", ""},
	{"end of stack", "r%[1]d = r10\nr%[1]d += -4", ""},
	{"beyond stack", "r%[1]d = r10", ""},
	{"somewhere in stack", "r%[1]d = r7\nr%[1]d &= 7\nr%[1]d += r10\nr%[1]d += -64", ""},
	{"map", "r%[1]d = map[fd:%[2]d] ll", ""},
	{"another map", "r%[1]d = map[fd:4] ll", ""},
	{"value", "r%[1]d = r9", ""},
	{"value+60", "r%[1]d = r9\nr%[1]d += 60", ""},
	{"value+n", "r%[1]d = r7\nr%[1]d &= 31\nr%[1]d += r9", ""},
	{"value or null", "r%[1]d = *(u64 *)(r10 -200)", "maybe"},
	{"read only value", "r%[1]d = map[fd:1][0]+0 ll", ""},
	{"write only value", "r%[1]d = map[fd:2][0]+0 ll", ""},
	{"constant", "r%[1]d = map[fd:3][0]+0 ll", ""},
	{"end of constant", "r%[1]d = map[fd:3][0]+60 ll", ""},
	{"packet", "r%[1]d = r8", "packet"},
	{"packet end", "r%[1]d = *(u%[3]d *)(r6 +%[4]d)", "packet"},
	{"socket", "r%[1]d = *(u64 *)(r10 -208)", "sock"},
	{"socket or null", "r%[1]d = *(u64 *)(r6 +%[5]d)", "sock"},
	{"ringbuf memory", "r%[1]d = *(u64 *)(r10 -216)", "ringbuf"},
}

func kindNamed(name string) int {
	for i, k := range kinds {
		if k.name == name {
			return i
		}
	}
	panic("no kind " + name)
}

// fitting is the kind that suits an argument.
func fitting(a desc.Arg) int {
	name := map[desc.Arg]string{
		desc.ArgNone: "nothing", desc.ArgConstMapPtr: "map", desc.ArgMapKey: "stack", desc.ArgMapValue: "stack",
		desc.ArgMem: "stack", desc.ArgConstSize: "64", desc.ArgConstSizeOrZero: "64", desc.ArgCtx: "ctx",
		desc.ArgAnything: "0", desc.ArgConstAllocSizeOrZero: "64", desc.ArgConstStr: "constant",
		desc.ArgSockCommon: "socket", desc.ArgSocket: "socket", desc.ArgBTFIDSockCommon: "socket",
		desc.ArgRingbufMem: "ringbuf memory", desc.ArgSpinLock: "value", desc.ArgStack: "stack",
		desc.ArgTimer: "value", desc.ArgKptr: "value", desc.ArgDynptr: "stack",
	}[a.Base()]
	if name == "" {
		name = "0"
	}
	return kindNamed(name)
}

// fittingMap is a map that a helper takes.
func fittingMap(id uapi.FuncID) int {
	name := id.LibName()
	for _, m := range []struct{ part, fits string }{
		{"user_ringbuf", "user_ringbuf"}, {"ringbuf", "ringbuf"}, {"_push_elem", "queue"}, {"_pop_elem", "queue"},
		{"_peek_elem", "queue"}, {"perf_event", "perf_event_array"}, {"skb_output", "perf_event_array"},
		{"xdp_output", "perf_event_array"}, {"tail_call", "prog_array"}, {"percpu_elem", "percpu_array"},
		{"get_stackid", "stack_trace"}, {"under_cgroup", "cgroup_array"}, {"redirect_map", "sockmap"},
		{"redirect_hash", "sockhash"}, {"sock_map_update", "sockmap"}, {"sock_hash_update", "sockhash"},
		{"select_reuseport", "reuseport_sockarray"}, {"local_storage", "cgroup_storage"},
	} {
		if strings.Contains(name, m.part) {
			if id == uapi.BPF_FUNC_redirect_map {
				return mapNamed("devmap")
			}
			return mapNamed(m.fits)
		}
	}
	return mapNamed("array")
}

// call is a program that calls a helper with arguments of these kinds.
func call(pt *desc.ProgType, id uapi.FuncID, args [5]int, m int) string {
	needs := map[string]bool{}
	for _, k := range args {
		needs[kinds[k].needs] = true
	}
	var b strings.Builder
	b.WriteString("r6 = r1\nr8 = 0\n")
	for off := 8; off <= 64; off += 8 {
		fmt.Fprintf(&b, "*(u64 *)(r10 -%d) = 0\n", off)
	}
	const lookup = "r1 = map[fd:0] ll\nr2 = r10\nr2 += -8\ncall map_lookup_elem\n"
	if needs["maybe"] {
		b.WriteString("r1 = map[fd:4] ll\nr2 = r10\nr2 += -8\ncall map_lookup_elem\n*(u64 *)(r10 -200) = r0\n")
	}
	b.WriteString(lookup + "if r0 == 0 goto out\nr9 = r0\nr7 = *(u64 *)(r9 +0)\n")
	end, sk := uint32(0), socketField(pt.Context)
	endSize := uint32(4)
	if needs["packet"] {
		b.WriteString(packet(pt.Context, 64))
		_, e := packetFields(pt.Context)
		end, endSize = e.Off, e.Size
	}
	if needs["sock"] {
		fmt.Fprintf(&b, "r1 = *(u64 *)(r6 +%d)\nif r1 == 0 goto out\n*(u64 *)(r10 -208) = r1\n", sk.Off)
	}
	if needs["ringbuf"] {
		fmt.Fprintf(&b, "r1 = map[fd:%d] ll\nr2 = 64\nr3 = 0\ncall ringbuf_reserve\nif r0 == 0 goto out\n*(u64 *)(r10 -216) = r0\n",
			mapNamed("ringbuf"))
	}
	skOff := uint32(0)
	if sk != nil {
		skOff = sk.Off
	}
	for i, k := range args {
		if k != 0 {
			fmt.Fprintf(&b, kinds[k].code+"%[6]s\n", i+1, m, 8*endSize, end, skOff, "")
		}
	}
	fmt.Fprintf(&b, "call %d\n", id)
	if needs["packet"] {
		b.WriteString("r1 = *(u8 *)(r8 +0)\n") // is the packet pointer still good?
	}
	b.WriteString("out:\nr0 = 1\nexit")
	return b.String()
}

// socketField is the context's pointer to a socket.
func socketField(c *desc.Context) *desc.CtxField {
	for i := range c.Fields {
		switch c.Fields[i].Kind {
		case desc.FieldSocket, desc.FieldSocketOrNull, desc.FieldSockCommonOrNull:
			return &c.Fields[i]
		}
	}
	return nil
}

// available says whether programs of the type can have such a thing.
func (k kind) available(pt *desc.ProgType) bool {
	switch k.needs {
	case "packet":
		start, _ := packetFields(pt.Context)
		return start != nil
	case "sock":
		return socketField(pt.Context) != nil
	}
	return true
}

// Calls with every kind of argument in every position, of every helper: what the
// live kernel says of them, with the first thing that it finds wrong. Each
// prototype is tried in two types that have it.
func TestArgumentsLikeKernel(t *testing.T) {
	oracle.Require(t)
	tried := map[*desc.Helper]int{}
	jobs := map[string][]uapi.FuncID{}
	for _, pt := range progtype.AllVerifiable() {
		info := &desc.ProgInfo{Type: pt.Type, ExpectedAttach: attachTypes(pt)[0], Caps: allCaps, VerifyOnly: true}
		for id := uapi.FuncID(1); int(id) < proto.Max; id++ {
			if h := helpers.Lookup(id, info); h != nil && (tried[h] < 2 || *allTypes) {
				tried[h]++
				jobs[pt.Name] = append(jobs[pt.Name], id)
			}
		}
	}
	eachType(t, func(t *testing.T, q question) {
		if q.attach != attachTypes(q.pt)[0] || len(jobs[q.pt.Name]) == 0 {
			return
		}
		var s score
		for _, id := range jobs[q.pt.Name] {
			q.maps = makeMaps(t)
			s.askArguments(t, q, id)
		}
		s.report(t)
	})
}

func (s *score) askArguments(t *testing.T, q question, id uapi.FuncID) {
	h := helpers.Lookup(id, &desc.ProgInfo{Type: q.pt.Type, ExpectedAttach: q.attach, Caps: allCaps, VerifyOnly: true})
	var right [5]int
	fit := fittingMap(id)
	for i, a := range h.Args {
		if right[i] = fitting(a); !kinds[right[i]].available(q.pt) {
			right[i] = kindNamed("0")
		}
	}
	try := func(args [5]int, m int, what string) {
		q.code = program(call(q.pt, id, args, m))
		s.ask(t, q, fmt.Sprintf("%s(%s)", id, what))
	}
	try(right, fit, "as it should be")
	for i, a := range h.Args {
		if a == desc.ArgNone {
			break
		}
		for k := range kinds {
			if k == right[i] || !kinds[k].available(q.pt) {
				continue
			}
			args := right
			args[i] = k
			try(args, fit, fmt.Sprintf("R%d: %s", i+1, kinds[k].name))
		}
		if a == desc.ArgConstMapPtr {
			for m := range testMapSpecs {
				try(right, m, "map: "+testMapSpecs[m].name)
			}
		}
	}
}
