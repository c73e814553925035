package testrun_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// layout adds to R0 how long frame, linear data and metadata are.
const layout = `
	r7 = r0
	r1 = *(u32 *)(r6 +0)
	r2 = *(u32 *)(r6 +4)
	r3 = *(u32 *)(r6 +8)
	r2 -= r1
	r1 -= r3
	r2 <<= 8
	r1 <<= 20
	r7 ^= r1
	r7 ^= r2
	r1 = r6
	call xdp_get_buff_len
	r0 <<= 4
	r0 ^= r7`

func tryXDP(t *testing.T, b *bench, body string, ctx []byte, packets ...[]byte) {
	t.Helper()
	s := newSubject(t, b, xdp, 0, uapi.BPF_F_XDP_HAS_FRAGS, "r6 = r1\n"+body+"\nexit")
	for _, data := range packets {
		s.compare(t, fmt.Sprintf("%d bytes, context %x, program\n%s\n", len(data), ctx, body), oracle.Input{Data: data, Ctx: ctx})
	}
	if t.Failed() {
		t.FailNow()
	}
}

// xdpPackets are frames that fit the page, fill it and go over it.
func xdpPackets() [][]byte {
	var out [][]byte
	for _, n := range []int{14, 15, 60, 3519, 3520, 3521, 3534, 5000, 7616, 7617, 20000} {
		out = append(out, frame(n))
	}
	return out
}

func TestXDPAdjustLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	diffs := []int{0, 1, -1, 3, 4, -4, -8, 13, 14, 45, 46, 47, -128, -212, -215, -216, -217, -252, -256, -257, 320, 1000, -1000,
		3459, 3460, 3461, 3505, 3506, 3507, 4000, -3521, -3600, 5000, -5000, -19000, 1 << 20, 0x7fffffff, -0x7fffffff}
	for _, d := range diffs {
		for _, helper := range []string{"xdp_adjust_head", "xdp_adjust_tail", "xdp_adjust_meta"} {
			one := fmt.Sprintf("r1 = r6\nr2 = %d\ncall %s\n", d, helper)
			tryXDP(t, b, one+layout, nil, xdpPackets()...)
			// With metadata in front, and after having moved already.
			meta := "r1 = r6\nr2 = -8\ncall xdp_adjust_meta\n"
			tryXDP(t, b, meta+one+layout, nil, frame(60), frame(5000))
			tryXDP(t, b, one+one+layout, nil, frame(60), frame(4000), frame(5000))
			tryXDP(t, b, one+"r1 = r6\nr2 = 4\ncall xdp_adjust_head\n"+layout, nil, frame(60), frame(5000))
			tryXDP(t, b, one+"r1 = r6\nr2 = 100\ncall xdp_adjust_tail\n"+layout, nil, frame(60), frame(3600), frame(5000))
			tryXDP(t, b, one+"r1 = r6\nr2 = -100\ncall xdp_adjust_tail\n"+layout, nil, frame(60), frame(3600), frame(5000))
		}
	}
}

func TestXDPBytesLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	half := make([]byte, uapi.SizeofXDPMd) // half of the data in the page
	binary.LittleEndian.PutUint32(half[4:], 30)
	for _, off := range []int64{0, 1, 13, 28, 29, 30, 31, 52, 53, 56, 59, 60, 61, 3512, 3518, 3520, 4990, 4996, 5000, 7612, 7614, 7616,
		0xfff8, 0xffff, 0x10000, -1, 0x7fffffff} {
		for _, n := range []int{1, 2, 4, 8} {
			tryXDP(t, b, fmt.Sprintf(`
				*(u64 *)(r10 -8) = -1
				r1 = r6
				r2 = %d
				r3 = r10
				r3 += -8
				r4 = %d
				call xdp_load_bytes
				r1 = *(u64 *)(r10 -8)
				r0 ^= r1`, off, n)+fold32, nil, frame(60), frame(5000), frame(12000))
			store := fmt.Sprintf(`
				*(u64 *)(r10 -8) = 0x12345678
				r1 = r6
				r2 = %d
				r3 = r10
				r3 += -8
				r4 = %d
				call xdp_store_bytes`, off, n)
			tryXDP(t, b, store, nil, frame(60), frame(5000), frame(12000))
			tryXDP(t, b, store, half, frame(60), frame(100))
		}
	}
}

// Without BPF_F_XDP_HAS_FRAGS the kernel runs a program on a long frame all the
// same.
func TestXDPLongFrameWithoutFrags(t *testing.T) {
	oracle.Require(t)
	s := newSubject(t, newBench(t), xdp, 0, 0, "r6 = r1\nr0 = 0"+layout+"\nexit")
	for _, n := range []int{60, 3520, 3521, 9000} {
		s.compare(t, fmt.Sprint(n, " bytes"), oracle.Input{Data: frame(n)})
	}
}

// What a program does to a packet stays for the next of its repeated runs.
func TestRepeatLikeKernel(t *testing.T) {
	oracle.Require(t)
	b := newBench(t)
	s := newSubject(t, b, xdp, 0, 0, "r6 = r1\nr1 = r6\nr2 = 2\ncall xdp_adjust_head"+layout+"\nexit")
	for _, n := range []uint32{1, 2, 5, 100} {
		s.compare(t, fmt.Sprint(n, " runs"), oracle.Input{Data: frame(60), Repeat: n})
	}
	// Packets that grow until they cannot.
	for _, body := range []string{
		"r2 = 0x81\nr3 = 5\ncall skb_vlan_push", "r2 = 4\nr3 = 0\ncall skb_change_head", "r2 = 64\nr3 = 0\ncall skb_change_head",
		"r2 = 20\nr3 = 1\nr4 = 0\ncall skb_adjust_room", "r2 = *(u32 *)(r6 +0)\nr2 += 40\nr3 = 0\ncall skb_change_tail",
	} {
		s := newSubject(t, b, schedCls, 0, 0, "r6 = r1\nr1 = r6\n"+body+state+"\nexit")
		for _, size := range []int{60, 500, 1500, 3712} {
			for _, n := range []uint32{2, 5, 60, 400, 2000} {
				s.compare(t, fmt.Sprintf("%d runs on %d bytes of\n%s", n, size, body), oracle.Input{Data: frame(size), Repeat: n, DataOut: 20000})
			}
		}
	}
}
