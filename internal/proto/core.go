package proto

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// mapProtos are of kernel/bpf/helpers.c and kernel/bpf/bpf_iter.c.
var mapProtos = []row{
	fn(uapi.BPF_FUNC_map_lookup_elem, valueOrNull, constMap, mapKey).packet(),
	fn(uapi.BPF_FUNC_map_update_elem, integer, constMap, mapKey, mapValue, anything).packet(),
	fn(uapi.BPF_FUNC_map_delete_elem, integer, constMap, mapKey).packet(),
	fn(uapi.BPF_FUNC_map_push_elem, integer, constMap, mapValue, anything).packet(),
	fn(uapi.BPF_FUNC_map_pop_elem, integer, constMap, valueOut),
	fn(uapi.BPF_FUNC_map_peek_elem, integer, constMap, valueOut),
	fn(uapi.BPF_FUNC_map_lookup_percpu_elem, valueOrNull, constMap, mapKey, anything).packet(),
	fn(uapi.BPF_FUNC_for_each_map_elem, integer, constMap, callback, stackOpt, anything).calls(),
}

// coreProtos are of kernel/bpf/helpers.c and kernel/bpf/core.c.
var coreProtos = []row{
	fn(uapi.BPF_FUNC_tail_call, void, ctx, constMap, anything).moves(),
	fn(uapi.BPF_FUNC_loop, integer, anything, callback, stackOpt, anything).calls(),
	fn(uapi.BPF_FUNC_spin_lock, void, desc.ArgSpinLock),
	fn(uapi.BPF_FUNC_spin_unlock, void, desc.ArgSpinLock),
	fn(uapi.BPF_FUNC_get_prandom_u32, integer),
	fn(uapi.BPF_FUNC_get_smp_processor_id, integer).fast(),
	fn(uapi.BPF_FUNC_get_smp_processor_id, integer).of(Raw),
	fn(uapi.BPF_FUNC_get_numa_node_id, integer),
	fn(uapi.BPF_FUNC_ktime_get_ns, integer),
	fn(uapi.BPF_FUNC_ktime_get_boot_ns, integer),
	fn(uapi.BPF_FUNC_ktime_get_coarse_ns, integer),
	fn(uapi.BPF_FUNC_ktime_get_tai_ns, integer),
	fn(uapi.BPF_FUNC_jiffies64, integer),
	fn(uapi.BPF_FUNC_strtol, integer, memIn, memSize, anything, wordOut).sized(4, 8),
	fn(uapi.BPF_FUNC_strtoul, integer, memIn, memSize, anything, wordOut).sized(4, 8),
	fn(uapi.BPF_FUNC_strncmp, integer, memIn, memSize, desc.ArgConstStr),
	fn(uapi.BPF_FUNC_snprintf, integer, memInOut|desc.MaybeNull, memSize0, desc.ArgConstStr, memInOpt, memSize0).gpl(),
	fn(uapi.BPF_FUNC_timer_init, integer, desc.ArgTimer, constMap, anything).gpl(),
	fn(uapi.BPF_FUNC_timer_set_callback, integer, desc.ArgTimer, callback).gpl().calls(),
	fn(uapi.BPF_FUNC_timer_start, integer, desc.ArgTimer, anything, anything).gpl(),
	fn(uapi.BPF_FUNC_timer_cancel, integer, desc.ArgTimer).gpl(),
	fn(uapi.BPF_FUNC_kptr_xchg, btfRetNull, desc.ArgKptr, btfOrNull|desc.Release).acquires().releases(),
	fn(uapi.BPF_FUNC_per_cpu_ptr, desc.RetMemOrBTFID|desc.RetNull|desc.RetReadOnly, desc.ArgPercpuBTFID, anything),
	fn(uapi.BPF_FUNC_this_cpu_ptr, desc.RetMemOrBTFID|desc.RetReadOnly, desc.ArgPercpuBTFID),
	// kernel/bpf/syscall.c and kernel/bpf/btf.c, for programs that make system calls.
	fn(uapi.BPF_FUNC_sys_bpf, integer, anything, memIn, memSize),
	fn(uapi.BPF_FUNC_sys_close, integer, anything),
	fn(uapi.BPF_FUNC_kallsyms_lookup_name, integer, memIn, memSize0, anything, wordOut).sized(4, 8),
	fn(uapi.BPF_FUNC_btf_find_by_name_kind, integer, memIn, memSize, anything, anything),
}

// ringbufProtos are of kernel/bpf/ringbuf.c.
var ringbufProtos = []row{
	fn(uapi.BPF_FUNC_ringbuf_output, integer, constMap, memIn, memSize0, anything),
	fn(uapi.BPF_FUNC_ringbuf_reserve, desc.RetMem|desc.RetNull|desc.RetRingbuf, constMap, allocSize, anything).acquires(),
	fn(uapi.BPF_FUNC_ringbuf_submit, void, desc.ArgRingbufMem|desc.Release, anything).releases(),
	fn(uapi.BPF_FUNC_ringbuf_discard, void, desc.ArgRingbufMem|desc.Release, anything).releases(),
	fn(uapi.BPF_FUNC_ringbuf_query, integer, constMap, anything),
	fn(uapi.BPF_FUNC_user_ringbuf_drain, integer, constMap, callback, stackOpt, anything).calls(),
}

// dynptrProtos are of kernel/bpf/helpers.c and kernel/bpf/ringbuf.c.
var dynptrProtos = []row{
	fn(uapi.BPF_FUNC_dynptr_from_mem, integer, memOut, memSize0, anything,
		desc.ArgDynptr|desc.DynptrLocal|desc.MemUninit|desc.MemWrite),
	fn(uapi.BPF_FUNC_dynptr_read, integer, memOut, memSize0, dynptrIn, anything, anything),
	fn(uapi.BPF_FUNC_dynptr_write, integer, dynptrIn, anything, memIn, memSize0, anything),
	fn(uapi.BPF_FUNC_dynptr_data, desc.RetDynptrMem|desc.RetNull, dynptrIn, anything, allocSize),
	fn(uapi.BPF_FUNC_ringbuf_reserve_dynptr, integer, constMap, anything, anything,
		desc.ArgDynptr|desc.DynptrRingbuf|desc.MemUninit|desc.MemWrite),
	fn(uapi.BPF_FUNC_ringbuf_submit_dynptr, void, desc.ArgDynptr|desc.DynptrRingbuf|desc.Release, anything).releases(),
	fn(uapi.BPF_FUNC_ringbuf_discard_dynptr, void, desc.ArgDynptr|desc.DynptrRingbuf|desc.Release, anything).releases(),
}
