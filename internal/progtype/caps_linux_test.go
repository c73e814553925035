package progtype_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// withCaps runs f on a thread that has no other effective capabilities.
func withCaps(t *testing.T, c desc.Caps, f func()) {
	t.Helper()
	var bits uint64
	for bit, has := range map[int]bool{unix.CAP_BPF: c.BPF, unix.CAP_PERFMON: c.Perfmon,
		unix.CAP_NET_ADMIN: c.NetAdmin, unix.CAP_SYS_ADMIN: c.SysAdmin} {
		if has {
			bits |= 1 << bit
		}
	}
	done := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&hdr, &data[0]); err != nil {
			done <- err
			return
		}
		data[0].Effective, data[1].Effective = uint32(bits), uint32(bits>>32)
		if err := unix.Capset(&hdr, &data[0]); err != nil {
			done <- err
			return
		}
		f()
	}()
	if err := <-done; err != nil {
		t.Fatalf("dropping capabilities: %v", err)
	}
}

// An ordinary user, where Linux lets one load programs at all, has the helpers
// that need no privilege, and sees less of the packet.
func TestUnprivilegedLikeKernel(t *testing.T) {
	oracle.Require(t)
	const file = "/proc/sys/kernel/unprivileged_bpf_disabled"
	if b, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(b)) != "0" {
		t.Skipf("oracle: not run: %s is not 0", file)
	}
	var s score
	withCaps(t, desc.Caps{}, func() {
		for _, pt := range progtype.AllVerifiable() {
			if !pt.Unprivileged {
				continue
			}
			q := question{pt: pt, attach: attachTypes(pt)[0], license: "GPL", noCaps: true}
			s.askHelpers(t, q)
			for _, off := range interestingOffsets(pt.Context) {
				for bits := 8; bits <= 64; bits *= 2 {
					for _, form := range []string{"r2 = *(u%d *)(r1 %+d)", "*(u%d *)(r1 %+d) = 7"} {
						text := fmt.Sprintf(form, bits, off) + "\nr0 = 1\nexit"
						q.code = program(text)
						s.ask(t, q, text)
					}
				}
			}
		}
	})
	s.report(t)
}

// Privileges take helpers away as in Linux: with CAP_BPF, without one or the
// other of the rest.
func TestHelpersByPrivilegeLikeKernel(t *testing.T) {
	oracle.Require(t)
	for _, caps := range []desc.Caps{
		{BPF: true, NetAdmin: true},
		{BPF: true, NetAdmin: true, Perfmon: true},
		{BPF: true, Perfmon: true},
		{BPF: true},
	} {
		t.Run(fmt.Sprintf("%+v", caps), func(t *testing.T) {
			var s score
			withCaps(t, caps, func() {
				for _, pt := range progtype.AllVerifiable() {
					if pt.NeedsNetAdmin && !caps.NetAdmin || pt.NeedsPerfmon && !caps.Perfmon {
						continue
					}
					q := question{pt: pt, attach: attachTypes(pt)[0], license: "GPL", caps: caps}
					if pt.Type == uapi.BPF_PROG_TYPE_SYSCALL {
						q.flags = uapi.BPF_F_SLEEPABLE
					}
					if !q.unknownToKernel() {
						s.askHelpers(t, q)
					}
				}
			})
			s.report(t)
		})
	}
}
