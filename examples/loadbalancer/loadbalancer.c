/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An XDP layer-4 load balancer.
 *
 * A TCP or UDP packet to a service is sent back out of the device it came in
 * by, to one of the service's backends: the destination MAC and IP address and
 * port become the backend's, and the checksums are updated incrementally. The
 * backend is chosen by rendezvous hashing of the flow, and remembered in a
 * connection table, so that a flow stays where it is when backends come or go.
 */
#include "parse.h"

#define SERVICES 256
#define BACKENDS 16
#define CONNECTIONS 16384

/* IPv4 addresses are held as IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2). */
struct address {
	__be32 words[4];
};

#define MAPPED_PREFIX bpf_htonl(0x0000ffff)
#define IPV4(a, b, c, d)                                                       \
	{ { 0, 0, MAPPED_PREFIX,                                               \
	    bpf_htonl((a) << 24 | (b) << 16 | (c) << 8 | (d)) } }
#define IPV6(a, b, c, d)                                                       \
	{ { bpf_htonl(a), bpf_htonl(b), bpf_htonl(c), bpf_htonl(d) } }

struct flow {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 protocol;
};

#define FLOW_WORDS (sizeof(struct flow) / sizeof(__u32))

/* A service with the address :: answers for the port on every address. */
struct service_key {
	struct address address;
	__u16 port;
	__u16 protocol;
};

/* A service's backends are slots first .. first+count-1 of the table. */
struct service {
	__u32 first;
	__u32 count;
};

/* Port 0 keeps the port that the client asked for. */
struct backend {
	struct address address4;
	struct address address6;
	__u8 mac[ETH_ALEN];
	__u16 port;
};

struct connection {
	__u32 backend;
	__u32 ip_version;
	__u64 packets;
};

struct counter {
	__u64 packets;
	__u64 bytes;
	__u64 connections;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVICES);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONNECTIONS);
	__type(key, struct flow);
	__type(value, struct connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

/*
 * What is served when the maps say nothing: so the object does something as it
 * is. A loader that fills the maps clears `use_defaults`.
 */
const volatile bool use_defaults = true;

struct default_service {
	__u16 port;
	__u16 protocol;
	struct service service;
};

const volatile struct default_service default_services[] = {
	{ 80, IPPROTO_TCP, { .first = 0, .count = 4 } },
	{ 443, IPPROTO_TCP, { .first = 0, .count = 4 } },
	{ 8000, IPPROTO_TCP, { .first = 0, .count = 4 } },
	{ 53, IPPROTO_UDP, { .first = 4, .count = 2 } },
	{ 53, IPPROTO_TCP, { .first = 4, .count = 2 } },
};

#define DEFAULT_SERVICES \
	(sizeof(default_services) / sizeof(default_services[0]))

const volatile struct backend default_backends[] = {
	{ IPV4(10, 1, 0, 1), IPV6(0xfd000001, 0, 0, 1), { 2, 0, 0, 1, 0, 1 }, 0 },
	{ IPV4(10, 1, 0, 2), IPV6(0xfd000001, 0, 0, 2), { 2, 0, 0, 1, 0, 2 }, 0 },
	{ IPV4(10, 1, 0, 3), IPV6(0xfd000001, 0, 0, 3), { 2, 0, 0, 1, 0, 3 }, 8080 },
	{ IPV4(10, 1, 0, 4), IPV6(0xfd000001, 0, 0, 4), { 2, 0, 0, 1, 0, 4 }, 8080 },
	{ IPV4(10, 1, 1, 1), IPV6(0xfd000001, 0, 1, 1), { 2, 0, 0, 1, 1, 1 }, 5353 },
	{ IPV4(10, 1, 1, 2), IPV6(0xfd000001, 0, 1, 2), { 2, 0, 0, 1, 1, 2 }, 0 },
};

#define DEFAULT_BACKENDS \
	(sizeof(default_backends) / sizeof(default_backends[0]))

/* Changing the seed spreads flows anew. */
const volatile __u32 hash_seed = 0x5eed;

__u64 balanced;
__u64 not_served;
__u64 no_backend;

/* The mixing steps of Bob Jenkins' lookup3 hash, which is in the public domain. */
static __always_inline __u32 rotate(__u32 x, int k)
{
	return x << k | x >> (32 - k);
}

#define MIX(a, b, c)                                                           \
	do {                                                                   \
		a -= c; a ^= rotate(c, 4);  c += b;                            \
		b -= a; b ^= rotate(a, 6);  a += c;                            \
		c -= b; c ^= rotate(b, 8);  b += a;                            \
		a -= c; a ^= rotate(c, 16); c += b;                            \
		b -= a; b ^= rotate(a, 19); a += c;                            \
		c -= b; c ^= rotate(b, 4);  b += a;                            \
	} while (0)

#define FINAL(a, b, c)                                                         \
	do {                                                                   \
		c ^= b; c -= rotate(b, 14);                                    \
		a ^= c; a -= rotate(c, 11);                                    \
		b ^= a; b -= rotate(a, 25);                                    \
		c ^= b; c -= rotate(b, 16);                                    \
		a ^= c; a -= rotate(c, 4);                                     \
		b ^= a; b -= rotate(a, 14);                                    \
		c ^= b; c -= rotate(b, 24);                                    \
	} while (0)

static __noinline __u32 hash_flow(const struct flow *flow, __u32 seed)
{
	const __u32 *words = (const __u32 *)flow;
	__u32 a, b, c;

	a = b = c = 0xdeadbeef + sizeof(*flow) + seed;
	for (__u32 i = 0; i + 3 < FLOW_WORDS; i += 3) {
		a += words[i];
		b += words[i + 1];
		c += words[i + 2];
		MIX(a, b, c);
	}
	a += words[FLOW_WORDS - 1];
	FINAL(a, b, c);
	return c;
}

_Static_assert(FLOW_WORDS % 3 == 1, "hash_flow() takes the last word alone");

/*
 * Rendezvous hashing: each backend draws a number from the flow's hash and its
 * own slot, and the highest wins. When a backend goes, only its flows move.
 *
 * Not static: the verifier checks a global function by itself, from its BTF
 * prototype, for whatever arguments it may get.
 */
__noinline __u32 choose_backend(__u32 hash, __u32 first, __u32 count)
{
	__u32 best = first, best_weight = 0;

	for (__u32 i = 0; i < BACKENDS; i++) {
		__u32 a = first + i, b = hash, c = hash_seed;

		if (i >= count)
			break;
		FINAL(a, b, c);
		if (c > best_weight) {
			best_weight = c;
			best = first + i;
		}
	}
	return best;
}

static __always_inline bool is_empty(const struct address *a)
{
	return !(a->words[0] | a->words[1] | a->words[2] | a->words[3]);
}

static __always_inline bool find_service(const struct flow *flow,
					 struct service *found)
{
	struct service_key key = {
		.address = flow->destination,
		.port = bpf_ntohs(flow->destination_port),
		.protocol = flow->protocol,
	};
	struct service *service = bpf_map_lookup_elem(&services, &key);

	if (!service) {
		__builtin_memset(&key.address, 0, sizeof(key.address));
		service = bpf_map_lookup_elem(&services, &key);
	}
	if (service) {
		*found = *service;
		return true;
	}
	if (!use_defaults)
		return false;
	for (__u32 i = 0; i < DEFAULT_SERVICES; i++) {
		if (default_services[i].port != key.port ||
		    default_services[i].protocol != key.protocol)
			continue;
		found->first = default_services[i].service.first;
		found->count = default_services[i].service.count;
		return true;
	}
	return false;
}

static __noinline bool find_backend(__u32 slot, struct backend *found)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);

	if (!backend)
		return false;
	if (!is_empty(&backend->address4) || !is_empty(&backend->address6)) {
		*found = *backend;
		return true;
	}
	if (!use_defaults || slot >= DEFAULT_BACKENDS)
		return false;
	for (__u32 i = 0; i < sizeof(*found) / sizeof(__u16); i++)
		((__u16 *)found)[i] =
			((const volatile __u16 *)&default_backends[slot])[i];
	return true;
}

/* The connection's backend if it has one, else a new choice, remembered. */
static __always_inline __u32 find_connection(const struct flow *flow,
					     const struct service *service,
					     __u32 ip_version, bool *is_new)
{
	struct connection *known = bpf_map_lookup_elem(&connections, flow);
	struct connection fresh = { .ip_version = ip_version, .packets = 1 };

	if (known) {
		__sync_fetch_and_add(&known->packets, 1);
		*is_new = false;
		return known->backend;
	}
	fresh.backend = choose_backend(hash_flow(flow, hash_seed),
				       service->first, service->count);
	bpf_map_update_elem(&connections, flow, &fresh, BPF_ANY);
	*is_new = true;
	return fresh.backend;
}

static __always_inline void count(__u32 slot, __u64 bytes, bool is_new)
{
	struct counter *counter = bpf_map_lookup_elem(&counters, &slot);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
	counter->connections += is_new;
}

/* Folds a 32-bit ones' complement sum to 16 bits. */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * The checksum after the bytes with the difference `diff` were replaced:
 * HC' = ~(~HC + ~m + m') (RFC 1624, eqn. 3), where diff is ~m + m'.
 */
static __always_inline __sum16 update_checksum(__sum16 check, __u64 diff)
{
	return ~fold((__u16)~check + diff);
}

/* Rewrites the destination port; returns what that adds to a checksum's diff. */
static __always_inline __u32 rewrite_port(__be16 *port, __u16 new_port)
{
	__be16 old = *port;

	if (!new_port)
		return 0;
	*port = bpf_htons(new_port);
	return (__u16)~old + *port;
}

static __always_inline bool rewrite_transport(struct cursor *c, __u32 protocol,
					      __u16 new_port, __u64 diff)
{
	struct tcphdr *tcp;
	struct udphdr *udp;

	if (protocol == IPPROTO_TCP) {
		tcp = take_tcp(c);
		if (!tcp)
			return false;
		diff += rewrite_port(&tcp->dest, new_port);
		tcp->check = update_checksum(tcp->check, diff);
		return true;
	}
	udp = take_udp(c);
	if (!udp)
		return false;
	diff += rewrite_port(&udp->dest, new_port);
	/* Zero means "no checksum", over IPv4; a computed zero is sent as ones. */
	if (udp->check) {
		udp->check = update_checksum(udp->check, diff);
		if (!udp->check)
			udp->check = 0xffff;
	}
	return true;
}

static __always_inline void rewrite_ethernet(struct ethhdr *ethernet,
					     const struct backend *backend)
{
	__builtin_memcpy(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, backend->mac, ETH_ALEN);
}

/* Takes the ports at the cursor, leaving the cursor where it was. */
static __always_inline bool load_ports(const struct cursor *c,
				       struct flow *flow)
{
	struct cursor copy = *c;
	struct tcphdr *tcp;
	struct udphdr *udp;

	switch (flow->protocol) {
	case IPPROTO_TCP:
		tcp = take_tcp(&copy);
		if (!tcp)
			return false;
		flow->source_port = tcp->source;
		flow->destination_port = tcp->dest;
		return true;
	case IPPROTO_UDP:
		udp = take_udp(&copy);
		if (!udp)
			return false;
		flow->source_port = udp->source;
		flow->destination_port = udp->dest;
		return true;
	default:
		return false;
	}
}

/* The way of a flow to its backend; false when it is not ours to send. */
static __always_inline bool route(const struct flow *flow, __u32 ip_version,
				  __u64 bytes, struct backend *backend)
{
	struct service service;
	bool is_new;
	__u32 slot;

	if (!find_service(flow, &service)) {
		__sync_fetch_and_add(&not_served, 1);
		return false;
	}
	if (!service.count) {
		__sync_fetch_and_add(&no_backend, 1);
		return false;
	}
	slot = find_connection(flow, &service, ip_version, &is_new);
	if (!find_backend(slot, backend)) {
		__sync_fetch_and_add(&no_backend, 1);
		return false;
	}
	count(slot, bytes, is_new);
	__sync_fetch_and_add(&balanced, 1);
	return true;
}

static __always_inline int balance_ipv4(struct cursor *c,
					struct ethhdr *ethernet, __u64 bytes)
{
	struct iphdr *ip = take_ipv4(c);
	struct backend backend = {};
	struct flow flow = {};
	__be32 old, new;
	__s64 diff;

	if (!ip || ip->version != 4 || ip->ihl < 5 || !skip_ipv4_options(c, ip))
		return XDP_PASS;
	/* Only the first fragment has ports: leave all of them to the host. */
	if (ip->frag_off &
	    bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET))
		return XDP_PASS;

	flow.protocol = ip->protocol;
	flow.source.words[2] = MAPPED_PREFIX;
	flow.source.words[3] = ip->saddr;
	flow.destination.words[2] = MAPPED_PREFIX;
	flow.destination.words[3] = ip->daddr;
	if (!load_ports(c, &flow) || !route(&flow, 4, bytes, &backend))
		return XDP_PASS;

	old = ip->daddr;
	new = backend.address4.words[3];
	diff = bpf_csum_diff(&old, sizeof(old), &new, sizeof(new), 0);
	if (diff < 0 ||
	    !rewrite_transport(c, flow.protocol, backend.port, diff))
		return XDP_PASS;
	ip->daddr = new;
	ip->check = update_checksum(ip->check, diff);
	rewrite_ethernet(ethernet, &backend);
	return XDP_TX;
}

static __always_inline int balance_ipv6(struct cursor *c,
					struct ethhdr *ethernet, __u64 bytes)
{
	struct ipv6hdr *ip = take_ipv6(c);
	struct backend backend = {};
	struct flow flow = {};
	__u16 fragment = 0;
	int protocol;
	__s64 diff;

	if (!ip || ip->version != 6)
		return XDP_PASS;
	protocol = skip_ipv6_extensions(c, ip->nexthdr, &fragment);
	if (protocol < 0 ||
	    fragment & (IPV6_FRAGMENT_OFFSET | IPV6_MORE_FRAGMENTS))
		return XDP_PASS;

	flow.protocol = protocol;
	__builtin_memcpy(&flow.source, &ip->saddr, sizeof(flow.source));
	__builtin_memcpy(&flow.destination, &ip->daddr, sizeof(flow.destination));
	if (!load_ports(c, &flow) || !route(&flow, 6, bytes, &backend))
		return XDP_PASS;

	diff = bpf_csum_diff(flow.destination.words, sizeof(flow.destination),
			     backend.address6.words, sizeof(backend.address6),
			     0);
	if (diff < 0 ||
	    !rewrite_transport(c, flow.protocol, backend.port, diff))
		return XDP_PASS;
	__builtin_memcpy(&ip->daddr, &backend.address6, sizeof(ip->daddr));
	rewrite_ethernet(ethernet, &backend);
	return XDP_TX;
}

SEC("xdp")
int loadbalancer(struct xdp_md *ctx)
{
	struct cursor c = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	__u64 bytes = c.end - c.pos;
	struct ethhdr *ethernet = take_ethernet(&c);

	if (!ethernet)
		return XDP_PASS;
	switch (skip_vlan_tags(&c, ethernet->h_proto)) {
	case bpf_htons(ETH_P_IP):
		return balance_ipv4(&c, ethernet, bytes);
	case bpf_htons(ETH_P_IPV6):
		return balance_ipv6(&c, ethernet, bytes);
	default:
		return XDP_PASS;
	}
}

char _license[] SEC("license") = "Dual BSD/GPL";
