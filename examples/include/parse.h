/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet parsing shared by the XDP examples.
 *
 * A cursor walks from the first byte of the packet to the last. Each take_*()
 * function returns the header at the cursor and steps over it, or returns NULL
 * when the packet ends before the header does. The comparison against `end`
 * is what lets the verifier accept the reads that follow.
 */
#ifndef EXAMPLES_PARSE_H
#define EXAMPLES_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSION_HEADERS 6

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001

struct vlan_header {
	__be16 tci;
	__be16 protocol;
};

struct ipv6_fragment_header {
	__u8 next_header;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

struct cursor {
	void *pos;
	void *end;
};

#define TAKE_HEADER(name, type)                                                \
	static __always_inline type *take_##name(struct cursor *c)             \
	{                                                                      \
		type *header = c->pos;                                         \
                                                                               \
		if ((void *)(header + 1) > c->end)                             \
			return NULL;                                           \
		c->pos = header + 1;                                           \
		return header;                                                 \
	}

TAKE_HEADER(ethernet, struct ethhdr)
TAKE_HEADER(vlan, struct vlan_header)
TAKE_HEADER(ipv4, struct iphdr)
TAKE_HEADER(ipv6, struct ipv6hdr)
TAKE_HEADER(ipv6_extension, struct ipv6_opt_hdr)
TAKE_HEADER(ipv6_fragment, struct ipv6_fragment_header)
TAKE_HEADER(tcp, struct tcphdr)
TAKE_HEADER(udp, struct udphdr)

/*
 * Steps over up to MAX_VLAN_TAGS 802.1Q or 802.1ad tags. Returns the EtherType
 * of what follows in network byte order, or 0 when the packet ends in a tag.
 */
static __always_inline __be16 skip_vlan_tags(struct cursor *c, __be16 protocol)
{
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan_header *tag;

		if (protocol != bpf_htons(ETH_P_8021Q) &&
		    protocol != bpf_htons(ETH_P_8021AD))
			break;
		tag = take_vlan(c);
		if (!tag)
			return 0;
		protocol = tag->protocol;
	}
	return protocol;
}

/*
 * Moves the cursor past the IPv4 header and its options; false when the packet
 * ends inside them. Counting from the start of the header keeps the range that
 * the verifier sees within 0..60.
 */
static __always_inline bool skip_ipv4_options(struct cursor *c,
					      struct iphdr *ip)
{
	__u32 length = ip->ihl * 4;

	if ((void *)ip + length > c->end)
		return false;
	c->pos = (void *)ip + length;
	return true;
}

/*
 * Steps over the IPv6 extension headers. Returns the upper-layer protocol, or
 * -1 when the chain is truncated or longer than MAX_EXTENSION_HEADERS. The
 * offset field of a fragment header (host byte order) goes to *fragment.
 */
static __always_inline int skip_ipv6_extensions(struct cursor *c, __u8 next,
						__u16 *fragment)
{
	for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
		struct ipv6_opt_hdr *extension;
		struct ipv6_fragment_header *frag;

		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			extension = take_ipv6_extension(c);
			if (!extension)
				return -1;
			next = extension->nexthdr;
			/* hdrlen counts 8-byte units after the first one. */
			c->pos += extension->hdrlen * 8 + 6;
			break;
		case IPPROTO_FRAGMENT:
			frag = take_ipv6_fragment(c);
			if (!frag)
				return -1;
			next = frag->next_header;
			*fragment = bpf_ntohs(frag->offset);
			/* Later fragments carry payload, not headers. */
			if (*fragment & IPV6_FRAGMENT_OFFSET)
				return next;
			break;
		default:
			return next;
		}
	}
	return -1;
}

#endif
