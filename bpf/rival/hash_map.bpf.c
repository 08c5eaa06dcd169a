/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The rival of `bench kernel-only`: the same records into a BPF hash map, which is what one would write
 * first. It checks less than the aggregator and keeps no books, so the comparison favours it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../aggregate.h"

#define CHUNK_RECORDS 16

/* Bytes in front of the payload. */
const volatile __u32 payload_offset = 8;

struct sums {
	__u64 count;
	__u64 sum;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, __u64);
	__type(value, struct sums);
} rival_sums SEC(".maps");

struct chunk {
	struct nx_record records[CHUNK_RECORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct chunk);
} rival_scratch SEC(".maps");

struct run {
	struct __sk_buff *skb;
	__u32 offset, left;
};

static long add_chunk(__u32 iteration, struct run *run)
{
	__u32 zero = 0, count = run->left;
	struct chunk *chunk = bpf_map_lookup_elem(&rival_scratch, &zero);

	if (!chunk || count == 0)
		return 1;
	if (count > CHUNK_RECORDS)
		count = CHUNK_RECORDS;
	__u32 bytes = count * sizeof(struct nx_record);
	if (bytes < sizeof(struct nx_record) || bytes > sizeof(*chunk))
		return 1;
	if (bpf_skb_load_bytes(run->skb, run->offset, chunk, bytes))
		return 1;
	for (__u32 i = 0; i < CHUNK_RECORDS; i++) {
		if (i >= count)
			break;
		__u64 key = *(__u64 *)&chunk->records[i];
		__u64 value = chunk->records[i].value;
		struct sums *sums = bpf_map_lookup_elem(&rival_sums, &key);

		if (sums) {
			__sync_fetch_and_add(&sums->count, 1);
			__sync_fetch_and_add(&sums->sum, value);
		} else {
			struct sums first = { .count = 1, .sum = value };

			bpf_map_update_elem(&rival_sums, &key, &first, BPF_ANY);
		}
	}
	run->offset += bytes;
	run->left -= count;
	return 0;
}

SEC("socket")
int rival_aggregate(struct __sk_buff *skb)
{
	struct nx_header header;
	__u32 offset = payload_offset;

	if (bpf_skb_load_bytes(skb, offset, &header, sizeof(header)) || header.magic != NX_MAGIC ||
	    header.kind != NX_KIND_RECORDS ||
	    offset + sizeof(header) + header.count * sizeof(struct nx_record) != skb->len)
		return 0;
	struct run run = { .skb = skb, .offset = offset + sizeof(header), .left = header.count };

	bpf_loop(256, add_chunk, &run, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
