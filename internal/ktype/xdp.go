package ktype

// XDPBuff is struct xdp_buff: a packet as a driver hands it to XDP.
type XDPBuff struct {
	Data          Ptr    `btf:"data,*void"`
	DataEnd       Ptr    `btf:"data_end,*void"`
	DataMeta      Ptr    `btf:"data_meta,*void"`
	DataHardStart Ptr    `btf:"data_hard_start,*void"`
	RXQ           Ptr    `btf:"rxq,*xdp_rxq_info"`
	TXQ           Ptr    `btf:"txq,*xdp_txq_info"`
	FrameSz       uint32 `btf:"frame_sz"`
	Flags         uint32 `btf:"flags"`
}

// XDPRxqInfo is struct xdp_rxq_info: the receive queue that a frame came in on.
type XDPRxqInfo struct {
	Dev        Ptr    `btf:"dev,*net_device"`
	QueueIndex uint32 `btf:"queue_index"`
	RegState   uint32 `btf:"reg_state"`
	FragSize   uint32 `btf:"frag_size"`
	_          uint32
}

// XDPTxqInfo is struct xdp_txq_info.
type XDPTxqInfo struct {
	Dev Ptr `btf:"dev,*net_device"`
}

// Values of XDPBuff.Flags.
const (
	XDPFlagHasFrags = 1 << iota
	XDPFlagFragsPFMemalloc
)

// SizeofXDPFrame is the room at the start of a frame's buffer that Linux keeps
// for struct xdp_frame; packets and metadata do not grow into it.
const SizeofXDPFrame = 40

// SizeofSharedInfo is what Linux keeps at the end of a buffer for struct
// skb_shared_info, rounded to cache lines: SKB_DATA_ALIGN(sizeof …).
const SizeofSharedInfo = 320
