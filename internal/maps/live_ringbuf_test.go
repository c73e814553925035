//go:build linux

package maps

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// ringPair is a ring buffer in skep and in the live kernel, mapped.
type ringPair struct {
	t        *testing.T
	skep     *Ringbuf
	c        *exec.CPU
	live     *oracle.Map
	consumer []byte // the kernel's pages
	rest     []byte
	room     uint64 // for a record in skep
}

func newRingPair(t *testing.T, size uint32) *ringPair {
	t.Helper()
	p := newPair(t, Spec{Type: uapi.BPF_MAP_TYPE_RINGBUF, MaxEntries: size})
	r := &ringPair{t: t, skep: p.skep.(*Ringbuf), live: p.live}
	var err error
	if r.consumer, err = unix.Mmap(p.live.FD, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	if r.rest, err = unix.Mmap(p.live.FD, pageSize, pageSize+2*int(size), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(r.consumer); unix.Munmap(r.rest) })
	m := r.skep.m
	if r.room, err = m.Region.Alloc(1<<16, 8); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Region.Free(r.room) })
	r.c = m.Acquire()
	t.Cleanup(func() { m.Release(r.c) })
	return r
}

// ringProg makes a program: the packet has a fill byte and the flags.
func (r *ringPair) prog(body string) *oracle.Program {
	r.t.Helper()
	text := `r6 = r1
r2 = 14; r3 = r10; r3 += -16; r4 = 16; call 26; if r0 != 0 goto out
r7 = *(u64 *)(r10 - 8)
r1 = map[fd:0] ll
` + body + "\nout: exit"
	code, err := insn.Assemble(strings.ReplaceAll(text, "; ", "\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	p := oracle.Load(r.t, oracle.Prog{Type: uapi.BPF_PROG_TYPE_SCHED_CLS, Insns: code, Maps: []*oracle.Map{r.live}, LogLevel: 1})
	if p.Errno != 0 {
		r.t.Fatalf("%v\n%s", p.Errno, p.Log)
	}
	return p
}

func (r *ringPair) runLive(p *oracle.Program, fill, flags uint64) uint32 {
	r.t.Helper()
	pkt := binary.LittleEndian.AppendUint64(make([]byte, 14), fill)
	out := p.Run(oracle.Input{Data: binary.LittleEndian.AppendUint64(pkt, flags)})
	if out.Errno != 0 {
		r.t.Fatal(out.Errno)
	}
	return out.Retval
}

// same compares positions and the records that are there: the headers, and the
// bytes that the producer wrote.
func (r *ringPair) same(what string) {
	r.t.Helper()
	pages := r.skep.Pages()
	cons, prod := binary.LittleEndian.Uint64(pages), binary.LittleEndian.Uint64(pages[pageSize:])
	if liveProd := binary.LittleEndian.Uint64(r.rest); prod != liveProd {
		r.t.Fatalf("%s: producer position %d in skep, %d in the kernel", what, prod, liveProd)
	}
	for pos := cons; pos < prod; {
		skep, live := pages[2*pageSize+pos&r.skep.mask:], r.rest[pageSize+pos&r.skep.mask:]
		word := uint64(binary.LittleEndian.Uint32(live))
		used := 8 + min(word&^rbFlags&^7, 24)
		if !bytes.Equal(skep[:used], live[:used]) {
			r.t.Fatalf("%s: record at %d\nskep   %x\nkernel %x", what, pos, skep[:used], live[:used])
		}
		pos += recordLen(word)
	}
}

// consume reads all records in skep and moves the kernel's consumer there.
func (r *ringPair) consume() {
	r.skep.Read(func([]byte) {})
	copy(r.consumer[:8], r.skep.Pages()[:8])
}

// Random reservations, submissions, discards and outputs of several sizes, with
// a consumer that now and then catches up: same answers, same bytes.
func TestRingbufLive(t *testing.T) {
	for _, size := range []uint32{4096, 8192} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			r := newRingPair(t, size)
			sizes := []uint64{0, 1, 8, 13, 100, 500, 1000, 4000, 4088, 4089, 9000}
			progs := map[string]*oracle.Program{}
			for _, n := range sizes {
				fill := "r0 = 1"
				for off := uint64(0); off+8 <= min(n, 24); off += 8 {
					fill += fmt.Sprintf("\n*(u64 *)(r8 + %d) = r7", off)
				}
				for kind, id := range map[string]int{"submit": 132, "discard": 133} {
					progs[fmt.Sprint(kind, n)] = r.prog(fmt.Sprintf(`r2 = %d; r3 = 0; call 131; if r0 == 0 goto out
r8 = r0; r7 = *(u64 *)(r10 - 16)
%s
r1 = r8; r2 = *(u64 *)(r10 - 8); call %d; r0 = 1`, n, fill, id))
				}
			}
			progs["output"] = r.prog("r2 = r10; r2 += -16; r3 = 16; r4 = r7; call 130")
			progs["query"] = r.prog("r2 = r7; call 134")
			progs["reserveflags"] = r.prog("r2 = 8; r3 = 1; call 131; if r0 == 0 goto out; r1 = r0; r2 = 0; call 132; r0 = 1")
			rng := rand.New(rand.NewPCG(3, uint64(size)))
			for step := range 3000 {
				what, fill, flags := "", rng.Uint64(), rng.Uint64N(5)
				var got uint32
				switch rng.IntN(8) {
				default:
					n := sizes[rng.IntN(len(sizes))]
					kind := []string{"submit", "submit", "discard"}[rng.IntN(3)]
					what = fmt.Sprint(kind, n)
					if s := r.skep.Reserve(n, 0); s != 0 {
						for off := uint64(0); off+8 <= min(n, 24); off += 8 {
							mem.Store64(s+off, fill)
						}
						if RingbufOf(r.skep.m, s) != r.skep {
							t.Fatal("a record does not lead to its ring buffer")
						}
						if got = 1; kind == "submit" {
							r.skep.Submit(s, flags)
						} else {
							r.skep.Discard(s, flags)
						}
					}
				case 5:
					what = "output"
					mem.Store64(r.room, fill)
					mem.Store64(r.room+8, flags)
					got = uint32(r.skep.Output(r.room, 16, flags).Ret())
				case 6:
					what, got = "query", uint32(r.skep.Query(flags))
				case 7:
					if rng.IntN(4) == 0 {
						r.consume()
						continue
					}
					what, got = "reserveflags", 0
				}
				if want := r.runLive(progs[what], fill, flags); got != want {
					t.Fatalf("step %d: %s flags %d: skep answers %d, the kernel %d", step, what, flags, int32(got), int32(want))
				}
				r.same(what)
			}
		})
	}
}
