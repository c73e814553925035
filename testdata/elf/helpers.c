/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers that any program may call. What they return is compared here, for
 * time, randomness and the CPU are different in each run.
 *
 * run: prog=time data=00*14 ret=0
 * run: prog=cpu data=00*14 ret=0
 * run: prog=random data=00*14 ret=0
 * run: prog=strings data=00*14 ret=0
 * run: prog=csum data=00*14 ret=0
 * run: prog=percpu data=00*14 ret=0
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} slots SEC(".maps");

#define CHECK(step, condition)                                                 \
	do {                                                                   \
		if (!(condition))                                              \
			return step;                                           \
	} while (0)

SEC("xdp")
int time(struct xdp_md *ctx)
{
	__u64 a = bpf_ktime_get_ns(), b = bpf_ktime_get_ns();

	CHECK(1, b >= a);
	a = bpf_ktime_get_boot_ns();
	b = bpf_ktime_get_coarse_ns();
	CHECK(2, a && b);
	CHECK(3, bpf_jiffies64());
	return 0;
}

SEC("xdp")
int cpu(struct xdp_md *ctx)
{
	CHECK(1, bpf_get_smp_processor_id() < 4096);
	CHECK(2, (__s32)bpf_get_numa_node_id() >= -1);
	return 0;
}

/* Eight draws of 32 bits that are all alike would be no accident. */
SEC("xdp")
int random(struct xdp_md *ctx)
{
	__u32 first = bpf_get_prandom_u32();

	for (int i = 0; i < 8; i++)
		if (bpf_get_prandom_u32() != first)
			return 0;
	return 1;
}

SEC("xdp")
int strings(struct xdp_md *ctx)
{
	static const char digits[] = "-17 is it";
	static const char format[] = "%d %s %x";
	char word[] = "skep", buffer[16];
	__u64 arguments[3];
	long number = 0;

	CHECK(1, bpf_strncmp(word, sizeof(word), "skep") == 0);
	CHECK(2, bpf_strncmp(word, sizeof(word), "skeq") < 0);
	CHECK(3, bpf_strncmp(word, sizeof(word), "ske") > 0);
	CHECK(4, bpf_strtol(digits, sizeof(digits), 10, &number) == 3);
	CHECK(5, number == -17);
	arguments[0] = -3;
	arguments[1] = (__u64)digits;
	arguments[2] = 0xff;
	/* "-3 -17 is it ff": the length counts the NUL. */
	CHECK(6, bpf_snprintf(buffer, sizeof(buffer), format, arguments, sizeof(arguments)) == 16);
	CHECK(7, buffer[0] == '-' && buffer[13] == 'f' && buffer[15] == 0);
	return 0;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

SEC("xdp")
int csum(struct xdp_md *ctx)
{
	__be32 from[2] = { bpf_htonl(0x01020304), bpf_htonl(0x05060708) };
	__be32 to[1] = { bpf_htonl(0xfffefdfc) };
	__u16 from_sum[2];
	__s64 sum;

	sum = bpf_csum_diff(0, 0, from, sizeof(from), 0);
	CHECK(1, fold(sum) == bpf_htons(0x0102 + 0x0304 + 0x0506 + 0x0708));
	from_sum[0] = fold(sum);
	from_sum[1] = fold(bpf_csum_diff(0, 0, to, sizeof(to), 0));
	sum = bpf_csum_diff(from, sizeof(from), 0, 0, sum);
	CHECK(2, fold(sum) == 0xffff || fold(sum) == 0);
	sum = bpf_csum_diff(from, sizeof(from), to, sizeof(to), 7);
	CHECK(3, fold(sum) ==
			 fold((__u64)from_sum[1] + (__u16)~from_sum[0] + 7));
	/* An odd byte at the end is the first of a word. */
	sum = bpf_csum_diff(0, 0, from, 3, 0);
	CHECK(4, fold(sum) == bpf_htons(0x0102 + 0x0300));
	return 0;
}

SEC("xdp")
int percpu(struct xdp_md *ctx)
{
	__u32 key = 0, cpu = bpf_get_smp_processor_id();
	__u64 *own = bpf_map_lookup_elem(&slots, &key);
	__u64 *same = bpf_map_lookup_percpu_elem(&slots, &key, cpu);

	CHECK(1, own && same);
	*own = 77;
	CHECK(2, *same == 77);
	CHECK(3, !bpf_map_lookup_percpu_elem(&slots, &key, 100000));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
