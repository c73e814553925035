/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programmable tc classifier, and an action to go with it.
 *
 * `classify` gives each IP packet the class id 800:TOS, where TOS is the IPv4
 * type of service or the IPv6 traffic class, and counts packets and bytes for
 * each class. Under an HTB or DRR qdisc the class id chooses the queue.
 *
 * `remark` is an action: it rewrites the DSCP of a packet by a table, as a
 * network does at its border with another that it does not trust.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define CLASSES 1024
#define DSCPS 64
#define MAX_VLAN_TAGS 2

#define ECN_MASK 0x03
#define DSCP_SHIFT 2

/* Differentiated services code points (RFC 2474, RFC 3246). */
#define DSCP_EF 46
#define DSCP_CS6 48
#define DSCP_CS7 56

struct vlan_header {
	__be16 tci;
	__be16 protocol;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CLASSES);
	__type(key, __u32);
	__type(value, struct counter);
} classes SEC(".maps");

/* Packets of each DSCP that `remark` has seen. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DSCPS);
	__type(key, __u32);
	__type(value, struct counter);
} dscps SEC(".maps");

/* The major number of the class ids: that of the qdisc, "tc ... handle 800:". */
const volatile __u32 class_major = 0x800;

/* What `remark` makes of each DSCP; 0, best effort, where nothing is said. */
__u8 remark_to[DSCPS] = {
	[DSCP_EF] = DSCP_EF,
	[DSCP_CS6] = DSCP_CS6,
	[DSCP_CS7] = DSCP_CS6,
};

__u64 not_ip;
__u64 tagged;
__u64 remarked;

/*
 * Finds the network header behind the VLAN tags that are in the data. A tag
 * that the device has taken off is in skb->vlan_tci and not in the data.
 * Returns the EtherType in network byte order, 0 when the packet is too short.
 */
static __always_inline __be16 find_network_header(struct __sk_buff *skb,
						  __u32 *offset)
{
	__be16 protocol = skb->protocol;
	bool has_tag = skb->vlan_present;

	*offset = ETH_HLEN;
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan_header tag;

		if (protocol != bpf_htons(ETH_P_8021Q) &&
		    protocol != bpf_htons(ETH_P_8021AD))
			break;
		if (bpf_skb_load_bytes(skb, *offset, &tag, sizeof(tag)))
			return 0;
		has_tag = true;
		protocol = tag.protocol;
		*offset += sizeof(tag);
	}
	if (has_tag)
		__sync_fetch_and_add(&tagged, 1);
	return protocol;
}

/*
 * Reads the TOS at the start of the network header. The bytes are most often
 * in the linear part of the packet, where they can be read directly; if not,
 * bpf_skb_load_bytes() gets them from the fragments.
 */
static __always_inline int load_tos(struct __sk_buff *skb, __u32 offset,
				    __be16 protocol)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;
	__u8 copy[2];
	__u8 *header = data + offset;

	if ((void *)(header + sizeof(copy)) > data_end) {
		if (bpf_skb_load_bytes(skb, offset, copy, sizeof(copy)))
			return -1;
		header = copy;
	}

	switch (protocol) {
	case bpf_htons(ETH_P_IP):
		return header[0] >> 4 == 4 ? header[1] : -1;
	case bpf_htons(ETH_P_IPV6):
		/* version:4, traffic class:8, flow label:20 */
		if (header[0] >> 4 != 6)
			return -1;
		return (header[0] & 0x0f) << 4 | header[1] >> 4;
	default:
		return -1;
	}
}

static __always_inline void count(struct counter *counter, __u32 bytes)
{
	__sync_fetch_and_add(&counter->packets, 1);
	__sync_fetch_and_add(&counter->bytes, bytes);
}

static __noinline void count_class(__u32 class, __u32 bytes)
{
	struct counter *counter = bpf_map_lookup_elem(&classes, &class);

	if (!counter) {
		struct counter zero = {};

		/* Another CPU may be first: then its entry is the one. */
		bpf_map_update_elem(&classes, &class, &zero, BPF_NOEXIST);
		counter = bpf_map_lookup_elem(&classes, &class);
	}
	if (counter)
		count(counter, bytes);
}

/* Returns the class id, or 0 ("no match") for what has no TOS. */
SEC("classifier")
int classify(struct __sk_buff *skb)
{
	__u32 offset, class = 0;
	__be16 protocol = find_network_header(skb, &offset);
	int tos = load_tos(skb, offset, protocol);

	if (tos < 0)
		__sync_fetch_and_add(&not_ip, 1);
	else
		class = class_major << 16 | tos;
	count_class(class, skb->len);
	return class;
}

static __always_inline int remark_ipv4(struct __sk_buff *skb, __u32 offset,
				       __u8 old, __u8 new)
{
	/* The TOS is the low byte of the first 16-bit word of the header. */
	bpf_l3_csum_replace(skb, offset + offsetof(struct iphdr, check),
			    bpf_htons(old), bpf_htons(new), sizeof(__be16));
	return bpf_skb_store_bytes(skb, offset + offsetof(struct iphdr, tos),
				   &new, sizeof(new), 0);
}

static __always_inline int remark_ipv6(struct __sk_buff *skb, __u32 offset,
				       __u8 new)
{
	__u8 word[2];

	if (bpf_skb_load_bytes(skb, offset, word, sizeof(word)))
		return -1;
	word[0] = (word[0] & 0xf0) | new >> 4;
	word[1] = (word[1] & 0x0f) | new << 4;
	/* No checksum covers the traffic class. */
	return bpf_skb_store_bytes(skb, offset, word, sizeof(word), 0);
}

/* Passes the packet on to the next action, with the DSCP that the table says. */
SEC("action")
int remark(struct __sk_buff *skb)
{
	__u32 offset, dscp;
	__be16 protocol = find_network_header(skb, &offset);
	int tos = load_tos(skb, offset, protocol);
	struct counter *counter;
	__u8 new;
	int err;

	if (tos < 0)
		return TC_ACT_OK;

	dscp = (__u8)tos >> DSCP_SHIFT;
	counter = bpf_map_lookup_elem(&dscps, &dscp);
	if (counter)
		count(counter, skb->len);

	/* The ECN bits belong to the end points (RFC 3168). */
	new = remark_to[dscp] << DSCP_SHIFT | (tos & ECN_MASK);
	if (new == tos)
		return TC_ACT_OK;

	if (protocol == bpf_htons(ETH_P_IP))
		err = remark_ipv4(skb, offset, tos, new);
	else
		err = remark_ipv6(skb, offset, new);
	if (err)
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&remarked, 1);
	return TC_ACT_PIPE;
}

char _license[] SEC("license") = "Dual BSD/GPL";
