package abi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// progLogTrueSize and btfLogTrueSize are where the commands leave the size that
// the log would have needed.
const (
	progLogTrueSize = 140
	btfLogTrueSize  = 28
)

// logLevels are the combinations of the level's bits, and some that are none.
var logLevels = []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 1 << 31}

// logged are programs that say something and end well or badly.
var logged = []struct {
	name string
	code []insn.Instruction
}{
	{"a good one", []insn.Instruction{
		insn.Mov64Imm(insn.R0, 1), insn.JumpImm(insn.JmpEQ, insn.R1, 0, 1), insn.Mov64Imm(insn.R0, 2), insn.Exit()}},
	{"a bad one", []insn.Instruction{
		insn.LoadMem(insn.SizeW, insn.R3, insn.R1, 0), insn.JumpImm(insn.JmpGT, insn.R3, 4, 1), insn.Mov64Imm(insn.R0, 2), insn.Exit()}},
	{"one that says nothing", []insn.Instruction{insn.Mov64Reg(insn.R0, insn.R1)}},
}

// progLogs: every level with buffers from none to more than enough, of which
// nothing may be written behind what was said.
func progLogs(b *box) {
	for _, p := range logged {
		for _, level := range logLevels {
			full := b.progLog(p.name, p.code, level, 1<<16, 1<<16, uapi.AttrSize)
			for _, size := range logSizes(full) {
				if level&4 != 0 {
					break // how long it took decides where it is cut
				}
				b.progLog(p.name, p.code, level, size, size, uapi.AttrSize)
			}
		}
	}
	for _, size := range []int{48, 72, 112, 116, 120, 128, 140, 143, 144, 152, 160, 168} {
		for _, level := range []uint32{0, 1, 9} {
			for _, n := range []uint32{10, 4096} {
				b.progLog("a bad one", logged[1].code, level, n, n, size)
				b.progLog("a good one", logged[0].code, level, n, n, size)
			}
		}
	}
	// Sizes that are no sizes, and buffers that are not there.
	for _, size := range []uint32{1 << 29, 1<<30 - 1, 1 << 30, 1 << 31, 1<<32 - 1} {
		b.progLog("a good one", logged[0].code, 1, size, 4096, uapi.AttrSize)
		b.progLog("a good one", logged[0].code, 0, size, 4096, uapi.AttrSize)
	}
	for _, level := range logLevels {
		b.progLog("a good one", logged[0].code, level, 64, 0, uapi.AttrSize)
		b.progLog("a bad one", logged[1].code, level, 0, 4096, uapi.AttrSize)
		b.progLog("a bad one", logged[1].code, level, 0, 0, uapi.AttrSize)
	}
}

// logSizes are the sizes around a log's own.
func logSizes(n uint32) []uint32 {
	sizes := []uint32{1, 2, 3, 17, 127, 128, 129}
	for _, d := range []uint32{n / 2, n - 2, n - 1, n, n + 1} {
		if d > 0 && d < 1<<16 {
			sizes = append(sizes, d)
		}
	}
	return sizes
}

// progLog loads a program with a log buffer that is claimed to have some size
// and an attribute of n bytes, and notes all of the buffer. It returns
// log_true_size.
func (b *box) progLog(name string, code []insn.Instruction, level, claimed, real uint32, n int) uint32 {
	a := b.progAttr(uapi.BPF_PROG_TYPE_SOCKET_FILTER, code)
	log := filled(real)
	a.LogLevel, a.LogSize, a.LogBuf = level, claimed, b.addr(log)
	attr := enc(&a)[:n]
	label := fmt.Sprintf("%s, level %#x, %d bytes, attribute of %d", name, level, claimed, n)
	b.call(label, uapi.BPF_PROG_LOAD, attr)
	var size uint32
	if n >= progLogTrueSize+4 {
		size = binary.LittleEndian.Uint32(attr[progLogTrueSize:])
	}
	if level&4 != 0 {
		// How long it took has a length of its own.
		b.note("%s: log %q", label, duration.ReplaceAllString(logText(log), "time"))
		return 0
	}
	b.note("%s: true size %d, log %q", label, size, logText(log))
	return size
}

var duration = regexp.MustCompile(`time [0-9]+ usec`)

func btfLogs(b *box) {
	good := smallBTF(b)
	bad := append([]byte(nil), good...)
	bad[len(bad)-1] = 'x' // the strings have no end
	worse := append([]byte(nil), good...)
	worse[24+4+3] |= 0x40 // the first type has a bit that no type has
	for _, c := range []struct {
		name string
		raw  []byte
	}{{"good", good}, {"bad", bad}, {"worse", worse}} {
		for _, level := range logLevels {
			full := b.btfLog(c.name, c.raw, level, 1<<16, 1<<16, uapi.AttrSize)
			for _, size := range logSizes(full) {
				b.btfLog(c.name, c.raw, level, size, size, uapi.AttrSize)
			}
		}
		for _, n := range []int{20, 24, 28, 31, 32, 36, 40} {
			b.btfLog(c.name, c.raw, 1, 64, 64, n)
			b.btfLog(c.name, c.raw, 9, 64, 64, n)
		}
		for _, level := range logLevels {
			b.btfLog(c.name, c.raw, level, 64, 0, uapi.AttrSize)
			b.btfLog(c.name, c.raw, level, 0, 64, uapi.AttrSize)
			b.btfLog(c.name, c.raw, level, 0, 0, uapi.AttrSize)
			b.btfLog(c.name, c.raw, level, 1<<30, 64, uapi.AttrSize)
		}
	}
}

func (b *box) btfLog(name string, raw []byte, level, claimed, real uint32, n int) uint32 {
	log := filled(real)
	a := uapi.BTFLoadAttr{BTF: b.addr(raw), BTFSize: uint32(len(raw)), BTFLogLevel: level, BTFLogSize: claimed, BTFLogBuf: b.addr(log)}
	attr := enc(&a)[:n]
	label := fmt.Sprintf("%s, level %#x, %d bytes, attribute of %d", name, level, claimed, n)
	b.call(label, uapi.BPF_BTF_LOAD, attr)
	var size uint32
	if n >= btfLogTrueSize+4 {
		size = binary.LittleEndian.Uint32(attr[btfLogTrueSize:])
	}
	b.note("%s: true size %d, log %q", label, size, logText(log))
	return size
}

// fill is what a buffer holds before the call.
const fill = 0xa5

func filled(n uint32) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = fill
	}
	return b
}

// logText is a log up to its end. What the kernel leaves behind that of paths
// that it walked and forgot again is nobody's matter. A buffer without an end,
// or that was not touched, is shown as it is.
func logText(b []byte) string {
	if n := bytes.IndexByte(b, 0); n >= 0 {
		return fmt.Sprintf("%s, ended", b[:n])
	}
	return fmt.Sprintf("%s, not ended", bytes.TrimRight(b, "\xa5"))
}
