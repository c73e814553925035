/* SPDX-License-Identifier: Apache-2.0 */
/* A map whose author forgot its size. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
} sizeless SEC(".maps");

SEC("xdp")
int uses_map(struct xdp_md *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&sizeless, &key) ? 1 : 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
