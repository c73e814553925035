//go:build linux

package maps

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// livePerf is a software event of one CPU in the live kernel, mapped.
type livePerf struct {
	fd   int
	page []byte // struct perf_event_mmap_page
	ring []byte
}

// Offsets in struct perf_event_mmap_page.
const (
	perfDataHead = 1024
	perfDataTail = 1032
)

func openPerf(t *testing.T, cpu, size int) *livePerf {
	t.Helper()
	fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_BPF_OUTPUT,
		Size: unix.PERF_ATTR_SIZE_VER1, Sample_type: unix.PERF_SAMPLE_RAW, Wakeup: 1,
	}, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		t.Skipf("oracle: perf_event_open: %v", err)
	}
	b, err := unix.Mmap(fd, 0, pageSize+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b); unix.Close(fd) })
	return &livePerf{fd, b[:pageSize], b[pageSize:]}
}

// consume reads the samples and the numbers of those that were lost.
func (l *livePerf) consume() (samples []string) {
	head := binary.LittleEndian.Uint64(l.page[perfDataHead:])
	tail := binary.LittleEndian.Uint64(l.page[perfDataTail:])
	lost := uint64(0)
	at := func(pos, n uint64) []byte {
		out := make([]byte, n)
		for i := range out {
			out[i] = l.ring[(pos+uint64(i))%uint64(len(l.ring))]
		}
		return out
	}
	for tail < head {
		hdr := at(tail, 8)
		n := uint64(binary.LittleEndian.Uint16(hdr[6:]))
		switch body := at(tail+8, n-8); binary.LittleEndian.Uint32(hdr) {
		case unix.PERF_RECORD_LOST:
			lost = binary.LittleEndian.Uint64(body[8:])
		case unix.PERF_RECORD_SAMPLE:
			samples = append(samples, fmt.Sprintf("%x after %d lost", body[4:], lost))
			lost = 0
		}
		tail += n
	}
	binary.LittleEndian.PutUint64(l.page[perfDataTail:], tail)
	return samples
}

// bpf_perf_event_output: every errno, what is lost when, and the bytes.
func TestPerfEventArrayLive(t *testing.T) {
	pin(t)
	p := newPair(t, Spec{Type: uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 4})
	if len(p.skep.(*PerfEventArray).m.CPUs) < 2 {
		t.Skip("oracle: an event of another CPU needs a second CPU")
	}
	const size = 4096
	bufs, live := map[uint32]*PerfBuffer{}, map[uint32]*livePerf{}
	for _, cpu := range []uint32{0, 1} {
		var err error
		if bufs[cpu], err = NewPerfBuffer(int(cpu), size); err != nil {
			t.Fatal(err)
		}
		live[cpu] = openPerf(t, int(cpu), size)
		key := binary.LittleEndian.AppendUint32(nil, cpu)
		fd := uint32(live[cpu].fd)
		e := p.skep.(FDMap).UpdateFD(key, fd, func(uint32) (Object, errno.Errno) { return bufs[cpu], 0 }, 0)
		p.same("put event", e, p.live.Update(key, binary.LittleEndian.AppendUint32(nil, fd), 0), nil, nil)
	}
	code, err := insn.Assemble(strings.ReplaceAll(`r6 = r1
r2 = 14; r3 = r10; r3 += -16; r4 = 16; call 26; if r0 != 0 goto out
r2 = 30; r1 = r6; r3 = r10; r3 += -216; r4 = 200; call 26; if r0 != 0 goto out
r1 = r6; r2 = map[fd:0] ll; r3 = *(u64 *)(r10 - 16); r4 = r10; r4 += -216
r5 = *(u64 *)(r10 - 8); if r5 > 200 goto out; call 25
out: exit`, "; ", "\n"))
	if err != nil {
		t.Fatal(err)
	}
	prog := oracle.Load(t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_SCHED_CLS, Insns: code, Maps: []*oracle.Map{p.live}, LogLevel: 1})
	if prog.Errno != 0 {
		t.Fatalf("%v\n%s", prog.Errno, prog.Log)
	}
	a := p.skep.(*PerfEventArray)
	c := a.m.Acquire()
	t.Cleanup(func() { a.m.Release(c) })
	rng := rand.New(rand.NewPCG(1, 9))
	results := map[errno.Errno]int{}
	for step := range 2000 {
		if rng.IntN(60) == 0 {
			want := live[0].consume()
			n := 0
			bufs[0].Read(func(data []byte, lost uint64) {
				got := fmt.Sprintf("%x after %d lost", data, lost)
				if n >= len(want) || got != want[n] {
					t.Fatalf("step %d: sample %d is %s; the kernel has %v", step, n, got, want[n:])
				}
				n++
			})
			if n != len(want) {
				t.Fatalf("step %d: %d samples, the kernel has %d", step, n, len(want))
			}
			continue
		}
		index := []uint64{uapi.BPF_F_CURRENT_CPU, uapi.BPF_F_CURRENT_CPU, uapi.BPF_F_CURRENT_CPU, 0, 1, 2, 4, 1 << 31}[rng.IntN(8)]
		// The kernel leaves what pads a sample undefined; whole words have none.
		data := randomBytes(rng, int(rng.Uint64N(25))*8+4)
		data = data[:min(len(data), 196)]
		pkt := binary.LittleEndian.AppendUint64(make([]byte, 14), index)
		pkt = append(binary.LittleEndian.AppendUint64(pkt, uint64(len(data))), data...)
		out := prog.Run(oracle.Input{Data: append(pkt, make([]byte, 200-len(data))...)})
		if out.Errno != 0 {
			t.Fatal(out.Errno)
		}
		cut := rng.IntN(len(data) + 1)
		e := a.Output(c, index, data[:cut], data[cut:])
		if got := uint32(e.Ret()); got != out.Retval {
			t.Fatalf("step %d: output of %d bytes to %#x: skep answers %d, the kernel %d", step, len(data), index, int32(got), int32(out.Retval))
		}
		results[e]++
	}
	for _, e := range []errno.Errno{0, errno.E2BIG, errno.ENOENT, errno.EOPNOTSUPP, errno.ENOSPC} {
		if results[e] == 0 {
			t.Errorf("%s never happened: %v", name(e), results)
		}
	}
}
