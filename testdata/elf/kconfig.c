/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Externs that the loader resolves from the kernel's configuration.
 *
 * run: prog=version data=00*14 ret=1
 * run: prog=config data=00*14 ret=0
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned int CONFIG_HZ __kconfig;
extern bool CONFIG_BPF __kconfig;
extern enum libbpf_tristate CONFIG_BPF_SYSCALL __kconfig;

#define VERSION(major, minor) ((major) << 16 | (minor) << 8)

SEC("xdp")
int version(struct xdp_md *ctx)
{
	return LINUX_KERNEL_VERSION >= VERSION(5, 10) &&
	       LINUX_KERNEL_VERSION < VERSION(255, 0);
}

SEC("xdp")
int config(struct xdp_md *ctx)
{
	if (CONFIG_HZ < 24 || CONFIG_HZ > 10000)
		return 1;
	if (!CONFIG_BPF)
		return 2;
	if (CONFIG_BPF_SYSCALL != TRI_YES)
		return 3;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
