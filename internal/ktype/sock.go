package ktype

// Sock is struct sock, with the members of struct sock_common first.
type Sock struct {
	Daddr          uint32    `btf:"skc_daddr"`
	RcvSaddr       uint32    `btf:"skc_rcv_saddr"`
	Dport          uint16    `btf:"skc_dport"`
	Num            uint16    `btf:"skc_num"`
	Family         uint16    `btf:"skc_family"`
	State          uint8     `btf:"skc_state"`
	Fullsock       uint8     // sk_fullsock(): neither time-wait nor request
	BoundDevIf     uint32    `btf:"skc_bound_dev_if"`
	RxQueueMapping uint32    `btf:"skc_rx_queue_mapping"` // all ones: none
	V6Daddr        [16]uint8 `btf:"skc_v6_daddr"`
	V6RcvSaddr     [16]uint8 `btf:"skc_v6_rcv_saddr"`
	Cookie         uint64    `btf:"skc_cookie"`
	Type           uint16    `btf:"sk_type"`
	Protocol       uint16    `btf:"sk_protocol"`
	Mark           uint32    `btf:"sk_mark"`
	Priority       uint32    `btf:"sk_priority"`
	UID            uint32    `btf:"sk_uid"`
}

// TCPSock is struct tcp_sock: what programs read of it lies in Stats, in the
// order of struct bpf_tcp_sock.
type TCPSock struct {
	Sock
	Stats [112]uint8
}
