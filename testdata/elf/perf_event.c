/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A perf event array. With a reader on each CPU `sample` returns 0 and the
 * sample is the header followed by the first bytes of the packet; with none the
 * slot is empty and the helper says -ENOENT.
 *
 * run: prog=sample data=00*14 ret=-2
 * run: prog=wrong_slot data=00*14 ret=-7
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct header {
	__u32 magic;
	__u32 length;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} samples SEC(".maps");

#define SNAP 14

SEC("xdp")
int sample(struct xdp_md *ctx)
{
	struct header header = {
		.magic = 0x736b6570,
		.length = ctx->data_end - ctx->data,
	};

	/* The upper half of the flags says how much of the packet goes along. */
	return bpf_perf_event_output(ctx, &samples,
				     (__u64)SNAP << 32 | BPF_F_CURRENT_CPU,
				     &header, sizeof(header));
}

SEC("xdp")
int wrong_slot(struct xdp_md *ctx)
{
	__u32 word = 0;

	return bpf_perf_event_output(ctx, &samples, 1 << 20, &word, sizeof(word));
}

char _license[] SEC("license") = "Dual BSD/GPL";
