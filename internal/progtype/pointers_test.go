package progtype_test

import (
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// accesses tries loads and stores of every width through R7, around size bytes.
func (s *score) accesses(t *testing.T, q question, prologue string, size int) {
	for off := -1; off <= size+1; off++ {
		for bits := 8; bits <= 64; bits *= 2 {
			for _, form := range []string{"r2 = *(u%d *)(r7 %+d)", "*(u%d *)(r7 %+d) = r3", "*(u%d *)(r7 %+d) = 7"} {
				s.pointer(t, q, prologue, fmt.Sprintf(form, bits, off))
			}
		}
	}
}

// pointer tries one thing with the pointer in R7.
func (s *score) pointer(t *testing.T, q question, prologue, use string) {
	t.Helper()
	text := "r6 = r1\nr3 = 5\n" + prologue + use + "\nout:\nr0 = 1\nexit"
	q.code = program(text)
	s.ask(t, q, text)
}

// arithmetic is what may be tried on any pointer in R7.
var arithmetic = []string{
	"r7 += 4", "r7 += 4\nr2 = *(u32 *)(r7 +0)", "r7 -= 4\nr2 = *(u32 *)(r7 +4)", "r7 &= 1", "w7 += 1", "r7 = -r7",
	"call get_prandom_u32\nr0 &= 4\nr7 += r0", "call get_prandom_u32\nr0 &= 4\nr7 += r0\nr2 = *(u32 *)(r7 +0)",
	"*(u64 *)(r10 -8) = r7\nr2 = *(u64 *)(r10 -8)\nr2 = *(u32 *)(r2 +4)", "*(u32 *)(r10 -8) = r7",
	"r2 = 1\nlock *(u32 *)(r7 +0) += r2", "r2 = r7\nr2 -= r7", "if r7 == 0 goto out\nr2 = *(u32 *)(r7 +4)",
	"r2 = *(u32 *)(r7 +4)\nr2 = *(s32 *)(r7 +4)", "r0 = r7\nexit", "*(u64 *)(r6 +0) = r7",
	"r1 = r7\nr2 = 8\nr3 = r10\ncall probe_read_kernel", "r1 = r10\nr1 += -8\nr2 = 8\nr3 = r7\ncall probe_read_kernel",
}

// Sockets that a context points to: their fields, and what may be done with
// them.
func TestContextSocketsLikeKernel(t *testing.T) {
	eachType(t, func(t *testing.T, q question) {
		f := socketField(q.pt.Context)
		if f == nil {
			return
		}
		var s score
		q.level = 2
		prologue := fmt.Sprintf("r7 = *(u64 *)(r6 +%d)\n", f.Off)
		for _, use := range arithmetic {
			s.pointer(t, q, prologue, use)
		}
		if f.Kind != desc.FieldSocket {
			prologue += "if r7 == 0 goto out\n"
		}
		if q.attach == attachTypes(q.pt)[0] {
			s.accesses(t, q, prologue, uapi.SizeofSock)
		}
		for _, use := range append([]string{
			"r1 = r7\ncall sk_release", "r1 = r7\ncall tcp_sock\nif r0 == 0 goto out\nr2 = *(u32 *)(r0 +0)",
			"r1 = r7\ncall sk_fullsock\nif r0 == 0 goto out\nr2 = *(u32 *)(r0 +8)",
			"r1 = r7\ncall get_listener_sock\nif r0 == 0 goto out\nr2 = *(u32 *)(r0 +8)",
			"r1 = r6\nr2 = r7\nr3 = 0\ncall sk_assign", "r1 = r7\ncall get_socket_cookie", "r1 = r7\ncall sk_cgroup_id",
		}, arithmetic...) {
			s.pointer(t, q, prologue, use)
		}
		s.report(t)
	})
}

// The flow keys of a dissector, and the buffer of a writable tracepoint.
func TestContextBuffersLikeKernel(t *testing.T) {
	eachType(t, func(t *testing.T, q question) {
		for i := range q.pt.Context.Fields {
			f := &q.pt.Context.Fields[i]
			if f.Kind != desc.FieldFlowKeys && f.Kind != desc.FieldTPBuffer {
				continue
			}
			var s score
			q.level = 2
			prologue := fmt.Sprintf("r7 = *(u64 *)(r6 +%d)\n", f.Off)
			s.accesses(t, q, prologue, uapi.SizeofFlowKeys)
			for _, use := range arithmetic {
				s.pointer(t, q, prologue, use)
			}
			s.report(t)
		}
	})
}
