package abi_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// A scenario makes system calls and notes what came back. It runs on skep and
// on the live kernel, with the same bytes at the same addresses, and the notes
// must be equal.
type scenario struct {
	name string
	run  func(b *box)
}

// box is one kernel under test.
type box struct {
	testing.TB
	bpf func(cmd uapi.Cmd, attr []byte) (int, errno.Errno)
	// priv is bpf(2) with all capabilities; an fd that it makes is the caller's.
	priv func(cmd uapi.Cmd, attr []byte) (int, errno.Errno)
	// lend makes the caller's fd one that priv knows.
	lend  func(fd int) int
	close func(fd int)
	files files
	// become makes the caller another user, where the test wants that.
	become func()
	kernel *skep.Kernel // nil for the live kernel
	task   *skep.Task
	notes  []string
}

func (b *box) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// call makes a call and notes its errno under a name. fds that come back are
// closed at the end.
func (b *box) call(name string, cmd uapi.Cmd, attr []byte) int {
	fd, e := b.bpf(cmd, attr)
	b.note("%s: %s", name, errName(e))
	if e == 0 && makesFD[cmd] {
		b.closeLater(fd)
	}
	return fd
}

func (b *box) closeLater(fd int) {
	closeFD := b.close
	b.Cleanup(func() { closeFD(fd) })
}

// sudo makes a call with all capabilities, which must succeed.
func (b *box) sudo(cmd uapi.Cmd, attr []byte) int {
	b.Helper()
	fd, e := b.priv(cmd, attr)
	if e != 0 {
		b.Fatalf("%v with all capabilities: %v", cmd, e)
	}
	if makesFD[cmd] {
		b.closeLater(fd)
	}
	return fd
}

var makesFD = map[uapi.Cmd]bool{
	uapi.BPF_MAP_CREATE: true, uapi.BPF_PROG_LOAD: true, uapi.BPF_OBJ_GET: true, uapi.BPF_BTF_LOAD: true,
	uapi.BPF_PROG_GET_FD_BY_ID: true, uapi.BPF_MAP_GET_FD_BY_ID: true, uapi.BPF_BTF_GET_FD_BY_ID: true,
	uapi.BPF_ENABLE_STATS: true,
}

func errName(e errno.Errno) string {
	if e == 0 {
		return "ok"
	}
	return e.Name()
}

// addr is the address of memory that the call may use; it stays pinned.
func (b *box) addr(p []byte) uint64 { return oracle.Addr(b.TB, p) }

// attribute is any of uapi's attribute structures.
type attribute interface{ Encode([]byte) }

// size is enough for every attribute.
func enc(a attribute) []byte {
	out := make([]byte, uapi.AttrSize)
	a.Encode(out)
	return out
}

func newSkep(t testing.TB, c skep.Credentials, unprivileged bool) *box {
	k, err := skep.New(skep.Config{CPUs: oracle.PossibleCPUs(), TrackOrigins: true, AllowUnprivileged: unprivileged})
	if err != nil {
		t.Fatal(err)
	}
	send := func(from, to *skep.Task, fd int) int {
		n, err := from.SendFD(to, fd)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	as := func(task *skep.Task, cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
		n, err := task.BPF(int(cmd), attr)
		if err == nil {
			return n, 0
		}
		e, ok := errno.Of(err)
		if !ok {
			t.Fatalf("%v: an error without errno: %v", cmd, err)
		}
		return -1, e
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &box{TB: t, kernel: k}
	b.as(k.NewTask(c))
	b.bpf = func(cmd uapi.Cmd, attr []byte) (int, errno.Errno) { return as(b.task, cmd, attr) }
	b.priv = func(cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
		n, e := as(k.Task(), cmd, attr)
		if e != 0 || !makesFD[cmd] {
			return n, e
		}
		fd := send(k.Task(), b.task, n)
		if err := k.Task().CloseFD(n); err != nil {
			t.Fatal(err)
		}
		return fd, 0
	}
	b.lend = func(fd int) int { return send(b.task, k.Task(), fd) }
	return b
}

// as makes another task the caller.
func (b *box) as(task *skep.Task) {
	b.task, b.files = task, task
	b.close = func(fd int) {
		if err := task.CloseFD(fd); err != nil {
			b.Error(err)
		}
	}
}

var root = skep.Credentials{Capabilities: skep.AllCapabilities}

func newLive(t testing.TB) *box {
	bpf := func(cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
		n, e := oracle.BPF(cmd, attr)
		return int(n), e
	}
	return &box{TB: t, bpf: bpf, priv: bpf, lend: func(fd int) int { return fd }, close: oracle.Close}
}

func compare(t *testing.T, ours, live *box, run func(b *box)) {
	t.Helper()
	run(ours)
	run(live)
	for i := range max(len(ours.notes), len(live.notes)) {
		var a, b string
		if i < len(ours.notes) {
			a = ours.notes[i]
		}
		if i < len(live.notes) {
			b = live.notes[i]
		}
		if a != b {
			t.Errorf("note %d:\n  skep:   %s\n  kernel: %s", i, a, b)
		}
	}
}

func TestLive(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			oracle.Require(t)
			compare(t, newSkep(t, root, false), newLive(t), s.run)
		})
	}
}

// Without a live kernel the scenarios still run: nothing may panic or leak.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { s.run(newSkep(t, root, false)) })
	}
}

func u32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// pad makes an attribute of n bytes that starts with b.
func pad(b []byte, n int) []byte { return append(b, make([]byte, n-len(b))...) }

func mapAttr(t uapi.MapType, key, value, entries, flags uint32) uapi.MapCreateAttr {
	return uapi.MapCreateAttr{MapType: t, KeySize: key, ValueSize: value, MaxEntries: entries, MapFlags: flags}
}

func (b *box) mapFD(a uapi.MapCreateAttr) uint32 {
	fd := b.call("create", uapi.BPF_MAP_CREATE, enc(&a))
	return uint32(fd)
}

// mapInfo is what the caller is told of a map, progInfo of a program.
func (b *box) mapInfo(fd uint32) (i uapi.MapInfo) {
	buf := make([]byte, uapi.SizeofMapInfo)
	a := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(len(buf)), Info: b.addr(buf)}
	b.call("info", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&a))
	i.Decode(buf)
	return i
}

func (b *box) progInfo(fd uint32, ask uapi.ProgInfo) (i uapi.ProgInfo) {
	buf := make([]byte, uapi.SizeofProgInfo)
	ask.Encode(buf)
	a := uapi.InfoAttr{BpfFD: fd, InfoLen: uint32(len(buf)), Info: b.addr(buf)}
	b.call("info", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&a))
	i.Decode(buf)
	return i
}
