//go:build linux

package maps

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// progPair reaches the same map through helpers: in the live kernel by small
// programs, which take their arguments from the packet, and in skep by the
// program face.
type progPair struct {
	*pair
	progs map[string]*oracle.Program
	c     *exec.CPU
	// addresses of room for a key and a value
	key, value uint64
}

// progOps are the bodies of the programs. The packet is an Ethernet header, the
// flags, the key and the value; the program has copied them to its stack. r0 is
// the answer: an errno, or the first bytes of the value, which a lookup counts
// up.
var progOps = map[string]string{
	"lookup": "call 1; if r0 == 0 goto out; r1 = *(u32 *)(r0 + 0); r1 += 1; *(u32 *)(r0 + 0) = r1; r0 = r1; goto out",
	"update": "r3 = r10; r3 += -128; r4 = *(u64 *)(r10 - 136); call 2; goto out",
	"delete": "call 3; goto out",
	"percpu": "r3 = *(u32 *)(r10 - 136); call 195; if r0 == 0 goto out; r0 = *(u32 *)(r0 + 0); goto out",
	"push":   "r2 = r10; r2 += -128; r3 = *(u64 *)(r10 - 136); call 87; goto out",
	"pop":    "r2 = r10; r2 += -128; call 88; if r0 s< 0 goto out; r0 = *(u32 *)(r10 - 128); goto out",
	"peek":   "r2 = r10; r2 += -128; call 89; if r0 s< 0 goto out; r0 = *(u32 *)(r10 - 128); goto out",
}

func progText(op string, s Spec) string {
	var b strings.Builder
	b.WriteString("r6 = r1\n")
	copyIn := func(from uint32, to int, n uint32) {
		if n != 0 {
			fmt.Fprintf(&b, "r1 = r6; r2 = %d; r3 = r10; r3 += %d; r4 = %d; call 26; if r0 != 0 goto bad\n", from, to, n)
		}
	}
	copyIn(14, -136, 8)
	copyIn(22, -64, s.KeySize)
	copyIn(22+s.KeySize, -128, s.ValueSize)
	b.WriteString("r1 = map[fd:0] ll; r2 = r10; r2 += -64\n" + progOps[op] + "\n")
	b.WriteString("bad: r0 = 77\nout: exit")
	return strings.ReplaceAll(b.String(), "; ", "\n")
}

func newProgPair(t *testing.T, s Spec, ops ...string) *progPair {
	t.Helper()
	pin(t)
	p := &progPair{pair: newPair(t, s), progs: map[string]*oracle.Program{}}
	for _, op := range ops {
		code, err := insn.Assemble(progText(op, s))
		if err != nil {
			t.Fatal(err)
		}
		prog := oracle.Load(t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_SCHED_CLS, Insns: code, Maps: []*oracle.Map{p.live}, LogLevel: 1})
		if prog.Errno != 0 {
			t.Fatalf("%s: %v\n%s", op, prog.Errno, prog.Log)
		}
		p.progs[op] = prog
	}
	p.padded = isPercpuHash(s.Type)
	m := p.skep.(interface{ machine() *exec.Machine }).machine()
	addr, err := m.Region.Alloc(128, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Region.Free(addr) })
	p.key, p.value = addr, addr+64
	if p.c = m.Acquire(); p.c.ID != 0 {
		t.Fatalf("the first idle CPU is %d", p.c.ID)
	}
	t.Cleanup(func() { m.Release(p.c) })
	return p
}

func (b *base) machine() *exec.Machine { return b.m }

func (p *progPair) runSkep(op string, key, value []byte, flags uint64) uint32 {
	copy(mem.Bytes(p.key, 64), key)
	copy(mem.Bytes(p.value, 64), value)
	ret := func(e errno.Errno) uint32 { return uint32(e.Ret()) }
	got := func(e errno.Errno) uint32 {
		if e != 0 {
			return ret(e)
		}
		return uint32(mem.Load32(p.value))
	}
	switch op {
	case "lookup":
		v := p.skep.LookupElem(p.c, p.key)
		if v == 0 {
			return 0
		}
		mem.Store32(v, mem.Load32(v)+1)
		return uint32(mem.Load32(v))
	case "percpu":
		v := p.skep.LookupPercpu(p.c, p.key, uint32(flags))
		if v == 0 {
			return 0
		}
		return uint32(mem.Load32(v))
	case "update":
		return ret(p.skep.UpdateElem(p.c, p.key, p.value, flags))
	case "delete":
		return ret(p.skep.DeleteElem(p.c, p.key))
	case "push":
		return ret(p.skep.Push(p.c, p.value, flags))
	case "pop":
		return got(p.skep.Pop(p.c, p.value))
	}
	return got(p.skep.Peek(p.c, p.value))
}

func (p *progPair) run(op string, key, value []byte, flags uint64) {
	p.t.Helper()
	pkt := binary.LittleEndian.AppendUint64(make([]byte, 14), flags)
	pkt = append(append(pkt, key...), value...)
	out := p.progs[op].Run(oracle.Input{Data: pkt})
	if out.Errno != 0 {
		p.t.Fatalf("%s: test run: %v", op, out.Errno)
	}
	if got := p.runSkep(op, key, value, flags); got != out.Retval {
		p.t.Fatalf("%s %x flags %#x: skep answers %d, the kernel %d", op, key, flags, int32(got), int32(out.Retval))
	}
}

// Random operations of programs and system calls, mixed.
func TestProgramFaceLive(t *testing.T) {
	oracle.Require(t)
	elem := []string{"lookup", "lookup", "lookup", "update", "update", "update", "delete"}
	withPercpu := append([]string{"percpu"}, elem...)
	queue := []string{"push", "push", "pop", "peek"}
	for _, tc := range []struct {
		s    Spec
		keys keySpace
		ops  []string
	}{
		{Spec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 5}, smallKeys(7), elem},
		{Spec{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: 12, MaxEntries: 5}, smallKeys(7), withPercpu},
		{Spec{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 8, ValueSize: 8, MaxEntries: 10}, smallKeys(15), elem},
		{Spec{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 5, ValueSize: 9, MaxEntries: 10, Flags: uapi.BPF_F_NO_PREALLOC}, smallKeys(15), elem},
		{Spec{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, KeySize: 4, ValueSize: 4, MaxEntries: 10}, smallKeys(15), withPercpu},
		{Spec{Type: uapi.BPF_MAP_TYPE_PERCPU_HASH, KeySize: 4, ValueSize: 20, MaxEntries: 10, Flags: uapi.BPF_F_NO_PREALLOC}, smallKeys(15), withPercpu},
		{Spec{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 20}, smallKeys(40), elem},
		{Spec{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 700}, smallKeys(900), elem},
		{Spec{Type: uapi.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 60, Flags: uapi.BPF_F_NO_COMMON_LRU}, smallKeys(50), elem},
		{Spec{Type: uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, KeySize: 4, ValueSize: 4, MaxEntries: 30}, smallKeys(50), withPercpu},
		{Spec{Type: uapi.BPF_MAP_TYPE_LPM_TRIE, KeySize: 8, ValueSize: 4, MaxEntries: 40, Flags: uapi.BPF_F_NO_PREALLOC}, lpmKeys, elem},
		{Spec{Type: uapi.BPF_MAP_TYPE_QUEUE, ValueSize: 8, MaxEntries: 3}, nil, queue},
		{Spec{Type: uapi.BPF_MAP_TYPE_STACK, ValueSize: 4, MaxEntries: 3}, nil, queue},
	} {
		t.Run(fmt.Sprintf("%s/%d/%#x", tc.s.Type.LibName(), tc.s.MaxEntries, tc.s.Flags), func(t *testing.T) {
			if strings.Contains(tc.s.Type.LibName(), "hash") {
				tc.s.Flags |= uapi.BPF_F_ZERO_SEED
			}
			p := newProgPair(t, tc.s, tc.ops...)
			rng := rand.New(rand.NewPCG(11, uint64(tc.s.MaxEntries)))
			size := int(p.skep.ValueSizeUser())
			for range 2500 + 6*int(tc.s.MaxEntries) {
				var key []byte
				if tc.keys != nil {
					key = tc.keys(rng, tc.s.KeySize)
				}
				flags := someFlags[rng.IntN(len(someFlags))]
				if rng.IntN(4) == 0 && tc.keys != nil {
					switch rng.IntN(4) {
					case 0:
						p.update(key, randomBytes(rng, size), flags)
					case 1:
						p.delete(key)
					case 2:
						p.lookup(key, 0)
					case 3:
						p.lookupAndDelete(key, 0)
					}
					continue
				}
				op := tc.ops[rng.IntN(len(tc.ops))]
				if op == "percpu" {
					flags = rng.Uint64N(4)
				}
				p.run(op, key, randomBytes(rng, int(tc.s.ValueSize)), flags)
			}
			if tc.keys != nil {
				p.walk()
			}
		})
	}
}
