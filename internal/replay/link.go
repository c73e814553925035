package replay

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gopacket/gopacket/layers"
)

// framing turns the packets of a link type into Ethernet frames, which is what
// programs and test runs expect. It appends the frame to dst.
type framing func(dst, packet []byte) ([]byte, error)

var errNoProtocol = errors.New("a protocol that Ethernet has no number for")

// framings are the link types that can be told as Ethernet. All but Ethernet
// itself get a header with addresses of zero (but the sender's, where it is
// there): what was captured has none.
var framings = map[layers.LinkType]framing{
	layers.LinkTypeEthernet:  func(dst, p []byte) ([]byte, error) { return append(dst, p...), nil },
	layers.LinkTypeNull:      family(binary.LittleEndian),
	layers.LinkTypeLoop:      family(binary.BigEndian),
	layers.LinkTypeRaw:       raw,
	layers.LinkTypeIPv4:      raw,
	layers.LinkTypeIPv6:      raw,
	linkTypeRawBSD:           raw,
	layers.LinkTypeLinuxSLL:  cooked(sll),
	layers.LinkTypeLinuxSLL2: cooked(sll2),
}

// linkTypeRawBSD is DLT_RAW, which some writers use for LINKTYPE_RAW.
const linkTypeRawBSD = layers.LinkType(12)

// framingOf finds the framing of a link type.
func framingOf(link layers.LinkType) (framing, error) {
	if f := framings[link]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("link type %v (%d): the packets are neither Ethernet nor something to which an Ethernet header could be given", link, uint16(link))
}

func ethernet(dst []byte, source []byte, protocol uint16, payload []byte) ([]byte, error) {
	// Below are lengths (IEEE 802.3) and numbers that only Linux uses.
	const first = 0x600
	if protocol < first {
		return nil, errNoProtocol
	}
	var header [ethernetHeader]byte
	copy(header[6:12], source)
	binary.BigEndian.PutUint16(header[12:], protocol)
	return append(append(dst, header[:]...), payload...), nil
}

const (
	protocolIPv4 = 0x0800
	protocolIPv6 = 0x86dd
)

// families are the numbers of address families in loopback headers: IPv4 is 2
// everywhere, IPv6 differs from system to system.
var families = map[uint32]uint16{
	2: protocolIPv4, 10: protocolIPv6, 24: protocolIPv6, 28: protocolIPv6, 30: protocolIPv6,
}

// family takes BSD loopback packets: four bytes with the address family.
func family(order binary.ByteOrder) framing {
	return func(dst, p []byte) ([]byte, error) {
		if len(p) < 4 {
			return nil, errors.New("a packet shorter than its loopback header")
		}
		v := order.Uint32(p)
		if v > 0xffff {
			// The capture is from a machine of the other byte order.
			v = v>>24 | v>>8&0xff00
		}
		return ethernet(dst, nil, families[v], p[4:])
	}
}

// raw takes IP packets without a link layer.
func raw(dst, p []byte) ([]byte, error) {
	if len(p) == 0 {
		return nil, errors.New("an empty packet")
	}
	switch p[0] >> 4 {
	case 4:
		return ethernet(dst, nil, protocolIPv4, p)
	case 6:
		return ethernet(dst, nil, protocolIPv6, p)
	}
	return nil, fmt.Errorf("a packet of IP version %d", p[0]>>4)
}

// cookedHeader says where Linux's cooked headers have what.
type cookedHeader struct{ size, protocol, addrLen, addrLenSize, addr int }

var (
	sll  = cookedHeader{size: 16, protocol: 14, addrLen: 4, addrLenSize: 2, addr: 6}
	sll2 = cookedHeader{size: 20, protocol: 0, addrLen: 11, addrLenSize: 1, addr: 12}
)

// cooked takes what Linux captures on "any".
func cooked(h cookedHeader) framing {
	return func(dst, p []byte) ([]byte, error) {
		if len(p) < h.size {
			return nil, errors.New("a packet shorter than its cooked header")
		}
		n := 0
		for _, b := range p[h.addrLen : h.addrLen+h.addrLenSize] {
			n = n<<8 | int(b)
		}
		var source []byte
		if n == 6 {
			source = p[h.addr : h.addr+6]
		}
		return ethernet(dst, source, binary.BigEndian.Uint16(p[h.protocol:]), p[h.size:])
	}
}
