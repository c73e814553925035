/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Externs that libbpf takes and other readers of ELF do not. Each program
 * returns 0.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

extern bool CONFIG_BPF __kconfig __weak;
extern int CONFIG_HZ __kconfig;
extern unsigned long CONFIG_SKEP_NUMBER __kconfig __weak;
extern enum libbpf_tristate CONFIG_NET __kconfig __weak;
extern char CONFIG_INET __kconfig;

extern const void skep_no_such_variable __ksym __weak;
extern const int skep_no_such_number __ksym __weak;

SEC("xdp")
int options(struct xdp_md *ctx)
{
	if (!CONFIG_BPF || CONFIG_NET != TRI_YES)
		return 1;
	if (CONFIG_HZ < 24 || CONFIG_INET != 'y')
		return 2;
	return CONFIG_SKEP_NUMBER ? 3 : 0;
}

SEC("xdp")
int symbols(struct xdp_md *ctx)
{
	return &skep_no_such_variable ? 1 : &skep_no_such_number ? 2 : 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
