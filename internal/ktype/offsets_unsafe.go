package ktype

import "unsafe"

// Sizes of the structures in bytes.
const (
	SizeofSKBuff     = uint64(unsafe.Sizeof(SKBuff{}))
	SizeofXDPBuff    = uint64(unsafe.Sizeof(XDPBuff{}))
	SizeofXDPRxqInfo = uint64(unsafe.Sizeof(XDPRxqInfo{}))
	SizeofXDPTxqInfo = uint64(unsafe.Sizeof(XDPTxqInfo{}))
	SizeofNetDevice  = uint64(unsafe.Sizeof(NetDevice{}))
	SizeofSock       = uint64(unsafe.Sizeof(Sock{}))
)

// Offsets of the members of [SKBuff] that lowered programs read and write.
const (
	OffSKBDev          = int16(unsafe.Offsetof(SKBuff{}.Dev))
	OffSKBSK           = int16(unsafe.Offsetof(SKBuff{}.SK))
	OffSKBHead         = int16(unsafe.Offsetof(SKBuff{}.Head))
	OffSKBData         = int16(unsafe.Offsetof(SKBuff{}.Data))
	OffSKBTstamp       = int16(unsafe.Offsetof(SKBuff{}.Tstamp))
	OffSKBLen          = int16(unsafe.Offsetof(SKBuff{}.Len))
	OffSKBDataLen      = int16(unsafe.Offsetof(SKBuff{}.DataLen))
	OffSKBEnd          = int16(unsafe.Offsetof(SKBuff{}.End))
	OffSKBMark         = int16(unsafe.Offsetof(SKBuff{}.Mark))
	OffSKBPriority     = int16(unsafe.Offsetof(SKBuff{}.Priority))
	OffSKBIif          = int16(unsafe.Offsetof(SKBuff{}.SKBIif))
	OffSKBHash         = int16(unsafe.Offsetof(SKBuff{}.Hash))
	OffSKBNAPIID       = int16(unsafe.Offsetof(SKBuff{}.NAPIID))
	OffSKBVLANProto    = int16(unsafe.Offsetof(SKBuff{}.VLANProto))
	OffSKBVLANTci      = int16(unsafe.Offsetof(SKBuff{}.VLANTci))
	OffSKBQueueMapping = int16(unsafe.Offsetof(SKBuff{}.QueueMapping))
	OffSKBProtocol     = int16(unsafe.Offsetof(SKBuff{}.Protocol))
	OffSKBTCIndex      = int16(unsafe.Offsetof(SKBuff{}.TCIndex))
	OffSKBPktType      = int16(unsafe.Offsetof(SKBuff{}.PktType))
	OffSKBTstampType   = int16(unsafe.Offsetof(SKBuff{}.TstampType))
	OffSKBTCAtIngress  = int16(unsafe.Offsetof(SKBuff{}.TCAtIngress))

	offSKBCB         = int16(unsafe.Offsetof(SKBuff{}.CB))
	OffSKBCBPktLen   = offSKBCB + int16(unsafe.Offsetof(SKBCB{}.PktLen))
	OffSKBCBClassid  = offSKBCB + int16(unsafe.Offsetof(SKBCB{}.TCClassid))
	OffSKBCBData     = offSKBCB + int16(unsafe.Offsetof(SKBCB{}.Data))
	OffSKBCBDataMeta = offSKBCB + int16(unsafe.Offsetof(SKBCB{}.DataMeta))
	OffSKBCBDataEnd  = offSKBCB + int16(unsafe.Offsetof(SKBCB{}.DataEnd))
)

// Offsets of the members of [SharedInfo].
const (
	OffSharedGSOSize  = int16(unsafe.Offsetof(SharedInfo{}.GSOSize))
	OffSharedGSOSegs  = int16(unsafe.Offsetof(SharedInfo{}.GSOSegs))
	OffSharedHWTstamp = int16(unsafe.Offsetof(SharedInfo{}.HWTstamp))
)

// Offsets of the members of [XDPBuff] and what hangs off it.
const (
	OffXDPData       = int16(unsafe.Offsetof(XDPBuff{}.Data))
	OffXDPDataEnd    = int16(unsafe.Offsetof(XDPBuff{}.DataEnd))
	OffXDPDataMeta   = int16(unsafe.Offsetof(XDPBuff{}.DataMeta))
	OffXDPRXQ        = int16(unsafe.Offsetof(XDPBuff{}.RXQ))
	OffXDPTXQ        = int16(unsafe.Offsetof(XDPBuff{}.TXQ))
	OffRxqDev        = int16(unsafe.Offsetof(XDPRxqInfo{}.Dev))
	OffRxqIndex      = int16(unsafe.Offsetof(XDPRxqInfo{}.QueueIndex))
	OffTxqDev        = int16(unsafe.Offsetof(XDPTxqInfo{}.Dev))
	OffNetDevIfindex = int16(unsafe.Offsetof(NetDevice{}.Ifindex))
)

// Offsets of the members of [Sock].
const (
	OffSockDaddr          = int16(unsafe.Offsetof(Sock{}.Daddr))
	OffSockRcvSaddr       = int16(unsafe.Offsetof(Sock{}.RcvSaddr))
	OffSockDport          = int16(unsafe.Offsetof(Sock{}.Dport))
	OffSockNum            = int16(unsafe.Offsetof(Sock{}.Num))
	OffSockFamily         = int16(unsafe.Offsetof(Sock{}.Family))
	OffSockState          = int16(unsafe.Offsetof(Sock{}.State))
	OffSockBoundDevIf     = int16(unsafe.Offsetof(Sock{}.BoundDevIf))
	OffSockRxQueueMapping = int16(unsafe.Offsetof(Sock{}.RxQueueMapping))
	OffSockV6Daddr        = int16(unsafe.Offsetof(Sock{}.V6Daddr))
	OffSockV6RcvSaddr     = int16(unsafe.Offsetof(Sock{}.V6RcvSaddr))
	OffSockType           = int16(unsafe.Offsetof(Sock{}.Type))
	OffSockProtocol       = int16(unsafe.Offsetof(Sock{}.Protocol))
	OffSockMark           = int16(unsafe.Offsetof(Sock{}.Mark))
	OffSockPriority       = int16(unsafe.Offsetof(Sock{}.Priority))

	OffTCPSockStats = int16(unsafe.Offsetof(TCPSock{}.Stats))
)

// The shared info fits the room that Linux reserves for it, and the control
// buffer is as long as Linux's.
var (
	_ [SizeofSharedInfo - unsafe.Sizeof(SharedInfo{})]byte
	_ [48 - unsafe.Sizeof(SKBCB{})]byte
	_ [unsafe.Sizeof(SKBCB{}) - 48]byte
)
