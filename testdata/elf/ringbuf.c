/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring buffer: records reserved and submitted, discarded, and copied in.
 * Each run of `produce` leaves two records for a reader: the reserved one, with
 * `kind` 1, and the copied one, with `kind` 3.
 *
 * run: prog=produce data=00*20 ret=0
 * run: prog=fill data=00*14 ret=3
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define EINVAL 22

struct record {
	__u32 kind;
	__u32 length;
	__u8 name[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} small SEC(".maps");

SEC("xdp")
int produce(struct xdp_md *ctx)
{
	struct record copied = { .kind = 3, .name = "copied" };
	struct record *record;
	__u32 length = ctx->data_end - ctx->data;
	__u64 before;

	if (bpf_ringbuf_query(&records, BPF_RB_RING_SIZE) != 4096)
		return 1;
	before = bpf_ringbuf_query(&records, BPF_RB_PROD_POS);

	record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);
	if (!record)
		return 2;
	record->kind = 1;
	record->length = length;
	__builtin_memcpy(record->name, "submit\0", 8);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);

	record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);
	if (!record)
		return 3;
	record->kind = 2;
	bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);

	copied.length = length;
	if (bpf_ringbuf_output(&records, &copied, sizeof(copied), 0))
		return 4;
	if (bpf_ringbuf_output(&records, &copied, sizeof(copied), 77) != -EINVAL)
		return 5;
	/* Each record has a header of 8 bytes. */
	if (bpf_ringbuf_query(&records, BPF_RB_PROD_POS) - before != 3 * 24)
		return 6;
	return 0;
}

/* Returns how many records of 1000 bytes fit in 4096, at most, and takes none. */
SEC("xdp")
int fill(struct xdp_md *ctx)
{
	__u64 *a, *b, *c, *d, *e;
	int count = 0;

	/* What a reservation leaves when it is discarded stays used till read. */
	if (bpf_ringbuf_query(&small, BPF_RB_AVAIL_DATA))
		return 3;
	a = bpf_ringbuf_reserve(&small, 1000, 0);
	b = bpf_ringbuf_reserve(&small, 1000, 0);
	c = bpf_ringbuf_reserve(&small, 1000, 0);
	d = bpf_ringbuf_reserve(&small, 2000, 0);
	e = bpf_ringbuf_reserve(&small, 1 << 20, 0);
	if (a) {
		count++;
		bpf_ringbuf_discard(a, 0);
	}
	if (b) {
		count++;
		bpf_ringbuf_discard(b, 0);
	}
	if (c) {
		count++;
		bpf_ringbuf_discard(c, 0);
	}
	if (d) {
		count += 10;
		bpf_ringbuf_discard(d, 0);
	}
	if (e) {
		count += 100;
		bpf_ringbuf_discard(e, 0);
	}
	return count;
}

char _license[] SEC("license") = "Dual BSD/GPL";
