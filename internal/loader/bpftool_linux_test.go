package loader_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/loader"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// progShape and mapShape are what must not depend on who loaded an object.
type progShape struct {
	Type         uapi.ProgType
	Name, Tag    string
	Maps         int
	BTF          bool
	Funcs, Lines uint32
}

type mapShape struct {
	Name                            string
	Type                            uapi.MapType
	KeySize, ValueSize, Max, Flags  uint32
	BTF, KeyType, ValueType, Frozen bool
}

type shape struct {
	progs  map[string]progShape
	maps   map[string]mapShape
	xlated map[string][]insn.Instruction
}

func newShape() *shape {
	return &shape{map[string]progShape{}, map[string]mapShape{}, map[string][]insn.Instruction{}}
}

func (s *shape) addProg(t *testing.T, h host, fd int) {
	t.Helper()
	b, e := h.Info(fd, uapi.SizeofProgInfo)
	if e != 0 {
		t.Fatal(e)
	}
	var i uapi.ProgInfo
	i.Decode(b)
	name := uapi.CString(i.Name[:])
	s.progs[name] = progShape{i.Type, name, hex.EncodeToString(i.Tag[:]), int(i.NrMapIDs), i.BTFID != 0, i.NrFuncInfo, i.NrLineInfo}
	var pins oracle.Pins
	defer pins.Release()
	code := make([]byte, i.XlatedProgLen)
	ask := uapi.ProgInfo{XlatedProgLen: i.XlatedProgLen, XlatedProgInsns: pins.Addr(code)}
	buf := make([]byte, uapi.SizeofProgInfo)
	ask.Encode(buf)
	attr := make([]byte, uapi.AttrSize)
	(&uapi.InfoAttr{BpfFD: uint32(fd), InfoLen: uint32(len(buf)), Info: pins.Addr(buf)}).Encode(attr)
	if _, e := h.Call(uapi.BPF_OBJ_GET_INFO_BY_FD, attr); e != 0 {
		t.Fatal(e)
	}
	var err error
	if s.xlated[name], err = insn.Decode(code); err != nil {
		t.Fatal(err)
	}
}

func (s *shape) addMap(t *testing.T, h host, fd int) {
	t.Helper()
	i := h.mapInfo(fd)
	name := uapi.CString(i.Name[:])
	// A frozen map refuses what the caller writes; the key is nowhere.
	attr := make([]byte, uapi.MapElemAttrEnd)
	(&uapi.MapElemAttr{MapFD: uint32(fd)}).Encode(attr)
	_, e := h.Call(uapi.BPF_MAP_UPDATE_ELEM, attr)
	s.maps[name] = mapShape{name, i.Type, i.KeySize, i.ValueSize, i.MaxEntries, i.MapFlags,
		i.BTFID != 0, i.BTFKeyTypeID != 0, i.BTFValueTypeID != 0, e == errno.EPERM}
}

// load loads an object with skep's loader into a kernel. Programs that one of
// the kernels refuses are left out.
func load(t *testing.T, h host, file string, types *btf.Spec) *shape {
	t.Helper()
	o, err := loader.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	inst, err := o.New(h, loader.Options{KernelTypes: types})
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Close()
	s := newShape()
	for _, name := range o.Programs {
		p, err := inst.Program(name)
		if err != nil {
			t.Fatal(err)
		}
		s.addProg(t, h, p.FD)
	}
	if err := inst.LoadSlots(); err != nil {
		t.Fatal(err)
	}
	for _, m := range inst.Maps {
		s.addMap(t, h, m.FD)
	}
	return s
}

// bpftool loads an object with bpftool, which pins everything in a file system
// that is there only for this.
func bpftool(t *testing.T, h host, file string) *shape {
	t.Helper()
	dir, err := os.MkdirTemp("", "skep") // libbpf puts _ for a dot anywhere in a path
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Skipf("oracle: no bpffs of its own: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	if err := os.Mkdir(dir+"/m", 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("bpftool", "prog", "loadall", file, dir+"/p", "pinmaps", dir+"/m").CombinedOutput()
	if err != nil {
		t.Fatalf("bpftool: %v\n%s", err, out)
	}
	s := newShape()
	for _, p := range pinned(t, h, dir+"/p") {
		s.addProg(t, h, p)
		h.Close(p)
	}
	for _, m := range pinned(t, h, dir+"/m") {
		s.addMap(t, h, m)
		h.Close(m)
	}
	return s
}

func pinned(t *testing.T, h host, dir string) (fds []int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		t.Fatal(err)
	}
	var pins oracle.Pins
	defer pins.Release()
	for _, e := range entries {
		attr := make([]byte, uapi.ObjAttrEnd)
		(&uapi.ObjAttr{Pathname: pins.Addr([]byte(filepath.Join(dir, e.Name()) + "\x00"))}).Encode(attr)
		fd, err := h.Call(uapi.BPF_OBJ_GET, attr)
		if err != 0 {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

// Every object is loaded by bpftool (libbpf) and by skep's loader in the live
// kernel, and by skep's loader in skep: programs have the same tags, and after
// rewriting the same instructions; maps have the same names, sizes and flags.
func TestLikeBpftool(t *testing.T) {
	oracle.Require(t)
	if _, err := exec.LookPath("bpftool"); err != nil {
		t.Skipf("oracle: %v", err)
	}
	types, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range []string{"../../testdata/elf/*.o", "../../examples/*/*.o"} {
		m, _ := filepath.Glob(pattern)
		files = append(files, m...)
	}
	compared := 0
	for _, file := range files {
		source, err := os.ReadFile(strings.TrimSuffix(file, ".o") + ".c")
		if err != nil {
			t.Fatal(err)
		}
		if rejects.Match(source) {
			continue // bpftool loads all programs or none
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			live := host{oracle.Live()}
			want := bpftool(t, live, file)
			got := load(t, live, file, types)
			compare(t, filepath.Base(file), "loaded in the live kernel", got, want, true)
			compare(t, filepath.Base(file), "loaded in skep", load(t, host{asHost(newKernel(t))}, file, types), want, false)
			compared += len(want.progs)
		})
	}
	if compared < 50 && !t.Failed() {
		t.Errorf("only %d programs compared", compared)
	}
	t.Logf("%d programs compared", compared)
}

var rejects = regexp.MustCompile(`(?m)^ \* reject: `)

// otherIDs are programs that differ for a good reason.
var otherIDs = map[string]string{
	"core.o types":     "asks for the id of a type in the object's BTF, of which skep loads what it needs",
	"ksyms.o function": "calls a missing kfunc, which libbpf before 1.2 did not make recognisable",
}

func compare(t *testing.T, object, what string, got, want *shape, code bool) {
	t.Helper()
	unused := 0
	for name, w := range want.maps {
		g, ok := got.maps[name]
		if !ok && strings.Contains(name, ".rodata") {
			unused++ // libbpf makes maps of sections that nothing refers to
			continue
		}
		if !sharesData(w) {
			g.Flags &^= uapi.BPF_F_MMAPABLE
			w.Flags &^= uapi.BPF_F_MMAPABLE
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s: map\n%+v\nbpftool:\n%+v", what, g, w)
		}
	}
	for name, w := range want.progs {
		g := got.progs[name]
		w.Maps -= unused // it binds them to each program
		known := otherIDs[object+" "+name] != ""
		if known {
			if g.Tag == w.Tag {
				t.Errorf("%s: program %s does not differ", what, name)
			}
			g.Tag = w.Tag
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s: program\n%+v\nbpftool:\n%+v", what, g, w)
		}
		if d := differ(got.xlated[name], want.xlated[name]); code && !known && d != "" {
			t.Errorf("%s: program %s: %s", what, name, d)
		}
	}
	if len(got.progs) != len(want.progs) || len(got.maps) != len(want.maps)-unused {
		t.Errorf("%s: %d programs and %d maps, bpftool has %d and %d (%d unused)", what,
			len(got.progs), len(got.maps), len(want.progs), len(want.maps), unused)
	}
}

// staticData are data sections without variables, or of static ones alone. libbpf since 1.2 does
// not let them be mapped, and skep neither; the one that is installed may be older.
var staticData = []string{"helpers.rodata", "printk.rodata", ".rodata.str1.1"}

func sharesData(m mapShape) bool { return !slices.Contains(staticData, m.Name) }

// differ compares code but for addresses and ids.
func differ(got, want []insn.Instruction) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d instructions, bpftool's has %d", len(got), len(want))
	}
	for n := 0; n < len(got); n++ {
		g, w := got[n], want[n]
		switch {
		case w.IsWide() && w.Src() != 0:
			g, w = g.WithImm(0), w.WithImm(0)
		case w.IsCall():
			g, w = g.WithImm(0), w.WithImm(0)
		}
		if g != w {
			return fmt.Sprintf("instruction %d is %v, bpftool's %v", n, g, w)
		}
		if w.IsWide() {
			n++
			if got[n] != want[n] {
				return fmt.Sprintf("instruction %d goes on as %v, bpftool's %v", n, got[n], want[n])
			}
		}
	}
	return ""
}
