package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// mapHelpers work on maps of any kind; which map types a helper accepts is the
// verifier's to know (check_map_func_compatibility).
var mapHelpers = []helper{
	fn(uapi.BPF_FUNC_map_lookup_elem, mapLookup),
	fn(uapi.BPF_FUNC_map_update_elem, mapUpdate),
	fn(uapi.BPF_FUNC_map_delete_elem, mapDelete),
	fn(uapi.BPF_FUNC_map_push_elem, mapPush),
	fn(uapi.BPF_FUNC_map_pop_elem, mapPop),
	fn(uapi.BPF_FUNC_map_peek_elem, mapPeek),
	fn(uapi.BPF_FUNC_map_lookup_percpu_elem, mapLookupPercpu),
	fn(uapi.BPF_FUNC_for_each_map_elem, forEachMapElem),
}

func mapLookup(c *exec.CPU, m, key, _, _, _ uint64) uint64 {
	return maps.FromAddr(c.Machine, m).LookupElem(c, key)
}

func mapUpdate(c *exec.CPU, m, key, value, flags, _ uint64) uint64 {
	return failure(maps.FromAddr(c.Machine, m).UpdateElem(c, key, value, flags))
}

func mapDelete(c *exec.CPU, m, key, _, _, _ uint64) uint64 {
	return failure(maps.FromAddr(c.Machine, m).DeleteElem(c, key))
}

func mapPush(c *exec.CPU, m, value, flags, _, _ uint64) uint64 {
	return failure(maps.FromAddr(c.Machine, m).Push(c, value, flags))
}

func mapPop(c *exec.CPU, m, value, _, _, _ uint64) uint64 {
	return failure(maps.FromAddr(c.Machine, m).Pop(c, value))
}

func mapPeek(c *exec.CPU, m, value, _, _, _ uint64) uint64 {
	return failure(maps.FromAddr(c.Machine, m).Peek(c, value))
}

func mapLookupPercpu(c *exec.CPU, m, key, cpu, _, _ uint64) uint64 {
	return maps.FromAddr(c.Machine, m).LookupPercpu(c, key, uint32(cpu))
}

// forEachMapElem calls callback(map, key, value, ctx) until it returns non-zero
// (bpf_for_each_map_elem).
func forEachMapElem(c *exec.CPU, m, callback, arg, flags, _ uint64) uint64 {
	if flags != 0 {
		return failure(errno.EINVAL)
	}
	n, e := maps.FromAddr(c.Machine, m).ForEach(c, func(key, value uint64) bool {
		return c.Call(callback, m, key, value, arg, 0) != 0 || c.Stopped
	})
	if e != 0 {
		return failure(e)
	}
	return uint64(n)
}
