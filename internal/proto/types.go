package proto

import "github.com/skep-ebpf/skep/internal/uapi"

// sets are the helpers of each program type, each a list of families in order
// of preference, as the type's get_func_proto has them (sk_filter_func_proto,
// kprobe_prog_func_proto, tc_cls_act_func_proto, …).
var sets = [...]set{
	uapi.BPF_PROG_TYPE_SOCKET_FILTER:           {socketFilter, skBase, base},
	uapi.BPF_PROG_TYPE_KPROBE:                  {kprobe, tracing, base},
	uapi.BPF_PROG_TYPE_SCHED_CLS:               {sched, skBase, base},
	uapi.BPF_PROG_TYPE_SCHED_ACT:               {sched, skBase, base},
	uapi.BPF_PROG_TYPE_TRACEPOINT:              {tracepoint, tracing, base},
	uapi.BPF_PROG_TYPE_XDP:                     {xdpOnly, skBase, base},
	uapi.BPF_PROG_TYPE_PERF_EVENT:              {perfEvent, tracing, base},
	uapi.BPF_PROG_TYPE_CGROUP_SKB:              {cgroupBase, cgroupSKB, socketFilter, skBase, base},
	uapi.BPF_PROG_TYPE_CGROUP_SOCK:             {cgroupBase, cgroupSock, base},
	uapi.BPF_PROG_TYPE_LWT_IN:                  {lwtEncap, lwt, skBase, base},
	uapi.BPF_PROG_TYPE_LWT_OUT:                 {lwt, skBase, base},
	uapi.BPF_PROG_TYPE_LWT_XMIT:                {lwtEncap, lwtXmit, lwt, skBase, base},
	uapi.BPF_PROG_TYPE_SOCK_OPS:                {cgroupBase, sockOps, skBase, base},
	uapi.BPF_PROG_TYPE_SK_SKB:                  {skSKBOnly, skBase, base},
	uapi.BPF_PROG_TYPE_CGROUP_DEVICE:           {cgroupBase, {eventOutput}, base},
	uapi.BPF_PROG_TYPE_SK_MSG:                  {skMsg, skBase, base},
	uapi.BPF_PROG_TYPE_RAW_TRACEPOINT:          {attachCookie, rawTracepoint, tracing, base},
	uapi.BPF_PROG_TYPE_CGROUP_SOCK_ADDR:        {cgroupBase, sockAddr, skBase, base},
	uapi.BPF_PROG_TYPE_LWT_SEG6LOCAL:           {seg6local, lwt, skBase, base},
	uapi.BPF_PROG_TYPE_LIRC_MODE2:              {lirc},
	uapi.BPF_PROG_TYPE_SK_REUSEPORT:            {skReuseport, base},
	uapi.BPF_PROG_TYPE_FLOW_DISSECTOR:          {flowDissector, skBase, base},
	uapi.BPF_PROG_TYPE_CGROUP_SYSCTL:           {cgroupBase, sysctl, base},
	uapi.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: {attachCookie, rawTracepoint, tracing, base},
	uapi.BPF_PROG_TYPE_CGROUP_SOCKOPT:          {cgroupBase, sockopt, base},
	uapi.BPF_PROG_TYPE_SYSCALL:                 {syscall, tracingOnly, rawTracepoint, tracing, base},
	uapi.BPF_PROG_TYPE_SK_LOOKUP:               {skLookup, skBase, base},
	uapi.BPF_PROG_TYPE_TRACING:                 {tracingOnly, tracingTargets, rawTracepoint, tracing, base},
	uapi.BPF_PROG_TYPE_LSM:                     {lsmCgroup, lsm, tracingOnly, tracingTargets, rawTracepoint, tracing, base},
	uapi.BPF_PROG_TYPE_NETFILTER:               {base},
}

// Types of the network.
var (
	socketFilter = []family{{ids: []uapi.FuncID{
		uapi.BPF_FUNC_skb_load_bytes, uapi.BPF_FUNC_skb_load_bytes_relative, uapi.BPF_FUNC_get_socket_cookie,
		uapi.BPF_FUNC_get_netns_cookie, uapi.BPF_FUNC_get_socket_uid, uapi.BPF_FUNC_perf_event_output,
	}}}

	sched = []family{lookups, syncookies, skStorage, {ids: []uapi.FuncID{
		uapi.BPF_FUNC_skb_store_bytes, uapi.BPF_FUNC_skb_load_bytes, uapi.BPF_FUNC_skb_load_bytes_relative,
		uapi.BPF_FUNC_skb_pull_data, uapi.BPF_FUNC_csum_diff, uapi.BPF_FUNC_csum_update, uapi.BPF_FUNC_csum_level,
		uapi.BPF_FUNC_l3_csum_replace, uapi.BPF_FUNC_l4_csum_replace, uapi.BPF_FUNC_clone_redirect,
		uapi.BPF_FUNC_get_cgroup_classid, uapi.BPF_FUNC_skb_vlan_push, uapi.BPF_FUNC_skb_vlan_pop,
		uapi.BPF_FUNC_skb_change_proto, uapi.BPF_FUNC_skb_change_type, uapi.BPF_FUNC_skb_adjust_room,
		uapi.BPF_FUNC_skb_change_tail, uapi.BPF_FUNC_skb_change_head, uapi.BPF_FUNC_skb_get_tunnel_key,
		uapi.BPF_FUNC_skb_set_tunnel_key, uapi.BPF_FUNC_skb_get_tunnel_opt, uapi.BPF_FUNC_skb_set_tunnel_opt,
		uapi.BPF_FUNC_redirect, uapi.BPF_FUNC_redirect_neigh, uapi.BPF_FUNC_redirect_peer,
		uapi.BPF_FUNC_get_route_realm, uapi.BPF_FUNC_get_hash_recalc, uapi.BPF_FUNC_set_hash_invalid,
		uapi.BPF_FUNC_set_hash, uapi.BPF_FUNC_perf_event_output, uapi.BPF_FUNC_get_smp_processor_id,
		uapi.BPF_FUNC_skb_under_cgroup, uapi.BPF_FUNC_get_socket_cookie, uapi.BPF_FUNC_get_netns_cookie,
		uapi.BPF_FUNC_get_socket_uid, uapi.BPF_FUNC_fib_lookup, uapi.BPF_FUNC_check_mtu,
		uapi.BPF_FUNC_sk_fullsock, uapi.BPF_FUNC_skb_get_xfrm_state, uapi.BPF_FUNC_skb_cgroup_classid,
		uapi.BPF_FUNC_skb_cgroup_id, uapi.BPF_FUNC_skb_ancestor_cgroup_id, uapi.BPF_FUNC_tcp_sock,
		uapi.BPF_FUNC_get_listener_sock, uapi.BPF_FUNC_skb_ecn_set_ce, uapi.BPF_FUNC_sk_assign,
		uapi.BPF_FUNC_skb_set_tstamp,
	}}}

	xdpOnly = []family{lookups, syncookies, {variant: XDP, ids: []uapi.FuncID{
		uapi.BPF_FUNC_perf_event_output, uapi.BPF_FUNC_get_smp_processor_id, uapi.BPF_FUNC_csum_diff,
		uapi.BPF_FUNC_xdp_adjust_head, uapi.BPF_FUNC_xdp_adjust_meta, uapi.BPF_FUNC_xdp_adjust_tail,
		uapi.BPF_FUNC_redirect, uapi.BPF_FUNC_redirect_map, uapi.BPF_FUNC_xdp_get_buff_len,
		uapi.BPF_FUNC_xdp_load_bytes, uapi.BPF_FUNC_xdp_store_bytes, uapi.BPF_FUNC_fib_lookup,
		uapi.BPF_FUNC_check_mtu,
	}}}

	lwt = []family{{ids: []uapi.FuncID{
		uapi.BPF_FUNC_skb_load_bytes, uapi.BPF_FUNC_skb_pull_data, uapi.BPF_FUNC_csum_diff,
		uapi.BPF_FUNC_get_cgroup_classid, uapi.BPF_FUNC_get_route_realm, uapi.BPF_FUNC_get_hash_recalc,
		uapi.BPF_FUNC_perf_event_output, uapi.BPF_FUNC_get_smp_processor_id, uapi.BPF_FUNC_skb_under_cgroup,
	}}}

	lwtEncap = []family{{ids: []uapi.FuncID{uapi.BPF_FUNC_lwt_push_encap}}}

	lwtXmit = []family{{ids: []uapi.FuncID{
		uapi.BPF_FUNC_skb_get_tunnel_key, uapi.BPF_FUNC_skb_set_tunnel_key, uapi.BPF_FUNC_skb_get_tunnel_opt,
		uapi.BPF_FUNC_skb_set_tunnel_opt, uapi.BPF_FUNC_redirect, uapi.BPF_FUNC_clone_redirect,
		uapi.BPF_FUNC_skb_change_tail, uapi.BPF_FUNC_skb_change_head, uapi.BPF_FUNC_skb_store_bytes,
		uapi.BPF_FUNC_csum_update, uapi.BPF_FUNC_csum_level, uapi.BPF_FUNC_l3_csum_replace,
		uapi.BPF_FUNC_l4_csum_replace, uapi.BPF_FUNC_set_hash_invalid,
	}}}

	seg6local = []family{{ids: []uapi.FuncID{
		uapi.BPF_FUNC_lwt_seg6_store_bytes, uapi.BPF_FUNC_lwt_seg6_action, uapi.BPF_FUNC_lwt_seg6_adjust_srh,
	}}}

	flowDissector = []family{{variant: FlowDissector, ids: []uapi.FuncID{uapi.BPF_FUNC_skb_load_bytes}}}
)

// Types of sockets.
var (
	skSKBOnly = []family{lookups, {variant: SkSKB, ids: []uapi.FuncID{
		uapi.BPF_FUNC_skb_store_bytes, uapi.BPF_FUNC_skb_load_bytes, uapi.BPF_FUNC_skb_pull_data,
		uapi.BPF_FUNC_skb_change_tail, uapi.BPF_FUNC_skb_change_head, uapi.BPF_FUNC_skb_adjust_room,
		uapi.BPF_FUNC_get_socket_cookie, uapi.BPF_FUNC_get_socket_uid, uapi.BPF_FUNC_sk_redirect_map,
		uapi.BPF_FUNC_sk_redirect_hash, uapi.BPF_FUNC_perf_event_output,
	}}}

	skMsg = []family{eventOutput, skStorage, {ids: []uapi.FuncID{
		uapi.BPF_FUNC_msg_redirect_map, uapi.BPF_FUNC_msg_redirect_hash, uapi.BPF_FUNC_msg_apply_bytes,
		uapi.BPF_FUNC_msg_cork_bytes, uapi.BPF_FUNC_msg_pull_data, uapi.BPF_FUNC_msg_push_data,
		uapi.BPF_FUNC_msg_pop_data, uapi.BPF_FUNC_get_netns_cookie,
	}}}

	sockOps = []family{eventOutput, skStorage, {ids: []uapi.FuncID{
		uapi.BPF_FUNC_setsockopt, uapi.BPF_FUNC_getsockopt, uapi.BPF_FUNC_sock_ops_cb_flags_set,
		uapi.BPF_FUNC_sock_map_update, uapi.BPF_FUNC_sock_hash_update, uapi.BPF_FUNC_get_socket_cookie,
		uapi.BPF_FUNC_get_netns_cookie, uapi.BPF_FUNC_load_hdr_opt, uapi.BPF_FUNC_store_hdr_opt,
		uapi.BPF_FUNC_reserve_hdr_opt, uapi.BPF_FUNC_tcp_sock,
	}}}

	skReuseport = []family{
		{variant: SkReuseport, ids: []uapi.FuncID{
			uapi.BPF_FUNC_sk_select_reuseport, uapi.BPF_FUNC_skb_load_bytes,
			uapi.BPF_FUNC_skb_load_bytes_relative, uapi.BPF_FUNC_ktime_get_coarse_ns,
		}},
		{variant: Socket, ids: []uapi.FuncID{uapi.BPF_FUNC_get_socket_cookie}},
	}

	skLookup = []family{eventOutput, {variant: SkLookup, ids: []uapi.FuncID{
		uapi.BPF_FUNC_sk_assign, uapi.BPF_FUNC_sk_release,
	}}}
)

// Types of control groups.
var (
	cgroupSKB = []family{lookups, skStorage, {ids: []uapi.FuncID{
		uapi.BPF_FUNC_sk_fullsock, uapi.BPF_FUNC_skb_cgroup_id, uapi.BPF_FUNC_skb_ancestor_cgroup_id,
		uapi.BPF_FUNC_sk_cgroup_id, uapi.BPF_FUNC_sk_ancestor_cgroup_id, uapi.BPF_FUNC_tcp_sock,
		uapi.BPF_FUNC_get_listener_sock, uapi.BPF_FUNC_skb_ecn_set_ce,
	}}}

	cgroupSock = []family{eventOutput,
		{ids: []uapi.FuncID{
			uapi.BPF_FUNC_get_socket_cookie, uapi.BPF_FUNC_get_netns_cookie, uapi.BPF_FUNC_ktime_get_coarse_ns,
		}},
		{variant: CgroupSock, ids: []uapi.FuncID{uapi.BPF_FUNC_sk_storage_get}},
	}

	sockAddr = []family{eventOutput, skStorage,
		{variant: SockAddr, ids: lookups.ids},
		{ids: []uapi.FuncID{uapi.BPF_FUNC_get_socket_cookie, uapi.BPF_FUNC_get_netns_cookie}},
		{ids: []uapi.FuncID{uapi.BPF_FUNC_bind},
			only: []uapi.AttachType{uapi.BPF_CGROUP_INET4_CONNECT, uapi.BPF_CGROUP_INET6_CONNECT}},
		// Every hook that there is for addresses.
		{ids: []uapi.FuncID{uapi.BPF_FUNC_setsockopt, uapi.BPF_FUNC_getsockopt}},
	}

	sysctl = []family{eventOutput, {ids: []uapi.FuncID{
		uapi.BPF_FUNC_sysctl_get_name, uapi.BPF_FUNC_sysctl_get_current_value, uapi.BPF_FUNC_sysctl_get_new_value,
		uapi.BPF_FUNC_sysctl_set_new_value, uapi.BPF_FUNC_ktime_get_coarse_ns,
	}}}

	sockopt = []family{eventOutput, skStorage,
		{ids: []uapi.FuncID{uapi.BPF_FUNC_get_netns_cookie, uapi.BPF_FUNC_tcp_sock}},
		{variant: Socket, ids: []uapi.FuncID{uapi.BPF_FUNC_setsockopt, uapi.BPF_FUNC_getsockopt},
			only: []uapi.AttachType{uapi.BPF_CGROUP_SETSOCKOPT}},
	}
)

// Types of tracing, and of what is not the network.
var (
	// tracing is bpf_tracing_func_proto before it asks bpf_base_func_proto. It
	// leaves bpf_probe_write_user out, which a kernel that is locked down refuses.
	tracing = []family{{ids: []uapi.FuncID{
		uapi.BPF_FUNC_get_smp_processor_id, uapi.BPF_FUNC_probe_read, uapi.BPF_FUNC_probe_read_str,
		uapi.BPF_FUNC_get_func_ip,
	}}}

	// kprobe leaves bpf_override_return out: Linux has it with
	// CONFIG_BPF_KPROBE_OVERRIDE only, for machines to be tested on.
	kprobe = []family{
		{variant: Tracing, ids: []uapi.FuncID{
			uapi.BPF_FUNC_perf_event_output, uapi.BPF_FUNC_get_stackid, uapi.BPF_FUNC_get_stack,
			uapi.BPF_FUNC_get_attach_cookie,
		}},
		{variant: Multi, ids: []uapi.FuncID{uapi.BPF_FUNC_get_func_ip}, only: []uapi.AttachType{
			uapi.BPF_TRACE_KPROBE_MULTI, uapi.BPF_TRACE_KPROBE_SESSION,
			uapi.BPF_TRACE_UPROBE_MULTI, uapi.BPF_TRACE_UPROBE_SESSION,
		}},
	}

	tracepoint = []family{{variant: Tracing, ids: kprobe[0].ids}}

	perfEvent = []family{
		{variant: PerfEvent, ids: []uapi.FuncID{
			uapi.BPF_FUNC_get_stackid, uapi.BPF_FUNC_get_stack, uapi.BPF_FUNC_perf_prog_read_value,
			uapi.BPF_FUNC_read_branch_records, uapi.BPF_FUNC_get_attach_cookie,
		}},
		{variant: Tracing, ids: []uapi.FuncID{uapi.BPF_FUNC_perf_event_output}},
	}

	rawTracepoint = []family{{variant: Tracing, ids: []uapi.FuncID{
		uapi.BPF_FUNC_perf_event_output, uapi.BPF_FUNC_get_stackid, uapi.BPF_FUNC_get_stack,
	}}}

	attachCookie = []family{{ids: []uapi.FuncID{uapi.BPF_FUNC_get_attach_cookie}}}

	// tracingOnly is what tracing_prog_func_proto has for programs without a
	// trampoline that do not iterate.
	tracingOnly = []family{
		{variant: Tracing, ids: []uapi.FuncID{
			uapi.BPF_FUNC_skb_output, uapi.BPF_FUNC_xdp_output, uapi.BPF_FUNC_sk_storage_get,
			uapi.BPF_FUNC_sk_storage_delete, uapi.BPF_FUNC_sock_from_file, uapi.BPF_FUNC_xdp_get_buff_len,
			uapi.BPF_FUNC_d_path,
		}},
		{ids: socketCasts},
		{variant: Socket, ids: []uapi.FuncID{uapi.BPF_FUNC_get_socket_cookie}},
	}

	// tracingTargets is what tracing_prog_func_proto has by what is traced.
	tracingTargets = []family{
		{only: []uapi.AttachType{uapi.BPF_TRACE_ITER}, ids: []uapi.FuncID{
			uapi.BPF_FUNC_seq_printf, uapi.BPF_FUNC_seq_write, uapi.BPF_FUNC_seq_printf_btf,
		}},
		{only: trampolines, ids: []uapi.FuncID{
			uapi.BPF_FUNC_get_func_arg, uapi.BPF_FUNC_get_func_ret, uapi.BPF_FUNC_get_func_arg_cnt,
		}},
		{only: append([]uapi.AttachType{uapi.BPF_TRACE_RAW_TP}, trampolines...),
			ids: []uapi.FuncID{uapi.BPF_FUNC_get_attach_cookie}},
	}

	// trampolines is bpf_prog_has_trampoline.
	trampolines = []uapi.AttachType{uapi.BPF_TRACE_FENTRY, uapi.BPF_TRACE_FEXIT, uapi.BPF_MODIFY_RETURN, uapi.BPF_LSM_MAC}

	// lsm and lsmCgroup are bpf_lsm_func_proto, without the socket options that
	// some hooks may set.
	lsm = []family{skStorage, {ids: []uapi.FuncID{
		uapi.BPF_FUNC_inode_storage_get, uapi.BPF_FUNC_inode_storage_delete, uapi.BPF_FUNC_spin_lock,
		uapi.BPF_FUNC_spin_unlock, uapi.BPF_FUNC_bprm_opts_set, uapi.BPF_FUNC_ima_inode_hash,
		uapi.BPF_FUNC_ima_file_hash,
	}}}
	lsmCgroup = []family{{only: []uapi.AttachType{uapi.BPF_LSM_CGROUP}, ids: []uapi.FuncID{
		uapi.BPF_FUNC_get_local_storage, uapi.BPF_FUNC_get_retval, uapi.BPF_FUNC_set_retval,
	}}}

	syscall = []family{
		{need: capPerfmon, ids: []uapi.FuncID{uapi.BPF_FUNC_sys_bpf}},
		{ids: []uapi.FuncID{
			uapi.BPF_FUNC_btf_find_by_name_kind, uapi.BPF_FUNC_sys_close, uapi.BPF_FUNC_kallsyms_lookup_name,
		}},
	}

	// lirc has little; it does without bpf_base_func_proto.
	lirc = []family{
		{ids: []uapi.FuncID{
			uapi.BPF_FUNC_rc_repeat, uapi.BPF_FUNC_rc_keydown, uapi.BPF_FUNC_rc_pointer_rel,
			uapi.BPF_FUNC_map_lookup_elem, uapi.BPF_FUNC_map_update_elem, uapi.BPF_FUNC_map_delete_elem,
			uapi.BPF_FUNC_map_push_elem, uapi.BPF_FUNC_map_pop_elem, uapi.BPF_FUNC_map_peek_elem,
			uapi.BPF_FUNC_ktime_get_ns, uapi.BPF_FUNC_ktime_get_boot_ns, uapi.BPF_FUNC_tail_call,
			uapi.BPF_FUNC_get_prandom_u32,
		}},
		{need: capPerfmon, ids: []uapi.FuncID{uapi.BPF_FUNC_trace_printk}},
	}
)
