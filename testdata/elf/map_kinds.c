/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One program for each kind of map that holds plain values. A program returns
 * 0 when the map did as it should, else the number of the step that did not.
 *
 * run: prog=hash data=00*14 ret=0
 * run: prog=array data=00*14 ret=0
 * run: prog=percpu_hash data=00*14 ret=0
 * run: prog=percpu_array data=00*14 ret=0
 * run: prog=lru_hash data=00*14 ret=0
 * run: prog=lru_percpu_hash data=00*14 ret=0
 * run: prog=lpm_trie data=00*14 ret=0
 * run: prog=queue data=00*14 ret=0
 * run: prog=stack data=00*14 ret=0
 * run: prog=no_prealloc data=00*14 ret=0
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define EEXIST 17
#define ENOENT 2
#define E2BIG 7
#define EINVAL 22

struct value {
	__u64 a;
	__u32 b;
	__u8 c[4];
};

struct prefix {
	__u32 prefixlen;
	__u8 addr[4];
};

#define KEYED_MAP(name, kind, entries, flags)                                  \
	struct {                                                               \
		__uint(type, kind);                                            \
		__uint(max_entries, entries);                                  \
		__uint(map_flags, flags);                                      \
		__type(key, __u32);                                            \
		__type(value, struct value);                                   \
	} name SEC(".maps")

KEYED_MAP(hash_map, BPF_MAP_TYPE_HASH, 2, 0);
KEYED_MAP(array_map, BPF_MAP_TYPE_ARRAY, 4, 0);
KEYED_MAP(percpu_hash_map, BPF_MAP_TYPE_PERCPU_HASH, 4, 0);
KEYED_MAP(percpu_array_map, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 0);
KEYED_MAP(lru_hash_map, BPF_MAP_TYPE_LRU_HASH, 64, 0);
KEYED_MAP(lru_percpu_hash_map, BPF_MAP_TYPE_LRU_PERCPU_HASH, 64, 0);
KEYED_MAP(no_prealloc_map, BPF_MAP_TYPE_HASH, 2, BPF_F_NO_PREALLOC);

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} lpm_trie_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 2);
	__type(value, __u32);
} queue_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 2);
	__type(value, __u32);
} stack_map SEC(".maps");

#define CHECK(step, condition)                                                 \
	do {                                                                   \
		if (!(condition))                                              \
			return step;                                           \
	} while (0)

/* What each hash table does; `limit` is false where old entries make room. */
static __always_inline int check_hash(void *map, int limit)
{
	struct value value = { .a = 1, .b = 2, .c = { 3 } };
	struct value *found;
	__u32 key = 7, other = 8, third = 9;

	/* Left over from a run before. */
	bpf_map_delete_elem(map, &key);
	bpf_map_delete_elem(map, &other);

	CHECK(1, !bpf_map_lookup_elem(map, &key));
	CHECK(2, bpf_map_delete_elem(map, &key) == -ENOENT);
	CHECK(3, bpf_map_update_elem(map, &key, &value, BPF_EXIST) == -ENOENT);
	CHECK(4, bpf_map_update_elem(map, &key, &value, BPF_NOEXIST) == 0);
	CHECK(5, bpf_map_update_elem(map, &key, &value, BPF_NOEXIST) == -EEXIST);
	CHECK(6, bpf_map_update_elem(map, &key, &value, 77) == -EINVAL);
	found = bpf_map_lookup_elem(map, &key);
	CHECK(7, found && found->a == 1 && found->b == 2 && found->c[0] == 3);
	found->a += 10;
	found = bpf_map_lookup_elem(map, &key);
	CHECK(8, found && found->a == 11);
	CHECK(9, bpf_map_update_elem(map, &key, &value, BPF_ANY) == 0);
	found = bpf_map_lookup_elem(map, &key);
	CHECK(10, found && found->a == 1);
	CHECK(11, bpf_map_update_elem(map, &other, &value, BPF_ANY) == 0);
	if (limit)
		CHECK(12, bpf_map_update_elem(map, &third, &value, BPF_ANY) == -E2BIG);
	CHECK(13, bpf_map_delete_elem(map, &key) == 0);
	CHECK(14, !bpf_map_lookup_elem(map, &key));
	CHECK(15, bpf_map_lookup_elem(map, &other));
	return 0;
}

static __always_inline int check_array(void *map)
{
	struct value value = { .a = 1, .b = 2 };
	struct value *found;
	__u32 key = 3, outside = 4;

	CHECK(1, bpf_map_lookup_elem(map, &key));
	CHECK(2, !bpf_map_lookup_elem(map, &outside));
	CHECK(3, bpf_map_update_elem(map, &key, &value, BPF_NOEXIST) == -EEXIST);
	CHECK(4, bpf_map_update_elem(map, &outside, &value, BPF_ANY) == -E2BIG);
	CHECK(5, bpf_map_update_elem(map, &key, &value, BPF_EXIST) == 0);
	found = bpf_map_lookup_elem(map, &key);
	CHECK(6, found && found->a == 1 && found->b == 2);
	CHECK(7, bpf_map_delete_elem(map, &key) == -EINVAL);
	CHECK(8, bpf_map_update_elem(map, &key, &value, 77) == -EINVAL);
	return 0;
}

SEC("xdp")
int hash(struct xdp_md *ctx)
{
	return check_hash(&hash_map, 1);
}

SEC("xdp")
int no_prealloc(struct xdp_md *ctx)
{
	return check_hash(&no_prealloc_map, 1);
}

SEC("xdp")
int array(struct xdp_md *ctx)
{
	return check_array(&array_map);
}

SEC("xdp")
int percpu_hash(struct xdp_md *ctx)
{
	return check_hash(&percpu_hash_map, 0);
}

SEC("xdp")
int percpu_array(struct xdp_md *ctx)
{
	return check_array(&percpu_array_map);
}

SEC("xdp")
int lru_hash(struct xdp_md *ctx)
{
	return check_hash(&lru_hash_map, 0);
}

SEC("xdp")
int lru_percpu_hash(struct xdp_md *ctx)
{
	return check_hash(&lru_percpu_hash_map, 0);
}

SEC("xdp")
int lpm_trie(struct xdp_md *ctx)
{
	struct prefix ten = { 8, { 10 } }, ten_one = { 16, { 10, 1 } };
	struct prefix all = { 0 }, long_key = { 33, { 10 } };
	struct prefix a = { 32, { 10, 1, 2, 3 } }, b = { 32, { 10, 2, 2, 3 } };
	struct prefix c = { 32, { 11 } }, d = { 12, { 10, 1 } };
	__u32 values[] = { 1, 2, 3 };
	__u32 *found;
	void *map = &lpm_trie_map;

	bpf_map_delete_elem(map, &all);
	CHECK(1, bpf_map_update_elem(map, &ten, &values[0], BPF_ANY) == 0);
	CHECK(2, bpf_map_update_elem(map, &ten_one, &values[1], BPF_ANY) == 0);
	found = bpf_map_lookup_elem(map, &a);
	CHECK(3, found && *found == 2);
	found = bpf_map_lookup_elem(map, &b);
	CHECK(4, found && *found == 1);
	CHECK(5, !bpf_map_lookup_elem(map, &c));
	CHECK(6, bpf_map_update_elem(map, &all, &values[2], BPF_NOEXIST) == 0);
	found = bpf_map_lookup_elem(map, &c);
	CHECK(7, found && *found == 3);
	/* 10.1.0.0/12 is not as long as 10.1.0.0/16. */
	found = bpf_map_lookup_elem(map, &d);
	CHECK(8, found && *found == 1);
	CHECK(9, bpf_map_update_elem(map, &long_key, &values[0], BPF_ANY) == -EINVAL);
	CHECK(10, bpf_map_delete_elem(map, &ten_one) == 0);
	CHECK(11, bpf_map_delete_elem(map, &ten_one) == -ENOENT);
	found = bpf_map_lookup_elem(map, &a);
	CHECK(12, found && *found == 1);
	return 0;
}

SEC("xdp")
int queue(struct xdp_md *ctx)
{
	__u32 one = 1, two = 2, three = 3, got = 9;
	void *map = &queue_map;

	CHECK(1, bpf_map_pop_elem(map, &got) == -ENOENT && got == 0);
	CHECK(2, bpf_map_push_elem(map, &one, 0) == 0);
	CHECK(3, bpf_map_push_elem(map, &two, 0) == 0);
	CHECK(4, bpf_map_push_elem(map, &three, 0) == -E2BIG);
	CHECK(5, bpf_map_push_elem(map, &three, BPF_NOEXIST) == -EINVAL);
	/* BPF_EXIST makes room: the oldest goes. */
	CHECK(6, bpf_map_push_elem(map, &three, BPF_EXIST) == 0);
	CHECK(7, bpf_map_peek_elem(map, &got) == 0 && got == 2);
	CHECK(8, bpf_map_pop_elem(map, &got) == 0 && got == 2);
	CHECK(9, bpf_map_pop_elem(map, &got) == 0 && got == 3);
	CHECK(10, bpf_map_peek_elem(map, &got) == -ENOENT);
	return 0;
}

SEC("xdp")
int stack(struct xdp_md *ctx)
{
	__u32 one = 1, two = 2, three = 3, got = 9;
	void *map = &stack_map;

	CHECK(1, bpf_map_pop_elem(map, &got) == -ENOENT && got == 0);
	CHECK(2, bpf_map_push_elem(map, &one, 0) == 0);
	CHECK(3, bpf_map_push_elem(map, &two, 0) == 0);
	CHECK(4, bpf_map_push_elem(map, &three, 0) == -E2BIG);
	CHECK(5, bpf_map_push_elem(map, &three, BPF_EXIST) == 0);
	CHECK(6, bpf_map_peek_elem(map, &got) == 0 && got == 3);
	CHECK(7, bpf_map_pop_elem(map, &got) == 0 && got == 3);
	CHECK(8, bpf_map_pop_elem(map, &got) == 0 && got != 3);
	CHECK(9, bpf_map_pop_elem(map, &got) == -ENOENT);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
