package proto

import (
	"slices"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// family is a group of helpers that programs get under one condition.
type family struct {
	ids []uapi.FuncID
	// variant is what they are called with, where an id has prototypes of several.
	variant Variant
	need    privilege
	// only and except are the expected attach types that get them; nil: all.
	only, except []uapi.AttachType
}

// privilege is what a family asks for (bpf_token_capable).
type privilege uint8

const (
	nothing privilege = iota
	capBPF
	capPerfmon
	capBoth // CAP_BPF and CAP_PERFMON
)

func (n privilege) granted(c desc.Caps) bool {
	bpf, perfmon := c.BPF || c.SysAdmin, c.Perfmon || c.SysAdmin
	switch n {
	case capBPF:
		return bpf
	case capPerfmon:
		return perfmon
	case capBoth:
		return bpf && perfmon
	}
	return true
}

func (f *family) granted(p *desc.ProgInfo) bool {
	return f.need.granted(p.Caps) && (f.only == nil || slices.Contains(f.only, p.ExpectedAttach)) &&
		!slices.Contains(f.except, p.ExpectedAttach)
}

// set is the helpers of a program type: of the families that have an id, the
// first that is granted.
type set [][]family

// base is bpf_base_func_proto, which all program types have. (Linux asks for
// CAP_BPF before CAP_PERFMON.)
var base = []family{
	{ids: []uapi.FuncID{
		uapi.BPF_FUNC_map_lookup_elem, uapi.BPF_FUNC_map_update_elem, uapi.BPF_FUNC_map_delete_elem,
		uapi.BPF_FUNC_map_push_elem, uapi.BPF_FUNC_map_pop_elem, uapi.BPF_FUNC_map_peek_elem,
		uapi.BPF_FUNC_map_lookup_percpu_elem, uapi.BPF_FUNC_get_prandom_u32, uapi.BPF_FUNC_get_numa_node_id,
		uapi.BPF_FUNC_tail_call, uapi.BPF_FUNC_ktime_get_ns, uapi.BPF_FUNC_ktime_get_boot_ns,
		uapi.BPF_FUNC_ktime_get_tai_ns, uapi.BPF_FUNC_ringbuf_output, uapi.BPF_FUNC_ringbuf_reserve,
		uapi.BPF_FUNC_ringbuf_submit, uapi.BPF_FUNC_ringbuf_discard, uapi.BPF_FUNC_ringbuf_query,
		uapi.BPF_FUNC_strncmp, uapi.BPF_FUNC_strtol, uapi.BPF_FUNC_strtoul,
		uapi.BPF_FUNC_get_current_pid_tgid, uapi.BPF_FUNC_get_ns_current_pid_tgid,
		uapi.BPF_FUNC_get_current_uid_gid,
	}},
	{ids: []uapi.FuncID{uapi.BPF_FUNC_get_smp_processor_id}, variant: Raw},
	{need: capBPF, ids: []uapi.FuncID{
		uapi.BPF_FUNC_spin_lock, uapi.BPF_FUNC_spin_unlock, uapi.BPF_FUNC_jiffies64, uapi.BPF_FUNC_per_cpu_ptr,
		uapi.BPF_FUNC_this_cpu_ptr, uapi.BPF_FUNC_timer_init, uapi.BPF_FUNC_timer_set_callback,
		uapi.BPF_FUNC_timer_start, uapi.BPF_FUNC_timer_cancel, uapi.BPF_FUNC_kptr_xchg,
		uapi.BPF_FUNC_for_each_map_elem, uapi.BPF_FUNC_loop, uapi.BPF_FUNC_user_ringbuf_drain,
		uapi.BPF_FUNC_ringbuf_reserve_dynptr, uapi.BPF_FUNC_ringbuf_submit_dynptr,
		uapi.BPF_FUNC_ringbuf_discard_dynptr, uapi.BPF_FUNC_dynptr_from_mem, uapi.BPF_FUNC_dynptr_read,
		uapi.BPF_FUNC_dynptr_write, uapi.BPF_FUNC_dynptr_data, uapi.BPF_FUNC_cgrp_storage_get,
		uapi.BPF_FUNC_cgrp_storage_delete, uapi.BPF_FUNC_get_current_cgroup_id,
		uapi.BPF_FUNC_get_current_ancestor_cgroup_id, uapi.BPF_FUNC_current_task_under_cgroup,
		uapi.BPF_FUNC_task_storage_get, uapi.BPF_FUNC_task_storage_delete,
	}},
	{need: capBPF, ids: []uapi.FuncID{uapi.BPF_FUNC_get_cgroup_classid}, variant: Task},
	{need: capBoth, ids: []uapi.FuncID{
		uapi.BPF_FUNC_trace_printk, uapi.BPF_FUNC_get_current_task, uapi.BPF_FUNC_get_current_task_btf,
		uapi.BPF_FUNC_get_current_comm, uapi.BPF_FUNC_probe_read_user, uapi.BPF_FUNC_probe_read_kernel,
		uapi.BPF_FUNC_probe_read_user_str, uapi.BPF_FUNC_probe_read_kernel_str, uapi.BPF_FUNC_copy_from_user,
		uapi.BPF_FUNC_copy_from_user_task, uapi.BPF_FUNC_snprintf_btf, uapi.BPF_FUNC_snprintf,
		uapi.BPF_FUNC_task_pt_regs, uapi.BPF_FUNC_trace_vprintk, uapi.BPF_FUNC_perf_event_read_value,
		uapi.BPF_FUNC_perf_event_read, uapi.BPF_FUNC_send_signal, uapi.BPF_FUNC_send_signal_thread,
		uapi.BPF_FUNC_get_task_stack, uapi.BPF_FUNC_get_branch_snapshot, uapi.BPF_FUNC_find_vma,
	}},
}

// skBase is what bpf_sk_base_func_proto adds for types of the network.
var skBase = []family{
	{ids: []uapi.FuncID{uapi.BPF_FUNC_ktime_get_coarse_ns}},
	{need: capPerfmon, ids: socketCasts},
}

var socketCasts = []uapi.FuncID{
	uapi.BPF_FUNC_skc_to_tcp6_sock, uapi.BPF_FUNC_skc_to_tcp_sock, uapi.BPF_FUNC_skc_to_tcp_timewait_sock,
	uapi.BPF_FUNC_skc_to_tcp_request_sock, uapi.BPF_FUNC_skc_to_udp6_sock, uapi.BPF_FUNC_skc_to_unix_sock,
	uapi.BPF_FUNC_skc_to_mptcp_sock,
}

// cgroupBase is cgroup_common_func_proto. Hooks whose result is no errno have
// no return value to ask for.
var cgroupBase = []family{
	{ids: []uapi.FuncID{uapi.BPF_FUNC_get_local_storage}},
	{ids: []uapi.FuncID{uapi.BPF_FUNC_get_retval, uapi.BPF_FUNC_set_retval}, except: append([]uapi.AttachType{
		uapi.BPF_CGROUP_INET_INGRESS, uapi.BPF_CGROUP_INET_EGRESS, uapi.BPF_CGROUP_SOCK_OPS,
	}, answered...)},
}

// answered are the hooks on addresses that the kernel hands out.
var answered = []uapi.AttachType{
	uapi.BPF_CGROUP_UDP4_RECVMSG, uapi.BPF_CGROUP_UDP6_RECVMSG, uapi.BPF_CGROUP_UNIX_RECVMSG,
	uapi.BPF_CGROUP_INET4_GETPEERNAME, uapi.BPF_CGROUP_INET6_GETPEERNAME, uapi.BPF_CGROUP_UNIX_GETPEERNAME,
	uapi.BPF_CGROUP_INET4_GETSOCKNAME, uapi.BPF_CGROUP_INET6_GETSOCKNAME, uapi.BPF_CGROUP_UNIX_GETSOCKNAME,
}

// eventOutput is perf_event_output for contexts that are no packet.
var eventOutput = family{ids: []uapi.FuncID{uapi.BPF_FUNC_perf_event_output}, variant: EventOutput}

var skStorage = family{ids: []uapi.FuncID{uapi.BPF_FUNC_sk_storage_get, uapi.BPF_FUNC_sk_storage_delete}}

var lookups = family{ids: []uapi.FuncID{
	uapi.BPF_FUNC_sk_lookup_tcp, uapi.BPF_FUNC_sk_lookup_udp, uapi.BPF_FUNC_sk_release, uapi.BPF_FUNC_skc_lookup_tcp,
}}

var syncookies = family{ids: []uapi.FuncID{
	uapi.BPF_FUNC_tcp_check_syncookie, uapi.BPF_FUNC_tcp_gen_syncookie, uapi.BPF_FUNC_tcp_raw_gen_syncookie_ipv4,
	uapi.BPF_FUNC_tcp_raw_gen_syncookie_ipv6, uapi.BPF_FUNC_tcp_raw_check_syncookie_ipv4,
	uapi.BPF_FUNC_tcp_raw_check_syncookie_ipv6,
}}

// Lookup is the prototype of a helper for a program, nil when the program may
// not call it (get_func_proto of the program type).
func Lookup(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper {
	if int64(id) >= int64(Max) || int(p.Type) >= len(index) || index[p.Type] == nil {
		return nil
	}
	for _, c := range index[p.Type][id] {
		if c.family.granted(p) {
			return c.proto
		}
	}
	return nil
}

// choice is a prototype and the family under whose condition a type has it.
type choice struct {
	family *family
	proto  *desc.Helper
}

// index are the choices for each helper, by program type.
var index = func() []*[Max][]choice {
	all := make([]*[Max][]choice, len(sets))
	for t, s := range sets {
		if s == nil {
			continue
		}
		all[t] = new([Max][]choice)
		for _, families := range s {
			for i := range families {
				f := &families[i]
				for _, id := range f.ids {
					all[t][id] = append(all[t][id], choice{f, Find(id, f.variant)})
				}
			}
		}
	}
	return all
}()
