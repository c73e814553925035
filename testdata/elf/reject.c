/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that the verifier refuses, each for a reason of its own. `log` is a
 * part of the line that says why.
 *
 * reject: prog=packet_bounds errno=EACCES log="invalid access to packet"
 * reject: prog=stale_packet_pointer errno=EACCES log="invalid mem access 'scalar'"
 * reject: prog=null_check errno=EACCES log="invalid mem access 'map_value_or_null'"
 * reject: prog=value_bounds errno=EACCES log="invalid access to map value"
 * reject: prog=value_index errno=EACCES log="unbounded memory access"
 * reject: prog=read_only errno=EACCES log="write into map forbidden"
 * reject: prog=uninitialised errno=EACCES log="R5 !read_ok"
 * reject: prog=stack_bounds errno=EACCES log="invalid write to stack"
 * reject: prog=endless errno=EINVAL log="infinite loop detected"
 * reject: prog=unreachable errno=EINVAL log="unreachable insn"
 * reject: prog=leaked_record errno=EINVAL log="Unreleased reference"
 * reject: prog=used_after_release errno=EACCES log="invalid mem access 'scalar'"
 * reject: prog=other_types_helper errno=EINVAL log="program of this type cannot use helper bpf_skb_load_bytes#26"
 * reject: prog=context_write errno=EACCES log="invalid bpf_context access off=0 size=4"
 * reject: prog=context_bounds errno=EACCES log="invalid bpf_context access off=64 size=4"
 * reject: prog=map_arithmetic errno=EACCES log="pointer arithmetic on map_ptr prohibited"
 * reject: prog=frame_pointer errno=EACCES log="frame pointer is read only"
 * reject: prog=combined_stack errno=EACCES log="combined stack size of 2 calls is"
 * reject: prog=scalar_pointer errno=EACCES log="invalid mem access 'scalar'"
 * reject: prog=wrong_map errno=EINVAL log="cannot pass map_type 2 into func bpf_ringbuf_reserve#131"
 * reject: prog=no_result errno=EACCES log="R0 !read_ok"
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[4]);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} records SEC(".maps");

const volatile __u32 constant = 1;

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define DATA_END(ctx) ((void *)(long)(ctx)->data_end)

SEC("xdp")
int packet_bounds(struct xdp_md *ctx)
{
	__u8 *data = DATA(ctx);

	if (data + 14 > (__u8 *)DATA_END(ctx))
		return 0;
	return data[14];
}

SEC("xdp")
int stale_packet_pointer(struct xdp_md *ctx)
{
	__u8 *data = DATA(ctx);

	if (data + 14 > (__u8 *)DATA_END(ctx))
		return 0;
	bpf_xdp_adjust_head(ctx, 4);
	return data[0];
}

SEC("xdp")
int null_check(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index;
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	return *value;
}

SEC("xdp")
int value_bounds(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	return value ? value[4] : 0;
}

SEC("xdp")
int value_index(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	return value ? value[ctx->rx_queue_index] : 0;
}

SEC("xdp")
int read_only(struct xdp_md *ctx)
{
	*(volatile __u32 *)&constant = 2;
	return 0;
}

SEC("xdp")
__attribute__((naked)) int uninitialised(void)
{
	asm volatile("r0 = r5; exit;");
}

SEC("xdp")
__attribute__((naked)) int stack_bounds(void)
{
	asm volatile("r1 = 0; *(u64 *)(r10 - 520) = r1; r0 = 0; exit;");
}

SEC("xdp")
__attribute__((naked)) int endless(void)
{
	asm volatile("r0 = 0; 1: if r0 == 1 goto 2f; goto 1b; 2: exit;");
}

SEC("xdp")
__attribute__((naked)) int unreachable(void)
{
	asm volatile("r0 = 0; exit; r0 = 1; exit;");
}

SEC("xdp")
int leaked_record(struct xdp_md *ctx)
{
	return bpf_ringbuf_reserve(&records, 8, 0) != 0;
}

SEC("xdp")
int used_after_release(struct xdp_md *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&records, 8, 0);

	if (!record)
		return 0;
	bpf_ringbuf_discard(record, 0);
	return *record;
}

SEC("xdp")
int other_types_helper(struct xdp_md *ctx)
{
	__u32 word;

	return bpf_skb_load_bytes(ctx, 0, &word, sizeof(word));
}

SEC("xdp")
int context_write(struct xdp_md *ctx)
{
	ctx->data = 0;
	return 0;
}

SEC("xdp")
int context_bounds(struct xdp_md *ctx)
{
	return ((volatile __u32 *)ctx)[16];
}

SEC("xdp")
__attribute__((naked)) int map_arithmetic(void)
{
	asm volatile("r1 = %[map] ll; r2 = *(u32 *)(r1 + 0); r1 += r2; r0 = 0; exit;"
		     :
		     : [map] "i"(&values));
}

SEC("xdp")
__attribute__((naked)) int frame_pointer(void)
{
	asm volatile("r10 = 0; r0 = 0; exit;");
}

static __noinline int big_frame(int x)
{
	volatile char buffer[300];

	for (int i = 0; i < 300; i++)
		buffer[i] = x;
	return buffer[x & 0xff];
}

SEC("xdp")
int combined_stack(struct xdp_md *ctx)
{
	volatile char buffer[300];

	for (int i = 0; i < 300; i++)
		buffer[i] = i;
	return big_frame(buffer[7]);
}

SEC("xdp")
int scalar_pointer(struct xdp_md *ctx)
{
	return *(volatile __u32 *)(long)bpf_ktime_get_ns();
}

SEC("xdp")
int wrong_map(struct xdp_md *ctx)
{
	void *record = bpf_ringbuf_reserve(&values, 8, 0);

	if (record)
		bpf_ringbuf_discard(record, 0);
	return 0;
}

SEC("xdp")
__attribute__((naked)) int no_result(void)
{
	asm volatile("exit;");
}

char _license[] SEC("license") = "Dual BSD/GPL";
