// Package oracle asks the live kernel: it loads programs, makes maps and runs
// test input through bpf(2) with nothing in between, so that tests can hold
// skep's verdict, log, return value and bytes against Linux's.
//
// Only tests import it. Where the host cannot answer (not Linux, bpf(2) not
// permitted, another release than the reference) [Require] skips the test with a
// reason that starts with "oracle:". With SKEP_ORACLE=require in the environment
// it fails the test instead: for the place where the comparison must run.
package oracle

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Reference is the release whose behaviour skep mirrors, as a prefix of what
// uname reports.
const Reference = "6.18."

// Available reports whether the live kernel can answer, and if not, why.
func Available() (bool, string) {
	reason := unavailable()
	return reason == "", reason
}

var unavailable = sync.OnceValue(func() string {
	if !supported {
		return fmt.Sprintf("no live kernel: the host is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	if r := Release(); !strings.HasPrefix(r, Reference) {
		return fmt.Sprintf("live kernel: release %s is not the reference %sx", r, Reference)
	}
	m, err := CreateMap(MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != 0 {
		return "live kernel: bpf(2) not permitted: " + err.Error()
	}
	m.Close()
	return ""
})

// Require skips the test where the live kernel cannot answer, or fails it if
// SKEP_ORACLE=require is set.
func Require(t testing.TB) {
	t.Helper()
	ok, reason := Available()
	if ok {
		return
	}
	if os.Getenv("SKEP_ORACLE") == "require" {
		t.Fatalf("oracle: required by SKEP_ORACLE, but not run: %s", reason)
	}
	t.Skipf("oracle: not run: %s", reason)
}

// BPF calls bpf(2) with the bytes of attr, whose length is passed as the size.
// The kernel writes its output fields back into attr. It returns the system
// call's result, a file descriptor for many commands.
func BPF(cmd uapi.Cmd, attr []byte) (uintptr, errno.Errno) { return call(cmd, attr) }

// Pins keeps the memory in place that an attribute points to. The zero value is
// ready; Release it after the call.
type Pins struct{ pinner runtime.Pinner }

// Addr pins b and returns its address, 0 if it is empty.
func (p *Pins) Addr(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	p.pinner.Pin(&b[0])
	return address(b)
}

// Release ends the pinning.
func (p *Pins) Release() { p.pinner.Unpin() }

// Addr pins b until the test ends and returns its address.
func Addr(t testing.TB, b []byte) uint64 {
	p := new(Pins)
	t.Cleanup(p.Release)
	return p.Addr(b)
}

// attribute is one of uapi's structures.
type attribute interface {
	Encode([]byte)
	Decode([]byte)
}

// Kernel is anything that answers bpf(2): the live kernel, or one under test. The
// same test body runs on both.
type Kernel struct {
	// Call is bpf(2) with the bytes of an attribute; addresses in it are of this
	// process.
	Call func(cmd uapi.Cmd, attr []byte) (int, errno.Errno)
	// CloseFD is close(2).
	CloseFD func(fd int)
	// CPUs is the number of possible CPUs.
	CPUs int
}

// Live is the live kernel.
func Live() *Kernel {
	return &Kernel{
		Call: func(cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
			r, e := call(cmd, attr)
			return int(r), e
		},
		CloseFD: closeFD,
		CPUs:    PossibleCPUs(),
	}
}

// do runs a command on a full-size attribute and reads the output back.
func (k *Kernel) do(cmd uapi.Cmd, a attribute) (int, errno.Errno) {
	// On the heap: its address may leave this function, and stacks move.
	buf := make([]byte, uapi.AttrSize)
	a.Encode(buf)
	r, e := k.Call(cmd, buf)
	a.Decode(buf)
	return r, e
}

// Close closes a file descriptor that [BPF] returned.
func Close(fd int) { closeFD(fd) }

// info fills b with the info of the object behind fd and returns how many bytes
// the kernel has.
func (k *Kernel) info(fd int, b []byte) (int, errno.Errno) {
	var pins Pins
	defer pins.Release()
	a := uapi.InfoAttr{BpfFD: uint32(fd), InfoLen: uint32(len(b)), Info: pins.Addr(b)}
	_, e := k.do(uapi.BPF_OBJ_GET_INFO_BY_FD, &a)
	return int(a.InfoLen), e
}

// Info asks for the info of the object behind fd, with want as the length that
// is passed.
func (k *Kernel) Info(fd int, want int) ([]byte, errno.Errno) {
	b := make([]byte, want)
	n, e := k.info(fd, b)
	return b[:min(n, want)], e
}

// Info is [Kernel.Info] of the live kernel.
func Info(fd int, want int) ([]byte, errno.Errno) { return Live().Info(fd, want) }
