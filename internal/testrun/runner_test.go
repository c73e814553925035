package testrun_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/interp"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/testrun"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// A runner gives for each packet what a test run of its own gives, whatever
// came before.
func TestRunnerIsManyTestRuns(t *testing.T) {
	oracle.Require(t)
	for _, tc := range []struct {
		typ  uapi.ProgType
		text string
	}{
		{xdp, "r6 = r1\nr1 = r6\nr2 = 4\ncall xdp_adjust_head\nr1 = r6\nr2 = -6\ncall xdp_adjust_tail" + layout + "\nexit"},
		{schedCls, "r6 = r1\n*(u32 *)(r6 +48) = 7\nr1 = r6\nr2 = 0x81\nr3 = 5\ncall skb_vlan_push\nr1 = r6\nr2 = 0x81\nr3 = 6\ncall skb_vlan_push" + state + "\nexit"},
		{socketFilter, "r6 = r1\nr0 = *(u32 *)(r6 +48)\nr1 = *(u32 *)(r6 +0)\nr0 += r1\n*(u32 *)(r6 +48) = 9\nexit"},
	} {
		b := newBench(t)
		s := newSubject(t, b, tc.typ, 0, uapi.BPF_F_XDP_HAS_FRAGS, tc.text)
		for _, p := range s.skep {
			r, err := testrun.NewRunner(b.m, p.Image, tc.typ)
			if err != nil {
				t.Fatal(err)
			}
			for _, data := range [][]byte{frame(60), frame(1500), frameV6(90), frame(3600), frame(60), framed(0x0806, 42)} {
				c := b.m.Acquire()
				retval, err := r.Run(c, data, 0)
				b.m.Release(c)
				want := s.live.Run(oracle.Input{Data: data})
				if err != nil || retval != want.Retval || !bytes.Equal(r.Packet(), want.Data) {
					t.Errorf("%s, %d bytes: %v, returned %#x with\n%x\nkernel %#x\n%x", tc.typ.LibName(), len(data), err, retval, r.Packet(), want.Retval, want.Data)
				}
			}
			r.Close()
		}
	}
}

func TestRunnerRefuses(t *testing.T) {
	b := newBench(t)
	p := b.compile(t, interp.New(), progtype.Lookup(xdp), 0, assemble(t, "r0 = 2\nexit"))
	if _, err := testrun.NewRunner(b.m, p.Image, uapi.BPF_PROG_TYPE_KPROBE); !errors.Is(err, errno.ENOTSUPP) {
		t.Errorf("a runner for kprobes: %v", err)
	}
	r, err := testrun.NewRunner(b.m, p.Image, xdp)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := b.m.Acquire()
	defer b.m.Release(c)
	for _, n := range []int{0, 13, testrun.MaxPacket + 1} {
		if _, err := r.Run(c, make([]byte, n), 0); !errors.Is(err, errno.EINVAL) {
			t.Errorf("%d bytes: %v, want EINVAL", n, err)
		}
	}
	if v, err := r.Run(c, make([]byte, testrun.MaxPacket), 0); err != nil || v != 2 {
		t.Errorf("the longest packet: %d, %v", v, err)
	}
}

// benchmarkRunner is what a packet costs beside the program itself.
func benchmarkRunner(b *testing.B, typ uapi.ProgType) {
	bench := newBench(b)
	p := bench.compile(b, interp.New(), progtype.Lookup(typ), 0, assemble(b, "r0 = 2\nexit"))
	r, err := testrun.NewRunner(bench.m, p.Image, typ)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	c := bench.m.Acquire()
	defer bench.m.Release(c)
	packet := frame(1500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Run(c, packet, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRunnerXDP(b *testing.B)      { benchmarkRunner(b, xdp) }
func BenchmarkRunnerSchedCls(b *testing.B) { benchmarkRunner(b, schedCls) }
