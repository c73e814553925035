package netbuf

import (
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
)

// Sock is a struct sock.
type Sock struct {
	Addr uint64
	*ktype.Sock
	m *exec.Machine
}

// NewSock makes a socket as sk_alloc and sock_init_data leave it.
func NewSock(m *exec.Machine) (*Sock, error) {
	addr, err := m.Region.Alloc(ktype.SizeofSock, 0)
	if err != nil {
		return nil, err
	}
	s := &Sock{Addr: addr, Sock: mem.At[ktype.Sock](addr), m: m}
	s.Reset()
	return s, nil
}

const (
	tcpClose       = 7
	noQueueMapping = 0xffffffff
)

// Reset puts the socket back to how NewSock makes it.
func (s *Sock) Reset() {
	*s.Sock = ktype.Sock{State: tcpClose, Fullsock: 1, RxQueueMapping: noQueueMapping}
}

// Free gives the socket's memory back.
func (s *Sock) Free() { s.m.Region.Free(s.Addr) }

// Address families.
const (
	afInet  = 2
	afInet6 = 10
)

// SetAddresses gives the socket the addresses of the packet whose network header
// is ip, as bpf_prog_test_run_skb does; proto is in host order.
func (s *Sock) SetAddresses(proto uint16, ip []byte) {
	switch proto {
	case ProtoIPv4:
		s.Family = afInet
		if len(ip) >= 20 {
			s.RcvSaddr = uint32(mem.Load32(mem.HostAddr(ip[12:])))
			s.Daddr = uint32(mem.Load32(mem.HostAddr(ip[16:])))
		}
	case ProtoIPv6:
		s.Family = afInet6
		if len(ip) >= 40 {
			copy(s.V6RcvSaddr[:], ip[8:24])
			copy(s.V6Daddr[:], ip[24:40])
		}
	}
}
