package abi_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// files are the system calls of a file system beside bpf(2).
type files interface {
	Mkdir(path string) error
	Remove(path string) error
	OpenDir(path string) (int, error)
}

// Pins of scenarios without a live kernel: nothing may panic or leak.
func TestPins(t *testing.T) {
	pins(newSkep(t, root, false))
}

// smallBTF has an int and a structure of two.
func smallBTF(t testing.TB) []byte {
	b, err := btf.NewBuilder(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(&btf.Struct{Name: "pair", Size: 8, Members: []btf.Member{
		{Name: "a", Type: u32Type}, {Name: "b", Type: u32Type, Offset: 32}}}); err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var u32Type = &btf.Int{Name: "unsigned int", Size: 4}

func loadBTF(b *box, raw []byte) []byte {
	return enc(&uapi.BTFLoadAttr{BTF: b.addr(raw), BTFSize: uint32(len(raw))})
}

func (b *box) pin(label, path string, fd int, change ...func(*uapi.ObjAttr)) {
	a := uapi.ObjAttr{Pathname: b.addr([]byte(path + "\x00")), BpfFD: uint32(fd)}
	for _, f := range change {
		f(&a)
	}
	b.call("pin "+label, uapi.BPF_OBJ_PIN, enc(&a))
}

func (b *box) get(label, path string, change ...func(*uapi.ObjAttr)) int {
	a := uapi.ObjAttr{Pathname: b.addr([]byte(path + "\x00"))}
	for _, f := range change {
		f(&a)
	}
	return b.call("get "+label, uapi.BPF_OBJ_GET, enc(&a))
}

// file notes the result of another system call.
func (b *box) file(label string, err error) {
	e := errno.Errno(0)
	if err != nil {
		var host syscall.Errno
		var ok bool
		if e, ok = errno.Of(err); !ok {
			if !errors.As(err, &host) {
				b.Fatalf("%s: %v", label, err)
			}
			e = errno.Errno(host)
		}
	}
	b.note("%s: %s", label, errName(e))
}

const fs = "/sys/fs/bpf/"

func pins(b *box) {
	m := int(b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)))
	p := int(b.progFD(uapi.BPF_PROG_TYPE_XDP, trivial))
	bt := b.call("btf", uapi.BPF_BTF_LOAD, loadBTF(b, smallBTF(b)))
	b.file("mkdir", b.files.Mkdir(fs+"dir"))
	b.file("mkdir below nothing", b.files.Mkdir(fs+"no/dir"))
	b.file("mkdir again", b.files.Mkdir(fs+"dir"))
	b.pin("a map", fs+"map", m)
	b.pin("a program", fs+"prog", p)
	b.pin("BTF", fs+"btf", bt)
	b.pin("a map twice", fs+"dir/map", m)
	for _, path := range pinPaths {
		b.pin(fmt.Sprintf("%.60q", path), path, m)
		fd := b.get(fmt.Sprintf("%.60q", path), path)
		if fd >= 0 {
			b.elem("lookup through it", uapi.BPF_MAP_LOOKUP_ELEM, uint32(fd), u32(0), u32(9), 0)
		}
		if strings.HasPrefix(path, fs) { // not on the host
			b.file(fmt.Sprintf("mkdir %.60q", path), b.files.Mkdir(path))
		}
	}
	openModes(b)
	pathFDs(b, m)
	for _, path := range []string{"prog", "map/", "dir", "no", "dir/map", "dir", "map", "map"} {
		b.file("remove "+path, b.files.Remove(fs+path))
	}
	long := fs + strings.Repeat("x/", 3000)
	b.pin("a path that is too long", long, m)
	b.get("a path that is too long", long)
	b.get("what was removed", fs+"map")
}

var pinPaths = []string{
	"", "/", "//", ".", "..", "/sys", "/sys/fs", "/sys/fs/bpf", fs, fs + ".", fs + "..", fs + "../bpf", fs + "../bpf/up",
	"/sys/../sys/fs/bpf/round", "/../../sys/fs/bpf/top", "/sys/fs/bpf/./dot", "//sys//fs//bpf//slashes",
	"/etc/no such file", // of the host's other files nothing is known
	fs + "map", fs + "map/", fs + "map/x", fs + "map/..", fs + "map/.", fs + "prog", fs + "btf", fs + "dir", fs + "dir/",
	fs + "dir/map", fs + "dir/../second", fs + "dir/./third", fs + "no/../fourth", fs + "dir/new/", fs + "no/x", fs + "no",
	fs + "a.b", fs + ".hidden", fs + "dir/a.b", fs + "a.b/c", fs + "...", fs + "dir/..", fs + "dir/.",
	fs + strings.Repeat("n", 255), fs + strings.Repeat("n", 256), fs + strings.Repeat("n", 256) + "/x", fs + strings.Repeat("n.", 200),
	fs + strings.Repeat("dir/../", 570) + "deep", fs + "with space", fs + "ümlaut", fs + "tab\t",
	"sys/fs/bpf/relative", "../sys/fs/bpf/up and down",
}

// openModes: what BPF_OBJ_GET's flags do to the fds that it makes.
func openModes(b *box) {
	for _, what := range []string{"map", "prog"} {
		for _, flags := range []uint32{0, uapi.BPF_F_RDONLY, uapi.BPF_F_WRONLY, uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY, 1 << 5, 1 << 20} {
			label := fmt.Sprintf("%s with flags %#x", what, flags)
			fd := b.get(label, fs+what, func(a *uapi.ObjAttr) { a.FileFlags = flags })
			if fd < 0 || what != "map" {
				continue
			}
			b.elem("update", uapi.BPF_MAP_UPDATE_ELEM, uint32(fd), u32(0), u32(flags+1), 0)
			b.elem("lookup", uapi.BPF_MAP_LOOKUP_ELEM, uint32(fd), u32(0), u32(99), 0)
			b.pin("the opened "+label, fs+fmt.Sprintf("again%d", flags), fd)
		}
	}
}

// pathFDs: paths that start at a directory.
func pathFDs(b *box, m int) {
	dir, err := b.files.OpenDir(fs + "dir")
	b.file("open a directory", err)
	b.closeLater(dir)
	_, err = b.files.OpenDir(fs + "map")
	b.file("open a pin as a directory", err)
	_, err = b.files.OpenDir(fs + "nothing")
	b.file("open nothing as a directory", err)
	for _, flags := range []uint32{0, uapi.BPF_F_PATH_FD} {
		for _, at := range []struct {
			name string
			fd   int
		}{{"a directory", dir}, {"a map", m}, {"nothing", 7777}, {"-1", -1}, {"AT_FDCWD", -100}, {"0", 0}} {
			for _, path := range []string{"at", "../at", "", fs + "absolute", "sys/fs/bpf/cwd", ".", "map"} {
				set := func(a *uapi.ObjAttr) { a.PathFD, a.FileFlags = int32(at.fd), flags }
				label := fmt.Sprintf("%q at %s with flags %#x", path, at.name, flags)
				b.pin(label, path, m, set)
				b.get(label, path, set)
			}
			if at.fd == dir {
				b.pin("over dots at a directory", "at/../at", m, func(a *uapi.ObjAttr) { a.PathFD, a.FileFlags = int32(dir), flags })
			}
		}
	}
	a := uapi.ObjAttr{BpfFD: uint32(m), Pathname: badAddr, PathFD: 7777, FileFlags: uapi.BPF_F_PATH_FD}
	b.call("pin at a bad address at a bad fd", uapi.BPF_OBJ_PIN, enc(&a))
	b.get("a directory to run", fs+"dir")
	run := uapi.TestRunAttr{ProgFD: uint32(dir)}
	b.call("run a directory", uapi.BPF_PROG_TEST_RUN, enc(&run))
	info := uapi.InfoAttr{BpfFD: uint32(dir), InfoLen: 8, Info: b.addr(make([]byte, 8))}
	b.call("information on a directory", uapi.BPF_OBJ_GET_INFO_BY_FD, enc(&info))
	for _, fd := range []int{dir, m, 7777} {
		for _, flags := range []uint32{0, 1} {
			t := uapi.TokenCreateAttr{BPFFSFD: uint32(fd), Flags: flags}
			b.call("token", uapi.BPF_TOKEN_CREATE, enc(&t))
		}
	}
	top, err := b.files.OpenDir(fs)
	b.file("open the root", err)
	b.closeLater(top)
	t := uapi.TokenCreateAttr{BPFFSFD: uint32(top)}
	b.call("token of the root", uapi.BPF_TOKEN_CREATE, enc(&t))
}

func pinsOfOthers(b *box) {
	m := int(b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)))
	b.file("mkdir", b.files.Mkdir(fs+"dir"))
	b.pin("root's", fs+"map", m)
	b.pin("root's in a directory", fs+"dir/map", m)
	b.become()
	m = int(b.mapFD(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)))
	b.get("root's", fs+"map")
	b.get("root's for reading", fs+"map", func(a *uapi.ObjAttr) { a.FileFlags = uapi.BPF_F_RDONLY })
	b.get("root's in a directory", fs+"dir/map")
	b.get("nothing", fs+"dir/x")
	b.pin("into root's directory", fs+"dir/mine", m)
	b.pin("over root's", fs+"map", m)
	b.pin("his own", fs+"mine", m)
	b.get("his own", fs+"mine")
	b.file("mkdir", b.files.Mkdir(fs+"his"))
	b.file("mkdir in root's", b.files.Mkdir(fs+"dir/his"))
	b.pin("in his directory", fs+"his/mine", m)
	b.file("remove his", b.files.Remove(fs+"his/mine"))
	b.file("remove root's", b.files.Remove(fs+"map"))
	top, err := b.files.OpenDir(fs)
	b.file("open the root", err)
	b.closeLater(top)
	t := uapi.TokenCreateAttr{BPFFSFD: uint32(top)}
	b.call("token of the root", uapi.BPF_TOKEN_CREATE, enc(&t))
}
