/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What -mcpu=v4 adds: signed division, sign-extending moves and loads, byte
 * swaps whatever the byte order, and long jumps. The operands are volatile, so
 * that the compiler leaves the work to the machine.
 *
 * run: prog=division data=00*14 ret=0
 * run: prog=sign_extension data=00*14 ret=0
 * run: prog=byte_swap data=00*14 ret=0
 * run: prog=by_zero data=00*14 ret=0
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

volatile __s64 minus_seven = -7, two = 2, minus_one = -1, zero;
volatile __s64 smallest = -0x7fffffffffffffffLL - 1;
volatile __s32 minus_seven32 = -7, two32 = 2;
volatile __s8 byte = -128;
volatile __s16 half = -30000;
volatile __s32 word = -2000000000;
volatile __u64 pattern = 0x0102030405060708;

#define CHECK(step, condition)                                                 \
	do {                                                                   \
		if (!(condition))                                              \
			return step;                                           \
	} while (0)

SEC("xdp")
int division(struct xdp_md *ctx)
{
	CHECK(1, minus_seven / two == -3);
	CHECK(2, minus_seven % two == -1);
	CHECK(3, two / minus_seven == 0 && two % minus_seven == 2);
	CHECK(4, minus_seven32 / two32 == -3 && minus_seven32 % two32 == -1);
	CHECK(5, smallest / 2 == -0x4000000000000000LL);
	CHECK(6, minus_seven / minus_one == 7);
	CHECK(7, (__u64)minus_seven / 2 == 0x7ffffffffffffffcULL);
	return 0;
}

/* Division by zero gives 0, the rest leaves the dividend; and no trap. */
SEC("xdp")
int by_zero(struct xdp_md *ctx)
{
	__s64 a = minus_seven, b = zero, quotient = a, rest = a, wrap = smallest;

	asm volatile("%0 s/= %1" : "+r"(quotient) : "r"(b));
	asm volatile("%0 s%%= %1" : "+r"(rest) : "r"(b));
	asm volatile("%0 s/= %1" : "+r"(wrap) : "r"(minus_one));
	CHECK(1, quotient == 0);
	CHECK(2, rest == -7);
	CHECK(3, wrap == smallest);
	return 0;
}

SEC("xdp")
int sign_extension(struct xdp_md *ctx)
{
	__s64 a = byte, b = half, c = word;
	__u64 d = pattern;

	CHECK(1, a == -128 && b == -30000 && c == -2000000000);
	CHECK(2, (__s64)(__s8)(d | 0x80) == -120);
	CHECK(3, (__s64)(__s16)(d | 0x8000) == 0x0708 - 0x8000);
	CHECK(4, (__s64)(__s32)(d | 0x80000000) == 0x05060708LL - 0x80000000LL);
	CHECK(5, (__s32)(__s8)(d | 0x80) == -120);
	return 0;
}

SEC("xdp")
int byte_swap(struct xdp_md *ctx)
{
	__u64 x = pattern;

	CHECK(1, __builtin_bswap64(x) == 0x0807060504030201ULL);
	CHECK(2, __builtin_bswap32((__u32)x) == 0x08070605U);
	CHECK(3, __builtin_bswap16((__u16)x) == 0x0807);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
