package verifier_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// withoutCaps runs f on a thread that has no effective capabilities.
func withoutCaps(t testing.TB, f func()) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&hdr, &data[0])
		if err == nil {
			data[0].Effective, data[1].Effective = 0, 0
			err = unix.Capset(&hdr, &data[0])
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("dropping capabilities: %v", err)
	}
}

// unprivileged skips the test where Linux gives nothing to ordinary users.
func unprivileged(t testing.TB) {
	oracle.Require(t)
	const file = "/proc/sys/kernel/unprivileged_bpf_disabled"
	if b, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(b)) != "0" {
		t.Skipf("oracle: not run: %s is not 0", file)
	}
}

// compareUnprivileged holds the answers for a user without capabilities against
// each other.
func compareUnprivileged(t *testing.T, cases []*testCase) {
	unprivileged(t)
	var a agreement
	for _, c := range cases {
		if c.typ != uapi.BPF_PROG_TYPE_SOCKET_FILTER || len(c.insns) > 4096 {
			continue
		}
		t.Run(c.file+"/"+c.name, func(t *testing.T) {
			c := *c
			c.unpriv = true
			_, code, log, _ := c.verify(2)
			maps := c.liveMaps(t)
			var want errno.Errno
			var wantLog string
			withoutCaps(t, func() { want, wantLog = c.askWith(maps, 2) })
			a.judge(t, c.name, code, want, log.String(), wantLog)
		})
	}
	a.report(t)
}

func TestOracleUnprivileged(t *testing.T) { compareUnprivileged(t, loadCorpus(t)) }
