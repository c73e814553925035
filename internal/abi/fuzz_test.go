package abi_test

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// FuzzBPF makes sequences of calls whose attributes are mostly sound: fds and
// ids of what earlier calls made, addresses of memory that is there, programs
// that the verifier takes. Nothing may panic, take long or be left over.
func FuzzBPF(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) { newFuzz(t, data).run() })
}

// fuzzSeeds are inputs that come to every command and every sort of program.
func fuzzSeeds() [][]byte {
	var out [][]byte
	for seed := range uint64(64) {
		data := make([]byte, 3000)
		x := seed*0x9e3779b97f4a7c15 + 1
		for i := range data {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			data[i] = byte(x >> 24)
		}
		out = append(out, data)
	}
	return out
}

const (
	maxFuzzCalls = 200
	// callTime ends a call; patience is what it may then take to notice.
	callTime = 30 * time.Millisecond
	patience = 20 * time.Second
)

// fuzz is one input at work.
type fuzz struct {
	*bench
	data []byte
	mem  usermem.Segments
	task *object.Task
	fds  []int
	// made are the fds that a command made, to be found where its objects are
	// wanted; closed ones too.
	made map[uapi.Cmd][]int
	ids  []uint32
}

func newFuzz(t *testing.T, data []byte) *fuzz {
	z := &fuzz{data: data, made: map[uapi.Cmd][]int{}}
	z.bench = newBench(t, 64<<20, 2, z.chance(4))
	z.task = z.bench.task(&z.mem)
	return z
}

func (z *fuzz) run() {
	for n := 0; n < maxFuzzCalls && len(z.data) > 0; n++ {
		z.mem.Reset()
		switch z.pick(16) {
		case 0:
			z.closeOne()
		case 1:
			if fd, err := z.task.Dup(z.fd()); err == nil {
				z.fds = append(z.fds, fd)
			}
		case 2:
			_ = z.FS.Remove(z.path(), &z.task.Creds)
		default:
			z.one()
		}
	}
	z.task.Exit()
	z.end()
}

func (z *fuzz) closeOne() {
	if len(z.fds) == 0 {
		return
	}
	i := z.pick(len(z.fds))
	if err := z.task.Close(z.fds[i]); err != nil {
		z.Fatalf("closing fd %d: %v", z.fds[i], err)
	}
	z.fds = append(z.fds[:i], z.fds[i+1:]...)
}

// one makes a call.
func (z *fuzz) one() {
	cmd := fuzzCommands[z.pick(len(fuzzCommands))]
	attr := z.attr(cmd)
	if z.chance(8) {
		attr = attr[:z.pick(len(attr)+1)]
	}
	for len(attr) > 0 && z.chance(6) {
		attr[z.pick(len(attr))] ^= 1 << z.pick(8)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	start := time.Now()
	n, e := z.call(ctx, z.task, cmd, attr)
	if took := time.Since(start); took > patience {
		z.Errorf("%v took %v, %v after it was to end: %x", cmd, took, took-callTime, attr)
	}
	if e != 0 {
		return
	}
	z.keep(cmd, n)
	if idMakers[cmd] && len(attr) >= 8 {
		z.ids = append(z.ids, binary.LittleEndian.Uint32(attr[4:]))
	}
}

func (z *fuzz) keep(cmd uapi.Cmd, n int) {
	if makesFD[cmd] {
		z.fds = append(z.fds, n)
		z.made[cmd] = append(z.made[cmd], n)
	}
}

var idMakers = map[uapi.Cmd]bool{
	uapi.BPF_PROG_GET_NEXT_ID: true, uapi.BPF_MAP_GET_NEXT_ID: true, uapi.BPF_BTF_GET_NEXT_ID: true,
}

// fuzzCommands are all commands; those that make things come more often.
var fuzzCommands = func() (out []uapi.Cmd) {
	for cmd := uapi.Cmd(0); cmd.Known(); cmd++ {
		out = append(out, cmd)
	}
	for range 8 {
		out = append(out, uapi.BPF_MAP_CREATE, uapi.BPF_PROG_LOAD, uapi.BPF_PROG_TEST_RUN, uapi.BPF_MAP_UPDATE_ELEM)
	}
	return out
}()

// byte takes one byte of the input, 0 at its end.
func (z *fuzz) byte() byte {
	if len(z.data) == 0 {
		return 0
	}
	b := z.data[0]
	z.data = z.data[1:]
	return b
}

func (z *fuzz) pick(n int) int {
	if n > 256 {
		return (int(z.byte())<<8 | int(z.byte())) % n
	}
	return int(z.byte()) % n
}

// chance is true once in n times.
func (z *fuzz) chance(n int) bool { return z.pick(n) == n-1 }

var oddNumbers = []uint32{
	0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 24, 32, 63, 64, 128, 255, 256, 511, 512, 4095, 4096, 4097, 65535, 65536, 1 << 20,
	1 << 24, 1<<28 - 1, 1 << 28, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 4096, 1<<32 - 2, 1<<32 - 1,
}

// num is a number, mostly small.
func (z *fuzz) num() uint32 {
	if z.chance(4) {
		return oddNumbers[z.pick(len(oddNumbers))]
	}
	return uint32(z.pick(10))
}

// odd is v, seldom another number.
func (z *fuzz) odd(v uint32) uint32 {
	if z.chance(24) {
		return oddNumbers[z.pick(len(oddNumbers))]
	}
	return v
}

func (z *fuzz) flags(bits ...uint32) (v uint32) {
	for _, b := range bits {
		if z.chance(16) {
			v |= b
		}
	}
	if z.chance(64) {
		v |= 1 << z.pick(32)
	}
	return v
}

// fd is any fd, of nothing too.
func (z *fuzz) fd() int {
	if len(z.fds) == 0 || z.chance(16) {
		return []int{-1, 0, 1, 7777}[z.pick(4)]
	}
	return z.fds[z.pick(len(z.fds))]
}

// of is mostly an fd of what a command made.
func (z *fuzz) of(cmd uapi.Cmd) uint32 {
	if made := z.made[cmd]; len(made) > 0 && !z.chance(8) {
		return uint32(made[z.pick(len(made))])
	}
	return uint32(z.fd())
}

func (z *fuzz) aMap() uint32  { return z.of(uapi.BPF_MAP_CREATE) }
func (z *fuzz) aProg() uint32 { return z.of(uapi.BPF_PROG_LOAD) }
func (z *fuzz) aBTF() uint32  { return z.of(uapi.BPF_BTF_LOAD) }

func (z *fuzz) id() uint32 {
	if len(z.ids) == 0 || z.chance(8) {
		return z.num()
	}
	return z.ids[z.pick(len(z.ids))]
}

// addr is memory of n bytes, seldom none or an address of nothing.
func (z *fuzz) addr(n int) uint64 {
	switch z.pick(16) {
	case 0:
		return 0
	case 1:
		return []uint64{badAddr, 1 << 62, ^uint64(0)}[z.pick(3)]
	}
	b := make([]byte, n)
	for i := range min(n, 16) {
		b[i] = z.byte() % 16
	}
	return z.mem.Add(b)
}

// value is memory for a value: an fd, or bytes.
func (z *fuzz) value() uint64 {
	switch z.pick(4) {
	case 0:
		return z.mem.Add(pad(u32(z.aMap()), 64))
	case 1:
		return z.mem.Add(pad(u32(z.aProg()), 64))
	}
	return z.addr(256)
}

func (z *fuzz) path() string {
	return []string{fs + "a", fs + "b", fs + "c", fs + "d", fs + "a/b", fs + "../bpf/a", fs, "/x", "", fs + "a.b"}[z.pick(10)]
}

func (z *fuzz) name() (n [16]byte) {
	if z.chance(4) {
		copy(n[:], []string{"name", "bad name", "0123456789abcdef", "a.b"}[z.pick(4)])
	}
	return n
}

func (z *fuzz) u64(v uint32) uint64 {
	if z.chance(32) {
		return uint64(v) << 32
	}
	return uint64(v)
}

// attr makes an attribute for a command.
func (z *fuzz) attr(cmd uapi.Cmd) []byte {
	if build := fuzzAttrs[cmd]; build != nil {
		return enc(build(z))
	}
	// Absent commands take fds and numbers.
	b := make([]byte, uapi.AttrSize)
	for at := 0; at < 24; at += 4 {
		copy(b[at:], u32(z.odd(uint32(z.fd()))))
	}
	return b
}

var fuzzAttrs map[uapi.Cmd]func(z *fuzz) attribute

func init() {
	m := map[uapi.Cmd]func(z *fuzz) attribute{
		uapi.BPF_MAP_CREATE: (*fuzz).mapCreate, uapi.BPF_PROG_LOAD: (*fuzz).progLoad, uapi.BPF_PROG_TEST_RUN: (*fuzz).testRun,
		uapi.BPF_BTF_LOAD: (*fuzz).btfLoad, uapi.BPF_OBJ_PIN: (*fuzz).obj, uapi.BPF_OBJ_GET: (*fuzz).obj,
		uapi.BPF_MAP_FREEZE: func(z *fuzz) attribute { return &uapi.MapElemAttr{MapFD: z.aMap()} },
		uapi.BPF_PROG_BIND_MAP: func(z *fuzz) attribute {
			return &uapi.ProgBindMapAttr{ProgFD: z.aProg(), MapFD: z.aMap(), Flags: z.flags()}
		},
		uapi.BPF_OBJ_GET_INFO_BY_FD: func(z *fuzz) attribute {
			return &uapi.InfoAttr{BpfFD: uint32(z.fd()), InfoLen: z.odd(uint32(z.pick(300))), Info: z.addr(300)}
		},
		uapi.BPF_ENABLE_STATS: func(z *fuzz) attribute { return &uapi.EnableStatsAttr{Type: uint32(z.pick(2))} },
		uapi.BPF_PROG_STREAM_READ_BY_FD: func(z *fuzz) attribute {
			return &uapi.ProgStreamReadAttr{StreamBuf: z.addr(64), StreamBufLen: z.num(), StreamID: z.num(), ProgFD: z.aProg()}
		},
	}
	for _, cmd := range []uapi.Cmd{uapi.BPF_MAP_LOOKUP_ELEM, uapi.BPF_MAP_UPDATE_ELEM, uapi.BPF_MAP_DELETE_ELEM,
		uapi.BPF_MAP_GET_NEXT_KEY, uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM} {
		m[cmd] = (*fuzz).elem
	}
	for _, cmd := range batchCommands {
		m[cmd] = func(z *fuzz) attribute {
			return &uapi.MapBatchAttr{InBatch: z.addr(16), OutBatch: z.addr(16), Keys: z.addr(4096), Values: z.value(),
				Count: z.num(), MapFD: z.aMap(), ElemFlags: uint64(z.flags(uapi.BPF_F_LOCK)), Flags: uint64(z.flags())}
		}
	}
	for cmd := uapi.BPF_PROG_GET_NEXT_ID; cmd <= uapi.BPF_MAP_GET_FD_BY_ID; cmd++ {
		m[cmd] = (*fuzz).byID
	}
	for _, cmd := range []uapi.Cmd{uapi.BPF_BTF_GET_FD_BY_ID, uapi.BPF_BTF_GET_NEXT_ID, uapi.BPF_LINK_GET_FD_BY_ID, uapi.BPF_LINK_GET_NEXT_ID} {
		m[cmd] = (*fuzz).byID
	}
	fuzzAttrs = m
}

func (z *fuzz) byID() attribute {
	return &uapi.GetIDAttr{StartID: z.id(), OpenFlags: z.flags(uapi.BPF_F_RDONLY, uapi.BPF_F_WRONLY)}
}

func (z *fuzz) elem() attribute {
	return &uapi.MapElemAttr{MapFD: z.aMap(), Key: z.addr(64), Value: z.value(), Flags: z.u64(z.odd(uint32(z.pick(4))))}
}

func (z *fuzz) obj() attribute {
	a := &uapi.ObjAttr{Pathname: z.mem.AddString(z.path()), BpfFD: z.odd(uint32(z.fd()))}
	if z.chance(4) {
		a.BpfFD = 0
	}
	a.FileFlags = z.flags(uapi.BPF_F_RDONLY, uapi.BPF_F_WRONLY, uapi.BPF_F_PATH_FD)
	return a
}

var fuzzMapTypes = slices.Sorted(maps.Keys(sizes))

func (z *fuzz) mapCreate() attribute {
	t := fuzzMapTypes[z.pick(len(fuzzMapTypes))]
	if z.chance(16) {
		t = uapi.MapType(z.pick(34))
	}
	a, ok := sizes[t]
	if !ok {
		a = mapAttr(t, 4, 4, 1, 0)
	}
	a.MapType, a.MapName = t, z.name()
	if a.MaxEntries == 1 {
		a.MaxEntries = uint32(z.pick(64)) + 1
	}
	a.KeySize, a.ValueSize, a.MaxEntries = z.odd(a.KeySize), z.odd(a.ValueSize), z.odd(a.MaxEntries)
	a.MapFlags |= z.flags(uapi.BPF_F_NO_PREALLOC, uapi.BPF_F_NO_COMMON_LRU, uapi.BPF_F_RDONLY_PROG, uapi.BPF_F_WRONLY_PROG,
		uapi.BPF_F_INNER_MAP, uapi.BPF_F_MMAPABLE, uapi.BPF_F_ZERO_SEED)
	a.InnerMapFD = z.aMap()
	if z.chance(32) {
		a.BTFFD, a.BTFKeyTypeID, a.BTFValueTypeID = z.aBTF(), z.num(), z.num()
	}
	return &a
}

func (z *fuzz) btfLoad() attribute {
	raw := smallBTF(z)
	for z.chance(2) {
		raw[z.pick(len(raw))] = z.byte()
	}
	return &uapi.BTFLoadAttr{BTF: z.mem.Add(raw), BTFSize: z.odd(uint32(len(raw))), BTFLogLevel: z.odd(1), BTFLogBuf: z.addr(256),
		BTFLogSize: z.odd(256)}
}

func (z *fuzz) testRun() attribute {
	a := &uapi.TestRunAttr{ProgFD: z.aProg(), DataIn: z.addr(128), DataSizeIn: z.odd(uint32(z.pick(128))), DataOut: z.addr(256),
		DataSizeOut: z.odd(256), Repeat: z.num()}
	if z.chance(3) {
		a.CtxIn, a.CtxSizeIn, a.CtxOut, a.CtxSizeOut = z.addr(256), z.odd(192), z.addr(256), z.odd(192)
	}
	a.Flags, a.CPU, a.BatchSize = z.flags(1, 2), z.odd(0), z.odd(0)
	return a
}

var fuzzProgTypes = []uapi.ProgType{
	uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_XDP, uapi.BPF_PROG_TYPE_SCHED_ACT,
}

func (z *fuzz) progLoad() attribute {
	code := z.code()
	t := fuzzProgTypes[z.pick(len(fuzzProgTypes))]
	if z.chance(10) {
		t = uapi.ProgType(z.pick(34))
	}
	a := &uapi.ProgLoadAttr{ProgType: t, InsnCnt: z.odd(uint32(len(code))), Insns: z.mem.Add(insn.Encode(code)),
		License: z.mem.AddString([]string{"GPL", "MIT"}[z.pick(2)]), ProgName: z.name()}
	if z.chance(3) {
		a.LogLevel, a.LogBuf, a.LogSize = z.odd(uint32(z.pick(8))), z.addr(512), z.odd(512)
	}
	if z.chance(6) {
		a.ProgBTFFD = z.aBTF()
		a.FuncInfo, a.FuncInfoCnt, a.FuncInfoRecSize = z.addr(64), z.num(), z.odd(8)
		a.LineInfo, a.LineInfoCnt, a.LineInfoRecSize = z.addr(64), z.num(), z.odd(16)
		a.CoreRelos, a.CoreReloCnt, a.CoreReloRecSize = z.addr(64), z.num(), z.odd(16)
	}
	if z.chance(6) {
		a.FDArray, a.FDArrayCnt = z.mem.Add(append(u32(z.aMap()), u32(z.aMap())...)), z.odd(uint32(z.pick(4)))
	}
	if z.chance(6) {
		a.ProgFlags, a.ExpectedAttachType = z.flags(uapi.BPF_F_STRICT_ALIGNMENT, uapi.BPF_F_TEST_STATE_FREQ,
			uapi.BPF_F_XDP_HAS_FRAGS, uapi.BPF_F_TEST_REG_INVARIANTS), uapi.AttachType(z.num())
	}
	return a
}

// Errors that the fuzzer must come to, or it does not do what it is for.
var wantErrnos = []errno.Errno{0, errno.EINVAL, errno.EBADF, errno.EFAULT, errno.ENOENT, errno.EACCES, errno.E2BIG, errno.ENOMEM}

// TestFuzzReaches holds that the seeds load and run programs and meet most ways
// to fail.
func TestFuzzReaches(t *testing.T) {
	seen := map[uapi.Cmd]map[errno.Errno]int{}
	errnos := map[errno.Errno]int{}
	for _, data := range fuzzSeeds() {
		z := newFuzz(t, data)
		for len(z.data) > 0 {
			z.mem.Reset()
			cmd := fuzzCommands[z.pick(len(fuzzCommands))]
			ctx, cancel := context.WithTimeout(context.Background(), callTime)
			n, e := z.call(ctx, z.task, cmd, z.attr(cmd))
			cancel()
			if seen[cmd] == nil {
				seen[cmd] = map[errno.Errno]int{}
			}
			seen[cmd][e]++
			errnos[e]++
			if e == 0 {
				z.keep(cmd, n)
			}
		}
		z.task.Exit()
		z.end()
	}
	for _, e := range wantErrnos {
		if errnos[e] == 0 {
			t.Errorf("no call ended with %s", errName(e))
		}
	}
	for _, cmd := range []uapi.Cmd{uapi.BPF_MAP_CREATE, uapi.BPF_PROG_LOAD, uapi.BPF_PROG_TEST_RUN, uapi.BPF_MAP_UPDATE_ELEM, uapi.BPF_OBJ_PIN} {
		if seen[cmd][0] == 0 {
			t.Errorf("%v never succeeded: %v", cmd, seen[cmd])
		}
		t.Logf("%v: %v", cmd, seen[cmd])
	}
}
