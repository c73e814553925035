/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tc actions: the result is one of TC_ACT_*.
 *
 * run: prog=gate data=00*12,0800,45,00*49 ret=0
 * run: prog=gate data=00*12,86dd,60,00*49 ret=3
 * run: prog=gate data=00*12,0806,00*50 ret=2
 * run: prog=mark data=00*12,0800,45,00*49 ret=3
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("action")
int gate(struct __sk_buff *skb)
{
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return TC_ACT_OK;
	case bpf_htons(ETH_P_IPV6):
		return TC_ACT_PIPE;
	default:
		return TC_ACT_SHOT;
	}
}

SEC("action")
int mark(struct __sk_buff *skb)
{
	skb->mark = skb->len << 16 | bpf_ntohs(skb->protocol);
	return skb->mark ? TC_ACT_PIPE : TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
