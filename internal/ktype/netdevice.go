package ktype

// NetDevice is struct net_device.
type NetDevice struct {
	Ifindex         uint32   `btf:"ifindex"`
	MTU             uint32   `btf:"mtu"`
	Flags           uint32   `btf:"flags"`
	Type            uint16   `btf:"type"`
	HardHeaderLen   uint16   `btf:"hard_header_len"`
	RealNumRxQueues uint32   `btf:"real_num_rx_queues"`
	AddrLen         uint8    `btf:"addr_len"`
	_               [3]byte  // keeps the name aligned
	Name            [16]byte `btf:"name,char"`
	DevAddr         [32]byte `btf:"dev_addr"`
}
