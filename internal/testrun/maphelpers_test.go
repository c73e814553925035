package testrun_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/interp"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// tryFresh compares an XDP program on a map of its own, new for each engine.
func tryFresh(t *testing.T, spec oracle.MapSpec, body string) {
	t.Helper()
	for n := range engines {
		b := newBench(t)
		b.add(t, spec)
		s := newSubject(t, b, xdp, 0, 0, "r6 = r1\n"+body+"\nexit")
		s.skep = s.skep[n : n+1]
		s.compare(t, fmt.Sprintf("%s, program\n%s\n", spec.Type.LibName(), body), oracle.Input{Data: frame(60)})
	}
	if t.Failed() {
		t.FailNow()
	}
}

// What the map helpers return: errors first, then what follows from the calls
// before.
func TestMapHelpersLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	for _, spec := range []oracle.MapSpec{
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 8, ValueSize: 8, MaxEntries: 2},
		{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, KeySize: 8, ValueSize: 8, MaxEntries: 2},
		{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		{Type: uapi.BPF_MAP_TYPE_LPM_TRIE, KeySize: 8, ValueSize: 8, MaxEntries: 2, Flags: uapi.BPF_F_NO_PREALLOC},
	} {
		body := ""
		for _, op := range []struct {
			key   uint64
			flags int
			call  string
		}{
			{1, 0, "map_delete_elem"}, {1, 2, "map_update_elem"}, {1, 1, "map_update_elem"}, {1, 1, "map_update_elem"},
			{2, 0, "map_update_elem"}, {3, 0, "map_update_elem"}, {1, 2, "map_update_elem"}, {1, 3, "map_update_elem"},
			{1, 4, "map_update_elem"}, {1, 8, "map_update_elem"}, {2, 0, "map_delete_elem"}, {3, 0, "map_update_elem"},
			{0, 0, "map_update_elem"}, {1 << 40, 0, "map_update_elem"}, {0, 0, "map_delete_elem"},
		} {
			body += fmt.Sprintf(`
				r1 = 0x%x ll
				*(u64 *)(r10 -8) = r1
				*(u64 *)(r10 -16) = %d
				r1 = map[fd:1] ll
				r2 = r10
				r2 += -8
				r3 = r10
				r3 += -16
				r4 = %d
				call %s
				r7 = r0
			`, op.key, op.key%100, op.flags, op.call)
			tryFresh(t, spec, body+"r0 = r7")
		}
	}
	for _, typ := range []uapi.MapType{uapi.BPF_MAP_TYPE_QUEUE, uapi.BPF_MAP_TYPE_STACK} {
		body := "r7 = 0\n*(u64 *)(r10 -8) = 3\n"
		for i, op := range []string{"map_pop_elem", "map_peek_elem", "map_push_elem", "map_push_elem", "map_push_elem", "map_peek_elem",
			"map_pop_elem", "map_pop_elem", "map_pop_elem", "map_push_elem", "map_push_elem", "map_push_elem"} {
			flags := []int{0, 1, 2, 4}[i%4]
			body += fmt.Sprintf("*(u64 *)(r10 -8) = %d\nr1 = map[fd:1] ll\nr2 = r10\nr2 += -8\nr3 = %d\ncall %s\nr7 *= 31\nr7 += r0\nr1 = *(u64 *)(r10 -8)\nr7 += r1\n", i, flags, op)
		}
		tryFresh(t, oracle.MapSpec{Type: typ, ValueSize: 8, MaxEntries: 2}, body+"r0 = r7"+fold32)
	}
}

func TestRingbufHelpersLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	output := func(n int, flags string) string {
		return fmt.Sprintf("r1 = map[fd:1] ll\nr2 = r10\nr2 += -64\nr3 = %d\nr4 = %s\ncall ringbuf_output\n", n, flags)
	}
	query := func(what int) string { return fmt.Sprintf("r1 = map[fd:1] ll\nr2 = %d\ncall ringbuf_query\n", what) }
	reserve := func(n int, flags, then string) string {
		return fmt.Sprintf("r1 = map[fd:1] ll\nr2 = %d\nr3 = %s\ncall ringbuf_reserve\nif r0 == 0 goto out\n*(u8 *)(r0 +0) = 1\nr1 = r0\nr2 = %s\n", n, flags, then)
	}
	bodies := []string{}
	for _, flags := range []string{"0", "1", "2", "3", "4", "-1"} {
		bodies = append(bodies, output(8, flags), output(0, flags), output(64, flags))
	}
	for what := range 6 {
		bodies = append(bodies, output(13, "0")+query(what))
	}
	for _, n := range []int{1, 8, 100, 4000, 4088, 4089, 4096, 5000} {
		for _, end := range []string{"ringbuf_submit", "ringbuf_discard"} {
			for _, flags := range []string{"0", "1"} {
				bodies = append(bodies, reserve(n, flags, "0")+"call "+end+"\nr0 = 7\nout:\n", reserve(n, "0", flags)+"call "+end+"\n"+query(0)+"out:\n")
			}
		}
	}
	// Until the ring is full.
	full := ""
	for range 8 {
		full += "r1 = map[fd:1] ll\nr2 = 600\nr3 = 0\ncall ringbuf_reserve\nif r0 == 0 goto out\n*(u8 *)(r0 +0) = 1\nr1 = r0\nr2 = 0\ncall ringbuf_submit\nr7 += 1\n"
	}
	bodies = append(bodies, "r7 = 0\n"+full+"out:\nr0 = r7\n")
	for _, body := range bodies {
		tryFresh(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096}, stackText("some text")+body)
	}
}

// Errors of event output, which come before anybody listens.
func TestEventErrorsLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	b.add(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 2})
	for _, typ := range []uapi.ProgType{socketFilter, schedCls, xdp} {
		for _, flags := range []uint64{0, 1, 2, 0xffffffff, 60 << 32, 61 << 32, 46 << 32, 47 << 32, 0xfffff << 32, 1 << 52, 1 << 63, 60<<32 | 5} {
			try(t, b, typ, fmt.Sprintf("*(u64 *)(r10 -8) = 1\nr1 = r6\nr2 = map[fd:1] ll\nr3 = 0x%x ll\nr4 = r10\nr4 += -8\nr5 = 8\ncall perf_event_output", flags), frame(60))
		}
	}
}

// A sample is what the program gives and then as much of the packet as it says,
// from all of its pieces.
func TestEventsCarryThePacket(t *testing.T) {
	for _, tc := range []struct {
		typ    uapi.ProgType
		size   int
		n, off int
	}{{schedCls, 60, 20, 0}, {socketFilter, 60, 20, 14}, {xdp, 60, 60, 0}, {xdp, 5000, 4500, 0}} {
		b := newBench(t)
		b.constant = nil
		m, err := maps.New(b.m, maps.Spec{Type: uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		b.maps = append(b.maps, m)
		buf, err := maps.NewPerfBuffer(0, 1<<14)
		if err != nil {
			t.Fatal(err)
		}
		if e := m.(maps.FDMap).UpdateFD(make([]byte, 4), 0, func(uint32) (maps.Object, errno.Errno) { return buf, 0 }, 0); e != 0 {
			t.Fatal(e)
		}
		p := b.compile(t, interp.New(), progtype.Lookup(tc.typ), 0, assemble(t, fmt.Sprintf(
			"r6 = r1\n*(u64 *)(r10 -8) = 0x1122\nr1 = r6\nr2 = map[fd:1] ll\nr3 = 0x%xffffffff ll\nr4 = r10\nr4 += -8\nr5 = 8\ncall perf_event_output\nexit", tc.n)))
		packet := frame(tc.size)
		if out := run(p, oracle.Input{Data: packet}); out.Errno != 0 || out.Retval != 0 {
			t.Fatalf("errno %v, returned %d", out.Errno, int32(out.Retval))
		}
		want := append([]byte{0x22, 0x11, 0, 0, 0, 0, 0, 0}, packet[tc.off:tc.off+tc.n]...)
		got := 0
		buf.Read(func(data []byte, _ uint64) {
			got++
			if !bytes.HasPrefix(data, want) || len(data) > len(want)+8 {
				t.Errorf("%s, %d bytes: sample\n%x, want\n%x", tc.typ.LibName(), tc.size, data, want)
			}
		})
		if got != 1 {
			t.Errorf("%d samples", got)
		}
	}
}
