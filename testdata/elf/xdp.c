/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XDP: context fields, direct packet access, and moving the packet's ends.
 *
 * run: prog=pass data=00*14 ret=2
 * run: prog=swap data=020000000001,020000000002,0800,00*20 ret=3 out=020000000002,020000000001,0800,00*20
 * run: prog=swap data=00*14 ret=3 out=00*14
 * run: prog=tagged data=00*12,8100,002a,0800,00*42 ret=42
 * run: prog=tagged data=00*12,0800,00*46 ret=0
 * run: prog=push data=020000000001,020000000002,0800,45,00*19 ret=3 out=020000000001,020000000002,8100,0007,0800,45,00*19
 * run: prog=pop data=020000000001,020000000002,8100,0007,0800,45,00*19 ret=3 out=020000000001,020000000002,0800,45,00*19
 * run: prog=trim data=00*14,11*50 ret=3 out=00*14,11*26
 * run: prog=extend data=00*14,11*50 ret=3 out=00*14,11*50,00*36
 * run: prog=too_far data=00*14 ret=0
 * run: prog=fields data=00*14 ret=0
 * run: prog=load_store data=00*14,01020304,00*14 ret=3 out=00*14,04030201,00*14
 * run: prog=metadata data=00*14 ret=0
 * run: prog=sum data=00*14,01,02,03,04,05,06,07,08,09,0a ret=55
 * run: prog=redirect data=00*14 ret=4
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define EINVAL 22
#define EACCES 13

struct vlan_header {
	__be16 tci;
	__be16 protocol;
};

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define DATA_END(ctx) ((void *)(long)(ctx)->data_end)

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int swap(struct xdp_md *ctx)
{
	struct ethhdr *ethernet = DATA(ctx);
	__u8 mac[ETH_ALEN];

	if ((void *)(ethernet + 1) > DATA_END(ctx))
		return XDP_DROP;
	__builtin_memcpy(mac, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, mac, ETH_ALEN);
	return XDP_TX;
}

/* The VLAN id, or 0. */
SEC("xdp")
int tagged(struct xdp_md *ctx)
{
	struct ethhdr *ethernet = DATA(ctx);
	struct vlan_header *tag = (void *)(ethernet + 1);

	if ((void *)(tag + 1) > DATA_END(ctx))
		return 0;
	if (ethernet->h_proto != bpf_htons(ETH_P_8021Q))
		return 0;
	return bpf_ntohs(tag->tci) & 0xfff;
}

/* Puts a VLAN tag in by moving the MAC addresses to the front. */
SEC("xdp")
int push(struct xdp_md *ctx)
{
	struct vlan_header *tag;
	struct ethhdr *ethernet, copy;

	ethernet = DATA(ctx);
	if ((void *)(ethernet + 1) > DATA_END(ctx))
		return XDP_DROP;
	copy = *ethernet;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*tag)))
		return XDP_ABORTED;
	ethernet = DATA(ctx);
	tag = (void *)(ethernet + 1);
	if ((void *)(tag + 1) > DATA_END(ctx))
		return XDP_DROP;
	tag->tci = bpf_htons(7);
	tag->protocol = copy.h_proto;
	*ethernet = copy;
	ethernet->h_proto = bpf_htons(ETH_P_8021Q);
	return XDP_TX;
}

SEC("xdp")
int pop(struct xdp_md *ctx)
{
	struct vlan_header *tag;
	struct ethhdr *ethernet, copy;

	ethernet = DATA(ctx);
	tag = (void *)(ethernet + 1);
	if ((void *)(tag + 1) > DATA_END(ctx))
		return XDP_DROP;
	copy = *ethernet;
	copy.h_proto = tag->protocol;
	if (bpf_xdp_adjust_head(ctx, sizeof(*tag)))
		return XDP_ABORTED;
	ethernet = DATA(ctx);
	if ((void *)(ethernet + 1) > DATA_END(ctx))
		return XDP_DROP;
	*ethernet = copy;
	return XDP_TX;
}

SEC("xdp")
int trim(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, -24) ? XDP_ABORTED : XDP_TX;
}

/* The new bytes are zero. */
SEC("xdp")
int extend(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, 36) ? XDP_ABORTED : XDP_TX;
}

/* An Ethernet header must stay, and there is only so much headroom. */
SEC("xdp")
int too_far(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_head(ctx, 1) != -EINVAL)
		return 1;
	if (bpf_xdp_adjust_tail(ctx, -1) != -EINVAL)
		return 2;
	if (bpf_xdp_adjust_head(ctx, -300) != -EINVAL)
		return 3;
	if (bpf_xdp_adjust_tail(ctx, 5000) != -EINVAL)
		return 4;
	return 0;
}

SEC("xdp")
int fields(struct xdp_md *ctx)
{
	if (ctx->data_meta != ctx->data)
		return 1;
	if (ctx->data_end - ctx->data != 14)
		return 2;
	if (ctx->rx_queue_index)
		return 3;
	if (bpf_xdp_get_buff_len(ctx) != 14)
		return 4;
	return 0;
}

/* Reverses four bytes through copies. */
SEC("xdp")
int load_store(struct xdp_md *ctx)
{
	__u32 word;

	if (bpf_xdp_load_bytes(ctx, 14, &word, sizeof(word)))
		return XDP_ABORTED;
	word = __builtin_bswap32(word);
	if (bpf_xdp_store_bytes(ctx, 14, &word, sizeof(word)))
		return XDP_ABORTED;
	if (bpf_xdp_load_bytes(ctx, 30, &word, sizeof(word)) != -EINVAL)
		return XDP_DROP;
	return XDP_TX;
}

SEC("xdp")
int metadata(struct xdp_md *ctx)
{
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -4))
		return 1;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > DATA(ctx))
		return 2;
	*meta = 0x736b6570;
	if (bpf_xdp_adjust_meta(ctx, -3) != -EACCES)
		return 3;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > DATA(ctx) || *meta != 0x736b6570)
		return 4;
	/* Nobody but this program is to see it. */
	return bpf_xdp_adjust_meta(ctx, 4) ? 5 : 0;
}

/* A loop over the packet, bounded by a constant and by the packet's end. */
SEC("xdp")
int sum(struct xdp_md *ctx)
{
	__u8 *byte = DATA(ctx);
	__u32 total = 0;

	for (int i = 0; i < 64; i++, byte++) {
		if ((void *)(byte + 1) > DATA_END(ctx))
			break;
		total += *byte;
	}
	return total;
}

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	return bpf_redirect(1, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
