/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CO-RE: the loader puts the answers of the target kernel's BTF in. The struct
 * definitions here are parts of the kernel's, as a program has them that wants
 * only these fields; `___skep` is a flavour and no part of the name. What the
 * programs return is the same on every kernel, for they compare.
 *
 * run: prog=fields data=00*14 ret=0
 * run: prog=types data=00*14 ret=0
 * run: prog=enums data=00*14 ret=0
 * run: prog=bitfield data=00*14 ret=0
 * run: prog=access data=00*60 ret=0
 * run: prog=guarded data=00*14 ret=0
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net_device {
	unsigned int mtu;
	int ifindex;
	char name[16];
};

struct sk_buff {
	struct net_device *dev;
	unsigned int len;
	unsigned int data_len;
	__u32 priority;
	__u8 pkt_type : 3;
};

struct sk_buff___skep {
	int no_such_field;
};

struct no_such_struct {
	int x;
};

/* The context as a CO-RE type: its layout is the UAPI's. */
struct __sk_buff___skep {
	__u32 len;
	__u32 mark;
	__u32 protocol;
};

#pragma clang attribute pop

enum bpf_map_type___skep {
	BPF_MAP_TYPE_LRU_HASH___skep = 1000,
	BPF_MAP_TYPE_NO_SUCH___skep = 1001,
};

SEC("socket")
int fields(struct __sk_buff *ctx)
{
	if (!bpf_core_field_exists(struct sk_buff, len))
		return 1;
	if (bpf_core_field_exists(struct sk_buff___skep, no_such_field))
		return 2;
	if (bpf_core_field_size(struct sk_buff, len) != 4)
		return 3;
	if (bpf_core_field_size(struct net_device, name) != 16)
		return 4;
	/* len and data_len are neighbours in every kernel so far. */
	if (bpf_core_field_offset(struct sk_buff, data_len) -
		    bpf_core_field_offset(struct sk_buff, len) != 4)
		return 5;
	/* The first field is elsewhere than in the definition above. */
	if (bpf_core_field_offset(struct net_device, mtu) == 0)
		return 6;
	return 0;
}

SEC("socket")
int types(struct __sk_buff *ctx)
{
	if (!bpf_core_type_exists(struct sk_buff))
		return 1;
	if (bpf_core_type_exists(struct no_such_struct))
		return 2;
	if (bpf_core_type_size(struct sk_buff) < 100)
		return 3;
	if (bpf_core_type_id_kernel(struct sk_buff) == 0)
		return 4;
	if (bpf_core_type_id_local(struct sk_buff) == 0)
		return 5;
	return 0;
}

SEC("socket")
int enums(struct __sk_buff *ctx)
{
	if (bpf_core_enum_value(enum bpf_map_type___skep, BPF_MAP_TYPE_LRU_HASH___skep) != 9)
		return 1;
	if (!bpf_core_enum_value_exists(enum bpf_map_type___skep, BPF_MAP_TYPE_LRU_HASH___skep))
		return 2;
	if (bpf_core_enum_value_exists(enum bpf_map_type___skep, BPF_MAP_TYPE_NO_SUCH___skep))
		return 3;
	return 0;
}

/* A bit-field is read as the bytes around it, then shifted left and right. */
SEC("socket")
int bitfield(struct __sk_buff *ctx)
{
	struct sk_buff *skb = 0;

	if (__CORE_RELO(skb, pkt_type, LSHIFT_U64) > 61)
		return 1;
	if (__CORE_RELO(skb, pkt_type, RSHIFT_U64) != 61)
		return 2;
	if (__CORE_RELO(skb, pkt_type, SIGNED))
		return 3;
	if (__CORE_RELO(skb, pkt_type, BYTE_SIZE) > 8)
		return 4;
	return 0;
}

/*
 * A load whose offset and width are relocated: the definition above has len at
 * 0, mark at 4, protocol at 8, as struct __sk_buff has len, pkt_type, mark.
 */
SEC("socket")
int access(struct __sk_buff *ctx)
{
	struct __sk_buff___skep *skb = (void *)ctx;

	if (skb->len != ctx->len)
		return 1;
	if (skb->mark != ctx->mark)
		return 2;
	if (skb->protocol != ctx->protocol)
		return 3;
	return 0;
}

/* What a missing field would need is poisoned, and dead. */
SEC("socket")
int guarded(struct __sk_buff *ctx)
{
	struct sk_buff___skep *skb = (void *)ctx;

	if (bpf_core_field_exists(skb->no_such_field))
		return skb->no_such_field;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
