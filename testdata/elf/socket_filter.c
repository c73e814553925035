/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket filters. A test run takes the Ethernet header off first, so that the
 * data starts with the network header; the result is how many bytes to keep.
 *
 * run: prog=length data=00*12,0800,45,00*45 ret=46
 * run: prog=legacy data=00*12,0800,45,00,00*7,11,00*10,1234,5678,00*22 ret=22136
 * run: prog=legacy data=00*12,0800,45,00,00*7,06,00*10,00*22 ret=0
 * run: prog=legacy data=00*12,0800,45,00*8,11,00*10 ret=0
 * run: prog=load_bytes data=00*12,0800,45,00*3,abcd,00*40 ret=43981
 * run: prog=relative data=020000000001,020000000002,0800,45,00*45 ret=773
 * run: prog=fields data=00*12,0800,45,00*45 ret=0
 * run: prog=fields data=00*12,86dd,60,00*45 ret=1
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/udp.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* BPF_LD_ABS and BPF_LD_IND: out of the packet ends the program with 0. */
unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long offset) asm("llvm.bpf.load.half");

SEC("socket")
int length(struct __sk_buff *skb)
{
	return skb->len;
}

/* The destination port of UDP without IP options, in host byte order. */
SEC("socket")
int legacy(struct __sk_buff *skb)
{
	__u64 header = (load_byte(skb, 0) & 0xf) * 4;

	if (load_byte(skb, 9) != IPPROTO_UDP)
		return 0;
	return load_half(skb, header + offsetof(struct udphdr, dest));
}

SEC("socket")
int load_bytes(struct __sk_buff *skb)
{
	__be16 id = 0;

	if (bpf_skb_load_bytes(skb, 1000, &id, sizeof(id)) != -14)
		return -1;
	if (bpf_skb_load_bytes(skb, 4, &id, sizeof(id)))
		return -2;
	return bpf_ntohs(id);
}

/* The Ethernet header is before the data, and can still be read. */
SEC("socket")
int relative(struct __sk_buff *skb)
{
	__u8 mac[12], version;

	if (bpf_skb_load_bytes_relative(skb, 0, mac, sizeof(mac), BPF_HDR_START_MAC))
		return -1;
	if (bpf_skb_load_bytes_relative(skb, 0, &version, 1, BPF_HDR_START_NET))
		return -2;
	return (mac[5] + mac[11]) << 8 | (version >> 4) + 1;
}

SEC("socket")
int fields(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return 1;
	if (skb->vlan_present || skb->vlan_tci || skb->mark || skb->priority)
		return 2;
	skb->cb[0] = 5;
	skb->cb[4] = 6;
	if (skb->cb[0] != 5 || skb->cb[4] != 6)
		return 3;
	/* A narrow load of a field's high bytes. */
	if (((volatile __u8 *)&skb->len)[3] != 0)
		return 4;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
