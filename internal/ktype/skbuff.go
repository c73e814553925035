package ktype

// SKBuff is struct sk_buff: a packet on its way through the network stack.
//
// The buffer lies between Head and Head+End; behind it is the [SharedInfo].
// The packet is the DataLen bytes in fragments after the Len-DataLen bytes at
// Data. Tail, End and the header offsets count from Head.
type SKBuff struct {
	Dev                Ptr    `btf:"dev,*net_device"`
	SK                 Ptr    `btf:"sk,*sock"`
	Head               Ptr    `btf:"head,*unsigned char"`
	Data               Ptr    `btf:"data,*unsigned char"`
	CB                 SKBCB  `btf:"cb"`
	Tstamp             uint64 `btf:"tstamp"`
	Dst                Ptr    `btf:"_skb_refdst"`
	Len                uint32 `btf:"len"`
	DataLen            uint32 `btf:"data_len"`
	Tail               uint32 `btf:"tail"`
	End                uint32 `btf:"end"`
	Truesize           uint32 `btf:"truesize"`
	Mark               uint32 `btf:"mark"`
	Priority           uint32 `btf:"priority"`
	SKBIif             uint32 `btf:"skb_iif"`
	Hash               uint32 `btf:"hash"`
	NAPIID             uint32 `btf:"napi_id"`
	Csum               uint32 `btf:"csum"` // with CHECKSUM_PARTIAL: csum_start and csum_offset
	VLANProto          uint16 `btf:"vlan_proto"`
	VLANTci            uint16 `btf:"vlan_tci"`
	QueueMapping       uint16 `btf:"queue_mapping"`
	Protocol           uint16 `btf:"protocol"`
	TCIndex            uint16 `btf:"tc_index"`
	MacLen             uint16 `btf:"mac_len"`
	HdrLen             uint16 `btf:"hdr_len"`
	MacHeader          uint16 `btf:"mac_header"`
	NetworkHeader      uint16 `btf:"network_header"`
	TransportHeader    uint16 `btf:"transport_header"`
	InnerProtocol      uint16 `btf:"inner_protocol"`
	InnerMacHeader     uint16 `btf:"inner_mac_header"`
	InnerNetworkHeader uint16 `btf:"inner_network_header"`
	InnerTransportHead uint16 `btf:"inner_transport_header"`
	PktType            uint8  `btf:"pkt_type:3"`
	IPSummed           uint8  `btf:"ip_summed"`
	CsumLevel          uint8  `btf:"csum_level"`
	CsumCompleteSW     uint8  `btf:"csum_complete_sw"`
	CsumValid          uint8  `btf:"csum_valid"`
	TstampType         uint8  `btf:"tstamp_type"`
	TCAtIngress        uint8  `btf:"tc_at_ingress"`
	L4Hash             uint8  `btf:"l4_hash"`
	SWHash             uint8  `btf:"sw_hash"`
	Encapsulation      uint8  `btf:"encapsulation"`
	InnerProtocolType  uint8  `btf:"inner_protocol_type"`
	Cloned             uint8  `btf:"cloned"`
	Redirected         uint8  `btf:"redirected"`
	FromIngress        uint8  `btf:"from_ingress"`
	DstPendingConfirm  uint8  `btf:"dst_pending_confirm"`
	IgnoreDF           uint8  `btf:"ignore_df"`
}

// SKBCB is the control buffer of an sk_buff as programs of traffic control use
// it: struct qdisc_skb_cb, then the pointers of struct bpf_skb_data_end.
type SKBCB struct {
	PktLen               uint32   `btf:"pkt_len"`
	SlaveDevQueueMapping uint16   `btf:"slave_dev_queue_mapping"`
	TCClassid            uint16   `btf:"tc_classid"`
	Data                 [20]byte `btf:"data"`
	_                    [4]byte
	DataMeta             Ptr `btf:"data_meta"`
	DataEnd              Ptr `btf:"data_end"`
}

// SharedInfo is struct skb_shared_info, behind the end of every packet buffer
// (of an xdp_buff too).
type SharedInfo struct {
	Flags           uint8  `btf:"flags"`
	MetaLen         uint8  `btf:"meta_len"`
	NrFrags         uint8  `btf:"nr_frags"`
	TxFlags         uint8  `btf:"tx_flags"`
	GSOSize         uint16 `btf:"gso_size"`
	GSOSegs         uint16 `btf:"gso_segs"`
	HWTstamp        uint64 `btf:"hwtstamps"`
	GSOType         uint32 `btf:"gso_type"`
	XDPFragsSize    uint32 `btf:"xdp_frags_size"`
	XDPFragsTrueSiz uint32 `btf:"xdp_frags_truesize"`
	_               uint32
	Frags           [MaxFrags]Frag `btf:"frags"`
}

// Frag is skb_frag_t: Len bytes of a packet that lie outside of the linear
// buffer.
type Frag struct {
	Addr Ptr    `btf:"netmem"`
	Len  uint32 `btf:"len"`
	Off  uint32 `btf:"offset"`
}

// MaxFrags is MAX_SKB_FRAGS.
const MaxFrags = 17

// Values of SKBuff.IPSummed.
const (
	ChecksumNone = iota
	ChecksumUnnecessary
	ChecksumComplete
	ChecksumPartial
)

// Values of SKBuff.TstampType.
const (
	TstampRealtime = iota
	TstampMonotonic
	TstampTAI
)

// Values of SKBuff.PktType (linux/if_packet.h).
const (
	PacketHost = iota
	PacketBroadcast
	PacketMulticast
	PacketOtherhost
	PacketOutgoing
	PacketLoopback
)

// HeaderUnset is the value of a header offset that was never set.
const HeaderUnset = 0xffff
