/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags and untags frames at the ends of a veth pair, for kernels that are built
 * without VLAN devices. Packets of IP protocol ICMP get a second, outer tag.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN_CUSTOMER (5 << 13 | 42) /* priority 5, id 42 */
#define VLAN_SERVICE 100

SEC("tc/tag")
int tag(struct __sk_buff *skb)
{
	__u8 protocol = 0;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		bpf_skb_load_bytes(skb, ETH_HLEN + 9, &protocol, 1);
	bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), VLAN_CUSTOMER);
	if (protocol == IPPROTO_ICMP)
		bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021AD), VLAN_SERVICE);
	return TC_ACT_OK;
}

SEC("tc/untag")
int untag(struct __sk_buff *skb)
{
	for (int i = 0; i < 2; i++)
		if (skb->vlan_present)
			bpf_skb_vlan_pop(skb);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
