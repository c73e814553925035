/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load beyond the packet's end leaves its function, with the result 0 for the
 * caller; callbacks whose context is NULL. Built with
 * clang-19 -g -O2 -mcpu=v3 -target bpf -I/usr/include/x86_64-linux-gnu -c loads.c && llvm-strip-19 -g loads.o
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64[4]); } table SEC(".maps");

#define CLOBBER "r0", "r1", "r2", "r3", "r4", "r5", "r6"
/* never 0 by its instructions, and yet 0 if the packet is too short */
static __noinline int index_of(struct __sk_buff *skb)
{
	int r;
	asm volatile("r6 = %1; r0 = *(u8 *)skb[200]; r0 &= 3; r0 |= 1; %0 = r0" : "=r"(r) : "r"(skb) : CLOBBER);
	return r;
}
SEC("tc") int unsafe_index(struct __sk_buff *skb)
{
	__u32 key = 0; char *v = bpf_map_lookup_elem(&table, &key);
	if (!v) return 0;
	long i = index_of(skb);
	asm volatile("%0 <<= 32; %0 s>>= 32; %0 -= 1; %1 += %0; %0 = *(u8 *)(%1 + 0)" : "+r"(i), "+r"(v));
	return i;
}
SEC("tc") int safe_index(struct __sk_buff *skb)
{
	__u32 key = 0; char *v = bpf_map_lookup_elem(&table, &key);
	if (!v) return 0;
	long i = index_of(skb);
	asm volatile("%1 += %0; %0 = *(u8 *)(%1 + 0)" : "+r"(i), "+r"(v));
	return i;
}
static long each_element(void *map, __u32 *key, __u64 *value, void *ctx)
{
	*value += *key;
	return 0;
}
static long each(__u32 i, void *ctx) { return bpf_get_prandom_u32() & 1; }
SEC("socket") int callback_without_context(struct __sk_buff *skb)
{
	bpf_loop(skb->mark & 7, each, 0, 0);
	if (skb->len > 5)
		bpf_loop(4, each, 0, 0);
	return bpf_for_each_map_elem(&table, each_element, 0, 0);
}
__noinline int global_load(struct __sk_buff *skb) { return index_of(skb) + 1; }
SEC("tc") int calls_global(struct __sk_buff *skb) { return global_load(skb); }
char _license[] SEC("license") = "GPL";
