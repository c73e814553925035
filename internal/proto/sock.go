package proto

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

const (
	sockOrNull = desc.RetSocket | desc.RetNull
	commonNull = desc.RetSockCommon | desc.RetNull
)

// sockProtos are of net/core/filter.c: finding, casting and asking sockets.
var sockProtos = []row{
	fn(uapi.BPF_FUNC_sk_lookup_tcp, sockOrNull, ctx, memIn, memSize0, anything, anything).packet().acquires(),
	fn(uapi.BPF_FUNC_sk_lookup_udp, sockOrNull, ctx, memIn, memSize0, anything, anything).packet().acquires(),
	fn(uapi.BPF_FUNC_skc_lookup_tcp, commonNull, ctx, memIn, memSize0, anything, anything).packet().acquires(),
	fn(uapi.BPF_FUNC_sk_lookup_tcp, sockOrNull, ctx, memIn, memSize0, anything, anything).acquires().of(SockAddr),
	fn(uapi.BPF_FUNC_sk_lookup_udp, sockOrNull, ctx, memIn, memSize0, anything, anything).acquires().of(SockAddr),
	fn(uapi.BPF_FUNC_skc_lookup_tcp, commonNull, ctx, memIn, memSize0, anything, anything).acquires().of(SockAddr),
	fn(uapi.BPF_FUNC_sk_release, integer, sockArg|desc.Release).releases(),
	fn(uapi.BPF_FUNC_sk_fullsock, sockOrNull, desc.ArgSockCommon),
	fn(uapi.BPF_FUNC_tcp_sock, desc.RetTCPSock|desc.RetNull, desc.ArgSockCommon),
	fn(uapi.BPF_FUNC_get_listener_sock, sockOrNull, desc.ArgSockCommon),
	fn(uapi.BPF_FUNC_sk_cgroup_id, integer, sockArg),
	fn(uapi.BPF_FUNC_sk_ancestor_cgroup_id, integer, sockArg, anything),
	fn(uapi.BPF_FUNC_sk_assign, integer, ctx, sockArg, anything),
	fn(uapi.BPF_FUNC_sk_assign, integer, ctx, desc.ArgSocket|desc.MaybeNull, anything).of(SkLookup),
	fn(uapi.BPF_FUNC_get_socket_cookie, integer, ctx),
	fn(uapi.BPF_FUNC_get_socket_cookie, integer, sockArg|desc.MaybeNull).of(Socket),
	fn(uapi.BPF_FUNC_get_netns_cookie, integer, ctxOrNull),
	fn(uapi.BPF_FUNC_skc_to_tcp6_sock, btfRetNull, sockArg).gives("tcp6_sock"),
	fn(uapi.BPF_FUNC_skc_to_tcp_sock, btfRetNull, sockArg).gives("tcp_sock"),
	fn(uapi.BPF_FUNC_skc_to_tcp_timewait_sock, btfRetNull, sockArg).gives("tcp_timewait_sock"),
	fn(uapi.BPF_FUNC_skc_to_tcp_request_sock, btfRetNull, sockArg).gives("tcp_request_sock"),
	fn(uapi.BPF_FUNC_skc_to_udp6_sock, btfRetNull, sockArg).gives("udp6_sock"),
	fn(uapi.BPF_FUNC_skc_to_unix_sock, btfRetNull, sockArg).gives("unix_sock"),
	fn(uapi.BPF_FUNC_skc_to_mptcp_sock, btfRetNull, desc.ArgSockCommon).gives("mptcp_sock"),
}

// sockOptProtos are of net/core/filter.c: settings of a socket.
var sockOptProtos = []row{
	fn(uapi.BPF_FUNC_setsockopt, integer, ctx, anything, anything, memIn, memSize),
	fn(uapi.BPF_FUNC_getsockopt, integer, ctx, anything, anything, memOut, memSize),
	fn(uapi.BPF_FUNC_setsockopt, integer, sockArg, anything, anything, memIn, memSize).of(Socket),
	fn(uapi.BPF_FUNC_getsockopt, integer, sockArg, anything, anything, memOut, memSize).of(Socket),
	fn(uapi.BPF_FUNC_bind, integer, ctx, memIn, memSize),
	fn(uapi.BPF_FUNC_sock_ops_cb_flags_set, integer, ctx, anything),
	fn(uapi.BPF_FUNC_load_hdr_opt, integer, ctx, memInOut, memSize, anything),
	fn(uapi.BPF_FUNC_store_hdr_opt, integer, ctx, memIn, memSize, anything).moves(),
	fn(uapi.BPF_FUNC_reserve_hdr_opt, integer, ctx, anything, anything),
}

// sockMapProtos are of net/core/sock_map.c and net/core/filter.c.
var sockMapProtos = []row{
	fn(uapi.BPF_FUNC_sock_map_update, integer, ctx, constMap, mapKey, anything).packet(),
	fn(uapi.BPF_FUNC_sock_hash_update, integer, ctx, constMap, mapKey, anything).packet(),
	fn(uapi.BPF_FUNC_sk_redirect_map, integer, ctx, constMap, anything, anything),
	fn(uapi.BPF_FUNC_sk_redirect_hash, integer, ctx, constMap, mapKey, anything),
	fn(uapi.BPF_FUNC_msg_redirect_map, integer, ctx, constMap, anything, anything),
	fn(uapi.BPF_FUNC_msg_redirect_hash, integer, ctx, constMap, mapKey, anything),
	fn(uapi.BPF_FUNC_msg_apply_bytes, integer, ctx, anything),
	fn(uapi.BPF_FUNC_msg_cork_bytes, integer, ctx, anything),
	fn(uapi.BPF_FUNC_msg_pull_data, integer, ctx, anything, anything, anything).moves(),
	fn(uapi.BPF_FUNC_msg_push_data, integer, ctx, anything, anything, anything).moves(),
	fn(uapi.BPF_FUNC_msg_pop_data, integer, ctx, anything, anything, anything).moves(),
	fn(uapi.BPF_FUNC_sk_select_reuseport, integer, ctx, constMap, mapKey, anything),
}
