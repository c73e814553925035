/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bpf_spin_lock in a map value, which takes the map's BTF to find.
 *
 * run: prog=locked data=00*14 ret=1
 * run: prog=locked data=00*14 ret=2
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct value {
	__u64 count;
	struct bpf_spin_lock lock;
	__u32 last;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

SEC("xdp")
int locked(struct xdp_md *ctx)
{
	struct value *value, zero = {};
	__u32 key = 1, last;

	bpf_map_update_elem(&values, &key, &zero, BPF_NOEXIST);
	value = bpf_map_lookup_elem(&values, &key);
	if (!value)
		return -1;
	bpf_spin_lock(&value->lock);
	value->count++;
	value->last = value->count;
	last = value->last;
	bpf_spin_unlock(&value->lock);
	return last;
}

char _license[] SEC("license") = "Dual BSD/GPL";
