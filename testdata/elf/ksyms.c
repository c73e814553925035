/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weak kernel symbols that no kernel has: their address is 0, and what would
 * call them is dead code.
 *
 * run: prog=variable data=00*14 ret=1
 * run: prog=function data=00*14 ret=1
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

extern void skep_no_such_variable __ksym __weak;
extern int skep_no_such_function(int x) __ksym __weak;

SEC("xdp")
int variable(struct xdp_md *ctx)
{
	return &skep_no_such_variable == 0;
}

SEC("xdp")
int function(struct xdp_md *ctx)
{
	if (skep_no_such_function)
		return skep_no_such_function(1);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
