package proto

import (
	"slices"
	"strings"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// taskProtos are of kernel/bpf/helpers.c, kernel/bpf/task_iter.c and
// kernel/trace/bpf_trace.c: what concerns the current task.
var taskProtos = []row{
	fn(uapi.BPF_FUNC_get_current_pid_tgid, integer),
	fn(uapi.BPF_FUNC_get_current_uid_gid, integer),
	fn(uapi.BPF_FUNC_get_ns_current_pid_tgid, integer, anything, anything, memOut, memSize),
	fn(uapi.BPF_FUNC_get_current_comm, integer, memOut, memSize),
	fn(uapi.BPF_FUNC_get_current_task, integer).gpl(),
	fn(uapi.BPF_FUNC_get_current_task_btf, desc.RetBTFIDTrusted).gpl().gives("task_struct"),
	fn(uapi.BPF_FUNC_task_pt_regs, desc.RetBTFIDTrusted, btfArg).gpl().btf(1, "task_struct").gives("pt_regs"),
	fn(uapi.BPF_FUNC_find_vma, integer, btfArg, anything, callback, stackOpt, anything).btf(1, "task_struct").calls(),
	fn(uapi.BPF_FUNC_send_signal, integer, anything),
	fn(uapi.BPF_FUNC_send_signal_thread, integer, anything),
	fn(uapi.BPF_FUNC_copy_from_user, integer, memOut, memSize0, anything).sleeps(),
	fn(uapi.BPF_FUNC_copy_from_user_task, integer, memOut, memSize0, anything, btfArg, anything).
		gpl().sleeps().btf(4, "task_struct"),
	fn(uapi.BPF_FUNC_get_task_stack, integer, btfArg, memOut, memSize0, anything).btf(1, "task_struct"),
}

// traceProtos are of kernel/trace/bpf_trace.c and kernel/bpf/stackmap.c.
var traceProtos = []row{
	fn(uapi.BPF_FUNC_trace_printk, integer, memIn, memSize).gpl(),
	fn(uapi.BPF_FUNC_trace_vprintk, integer, memIn, memSize, memInOpt, memSize0).gpl(),
	fn(uapi.BPF_FUNC_probe_read, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_read_str, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_read_user, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_read_user_str, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_read_kernel, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_read_kernel_str, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_write_user, integer, anything, memIn, memSize).gpl(),
	fn(uapi.BPF_FUNC_override_return, integer, ctx, anything).gpl(),
	fn(uapi.BPF_FUNC_perf_event_read, integer, constMap, anything).gpl(),
	fn(uapi.BPF_FUNC_perf_event_read_value, integer, constMap, anything, memOut, memSize).gpl(),
	fn(uapi.BPF_FUNC_perf_event_output, integer, ctx, constMap, anything, memIn, memSize0).gpl().of(Tracing),
	fn(uapi.BPF_FUNC_perf_prog_read_value, integer, ctx, memOut, memSize).gpl(),
	fn(uapi.BPF_FUNC_read_branch_records, integer, ctx, memInOut|desc.MaybeNull, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_get_branch_snapshot, integer, memOut, memSize0).gpl(),
	fn(uapi.BPF_FUNC_get_stackid, integer, ctx, constMap, anything).gpl(),
	fn(uapi.BPF_FUNC_get_stackid, integer, ctx, constMap, anything).of(PerfEvent),
	fn(uapi.BPF_FUNC_get_stack, integer, ctx, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_get_func_ip, integer, ctx).gpl(),
	fn(uapi.BPF_FUNC_get_func_ip, integer, ctx).of(Multi),
	fn(uapi.BPF_FUNC_get_attach_cookie, integer, ctx),
	fn(uapi.BPF_FUNC_get_func_arg, integer, ctx, anything, wordOut).sized(3, 8),
	fn(uapi.BPF_FUNC_get_func_ret, integer, ctx, wordOut).sized(2, 8),
	fn(uapi.BPF_FUNC_get_func_arg_cnt, integer, ctx),
	fn(uapi.BPF_FUNC_snprintf_btf, integer, memInOut, memSize, memIn, memSize, anything),
	fn(uapi.BPF_FUNC_seq_printf, integer, btfArg, memIn, memSize, memInOpt, memSize0).gpl().btf(1, "seq_file"),
	fn(uapi.BPF_FUNC_seq_write, integer, btfArg, memIn, memSize0).gpl().btf(1, "seq_file"),
	fn(uapi.BPF_FUNC_seq_printf_btf, integer, btfArg, memIn, memSize0, anything).gpl().btf(1, "seq_file"),
	fn(uapi.BPF_FUNC_d_path, integer, btfArg, memInOut, memSize0).btf(1, "path").allowed(showsPaths),
	fn(uapi.BPF_FUNC_skb_output, integer, btfArg, constMap, anything, memIn, memSize0).gpl().btf(1, "sk_buff"),
	fn(uapi.BPF_FUNC_xdp_output, integer, btfArg, constMap, anything, memIn, memSize0).gpl().btf(1, "xdp_buff"),
	fn(uapi.BPF_FUNC_sock_from_file, btfRetNull, btfArg).btf(1, "file").gives("socket"),
	// kernel/bpf/bpf_lsm.c
	fn(uapi.BPF_FUNC_bprm_opts_set, integer, btfArg, anything).btf(1, "linux_binprm"),
	fn(uapi.BPF_FUNC_ima_inode_hash, integer, btfArg, memOut, memSize).sleeps().btf(1, "inode").allowed(never),
	fn(uapi.BPF_FUNC_ima_file_hash, integer, btfArg, memOut, memSize).sleeps().btf(1, "file").allowed(never),
	// net/ipv4/bpf_tcp_ca.c
	fn(uapi.BPF_FUNC_tcp_send_ack, integer, btfArg, anything).btf(1, "tcp_sock"),
	// drivers/media/rc/bpf-lirc.c
	fn(uapi.BPF_FUNC_rc_repeat, integer, ctx).gpl(),
	fn(uapi.BPF_FUNC_rc_keydown, integer, ctx, anything, anything, anything).gpl(),
	fn(uapi.BPF_FUNC_rc_pointer_rel, integer, ctx, anything, anything).gpl(),
}

// storageProtos are of kernel/bpf/bpf_{task,inode,cgrp}_storage.c and
// net/core/bpf_sk_storage.c.
var storageProtos = []row{
	fn(uapi.BPF_FUNC_task_storage_get, valueOrNull, constMap, btfOrNull, valueInit, anything).btf(2, "task_struct"),
	fn(uapi.BPF_FUNC_task_storage_delete, integer, constMap, btfOrNull).btf(2, "task_struct"),
	fn(uapi.BPF_FUNC_inode_storage_get, valueOrNull, constMap, btfOrNull, valueInit, anything).btf(2, "inode"),
	fn(uapi.BPF_FUNC_inode_storage_delete, integer, constMap, btfOrNull).btf(2, "inode"),
	fn(uapi.BPF_FUNC_cgrp_storage_get, valueOrNull, constMap, btfOrNull, valueInit, anything).btf(2, "cgroup"),
	fn(uapi.BPF_FUNC_cgrp_storage_delete, integer, constMap, btfOrNull).btf(2, "cgroup"),
	fn(uapi.BPF_FUNC_sk_storage_get, valueOrNull, constMap, sockArg, valueInit, anything),
	fn(uapi.BPF_FUNC_sk_storage_get, valueOrNull, constMap, ctx, valueInit, anything).of(CgroupSock),
	fn(uapi.BPF_FUNC_sk_storage_get, valueOrNull, constMap, btfOrNull, valueInit, anything).btf(2, "sock_common").
		of(Tracing).allowed(seesStorage),
	fn(uapi.BPF_FUNC_sk_storage_delete, integer, constMap, sockArg),
	fn(uapi.BPF_FUNC_sk_storage_delete, integer, constMap, btfOrNull).btf(2, "sock_common").of(Tracing).allowed(seesStorage),
}

// Helpers that depend on what the program is attached to.

// never stands for bpf_ima_inode_hash_allowed: LSM hooks that may sleep, of which
// there is no list here.
func never(*desc.ProgInfo) bool { return false }

// showsPaths is bpf_d_path_allowed, without the LSM hooks that may sleep.
func showsPaths(p *desc.ProgInfo) bool {
	return p.Type == uapi.BPF_PROG_TYPE_TRACING &&
		(p.ExpectedAttach == uapi.BPF_TRACE_ITER || slices.Contains(pathFuncs, p.AttachName))
}

// pathFuncs is btf_allowlist_d_path.
var pathFuncs = []string{"security_file_permission", "security_inode_getattr", "security_file_open",
	"security_path_truncate", "vfs_truncate", "vfs_fallocate", "dentry_open", "vfs_getattr", "filp_close"}

// seesStorage is bpf_sk_storage_tracing_allowed: not on the storage's own
// functions.
func seesStorage(p *desc.ProgInfo) bool {
	switch p.ExpectedAttach {
	case uapi.BPF_TRACE_ITER, uapi.BPF_TRACE_RAW_TP:
		return true
	case uapi.BPF_TRACE_FENTRY, uapi.BPF_TRACE_FEXIT:
		return !strings.HasPrefix(p.AttachName, "bpf_sk_storage")
	}
	return false
}

// cgroupProtos are of kernel/bpf/cgroup.c and kernel/bpf/helpers.c.
var cgroupProtos = []row{
	fn(uapi.BPF_FUNC_get_local_storage, desc.RetMapValue, constMap, anything),
	fn(uapi.BPF_FUNC_get_retval, integer),
	fn(uapi.BPF_FUNC_set_retval, integer, anything),
	fn(uapi.BPF_FUNC_get_current_cgroup_id, integer),
	fn(uapi.BPF_FUNC_get_current_ancestor_cgroup_id, integer, anything),
	fn(uapi.BPF_FUNC_current_task_under_cgroup, integer, constMap, anything),
	fn(uapi.BPF_FUNC_sysctl_get_name, integer, ctx, memInOut, memSize, anything),
	fn(uapi.BPF_FUNC_sysctl_get_current_value, integer, ctx, memOut, memSize),
	fn(uapi.BPF_FUNC_sysctl_get_new_value, integer, ctx, memOut, memSize),
	fn(uapi.BPF_FUNC_sysctl_set_new_value, integer, ctx, memIn, memSize),
}
