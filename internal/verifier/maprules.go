package verifier

import (
	"slices"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// helpersOfMap are, for map types with operations of their own, the helpers that
// may be given such a map (check_map_func_compatibility).
var helpersOfMap = map[uapi.MapType][]uapi.FuncID{
	uapi.BPF_MAP_TYPE_PROG_ARRAY: {uapi.BPF_FUNC_tail_call},
	uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY: {uapi.BPF_FUNC_perf_event_read, uapi.BPF_FUNC_perf_event_output,
		uapi.BPF_FUNC_skb_output, uapi.BPF_FUNC_perf_event_read_value, uapi.BPF_FUNC_xdp_output},
	uapi.BPF_MAP_TYPE_RINGBUF: {uapi.BPF_FUNC_ringbuf_output, uapi.BPF_FUNC_ringbuf_reserve,
		uapi.BPF_FUNC_ringbuf_query, uapi.BPF_FUNC_ringbuf_reserve_dynptr,
		uapi.BPF_FUNC_ringbuf_submit_dynptr, uapi.BPF_FUNC_ringbuf_discard_dynptr},
	uapi.BPF_MAP_TYPE_USER_RINGBUF:          {uapi.BPF_FUNC_user_ringbuf_drain},
	uapi.BPF_MAP_TYPE_STACK_TRACE:           {uapi.BPF_FUNC_get_stackid},
	uapi.BPF_MAP_TYPE_CGROUP_ARRAY:          {uapi.BPF_FUNC_skb_under_cgroup, uapi.BPF_FUNC_current_task_under_cgroup},
	uapi.BPF_MAP_TYPE_CGROUP_STORAGE:        {uapi.BPF_FUNC_get_local_storage},
	uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: {uapi.BPF_FUNC_get_local_storage},
	uapi.BPF_MAP_TYPE_DEVMAP:                {uapi.BPF_FUNC_redirect_map, uapi.BPF_FUNC_map_lookup_elem},
	uapi.BPF_MAP_TYPE_DEVMAP_HASH:           {uapi.BPF_FUNC_redirect_map, uapi.BPF_FUNC_map_lookup_elem},
	uapi.BPF_MAP_TYPE_CPUMAP:                {uapi.BPF_FUNC_redirect_map},
	uapi.BPF_MAP_TYPE_XSKMAP:                {uapi.BPF_FUNC_redirect_map, uapi.BPF_FUNC_map_lookup_elem},
	uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS:         {uapi.BPF_FUNC_map_lookup_elem},
	uapi.BPF_MAP_TYPE_HASH_OF_MAPS:          {uapi.BPF_FUNC_map_lookup_elem},
	uapi.BPF_MAP_TYPE_SOCKMAP: {uapi.BPF_FUNC_sk_redirect_map, uapi.BPF_FUNC_sock_map_update,
		uapi.BPF_FUNC_msg_redirect_map, uapi.BPF_FUNC_sk_select_reuseport, uapi.BPF_FUNC_map_lookup_elem,
		uapi.BPF_FUNC_map_update_elem, uapi.BPF_FUNC_map_delete_elem},
	uapi.BPF_MAP_TYPE_SOCKHASH: {uapi.BPF_FUNC_sk_redirect_hash, uapi.BPF_FUNC_sock_hash_update,
		uapi.BPF_FUNC_msg_redirect_hash, uapi.BPF_FUNC_sk_select_reuseport, uapi.BPF_FUNC_map_lookup_elem,
		uapi.BPF_FUNC_map_update_elem, uapi.BPF_FUNC_map_delete_elem},
	uapi.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: {uapi.BPF_FUNC_sk_select_reuseport},
	uapi.BPF_MAP_TYPE_QUEUE:               {uapi.BPF_FUNC_map_peek_elem, uapi.BPF_FUNC_map_pop_elem, uapi.BPF_FUNC_map_push_elem},
	uapi.BPF_MAP_TYPE_STACK:               {uapi.BPF_FUNC_map_peek_elem, uapi.BPF_FUNC_map_pop_elem, uapi.BPF_FUNC_map_push_elem},
	uapi.BPF_MAP_TYPE_SK_STORAGE:          {uapi.BPF_FUNC_sk_storage_get, uapi.BPF_FUNC_sk_storage_delete, uapi.BPF_FUNC_kptr_xchg},
	uapi.BPF_MAP_TYPE_INODE_STORAGE:       {uapi.BPF_FUNC_inode_storage_get, uapi.BPF_FUNC_inode_storage_delete, uapi.BPF_FUNC_kptr_xchg},
	uapi.BPF_MAP_TYPE_TASK_STORAGE:        {uapi.BPF_FUNC_task_storage_get, uapi.BPF_FUNC_task_storage_delete, uapi.BPF_FUNC_kptr_xchg},
	uapi.BPF_MAP_TYPE_CGRP_STORAGE:        {uapi.BPF_FUNC_cgrp_storage_get, uapi.BPF_FUNC_cgrp_storage_delete, uapi.BPF_FUNC_kptr_xchg},
	uapi.BPF_MAP_TYPE_BLOOM_FILTER:        {uapi.BPF_FUNC_map_peek_elem, uapi.BPF_FUNC_map_push_elem},
}

var (
	perfArray = []uapi.MapType{uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY}
	ringbuf   = []uapi.MapType{uapi.BPF_MAP_TYPE_RINGBUF}
	sockmap   = []uapi.MapType{uapi.BPF_MAP_TYPE_SOCKMAP}
	sockhash  = []uapi.MapType{uapi.BPF_MAP_TYPE_SOCKHASH}
	pushable  = []uapi.MapType{uapi.BPF_MAP_TYPE_QUEUE, uapi.BPF_MAP_TYPE_STACK, uapi.BPF_MAP_TYPE_BLOOM_FILTER}
)

// mapsOfHelper are, for helpers of particular map types, the types.
var mapsOfHelper = map[uapi.FuncID][]uapi.MapType{
	uapi.BPF_FUNC_tail_call:                 {uapi.BPF_MAP_TYPE_PROG_ARRAY},
	uapi.BPF_FUNC_perf_event_read:           perfArray,
	uapi.BPF_FUNC_perf_event_output:         perfArray,
	uapi.BPF_FUNC_perf_event_read_value:     perfArray,
	uapi.BPF_FUNC_skb_output:                perfArray,
	uapi.BPF_FUNC_xdp_output:                perfArray,
	uapi.BPF_FUNC_ringbuf_output:            ringbuf,
	uapi.BPF_FUNC_ringbuf_reserve:           ringbuf,
	uapi.BPF_FUNC_ringbuf_query:             ringbuf,
	uapi.BPF_FUNC_ringbuf_reserve_dynptr:    ringbuf,
	uapi.BPF_FUNC_ringbuf_submit_dynptr:     ringbuf,
	uapi.BPF_FUNC_ringbuf_discard_dynptr:    ringbuf,
	uapi.BPF_FUNC_user_ringbuf_drain:        {uapi.BPF_MAP_TYPE_USER_RINGBUF},
	uapi.BPF_FUNC_get_stackid:               {uapi.BPF_MAP_TYPE_STACK_TRACE},
	uapi.BPF_FUNC_current_task_under_cgroup: {uapi.BPF_MAP_TYPE_CGROUP_ARRAY},
	uapi.BPF_FUNC_skb_under_cgroup:          {uapi.BPF_MAP_TYPE_CGROUP_ARRAY},
	uapi.BPF_FUNC_redirect_map:              {uapi.BPF_MAP_TYPE_DEVMAP, uapi.BPF_MAP_TYPE_DEVMAP_HASH, uapi.BPF_MAP_TYPE_CPUMAP, uapi.BPF_MAP_TYPE_XSKMAP},
	uapi.BPF_FUNC_sk_redirect_map:           sockmap,
	uapi.BPF_FUNC_msg_redirect_map:          sockmap,
	uapi.BPF_FUNC_sock_map_update:           sockmap,
	uapi.BPF_FUNC_sk_redirect_hash:          sockhash,
	uapi.BPF_FUNC_msg_redirect_hash:         sockhash,
	uapi.BPF_FUNC_sock_hash_update:          sockhash,
	uapi.BPF_FUNC_get_local_storage:         {uapi.BPF_MAP_TYPE_CGROUP_STORAGE, uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE},
	uapi.BPF_FUNC_sk_select_reuseport:       {uapi.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, uapi.BPF_MAP_TYPE_SOCKMAP, uapi.BPF_MAP_TYPE_SOCKHASH},
	uapi.BPF_FUNC_map_pop_elem:              pushable[:2],
	uapi.BPF_FUNC_map_peek_elem:             pushable,
	uapi.BPF_FUNC_map_push_elem:             pushable,
	uapi.BPF_FUNC_map_lookup_percpu_elem:    {uapi.BPF_MAP_TYPE_PERCPU_ARRAY, uapi.BPF_MAP_TYPE_PERCPU_HASH, uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH},
	uapi.BPF_FUNC_sk_storage_get:            {uapi.BPF_MAP_TYPE_SK_STORAGE},
	uapi.BPF_FUNC_sk_storage_delete:         {uapi.BPF_MAP_TYPE_SK_STORAGE},
	uapi.BPF_FUNC_inode_storage_get:         {uapi.BPF_MAP_TYPE_INODE_STORAGE},
	uapi.BPF_FUNC_inode_storage_delete:      {uapi.BPF_MAP_TYPE_INODE_STORAGE},
	uapi.BPF_FUNC_task_storage_get:          {uapi.BPF_MAP_TYPE_TASK_STORAGE},
	uapi.BPF_FUNC_task_storage_delete:       {uapi.BPF_MAP_TYPE_TASK_STORAGE},
	uapi.BPF_FUNC_cgrp_storage_get:          {uapi.BPF_MAP_TYPE_CGRP_STORAGE},
	uapi.BPF_FUNC_cgrp_storage_delete:       {uapi.BPF_MAP_TYPE_CGRP_STORAGE},
}

// mapFits checks that a helper works on this type of map.
func (v *verifier) mapFits(c *helperCall) error {
	if c.m == nil {
		return nil
	}
	id := uapi.FuncID(c.id)
	ok := true
	if funcs, special := helpersOfMap[c.m.Type]; special {
		ok = slices.Contains(funcs, id)
	}
	if types, special := mapsOfHelper[id]; special {
		ok = ok && slices.Contains(types, c.m.Type)
	}
	if ok && isSockMap(c.m) && (id == uapi.BPF_FUNC_map_update_elem || id == uapi.BPF_FUNC_map_delete_elem) &&
		!v.mayUpdateSockMap(id) {
		v.printf("cannot update sockmap in this context\n")
		ok = false
	}
	if ok {
		return nil
	}
	return v.fail(errno.EINVAL, ReasonMap, "cannot pass map_type %d into func %s#%d\n", c.m.Type, helperName(c.id), c.id)
}

// unknownMaps are types of maps whose values this verifier does not understand.
var unknownMaps = []uapi.MapType{
	uapi.BPF_MAP_TYPE_ARENA,
}

// compatible checks that the program may use the map at all
// (check_map_prog_compatibility).
func (v *verifier) compatible(m *desc.Map) error {
	switch {
	case m.Exclusive != nil && *m.Exclusive != v.digest:
		return v.fail(errno.EACCES, ReasonMap, "program's hash doesn't match map's excl_prog_hash\n")
	case m.SpinLockOff >= 0 && v.info.Type == uapi.BPF_PROG_TYPE_SOCKET_FILTER:
		return v.fail(errno.EINVAL, ReasonLock, "socket filter progs cannot use bpf_spin_lock yet\n")
	case m.SpinLockOff >= 0 && v.typ.Tracing:
		return v.fail(errno.EINVAL, ReasonLock, "tracing progs cannot use bpf_spin_lock yet\n")
	case m.Type == uapi.BPF_MAP_TYPE_STRUCT_OPS:
		return v.fail(errno.EINVAL, ReasonMap, "bpf_struct_ops map cannot be used in prog\n")
	case v.sleepable() && !slices.Contains(sleepableMaps, m.Type):
		return v.fail(errno.EINVAL, ReasonMap, "Sleepable programs can only use array, hash, ringbuf and local storage maps\n")
	case isCgroupStorage(m) && v.otherStorage(m):
		return v.fail(errno.EBUSY, ReasonMap, "only one cgroup storage of each type is allowed\n")
	case slices.Contains(unknownMaps, m.Type):
		return v.unsupported("a map of type " + m.Type.LibName())
	}
	return nil
}

// sleepableMaps are the types of maps that programs that sleep may use.
var sleepableMaps = []uapi.MapType{
	uapi.BPF_MAP_TYPE_HASH, uapi.BPF_MAP_TYPE_LRU_HASH, uapi.BPF_MAP_TYPE_ARRAY, uapi.BPF_MAP_TYPE_PERCPU_HASH,
	uapi.BPF_MAP_TYPE_PERCPU_ARRAY, uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS,
	uapi.BPF_MAP_TYPE_HASH_OF_MAPS, uapi.BPF_MAP_TYPE_RINGBUF, uapi.BPF_MAP_TYPE_USER_RINGBUF,
	uapi.BPF_MAP_TYPE_INODE_STORAGE, uapi.BPF_MAP_TYPE_SK_STORAGE, uapi.BPF_MAP_TYPE_TASK_STORAGE,
	uapi.BPF_MAP_TYPE_CGRP_STORAGE, uapi.BPF_MAP_TYPE_QUEUE, uapi.BPF_MAP_TYPE_STACK, uapi.BPF_MAP_TYPE_ARENA,
}

func isCgroupStorage(m *desc.Map) bool {
	return m.Type == uapi.BPF_MAP_TYPE_CGROUP_STORAGE || m.Type == uapi.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
}

// otherStorage says whether the program uses another storage of this type
// (bpf_cgroup_storage_assign).
func (v *verifier) otherStorage(m *desc.Map) bool {
	return slices.ContainsFunc(v.maps[:v.used], func(o *desc.Map) bool { return o != m && o.Type == m.Type })
}

func isSockMap(m *desc.Map) bool {
	return m.Type == uapi.BPF_MAP_TYPE_SOCKMAP || m.Type == uapi.BPF_MAP_TYPE_SOCKHASH
}

// sockMapUpdaters are the program types that may update and delete the sockets of
// a map.
var sockMapUpdaters = []uapi.ProgType{
	uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_SCHED_ACT,
	uapi.BPF_PROG_TYPE_XDP, uapi.BPF_PROG_TYPE_SK_REUSEPORT, uapi.BPF_PROG_TYPE_FLOW_DISSECTOR,
	uapi.BPF_PROG_TYPE_SK_LOOKUP,
}

// mayUpdateSockMap says whether the program may change a map of sockets as any
// other (may_update_sockmap).
func (v *verifier) mayUpdateSockMap(id uapi.FuncID) bool {
	switch v.info.Type {
	case uapi.BPF_PROG_TYPE_TRACING:
		return v.info.ExpectedAttach == uapi.BPF_TRACE_ITER
	case uapi.BPF_PROG_TYPE_SOCK_OPS:
		return id == uapi.BPF_FUNC_map_delete_elem
	}
	return slices.Contains(sockMapUpdaters, v.info.Type)
}

// valueTypeOf is what a lookup in the map gives, once it is known not to be
// NULL.
func valueTypeOf(m *desc.Map) regType {
	switch {
	case m.Type == uapi.BPF_MAP_TYPE_XSKMAP:
		return ptrXDPSock
	case isSockMap(m):
		return ptrSocket
	}
	return ptrMapValue
}
