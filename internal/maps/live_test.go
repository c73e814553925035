package maps

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

var allCaps = desc.Caps{BPF: true, Perfmon: true, NetAdmin: true, SysAdmin: true}

// newMachine makes a machine, and checks at the end of the test that all memory
// came back.
func newMachine(t testing.TB, cpus int) *exec.Machine {
	t.Helper()
	r, err := mem.NewRegion(0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := exec.NewMachine(r, cpus)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	m.Rand = rng.Uint64
	used := r.Used()
	t.Cleanup(func() {
		m.Synchronize()
		if now := r.Used(); now != used && !t.Failed() {
			t.Errorf("%d bytes of map memory were not freed", int64(now-used))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func newMap(t testing.TB, m *exec.Machine, s Spec) Map {
	t.Helper()
	s.Caps = allCaps
	mp, err := New(m, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mp.Free)
	return mp
}

// pair is the same map in skep and in the live kernel.
type pair struct {
	t    testing.TB
	skep Map
	live *oracle.Map
	// padded: the padding of per-CPU values is not compared.
	padded bool
}

func newPair(t testing.TB, s Spec) *pair {
	t.Helper()
	oracle.Require(t)
	m := newMachine(t, oracle.PossibleCPUs())
	return &pair{t: t, skep: newMap(t, m, s), live: oracle.NewMap(t, liveSpec(s))}
}

func liveSpec(s Spec) oracle.MapSpec {
	return oracle.MapSpec{Type: s.Type, KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries, Flags: s.Flags, Extra: s.MapExtra}
}

func (p *pair) same(what string, skep, live errno.Errno, skepOut, liveOut []byte) {
	p.t.Helper()
	if skep != live {
		p.t.Fatalf("%s: skep answers %s, the kernel %s", what, name(skep), name(live))
	}
	if skep == 0 && !bytes.Equal(p.meaning(skepOut), p.meaning(liveOut)) {
		p.t.Fatalf("%s: skep gives %x, the kernel %x", what, skepOut, liveOut)
	}
}

// meaning clears what pads the values of a per-CPU map: a program's update of a
// new element leaves there what the element held before.
func (p *pair) meaning(out []byte) []byte {
	n := int(p.skep.Spec().ValueSize)
	if size := int(roundUp(uint64(n), 8)); p.padded && len(out) == int(p.skep.ValueSizeUser()) {
		for i := range out {
			if i%size >= n {
				out[i] = 0
			}
		}
	}
	return out
}

func name(e errno.Errno) string {
	if e == 0 {
		return "success"
	}
	return e.Name()
}

func (p *pair) update(key, value []byte, flags uint64) errno.Errno {
	p.t.Helper()
	e := p.skep.Update(key, value, flags)
	p.same(fmt.Sprintf("update %x flags %#x", key, flags), e, p.live.Update(key, value, flags), nil, nil)
	return e
}

func (p *pair) lookup(key []byte, flags uint64) errno.Errno {
	p.t.Helper()
	out := make([]byte, p.skep.ValueSizeUser())
	e := p.skep.Lookup(key, out, flags)
	want, le := p.live.LookupFlags(key, flags)
	p.same(fmt.Sprintf("lookup %x", key), e, le, out, want)
	return e
}

func (p *pair) delete(key []byte) errno.Errno {
	p.t.Helper()
	e := p.skep.Delete(key)
	p.same(fmt.Sprintf("delete %x", key), e, p.live.Delete(key), nil, nil)
	return e
}

func (p *pair) lookupAndDelete(key []byte, flags uint64) errno.Errno {
	p.t.Helper()
	out := make([]byte, p.skep.ValueSizeUser())
	e := p.skep.LookupAndDelete(key, out, flags)
	want, le := p.live.LookupAndDelete(key, flags)
	p.same(fmt.Sprintf("lookup and delete %x", key), e, le, out, want)
	return e
}

func (p *pair) nextKey(key []byte) ([]byte, errno.Errno) {
	p.t.Helper()
	out := make([]byte, p.skep.Spec().KeySize)
	e := p.skep.NextKey(key, out)
	want, le := p.live.NextKey(key)
	p.same(fmt.Sprintf("key after %x", key), e, le, out, want)
	return out, e
}

// walk compares all keys, in order, and their values.
func (p *pair) walk() (n int) {
	p.t.Helper()
	key, e := p.nextKey(nil)
	for ; e == 0; key, e = p.nextKey(key) {
		p.lookup(key, 0)
		n++
	}
	return n
}

// batchCall is one batch command, the same memory layout on both sides.
type batchCall struct {
	cmd               uapi.Cmd
	in                []byte // nil: no in_batch
	out, keys, values []byte
	count             uint32
	elemFlags, flags  uint64
}

func (c *batchCall) clone() *batchCall {
	d := *c
	d.in, d.out = bytes.Clone(c.in), bytes.Clone(c.out)
	d.keys, d.values = bytes.Clone(c.keys), bytes.Clone(c.values)
	return &d
}

func (c *batchCall) runLive(fd int) errno.Errno {
	var pins oracle.Pins
	defer pins.Release()
	a := uapi.MapBatchAttr{
		InBatch: pins.Addr(c.in), OutBatch: pins.Addr(c.out), Keys: pins.Addr(c.keys), Values: pins.Addr(c.values),
		Count: c.count, MapFD: uint32(fd), ElemFlags: c.elemFlags, Flags: c.flags,
	}
	attr := make([]byte, uapi.MapBatchAttrEnd)
	a.Encode(attr)
	_, e := oracle.BPF(c.cmd, attr)
	a.Decode(attr)
	c.count = a.Count
	return e
}

func (c *batchCall) runSkep(m Map, resolve Resolver) errno.Errno {
	var segs usermem.Segments
	b := &Batch{
		Mem: &segs, InBatch: segs.Add(c.in), OutBatch: segs.Add(c.out), Keys: segs.Add(c.keys), Values: segs.Add(c.values),
		Count: c.count, ElemFlags: c.elemFlags, Flags: c.flags, Resolve: resolve,
		PutCount: func(n uint32) error { c.count = n; return nil },
	}
	switch c.cmd {
	case uapi.BPF_MAP_LOOKUP_BATCH:
		return m.LookupBatch(b)
	case uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH:
		return m.LookupAndDeleteBatch(b)
	case uapi.BPF_MAP_UPDATE_BATCH:
		return m.UpdateBatch(b)
	}
	return m.DeleteBatch(b)
}

// batch runs a batch command on both sides and compares everything.
func (p *pair) batch(c *batchCall) (*batchCall, errno.Errno) {
	p.t.Helper()
	s, l := c.clone(), c.clone()
	se, le := s.runSkep(p.skep, nil), l.runLive(p.live.FD)
	what := fmt.Sprintf("%v count %d in %x", c.cmd, c.count, c.in)
	p.same(what, se, le, nil, nil)
	if s.count != l.count {
		p.t.Fatalf("%s: %s: skep says %d elements, the kernel %d", what, name(se), s.count, l.count)
	}
	for _, f := range []struct {
		name string
		s, l []byte
	}{{"keys", s.keys, l.keys}, {"values", s.values, l.values}, {"out_batch", s.out, l.out}} {
		if !bytes.Equal(f.s, f.l) {
			p.t.Fatalf("%s: %s: %s\nskep   %x\nkernel %x", what, name(se), f.name, f.s, f.l)
		}
	}
	return s, se
}

// keySpace makes keys of which there are few, so that operations meet.
type keySpace func(rng *rand.Rand, size uint32) []byte

func smallKeys(n uint32) keySpace {
	return func(rng *rand.Rand, size uint32) []byte {
		k := make([]byte, max(size, 4))
		binary.LittleEndian.PutUint32(k, rng.Uint32N(n))
		return k[:size]
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

var someFlags = []uint64{0, 0, 0, 0, 0, uapi.BPF_NOEXIST, uapi.BPF_EXIST, 3, uapi.BPF_F_LOCK, 8, 1 << 33}

// compare runs random operations on a map in skep and in the live kernel.
func compare(t *testing.T, s Spec, keys keySpace, steps int) {
	t.Helper()
	p := newPair(t, s)
	rng := rand.New(rand.NewPCG(uint64(s.Type), uint64(s.MaxEntries)))
	size := int(p.skep.ValueSizeUser())
	if got := p.live.ValueBytes(); got != size {
		t.Fatalf("values have %d bytes in skep, %d in the kernel", size, got)
	}
	for range steps {
		key := keys(rng, s.KeySize)
		flags := someFlags[rng.IntN(len(someFlags))]
		switch rng.IntN(20) {
		default:
			p.update(key, randomBytes(rng, size), flags)
		case 9, 10, 11:
			p.lookup(key, 0)
		case 12:
			p.lookup(key, flags)
		case 13, 14, 15:
			p.delete(key)
		case 16:
			p.lookupAndDelete(key, 0)
		case 17:
			p.nextKey(key)
		case 18:
			p.randomBatch(rng, keys, size)
		case 19:
			if rng.IntN(20) == 0 {
				p.walk()
			}
		}
	}
	p.walk()
	p.batchWalk(1+rng.Uint32N(s.MaxEntries+1), size)
}

// randomBatch updates, deletes or reads a few elements in one command.
func (p *pair) randomBatch(rng *rand.Rand, keys keySpace, size int) {
	p.t.Helper()
	n := rng.Uint32N(6)
	cmds := []uapi.Cmd{uapi.BPF_MAP_UPDATE_BATCH, uapi.BPF_MAP_DELETE_BATCH, uapi.BPF_MAP_LOOKUP_BATCH, uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH}
	c := &batchCall{cmd: cmds[rng.IntN(len(cmds))], count: n, values: randomBytes(rng, int(n)*size)}
	for range n {
		c.keys = append(c.keys, keys(rng, p.skep.Spec().KeySize)...)
	}
	c.out = make([]byte, max(4, p.skep.Spec().KeySize))
	switch rng.IntN(12) {
	case 0:
		c.elemFlags = uapi.BPF_F_LOCK
	case 1:
		c.elemFlags = 1
	case 2:
		c.flags = 1
	case 3: // a fault in the middle
		c.keys = c.keys[:len(c.keys)/2]
	case 4:
		c.values = nil
	case 5:
		c.in = randomBytes(rng, int(max(4, p.skep.Spec().KeySize)))
	}
	if len(c.keys) == 0 || len(c.values) == 0 || c.in != nil {
		p.guarded(c)
		return
	}
	if len(c.keys) == int(n)*int(p.skep.Spec().KeySize) {
		p.batch(c)
	}
}

// guarded runs a batch of which an address is missing or arbitrary. The live
// kernel's memory is that of this process, so only what faults for certain is
// compared: an empty slice has address 0.
func (p *pair) guarded(c *batchCall) {
	p.t.Helper()
	p.batch(c)
}

// batchWalk reads all elements in batches of n.
func (p *pair) batchWalk(n uint32, size int) {
	p.t.Helper()
	ks := p.skep.Spec().KeySize
	var in []byte
	for range 10000 {
		c := &batchCall{cmd: uapi.BPF_MAP_LOOKUP_BATCH, in: in, out: make([]byte, max(4, ks)),
			keys: make([]byte, n*ks), values: make([]byte, int(n)*size), count: n}
		got, e := p.batch(c)
		if e != 0 {
			return
		}
		in = got.out
	}
	p.t.Fatal("the batch walk does not end")
}

func TestArraysLive(t *testing.T) {
	for _, s := range []Spec{
		{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 5},
		{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 13, MaxEntries: 1, Flags: uapi.BPF_F_MMAPABLE},
		{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: 5, MaxEntries: 7},
	} {
		t.Run(fmt.Sprint(s.Type.LibName(), s.ValueSize), func(t *testing.T) { compare(t, s, smallKeys(s.MaxEntries+3), 3000) })
	}
}

// With BPF_F_ZERO_SEED even the order of keys is the kernel's.
func TestHashesLive(t *testing.T) {
	for _, s := range []Spec{
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 9},
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 8, ValueSize: 3, MaxEntries: 64},
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 13, ValueSize: 17, MaxEntries: 12, Flags: uapi.BPF_F_NO_PREALLOC},
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 1, ValueSize: 1, MaxEntries: 200, Flags: uapi.BPF_F_NO_PREALLOC},
		{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, KeySize: 4, ValueSize: 12, MaxEntries: 8},
		{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, KeySize: 40, ValueSize: 8, MaxEntries: 15, Flags: uapi.BPF_F_NO_PREALLOC},
	} {
		s.Flags |= uapi.BPF_F_ZERO_SEED
		t.Run(fmt.Sprintf("%s/%d/%d", s.Type.LibName(), s.KeySize, s.MaxEntries), func(t *testing.T) {
			compare(t, s, smallKeys(s.MaxEntries*3/2), 6000)
		})
	}
}

// lpmKeys makes prefixes over few bits, some too long.
func lpmKeys(rng *rand.Rand, size uint32) []byte {
	k := make([]byte, size)
	bits := uint32(8 * (size - 4))
	n := rng.Uint32N(bits + 1)
	if rng.IntN(3) == 0 {
		n = min(bits, 8*rng.Uint32N(size-3))
	}
	if rng.IntN(40) == 0 {
		n = bits + 1
	}
	binary.LittleEndian.PutUint32(k, n)
	for i := range k[4:] {
		k[4+i] = []byte{0, 0x80, 0xff, 0x10}[rng.IntN(4)]
	}
	if rng.IntN(2) == 0 {
		clear(k[5:])
	}
	return k
}

func TestLPMTrieLive(t *testing.T) {
	for _, s := range []Spec{
		{KeySize: 8, ValueSize: 8, MaxEntries: 100},
		{KeySize: 5, ValueSize: 1, MaxEntries: 6},
		{KeySize: 20, ValueSize: 3, MaxEntries: 30},
		{KeySize: 11, ValueSize: 4, MaxEntries: 1000},
		{KeySize: 260, ValueSize: 4, MaxEntries: 50},
	} {
		s.Type, s.Flags = uapi.BPF_MAP_TYPE_LPM_TRIE, uapi.BPF_F_NO_PREALLOC
		t.Run(fmt.Sprint(s.KeySize), func(t *testing.T) { compare(t, s, lpmKeys, 6000) })
	}
}

func TestQueuesLive(t *testing.T) {
	for _, s := range []Spec{
		{Type: uapi.BPF_MAP_TYPE_QUEUE, ValueSize: 8, MaxEntries: 3},
		{Type: uapi.BPF_MAP_TYPE_STACK, ValueSize: 5, MaxEntries: 4},
		{Type: uapi.BPF_MAP_TYPE_QUEUE, ValueSize: 1, MaxEntries: 1},
	} {
		t.Run(s.Type.LibName(), func(t *testing.T) {
			p := newPair(t, s)
			rng := rand.New(rand.NewPCG(7, 7))
			for range 3000 {
				flags := someFlags[rng.IntN(len(someFlags))]
				switch rng.IntN(6) {
				case 0, 1, 2:
					p.update(nil, randomBytes(rng, int(s.ValueSize)), flags)
				case 3:
					p.lookup(nil, flags)
				default:
					p.lookupAndDelete(nil, flags)
				}
			}
			p.delete(nil)
			for _, cmd := range []uapi.Cmd{uapi.BPF_MAP_LOOKUP_BATCH, uapi.BPF_MAP_UPDATE_BATCH, uapi.BPF_MAP_DELETE_BATCH, uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH} {
				p.batch(&batchCall{cmd: cmd, count: 1, values: make([]byte, s.ValueSize), out: make([]byte, 8)})
			}
		})
	}
}

// What a ring buffer and a perf event array answer to the element commands.
func TestNoElementsLive(t *testing.T) {
	t.Run("ringbuf", func(t *testing.T) {
		p := newPair(t, Spec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096})
		p.elements(nil)
	})
	t.Run("perf_event_array", func(t *testing.T) {
		p := newPair(t, Spec{Type: uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 3})
		p.elements([]byte{0, 0, 0, 0})
		p.elements([]byte{3, 0, 0, 0})
		p.walkKeys()
	})
	t.Run("prog_array", func(t *testing.T) {
		p := newPair(t, Spec{Type: uapi.BPF_MAP_TYPE_PROG_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 3})
		p.elements([]byte{0, 0, 0, 0})
		p.elements([]byte{3, 0, 0, 0})
		p.walkKeys()
	})
}

func (p *pair) elements(key []byte) {
	p.t.Helper()
	for _, flags := range []uint64{0, 1, 4, 8} {
		p.lookup(key, flags)
		p.lookupAndDelete(key, flags)
		if key == nil {
			p.update(key, nil, flags)
		}
	}
	p.delete(key)
	p.nextKey(key)
	for _, cmd := range []uapi.Cmd{uapi.BPF_MAP_LOOKUP_BATCH, uapi.BPF_MAP_UPDATE_BATCH, uapi.BPF_MAP_DELETE_BATCH, uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH} {
		p.batch(&batchCall{cmd: cmd, count: 1, keys: make([]byte, 4), values: make([]byte, 4), out: make([]byte, 8)})
	}
}

func (p *pair) walkKeys() {
	p.t.Helper()
	key, e := p.nextKey(nil)
	for ; e == 0; key, e = p.nextKey(key) {
	}
}
