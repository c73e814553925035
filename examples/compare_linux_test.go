package examples_test

import (
	"bytes"
	"errors"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep"
)

// TestLikeTheKernel runs each example over each Ethernet capture in the live
// kernel and in skep, by BPF_PROG_TEST_RUN of the same object: verdict, packet
// and errno of each packet, and all maps and events at the end, are the same.
func TestLikeTheKernel(t *testing.T) {
	needOracle(t)
	for _, run := range exampleRuns {
		name := run.program
		if run.rules != "" {
			name += " with rules"
		}
		for _, file := range captureNames(t) {
			c := readCapture(t, file)
			if c.linkType != layers.LinkTypeEthernet {
				continue
			}
			t.Run(name+"/"+file, func(t *testing.T) {
				oneCPU(t)
				theirs := loadExample(t, run.object, run.rules)
				ours := loadOurs(t, skep.Interpreter, run.object, run.rules)
				comparePackets(t, theirs.Programs[run.program], ours.Programs[run.program], c)
				compareMaps(t, theirs, ours)
			})
		}
	}
}

// oneCPU keeps the test's goroutine on one CPU of the machine, as skep has one:
// per-CPU values and the free lists of LRU maps are then of one CPU.
func oneCPU(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	for cpu := range 64 * len(before) {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.SchedSetaffinity(0, &before); err == nil {
			runtime.UnlockOSThread()
		}
	})
}

// comparePackets runs each packet on both sides.
func comparePackets(t *testing.T, theirs *ebpf.Program, ours *skep.Program, c capture) {
	t.Helper()
	const ethernetHeader, added = 14, 4096
	ran := 0
	for i, packet := range c.packets {
		if len(packet) < ethernetHeader {
			continue // the library does not even ask the kernel
		}
		want := &ebpf.RunOptions{Data: packet, DataOut: make([]byte, len(packet)+added)}
		wantRet, wantErr := theirs.Run(want)
		got, gotErr := ours.Run(skep.RunOptions{Data: packet})
		var code unix.Errno
		if errors.As(wantErr, &code) {
			if !errors.Is(gotErr, code) {
				t.Errorf("packet %d (%d bytes): %v, the kernel %v", i, len(packet), gotErr, wantErr)
			}
			continue
		}
		if wantErr != nil || gotErr != nil {
			t.Fatalf("packet %d (%d bytes): %v, the kernel %v", i, len(packet), gotErr, wantErr)
		}
		ran++
		if got.Return != wantRet || !bytes.Equal(got.Data, want.DataOut) {
			t.Errorf("packet %d: returned %#x, the kernel %#x; packet\n%x, the kernel's\n%x", i, got.Return, wantRet, got.Data, want.DataOut)
		}
		if t.Failed() && i > 20 {
			t.FailNow()
		}
	}
	if ran == 0 {
		t.Error("no packet was run")
	}
}

func compareMaps(t *testing.T, theirs *ebpf.Collection, ours *skep.Collection) {
	t.Helper()
	names := slices.Sorted(maps.Keys(theirs.Maps))
	if ourNames := slices.Sorted(maps.Keys(ours.Maps)); !slices.Equal(names, ourNames) {
		t.Fatalf("maps %v, want %v", ourNames, names)
	}
	for _, name := range names {
		if theirs.Maps[name].Type() == ebpf.RingBuf {
			compareEvents(t, theirs.Maps[name], ours.Maps[name])
			continue
		}
		want, got := theirContents(t, theirs.Maps[name]), ourContents(ours.Maps[name])
		if maps.Equal(want, got) {
			continue
		}
		t.Errorf("map %s differs", name)
		for key := range want {
			if got[key] != want[key] {
				t.Errorf("  key %x: %x, the kernel %x", key, got[key], want[key])
			}
		}
		for key := range got {
			if _, ok := want[key]; !ok {
				t.Errorf("  key %x: %x, which the kernel has not", key, got[key])
			}
		}
	}
}

func theirContents(t *testing.T, m *ebpf.Map) contents {
	t.Helper()
	out := contents{}
	var key []byte
	if m.Type() == ebpf.PerCPUArray {
		var values [][]byte
		entries := m.Iterate()
		for entries.Next(&key, &values) {
			out[string(key)] = used(values)
		}
		if err := entries.Err(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	var value []byte
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		out[string(key)] = string(value)
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// used is the value of the one CPU that counted, or zeros where none did.
func used(values [][]byte) string {
	for _, v := range values {
		if len(bytes.Trim(v, "\x00")) > 0 {
			return string(v)
		}
	}
	return string(values[0])
}

// compareEvents reads what is left in a ring buffer: nobody read it before, so
// that it is full at the same point.
func compareEvents(t *testing.T, theirs *ebpf.Map, ours *skep.Map) {
	t.Helper()
	var want, got [][]byte
	reader, err := ringbuf.NewReader(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		record, err := reader.Read()
		if errors.Is(err, ringbuf.ErrFlushed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, record.RawSample)
	}
	events, err := ours.Events()
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	events.Read(func(e skep.Event) { got = append(got, bytes.Clone(e.Data)) })
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("map %s: %d events, the kernel %d, or others", ours.Name, len(got), len(want))
	}
}
