/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subprograms: static ones are verified for each call, global ones once, by
 * their BTF prototype.
 *
 * run: prog=arguments data=00*14 ret=12345
 * run: prog=deep data=00*14 ret=8
 * run: prog=by_context data=00*30 ret=30
 * run: prog=by_pointer data=00*14 ret=42
 * run: prog=stack_pointer data=00*14 ret=1110
 * run: prog=weak_function data=00*14 ret=2
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static __noinline int join(int a, int b, int c, int d, int e)
{
	return (((a * 10 + b) * 10 + c) * 10 + d) * 10 + e;
}

SEC("xdp")
int arguments(struct xdp_md *ctx)
{
	return join(1, 2, 3, 4, 5);
}

/* Seven calls below the program: eight frames is all there may be. */
#define LEVEL(n, next)                                                         \
	static __noinline int level##n(int x)                                  \
	{                                                                      \
		volatile int y = next;                                         \
                                                                               \
		return y + 1;                                                  \
	}

LEVEL(7, x)
LEVEL(6, level7(x))
LEVEL(5, level6(x))
LEVEL(4, level5(x))
LEVEL(3, level4(x))
LEVEL(2, level3(x))
LEVEL(1, level2(x))

SEC("xdp")
int deep(struct xdp_md *ctx)
{
	return level1(1);
}

__noinline int packet_length(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}

SEC("xdp")
int by_context(struct xdp_md *ctx)
{
	return packet_length(ctx);
}

struct point {
	int x;
	int y;
};

/* A pointer to a global function may be NULL for all that the verifier knows. */
__noinline int product(const struct point *p)
{
	if (!p)
		return 0;
	return p->x * p->y;
}

SEC("xdp")
int by_pointer(struct xdp_md *ctx)
{
	struct point p = { 6, 7 };

	return product(&p) + product(0);
}

/* Writes through a pointer to the caller's stack. */
static __noinline void fill(int *values, int count, int step)
{
	for (int i = 0; i < count; i++)
		values[i] = i * step;
}

SEC("xdp")
int stack_pointer(struct xdp_md *ctx)
{
	int values[4] = { 9, 9, 9, 9 };

	fill(values, 4, 185);
	return values[0] + values[1] + values[2] + values[3];
}

__weak __noinline int choice(int x)
{
	volatile int y = x;

	return y + 1;
}

SEC("xdp")
int weak_function(struct xdp_md *ctx)
{
	return choice(1);
}

char _license[] SEC("license") = "Dual BSD/GPL";
