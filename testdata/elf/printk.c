/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_printk() in its two forms: up to three arguments go to
 * bpf_trace_printk(), more to bpf_trace_vprintk(). The result is the length of
 * what was printed, its terminating NUL not counted.
 *
 * run: prog=plain data=00*14 ret=5
 * run: prog=formats data=00*14 ret=18
 * run: prog=many data=00*14 ret=22
 * run: prog=bad_format data=00*14 ret=-22
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	return bpf_printk("hello");
}

/* "len 14 ffff 0x0000" */
SEC("xdp")
int formats(struct xdp_md *ctx)
{
	__u64 length = ctx->data_end - ctx->data;

	return bpf_printk("len %llu %x 0x%04x", length, 0xffff, 0);
}

/* "1 -2 3 4 five 000000a6" */
SEC("xdp")
int many(struct xdp_md *ctx)
{
	static const char five[] = "five";

	return bpf_printk("%d %d %u %ld %s %08x", 1, -2, 3, 4L, five, 0xa6);
}

SEC("xdp")
int bad_format(struct xdp_md *ctx)
{
	static const char format[] = "%y";

	return bpf_trace_printk(format, sizeof(format), 1);
}

char _license[] SEC("license") = "GPL";
