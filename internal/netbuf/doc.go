// Package netbuf holds packets as programs see them: an sk_buff or xdp_buff off
// the Go heap with its buffer, and the operations of the network stack on it
// that helpers and test runs need.
//
// An [SKB] or [XDP] is the state of a run (exec.CPU.Run). It belongs to one
// goroutine at a time and can be used for one packet after the other without
// allocating.
package netbuf

import (
	"encoding/binary"
	"math/bits"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
)

// EthHeader is ETH_HLEN.
const EthHeader = 14

// VLANHeader is VLAN_HLEN, the length of an 802.1Q tag.
const VLANHeader = 4

// Ethernet protocols (linux/if_ether.h), in host order.
const (
	ProtoIPv4  = 0x0800
	ProtoIPv6  = 0x86dd
	Proto8021Q = 0x8100
	Proto8021A = 0x88a8
	proto8023  = 0x0001
	proto8022  = 0x0004
	// minProto is ETH_P_802_3_MIN: smaller numbers are lengths.
	minProto = 0x0600
)

// Htons turns a 16-bit number to or from network order, as a program on a
// little-endian machine sees it.
func Htons(v uint16) uint16 { return bits.ReverseBytes16(v) }

// Device is a struct net_device with one receive queue.
type Device struct {
	Addr uint64
	*ktype.NetDevice
	rxq uint64
	m   *exec.Machine
}

// NewLoopback makes the device that test runs receive on: ifindex 1, "lo", with
// the address 00:00:00:00:00:00.
func NewLoopback(m *exec.Machine) (*Device, error) {
	addr, err := m.Region.Alloc(ktype.SizeofNetDevice+ktype.SizeofXDPRxqInfo, 0)
	if err != nil {
		return nil, err
	}
	d := &Device{Addr: addr, NetDevice: mem.At[ktype.NetDevice](addr), rxq: addr + ktype.SizeofNetDevice, m: m}
	const arphrdLoopback = 772
	*d.NetDevice = ktype.NetDevice{Ifindex: 1, MTU: 65536, Type: arphrdLoopback,
		HardHeaderLen: EthHeader, RealNumRxQueues: 1, AddrLen: 6}
	copy(d.Name[:], "lo")
	*mem.At[ktype.XDPRxqInfo](d.rxq) = ktype.XDPRxqInfo{Dev: addr, RegState: 1, FragSize: pageSize}
	return d, nil
}

// Free gives the device's memory back.
func (d *Device) Free() { d.m.Region.Free(d.Addr) }

func load16(b []byte, off int) uint16 { return binary.BigEndian.Uint16(b[off:]) }
