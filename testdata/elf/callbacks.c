/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callbacks: bpf_loop() and bpf_for_each_map_elem().
 *
 * run: prog=loop data=00*14 ret=4950
 * run: prog=early_end data=00*14 ret=11
 * run: prog=too_many data=00*14 ret=-7
 * run: prog=each_array data=00*14 ret=60
 * run: prog=each_hash data=00*14 ret=33
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

struct sum {
	__u64 total;
	__u32 last;
};

static long add_index(__u32 index, struct sum *sum)
{
	sum->total += index;
	return 0;
}

/* A copy of the key, so that the loop's counter stays out of the stack. */
static __noinline void put(void *map, __u32 key, __u64 value)
{
	bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

/* 1 ends the loop. */
static long stop_at_ten(__u32 index, struct sum *sum)
{
	sum->total++;
	return index == 10;
}

static long add_element(void *map, __u32 *key, __u64 *value, struct sum *sum)
{
	sum->total += *key * *value;
	return 0;
}

SEC("xdp")
int loop(struct xdp_md *ctx)
{
	struct sum sum = {};

	if (bpf_loop(100, add_index, &sum, 0) != 100)
		return -1;
	return sum.total;
}

SEC("xdp")
int early_end(struct xdp_md *ctx)
{
	struct sum sum = {};

	if (bpf_loop(100, stop_at_ten, &sum, 0) != 11)
		return -1;
	return sum.total;
}

SEC("xdp")
int too_many(struct xdp_md *ctx)
{
	struct sum sum = {};

	/* -E2BIG above BPF_MAX_LOOPS, 8 Mi. */
	return bpf_loop((8 << 20) + 1, add_index, &sum, 0);
}

SEC("xdp")
int each_array(struct xdp_md *ctx)
{
	struct sum sum = {};

	for (__u32 i = 0; i < 4; i++)
		put(&numbers, i, 10);
	if (bpf_for_each_map_elem(&numbers, add_element, &sum, 0) != 4)
		return -1;
	return sum.total;
}

SEC("xdp")
int each_hash(struct xdp_md *ctx)
{
	struct sum sum = {};

	for (__u32 i = 0; i < 3; i++)
		put(&table, i, 11);
	if (bpf_for_each_map_elem(&table, add_element, &sum, 0) != 3)
		return -1;
	return sum.total;
}

char _license[] SEC("license") = "Dual BSD/GPL";
