/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tc classifiers: context fields, direct packet access and what a program may
 * do to a packet.
 *
 * run: prog=write_fields data=00*12,0800,45,00*49 ret=0
 * run: prog=direct_write data=020000000001,020000000002,0800,45,00*49 ret=0 out=020000000002,020000000001,0800,45,00*49
 * run: prog=vlan_push data=020000000001,020000000002,0800,45,00*49 ret=0 out=020000000001,020000000002,0800,45,00*49
 * run: prog=vlan_pop data=020000000001,020000000002,8100,602a,0800,45,00*49 ret=0 out=020000000001,020000000002,0800,45,00*49
 * run: prog=shrink data=00*12,0800,45,00*85 ret=50 out=00*12,0800,45,00*35
 * run: prog=grow data=00*12,0800,45,00*49 ret=100 out=00*12,0800,45,00*85
 * run: prog=checksum data=00*12,0800,45,00,0054,0000,4000,40,01,b6a5,0a000001,0a000002,00*30 ret=0 out=00*12,0800,45,b8,0054,0000,4000,40,01,b5ed,0a000001,0a000002,00*30
 * run: prog=store_bytes data=00*14,45,00*49 ret=0 out=aabbccdd,00*10,45,00*49
 * run: prog=redirect data=00*14,45,00*49 ret=7
 * run: prog=class_id data=00*14,45,00*49 ret=1
 * run: prog=pull data=00*14,45,00*49 ret=64
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define EFAULT 14
#define IP_TOS (ETH_HLEN + 1)
#define IP_CHECK (ETH_HLEN + 10)

SEC("tc")
int write_fields(struct __sk_buff *skb)
{
	volatile __u32 *classid = &skb->tc_classid;

	skb->mark = 0x1234;
	skb->priority = 7;
	skb->tc_index = 9;
	skb->cb[2] = 11;
	*classid = 0x10020;
	if (skb->mark != 0x1234 || skb->priority != 7)
		return 1;
	if (skb->tc_index != 9 || skb->cb[2] != 11)
		return 2;
	/* The kernel keeps 16 bits of it. */
	if (*classid != 0x20)
		return 3;
	return skb->len == 64 ? 0 : 4;
}

/* Swaps the MAC addresses in place. */
SEC("tc")
int direct_write(struct __sk_buff *skb)
{
	struct ethhdr *ethernet = (void *)(long)skb->data;
	__u8 mac[ETH_ALEN];

	if ((void *)(ethernet + 1) > (void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	__builtin_memcpy(mac, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, mac, ETH_ALEN);
	return TC_ACT_OK;
}

/* The tag goes beside the packet, into skb->vlan_tci, and not into the data. */
SEC("tc")
int vlan_push(struct __sk_buff *skb)
{
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 3 << 13 | 42))
		return 1;
	if (!skb->vlan_present || skb->vlan_tci != (3 << 13 | 42))
		return 2;
	if (skb->vlan_proto != bpf_htons(ETH_P_8021Q))
		return 3;
	return TC_ACT_OK;
}

SEC("tc")
int vlan_pop(struct __sk_buff *skb)
{
	if (bpf_skb_vlan_pop(skb))
		return 1;
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return 2;
	return TC_ACT_OK;
}

SEC("tc")
int shrink(struct __sk_buff *skb)
{
	if (bpf_skb_change_tail(skb, 50, 0))
		return -1;
	return skb->len;
}

SEC("tc")
int grow(struct __sk_buff *skb)
{
	if (bpf_skb_change_tail(skb, 100, 0))
		return -1;
	return skb->len;
}

/* A new TOS, with the header checksum kept true. */
SEC("tc")
int checksum(struct __sk_buff *skb)
{
	__u8 old, new = 0xb8;

	if (bpf_skb_load_bytes(skb, IP_TOS, &old, 1))
		return 1;
	if (bpf_l3_csum_replace(skb, IP_CHECK, bpf_htons(old), bpf_htons(new), 2))
		return 2;
	if (bpf_skb_store_bytes(skb, IP_TOS, &new, 1, 0))
		return 3;
	return TC_ACT_OK;
}

SEC("tc")
int store_bytes(struct __sk_buff *skb)
{
	__be32 word = bpf_htonl(0xaabbccdd);

	if (bpf_skb_store_bytes(skb, 0, &word, sizeof(word), BPF_F_RECOMPUTE_CSUM))
		return 1;
	if (bpf_skb_store_bytes(skb, 62, &word, sizeof(word), 0) != -EFAULT)
		return 2;
	return TC_ACT_OK;
}

SEC("tc")
int redirect(struct __sk_buff *skb)
{
	return bpf_redirect(1, 0);
}

SEC("tc")
int class_id(struct __sk_buff *skb)
{
	skb->tc_classid = 0x20;
	return skb->tc_classid == 0x20;
}

/* A helper that may move the packet ends what was known of the old pointers. */
SEC("tc")
int pull(struct __sk_buff *skb)
{
	void *data, *data_end;

	if (bpf_skb_pull_data(skb, 0))
		return -1;
	data = (void *)(long)skb->data;
	data_end = (void *)(long)skb->data_end;
	return data_end - data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
