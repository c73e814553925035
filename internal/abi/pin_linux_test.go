package abi_test

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// A thread makes system calls that change nothing but itself. It ends with the
// test: nothing else may ever run on it.
type thread struct {
	testing.TB
	calls chan func()
}

func newThread(t testing.TB) *thread {
	th := &thread{t, make(chan func())}
	go func() {
		runtime.LockOSThread() // and never unlocked
		for f := range th.calls {
			f()
		}
	}()
	t.Cleanup(func() { close(th.calls) })
	return th
}

// do runs f on the thread.
func (th *thread) do(f func()) {
	done := make(chan struct{})
	th.calls <- func() {
		defer close(done)
		f()
	}
	<-done
}

// must is do for what the test cannot go on without.
func (th *thread) must(what string, f func() error) {
	th.Helper()
	var err error
	if th.do(func() { err = f() }); err != nil {
		th.Fatalf("%s: %v", what, err)
	}
}

func (th *thread) bpf(cmd uapi.Cmd, attr []byte) (n int, e errno.Errno) {
	th.do(func() {
		r, err := oracle.BPF(cmd, attr)
		n, e = int(r), err
	})
	return n, e
}

// liveFiles are the live kernel's as a thread sees them.
type liveFiles struct{ *thread }

func (l liveFiles) Mkdir(path string) (err error) {
	l.do(func() { err = unix.Mkdir(path, 0o755) })
	return err
}

func (l liveFiles) Remove(path string) (err error) {
	l.do(func() {
		if err = unix.Unlink(path); errors.Is(err, unix.EISDIR) {
			err = unix.Rmdir(path)
		}
	})
	return err
}

func (l liveFiles) OpenDir(path string) (fd int, err error) {
	l.do(func() { fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	return fd, err
}

// newLiveFS is the live kernel with a bpf file system of its own at the usual
// place: in a mount namespace that only one thread is in.
func newLiveFS(t testing.TB) (*box, *thread) {
	th := newThread(t)
	th.must("a mount namespace", func() error { return unix.Unshare(unix.CLONE_NEWNS) })
	th.must("keeping mounts private", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") })
	th.must("mounting bpffs", func() error { return unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "") })
	th.must("chdir", func() error { return unix.Chdir("/") })
	b := newLive(t)
	b.bpf, b.files = th.bpf, liveFiles{th}
	return b, th
}

// TestPinLive: pins and paths, with all capabilities.
func TestPinLive(t *testing.T) {
	oracle.Require(t)
	live, _ := newLiveFS(t)
	compare(t, newSkep(t, root, false), live, pins)
}

// TestPinUserLive: what another user may do with pins of root.
func TestPinUserLive(t *testing.T) {
	oracle.Require(t)
	const uid = 1000
	caps := object.Caps(object.CapBPF, object.CapNetAdmin)
	live, th := newLiveFS(t)
	live.become = func() {
		th.must("becoming another user", func() error {
			// The wrapper of the standard library would change all threads.
			for _, n := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
				if _, _, e := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); e != 0 {
					return e
				}
				if _, _, e := unix.RawSyscall(n, uid, uid, uid); e != 0 {
					return e
				}
			}
			return dropTo(caps)
		})
	}
	ours := newSkep(t, root, false)
	ours.become = func() {
		ours.as(ours.kernel.NewTask(skep.Credentials{UID: uid, GID: uid, Capabilities: skep.Capabilities(caps)}))
	}
	compare(t, ours, live, pinsOfOthers)
}
