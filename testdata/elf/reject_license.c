/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A licence that is not GPL-compatible closes the GPL-only helpers.
 *
 * run: prog=open_helper data=00*14 ret=1
 * reject: prog=gpl_helper errno=EINVAL log="cannot call GPL-restricted function from non-GPL compatible program"
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int open_helper(struct xdp_md *ctx)
{
	return bpf_get_smp_processor_id() < 4096;
}

SEC("xdp")
int gpl_helper(struct xdp_md *ctx)
{
	return bpf_ktime_get_ns() > 0 && bpf_trace_printk("", 1) == 0;
}

char _license[] SEC("license") = "Proprietary";
