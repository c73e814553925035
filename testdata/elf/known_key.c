/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array's element under a constant index within its bounds is always there:
 * the verifier asks for no NULL check of it.
 *
 * run: prog=known data=00*14 ret=42
 * reject: prog=outside errno=EACCES log="invalid mem access 'map_value_or_null'"
 * reject: prog=unknown errno=EACCES log="invalid mem access 'map_value_or_null'"
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} values SEC(".maps");

SEC("xdp")
int known(struct xdp_md *ctx)
{
	/* The verifier follows a 32-bit value on the stack if it is so aligned. */
	__u32 key __attribute__((aligned(8))) = 1;
	volatile __u64 *value = bpf_map_lookup_elem(&values, &key);

	*value = 42;
	return *value;
}

SEC("xdp")
int outside(struct xdp_md *ctx)
{
	__u32 key __attribute__((aligned(8))) = 2;
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	return *value;
}

SEC("xdp")
int unknown(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index;
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	return *value;
}

char _license[] SEC("license") = "Dual BSD/GPL";
