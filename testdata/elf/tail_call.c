/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tail calls through a program array that the loader fills from its static
 * initialiser.
 *
 * run: prog=entry data=00*14 ret=33
 * run: prog=missing data=00*14 ret=5
 * run: prog=outside data=00*14 ret=6
 * run: prog=chain data=00*14 ret=33
 * run: prog=from_subprogram data=00*14 ret=107
 * run: prog=leaf data=00*14 ret=7
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

int chain(struct xdp_md *ctx);
int leaf(struct xdp_md *ctx);

enum { SLOT_LEAF = 0, SLOT_CHAIN = 1, SLOT_EMPTY = 2, SLOTS = 4 };

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SLOTS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} jumps SEC(".maps") = {
	.values = {
		[SLOT_LEAF] = &leaf,
		[SLOT_CHAIN] = &chain,
	},
};

/* Runs in the chain so far; a program at its end leaves it at 0. */
__u32 depth;

SEC("xdp")
int leaf(struct xdp_md *ctx)
{
	return 7;
}

/* Calls itself until the limit of MAX_TAIL_CALL_CNT, 33, then falls through. */
SEC("xdp")
int chain(struct xdp_md *ctx)
{
	__u32 calls = depth;

	depth = calls + 1;
	bpf_tail_call(ctx, &jumps, SLOT_CHAIN);
	depth = 0;
	return calls;
}

/* One more program before the chain, and so one call fewer in it. */
SEC("xdp")
int entry(struct xdp_md *ctx)
{
	depth = 1;
	bpf_tail_call(ctx, &jumps, SLOT_CHAIN);
	return -1;
}

/* An empty slot: the call falls through. */
SEC("xdp")
int missing(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &jumps, SLOT_EMPTY);
	return 5;
}

SEC("xdp")
int outside(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &jumps, SLOTS + 100);
	return 6;
}

static __noinline int jump(struct xdp_md *ctx)
{
	volatile int unused = 1;

	bpf_tail_call(ctx, &jumps, SLOT_LEAF);
	return unused;
}

/* A tail call in a subprogram returns from the subprogram, not the program. */
SEC("xdp")
int from_subprogram(struct xdp_md *ctx)
{
	return 100 + jump(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
