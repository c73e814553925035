package verifier_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/loader"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// twin is a loader's caller that makes every call in the live kernel, keeps
// descriptions of what was made, and verifies every program with skep too.
type twin struct {
	t      *testing.T
	agree  *agreement
	maps   map[int]*desc.Map
	data   map[int][]byte // of maps with direct values
	frozen map[int]bool
	btfs   map[int]*kbtf.BTF
	name   string
}

func (w *twin) CPUs() int          { return oracle.PossibleCPUs() }
func (w *twin) Close(fd int) error { oracle.Close(fd); return nil }

// read copies memory of the loader's.
func (w *twin) read(m usermem.Mem, addr uint64, n uint32) []byte {
	b := make([]byte, n)
	if addr == 0 || n == 0 {
		return nil
	}
	if err := m.Read(addr, b); err != nil {
		w.t.Fatalf("reading %d bytes of the loader's memory: %v", n, err)
	}
	return b
}

func (w *twin) BPF(m usermem.Mem, cmd uapi.Cmd, attr []byte) (int, error) {
	switch cmd {
	case uapi.BPF_MAP_CREATE:
		return w.createMap(attr)
	case uapi.BPF_MAP_UPDATE_ELEM:
		return w.update(m, attr)
	case uapi.BPF_MAP_FREEZE:
		var a uapi.MapElemAttr
		a.Decode(attr)
		w.frozen[int(a.MapFD)] = true
		return w.live(cmd, attr)
	case uapi.BPF_BTF_LOAD:
		var a uapi.BTFLoadAttr
		a.Decode(attr)
		var pins oracle.Pins
		defer pins.Release()
		raw := w.read(m, a.BTF, a.BTFSize)
		a.BTF, a.BTFLogBuf, a.BTFLogSize, a.BTFLogLevel = pins.Addr(raw), 0, 0, 0
		out := make([]byte, len(attr))
		a.Encode(out)
		fd, err := w.live(cmd, out)
		if err == nil {
			if w.btfs[fd], err = kbtf.Parse(raw, nil); err != nil {
				w.t.Errorf("BTF: %v", err)
			}
		}
		return fd, err
	case uapi.BPF_PROG_LOAD:
		return w.load(m, attr, 32<<20)
	}
	return 0, errno.Errorf(errno.ENOTSUPP, "%v is not forwarded", cmd)
}

func (w *twin) live(cmd uapi.Cmd, attr []byte) (int, error) {
	r, e := oracle.BPF(cmd, attr)
	return int(r), e.Err()
}

func (w *twin) createMap(attr []byte) (int, error) {
	var a uapi.MapCreateAttr
	a.Decode(attr)
	fd, err := w.live(uapi.BPF_MAP_CREATE, attr)
	if err != nil {
		return fd, err
	}
	d := &desc.Map{
		ID: uint32(fd), Type: a.MapType, Name: uapi.CString(a.MapName[:]), KeySize: a.KeySize,
		ValueSize: a.ValueSize, MaxEntries: a.MaxEntries, Flags: a.MapFlags,
		Addr: 0xffff888000000000 + uint64(fd)<<12, SpinLockOff: -1, TimerOff: -1,
		ReadOnlyProg:  a.MapFlags&uapi.BPF_F_RDONLY_PROG != 0,
		WriteOnlyProg: a.MapFlags&uapi.BPF_F_WRONLY_PROG != 0,
		HasBTF:        a.BTFFD != 0,
	}
	if a.BTFFD != 0 {
		rec := w.btfs[int(a.BTFFD)].Record(kbtf.ID(a.BTFValueTypeID))
		d.SpinLockOff, d.TimerOff = rec.Offset(kbtf.SpinLock), rec.Offset(kbtf.Timer)
	}
	if a.InnerMapFD != 0 {
		d.Inner = w.maps[int(a.InnerMapFD)]
	}
	d.Frozen = func() bool { return w.frozen[fd] }
	if a.MapType == uapi.BPF_MAP_TYPE_ARRAY && a.MaxEntries == 1 {
		w.data[fd] = make([]byte, a.ValueSize)
		d.ValueAddr = func(off uint32) (uint64, bool) {
			if off >= a.ValueSize {
				return 0, false
			}
			return mem.HostAddr(w.data[fd][off:]), true
		}
	}
	w.maps[fd] = d
	return fd, nil
}

func (w *twin) update(m usermem.Mem, attr []byte) (int, error) {
	var a uapi.MapElemAttr
	a.Decode(attr)
	var pins oracle.Pins
	defer pins.Release()
	d := w.maps[int(a.MapFD)]
	value := w.read(m, a.Value, d.ValueSize)
	copy(w.data[int(a.MapFD)], value)
	a.Key, a.Value = pins.Addr(w.read(m, a.Key, d.KeySize)), pins.Addr(value)
	out := make([]byte, len(attr))
	a.Encode(out)
	return w.live(uapi.BPF_MAP_UPDATE_ELEM, out)
}

func (w *twin) load(m usermem.Mem, attr []byte, logSize uint32) (int, error) {
	var a uapi.ProgLoadAttr
	a.Decode(attr)
	var pins oracle.Pins
	defer pins.Release()
	code := w.read(m, a.Insns, a.InsnCnt*8)
	var license []byte
	for at := a.License; len(license) == 0 || license[len(license)-1] != 0; at++ {
		license = append(license, w.read(m, at, 1)...)
	}
	funcs := w.read(m, a.FuncInfo, a.FuncInfoCnt*a.FuncInfoRecSize)
	lines := w.read(m, a.LineInfo, a.LineInfoCnt*a.LineInfoRecSize)
	liveLog := make([]byte, logSize)
	out := make([]byte, len(attr))
	b := a
	b.Insns, b.License = pins.Addr(code), pins.Addr(license)
	b.FuncInfo, b.LineInfo = pins.Addr(funcs), pins.Addr(lines)
	b.LogBuf, b.LogSize, b.LogLevel = pins.Addr(liveLog), logSize, 2
	b.Encode(out)
	fd, err := w.live(uapi.BPF_PROG_LOAD, out)
	want := errno.Errno(0)
	errors.As(err, &want)
	if want == errno.ENOSPC && logSize < 512<<20 {
		return w.load(m, attr, 512<<20)
	}

	insns, _ := insn.Decode(code)
	log, _ := verifier.NewLog(2, logSize)
	raw := &prog.Raw{
		Info: desc.ProgInfo{Type: a.ProgType, ExpectedAttach: a.ExpectedAttachType, Flags: a.ProgFlags,
			GPL: strings.HasPrefix(string(license), "GPL") || strings.HasPrefix(string(license), "Dual"), Caps: allCaps},
		Insns:    insns,
		BTF:      w.btfs[int(a.ProgBTFFD)],
		FuncInfo: prog.InfoRecords{RecSize: a.FuncInfoRecSize, Count: a.FuncInfoCnt, Data: funcs},
		LineInfo: prog.InfoRecords{RecSize: a.LineInfoRecSize, Count: a.LineInfoCnt, Data: lines},
	}
	_, verr := verifier.Verify(raw, &verifier.Env{
		Type: progtype.Lookup(a.ProgType), Log: log, CPUs: w.CPUs(),
		ResolveMap: func(fd int32) (*desc.Map, error) {
			if d := w.maps[int(fd)]; d != nil {
				return d, nil
			}
			return nil, errno.EBADF
		},
	})
	got := errno.Errno(0)
	errors.As(verr, &got)
	if os.Getenv("SKEP_DUMP") == w.name {
		t := w.t
		t.Logf("skep:\n%s\nlinux:\n%s", log, uapi.CString(liveLog))
	}
	w.agree.judge(w.t, w.name, got, want, log.String(), uapi.CString(liveLog))
	return fd, err
}

// judge compares skep's answer with the live kernel's. What skep does not
// understand it refuses with ENOTSUPP: that is counted, not a failure.
func (a *agreement) judge(t *testing.T, name string, got, want errno.Errno, log, liveLog string) {
	a.cases++
	if got == errno.ENOTSUPP && want != errno.ENOTSUPP {
		a.refused++
		if want != 0 {
			a.verdict++
		}
		t.Logf("%s: %s", name, reasonLine(log))
		return
	}
	switch {
	case (got == 0) == (want == 0):
		a.verdict++
	case got == 0:
		t.Errorf("%s: skep accepts what Linux refuses with %s: %s", name, want.Name(), lastLines(liveLog))
	default:
		t.Errorf("%s: skep refuses with %s what Linux accepts: %s", name, got.Name(), lastLines(log))
	}
	if got == want {
		a.errno++
	} else {
		t.Errorf("%s: errno %s, Linux %s", name, got.Name(), want.Name())
	}
	if d := firstDifference(normal(log), normal(liveLog)); d != "" {
		t.Errorf("%s: log differs: %s", name, d)
	} else {
		a.log++
	}
}

func lastLines(s string) string {
	l := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(l[max(0, len(l)-4):], "\n")
}

func TestOracleObjects(t *testing.T) {
	oracle.Require(t)
	types, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, p := range []string{"../../examples/*/*.o", "../../testdata/elf/*.o", "testdata/*.o", os.Getenv("SKEP_OBJECTS")} {
		m, _ := filepath.Glob(p)
		files = append(files, m...)
	}
	if len(files) < 3 {
		t.Fatalf("only %d objects", len(files))
	}
	var a agreement
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			o, err := loader.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range o.Spec.Maps {
				m.Pinning = ebpf.PinNone
			}
			w := &twin{t: t, agree: &a, maps: map[int]*desc.Map{}, data: map[int][]byte{},
				frozen: map[int]bool{}, btfs: map[int]*kbtf.BTF{}}
			inst, err := o.New(w, loader.Options{KernelTypes: types})
			if err != nil {
				t.Fatal(err)
			}
			defer inst.Close()
			for _, name := range o.Programs {
				w.name = name
				if progtype.Lookup(uapi.ProgType(o.Spec.Programs[name].Type)) == nil {
					t.Logf("%s: program type %v is not there", name, o.Spec.Programs[name].Type)
					continue
				}
				if _, err := inst.Program(name); err != nil {
					t.Logf("%s: %v", name, err)
				}
			}
		})
	}
	a.report(t)
}
