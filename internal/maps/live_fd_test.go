package maps

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// things are objects behind file descriptors, which have the same numbers in
// the live kernel and here.
type things struct {
	t    testing.TB
	byFD map[uint32]thing
	fds  []uint32
}

type thing interface {
	Object
	get()
	count() int64
}

type counted struct {
	id   uint32
	refs atomic.Int64
}

func (c *counted) ID() uint32   { return c.id }
func (c *counted) Put()         { c.refs.Add(-1) }
func (c *counted) get()         { c.refs.Add(1) }
func (c *counted) count() int64 { return c.refs.Load() }

type mapThing struct {
	counted
	m Map
}

func (m *mapThing) Map() Map { return m.m }

type progThing struct {
	counted
	owner ProgOwner
}

func (p *progThing) Image() exec.Image { return nil }
func (p *progThing) Owner() ProgOwner  { return p.owner }
func (p *progThing) Entry() uint64     { return uint64(p.id) }

func newThings(t testing.TB) *things {
	th := &things{t: t, byFD: map[uint32]thing{}, fds: []uint32{0xffffffff, 0}}
	// Objects outlive the maps that they are in.
	t.Cleanup(func() {
		for fd, o := range th.byFD {
			if n := o.count(); n != 0 {
				t.Errorf("the object behind fd %d has %d references at the end", fd, n)
			}
		}
	})
	return th
}

func (th *things) add(fd int, o thing) {
	th.byFD[uint32(fd)] = o
	th.fds = append(th.fds, uint32(fd))
}

func (th *things) addMap(m *exec.Machine, s Spec) *oracle.Map {
	th.t.Helper()
	live := oracle.NewMap(th.t, liveSpec(s))
	info, e := live.Info()
	if e != 0 {
		th.t.Fatal(e)
	}
	mp := newMap(th.t, m, s)
	mp.Desc().ID = info.ID
	th.add(live.FD, &mapThing{counted: counted{id: info.ID}, m: mp})
	return live
}

func (th *things) addProg(typ uapi.ProgType) {
	th.t.Helper()
	code, err := insn.Assemble("r0 = 0\nexit")
	if err != nil {
		th.t.Fatal(err)
	}
	live := oracle.Load(th.t, oracle.Prog{Type: typ, Insns: code})
	info, e := live.Info()
	if e != 0 {
		th.t.Fatal(e)
	}
	th.add(live.FD, &progThing{counted{id: info.ID}, ProgOwner{Type: typ, Jited: true}})
}

// resolve answers for the things; fd 0 is open but no BPF object.
func (th *things) resolve(fd uint32) (Object, errno.Errno) {
	if o, ok := th.byFD[fd]; ok {
		o.get()
		return o, 0
	}
	if fd == 0 {
		return nil, errno.EINVAL
	}
	return nil, errno.EBADF
}

func (th *things) compare(p *pair, entries uint32) {
	t := p.t
	rng := rand.New(rand.NewPCG(5, 5))
	update := func(key []byte, flags uint64) {
		fd := th.fds[rng.IntN(len(th.fds))]
		value := binary.LittleEndian.AppendUint32(nil, fd)
		e := p.skep.(FDMap).UpdateFD(key, fd, th.resolve, flags)
		p.same(fmt.Sprintf("update %x fd %d flags %#x", key, fd, flags), e, p.live.Update(key, value, flags), nil, nil)
	}
	for range 300 {
		key := binary.LittleEndian.AppendUint32(nil, rng.Uint32N(entries+2))
		switch rng.IntN(8) {
		case 0, 1, 2:
			update(key, []uint64{0, 0, 0, 1, 2, 3}[rng.IntN(6)])
		case 3:
			p.lookup(key, 0)
		case 4, 5:
			p.delete(key)
		case 6:
			p.nextKey(key)
			p.lookupAndDelete(key, 0)
		case 7:
			n := rng.Uint32N(4)
			c := &batchCall{cmd: uapi.BPF_MAP_UPDATE_BATCH + uapi.Cmd(rng.IntN(2)), count: n, out: make([]byte, 4)}
			if rng.IntN(2) == 0 {
				c.cmd = uapi.BPF_MAP_LOOKUP_BATCH + uapi.Cmd(rng.IntN(2))
			}
			for range n {
				c.keys = binary.LittleEndian.AppendUint32(c.keys, rng.Uint32N(entries+2))
				c.values = binary.LittleEndian.AppendUint32(c.values, th.fds[rng.IntN(len(th.fds))])
			}
			s, l := c.clone(), c.clone()
			se, le := s.runSkep(p.skep, th.resolve), l.runLive(p.live.FD)
			p.same(fmt.Sprintf("%v count %d", c.cmd, n), se, le, append(s.keys, s.values...), append(l.keys, l.values...))
			if s.count != l.count {
				t.Fatalf("%v: skep says %d elements, the kernel %d", c.cmd, s.count, l.count)
			}
		}
	}
	p.walk()
}

func TestMapInMapLive(t *testing.T) {
	oracle.Require(t)
	inners := map[string]Spec{
		"array":       {Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		"array_inner": {Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 2, Flags: uapi.BPF_F_INNER_MAP},
		"hash":        {Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		"ringbuf":     {Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: 4096},
	}
	for inner, is := range inners {
		for _, s := range []Spec{
			{Type: uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, KeySize: 4, ValueSize: 4, MaxEntries: 5},
			{Type: uapi.BPF_MAP_TYPE_HASH_OF_MAPS, KeySize: 4, ValueSize: 4, MaxEntries: 6, Flags: uapi.BPF_F_ZERO_SEED},
			{Type: uapi.BPF_MAP_TYPE_HASH_OF_MAPS, KeySize: 4, ValueSize: 4, MaxEntries: 6, Flags: uapi.BPF_F_ZERO_SEED | uapi.BPF_F_NO_PREALLOC},
		} {
			t.Run(fmt.Sprintf("%s/%s/%#x", s.Type.LibName(), inner, s.Flags), func(t *testing.T) {
				t.Parallel() // updates wait for the live kernel's grace periods
				m := newMachine(t, oracle.PossibleCPUs())
				th := newThings(t)
				template := th.addMap(m, is)
				th.addMap(m, is)
				for _, other := range []func(*Spec){
					func(s *Spec) { s.MaxEntries *= 2 },
					func(s *Spec) { s.Flags |= uapi.BPF_F_NUMA_NODE },
					func(s *Spec) { *s = inners["hash"]; s.KeySize = 8 },
					func(s *Spec) { *s = inners["array"]; s.ValueSize = 4 },
				} {
					c := is
					other(&c)
					th.addMap(m, c)
				}
				th.addProg(uapi.BPF_PROG_TYPE_XDP)
				ls := liveSpec(s)
				ls.Inner = template
				s.Inner = th.byFD[uint32(template.FD)].(*mapThing).m
				th.compare(&pair{t: t, skep: newMap(t, m, s), live: oracle.NewMap(t, ls)}, s.MaxEntries)
			})
		}
	}
}

// Which maps can be templates.
func TestTemplatesLive(t *testing.T) {
	oracle.Require(t)
	m := newMachine(t, oracle.PossibleCPUs())
	for _, info := range Types() {
		for _, outer := range []uapi.MapType{uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, uapi.BPF_MAP_TYPE_HASH_OF_MAPS} {
			inner := valid(info.Type)
			liveInner := liveSpec(inner)
			if info.Inner {
				inner.Inner = newMap(t, m, valid(uapi.BPF_MAP_TYPE_ARRAY))
				liveInner.Inner = oracle.NewMap(t, liveSpec(valid(uapi.BPF_MAP_TYPE_ARRAY)))
			}
			s := valid(outer)
			s.Inner = newMap(t, m, inner)
			ls := liveSpec(s)
			ls.Inner = oracle.NewMap(t, liveInner)
			live, want := oracle.CreateMap(ls)
			if want == 0 {
				live.Close()
			}
			mp, err := New(m, s)
			got, _ := errno.Of(err)
			if err == nil {
				mp.Free()
			}
			if got != want {
				t.Errorf("%v in %v: skep answers %s, the kernel %s", info.Type, outer, name(got), name(want))
			}
		}
	}
}

func TestProgArrayLive(t *testing.T) {
	p := newPair(t, Spec{Type: uapi.BPF_MAP_TYPE_PROG_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 4})
	th := newThings(t)
	th.addProg(uapi.BPF_PROG_TYPE_XDP)
	th.addProg(uapi.BPF_PROG_TYPE_XDP)
	th.addMap(newMachine(t, 1), valid(uapi.BPF_MAP_TYPE_ARRAY))
	key := make([]byte, 4)
	fd := th.fds[2]
	if e := p.skep.(FDMap).UpdateFD(key, fd, th.resolve, 0); e != 0 {
		t.Fatal(e)
	}
	if e := p.live.Update(key, binary.LittleEndian.AppendUint32(nil, fd), 0); e != 0 {
		t.Fatal(e)
	}
	th.addProg(uapi.BPF_PROG_TYPE_SCHED_CLS) // another kind than the first: EINVAL
	th.compare(p, 4)
	p.skep.ReleaseUser()
	if e := p.skep.Lookup(key, make([]byte, 4), 0); e != errno.ENOENT {
		t.Errorf("the array is not empty when no user is left: %s", name(e))
	}
}
