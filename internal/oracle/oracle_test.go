package oracle

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

var (
	movR0   = func(v int32) insn.Instruction { return insn.Make(0xb7, insn.R0, 0, 0, v) }
	exit    = insn.Make(0x95, 0, 0, 0, 0)
	key32   = func(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
	value64 = func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
)

func TestAvailable(t *testing.T) {
	ok, reason := Available()
	if ok != (reason == "") {
		t.Fatalf("Available() = %v with reason %q", ok, reason)
	}
	t.Logf("release %q, %d possible CPUs, %q", Release(), PossibleCPUs(), reason)
}

func TestLoadAndRun(t *testing.T) {
	Require(t)
	p := Load(t, Prog{Type: uapi.BPF_PROG_TYPE_XDP, Insns: []insn.Instruction{movR0(2), exit}, LogLevel: 1 | 4, Name: "two"})
	if p.Errno != 0 {
		t.Fatalf("load: %v\n%s", p.Errno, p.Log)
	}
	if !strings.Contains(p.Log, "processed 2 insns") || int(p.LogTrueSize) != len(p.Log)+1 {
		t.Errorf("log of %d bytes, true size %d:\n%s", len(p.Log), p.LogTrueSize, p.Log)
	}
	if n := p.VerifiedInsns(); n != 2 {
		t.Errorf("verified %d instructions, want 2", n)
	}
	info, e := p.Info()
	if e != 0 || uapi.CString(info.Name[:]) != "two" || info.Type != uapi.BPF_PROG_TYPE_XDP || info.GPLCompatible != 1 {
		t.Errorf("info %+v, %v", info, e)
	}
	xlated, e := p.Xlated()
	if e != 0 || len(xlated) != 2 || xlated[0] != movR0(2) {
		t.Errorf("xlated %x, %v", xlated, e)
	}
	packet := make([]byte, 64)
	packet[13] = 7
	out := p.Run(Input{Data: packet, Repeat: 1})
	if out.Errno != 0 || out.Retval != 2 || !bytes.Equal(out.Data, packet) {
		t.Errorf("run: %+v", out)
	}
	if out := p.Run(Input{Data: packet[:4]}); out.Errno != errno.EINVAL {
		t.Errorf("a packet shorter than its Ethernet header ran: %v", out.Errno)
	}
	if out := p.Run(Input{Data: packet, DataOut: 10}); out.Errno != errno.ENOSPC || len(out.Data) != 10 {
		t.Errorf("a short output buffer: %v, %d bytes", out.Errno, len(out.Data))
	}
}

func TestRefusal(t *testing.T) {
	Require(t)
	bad := []insn.Instruction{exit}
	p := Load(t, Prog{Type: uapi.BPF_PROG_TYPE_XDP, Insns: bad, LogLevel: 1})
	if p.Errno != errno.EACCES || !strings.Contains(p.Log, "R0 !read_ok") || p.FD != -1 {
		t.Errorf("errno %v, fd %d, log:\n%s", p.Errno, p.FD, p.Log)
	}
	// A buffer that is too small is the caller's wish: it is not enlarged.
	short := Load(t, Prog{Type: uapi.BPF_PROG_TYPE_XDP, Insns: bad, LogLevel: 1, LogSize: 16})
	if short.Errno != errno.ENOSPC || short.LogTrueSize != p.LogTrueSize || len(short.Log) != 15 {
		t.Errorf("errno %v, true size %d, log %q", short.Errno, short.LogTrueSize, short.Log)
	}
}

func TestLogGrows(t *testing.T) {
	Require(t)
	insns := []insn.Instruction{movR0(0)}
	for range 2000 {
		insns = append(insns, insn.Make(0x07, insn.R0, 0, 0, 1))
	}
	p := Load(t, Prog{Type: uapi.BPF_PROG_TYPE_XDP, Insns: append(insns, exit), LogLevel: 2})
	if p.Errno != 0 || p.LogTrueSize <= firstLogSize || len(p.Log)+1 != int(p.LogTrueSize) {
		t.Errorf("errno %v, log of %d bytes, true size %d", p.Errno, len(p.Log), p.LogTrueSize)
	}
}

func TestMapInProgram(t *testing.T) {
	Require(t)
	m := NewMap(t, MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 1, Name: "counts"})
	// *(u64 *)value += 5; return *(u32 *)value
	p := Load(t, Prog{Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER, Maps: []*Map{m}, Insns: []insn.Instruction{
		insn.Make(0x18, insn.R1, insn.PseudoMapValue, 0, 0), insn.Make(0, 0, 0, 0, 0),
		insn.Make(0xb7, insn.R2, 0, 0, 5),
		insn.Make(0xdb, insn.R1, insn.R2, 0, 0),
		insn.Make(0x61, insn.R0, insn.R1, 0, 0),
		exit,
	}, LogLevel: 1})
	if p.Errno != 0 {
		t.Fatalf("load: %v\n%s", p.Errno, p.Log)
	}
	if e := m.Update(key32(0), value64(100), 0); e != 0 {
		t.Fatal(e)
	}
	if out := p.Run(Input{Data: make([]byte, 14), Repeat: 3}); out.Errno != 0 || out.Retval != 115 {
		t.Errorf("run: %+v", out)
	}
	if v, e := m.Lookup(key32(0)); e != 0 || !bytes.Equal(v, value64(115)) {
		t.Errorf("lookup: %x, %v", v, e)
	}
	if _, e := m.Lookup(key32(1)); e != errno.ENOENT {
		t.Errorf("lookup beyond the array: %v", e)
	}
	if e := m.Clear(); e != 0 {
		t.Error(e)
	}
	if entries, e := m.Dump(); e != 0 || len(entries) != 1 || !bytes.Equal(entries[0].Value, value64(0)) {
		t.Errorf("dump: %v, %v", entries, e)
	}
}

func TestHashMap(t *testing.T) {
	Require(t)
	m := NewMap(t, MapSpec{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	for i, want := range []errno.Errno{0, 0, errno.E2BIG} {
		if e := m.Update(key32(uint32(i)), value64(uint64(i)), uapi.BPF_NOEXIST); e != want {
			t.Errorf("update %d: %v, want %v", i, e, want)
		}
	}
	if e := m.Update(key32(0), value64(1), uapi.BPF_NOEXIST); e != errno.EEXIST {
		t.Errorf("second insert: %v", e)
	}
	if v, e := m.LookupAndDelete(key32(1), 0); e != 0 || !bytes.Equal(v, value64(1)) {
		t.Errorf("lookup and delete: %x, %v", v, e)
	}
	if e := m.Delete(key32(1)); e != errno.ENOENT {
		t.Errorf("second delete: %v", e)
	}
	if e := m.Clear(); e != 0 {
		t.Error(e)
	}
	if _, e := m.NextKey(nil); e != errno.ENOENT {
		t.Errorf("the cleared map has a key: %v", e)
	}
	info, e := m.Info()
	if e != 0 || info.MaxEntries != 2 || info.Type != uapi.BPF_MAP_TYPE_HASH {
		t.Errorf("info: %+v, %v", info, e)
	}
	if e := m.Freeze(); e != 0 {
		t.Error(e)
	}
	if e := m.Update(key32(0), value64(0), 0); e != errno.EPERM {
		t.Errorf("update of a frozen map: %v", e)
	}
}

func TestPerCPUMap(t *testing.T) {
	Require(t)
	m := NewMap(t, MapSpec{Type: uapi.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if m.ValueBytes() != 8*PossibleCPUs() {
		t.Fatalf("a value has %d bytes", m.ValueBytes())
	}
	want := make([]byte, m.ValueBytes())
	for cpu := range PossibleCPUs() {
		want[8*cpu] = byte(cpu + 1)
	}
	if e := m.Update(key32(0), want, 0); e != 0 {
		t.Fatal(e)
	}
	if v, e := m.Lookup(key32(0)); e != 0 || !bytes.Equal(v, want) {
		t.Errorf("lookup: %x, %v", v, e)
	}
}

func TestBTF(t *testing.T) {
	Require(t)
	hdr := make([]byte, uapi.BTFHeaderEnd)
	(&uapi.BTFHeader{Magic: uapi.BTF_MAGIC, Version: 1, HdrLen: uapi.BTFHeaderEnd, StrOff: 16, TypeLen: 16, StrLen: 5}).Encode(hdr)
	raw := append(hdr, make([]byte, 16)...)
	le := binary.LittleEndian
	le.PutUint32(raw[24:], 1)                          // name "int"
	le.PutUint32(raw[28:], uapi.BTF_KIND_INT<<24)      // info
	le.PutUint32(raw[32:], 4)                          // size
	le.PutUint32(raw[36:], uapi.BTF_INT_SIGNED<<24|32) // encoding, bits
	raw = append(raw, "\x00int\x00"...)
	b := LoadBTF(t, raw, 1)
	if b.Errno != 0 {
		t.Fatalf("load: %v\n%s", b.Errno, b.Log)
	}
	if i, e := b.Info(); e != 0 || int(i.BTFSize) != len(raw) {
		t.Errorf("info: %+v, %v", i, e)
	}
	raw[0] = 0
	if b := LoadBTF(t, raw, 1); b.Errno != errno.EINVAL || !strings.Contains(b.Log, "Invalid magic") {
		t.Errorf("bad magic: %v\n%s", b.Errno, b.Log)
	}
}
