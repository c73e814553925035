package testrun

import (
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// maxSKB is the longest packet of a test run: what a page holds beside headroom
// and shared info.
const maxSKB = pageSize - netbuf.SKBHeadroom - ktype.SizeofSharedInfo

// skbRun is an sk_buff with the device and the socket that it needs.
type skbRun struct {
	skb  *netbuf.SKB
	dev  *netbuf.Device
	sock *netbuf.Sock
	l2   bool
}

func newSKBRun(m *exec.Machine, l2 bool) (*skbRun, error) {
	r := &skbRun{l2: l2}
	var err error
	if r.dev, err = netbuf.NewLoopback(m); err != nil {
		return nil, err
	}
	if r.sock, err = netbuf.NewSock(m); err != nil {
		r.free()
		return nil, err
	}
	if r.skb, err = netbuf.NewSKB(m); err != nil {
		r.free()
		return nil, err
	}
	return r, nil
}

func (r *skbRun) free() {
	if r.skb != nil {
		r.skb.Free()
	}
	if r.sock != nil {
		r.sock.Free()
	}
	r.dev.Free()
}

// reset makes room for a packet of n bytes, to be filled through skb.Bytes.
func (r *skbRun) reset(n uint32) error {
	r.sock.Reset()
	if e := r.skb.Reset(netbuf.SKBHeadroom, n, r.dev, r.sock); e != 0 {
		return errno.Errorf(e, "no memory for a packet of %d bytes", n)
	}
	return nil
}

// receive takes the filled packet in as bpf_prog_test_run_skb does: it comes from
// the loopback device, and its socket has the packet's addresses.
func (r *skbRun) receive() {
	s := r.skb
	s.Protocol = s.EthTypeTrans(r.dev)
	s.SetHeader(&s.NetworkHeader, 0)
	r.sock.SetAddresses(netbuf.Htons(s.Protocol), s.Bytes())
	if r.l2 {
		s.Push(netbuf.EthHeader)
	}
	s.ComputePointers()
}

// restore puts an Ethernet header of zeros in front of a packet that ran
// without one.
func (r *skbRun) restore() error {
	if r.l2 {
		return nil
	}
	if e := r.skb.Reserve(netbuf.EthHeader, 0); e != 0 {
		return errno.Errorf(e, "no memory for the Ethernet header")
	}
	r.skb.Push(netbuf.EthHeader)
	clear(r.skb.Bytes()[:netbuf.EthHeader])
	return nil
}

// runSKB mirrors bpf_prog_test_run_skb.
func runSKB(p *Program, a *uapi.TestRunAttr, m usermem.Mem) error {
	if a.Flags&^uint32(uapi.BPF_F_TEST_SKB_CHECKSUM_COMPLETE) != 0 || a.CPU != 0 || a.BatchSize != 0 {
		return errno.Errorf(errno.EINVAL, "flags %#x, cpu %d, batch_size %d: of these only the flag BPF_F_TEST_SKB_CHECKSUM_COMPLETE goes with programs of type %s",
			a.Flags, a.CPU, a.BatchSize, p.Type.LibName())
	}
	if a.DataSizeIn < netbuf.EthHeader {
		return errTooShort(a.DataSizeIn)
	}
	if a.DataSizeIn > maxSKB {
		return errTooLong(a.DataSizeIn, maxSKB)
	}
	r, err := newSKBRun(p.Machine, kindOf(p.Type) == kindL2)
	if err != nil {
		return err
	}
	defer r.free()
	if err := r.reset(a.DataSizeIn); err != nil {
		return err
	}
	if err := m.Read(a.DataIn, r.skb.Bytes()); err != nil {
		return err
	}
	ctx, err := contextIn(a, m, uapi.SizeofSkBuff)
	if err != nil {
		return err
	}
	if ctx != nil {
		if i := u32(ctx, uapi.OffSkBuffIfindex); i > 1 {
			return errno.Errorf(errno.ENODEV, "there is no device with ifindex %d", i)
		}
	}
	r.receive()
	if err := checkNetwork(r.skb); err != nil {
		return err
	}
	if err := skbFromContext(r.skb, ctx); err != nil {
		return err
	}
	complete := a.Flags&uapi.BPF_F_TEST_SKB_CHECKSUM_COMPLETE != 0
	if complete {
		r.skb.Csum = networkSum(r.skb)
		r.skb.IPSummed = ktype.ChecksumComplete
	}
	retval, duration, err := repeated(p, r.skb, r.skb.Addr, a.Repeat)
	if err != nil {
		return err
	}
	if err := r.restore(); err != nil {
		return err
	}
	if complete && netbuf.CsumFold(r.skb.Csum) != netbuf.CsumFold(networkSum(r.skb)) {
		return errno.Errorf(errno.EBADMSG, "the packet's checksum is not that of its bytes any more")
	}
	skbToContext(r.skb, ctx)
	if err := dataOut(a, m, output{linear: r.skb.Bytes()}, retval, duration); err != nil {
		return err
	}
	return contextOut(a, m, ctx)
}

// minNetwork are the shortest packets behind the Ethernet header that a test run
// takes, by protocol.
var minNetwork = map[uint16]uint32{netbuf.ProtoIPv4: 20, netbuf.ProtoIPv6: 40}

// checkNetwork refuses a packet that is shorter than its network header.
func checkNetwork(s *netbuf.SKB) error {
	n := s.Len - max(uint32(s.HeaderOffset(s.NetworkHeader)), 0)
	if want := minNetwork[netbuf.Htons(s.Protocol)]; n < want {
		return errno.Errorf(errno.EINVAL, "%d bytes behind the Ethernet header are too few for protocol %#04x", n, netbuf.Htons(s.Protocol))
	}
	return nil
}

// networkSum is the checksum of the packet from its network header on.
func networkSum(s *netbuf.SKB) uint32 {
	off := max(s.HeaderOffset(s.NetworkHeader), 0)
	return netbuf.CsumPartial(s.Bytes()[min(uint32(off), s.Len):], 0)
}

func u32(b []byte, off int) uint32      { return binary.LittleEndian.Uint32(b[off:]) }
func u64(b []byte, off int) uint64      { return binary.LittleEndian.Uint64(b[off:]) }
func put32(b []byte, off int, v uint32) { binary.LittleEndian.PutUint32(b[off:], v) }
func put64(b []byte, off int, v uint64) { binary.LittleEndian.PutUint64(b[off:], v) }

// settable are the fields of struct __sk_buff that a caller may set, as ranges
// of bytes; everything else must be zero (convert___skb_to_skb).
var settable = [][2]int{
	{uapi.OffSkBuffMark, uapi.OffSkBuffMark + 4},
	{uapi.OffSkBuffPriority, uapi.OffSkBuffIfindex + 4},
	{uapi.OffSkBuffCb, uapi.OffSkBuffCb + 20},
	{uapi.OffSkBuffTstamp, uapi.OffSkBuffGSOSegs + 4},
	{uapi.OffSkBuffGSOSize, uapi.OffSkBuffGSOSize + 4},
	{uapi.OffSkBuffHwtstamp, uapi.OffSkBuffHwtstamp + 8},
}

// Limits of segmentation offload (linux/netdevice.h).
const (
	gsoMaxSegs    = 65535
	gsoLegacySize = 65536
)

func skbFromContext(s *netbuf.SKB, ctx []byte) error {
	if ctx == nil {
		return nil
	}
	at := 0
	for _, r := range append(settable[:len(settable):len(settable)], [2]int{len(ctx), len(ctx)}) {
		for ; at < r[0]; at++ {
			if ctx[at] != 0 {
				return errno.Errorf(errno.EINVAL, "byte %d of struct __sk_buff must be 0 in a test run", at)
			}
		}
		at = r[1]
	}
	s.Mark = u32(ctx, uapi.OffSkBuffMark)
	s.Priority = u32(ctx, uapi.OffSkBuffPriority)
	s.SKBIif = u32(ctx, uapi.OffSkBuffIngressIfindex)
	s.Tstamp = u64(ctx, uapi.OffSkBuffTstamp)
	copy(s.CB.Data[:], ctx[uapi.OffSkBuffCb:])
	s.CB.PktLen = s.Len
	if wire := u32(ctx, uapi.OffSkBuffWireLen); wire != 0 {
		if wire < s.Len || wire > gsoLegacySize {
			return errno.Errorf(errno.EINVAL, "wire_len %d is not between the packet's %d bytes and %d", wire, s.Len, gsoLegacySize)
		}
		s.CB.PktLen = wire
	}
	segs := u32(ctx, uapi.OffSkBuffGSOSegs)
	if segs > gsoMaxSegs {
		return errno.Errorf(errno.EINVAL, "gso_segs %d is more than %d", segs, gsoMaxSegs)
	}
	sh := s.Shared()
	sh.GSOSegs = uint16(segs)
	sh.GSOSize = uint16(u32(ctx, uapi.OffSkBuffGSOSize))
	sh.HWTstamp = u64(ctx, uapi.OffSkBuffHwtstamp)
	return nil
}

// skbToContext mirrors convert_skb_to___skb; other fields stay as they came in.
func skbToContext(s *netbuf.SKB, ctx []byte) {
	if ctx == nil {
		return
	}
	sh := s.Shared()
	put32(ctx, uapi.OffSkBuffMark, s.Mark)
	put32(ctx, uapi.OffSkBuffPriority, s.Priority)
	put32(ctx, uapi.OffSkBuffIngressIfindex, s.SKBIif)
	put32(ctx, uapi.OffSkBuffIfindex, s.Device.Ifindex)
	put64(ctx, uapi.OffSkBuffTstamp, s.Tstamp)
	copy(ctx[uapi.OffSkBuffCb:], s.CB.Data[:])
	put32(ctx, uapi.OffSkBuffWireLen, s.CB.PktLen)
	put32(ctx, uapi.OffSkBuffGSOSegs, uint32(sh.GSOSegs))
	put64(ctx, uapi.OffSkBuffHwtstamp, sh.HWTstamp)
}
