/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array and a hash of maps, filled by the loader from static initialisers,
 * with inner maps that are declared by themselves and in place.
 *
 * run: prog=array_outer data=00*14 ret=0
 * run: prog=hash_outer data=00*14 ret=0
 * run: prog=pattern data=00*14 ret=1
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
};

struct inner inner_a SEC(".maps");
struct inner inner_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} outer_array SEC(".maps") = {
	.values = { [0] = &inner_a, [2] = &inner_b },
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u32);
	__array(values, struct inner);
} outer_hash SEC(".maps") = {
	.values = { [1] = &inner_a, [5] = &inner_b },
};

/* Empty until someone fills it: the inner map is only a pattern. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_HASH);
		__uint(max_entries, 16);
		__type(key, __u64);
		__type(value, __u64);
	});
} outer_open SEC(".maps");

/* Puts a number in slot 1 of an inner map and reads it back. */
static __always_inline int check_inner(void *outer, __u32 key, __u64 number)
{
	__u32 slot = 1;
	__u64 *found;
	void *inner = bpf_map_lookup_elem(outer, &key);

	if (!inner)
		return 1;
	if (bpf_map_update_elem(inner, &slot, &number, BPF_ANY))
		return 2;
	found = bpf_map_lookup_elem(inner, &slot);
	return found && *found == number ? 0 : 3;
}

SEC("xdp")
int array_outer(struct xdp_md *ctx)
{
	__u32 empty = 1, slot = 1;
	__u64 *found;

	if (check_inner(&outer_array, 0, 10) || check_inner(&outer_array, 2, 12))
		return 1;
	if (bpf_map_lookup_elem(&outer_array, &empty))
		return 2;
	found = bpf_map_lookup_elem(&inner_a, &slot);
	return found && *found == 10 ? 0 : 3;
}

SEC("xdp")
int hash_outer(struct xdp_md *ctx)
{
	__u32 empty = 7, slot = 1;
	__u64 *found;

	if (check_inner(&outer_hash, 1, 20) || check_inner(&outer_hash, 5, 25))
		return 1;
	if (bpf_map_lookup_elem(&outer_hash, &empty))
		return 2;
	found = bpf_map_lookup_elem(&inner_b, &slot);
	return found && *found == 25 ? 0 : 3;
}

SEC("xdp")
int pattern(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 inner_key = 0;
	void *inner = bpf_map_lookup_elem(&outer_open, &key);

	if (!inner)
		return 1;
	return bpf_map_lookup_elem(inner, &inner_key) ? 2 : 3;
}

char _license[] SEC("license") = "Dual BSD/GPL";
