package abi_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/skep-ebpf/skep/internal/abi"
	"github.com/skep-ebpf/skep/internal/bpffs"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/interp"
	"github.com/skep-ebpf/skep/internal/load"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// A bench is a small kernel whose parts a test can look at.
type bench struct {
	testing.TB
	*abi.Kernel
	region *mem.Region
	idle   uint64 // bytes in use without any object
}

// newBench makes a kernel with some memory and CPUs. The checking engine holds
// programs against what the verifier believed.
func newBench(t testing.TB, memory uint64, cpus int, checking bool) *bench {
	region, err := mem.NewRegion(memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := exec.NewMachine(region, cpus)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Hour)
	m.Clock = func() uint64 { return uint64(time.Since(start)) }
	m.BootClock, m.TAIClock, m.Rand = m.Clock, m.Clock, rand.Uint64
	m.Trace = func(int, string) {}
	k := &abi.Kernel{
		Machine: m, Registry: &object.Registry{}, FS: &bpffs.FS{}, Stats: &object.Stats{}, UnprivilegedDisabled: true,
	}
	k.Loader = &load.Loader{
		Machine: m, Registry: k.Registry, Stats: k.Stats, Engine: interp.New(), Link: helpers.Env(m),
		Types: progtype.Lookup, UnprivilegedDisabled: true,
	}
	if checking {
		k.Loader.Engine, k.Loader.Record = interp.NewChecking(), true
	}
	return &bench{t, k, region, region.Used()}
}

func (b *bench) task(m usermem.Mem) *object.Task {
	return object.NewTask(b.Registry, object.Credentials{Caps: object.AllCaps}, m)
}

// call makes a call as a task in the memory that it has.
func (b *bench) call(ctx context.Context, t *object.Task, cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
	n, err := b.Call(ctx, t, t.Mem, cmd, attr)
	if err == nil {
		return n, 0
	}
	e, ok := errno.Of(err)
	if !ok {
		b.Fatalf("%v: an error without errno: %v", cmd, err)
	}
	return -1, e
}

// end unmounts the file system and holds that nothing is left once all tasks
// have exited.
func (b *bench) end() {
	b.Helper()
	b.FS.Clear()
	b.Machine.Barrier()
	for _, l := range b.Registry.Leaks() {
		b.Errorf("%s %d is left with %d references", l.What, l.ID, l.Refs)
	}
	if used, _ := b.Machine.Handles(); used != 0 {
		b.Errorf("%d handles are left", used)
	}
	if used := b.region.Used(); used != b.idle {
		b.Errorf("%d bytes of program memory are left", used-b.idle)
	}
	if err := b.region.Close(); err != nil {
		b.Error(err)
	}
}
