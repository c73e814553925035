/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomic operations on map values and on the stack (-mcpu=v3).
 *
 * run: prog=on_map data=00*14 ret=0
 * run: prog=on_map32 data=00*14 ret=0
 * run: prog=on_stack data=00*14 ret=0
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

__u64 word;
__u32 half[2];

#define CHECK(step, condition)                                                 \
	do {                                                                   \
		if (!(condition))                                              \
			return step;                                           \
	} while (0)

#define CHECK_ATOMICS(p, type)                                                 \
	do {                                                                   \
		type old;                                                      \
                                                                               \
		*(p) = 5;                                                      \
		__sync_fetch_and_add((p), 1); /* no fetch: the result is unused */ \
		CHECK(1, *(p) == 6);                                           \
		CHECK(2, __sync_fetch_and_add((p), 4) == 6 && *(p) == 10);     \
		CHECK(3, __sync_fetch_and_sub((p), 1) == 10 && *(p) == 9);     \
		CHECK(4, __sync_fetch_and_or((p), 6) == 9 && *(p) == 15);      \
		CHECK(5, __sync_fetch_and_and((p), 12) == 15 && *(p) == 12);   \
		CHECK(6, __sync_fetch_and_xor((p), 5) == 12 && *(p) == 9);     \
		CHECK(7, __sync_lock_test_and_set((p), 20) == 9 && *(p) == 20); \
		old = __sync_val_compare_and_swap((p), 20, 30);                \
		CHECK(8, old == 20 && *(p) == 30);                             \
		old = __sync_val_compare_and_swap((p), 20, 40);                \
		CHECK(9, old == 30 && *(p) == 30);                             \
		*(p) = (type)-1;                                               \
		CHECK(10, __sync_fetch_and_add((p), 2) == (type)-1 && *(p) == 1); \
	} while (0)

SEC("xdp")
int on_map(struct xdp_md *ctx)
{
	volatile __u64 *p = &word;

	CHECK_ATOMICS(p, __u64);
	return 0;
}

/* A 32-bit operation leaves its neighbour alone. */
SEC("xdp")
int on_map32(struct xdp_md *ctx)
{
	volatile __u32 *p = &half[0];

	half[1] = 0xa5a5a5a5;
	CHECK_ATOMICS(p, __u32);
	CHECK(11, *(volatile __u32 *)&half[1] == 0xa5a5a5a5);
	return 0;
}

SEC("xdp")
int on_stack(struct xdp_md *ctx)
{
	volatile __u64 value = 0;
	volatile __u64 *p = &value;

	CHECK_ATOMICS(p, __u64);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
