package testrun_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// exhaustive runs all combinations of arguments instead of a part of them.
var exhaustive = os.Getenv("SKEP_EXHAUSTIVE") != ""

// fold32 makes the high half of R0 part of what is returned.
const fold32 = `
	r1 = r0
	r1 >>= 32
	r0 ^= r1`

// state returns what helpers may have changed beside the packet: protocol, tag,
// hash, length.
const state = `
	r7 = r0
	r1 = *(u32 *)(r6 +0)
	r7 ^= r1
	r1 = *(u32 *)(r6 +16)
	r1 <<= 8
	r7 ^= r1
	r1 = *(u32 *)(r6 +20)
	r1 <<= 30
	r7 ^= r1
	r1 = *(u32 *)(r6 +24)
	r1 <<= 12
	r7 ^= r1
	r1 = *(u32 *)(r6 +28)
	r1 <<= 10
	r7 ^= r1
	r1 = r6
	r2 = 0
	r3 = r10
	r3 += -8
	r4 = 8
	r5 = 1
	call skb_load_bytes_relative
	r1 = *(u64 *)(r10 -8)
	r7 ^= r1
	r1 = *(u32 *)(r6 +76)
	r2 = *(u32 *)(r6 +80)
	r2 -= r1
	r2 <<= 3
	r7 ^= r2
	r0 = r7` + fold32

// Offsets and lengths around those of a packet of 60 bytes.
var offsets = []int64{0, 1, 13, 14, 15, 24, 25, 44, 52, 56, 58, 59, 60, 61, 0xfffe, 0x10000, 0x7fffffff, -2, -0x80000000}

func TestSKBBytesLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	for _, off := range offsets {
		for _, n := range []int{1, 4, 8} {
			load := fmt.Sprintf("*(u64 *)(r10 -8) = -1\nr1 = r6\nr2 = %d\nr3 = r10\nr3 += -8\nr4 = %d\n", off, n)
			after := "\nr1 = *(u64 *)(r10 -8)\nr0 ^= r1" + fold32
			for _, typ := range []uapi.ProgType{socketFilter, schedCls} {
				try(t, b, typ, load+"call skb_load_bytes"+after, frame(60))
				for start := range 3 {
					try(t, b, typ, load+fmt.Sprintf("r5 = %d\ncall skb_load_bytes_relative", start)+after, frame(60), frame(15+20))
				}
			}
			for flags := range 5 {
				for _, complete := range []uint32{0, uapi.BPF_F_TEST_SKB_CHECKSUM_COMPLETE} {
					tryFlags(t, b, schedCls, 0, complete, fmt.Sprintf(`
						*(u64 *)(r10 -8) = 0x12345678
						r1 = r6
						r2 = %d
						r3 = r10
						r3 += -8
						r4 = %d
						r5 = %d
						call skb_store_bytes`, off, n, flags), frame(60), frameV6(80))
				}
			}
		}
		try(t, b, schedCls, fmt.Sprintf("r1 = r6\nr2 = %d\ncall skb_pull_data", off)+state, frame(60))
	}
}

func TestChecksumsLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	zero := frame(60)
	zero[24], zero[25], zero[40], zero[41] = 0, 0, 0, 0
	ones := frame(60)
	ones[24], ones[25], ones[40], ones[41] = 0xff, 0xff, 0xff, 0xff
	packets := [][]byte{frame(60), zero, ones}
	replace := func(helper string, off, from, to, flags int64) string {
		return fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\nr4 = %d\nr5 = %d\ncall %s", off, from, to, flags, helper)
	}
	for _, off := range offsets {
		try(t, b, schedCls, replace("l3_csum_replace", off, 1, 2, 2), packets...)
		try(t, b, schedCls, replace("l4_csum_replace", off, 1, 2, 2), packets...)
	}
	values := []int64{0, 1, 0xffff, 0x1234, 0x10000, 0x7fffffff, -1, -0x1235}
	for _, from := range values {
		for _, to := range values {
			for _, flags := range []int64{0, 1, 2, 3, 4, 5, 0x10, 0x12, 0x14} {
				try(t, b, schedCls, replace("l3_csum_replace", 24, from, to, flags), packets...)
			}
		}
	}
	for flags := range int64(0x200) {
		if flags > 0x110 || flags&0xf > 5 && !exhaustive {
			continue
		}
		for _, v := range [][2]int64{{0, 0}, {0, -5}, {0x1234, 0x1233}, {-1, 7}, {0xabcd, 0}} {
			for _, complete := range []uint32{0, uapi.BPF_F_TEST_SKB_CHECKSUM_COMPLETE} {
				tryFlags(t, b, schedCls, 0, complete, replace("l4_csum_replace", 40, v[0], v[1], flags), packets...)
			}
		}
	}
	for _, level := range []string{"0", "1", "2", "3", "4", "-1"} {
		try(t, b, schedCls, fmt.Sprintf("r1 = r6\nr2 = %s\ncall csum_level", level), frame(60))
		for _, complete := range []uint32{0, uapi.BPF_F_TEST_SKB_CHECKSUM_COMPLETE} {
			tryFlags(t, b, schedCls, 0, complete, fmt.Sprintf("r1 = r6\nr2 = %s\ncall csum_update", level), frame(60), frame(61), frameV6(97))
		}
	}
	// Levels one after the other.
	for _, seq := range []string{"10", "110", "1110", "11110", "120", "1120", "11220", "130", "1130", "1", "12"} {
		var body strings.Builder
		for _, c := range seq {
			fmt.Fprintf(&body, "r1 = r6\nr2 = %c\ncall csum_level\n", c)
		}
		try(t, b, schedCls, body.String(), frame(60))
	}
}

func TestCsumDiffLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	for _, typ := range []uapi.ProgType{schedCls, xdp} {
		for _, seed := range []string{"0", "1", "-1", "0x7fffffff", "0xffff", "0x12345"} {
			for _, from := range []int{0, 1, 3, 4, 8, 16, 20} {
				for _, to := range []int{0, 2, 4, 12, 16} {
					body := fmt.Sprintf(`
						r7 = 0x123456789abcdef ll
						*(u64 *)(r10 -8) = r7
						*(u64 *)(r10 -16) = -1
						r7 = 0xfedcba9876543210 ll
						*(u64 *)(r10 -24) = r7
						*(u64 *)(r10 -32) = 0
						*(u64 *)(r10 -40) = 1
						r1 = r10
						r1 += -24
						r2 = %d
						r3 = r10
						r3 += -40
						r4 = %d
						r5 = %s
						call csum_diff`, from, to, seed)
					try(t, b, typ, body+fold32, frame(60))
				}
			}
		}
		try(t, b, typ, "r1 = 0\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0x12345678\ncall csum_diff"+fold32, frame(60))
	}
}

func TestVLANLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	tagged := frame(60)
	copy(tagged[12:], []byte{0x81, 0x00, 0x2a, 0x0a, 0x08, 0x00})
	double := frame(64)
	copy(double[12:], []byte{0x88, 0xa8, 0x20, 0x64, 0x81, 0x00, 0x00, 0xc8, 0x86, 0xdd})
	llc := frame(64)
	copy(llc[12:], []byte{0x81, 0x00, 0x00, 0x01, 0x00, 0x20, 0xff, 0xff})
	packets := [][]byte{frame(60), frameV6(80), tagged, double, llc, tagged[:15], tagged[:17], tagged[:18], double[:20]}
	push := func(proto, tci int) string {
		return fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\ncall skb_vlan_push\n", proto, tci)
	}
	const pop = "r1 = r6\ncall skb_vlan_pop\n"
	for _, body := range []string{
		push(0x0081, 5), push(0xa888, 0xffff), push(0, 0), push(0x1234, 7), pop, pop + pop, pop + pop + pop,
		push(0x81, 5) + push(0x81, 6), push(0x81, 5) + push(0xa888, 6) + push(0x81, 7), push(0x81, 5) + pop,
		push(0x81, 5) + push(0xa888, 6) + pop, push(0x81, 5) + push(0xa888, 6) + pop + pop, pop + push(0x81, 9),
		push(0x81, 0) + push(0x81, 0) + pop,
	} {
		for _, complete := range []uint32{0, uapi.BPF_F_TEST_SKB_CHECKSUM_COMPLETE} {
			tryFlags(t, b, schedCls, 0, complete, body+state, packets...)
		}
	}
}

func TestRoomLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	packets := [][]byte{frame(60), frameV6(80), framed(0x0806, 60), frame(34), frameV6(54)}
	for _, n := range []int64{0, 1, 13, 14, 20, 33, 34, 59, 60, 61, 64, 100, 1500, 4000, 16063, 16064, 16065, 65535, 65549,
		65550, 65551, 1 << 20, 0x7fffffff, -1} {
		for flags := range 2 {
			try(t, b, schedCls, fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\ncall skb_change_tail", n, flags)+state, packets...)
			try(t, b, schedCls, fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\ncall skb_change_head", n, flags)+state, packets...)
		}
	}
	for _, proto := range []int{0x0008, 0xdd86, 0x0608, 0} {
		for flags := range 2 {
			for _, complete := range []uint32{0, uapi.BPF_F_TEST_SKB_CHECKSUM_COMPLETE} {
				tryFlags(t, b, schedCls, 0, complete,
					fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\ncall skb_change_proto", proto, flags)+state, packets...)
			}
		}
	}
	const l2Shift = uapi.BPF_ADJ_ROOM_ENCAP_L2_SHIFT
	var flags []uint64
	for f := range uint64(0x400) {
		if f&(f-1) == 0 || f < 0x80 && f&1 == 0 || exhaustive { // singles, and everything about encapsulation
			flags = append(flags, f)
		}
	}
	for _, l2 := range []uint64{1, 13, 14, 40, 255} {
		flags = append(flags, l2<<l2Shift, l2<<l2Shift|2, l2<<l2Shift|0x42, l2<<l2Shift|0x54, l2<<l2Shift|0x1000)
	}
	for _, f := range flags {
		for _, n := range []int{8, 28, -20} {
			for mode := range 2 {
				try(t, b, schedCls, fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\nr4 = 0x%x ll\ncall skb_adjust_room", n, mode, f)+state, packets...)
			}
		}
	}
	for _, n := range []int{0, 1, -1, -8, 4095, 4096, -4095, -4096, 5000, -26, -27, 0x7fffffff, -0x80000000} {
		for mode := range 2 {
			try(t, b, schedCls, fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\nr4 = 0\ncall skb_adjust_room", n, mode)+state, packets...)
		}
	}
}

// Changes one after the other: what one leaves behind is where the next starts.
func TestChangesInSequenceLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	steps := []string{
		"r1 = r6\nr2 = 0x81\nr3 = 5\ncall skb_vlan_push\n",
		"r1 = r6\ncall skb_vlan_pop\n",
		"r1 = r6\nr2 = 20\nr3 = 1\nr4 = 2\ncall skb_adjust_room\n",
		"r1 = r6\nr2 = 28\nr3 = 1\nr4 = 0x12\ncall skb_adjust_room\n",
		"r1 = r6\nr2 = -20\nr3 = 1\nr4 = 0\ncall skb_adjust_room\n",
		"r1 = r6\nr2 = -20\nr3 = 1\nr4 = 0x100\ncall skb_adjust_room\n",
		"r1 = r6\nr2 = 0xdd86\nr3 = 0\ncall skb_change_proto\n",
		"r1 = r6\nr2 = 0x0008\nr3 = 0\ncall skb_change_proto\n",
		"r1 = r6\nr2 = 50\nr3 = 0\ncall skb_change_tail\n",
		"r1 = r6\nr2 = 400\nr3 = 0\ncall skb_change_tail\n",
		"r1 = r6\nr2 = 14\nr3 = 0\ncall skb_change_head\n",
		"r1 = r6\nr2 = 200\nr3 = 0\ncall skb_change_head\n",
	}
	for i, one := range steps {
		for j, two := range steps {
			for k, three := range steps {
				if (i+3*j+7*k)%5 != 0 && !exhaustive {
					continue
				}
				try(t, b, schedCls, one+two+three+state, frame(60), frameV6(90))
			}
		}
	}
}

func TestSKBMetaLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	call1 := func(helper string, v int64) string { return fmt.Sprintf("r1 = r6\nr2 = %d\ncall %s\n", v, helper) }
	for _, typ := range []uapi.ProgType{schedCls, schedAct} {
		for _, v := range []int64{0, 1, 2, 3, 4, 5, 6, 7, 255, -1} {
			try(t, b, typ, call1("skb_change_type", v)+"r7 = r0\nr0 = *(u32 *)(r6 +4)\nr0 <<= 16\nr0 ^= r7", frame(60))
			try(t, b, typ, call1("set_hash", v)+"r1 = r6\ncall get_hash_recalc", frame(60))
			try(t, b, typ, call1("set_hash", v)+"r0 = *(u32 *)(r6 +68)", frame(60))
			try(t, b, typ, call1("set_hash", v)+"r1 = r6\ncall set_hash_invalid\nr7 = r0\nr0 = *(u32 *)(r6 +68)\nr0 ^= r7", frame(60))
			for _, stamp := range []int64{0, 1, -1} {
				try(t, b, typ, fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\ncall skb_set_tstamp\nr7 = r0\nr0 = *(u64 *)(r6 +152)\nr0 ^= r7\nr1 = *(u8 *)(r6 +180)\nr1 <<= 8\nr0 ^= r1",
					stamp, v), frame(60), frameV6(80), framed(0x0806, 60))
			}
		}
		for tos := range 4 {
			p4, p6, tag := frame(60), frameV6(80), frame(60)
			p4[15] = p4[15]&^3 | byte(tos)
			p6[15] = p6[15]&^0x30 | byte(tos)<<4
			copy(tag[12:], []byte{0x81, 0, 0, 1, 8, 0, 0x45, byte(tos)})
			sum := append([]byte(nil), p4...)
			sum[24], sum[25] = 0, 0
			sum2 := append([]byte(nil), p4...)
			sum2[24], sum2[25] = 0xff, 0xfe
			for _, complete := range []uint32{0, uapi.BPF_F_TEST_SKB_CHECKSUM_COMPLETE} {
				tryFlags(t, b, typ, 0, complete, "r1 = r6\ncall skb_ecn_set_ce", p4, p6, tag, sum, sum2, framed(0x806, 60), p4[:34], p6[:54])
			}
		}
		for _, helper := range []string{"get_route_realm", "get_cgroup_classid", "skb_cgroup_classid", "get_socket_uid"} {
			try(t, b, typ, "r1 = r6\ncall "+helper+fold32, frame(60))
		}
		const out = "*(u64 *)(r10 -8) = -1\n*(u64 *)(r10 -16) = -1\n*(u64 *)(r10 -24) = -1\n*(u64 *)(r10 -32) = -1\n*(u64 *)(r10 -40) = -1\n*(u64 *)(r10 -48) = -1\n"
		const after = "\nr1 = *(u64 *)(r10 -16)\nr0 ^= r1\nr1 = *(u32 *)(r10 -40)\nr0 ^= r1" + fold32
		for _, n := range []int{8, 28, 44} {
			try(t, b, typ, out+fmt.Sprintf("r1 = r6\nr2 = r10\nr2 += -48\nr3 = %d\nr4 = 0\ncall skb_get_tunnel_key", n)+after, frame(60))
			try(t, b, typ, out+fmt.Sprintf("r1 = r6\nr2 = r10\nr2 += -48\nr3 = %d\ncall skb_get_tunnel_opt", n)+after, frame(60))
			try(t, b, typ, out+fmt.Sprintf("r1 = r6\nr2 = 0\nr3 = r10\nr3 += -48\nr4 = %d\nr5 = 0\ncall skb_get_xfrm_state", n)+after, frame(60))
		}
	}
}

func TestRedirectsLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	for _, flags := range []int{0, 1, 2, 3, 8, 0x10000, -1} {
		for _, ifindex := range []int{0, 77777777, -1} {
			try(t, b, schedCls, fmt.Sprintf("r1 = %d\nr2 = %d\ncall redirect", ifindex, flags), frame(60))
			try(t, b, xdp, fmt.Sprintf("r1 = %d\nr2 = %d\ncall redirect", ifindex, flags), frame(60))
			try(t, b, schedCls, fmt.Sprintf("r1 = %d\nr2 = %d\ncall redirect_peer", ifindex, flags), frame(60))
			try(t, b, schedCls, fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\ncall clone_redirect", ifindex, flags), frame(60))
			for _, n := range []int{0, 4, 19, 20, 24} {
				try(t, b, schedCls, fmt.Sprintf("*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -24) = 0\nr1 = %d\nr2 = r10\nr2 += -24\nr3 = %d\nr4 = %d\ncall redirect_neigh",
					ifindex, n, flags), frame(60))
			}
		}
	}
}

func TestRoutesLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	zeros := ""
	for off := 8; off <= 72; off += 8 {
		zeros += fmt.Sprintf("*(u64 *)(r10 -%d) = 0\n", off)
	}
	for _, typ := range []uapi.ProgType{schedCls, xdp} {
		for _, family := range []int{0, 1, 2, 10} {
			for _, ifindex := range []int{0, 77777777} {
				for _, flags := range []int{0, 1, 2, 0x3f, 0x40, 0x80, -1} {
					for _, size := range []int{60, 63, 64, 72} {
						try(t, b, typ, zeros+fmt.Sprintf(`
							*(u8 *)(r10 -72) = %d
							*(u32 *)(r10 -64) = %d
							r1 = r6
							r2 = r10
							r2 += -72
							r3 = %d
							r4 = %d
							call fib_lookup`, family, ifindex, size, flags), frame(60))
					}
				}
			}
		}
		for _, mtu := range []int{0, 1, 1500, 65535, 65536, 65537, -1} {
			for _, diff := range []int{0, 1, -1, -70, 65475, 65476, 65477, 65490, 65491, 0x7fffffff} {
				for _, flags := range []int{0, 1, 2} {
					for _, ifindex := range []int{0, 1, 77777777} {
						try(t, b, typ, fmt.Sprintf(`
							*(u64 *)(r10 -8) = %d
							r1 = r6
							r2 = %d
							r3 = r10
							r3 += -8
							r4 = %d
							r5 = %d
							call check_mtu
							r1 = *(u32 *)(r10 -8)
							r1 <<= 8
							r0 ^= r1`, mtu, ifindex, diff, flags), frame(60))
					}
				}
			}
		}
	}
}

// The socket of a test run has the packet's addresses.
func TestSocketOfPacketLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	for _, full := range []bool{false, true} {
		get := "r1 = *(u64 *)(r6 +168)\nr0 = 99\nif r1 == 0 goto out\n"
		if full {
			get += "call sk_fullsock\nif r0 == 0 goto out\nr1 = r0\n"
		}
		for off := 0; off < uapi.SizeofSock; off++ {
			for size := 1; size <= 4; size *= 2 {
				hidden := off >= uapi.OffSockType && off < uapi.OffSockSrcIP4 && !full
				if off%size != 0 || hidden || !readable(off, size) {
					continue
				}
				if off == uapi.OffSockRxQueueMapping && size == 2 {
					// Linux gives all 32 bits of its -1 here, though its verifier goes
					// by two bytes. skep gives what its verifier believes.
					continue
				}
				try(t, b, schedCls, get+fmt.Sprintf("r0 = *(u%d *)(r1 +%d)\nout:\n", 8*size, off),
					frame(60), frameV6(80), framed(0x0806, 60))
			}
		}
	}
	for _, helper := range []string{"tcp_sock", "get_listener_sock"} {
		try(t, b, schedCls, "r1 = *(u64 *)(r6 +168)\nr0 = 99\nif r1 == 0 goto out\ncall "+helper+"\nif r0 == 0 goto out\nr0 = 1\nout:\n", frame(60))
	}
	for _, flags := range []string{"0", "1"} {
		try(t, b, schedCls, "r2 = *(u64 *)(r6 +168)\nr0 = 99\nif r2 == 0 goto out\nr1 = r6\nr3 = "+flags+"\ncall sk_assign\nout:\n", frame(60))
	}
	for _, lookup := range []string{"sk_lookup_tcp", "sk_lookup_udp", "skc_lookup_tcp"} {
		for _, typ := range []uapi.ProgType{schedCls, xdp} {
			for _, n := range []int{11, 12, 36} {
				for _, flags := range []int{0, 1} {
					try(t, b, typ, fmt.Sprintf(`
						*(u64 *)(r10 -8) = 1
						*(u64 *)(r10 -16) = 2
						*(u64 *)(r10 -24) = 3
						*(u64 *)(r10 -32) = 4
						*(u64 *)(r10 -40) = 5
						r1 = r6
						r2 = r10
						r2 += -40
						r3 = %d
						r4 = -1
						r5 = %d
						call %s
						if r0 == 0 goto out
						r1 = r0
						call sk_release
						r0 = 1
					out:`, n, flags, lookup)+"\n", frame(60))
				}
			}
		}
	}
}

// readable says whether struct bpf_sock shows these bytes; helpers' tests hold
// the rules against the kernel.
func readable(off, size int) bool {
	switch {
	case off >= uapi.OffSockSrcIP4 && off < uapi.OffSockSrcPort, off >= uapi.OffSockDstIP4 && off < uapi.OffSockState:
		return true
	case off == uapi.OffSockBoundDevIf, off == uapi.OffSockMark, off == uapi.OffSockPriority:
		return size == 4
	case off == uapi.OffSockDstPort+1:
		return size == 1
	}
	return off%4 == 0
}
