/* SPDX-License-Identifier: Apache-2.0 */
/* A map that is shared by its name. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} shared SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *runs = bpf_map_lookup_elem(&shared, &key);

	return runs ? __sync_fetch_and_add(runs, 1) : -1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
