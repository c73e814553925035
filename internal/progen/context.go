package progen

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// field is a part of a context that may be accessed at any offset within, with
// widths from min to max bytes.
type field struct {
	off, size int
	min, max  int
	write     bool
}

// Fields whose value follows from the input. The context of a device (ifindex)
// or of time (tstamp, hash) is left out.
var contextFields = map[uapi.ProgType][]field{
	uapi.BPF_PROG_TYPE_SOCKET_FILTER: {
		{uapi.OffSkBuffLen, 4, 1, 4, false},
		{uapi.OffSkBuffPktType, 4, 1, 4, false},
		{uapi.OffSkBuffMark, 4, 1, 4, false},
		{uapi.OffSkBuffQueueMapping, 4, 1, 4, false},
		{uapi.OffSkBuffProtocol, 4, 1, 4, false},
		{uapi.OffSkBuffVLANPresent, 12, 4, 4, false},
		{uapi.OffSkBuffPriority, 4, 1, 4, false},
		{uapi.OffSkBuffTcIndex, 4, 1, 4, false},
		{uapi.OffSkBuffCb, 20, 1, 8, false},
		{uapi.OffSkBuffCb, 20, 4, 4, true},
	},
	uapi.BPF_PROG_TYPE_SCHED_CLS: {
		{uapi.OffSkBuffLen, 4, 1, 4, false},
		{uapi.OffSkBuffPktType, 4, 1, 4, false},
		{uapi.OffSkBuffMark, 4, 1, 4, false},
		{uapi.OffSkBuffMark, 4, 4, 4, true},
		{uapi.OffSkBuffQueueMapping, 4, 1, 4, false},
		{uapi.OffSkBuffProtocol, 4, 1, 4, false},
		{uapi.OffSkBuffPriority, 4, 1, 4, false},
		{uapi.OffSkBuffPriority, 4, 4, 4, true},
		{uapi.OffSkBuffTcIndex, 4, 4, 4, true},
		{uapi.OffSkBuffTcIndex, 4, 1, 4, false},
		{uapi.OffSkBuffTcClassid, 4, 4, 4, true},
		{uapi.OffSkBuffTcClassid, 4, 1, 4, false},
		{uapi.OffSkBuffCb, 20, 1, 8, false},
		{uapi.OffSkBuffCb, 20, 1, 8, true},
		{uapi.OffSkBuffGSOSegs, 4, 4, 4, false},
		{uapi.OffSkBuffGSOSize, 4, 4, 4, false},
		{uapi.OffSkBuffWireLen, 4, 1, 4, false},
	},
	uapi.BPF_PROG_TYPE_XDP: {
		{uapi.OffXDPMdRxQueueIndex, 4, 4, 4, false},
	},
}

// ctxLoad reads a field of the context.
func (g *gen) ctxLoad(f *fn) bool {
	if g.wants("ctx-offset") {
		if !f.hasCtx {
			return false
		}
		g.load(f, g.temp(f, false, 0), insn.R6, g.IntN(260)-20, pick(g, widths))
		return true
	}
	return g.ctxAccess(f, false)
}

// ctxStore writes a field of the context.
func (g *gen) ctxStore(f *fn) bool { return g.ctxAccess(f, true) }

func (g *gen) ctxAccess(f *fn, write bool) bool {
	if !f.hasCtx {
		return false
	}
	var fields []field
	for _, c := range contextFields[g.out.Type] {
		if c.write == write {
			fields = append(fields, c)
		}
	}
	if len(fields) == 0 {
		return false
	}
	c := pick(g, fields)
	w := c.max
	for w > c.min && g.chance(0.3) {
		w /= 2
	}
	// An access lies at a multiple of its width from the start of the context.
	first := (c.off + w - 1) / w * w
	off := first + g.IntN((c.off+c.size-w-first)/w+1)*w
	switch {
	case !write:
		dst := g.temp(f, false, 0)
		f.emit(insn.ClassLDX|insn.ModeMem|sizes[w], dst, insn.R6, off, 0)
		f.setScalar(dst)
	case g.chance(0.3):
		f.emit(insn.ClassST|insn.ModeMem|sizes[w], insn.R6, 0, off, g.imm32())
	default:
		f.emit(insn.ClassSTX|insn.ModeMem|sizes[w], insn.R6, g.number(f, 0), off, 0)
	}
	return true
}

// bounds are where a context has the packet's first byte, its end, and the start
// of its metadata.
type bounds struct{ data, end, meta int }

var packetBounds = map[uapi.ProgType]bounds{
	uapi.BPF_PROG_TYPE_SCHED_CLS: {uapi.OffSkBuffData, uapi.OffSkBuffDataEnd, uapi.OffSkBuffDataMeta},
	uapi.BPF_PROG_TYPE_XDP:       {uapi.OffXDPMdData, uapi.OffXDPMdDataEnd, uapi.OffXDPMdDataMeta},
}

// packet accesses the packet where a comparison with its end allows it.
func (g *gen) packet(f *fn) bool {
	b, ok := packetBounds[g.out.Type]
	if !ok || !f.hasCtx {
		return false
	}
	start, limit := b.data, b.end
	if g.chance(0.1) {
		start, limit = b.meta, b.data
	}
	p, nested := g.saved(f)
	if !nested || g.chance(0.5) {
		p, nested = g.temp(f, true, 0), false
	}
	f.set(p, value{})
	f.keep |= bit(p)
	f.packetPtrs++
	f.emit(insn.ClassLDX|insn.ModeMem|insn.SizeW, p, insn.R6, start, 0)
	var out []jump
	if g.chance(0.35) { // at a variable place
		n, jumps := g.bounded(f, 1+g.IntN(64), 1, 0)
		f.emit(insn.ClassALU64|insn.OpAdd|insn.SrcX, p, n, 0, 0)
		out = jumps
	}
	room := 1 + g.IntN(40)
	size, jumps := g.compareWithEnd(f, p, room, limit)
	out = append(out, jumps...)
	if g.wants("packet-range") {
		size += 1 + g.IntN(4)
	}
	m := memory{size: size, packet: true, stack: -1}
	for range 1 + g.IntN(3) {
		g.access(f, p, m)
		if nested && g.chance(0.3) && f.depth <= maxDepth {
			g.block(f, 1)
		}
	}
	f.packetPtrs--
	f.keep &^= bit(p)
	f.set(p, value{})
	f.land(out...)
	f.set(p, value{})
	return true
}

// compareWithEnd makes the bytes from p accessible, in one of the ways that a
// compiler writes it. It returns how many there are and the jumps that are taken
// where the packet is too short.
func (g *gen) compareWithEnd(f *fn, p insn.Reg, room, limit int) (int, []jump) {
	q := g.temp(f, true, bit(p))
	end := g.temp(f, true, bit(p)|bit(q))
	f.emit(insn.ClassLDX|insn.ModeMem|insn.SizeW, end, insn.R6, limit, 0)
	f.emit(insn.ClassALU64|insn.OpMov|insn.SrcX, q, p, 0, 0)
	f.addImm(q, int32(room))
	f.set(q, value{})
	f.set(end, value{})
	type form struct {
		op       uint8
		endFirst bool
		ok       bool // taken where there is room
		more     int  // the comparison proves one byte more
	}
	c := pick(g, []form{
		{insn.JmpGT, false, false, 0}, {insn.JmpGT, false, false, 0},
		{insn.JmpGE, false, false, 1}, {insn.JmpLT, true, false, 0}, {insn.JmpLE, true, false, 1},
		{insn.JmpLE, false, true, 0}, {insn.JmpLT, false, true, 1},
		{insn.JmpGE, true, true, 0}, {insn.JmpGT, true, true, 1},
	})
	dst, src := q, end
	if c.endFirst {
		dst, src = end, q
	}
	j := f.branch(insn.ClassJMP|c.op|insn.SrcX, dst, src, 0)
	if !c.ok {
		return room + c.more, []jump{j}
	}
	out := f.skip()
	f.land(j)
	return room + c.more, []jump{out}
}

// loadAbs reads the packet in the classic way. Where the packet is too short, the
// program ends.
func (g *gen) loadAbs(f *fn) bool {
	if !f.abs || f.packetPtrs > 0 || g.out.Type == uapi.BPF_PROG_TYPE_XDP {
		return false
	}
	size := pick(g, []uint8{insn.SizeB, insn.SizeH, insn.SizeW})
	off := int32(g.IntN(40))
	if g.chance(0.1) {
		off = pick(g, []int32{-1, -0x100000, -0x100000 + 9, -0x200000, -0x200000 + 12, 1 << 20})
	}
	if g.chance(0.35) {
		n, jumps := g.bounded(f, g.IntN(32)+1, 1, 0)
		f.emit(insn.ClassLD|insn.ModeInd|size, 0, n, 0, off)
		defer f.land(jumps...)
	} else {
		f.emit(insn.ClassLD|insn.ModeAbs|size, 0, 0, 0, off)
	}
	f.clobber()
	f.setScalar(insn.R0)
	return true
}
