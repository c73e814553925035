package maps

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// sizes are interesting sizes of keys, values and maps.
var (
	keySizes   = []uint32{0, 1, 4, 5, 8, 260, 261, 512, 513, 4 << 20}
	valueSizes = []uint32{0, 1, 4, 8, 32 << 10, 32<<10 + 1, 4<<20 - 400, 4<<20 - 48 - 4, 4 << 20, 1 << 31, 1<<32 - 1}
	entryCount = []uint32{0, 1, 3, 4096, 5000, 8192, 1 << 31, 1<<32 - 1}
)

// flagSets are all single flags and a few pairs.
func flagSets() []uint32 {
	var out []uint32
	for i := range 20 {
		out = append(out, 1<<i, 1<<i|uapi.BPF_F_NO_PREALLOC)
	}
	return append(out, 0, uapi.BPF_F_RDONLY|uapi.BPF_F_WRONLY, uapi.BPF_F_RDONLY_PROG|uapi.BPF_F_WRONLY_PROG,
		uapi.BPF_F_RDONLY|uapi.BPF_F_NO_PREALLOC|uapi.BPF_F_WRONLY_PROG, 1<<31)
}

// generic are the flags that the kernel's map_create refuses for every type, or
// handles, before it asks the type: the layer above this package.
const generic = uapi.BPF_F_VTYPE_BTF_OBJ_FD | uapi.BPF_F_TOKEN_FD

// tooBig says that the kernel would have to allocate much for the map: whether
// it can depends on the host.
func tooBig(s Spec) bool {
	n := uint64(s.MaxEntries)
	return n*(roundUp(uint64(s.KeySize), 8)+roundUp(uint64(s.ValueSize), 8)+64) > 64<<20
}

// AllocCheck and New answer what BPF_MAP_CREATE answers, over a matrix of
// arguments. Where memory decides, only "can it be made" differs.
func TestCreateLive(t *testing.T) {
	oracle.Require(t)
	m := newMachine(t, oracle.PossibleCPUs())
	tried := 0
	for _, info := range Types() {
		if info.Inner {
			continue // needs a template: TestMapInMapLive
		}
		t.Run(info.Type.LibName(), func(t *testing.T) {
			try := func(s Spec) {
				if s.Flags&generic != 0 || tooBig(s) && AllocCheck(&s) == 0 {
					return
				}
				tried++
				compareCreate(t, s, func() errno.Errno {
					mp, err := New(m, s)
					if err != nil {
						e, _ := errno.Of(err)
						return e
					}
					mp.Free()
					return 0
				})
			}
			base := valid(info.Type)
			for _, s := range each(base, keySizes, func(s *Spec, v uint32) { s.KeySize = v }) {
				for _, s := range each(s, valueSizes, func(s *Spec, v uint32) { s.ValueSize = v }) {
					for _, s := range each(s, entryCount, func(s *Spec, v uint32) { s.MaxEntries = v }) {
						try(s)
					}
				}
			}
			for _, s := range each(base, flagSets(), func(s *Spec, v uint32) { s.Flags = v }) {
				try(s)
				for _, v := range []uint32{0, 4, 32<<10 + 1} {
					s.ValueSize = v
					try(s)
				}
			}
		})
	}
	if tried < 3000 {
		t.Fatalf("only %d combinations were tried", tried)
	}
}

// valid is a specification that works.
func valid(typ uapi.MapType) Spec {
	s := Spec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 4, Caps: allCaps}
	switch typ {
	case uapi.BPF_MAP_TYPE_LPM_TRIE:
		s.KeySize, s.Flags = 8, uapi.BPF_F_NO_PREALLOC
	case uapi.BPF_MAP_TYPE_QUEUE, uapi.BPF_MAP_TYPE_STACK:
		s.KeySize = 0
	case uapi.BPF_MAP_TYPE_RINGBUF:
		s.KeySize, s.ValueSize, s.MaxEntries = 0, 0, 4096
	}
	return s
}

func each(s Spec, values []uint32, set func(*Spec, uint32)) []Spec {
	var out []Spec
	for _, v := range values {
		c := s
		set(&c, v)
		out = append(out, c)
	}
	return out
}

func compareCreate(t *testing.T, s Spec, create func() errno.Errno) {
	t.Helper()
	live, want := oracle.CreateMap(liveSpec(s))
	if want == 0 {
		live.Close()
	}
	// bpf_get_file_flag comes before the type.
	both := uint32(uapi.BPF_F_RDONLY | uapi.BPF_F_WRONLY)
	if s.Flags&both == both {
		return
	}
	if got := create(); got != want {
		t.Errorf("key %d value %d entries %d flags %#x: skep answers %s, the kernel %s",
			s.KeySize, s.ValueSize, s.MaxEntries, s.Flags, name(got), name(want))
	}
}

// memlock in fdinfo is what the kernel counts, with the sizes of its structures.
func TestMemUsageLive(t *testing.T) {
	oracle.Require(t)
	m := newMachine(t, oracle.PossibleCPUs())
	for _, info := range Types() {
		if info.Inner {
			continue
		}
		s := valid(info.Type)
		if info.Type != uapi.BPF_MAP_TYPE_RINGBUF {
			s.MaxEntries = 1000
		}
		for _, flags := range []uint32{s.Flags, s.Flags | uapi.BPF_F_NO_PREALLOC, s.Flags | uapi.BPF_F_MMAPABLE} {
			s.Flags = flags
			if AllocCheck(&s) != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%#x", s.Type.LibName(), flags), func(t *testing.T) {
				mp := newMap(t, m, s)
				live := oracle.NewMap(t, liveSpec(s))
				got, want := mp.MemUsage(), memlock(t, live.FD)
				if got != want {
					t.Errorf("memlock: skep says %d, the kernel %d", got, want)
				}
			})
		}
	}
}

func memlock(t *testing.T, fd int) uint64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "memlock:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no memlock in fdinfo:\n%s", b)
	return 0
}
