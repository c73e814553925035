package abi_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// caller makes calls of one goroutine: as a task that others may share, in
// memory of its own.
type caller struct {
	*bench
	task *object.Task
	mem  usermem.Segments
}

func (c *caller) do(cmd uapi.Cmd, build func() attribute) (int, errno.Errno) {
	c.mem.Reset()
	n, err := c.Call(context.Background(), c.task, &c.mem, cmd, enc(build()))
	if err == nil {
		return n, 0
	}
	e, ok := errno.Of(err)
	if !ok {
		c.Errorf("%v: an error without errno: %v", cmd, err)
	}
	return -1, e
}

// want makes a call that may end only as said.
func (c *caller) want(cmd uapi.Cmd, build func() attribute, allowed ...errno.Errno) int {
	c.Helper()
	n, e := c.do(cmd, build)
	if e != 0 && !slices.Contains(allowed, e) {
		c.Errorf("%v: %v", cmd, e)
	}
	return n
}

func (c *caller) newMap(a uapi.MapCreateAttr) uint32 {
	c.Helper()
	return uint32(c.want(uapi.BPF_MAP_CREATE, func() attribute { return &a }))
}

func (c *caller) update(m, key uint32, value []byte, allowed ...errno.Errno) {
	c.Helper()
	c.want(uapi.BPF_MAP_UPDATE_ELEM, func() attribute {
		return &uapi.MapElemAttr{MapFD: m, Key: c.mem.Add(u32(key)), Value: c.mem.Add(value)}
	}, allowed...)
}

func (c *caller) load(code []insn.Instruction, allowed ...errno.Errno) int {
	c.Helper()
	return c.want(uapi.BPF_PROG_LOAD, func() attribute {
		return &uapi.ProgLoadAttr{ProgType: uapi.BPF_PROG_TYPE_XDP, InsnCnt: uint32(len(code)),
			Insns: c.mem.Add(insn.Encode(code)), License: c.mem.AddString("GPL")}
	}, allowed...)
}

func (c *caller) run(p, repeat uint32, allowed ...errno.Errno) {
	c.Helper()
	c.want(uapi.BPF_PROG_TEST_RUN, func() attribute {
		return &uapi.TestRunAttr{ProgFD: p, DataIn: c.mem.Add(make([]byte, 64)), DataSizeIn: 64, Repeat: repeat}
	}, allowed...)
}

func (c *caller) closeFD(fd int) {
	c.Helper()
	if err := c.task.Close(fd); err != nil {
		c.Error(err)
	}
}

// world is a set of objects that refer to each other.
type world struct {
	outerType                             uapi.MapType // of the map of maps
	hash, inner, outer, slots, ring, prog uint32
}

func (c *caller) newWorld(outerType uapi.MapType) *world {
	w := &world{
		outerType: outerType,
		hash:      c.newMap(mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 8, 64, uapi.BPF_F_NO_PREALLOC)),
		inner:     c.newMap(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0)),
		slots:     c.newMap(mapAttr(uapi.BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0)),
		ring:      c.newMap(mapAttr(uapi.BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0)),
	}
	outer := mapAttr(outerType, 4, 4, 4, 0)
	outer.InnerMapFD = w.inner
	w.outer = c.newMap(outer)
	w.prog = uint32(c.load(w.code()))
	// The program is in the array that it uses.
	for slot := range uint32(4) {
		c.update(w.slots, slot, u32(w.prog))
		c.update(w.outer, slot, u32(w.inner))
	}
	return w
}

// code counts in the inner map and in the hash, leaves a record, and goes on
// with what is in the prog array.
func (w *world) code() code {
	key := code{
		insn.Mov64Reg(insn.R6, insn.R1), call(uapi.BPF_FUNC_get_prandom_u32), insn.ALU64Imm(insn.OpAnd, insn.R0, 3),
		insn.Mov64Reg(insn.R7, insn.R0), insn.StoreMem(insn.SizeW, insn.R10, -4, insn.R0),
		insn.StoreImm(insn.SizeDW, insn.R10, -16, 1),
	}
	atKey := code{insn.Mov64Reg(insn.R2, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R2, -4)}
	count := code{insn.Mov64Imm(insn.R1, 1), insn.Atomic(insn.SizeDW, insn.AtomicAdd, insn.R0, insn.R1, 0)}
	inner := slices.Concat(code{insn.Mov64Reg(insn.R1, insn.R0)}, atKey,
		code{call(uapi.BPF_FUNC_map_lookup_elem), insn.JumpImm(insn.JmpEQ, insn.R0, 0, 2)}, count)
	return slices.Concat(key, atKey, insn.LoadMapFD(insn.R1, int32(w.outer)),
		code{call(uapi.BPF_FUNC_map_lookup_elem), insn.JumpImm(insn.JmpEQ, insn.R0, 0, int16(len(inner)))}, inner,
		atKey, insn.LoadMapFD(insn.R1, int32(w.hash)),
		code{insn.Mov64Reg(insn.R3, insn.R10), insn.ALU64Imm(insn.OpAdd, insn.R3, -16), insn.Mov64Imm(insn.R4, 0),
			call(uapi.BPF_FUNC_map_update_elem)},
		atKey, insn.LoadMapFD(insn.R1, int32(w.hash)), code{call(uapi.BPF_FUNC_map_delete_elem)},
		insn.LoadMapFD(insn.R1, int32(w.ring)),
		code{insn.Mov64Imm(insn.R2, 8), insn.Mov64Imm(insn.R3, 0), call(uapi.BPF_FUNC_ringbuf_reserve),
			insn.JumpImm(insn.JmpEQ, insn.R0, 0, 4), insn.StoreImm(insn.SizeDW, insn.R0, 0, 7), insn.Mov64Reg(insn.R1, insn.R0),
			insn.Mov64Imm(insn.R2, 0), call(uapi.BPF_FUNC_ringbuf_discard)},
		code{insn.Mov64Reg(insn.R1, insn.R6)}, insn.LoadMapFD(insn.R2, int32(w.slots)),
		code{insn.Mov64Reg(insn.R3, insn.R7), call(uapi.BPF_FUNC_tail_call)}, trivial)
}

func (w *world) fds() []uint32 { return []uint32{w.hash, w.inner, w.outer, w.slots, w.ring, w.prog} }

// TestCycles makes a world, uses it and lets it go, thousands of times: nothing
// grows.
func TestCycles(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 500
	}
	b := newBench(t, 64<<20, 2, false)
	c := &caller{bench: b, task: b.task(nil)}
	cycle := func(i int) {
		w := c.newWorld([]uapi.MapType{uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, uapi.BPF_MAP_TYPE_HASH_OF_MAPS}[i%2])
		for key := range uint32(8) {
			c.update(w.hash, key, u64(uint64(i)))
		}
		c.run(w.prog, 3)
		for at, fd := range []uint32{w.prog, w.hash} {
			path := fmt.Sprintf(fs+"pin%d", at)
			c.want(uapi.BPF_OBJ_PIN, func() attribute { return &uapi.ObjAttr{Pathname: c.mem.AddString(path), BpfFD: fd} })
		}
		fds := w.fds()
		if i%4 < 2 {
			slices.Reverse(fds)
		}
		for _, fd := range fds {
			c.closeFD(int(fd))
		}
		again := c.want(uapi.BPF_OBJ_GET, func() attribute { return &uapi.ObjAttr{Pathname: c.mem.AddString(fs + "pin0")} })
		c.run(uint32(again), 1)
		c.closeFD(again)
		b.FS.Clear()
	}
	var first runtime.MemStats
	for i := range n {
		cycle(i)
		if t.Failed() {
			t.Fatalf("in cycle %d", i)
		}
		if used := b.region.Used(); used != b.idle {
			t.Fatalf("after cycle %d, %d bytes of program memory are in use", i, used-b.idle)
		}
		if i == n/10 {
			runtime.GC()
			runtime.ReadMemStats(&first)
		}
	}
	if used, known := b.Machine.Handles(); used != 0 || known > 32 {
		t.Errorf("%d handles are in use, and the table has room for %d", used, known)
	}
	var last runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&last)
	if grown := int64(last.HeapAlloc) - int64(first.HeapAlloc); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes in %d cycles", grown, n-n/10)
	}
	c.task.Exit()
	b.end()
}

// TestHammer uses one world from many sides at once: programs run while their
// maps, the programs that they go on with and the maps in their maps are
// replaced, and while all of them are pinned, opened by id and asked about.
func TestHammer(t *testing.T) {
	for _, outer := range []uapi.MapType{uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, uapi.BPF_MAP_TYPE_HASH_OF_MAPS} {
		for _, checking := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, checking %v", outer.LibName(), checking), func(t *testing.T) {
				b := newBench(t, 256<<20, 3, checking)
				hammer(b, outer)
				b.end()
			})
		}
	}
}

func hammer(b *bench, outer uapi.MapType) {
	length := 1500 * time.Millisecond
	if testing.Short() {
		length = 200 * time.Millisecond
	}
	shared := b.task(nil)
	defer shared.Exit()
	w := (&caller{bench: b, task: shared}).newWorld(outer)
	stop := time.Now().Add(length)
	var wg sync.WaitGroup
	var mu sync.Mutex
	rounds := map[string]int{}
	for name, job := range hammerJobs {
		workers := 1
		if name == "run" {
			workers = len(b.Machine.CPUs)
		}
		for range workers {
			wg.Go(func() {
				c := &caller{bench: b, task: shared}
				n := 0
				for ; n == 0 || time.Now().Before(stop) && !b.Failed(); n++ {
					job(c, w, n)
				}
				mu.Lock()
				rounds[name] += n
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	b.Logf("rounds: %v", rounds)
}

var hammerJobs = map[string]func(c *caller, w *world, n int){
	"run": func(c *caller, w *world, n int) { c.run(w.prog, 50) },
	"elements": func(c *caller, w *world, n int) {
		key := uint32(n % 8)
		c.update(w.hash, key, u64(uint64(n)))
		c.want(uapi.BPF_MAP_LOOKUP_ELEM, func() attribute {
			return &uapi.MapElemAttr{MapFD: w.hash, Key: c.mem.Add(u32(key)), Value: c.mem.Add(make([]byte, 8))}
		}, errno.ENOENT)
		c.want(uapi.BPF_MAP_DELETE_ELEM, func() attribute { return &uapi.MapElemAttr{MapFD: w.hash, Key: c.mem.Add(u32(key))} }, errno.ENOENT)
	},
	"walk": func(c *caller, w *world, n int) {
		c.want(uapi.BPF_MAP_LOOKUP_BATCH, func() attribute {
			return &uapi.MapBatchAttr{MapFD: w.hash, Keys: c.mem.Add(make([]byte, 256)), Values: c.mem.Add(make([]byte, 512)),
				OutBatch: c.mem.Add(make([]byte, 4)), Count: 64}
		}, errno.ENOENT)
		c.want(uapi.BPF_MAP_GET_NEXT_KEY, func() attribute {
			return &uapi.MapElemAttr{MapFD: w.hash, Key: c.mem.Add(u32(uint32(n % 8))), Value: c.mem.Add(make([]byte, 4))}
		}, errno.ENOENT)
	},
	"inner maps": func(c *caller, w *world, n int) {
		inner := c.newMap(mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0))
		c.update(w.outer, uint32(n%4), u32(inner))
		c.closeFD(int(inner))
		if n%3 == 0 {
			c.want(uapi.BPF_MAP_DELETE_ELEM, func() attribute {
				return &uapi.MapElemAttr{MapFD: w.outer, Key: c.mem.Add(u32(uint32(n % 4)))}
			}, errno.ENOENT)
		}
	},
	"slots": func(c *caller, w *world, n int) {
		p := c.load(trivial)
		c.update(w.slots, uint32(n%4), u32(uint32(p)))
		c.closeFD(p)
		if n%3 == 0 {
			c.update(w.slots, uint32(n%4), u32(w.prog))
		}
	},
	"worlds": func(c *caller, w *world, n int) {
		other := &caller{bench: c.bench, task: c.bench.task(nil)}
		mine := other.newWorld(w.outerType)
		other.run(mine.prog, 2)
		other.task.Exit()
	},
	"loads": func(c *caller, w *world, n int) {
		p := c.load(w.code())
		c.run(uint32(p), 1)
		c.closeFD(p)
	},
	"pins": func(c *caller, w *world, n int) {
		for at, fd := range []uint32{w.prog, w.slots, w.hash} {
			path := fmt.Sprintf(fs+"pin%d", at)
			c.want(uapi.BPF_OBJ_PIN, func() attribute { return &uapi.ObjAttr{Pathname: c.mem.AddString(path), BpfFD: fd} })
			got := c.want(uapi.BPF_OBJ_GET, func() attribute { return &uapi.ObjAttr{Pathname: c.mem.AddString(path)} })
			c.closeFD(got)
			if err := c.FS.Remove(path, &c.task.Creds); err != nil {
				c.Error(err)
			}
		}
	},
	"ids": func(c *caller, w *world, n int) {
		for _, kind := range []struct{ next, fd uapi.Cmd }{
			{uapi.BPF_MAP_GET_NEXT_ID, uapi.BPF_MAP_GET_FD_BY_ID}, {uapi.BPF_PROG_GET_NEXT_ID, uapi.BPF_PROG_GET_FD_BY_ID},
		} {
			attr := enc(&uapi.GetIDAttr{})
			for {
				if _, err := c.Call(context.Background(), c.task, &c.mem, kind.next, attr); err != nil {
					break
				}
				copy(attr, attr[4:8]) // the id is where the next search begins
				id := enc(&uapi.GetIDAttr{StartID: uint32(attr[0]) | uint32(attr[1])<<8 | uint32(attr[2])<<16})
				fd, err := c.Call(context.Background(), c.task, &c.mem, kind.fd, id)
				if err != nil {
					continue // gone meanwhile
				}
				c.want(uapi.BPF_OBJ_GET_INFO_BY_FD, func() attribute {
					return &uapi.InfoAttr{BpfFD: uint32(fd), InfoLen: uapi.SizeofProgInfo, Info: c.mem.Add(make([]byte, uapi.SizeofProgInfo))}
				})
				c.closeFD(fd)
			}
		}
	},
	"statistics": func(c *caller, w *world, n int) {
		fd := c.want(uapi.BPF_ENABLE_STATS, func() attribute { return &uapi.EnableStatsAttr{} })
		c.want(uapi.BPF_OBJ_GET_INFO_BY_FD, func() attribute {
			return &uapi.InfoAttr{BpfFD: w.prog, InfoLen: uapi.SizeofProgInfo, Info: c.mem.Add(make([]byte, uapi.SizeofProgInfo))}
		})
		c.closeFD(fd)
	},
}
