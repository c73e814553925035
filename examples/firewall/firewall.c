/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An XDP firewall.
 *
 * A packet is dropped when it is malformed, comes from an address that cannot
 * be a source on the wire, is a tiny fragment, matches a deny rule, or comes
 * from a source that takes more than its share. Everything else passes.
 */
#include "parse.h"

#define RULES 1024
#define SOURCES 16384
#define EVENT_BYTES (256 * 1024)

enum reason {
	PASS_ACCEPTED,
	PASS_ALLOW_RULE,
	PASS_NOT_IP,
	DROP_MALFORMED,
	DROP_BOGON_SOURCE,
	DROP_TINY_FRAGMENT,
	DROP_BAD_TCP_FLAGS,
	DROP_DENY_RULE,
	DROP_RATE_LIMIT,
	REASONS,
};

/* What a rule does with its prefix; the longest matching prefix decides. */
#define RULE_DENY 0
#define RULE_ALLOW 1

struct prefix4 {
	__u32 prefixlen;
	__u8 addr[4];
};

struct prefix6 {
	__u32 prefixlen;
	__u8 addr[16];
};

struct rule {
	__u32 action;
	__u32 id;
	__u64 packets;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* IPv4 addresses are held as IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2). */
struct address {
	__u8 bytes[16];
};

struct bucket {
	__u64 updated;
	__u64 tokens;
};

/*
 * One event for each drop. There is no time stamp in it, so that two runs over
 * the same packets give the same bytes.
 */
struct event {
	struct address source;
	struct address destination;
	__u16 source_port;
	__u16 destination_port;
	__u8 ip_version;
	__u8 protocol;
	__u8 reason;
	__u8 fragment;
	__u32 bytes;
	__u32 rule;
};

struct packet {
	struct address source;
	struct address destination;
	__u64 bytes;
	__u32 rule;
	__u16 source_port;
	__u16 destination_port;
	__u16 fragment;
	__u8 ip_version;
	__u8 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix4);
	__type(value, struct rule);
} rules4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix6);
	__type(value, struct rule);
} rules6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SOURCES);
	__type(key, struct address);
	__type(value, struct bucket);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_BYTES);
} events SEC(".maps");

/*
 * The rate limit is a token bucket for each source. A packet costs a token; a
 * bucket holds `burst` tokens and gains one each `token_interval` ticks. With
 * the default clock a tick is a packet that the firewall sees, whoever sent
 * it: beyond its burst a source may send one packet in `token_interval`. That
 * limits shares of the link and depends on nothing but the packets. With
 * `clock_is_time` a tick is a nanosecond.
 */
const volatile bool clock_is_time = false;
const volatile __u64 token_interval = 8;
const volatile __u64 burst = 128;

/* False keeps the counters and leaves the ring buffer alone. */
const volatile bool report_drops = true;

/* Sources that never belong on the wire (RFC 6890; RFC 1122, 3.2.1.3). */
struct network {
	__u32 address;
	__u32 mask;
};

const volatile struct network bogons[] = {
	{ 0x00000000, 0xff000000 }, /* 0.0.0.0/8       "this network" */
	{ 0x7f000000, 0xff000000 }, /* 127.0.0.0/8     loopback       */
	{ 0xc0000200, 0xffffff00 }, /* 192.0.2.0/24    documentation  */
	{ 0xe0000000, 0xe0000000 }, /* 224.0.0.0/3     multicast, reserved, broadcast */
};

__u64 packets_seen;
__u64 events_lost;

static __always_inline void set_address4(struct address *a, __be32 addr)
{
	__builtin_memset(a, 0, 10);
	a->bytes[10] = 0xff;
	a->bytes[11] = 0xff;
	__builtin_memcpy(&a->bytes[12], &addr, sizeof(addr));
}

static __always_inline bool is_bogon4(const struct iphdr *ip)
{
	__u32 source = bpf_ntohl(ip->saddr);

	/* A DHCP client has no address yet (RFC 2131, 4.1). */
	if (source == 0 && ip->daddr == bpf_htonl(INADDR_BROADCAST))
		return false;
	/* A packet from its own destination is a LAND attack. */
	if (ip->saddr == ip->daddr)
		return true;
	for (__u32 i = 0; i < sizeof(bogons) / sizeof(bogons[0]); i++)
		if ((source & bogons[i].mask) == bogons[i].address)
			return true;
	return false;
}

static __always_inline bool is_bogon6(const struct ipv6hdr *ip)
{
	const __be32 *source = ip->saddr.in6_u.u6_addr32;

	if (ip->saddr.in6_u.u6_addr8[0] == 0xff)
		return true;
	/* ::1; the unspecified address is how a host looks for duplicates. */
	return !source[0] && !source[1] && !source[2] &&
	       source[3] == bpf_htonl(1);
}

static __always_inline bool has_bad_flags(const struct tcphdr *tcp)
{
	if (tcp->syn && (tcp->fin || tcp->rst))
		return true;
	if (tcp->fin && !tcp->ack)
		return true;
	return !tcp->syn && !tcp->ack && !tcp->rst;
}

/* Checks the transport header, as far as this fragment carries one. */
static __always_inline enum reason check_transport(struct cursor *c,
						   struct packet *p)
{
	struct tcphdr *tcp;
	struct udphdr *udp;

	switch (p->protocol) {
	case IPPROTO_TCP:
		tcp = take_tcp(c);
		if (!tcp || tcp->doff < 5)
			return DROP_MALFORMED;
		p->source_port = bpf_ntohs(tcp->source);
		p->destination_port = bpf_ntohs(tcp->dest);
		return has_bad_flags(tcp) ? DROP_BAD_TCP_FLAGS : PASS_ACCEPTED;
	case IPPROTO_UDP:
		udp = take_udp(c);
		if (!udp || bpf_ntohs(udp->len) < sizeof(*udp))
			return DROP_MALFORMED;
		p->source_port = bpf_ntohs(udp->source);
		p->destination_port = bpf_ntohs(udp->dest);
		return PASS_ACCEPTED;
	default:
		return PASS_ACCEPTED;
	}
}

static __always_inline enum reason apply_rule(struct rule *rule,
					      struct packet *p)
{
	if (!rule)
		return PASS_ACCEPTED;
	__sync_fetch_and_add(&rule->packets, 1);
	p->rule = rule->id;
	return rule->action == RULE_ALLOW ? PASS_ALLOW_RULE : DROP_DENY_RULE;
}

static __always_inline enum reason check_ipv4(struct cursor *c, struct packet *p)
{
	struct iphdr *ip = take_ipv4(c);
	struct prefix4 key = { .prefixlen = 32 };
	enum reason reason;
	__u16 fragment;

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return DROP_MALFORMED;
	p->ip_version = 4;
	p->protocol = ip->protocol;
	set_address4(&p->source, ip->saddr);
	set_address4(&p->destination, ip->daddr);

	if (bpf_ntohs(ip->tot_len) < ip->ihl * 4 ||
	    (void *)ip + bpf_ntohs(ip->tot_len) > c->end ||
	    !skip_ipv4_options(c, ip))
		return DROP_MALFORMED;
	if (is_bogon4(ip))
		return DROP_BOGON_SOURCE;

	fragment = bpf_ntohs(ip->frag_off);
	p->fragment = fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET);
	/* The second fragment may not rewrite the TCP flags (RFC 1858, 3). */
	if ((fragment & IPV4_FRAGMENT_OFFSET) == 1 && ip->protocol == IPPROTO_TCP)
		return DROP_TINY_FRAGMENT;
	if (!(fragment & IPV4_FRAGMENT_OFFSET)) {
		reason = check_transport(c, p);
		if (reason != PASS_ACCEPTED)
			return reason;
	}

	__builtin_memcpy(key.addr, &ip->saddr, sizeof(key.addr));
	return apply_rule(bpf_map_lookup_elem(&rules4, &key), p);
}

static __always_inline enum reason check_ipv6(struct cursor *c, struct packet *p)
{
	struct ipv6hdr *ip = take_ipv6(c);
	struct prefix6 key = { .prefixlen = 128 };
	enum reason reason;
	int protocol;

	if (!ip || ip->version != 6)
		return DROP_MALFORMED;
	p->ip_version = 6;
	p->protocol = ip->nexthdr;
	__builtin_memcpy(&p->source, &ip->saddr, sizeof(p->source));
	__builtin_memcpy(&p->destination, &ip->daddr, sizeof(p->destination));

	if (c->pos + bpf_ntohs(ip->payload_len) > c->end)
		return DROP_MALFORMED;
	if (is_bogon6(ip))
		return DROP_BOGON_SOURCE;

	protocol = skip_ipv6_extensions(c, ip->nexthdr, &p->fragment);
	if (protocol < 0)
		return DROP_MALFORMED;
	p->protocol = protocol;
	if (!(p->fragment & IPV6_FRAGMENT_OFFSET)) {
		reason = check_transport(c, p);
		if (reason != PASS_ACCEPTED)
			return reason;
	}

	__builtin_memcpy(key.addr, &ip->saddr, sizeof(key.addr));
	return apply_rule(bpf_map_lookup_elem(&rules6, &key), p);
}

/*
 * Takes a token from the source's bucket. Two CPUs may race on a bucket and
 * pay one token for two packets, which a rate limit can bear.
 */
static __noinline bool take_token(const struct address *source, __u64 now)
{
	struct bucket *bucket = bpf_map_lookup_elem(&sources, source);
	__u64 gained;

	if (!bucket) {
		struct bucket fresh = { .updated = now, .tokens = burst - 1 };

		/* Full of sources in use: let the packet pass uncounted. */
		bpf_map_update_elem(&sources, source, &fresh, BPF_ANY);
		return true;
	}

	gained = token_interval ? (now - bucket->updated) / token_interval : 0;
	if (gained) {
		bucket->tokens += gained;
		bucket->updated += gained * token_interval;
		if (bucket->tokens > burst)
			bucket->tokens = burst;
	}
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

/*
 * A function of its own, so that struct event is in the object's BTF: that is
 * how readers of the ring buffer know what is in it.
 */
static __noinline void describe(struct event *event, const struct packet *p,
				__u8 reason)
{
	event->source = p->source;
	event->destination = p->destination;
	event->source_port = p->source_port;
	event->destination_port = p->destination_port;
	event->ip_version = p->ip_version;
	event->protocol = p->protocol;
	event->reason = reason;
	event->fragment = p->fragment != 0;
	event->bytes = p->bytes;
	event->rule = p->rule;
}

static __always_inline void report(const struct packet *p, enum reason reason)
{
	struct event *event;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&events_lost, 1);
		return;
	}
	describe(event, p, reason);
	bpf_ringbuf_submit(event, 0);
}

static __always_inline int finish(const struct packet *p, enum reason reason)
{
	__u32 index = reason;
	struct counter *counter = bpf_map_lookup_elem(&counters, &index);

	if (counter) {
		counter->packets++;
		counter->bytes += p->bytes;
	}
	if (reason < DROP_MALFORMED)
		return XDP_PASS;
	if (report_drops)
		report(p, reason);
	return XDP_DROP;
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	struct cursor c = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	struct packet p = { .bytes = c.end - c.pos };
	__u64 now = __sync_fetch_and_add(&packets_seen, 1);
	struct ethhdr *ethernet = take_ethernet(&c);
	enum reason reason;

	if (!ethernet)
		return finish(&p, DROP_MALFORMED);

	switch (skip_vlan_tags(&c, ethernet->h_proto)) {
	case bpf_htons(ETH_P_IP):
		reason = check_ipv4(&c, &p);
		break;
	case bpf_htons(ETH_P_IPV6):
		reason = check_ipv6(&c, &p);
		break;
	case 0:
		return finish(&p, DROP_MALFORMED);
	default:
		return finish(&p, PASS_NOT_IP);
	}

	if (reason == PASS_ACCEPTED) {
		if (clock_is_time)
			now = bpf_ktime_get_ns();
		if (!take_token(&p.source, now))
			reason = DROP_RATE_LIMIT;
	}
	return finish(&p, reason);
}

char _license[] SEC("license") = "Dual BSD/GPL";
