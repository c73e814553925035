package progtype_test

import (
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// What a program may return, by type and attach type.
func TestReturnLikeKernel(t *testing.T) {
	eachType(t, func(t *testing.T, q question) {
		var s score
		q.level = 2
		for _, r0 := range []string{
			"r0 = -2147483648", "r0 = -2", "r0 = -1", "r0 = 0", "r0 = 1", "r0 = 2", "r0 = 3", "r0 = 4", "r0 = 100", "r0 = 2147483647",
			"w0 = -1", "r0 = 4294967296 ll", "r0 = r1", "r0 = r10", "r1 = 0",
			"call get_prandom_u32", "call get_prandom_u32\nr0 &= 1", "call get_prandom_u32\nr0 &= 3",
			"call get_prandom_u32\nr0 &= 2", "call get_prandom_u32\nr0 |= 1\nr0 &= 3", "call get_prandom_u32\nif r0 > 1 goto +1\nexit\nr0 = 0",
			"call get_prandom_u32\nif r0 s> 3 goto +2\nif r0 s< 2 goto +1\nexit\nr0 = 1",
			"call ktime_get_ns",
		} {
			q.code = program(r0 + "\nexit")
			s.ask(t, q, r0)
		}
		s.report(t)
	})
}

// Packet loads of the classic kind.
func TestLoadAbsLikeKernel(t *testing.T) {
	eachType(t, func(t *testing.T, q question) {
		var s score
		q.level = 2
		for _, load := range []string{"*(u8 *)skb[0]", "*(u16 *)skb[12]", "*(u32 *)skb[26]", "*(u32 *)skb[r7 + 5]", "*(u8 *)skb[r7 + 0]"} {
			for _, context := range []string{"r6 = r1", "r6 = r10", "r6 = 0", "r1 = 0"} {
				text := "r7 = 3\n" + context + "\nr0 = " + load + "\nr0 = 1\nexit"
				q.code = program(text)
				s.ask(t, q, text)
			}
		}
		s.report(t)
	})
}

// packetFields are the context's pointers to the packet's start and end.
func packetFields(c *desc.Context) (start, end *desc.CtxField) {
	for i := range c.Fields {
		switch c.Fields[i].Kind {
		case desc.FieldPacket:
			start = &c.Fields[i]
		case desc.FieldPacketEnd:
			end = &c.Fields[i]
		}
	}
	return start, end
}

// packet is code that puts a packet pointer into R8, of which n bytes are known
// to be there.
func packet(c *desc.Context, n int) string {
	start, end := packetFields(c)
	if start == nil {
		return ""
	}
	return fmt.Sprintf("r8 = *(u%d *)(r6 +%d)\nr1 = *(u%d *)(r6 +%d)\nr2 = r8\nr2 += %d\nif r2 > r1 goto out\n",
		8*start.Size, start.Off, 8*end.Size, end.Off, n)
}

// What may be done with pointers into the packet.
func TestPacketLikeKernel(t *testing.T) {
	eachType(t, func(t *testing.T, q question) {
		var s score
		q.level = 2
		p := packet(q.pt.Context, 32)
		if p == "" {
			return
		}
		q.maps = makeMaps(t)
		for _, use := range []string{
			"r1 = *(u8 *)(r8 +0)", "r1 = *(u64 *)(r8 +24)", "r1 = *(u64 *)(r8 +25)", "r1 = *(s8 *)(r8 +1)",
			"*(u8 *)(r8 +0) = 1", "*(u64 *)(r8 +24) = r1", "*(u64 *)(r8 +28) = 0", "lock *(u32 *)(r8 +0) += r1",
			"r1 = r8\nr2 = 4\nr3 = 0\nr4 = 0\nr5 = 0\ncall csum_diff",
			"r1 = map[fd:4] ll\nr2 = r8\ncall map_lookup_elem",
			"r1 = map[fd:4] ll\nr2 = r8\nr3 = r8\nr4 = 0\ncall map_update_elem",
			"r1 = map[fd:24] ll\nr2 = r8\ncall map_pop_elem",
			"r1 = r8\nr2 = 8\ncall trace_printk",
			"r1 = r6\nr2 = 0\nr3 = r8\nr4 = 4\ncall skb_load_bytes",
			"r1 = r6\nr2 = 4\ncall skb_pull_data\nr1 = *(u8 *)(r8 +0)",
			"r1 = r6\nr2 = 0\nr3 = 4\nr4 = 0\ncall msg_pull_data\nr1 = *(u8 *)(r8 +0)",
			"r1 = r8\nr2 = 4\nr3 = 0\ncall probe_read_kernel",
			"*(u64 *)(r10 -8) = r8\nr1 = *(u64 *)(r10 -8)\nr1 = *(u8 *)(r1 +0)",
			"r1 = r8\nr1 *= 2", "r1 = r8\nr1 -= r8", "r1 = r8\nr1 += 31\nr1 = *(u8 *)(r1 +0)",
		} {
			text := "r6 = r1\n" + p + "r1 = 0\n" + use + "\nout:\nr0 = 1\nexit"
			q.code = program(text)
			s.ask(t, q, text)
		}
		s.report(t)
	})
}

// Every type of map in every type of program, and in those that sleep.
func TestMapsLikeKernel(t *testing.T) {
	eachType(t, func(t *testing.T, q question) {
		var s score
		q.maps = makeMaps(t) // some belong to the first type that uses them
		sleeping := makeMaps(t)
		for i, m := range testMapSpecs {
			text := fmt.Sprintf("r1 = map[fd:%d] ll\nr0 = 1\nexit", i)
			q.code = program(text)
			s.ask(t, q, m.name)
			if q.pt.Sleep == desc.SleepAllowed {
				q := q
				q.flags, q.maps = uapi.BPF_F_SLEEPABLE, sleeping
				s.ask(t, q, m.name)
			}
		}
		s.report(t)
	})
}

// Who may, and who must, sleep.
func TestSleepLikeKernel(t *testing.T) {
	oracle.Require(t)
	var s score
	for _, pt := range progtype.AllVerifiable() {
		for _, flags := range []uint32{0, uapi.BPF_F_SLEEPABLE} {
			for _, body := range []string{"r1 = 0", "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall copy_from_user"} {
				q := question{pt: pt, attach: attachTypes(pt)[0], license: "GPL", flags: flags, level: 2}
				q.code = program(body + "\nr0 = 1\nexit")
				if pt.Type != uapi.BPF_PROG_TYPE_LIRC_MODE2 { // the live kernel may be without
					s.ask(t, q, fmt.Sprintf("%s, flags %#x, %s", pt.Name, flags, body))
				}
			}
		}
	}
	s.report(t)
}
