package netbuf

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
)

const pageSize = 4096

// XDPHeadroom is XDP_PACKET_HEADROOM: what is free in front of a frame.
const XDPHeadroom = 256

// XDP is an xdp_buff with its page, and more pages where the frame has
// fragments.
type XDP struct {
	// Addr is the address of the struct: the context of a program.
	Addr uint64
	*ktype.XDPBuff
	Device *Device

	page  uint64
	spare []uint64 // pages for fragments
	m     *exec.Machine
}

// NewXDP makes an xdp_buff without a frame.
func NewXDP(m *exec.Machine) (*XDP, error) {
	addr, err := m.Region.Alloc(ktype.SizeofXDPBuff+ktype.SizeofXDPTxqInfo, 64)
	if err != nil {
		return nil, err
	}
	page, err := m.Region.Alloc(pageSize, pageSize)
	if err != nil {
		m.Region.Free(addr)
		return nil, err
	}
	return &XDP{Addr: addr, XDPBuff: mem.At[ktype.XDPBuff](addr), page: page, m: m}, nil
}

// Free gives the struct and all pages back.
func (x *XDP) Free() {
	x.dropFrags()
	for _, p := range x.spare {
		x.m.Region.Free(p)
	}
	x.m.Region.Free(x.page)
	x.m.Region.Free(x.Addr)
}

// Reset makes x a fresh frame on dev with headroom, meta bytes of metadata and
// linear bytes of data in the page, and no fragments. The bytes are undefined
// until filled. Precondition: all fits the page in front of the shared info.
func (x *XDP) Reset(headroom, meta, linear uint32, dev *Device) {
	x.dropFrags()
	start := x.page + uint64(headroom)
	*x.XDPBuff = ktype.XDPBuff{
		DataHardStart: x.page, DataMeta: start, Data: start + uint64(meta),
		DataEnd: start + uint64(meta) + uint64(linear),
		RXQ:     dev.rxq, TXQ: x.Addr + ktype.SizeofXDPBuff, FrameSz: pageSize,
	}
	*mem.At[ktype.XDPTxqInfo](x.TXQ) = ktype.XDPTxqInfo{Dev: dev.Addr}
	*x.Shared() = ktype.SharedInfo{}
	x.Device = dev
}

// HardEnd is where data may grow to: the shared info (xdp_data_hard_end).
func (x *XDP) HardEnd() uint64 {
	return x.DataHardStart + uint64(x.FrameSz) - ktype.SizeofSharedInfo
}

// Shared is the struct skb_shared_info at the end of the page.
func (x *XDP) Shared() *ktype.SharedInfo { return mem.At[ktype.SharedInfo](x.HardEnd()) }

// HasFrags says whether part of the frame lies in fragments.
func (x *XDP) HasFrags() bool { return x.Flags&ktype.XDPFlagHasFrags != 0 }

// Len is the length of the whole frame (xdp_get_buff_len).
func (x *XDP) Len() uint32 {
	n := uint32(x.DataEnd - x.Data)
	if x.HasFrags() {
		n += x.Shared().XDPFragsSize
	}
	return n
}

// Bytes is the linear part from Data on, not a copy.
func (x *XDP) Bytes() []byte { return mem.Bytes(x.Data, x.DataEnd-x.Data) }

// MetaBytes is the metadata and the linear part behind it, not a copy.
func (x *XDP) MetaBytes() []byte { return mem.Bytes(x.DataMeta, x.DataEnd-x.DataMeta) }

// Packet implements exec.PacketRange.
func (x *XDP) Packet() (meta, data, end uint64) { return x.DataMeta, x.Data, x.DataEnd }

// AddFrag appends n bytes in a page of their own and returns them to be filled.
// ENOMEM: there are MaxFrags already.
func (x *XDP) AddFrag(n uint32) ([]byte, errno.Errno) {
	sh := x.Shared()
	if sh.NrFrags == ktype.MaxFrags {
		return nil, errno.ENOMEM
	}
	page, ok := x.takePage()
	if !ok {
		return nil, errno.ENOMEM
	}
	sh.Frags[sh.NrFrags] = ktype.Frag{Addr: page, Len: n}
	sh.NrFrags++
	sh.XDPFragsSize += n
	sh.XDPFragsTrueSiz += pageSize
	x.Flags |= ktype.XDPFlagHasFrags
	return mem.Bytes(page, uint64(n)), 0
}

func (x *XDP) takePage() (uint64, bool) {
	if n := len(x.spare); n > 0 {
		p := x.spare[n-1]
		x.spare = x.spare[:n-1]
		clear(mem.Bytes(p, pageSize))
		return p, true
	}
	p, err := x.m.Region.Alloc(pageSize, pageSize)
	return p, err == nil
}

func (x *XDP) dropFrags() {
	if !x.HasFrags() {
		return
	}
	sh := x.Shared()
	for i := range int(sh.NrFrags) {
		x.spare = append(x.spare, sh.Frags[i].Addr)
	}
	sh.NrFrags, sh.XDPFragsSize = 0, 0
	x.Flags &^= ktype.XDPFlagHasFrags
}

// Frag is the bytes of a fragment.
func (x *XDP) Frag(i int) []byte {
	f := &x.Shared().Frags[i]
	return mem.Bytes(f.Addr+uint64(f.Off), uint64(f.Len))
}

// NrFrags is how many fragments there are.
func (x *XDP) NrFrags() int {
	if !x.HasFrags() {
		return 0
	}
	return int(x.Shared().NrFrags)
}

// Pieces calls f for the parts of the frame that hold the n bytes at off, in
// order. Precondition: off + n <= Len().
func (x *XDP) Pieces(off, n uint32, f func(b []byte)) {
	piece := x.Bytes()
	for i := 0; n > 0; i++ {
		if uint32(len(piece)) > off {
			take := min(n, uint32(len(piece))-off)
			f(piece[off : off+take])
			off, n = 0, n-take
		} else {
			off -= uint32(len(piece))
		}
		if n > 0 {
			piece = x.Frag(i)
		}
	}
}

// ShrinkFrags cuts n bytes off the end of a frame with fragments
// (bpf_xdp_frags_shrink_tail). Precondition: n <= Len() - EthHeader.
func (x *XDP) ShrinkFrags(n uint32) {
	sh := x.Shared()
	for i := int(sh.NrFrags) - 1; i >= 0 && n > 0; i-- {
		f := &sh.Frags[i]
		cut := min(n, f.Len)
		n -= cut
		f.Len -= cut
		sh.XDPFragsSize -= cut
		if f.Len == 0 {
			x.spare = append(x.spare, f.Addr)
			sh.XDPFragsTrueSiz -= pageSize
			sh.NrFrags--
		}
	}
	if sh.NrFrags == 0 {
		x.Flags &^= ktype.XDPFlagHasFrags
		x.DataEnd -= uint64(n)
	}
}

// GrowFrags appends n zero bytes to the last fragment
// (bpf_xdp_frags_increase_tail). EINVAL: its page ends before.
func (x *XDP) GrowFrags(n uint32) errno.Errno {
	sh := x.Shared()
	f := &sh.Frags[sh.NrFrags-1]
	if n > pageSize-f.Off-f.Len {
		return errno.EINVAL
	}
	clear(mem.Bytes(f.Addr+uint64(f.Off+f.Len), uint64(n)))
	f.Len += n
	sh.XDPFragsSize += n
	return 0
}
