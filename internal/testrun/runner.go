package testrun

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/netbuf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Runner puts packets through a program, each as a test run of its own would see
// it, without allocating. It is for one goroutine at a time.
type Runner struct {
	image exec.Image
	skb   *skbRun
	xdp   *xdpRun
	out   []byte
}

// NewRunner makes a runner for an image of a program of type t; Close it after
// use. ENOTSUPP: programs of that type do not run on packets.
func NewRunner(m *exec.Machine, img exec.Image, t uapi.ProgType) (*Runner, error) {
	r := &Runner{image: img}
	var err error
	switch k := kindOf(t); k {
	case kindL2, kindL3:
		r.skb, err = newSKBRun(m, k == kindL2)
	case kindXDP:
		r.xdp, err = newXDPRun(m)
	default:
		err = errno.Errorf(errno.ENOTSUPP, "programs of type %s do not run on packets", t.LibName())
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Close gives the runner's memory back.
func (r *Runner) Close() {
	if r.skb != nil {
		r.skb.free()
	}
	if r.xdp != nil {
		r.xdp.free()
	}
}

// MaxPacket is the longest packet that a runner takes.
const MaxPacket = 1 << 16

// Run runs the program on a packet that starts with its Ethernet header, on a CPU
// that the caller holds. tstamp is when the packet came in, in nanoseconds; 0 for
// unknown. What the program did to the packet is in [Runner.Packet] until the
// next run, where it wants to send it in [exec.CPU.Redirect].
func (r *Runner) Run(c *exec.CPU, packet []byte, tstamp uint64) (retval uint32, err error) {
	n := uint32(len(packet))
	if n < netbuf.EthHeader {
		return 0, errTooShort(n)
	}
	if n > MaxPacket {
		return 0, errno.Errorf(errno.EINVAL, "a packet of %d bytes is longer than %d", n, MaxPacket)
	}
	if r.xdp != nil {
		return r.runXDP(c, packet)
	}
	return r.runSKB(c, packet, tstamp)
}

func (r *Runner) runSKB(c *exec.CPU, packet []byte, tstamp uint64) (uint32, error) {
	if err := r.skb.reset(uint32(len(packet))); err != nil {
		return 0, err
	}
	s := r.skb.skb
	copy(s.Bytes(), packet)
	r.skb.receive()
	s.Tstamp, s.CB.PktLen = tstamp, s.Len
	retval := runOn(c, r.image, s, s.Addr)
	return retval, r.skb.restore()
}

func (r *Runner) runXDP(c *exec.CPU, packet []byte) (uint32, error) {
	x := r.xdp.xdp
	linear := min(uint32(len(packet)), maxLinear(0))
	x.Reset(netbuf.XDPHeadroom, 0, linear, r.xdp.dev)
	rest := packet[copy(x.Bytes(), packet[:linear]):]
	for len(rest) > 0 {
		b, e := x.AddFrag(uint32(min(len(rest), pageSize)))
		if e != 0 {
			return 0, errno.Errorf(e, "%d bytes need more than %d fragments", len(packet), ktype.MaxFrags)
		}
		rest = rest[copy(b, rest):]
	}
	return runOn(c, r.image, x, x.Addr), nil
}

// Packet is the packet after the run. It is valid until the next one.
func (r *Runner) Packet() []byte {
	if r.skb != nil {
		return r.skb.skb.Bytes()
	}
	x := r.xdp.xdp
	if !x.HasFrags() {
		return x.Bytes()
	}
	r.out = append(r.out[:0], x.Bytes()...)
	for i := range x.NrFrags() {
		r.out = append(r.out, x.Frag(i)...)
	}
	return r.out
}
