package examples_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// needOracle skips the test where the kernel does not let this process use
// bpf(2). Any other trouble is a failure.
func needOracle(t *testing.T) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		t.Skipf("oracle: bpf(2) is not permitted here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}

// load loads an object into the live kernel, without the programs that `keep`
// does not want.
func load(t *testing.T, file string, keep func(name string) bool) (*ebpf.Collection, error) {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		t.Fatal(err)
	}
	for name := range spec.Programs {
		if !keep(name) {
			delete(spec.Programs, name)
		}
	}
	collection, err := ebpf.NewCollection(spec)
	if err == nil {
		t.Cleanup(collection.Close)
	}
	return collection, err
}

// TestCorpus does what the comments of testdata/elf say, in the live kernel.
func TestCorpus(t *testing.T) {
	needOracle(t)
	for _, o := range loadIndex(t) {
		t.Run(o.Object, func(t *testing.T) {
			file := filepath.Join(elfDir, o.Object)
			rejected := map[string]bool{}
			for _, c := range o.Cases {
				if c.Errno != "" {
					rejected[c.Program] = true
					t.Run(c.Program, func(t *testing.T) { testReject(t, file, c) })
				}
			}
			collection, err := load(t, file, func(name string) bool { return !rejected[name] })
			if err != nil {
				t.Fatalf("%+v", err)
			}
			for i, c := range o.Cases {
				if c.Errno == "" {
					t.Run(fmt.Sprintf("%d_%s", i, c.Program), func(t *testing.T) {
						testRun(t, collection.Programs[c.Program], c)
					})
				}
			}
		})
	}
}

func testReject(t *testing.T, file string, c runCase) {
	_, err := load(t, file, func(name string) bool { return name == c.Program })
	if err == nil {
		t.Fatal("the kernel accepts it")
	}
	if got := errnoName(err); got != c.Errno {
		t.Errorf("errno %s, want %s", got, c.Errno)
	}
	var refusal *ebpf.VerifierError
	if !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	if log := strings.Join(refusal.Log, "\n"); !strings.Contains(log, c.Log) {
		t.Errorf("no %q in the log:\n%s", c.Log, log)
	}
}

func errnoName(err error) string {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return "none"
	}
	return unix.ErrnoName(errno)
}

func testRun(t *testing.T, p *ebpf.Program, c runCase) {
	if p == nil {
		t.Fatalf("no program %s", c.Program)
	}
	data, err := hex.DecodeString(c.Data)
	if err != nil {
		t.Fatal(err)
	}
	options := &ebpf.RunOptions{Data: data, DataOut: make([]byte, 4096)}
	result, err := p.Run(options)
	if err != nil {
		t.Fatal(err)
	}
	if int32(result) != c.Return {
		t.Errorf("returned %d, want %d", int32(result), c.Return)
	}
	if out := hex.EncodeToString(options.DataOut); c.Out != "" && out != c.Out {
		t.Errorf("packet afterwards\n got %s\nwant %s", out, c.Out)
	}
}
