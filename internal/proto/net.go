package proto

import "github.com/skep-ebpf/skep/internal/uapi"

// skbProtos are of net/core/filter.c: what works on an sk_buff.
var skbProtos = []row{
	fn(uapi.BPF_FUNC_skb_store_bytes, integer, ctx, anything, memIn, memSize, anything).moves(),
	fn(uapi.BPF_FUNC_skb_load_bytes, integer, ctx, anything, memOut, memSize),
	fn(uapi.BPF_FUNC_skb_load_bytes, integer, ctx, anything, memOut, memSize).of(FlowDissector),
	fn(uapi.BPF_FUNC_skb_load_bytes, integer, ctx, anything, memOut, memSize).of(SkReuseport),
	fn(uapi.BPF_FUNC_skb_load_bytes_relative, integer, ctx, anything, memOut, memSize, anything),
	fn(uapi.BPF_FUNC_skb_load_bytes_relative, integer, ctx, anything, memOut, memSize, anything).of(SkReuseport),
	fn(uapi.BPF_FUNC_skb_pull_data, integer, ctx, anything).moves(),
	fn(uapi.BPF_FUNC_skb_pull_data, integer, ctx, anything).moves().of(SkSKB),
	fn(uapi.BPF_FUNC_csum_diff, integer, memInOpt, memSize0, memInOpt, memSize0, anything).packet(),
	fn(uapi.BPF_FUNC_csum_update, integer, ctx, anything),
	fn(uapi.BPF_FUNC_csum_level, integer, ctx, anything),
	fn(uapi.BPF_FUNC_l3_csum_replace, integer, ctx, anything, anything, anything, anything).moves(),
	fn(uapi.BPF_FUNC_l4_csum_replace, integer, ctx, anything, anything, anything, anything).moves(),
	fn(uapi.BPF_FUNC_clone_redirect, integer, ctx, anything, anything).moves(),
	fn(uapi.BPF_FUNC_redirect, integer, anything, anything),
	fn(uapi.BPF_FUNC_redirect_peer, integer, anything, anything),
	fn(uapi.BPF_FUNC_redirect_neigh, integer, anything, memInOpt, memSize0, anything),
	fn(uapi.BPF_FUNC_get_cgroup_classid, integer, ctx),
	fn(uapi.BPF_FUNC_get_cgroup_classid, integer).of(Task),
	fn(uapi.BPF_FUNC_skb_cgroup_classid, integer, ctx),
	fn(uapi.BPF_FUNC_get_route_realm, integer, ctx),
	fn(uapi.BPF_FUNC_get_hash_recalc, integer, ctx),
	fn(uapi.BPF_FUNC_set_hash_invalid, integer, ctx),
	fn(uapi.BPF_FUNC_set_hash, integer, ctx, anything),
	fn(uapi.BPF_FUNC_skb_vlan_push, integer, ctx, anything, anything).moves(),
	fn(uapi.BPF_FUNC_skb_vlan_pop, integer, ctx).moves(),
	fn(uapi.BPF_FUNC_skb_change_proto, integer, ctx, anything, anything).moves(),
	fn(uapi.BPF_FUNC_skb_change_type, integer, ctx, anything),
	fn(uapi.BPF_FUNC_skb_adjust_room, integer, ctx, anything, anything, anything).moves(),
	fn(uapi.BPF_FUNC_skb_adjust_room, integer, ctx, anything, anything, anything).moves().of(SkSKB),
	fn(uapi.BPF_FUNC_skb_change_tail, integer, ctx, anything, anything).moves(),
	fn(uapi.BPF_FUNC_skb_change_tail, integer, ctx, anything, anything).moves().of(SkSKB),
	fn(uapi.BPF_FUNC_skb_change_head, integer, ctx, anything, anything).moves(),
	fn(uapi.BPF_FUNC_skb_change_head, integer, ctx, anything, anything).moves().of(SkSKB),
	fn(uapi.BPF_FUNC_perf_event_output, integer, ctx, constMap, anything, memIn, memSize0).gpl(),
	fn(uapi.BPF_FUNC_perf_event_output, integer, ctx, constMap, anything, memIn, memSize0).gpl().of(EventOutput),
	fn(uapi.BPF_FUNC_skb_under_cgroup, integer, ctx, constMap, anything),
	fn(uapi.BPF_FUNC_skb_cgroup_id, integer, ctx),
	fn(uapi.BPF_FUNC_skb_ancestor_cgroup_id, integer, ctx, anything),
	fn(uapi.BPF_FUNC_get_socket_uid, integer, ctx),
	fn(uapi.BPF_FUNC_skb_get_xfrm_state, integer, ctx, anything, memOut, memSize, anything),
	fn(uapi.BPF_FUNC_fib_lookup, integer, ctx, memInOut, memSize, anything).gpl(),
	fn(uapi.BPF_FUNC_check_mtu, integer, ctx, anything, mtuInOut, anything, anything).sized(3, 4).gpl(),
	fn(uapi.BPF_FUNC_skb_ecn_set_ce, integer, ctx),
	fn(uapi.BPF_FUNC_skb_set_tstamp, integer, ctx, anything, anything),
}

// xdpProtos are of net/core/filter.c: what works on a frame in the driver.
var xdpProtos = []row{
	fn(uapi.BPF_FUNC_xdp_get_buff_len, integer, ctx),
	fn(uapi.BPF_FUNC_xdp_get_buff_len, integer, btfArg).btf(1, "xdp_buff").of(Tracing),
	fn(uapi.BPF_FUNC_xdp_adjust_head, integer, ctx, anything).moves(),
	fn(uapi.BPF_FUNC_xdp_adjust_tail, integer, ctx, anything).moves(),
	fn(uapi.BPF_FUNC_xdp_adjust_meta, integer, ctx, anything).moves(),
	fn(uapi.BPF_FUNC_xdp_load_bytes, integer, ctx, anything, memOut, memSize),
	fn(uapi.BPF_FUNC_xdp_store_bytes, integer, ctx, anything, memIn, memSize),
	fn(uapi.BPF_FUNC_redirect, integer, anything, anything).of(XDP),
	fn(uapi.BPF_FUNC_redirect_map, integer, constMap, anything, anything),
	fn(uapi.BPF_FUNC_perf_event_output, integer, ctx, constMap, anything, memIn, memSize0).gpl().of(XDP),
	fn(uapi.BPF_FUNC_fib_lookup, integer, ctx, memInOut, memSize, anything).gpl().of(XDP),
	fn(uapi.BPF_FUNC_check_mtu, integer, ctx, anything, mtuInOut, anything, anything).sized(3, 4).gpl().of(XDP),
}

// tunnelProtos are of net/core/filter.c: tunnels and what encapsulates.
var tunnelProtos = []row{
	fn(uapi.BPF_FUNC_skb_get_tunnel_key, integer, ctx, memOut, memSize, anything),
	fn(uapi.BPF_FUNC_skb_get_tunnel_opt, integer, ctx, memOut, memSize),
	fn(uapi.BPF_FUNC_skb_set_tunnel_key, integer, ctx, memIn, memSize, anything),
	fn(uapi.BPF_FUNC_skb_set_tunnel_opt, integer, ctx, memIn, memSize),
	fn(uapi.BPF_FUNC_lwt_push_encap, integer, ctx, anything, memIn, memSize).moves(),
	fn(uapi.BPF_FUNC_lwt_seg6_store_bytes, integer, ctx, anything, memIn, memSize).moves(),
	fn(uapi.BPF_FUNC_lwt_seg6_action, integer, ctx, anything, memIn, memSize).moves(),
	fn(uapi.BPF_FUNC_lwt_seg6_adjust_srh, integer, ctx, anything, anything).moves(),
}

const (
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
)

// syncookieProtos are of net/core/filter.c.
var syncookieProtos = []row{
	fn(uapi.BPF_FUNC_tcp_check_syncookie, integer, sockArg, memIn, memSize, memIn, memSize).gpl().packet(),
	fn(uapi.BPF_FUNC_tcp_gen_syncookie, integer, sockArg, memIn, memSize, memIn, memSize).gpl().packet(),
	fn(uapi.BPF_FUNC_tcp_raw_gen_syncookie_ipv4, integer, fixedIn, memIn, memSize0).sized(1, ipv4Header).gpl().packet(),
	fn(uapi.BPF_FUNC_tcp_raw_gen_syncookie_ipv6, integer, fixedIn, memIn, memSize0).sized(1, ipv6Header).gpl().packet(),
	fn(uapi.BPF_FUNC_tcp_raw_check_syncookie_ipv4, integer, fixedIn, fixedIn).
		sized(1, ipv4Header).sized(2, tcpHeader).gpl().packet(),
	fn(uapi.BPF_FUNC_tcp_raw_check_syncookie_ipv6, integer, fixedIn, fixedIn).
		sized(1, ipv6Header).sized(2, tcpHeader).gpl().packet(),
}
