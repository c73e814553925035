/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Global data: .rodata, .data, .bss and sections of their own names. A loader
 * may write `limit` before the load: the verifier then knows its value.
 *
 * run: prog=sum data=00*14 ret=1342
 * run: prog=next data=00*14 ret=101
 * run: prog=next data=00*14 ret=102
 * run: prog=text data=00*14 ret=528
 * run: prog=dead_code data=00*14 ret=1
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

struct pair {
	__u32 first;
	__u16 second;
	__u8 third[3];
};

const volatile __u32 limit = 1000;
const volatile bool enabled = false;
const volatile struct pair pairs[2] = {
	{ 1, 2, { 3, 4, 5 } },
	{ 10, 20, { 30, 40, 50 } },
};

__u64 counter = 100;
__u32 zero;
static volatile __u32 hidden = 200;

__u32 custom SEC(".data.custom") = 7;
const volatile __u32 custom_constant SEC(".rodata.custom") = 5;

SEC("xdp")
int sum(struct xdp_md *ctx)
{
	__u32 total = limit + zero + hidden + custom;

	for (int i = 0; i < 2; i++)
		total += pairs[i].first + pairs[i].second + pairs[i].third[2];
	return total + custom_constant * custom + custom + custom_constant;
}

SEC("xdp")
int next(struct xdp_md *ctx)
{
	return __sync_add_and_fetch(&counter, 1);
}

/* A string constant lands in .rodata.str1.1. */
SEC("xdp")
int text(struct xdp_md *ctx)
{
	const char *volatile string = "skep!";
	const char *letters = string;
	int total = 0;

	for (int i = 0; i < 5; i++)
		total += letters[i];
	return total + (letters[5] == 0 ? 60 : 0);
}

/* The verifier never sees the branch taken, nor what is wrong in it. */
SEC("xdp")
int dead_code(struct xdp_md *ctx)
{
	if (enabled)
		return *(volatile __u32 *)0x1234;
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
