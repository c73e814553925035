package testrun_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// frame is an Ethernet frame of n bytes with an IPv4 header and UDP ports, cut
// where it is shorter.
func frame(n int) []byte {
	b := make([]byte, max(n, 42))
	copy(b, []byte{0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00,
		0x45, 0x02, 0, 0, 0x12, 0x34, 0x40, 0, 64, 17, 0xbe, 0xef, 192, 0, 2, 1, 198, 51, 100, 2,
		0x30, 0x39, 0x00, 0x35, 0, 0, 0xab, 0xcd})
	binary.BigEndian.PutUint16(b[16:], uint16(max(n-14, 0)))
	for i := 42; i < len(b); i++ {
		b[i] = byte(i * 7)
	}
	return b[:n]
}

func frameV6(n int) []byte {
	b := frame(max(n, 62))
	copy(b[12:], []byte{0x86, 0xdd, 0x60, 0x10, 0, 0, 0, 20, 17, 64})
	return b[:n]
}

func framed(proto uint16, n int) []byte {
	b := frame(n)
	binary.BigEndian.PutUint16(b[12:], proto)
	return b
}

const (
	socketFilter = uapi.BPF_PROG_TYPE_SOCKET_FILTER
	schedCls     = uapi.BPF_PROG_TYPE_SCHED_CLS
	schedAct     = uapi.BPF_PROG_TYPE_SCHED_ACT
	xdp          = uapi.BPF_PROG_TYPE_XDP
)

var allTypes = []uapi.ProgType{socketFilter, schedCls, schedAct, xdp}

// Packets of every interesting size, with and without room for the output.
func TestSizesLikeKernel(t *testing.T) {
	oracle.Require(t)
	for _, typ := range allTypes {
		t.Run(typ.LibName(), func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, newBench(t), typ, 0, 0, "r0 = 7\nexit")
			for _, n := range []int{0, 1, 13, 14, 15, 33, 34, 35, 53, 54, 64, 1514, 3392, 3519, 3520, 3521,
				3711, 3712, 3713, 3776, 3777, 4095, 4096, 4097, 5000, 9000, 65535, 3520 + 17*4096, 3521 + 17*4096} {
				for _, proto := range []uint16{0x0800, 0x86dd, 0x0806, 0x0100} {
					for _, out := range []int{0, -1, 1, 10, n, n + 1} {
						in := oracle.Input{Data: framed(proto, max(n, 14))[:n], DataOut: out}
						s.compare(t, fmt.Sprintf("%d bytes of %#x, %d out", n, proto, out), in)
					}
				}
			}
		})
	}
}

// Flags, CPU and batch size.
func TestArgumentsLikeKernel(t *testing.T) {
	oracle.Require(t)
	for _, typ := range allTypes {
		s := newSubject(t, newBench(t), typ, 0, 0, "r0 = 7\nexit")
		for _, in := range []oracle.Input{
			{Flags: uapi.BPF_F_TEST_RUN_ON_CPU}, {Flags: 4}, {Flags: 8}, {Flags: 1 << 31}, {CPU: 1}, {BatchSize: 1}, {BatchSize: 300},
			{Flags: uapi.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: 300}, {Repeat: 3}, {Repeat: 1000},
		} {
			in.Data = frame(64)
			s.compare(t, fmt.Sprintf("%s: flags %#x, cpu %d, batch %d", typ.LibName(), in.Flags, in.CPU, in.BatchSize), in)
		}
	}
	for _, at := range []uapi.AttachType{uapi.BPF_XDP, uapi.BPF_XDP_DEVMAP, uapi.BPF_XDP_CPUMAP} {
		newSubject(t, newBench(t), xdp, at, 0, "r0 = 2\nexit").compare(t, at.String(), oracle.Input{Data: frame(64)})
	}
}

// Every byte of struct __sk_buff that a caller may or may not set, and values at
// the limits of those that may be.
func TestSKBContextLikeKernel(t *testing.T) {
	oracle.Require(t)
	for _, typ := range []uapi.ProgType{socketFilter, schedCls} {
		t.Run(typ.LibName(), func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, newBench(t), typ, 0, 0, "r0 = 7\nexit")
			data := frame(100)
			for off := range uapi.SizeofSkBuff {
				ctx := make([]byte, uapi.SizeofSkBuff)
				ctx[off] = 1
				s.compare(t, fmt.Sprintf("byte %d set", off), oracle.Input{Data: data, Ctx: ctx})
			}
			for _, f := range []struct {
				off    int
				values []uint32
			}{
				{uapi.OffSkBuffWireLen, []uint32{1, 99, 100, 101, 65535, 65536, 65537, 1 << 31}},
				{uapi.OffSkBuffGSOSegs, []uint32{1, 65535, 65536}},
				{uapi.OffSkBuffGSOSize, []uint32{1, 65535, 65536, 0xffffffff}},
				{uapi.OffSkBuffIfindex, []uint32{0, 1, 77777777}},
				{uapi.OffSkBuffIngressIfindex, []uint32{0, 1, 77777777}},
				{uapi.OffSkBuffMark, []uint32{0xffffffff}}, {uapi.OffSkBuffPriority, []uint32{0xffffffff}},
				{uapi.OffSkBuffDataEnd, []uint32{14, 20, 34, 60, 100, 101}},
			} {
				for _, v := range f.values {
					ctx := make([]byte, uapi.SizeofSkBuff)
					binary.LittleEndian.PutUint32(ctx[f.off:], v)
					s.compare(t, fmt.Sprintf("field at %d set to %d", f.off, v), oracle.Input{Data: data, Ctx: ctx})
				}
			}
			compareContextSizes(t, s, uapi.SizeofSkBuff)
		})
	}
}

// compareContextSizes gives contexts that are shorter and longer than the
// structure, and room for less and more than it.
func compareContextSizes(t *testing.T, s *subject, size int) {
	t.Helper()
	for _, n := range []int{1, 4, size - 1, size, size + 1, size + 8, 4096, 4097} {
		for _, last := range []byte{0, 1} {
			ctx := make([]byte, n)
			if n > size {
				ctx[n-1] = last
			}
			for _, out := range []int{0, -1, 1, size - 1, size, size + 1} {
				s.compare(t, fmt.Sprintf("context of %d bytes ending in %d, room for %d", n, last, out),
					oracle.Input{Data: frame(100), Ctx: ctx, CtxOut: out})
			}
		}
	}
	for _, out := range []int{1, size} {
		s.compare(t, fmt.Sprintf("no context in, room for %d out", out), oracle.Input{Data: frame(100), CtxOut: out})
	}
}

// struct xdp_md with metadata, partial linear data, devices and queues.
func TestXDPContextLikeKernel(t *testing.T) {
	oracle.Require(t)
	// The program returns what it sees: lengths, device and queue.
	s := newSubject(t, newBench(t), xdp, 0, uapi.BPF_F_XDP_HAS_FRAGS, `
		r6 = r1
		r2 = *(u32 *)(r6 +0)
		r3 = *(u32 *)(r6 +4)
		r4 = *(u32 *)(r6 +8)
		r0 = r3
		r0 -= r2
		r2 -= r4
		r2 <<= 16
		r0 |= r2
		r5 = *(u32 *)(r6 +12)
		r5 <<= 28
		r0 ^= r5
		r5 = *(u32 *)(r6 +16)
		r5 <<= 24
		r0 ^= r5
		exit`)
	md := func(data, end, meta, ifindex, queue, egress uint32) []byte {
		b := make([]byte, 0, uapi.SizeofXDPMd)
		for _, v := range []uint32{data, end, meta, ifindex, queue, egress} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	for _, size := range []uint32{14, 40, 100, 3700, 4000, 9000} {
		in := oracle.Input{Data: frame(int(size))}
		for _, data := range []uint32{0, 1, 2, 4, 8, 32, 36, 212, 216, 220, 252, 256, size - 14, size - 13, size} {
			for _, end := range []uint32{0, 1, 13, 14, 30, size - 1, size, size + 1} {
				in.Ctx = md(data, end, 0, 0, 0, 0)
				s.compare(t, fmt.Sprintf("%d bytes, data %d, data_end %d", size, data, end), in)
			}
		}
		for _, ctx := range [][]byte{md(0, size, 1, 0, 0, 0), md(0, size, 0, 1, 0, 0), md(0, size, 0, 1, 1, 0),
			md(0, size, 0, 0, 1, 0), md(0, size, 0, 77777777, 0, 0), md(0, size, 0, 0, 0, 1)} {
			in.Ctx = ctx
			s.compare(t, fmt.Sprintf("%d bytes, context %x", size, ctx), in)
		}
	}
	compareContextSizes(t, s, uapi.SizeofXDPMd)
}

// Every field that a program can read has the kernel's value, whole and in
// parts.
func TestFieldsReadLikeKernel(t *testing.T) {
	oracle.Require(t)
	type field struct {
		off, size int
	}
	ctx := make([]byte, uapi.SizeofSkBuff)
	put := func(off int, v uint32) { binary.LittleEndian.PutUint32(ctx[off:], v) }
	put(uapi.OffSkBuffMark, 0x11223344)
	put(uapi.OffSkBuffPriority, 0x55667788)
	put(uapi.OffSkBuffIngressIfindex, 0x01020304)
	for i := range 5 {
		put(uapi.OffSkBuffCb+4*i, uint32(0xa0a1a2a3+i))
	}
	put(uapi.OffSkBuffTstamp, 0xdeadbeef)
	put(uapi.OffSkBuffTstamp+4, 0x1234)
	put(uapi.OffSkBuffWireLen, 40000)
	put(uapi.OffSkBuffGSOSegs, 0x0304)
	put(uapi.OffSkBuffGSOSize, 0x0506)
	put(uapi.OffSkBuffHwtstamp, 0xcafe)
	words := []int{uapi.OffSkBuffLen, uapi.OffSkBuffPktType, uapi.OffSkBuffMark, uapi.OffSkBuffQueueMapping,
		uapi.OffSkBuffProtocol, uapi.OffSkBuffVLANPresent, uapi.OffSkBuffVLANTci, uapi.OffSkBuffVLANProto,
		uapi.OffSkBuffPriority, uapi.OffSkBuffIngressIfindex, uapi.OffSkBuffIfindex, uapi.OffSkBuffTcIndex,
		uapi.OffSkBuffCb, uapi.OffSkBuffCb + 4, uapi.OffSkBuffCb + 16, uapi.OffSkBuffHash, uapi.OffSkBuffTcClassid,
		uapi.OffSkBuffNapiID, uapi.OffSkBuffWireLen, uapi.OffSkBuffGSOSegs, uapi.OffSkBuffGSOSize}
	var fields []field
	for _, w := range words {
		for _, size := range []int{1, 2, 4} {
			for off := w; off < w+4; off += size {
				fields = append(fields, field{off, size})
			}
		}
	}
	fields = append(fields, field{uapi.OffSkBuffCb, 8}, field{uapi.OffSkBuffCb + 8, 8}, field{uapi.OffSkBuffTstamp, 8},
		field{uapi.OffSkBuffTstampType, 1}, field{uapi.OffSkBuffHwtstamp, 8})
	b := newBench(t)
	for _, typ := range []uapi.ProgType{socketFilter, schedCls} {
		for _, f := range fields {
			hidden := f.off == uapi.OffSkBuffTcClassid&^3 && f.off < uapi.OffSkBuffTcClassid+4 || f.off >= uapi.OffSkBuffTstamp &&
				f.off < uapi.OffSkBuffGSOSegs || f.off >= uapi.OffSkBuffTstampType
			if hidden = hidden || f.off/4 == uapi.OffSkBuffTcClassid/4; hidden && typ == socketFilter {
				continue
			}
			s := newSubject(t, b, typ, 0, 0, fmt.Sprintf(`
				r6 = r1
				r0 = *(u%d *)(r6 +%d)
				r1 = r0
				r1 >>= 32
				r0 ^= r1
				exit`, 8*f.size, f.off))
			for _, data := range [][]byte{frame(60), frameV6(80), framed(0x8100, 60), framed(5, 60)} {
				s.compare(t, fmt.Sprintf("%s: u%d at %d", typ.LibName(), 8*f.size, f.off), oracle.Input{Data: data, Ctx: ctx})
				s.compare(t, fmt.Sprintf("%s: u%d at %d, no context", typ.LibName(), 8*f.size, f.off), oracle.Input{Data: data})
			}
		}
	}
}

// Stores to every field that can be written come back in the context or the
// next load.
func TestFieldsWrittenLikeKernel(t *testing.T) {
	oracle.Require(t)
	b := newBench(t)
	for _, tc := range []struct {
		typ  uapi.ProgType
		off  int
		size int
	}{
		{schedCls, uapi.OffSkBuffMark, 4}, {schedCls, uapi.OffSkBuffTcIndex, 4}, {schedCls, uapi.OffSkBuffPriority, 4},
		{schedCls, uapi.OffSkBuffTcClassid, 4}, {schedCls, uapi.OffSkBuffQueueMapping, 4}, {schedCls, uapi.OffSkBuffTstamp, 8},
		{schedCls, uapi.OffSkBuffCb, 1}, {schedCls, uapi.OffSkBuffCb + 6, 2}, {schedCls, uapi.OffSkBuffCb + 8, 8},
		{socketFilter, uapi.OffSkBuffCb + 16, 4}, {socketFilter, uapi.OffSkBuffCb + 3, 1},
	} {
		for _, v := range []string{"5", "65534", "65535", "65536", "0x12345678", "-1"} {
			for _, imm := range []bool{false, true} {
				value := "r7"
				if imm {
					value = v
				}
				s := newSubject(t, b, tc.typ, 0, 0, fmt.Sprintf(`
					r6 = r1
					r7 = %s
					*(u%d *)(r6 +%d) = %s
					r0 = *(u%d *)(r6 +%d)
					exit`, v, 8*tc.size, tc.off, value, 8*tc.size, tc.off))
				s.compare(t, fmt.Sprintf("%s: u%d at %d = %s (immediate %v)", tc.typ.LibName(), 8*tc.size, tc.off, v, imm),
					oracle.Input{Data: frame(60), Ctx: make([]byte, uapi.SizeofSkBuff)})
			}
		}
	}
}

// LD_ABS and LD_IND at every kind of offset.
func TestPacketLoadsLikeKernel(t *testing.T) {
	oracle.Require(t)
	b := newBench(t)
	for _, typ := range []uapi.ProgType{socketFilter, schedCls} {
		for _, size := range []int{8, 16, 32} {
			for _, off := range []int64{0, 1, 12, 14, 44, 45, 46, 47, 56, 57, 58, 59, 60, 1 << 30, 0x7fffffff,
				-1, -14, -15, -0x100000, -0x100000 + 12, -0x100000 + 42, -0x100000 + 45, -0x100000 + 46, -0x100001,
				-0x200000, -0x200000 + 12, -0x200000 + 59, -0x200000 + 60, -0x200001, -0x80000000} {
				s := newSubject(t, b, typ, 0, 0, fmt.Sprintf("r6 = r1\nr0 = *(u%d *)skb[%d]\nexit", size, off))
				s.compare(t, fmt.Sprintf("%s: absolute u%d at %d", typ.LibName(), size, off), oracle.Input{Data: frame(60)})
				s = newSubject(t, b, typ, 0, 0, fmt.Sprintf("r6 = r1\nr7 = %d\nr0 = *(u%d *)skb[r7 + 0]\nexit", off, size))
				s.compare(t, fmt.Sprintf("%s: indirect u%d at %d", typ.LibName(), size, off), oracle.Input{Data: frame(60)})
			}
		}
	}
}
