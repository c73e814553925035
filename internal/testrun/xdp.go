package testrun

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

const (
	// maxMeta is the most metadata that fits skb_shared_info.meta_len.
	maxMeta = 255
	// maxBatch is TEST_XDP_MAX_BATCH.
	maxBatch = 256
)

// xdpRun is an xdp_buff with the device that it needs.
type xdpRun struct {
	xdp *netbuf.XDP
	dev *netbuf.Device
}

func newXDPRun(m *exec.Machine) (*xdpRun, error) {
	r := &xdpRun{}
	var err error
	if r.dev, err = netbuf.NewLoopback(m); err != nil {
		return nil, err
	}
	if r.xdp, err = netbuf.NewXDP(m); err != nil {
		r.dev.Free()
		return nil, err
	}
	return r, nil
}

func (r *xdpRun) free() {
	r.xdp.Free()
	r.dev.Free()
}

// maxLinear is how many bytes behind the metadata fit the page.
func maxLinear(meta uint32) uint32 {
	return pageSize - (netbuf.XDPHeadroom - meta) - ktype.SizeofSharedInfo
}

// runXDP mirrors bpf_prog_test_run_xdp.
func runXDP(p *Program, a *uapi.TestRunAttr, m usermem.Mem) error {
	if err := checkXDP(p, a); err != nil {
		return err
	}
	ctx, err := contextIn(a, m, uapi.SizeofXDPMd)
	if err != nil {
		return err
	}
	meta, linear := uint32(0), a.DataSizeIn
	if ctx != nil {
		if meta, linear, err = xdpLayout(a, ctx); err != nil {
			return err
		}
	}
	linear = min(linear, maxLinear(meta))
	if a.DataSizeIn-meta < netbuf.EthHeader {
		return errTooShort(a.DataSizeIn - meta)
	}
	r, err := newXDPRun(p.Machine)
	if err != nil {
		return err
	}
	defer r.free()
	if err := r.fill(a, m, meta, linear, ctx); err != nil {
		return err
	}
	retval, duration, err := repeated(p, r.xdp, r.xdp.Addr, a.Repeat)
	if err != nil {
		return err
	}
	x := r.xdp
	if ctx != nil {
		put32(ctx, uapi.OffXDPMdData, uint32(x.Data-x.DataMeta))
		put32(ctx, uapi.OffXDPMdDataEnd, uint32(x.DataEnd-x.DataMeta))
	}
	if err := dataOut(a, m, r.output(), retval, duration); err != nil {
		return err
	}
	return contextOut(a, m, ctx)
}

func checkXDP(p *Program, a *uapi.TestRunAttr) error {
	live := a.Flags&uapi.BPF_F_TEST_XDP_LIVE_FRAMES != 0
	switch {
	case p.ExpectedAttach == uapi.BPF_XDP_DEVMAP || p.ExpectedAttach == uapi.BPF_XDP_CPUMAP:
		return errno.Errorf(errno.EINVAL, "XDP programs of device and CPU maps have no test run")
	case a.Flags&^uint32(uapi.BPF_F_TEST_XDP_LIVE_FRAMES) != 0:
		return errno.Errorf(errno.EINVAL, "flags %#x: an XDP test run knows BPF_F_TEST_XDP_LIVE_FRAMES only", a.Flags)
	case live && a.BatchSize > maxBatch:
		return errno.Errorf(errno.E2BIG, "batch_size %d is more than %d", a.BatchSize, maxBatch)
	case live:
		return errno.Errorf(errno.EOPNOTSUPP, "BPF_F_TEST_XDP_LIVE_FRAMES sends frames to devices, of which a test run has none")
	case a.BatchSize != 0:
		return errno.Errorf(errno.EINVAL, "batch_size goes with BPF_F_TEST_XDP_LIVE_FRAMES only")
	}
	return nil
}

// xdpLayout takes from struct xdp_md how much of the data is metadata and how
// much lies in the page.
func xdpLayout(a *uapi.TestRunAttr, ctx []byte) (meta, linear uint32, err error) {
	data, end := u32(ctx, uapi.OffXDPMdData), u32(ctx, uapi.OffXDPMdDataEnd)
	switch {
	case u32(ctx, uapi.OffXDPMdDataMeta) != 0:
		return 0, 0, errno.Errorf(errno.EINVAL, "data_meta must be 0: nothing comes before the metadata")
	case end > a.DataSizeIn || data > end:
		return 0, 0, errno.Errorf(errno.EINVAL, "data %d, data_end %d: they must be in order and inside the %d bytes given", data, end, a.DataSizeIn)
	case data&3 != 0 || data > maxMeta || data > netbuf.XDPHeadroom-ktype.SizeofXDPFrame:
		return 0, 0, errno.Errorf(errno.EINVAL, "metadata of %d bytes: it must be a multiple of 4 and at most %d", data, netbuf.XDPHeadroom-ktype.SizeofXDPFrame)
	}
	return data, end, nil
}

// fill makes the frame: metadata and linear data in the page, the rest in
// fragments.
func (r *xdpRun) fill(a *uapi.TestRunAttr, m usermem.Mem, meta, linear uint32, ctx []byte) error {
	x := r.xdp
	x.Reset(netbuf.XDPHeadroom-meta, 0, linear, r.dev)
	if err := m.Read(a.DataIn, x.Bytes()); err != nil {
		return err
	}
	if err := r.receiveOn(ctx); err != nil {
		return err
	}
	x.Data += uint64(meta)
	for at := linear; at < a.DataSizeIn; {
		n := min(a.DataSizeIn-at, pageSize)
		b, e := x.AddFrag(n)
		if e != 0 {
			return errno.Errorf(e, "%d bytes need more than %d fragments", a.DataSizeIn, ktype.MaxFrags)
		}
		if err := m.Read(a.DataIn+uint64(at), b); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// receiveOn checks where the frame is said to come from
// (xdp_convert_md_to_buff). There is the loopback device with one queue.
func (r *xdpRun) receiveOn(ctx []byte) error {
	if ctx == nil {
		return nil
	}
	ifindex, queue := u32(ctx, uapi.OffXDPMdIngressIfindex), u32(ctx, uapi.OffXDPMdRxQueueIndex)
	switch {
	case u32(ctx, uapi.OffXDPMdEgressIfindex) != 0:
		return errno.Errorf(errno.EINVAL, "egress_ifindex must be 0 in a test run")
	case ifindex == 0 && queue != 0:
		return errno.Errorf(errno.EINVAL, "rx_queue_index %d without ingress_ifindex", queue)
	case ifindex != 0 && ifindex != r.dev.Ifindex:
		return errno.Errorf(errno.ENODEV, "there is no device with ifindex %d", ifindex)
	case queue >= r.dev.RealNumRxQueues:
		return errno.Errorf(errno.EINVAL, "the device has no receive queue %d", queue)
	}
	return nil
}

func (r *xdpRun) output() output {
	x := r.xdp
	o := output{linear: x.MetaBytes()}
	for i := range x.NrFrags() {
		o.frags = append(o.frags, x.Frag(i))
	}
	return o
}
