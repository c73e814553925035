package loader_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/loader"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

const (
	elfDir   = "../../testdata/elf/"
	firewall = "../../examples/firewall/firewall.o"
)

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newKernel makes a kernel that fails the test if anything is left in it.
func newKernel(t testing.TB) *skep.Kernel {
	t.Helper()
	k, err := skep.New(skep.Config{CPUs: oracle.PossibleCPUs(), TrackOrigins: true, Memory: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// put overwrites bytes of a file.
func put(at int, b ...byte) func([]byte) []byte {
	return func(f []byte) []byte { copy(f[at:], b); return f }
}

// rename replaces a name everywhere, in the strings of ELF and BTF.
func rename(from, to string) func([]byte) []byte {
	return func(f []byte) []byte {
		return bytes.ReplaceAll(f, append([]byte(from), 0), append([]byte(to), 0))
	}
}

// bind gives an undefined symbol a binding.
func bind(name string, b elf.SymBind) func([]byte) []byte {
	return func(file []byte) []byte {
		f, err := elf.NewFile(bytes.NewReader(file))
		if err != nil {
			panic(err)
		}
		syms, err := f.Symbols()
		if err != nil {
			panic(err)
		}
		for i, s := range syms {
			if s.Name == name && s.Section == elf.SHN_UNDEF {
				file[f.SectionByType(elf.SHT_SYMTAB).Offset+uint64(24*(i+1)+4)] = elf.ST_INFO(b, elf.ST_TYPE(s.Info))
				return file
			}
		}
		panic("no symbol " + name)
	}
}

// section changes the header of a section.
func section(name string, at int, value uint64, size int) func([]byte) []byte {
	return func(file []byte) []byte {
		f, err := elf.NewFile(bytes.NewReader(file))
		if err != nil {
			panic(err)
		}
		for i, s := range f.Sections {
			if s.Name == name {
				h := binary.LittleEndian.Uint64(file[40:]) + uint64(i)*64 + uint64(at)
				var b [8]byte
				binary.LittleEndian.PutUint64(b[:], value)
				copy(file[h:], b[:size])
				return file
			}
		}
		panic("no section " + name)
	}
}

// What goes wrong when a user loads an object, and what he is told.
func TestErrors(t *testing.T) {
	same := func(b []byte) []byte { return b }
	for _, tc := range []struct {
		name, file string
		change     func([]byte) []byte
		want       string // a part of the message
		errno      error
	}{
		{"a source file", elfDir + "xdp.c", same, "not an ELF object (compile with clang -target bpf)", nil},
		{"an empty file", firewall, func([]byte) []byte { return nil }, "not an ELF object", nil},
		{"four bytes", firewall, func(b []byte) []byte { return b[:4] }, "the file ends within the ELF header", nil},
		{"half a file", firewall, func(b []byte) []byte { return b[:len(b)/2] }, "the file was cut", nil},
		{"an object for the host", firewall, put(18, byte(elf.EM_X86_64), 0), "an object for EM_X86_64, not for BPF", nil},
		{"big endian", firewall, put(5, byte(elf.ELFDATA2MSB)), "a big-endian object", nil},
		{"32 bits", firewall, put(4, byte(elf.ELFCLASS32)), "not a 64-bit object", nil},
		{"no license", elfDir + "printk.o", rename("license", "lixense"), "GPL", errno.EINVAL},
		{"no BTF", firewall, rename(".BTF", ".BTX"), "missing BTF", nil},
		{"a section of no type", elfDir + "xdp.o", rename("xdp", "abc"), `section "abc" does not say what type it is`, nil},
		{"a map without a size", "testdata/sizeless.o", same, "map sizeless", errno.EINVAL},
		{"an unknown option", elfDir + "kconfig.o", rename("CONFIG_HZ", "CONFIG_HX"), "the kernel has no option CONFIG_HX (declare it __weak", nil},
		{"a kfunc that must be there", elfDir + "ksyms.o", bind("skep_no_such_function", elf.STB_GLOBAL), "the kernel has no symbol skep_no_such_function (declare it __weak", nil},
		{"a variable that must be there", "testdata/externs.o", bind("skep_no_such_variable", elf.STB_GLOBAL), "the kernel has no symbol skep_no_such_variable (declare it __weak", nil},
		{"a number for a choice", "testdata/externs.o", rename("CONFIG_SKEP_NUMBER", "CONFIG_BPF_SYSCALL"), "extern CONFIG_BPF_SYSCALL: the option is y, n or m", nil},
		{"zeroes without end", firewall, section(".bss", 32, 1<<40, 8), "there can be", nil},
		{"much zero", firewall, section(".bss", 32, 1<<32-1, 8), "there can be", nil},
		{"a section beyond the file", firewall, section(".rodata", 32, 1<<20, 8), "it was cut", nil},
		{"a compressed section", firewall, section(".BTF", 8, uint64(elf.SHF_COMPRESSED), 8), "section .BTF is compressed", nil},
		{"no sections", firewall, put(60, 0, 0), "0 sections", nil},
		{"no names", firewall, put(62, 0xff, 0xfe), "is not there", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newKernel(t)
			coll, err := k.Load("x", tc.change(bytes.Clone(read(t, tc.file))), nil)
			if err == nil {
				coll.Close()
				t.Fatal("it is loaded")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nwant: … %s …", err, tc.want)
			}
			if tc.errno != nil && !errors.Is(err, tc.errno) {
				t.Errorf("%v; want %v", err, tc.errno)
			}
		})
	}
}

func TestFileErrors(t *testing.T) {
	k := newKernel(t)
	for file, want := range map[string]string{"testdata/nowhere.o": "no such file", "testdata": "testdata"} {
		if _, err := k.LoadFile(file, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
	_, err := k.LoadFile(firewall, &skep.LoadOptions{Programs: []string{"waterwall"}})
	if err == nil || err.Error() != `the object has no program "waterwall"; it has firewall` {
		t.Error(err)
	}
}

// A file that ends at the boundary of a section, or a byte off it, or has a
// section of nothing, is an error or an object, and never more than that.
func TestCut(t *testing.T) {
	for _, file := range objects(t) {
		whole := read(t, file)
		f, err := elf.NewFile(bytes.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		ends := []uint64{0, 63, 64, binary.LittleEndian.Uint64(whole[40:])}
		for _, s := range f.Sections {
			ends = append(ends, s.Offset, s.Offset+s.FileSize)
		}
		for _, end := range ends {
			for _, at := range []uint64{end - 1, end, end + 1} {
				if at >= uint64(len(whole)) {
					continue
				}
				if _, err := loader.Read("cut", whole[:at]); err == nil {
					t.Errorf("%s: the first %d bytes of %d are an object", file, at, len(whole))
				}
			}
		}
		for _, s := range f.Sections[1:] {
			empty := section(s.Name, 32, 0, 8)(bytes.Clone(whole))
			if o, err := loader.Read("empty", empty); err == nil {
				tryAll(t, newKernel(t), o)
			}
		}
	}
}

func objects(t testing.TB) (files []string) {
	t.Helper()
	for _, pattern := range []string{elfDir + "*.o", "../../examples/*/*.o", "testdata/*.o"} {
		m, err := filepath.Glob(pattern)
		if err != nil || len(m) == 0 {
			t.Fatalf("no objects %s (%v)", pattern, err)
		}
		files = append(files, m...)
	}
	return files
}

// tryAll loads what can be loaded of an object.
func tryAll(t testing.TB, k *skep.Kernel, o *loader.Object) {
	inst, err := o.New(host{asHost(k)}, loader.Options{})
	if err != nil {
		return
	}
	for _, name := range o.Programs {
		_, _ = inst.Program(name)
	}
	_ = inst.LoadSlots()
	inst.Close()
}

// Maps that a machine has no memory for are refused, with the kernel's errno,
// at once.
func TestHugeMaps(t *testing.T) {
	for _, tc := range []struct {
		file, name  string
		key, value  uint32
		entries     uint32
		errno, also error
	}{
		{"map_kinds.o", "array_map", 4, 1 << 20, 1<<32 - 1, errno.E2BIG, errno.ENOMEM},
		{"map_kinds.o", "array_map", 4, 1<<32 - 1, 1, errno.E2BIG, nil},
		{"map_kinds.o", "percpu_array_map", 4, 1 << 14, 1<<32 - 1, errno.ENOMEM, errno.E2BIG},
		{"map_kinds.o", "hash_map", 1 << 20, 1 << 20, 1<<32 - 1, errno.E2BIG, nil},
		{"map_kinds.o", "hash_map", 4, 8, 1<<32 - 1, errno.E2BIG, errno.ENOMEM},
		{"map_kinds.o", "hash_map", 4, 8, 1 << 31, errno.ENOMEM, errno.E2BIG},
		{"map_kinds.o", "percpu_hash_map", 4, 8, 1 << 31, errno.ENOMEM, errno.E2BIG},
		{"map_kinds.o", "lru_hash_map", 4, 8, 1 << 31, errno.ENOMEM, errno.E2BIG},
		{"map_kinds.o", "queue_map", 0, 1 << 20, 1<<32 - 1, errno.E2BIG, errno.ENOMEM},
		{"ringbuf.o", "records", 0, 0, 1 << 31, errno.ENOMEM, errno.E2BIG},
		{"tail_call.o", "jumps", 4, 4, 1<<32 - 1, errno.ENOMEM, errno.E2BIG},
		{"map_in_map.o", "outer_hash", 4, 4, 1 << 31, errno.ENOMEM, errno.E2BIG},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := loader.Open(elfDir + tc.file)
			if err != nil {
				t.Fatal(err)
			}
			m := o.Spec.Maps[tc.name]
			if m == nil {
				t.Fatalf("no map %s", tc.name)
			}
			m.KeySize, m.ValueSize, m.MaxEntries, m.Key, m.Value = tc.key, tc.value, tc.entries, nil, nil
			_, err = o.New(host{asHost(newKernel(t))}, loader.Options{})
			if !errors.Is(err, tc.errno) && (tc.also == nil || !errors.Is(err, tc.also)) {
				t.Errorf("%v; want %v or %v", err, tc.errno, tc.also)
			}
			if err != nil && !strings.Contains(err.Error(), "map "+tc.name) {
				t.Errorf("%v does not name the map", err)
			}
		})
	}
}

// Programs that are small in the file and large when each is linked with what it
// calls are refused before they are.
func TestManyCopies(t *testing.T) {
	if _, err := loader.Read("bomb", bomb(300, 60000)); err == nil || !strings.Contains(err.Error(), "with the functions that they call") {
		t.Errorf("%v", err)
	}
	if _, err := loader.Read("few", bomb(3, 100)); err != nil {
		t.Error(err)
	}
}

// Externs that the ELF reader has no mind for are taken as libbpf takes them.
func TestExterns(t *testing.T) {
	k := newKernel(t)
	coll, err := k.LoadFile("testdata/externs.o", nil)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer coll.Close()
	for name, p := range coll.Programs {
		res, err := p.Run(skep.RunOptions{Data: make([]byte, 14)})
		if err != nil || res.Return != 0 {
			t.Errorf("%s: %v, %v", name, res, err)
		}
	}
}

// A map that is pinned by name is one map for all objects that have it, lives on
// without them, and must fit.
func TestPinnedByName(t *testing.T) {
	k := newKernel(t)
	for n := range uint32(3) {
		coll, err := k.LoadFile("testdata/pinned.o", nil)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		res, err := coll.Programs["count"].Run(skep.RunOptions{Data: make([]byte, 14)})
		if err != nil || res.Return != n {
			t.Errorf("run %d: %v, %v", n, res, err)
		}
		coll.Close()
	}
	for what, change := range map[string]func(*ebpf.MapSpec){
		"size":  func(m *ebpf.MapSpec) { m.MaxEntries = 2 },
		"flags": func(m *ebpf.MapSpec) { m.Flags = uapi.BPF_F_MMAPABLE },
		"type":  func(m *ebpf.MapSpec) { m.Type = ebpf.Hash },
	} {
		o, err := loader.Open("testdata/pinned.o")
		if err != nil {
			t.Fatal(err)
		}
		change(o.Spec.Maps["shared"])
		if _, err := o.New(host{asHost(k)}, loader.Options{}); err == nil || !strings.Contains(err.Error(), "is pinned already and has other sizes") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Types that hang together in a long chain are followed to the end, or refused;
// they do not exhaust the stack.
func TestLongTypes(t *testing.T) {
	for _, n := range []int{10, 60_000, 1_300_000} {
		o, err := loader.Read("chain", chain(n))
		if err == nil {
			tryAll(t, newKernel(t), o)
		} else if n == 10 {
			t.Error(err)
		}
	}
}
