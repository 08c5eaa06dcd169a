/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The first summarization stage: a socket filter that adds the records of a datagram to a table of
 * this CPU and drops the datagram, so that user space sees sums and not datagrams.
 *
 *   table    direct-mapped slots of 16 bytes, { key, count << 40 | sum }, in ranges by part (= shard)
 *   log      what the table does not take, exactly, in ranges by part: the loser of a slot (whoever has
 *            counted only one), samples of metrics (a quantile needs each of them), large weights
 *   epoch    two of each per CPU; user space turns the epoch and reads the other one in peace
 *
 * Nothing is lost in here: a datagram for which the log might be too short is left to the socket, and
 * user space aggregates it with the same code in Wasm (drain/assembly/receive.ts).
 * The first datagram of a sender is left to the socket too: user space sees where the sender is, and
 * can ask it for its names.
 * Cost: 6-17 ns a record. The loop has one jump that depends on data; the asm statements keep LLVM
 * from turning the masks back into jumps.
 * Epoch turn: a run announces itself (busy, by an exchange: a full fence), then reads the epoch. Who
 * turns the epoch and then sees busy = 0, or another count of runs, knows that no run writes the old
 * tables: a run that was under way has ended, and a later one has read the new epoch.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "aggregate.h"
#include "layout.gen.h"

#define UDP_HEADER_BYTES 8
#define CHUNK_RECORDS 32 /* more costs seconds to verify; fewer leave the memory idle */
#define CHUNKS_MAX 128
#define SEQUENCE_TRIES 8

#define KEEP_ALL -1
#define DROP 0

/* Bits of a record's { tenant, term }, as one number, that no legal index has. */
#define RANGE_BITS (~(((1ULL << NX_TENANT_BITS) - 1) | ((1ULL << NX_TERM_BITS) - 1) << 32))

/* Key of a record from its { tenant, term }. */
#define KEY(run, raw) \
	((run)->sender_key | (raw) >> 32 | ((raw) & ((1ULL << NX_TENANT_BITS) - 1)) << NX_TENANT_SHIFT)

#define OPAQUE(x) asm volatile("" : "+r"(x))
/* 1 if x != 0, else 0, without a jump. */
#define NONZERO(x)                                \
	({                                        \
		__u64 _bits = 0 - (x);            \
		OPAQUE(_bits);                    \
		_bits |= (x);                     \
		_bits >>= 63;                     \
		OPAQUE(_bits);                    \
		_bits;                            \
	})

/* Sizes, written by the loader before the program is loaded: the verifier takes them as constants. */
const volatile __u32 slot_mask = 0;
const volatile __u32 slot_part_shift = 0; /* log2 of the slots of a part */
const volatile __u32 log_mask = 0;
const volatile __u32 log_part_shift = 0; /* log2 of the records of a part */

/* max_entries and the sizes of tables and logs are those of no machine: the loader sets them. */
#define SHARED_ARRAY(name, bytes, entries)                \
	struct {                                          \
		__uint(type, BPF_MAP_TYPE_ARRAY);         \
		__uint(max_entries, entries);             \
		__uint(key_size, sizeof(__u32));          \
		__uint(value_size, bytes);                \
		__uint(map_flags, BPF_F_MMAPABLE);        \
	} name SEC(".maps")

SHARED_ARRAY(nx_shared, sizeof(struct nx_shared), 1);
SHARED_ARRAY(nx_controls, sizeof(struct nx_control), 1); /* [cpu] */
SHARED_ARRAY(nx_fills, sizeof(struct nx_fills), 1);      /* [cpu] */
SHARED_ARRAY(nx_sender_ids, NX_SENDERS * 8, 1);
SHARED_ARRAY(nx_senders, NX_SENDERS * sizeof(struct nx_sender), 1);
SHARED_ARRAY(nx_tables, 16, 2); /* [cpu * 2 + epoch] */
SHARED_ARRAY(nx_logs, 16, 2);   /* [cpu * 2 + epoch] */

struct chunk {
	struct nx_record records[CHUNK_RECORDS];
	__u32 sets[CHUNK_RECORDS]; /* first slot of the set of each */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct chunk));
} nx_scratch SEC(".maps");

struct run {
	struct __sk_buff *skb;
	struct nx_control *control;
	struct nx_shared *shared;
	__u64 sender_key;
	__u32 cpu, epoch;
	__u32 offset; /* in the skb */
	__u32 left;   /* records not yet read */
	__u32 fullest;
	__u32 refused;
};

/* The few records that no slot may take. Returns whether `record` of the log is now used. */
static __always_inline __u32 take_rare(struct run *run, struct nx_slot *record, __u64 key, __u64 raw,
				       __u32 value, __u32 flags)
{
	__u32 reason;

	if (raw & RANGE_BITS)
		reason = NX_RECORD_REFUSED_INDEX_RANGE;
	else if (flags & ~NX_FLAG_METRIC)
		reason = NX_RECORD_REFUSED_FLAGS_UNKNOWN;
	else if (!flags && (value == 0 || value > NX_WEIGHT_MAX))
		reason = NX_RECORD_REFUSED_WEIGHT_INVALID;
	else {
		record->key = key | (__u64)flags << NX_METRIC_SHIFT;
		record->aggregate = NX_ONE + value;
		return 1;
	}
	run->control->refused_records[reason] += 1;
	run->refused += 1;
	return 0;
}

/*
 * Where the set of each record is, and a first look at it: the loads of a chunk do not depend on each
 * other, so the memory serves them side by side, before the loop that must take them in turn.
 */
static __always_inline void find_sets(struct run *run, struct chunk *chunk, struct nx_slot *table)
{
	struct nx_shared *shared = run->shared;

	/* All of them, whatever the last chunk left there: a jump here is one more path to verify. */
	for (__u32 i = 0; i < CHUNK_RECORDS; i++) {
		__u64 raw = *(__u64 *)&chunk->records[i];
		__u64 key = KEY(run, raw);
		__u32 part = shared->part_of[raw & (NX_PLACEMENTS - 1)];
		__u64 home = key * shared->multiplier >> (64 - slot_part_shift);
		__u32 set = ((__u32)home | part << slot_part_shift) & slot_mask & ~(NX_WAYS - 1);

		chunk->sets[i] = set;
		(void)*(volatile __u64 *)&table[set].key;
	}
}

static __always_inline long add_records(struct run *run, struct chunk *chunk, __u32 count)
{
	__u32 cpu = run->cpu, index = cpu * 2 + (run->epoch & 1);
	struct nx_slot *table = bpf_map_lookup_elem(&nx_tables, &index);
	struct nx_slot *log = bpf_map_lookup_elem(&nx_logs, &index);
	struct nx_fills *fills = bpf_map_lookup_elem(&nx_fills, &cpu);
	/* As __u64 the verifier would follow its range and give up after a million instructions. */
	__u32 fullest = run->fullest;

	if (!table || !log || !fills)
		return 1;
	find_sets(run, chunk, table);
	for (__u32 i = 0; i < CHUNK_RECORDS; i++) {
		if (i >= count)
			break;
		__u64 raw = *(__u64 *)&chunk->records[i]; /* tenant, then term */
		__u32 value = chunk->records[i].value, flags = chunk->records[i].flags;
		__u64 key = KEY(run, raw);
		__u32 set = chunk->sets[i];
		__u32 part = (set >> slot_part_shift) & (NX_PLACEMENTS - 1);
		__u32 fill = (run->epoch & 1) << 8 | part;
		__u32 position = fills->records[fill];
		struct nx_slot *record = &log[(part << log_part_shift | position) & log_mask];

		if ((raw & RANGE_BITS) | flags | (value - 1) >> 16) { /* rare */
			position += take_rare(run, record, key, raw, value, flags);
		} else {
			struct nx_slot *slot = &table[set & slot_mask & ~(NX_WAYS - 1)];
			__u64 increment = NX_ONE + value;
			__u64 first_key = slot[0].key, first_aggregate = slot[0].aggregate;
			__u64 second_key = slot[1].key, second_aggregate = slot[1].aggregate;
			/* The way that holds the key, or else the one that has counted less. */
			__u64 miss_first = 0 - NONZERO(first_key ^ key);
			__u64 miss_second = 0 - NONZERO(second_key ^ key);
			__u64 second = (__s64)(second_aggregate - first_aggregate) >> 63;
			OPAQUE(second);
			second = miss_first & (second | ~miss_second);
			__u64 miss_mask = miss_first & miss_second;
			OPAQUE(second);
			OPAQUE(miss_mask);
			__u64 slot_key = first_key ^ ((first_key ^ second_key) & second);
			__u64 slot_aggregate = first_aggregate ^ ((first_aggregate ^ second_aggregate) & second);
			__u64 difference = slot_key ^ key;
			/* All ones: the slot has counted two or more of another key and stays. */
			__u64 bypass = (__s64)(2 * NX_ONE - 1 - slot_aggregate) >> 63;
			OPAQUE(bypass);
			bypass &= miss_mask;
			__u64 swap_key = difference & bypass;
			__u64 swap_aggregate = (slot_aggregate ^ increment) & bypass;

			/* Always written, kept only when the position moves on. */
			record->key = slot_key ^ swap_key;
			record->aggregate = slot_aggregate ^ swap_aggregate;
			position += miss_mask & NONZERO(slot_aggregate);
			slot = &table[(set | (second & 1)) & slot_mask];
			slot->key = key ^ swap_key;
			slot->aggregate = (increment + (slot_aggregate & ~miss_mask)) ^ swap_aggregate;
		}
		fills->records[fill] = position;
		__u64 beyond = (__s64)((__u64)fullest - position) >> 63;
		OPAQUE(beyond);
		fullest -= (fullest - position) & beyond; /* the maximum */
	}
	run->fullest = fullest;
	return 0;
}

/* bpf_loop callback: 0 = go on, 1 = done. */
static long add_chunk(__u32 iteration, struct run *run)
{
	__u32 zero = 0, count = run->left;
	struct chunk *chunk = bpf_map_lookup_elem(&nx_scratch, &zero);

	if (!chunk || count == 0)
		return 1;
	if (count > CHUNK_RECORDS)
		count = CHUNK_RECORDS;
	__u32 bytes = count * sizeof(struct nx_record);
	if (bytes < sizeof(struct nx_record) || bytes > sizeof(chunk->records)) /* for the verifier */
		return 1;
	if (bpf_skb_load_bytes(run->skb, run->offset, chunk->records, bytes))
		return 1;
	if (add_records(run, chunk, count))
		return 1;
	run->offset += bytes;
	run->left -= count;
	return 0;
}

/* Number of the sender, known or new; -1 when its bucket is full. */
static __always_inline __s32 find_sender(__u64 id, __u64 multiplier)
{
	__u32 zero = 0, bucket = id * multiplier >> (64 - NX_BUCKET_BITS);
	__u64 *ids = bpf_map_lookup_elem(&nx_sender_ids, &zero);
	__u32 first = (bucket & ((1 << NX_BUCKET_BITS) - 1)) * NX_BUCKET_SENDERS;

	if (!ids)
		return -1;
	for (__u32 i = 0; i < NX_BUCKET_SENDERS; i++)
		if (ids[(first + i) & (NX_SENDERS - 1)] == id)
			return first + i;
	for (__u32 i = 0; i < NX_BUCKET_SENDERS; i++) {
		__u64 *free = &ids[(first + i) & (NX_SENDERS - 1)];
		__u64 before = *free;

		if (before == 0)
			before = __sync_val_compare_and_swap(free, 0, id);
		if (before == 0 || before == id)
			return first + i;
	}
	return -1;
}

/* Books the datagram with its sender; 0: its sequence number was there before. */
static __always_inline int book(struct nx_sender *sender, struct nx_header *header, struct nx_control *control,
				__u64 epoch)
{
	__u64 sequence = header->sequence;

	for (int i = 0; i < SEQUENCE_TRIES; i++) {
		__u64 state = *(volatile __u64 *)&sender->state, after;
		__u64 next = state >> NX_WINDOW_BITS;
		__u64 seen = state & ((1 << NX_WINDOW_BITS) - 1);
		__u64 skipped = 0, late = 0;

		if (state == 0) {
			after = (sequence + 1) << NX_WINDOW_BITS | 1;
		} else if (sequence >= next) {
			__u64 ahead = sequence - next + 1;

			skipped = ahead - 1;
			seen = ahead < NX_WINDOW_BITS ? seen << ahead | 1 : 1;
			after = (sequence + 1) << NX_WINDOW_BITS | (seen & ((1 << NX_WINDOW_BITS) - 1));
		} else {
			__u64 age = next - 1 - sequence;

			if (age >= NX_WINDOW_BITS || seen >> (age & 31) & 1) {
				__sync_fetch_and_add(&sender->repeated, 1);
				return 0;
			}
			late = 1;
			after = state | 1ULL << (age & 31);
		}
		if (__sync_val_compare_and_swap(&sender->state, state, after) == state) {
			__sync_fetch_and_add(&sender->datagrams, 1);
			if (header->kind == NX_KIND_RECORDS)
				__sync_fetch_and_add(&sender->records, header->count);
			if (skipped)
				__sync_fetch_and_add(&sender->lost, skipped);
			if (late)
				__sync_fetch_and_add(&sender->recovered, 1);
			sender->epoch = epoch;
			return 1;
		}
	}
	__sync_fetch_and_add(&control->unsequenced, 1);
	return 1;
}

/* Returns a reason, or -1. */
static __always_inline int check_header(struct nx_header *header, __u32 bytes)
{
	if (header->magic != NX_MAGIC)
		return NX_REFUSED_MAGIC_WRONG;
	if (header->version != NX_VERSION)
		return NX_REFUSED_VERSION_UNSUPPORTED;
	if (header->kind != NX_KIND_RECORDS && header->kind != NX_KIND_DICTIONARY)
		return NX_REFUSED_KIND_UNSUPPORTED;
	if (header->reserved != 0)
		return NX_REFUSED_RESERVED_SET;
	if (header->kind == NX_KIND_RECORDS &&
	    (header->count > NX_RECORDS_MAX ||
	     sizeof(*header) + header->count * sizeof(struct nx_record) != bytes))
		return NX_REFUSED_LENGTH_WRONG;
	if (header->sender == 0)
		return NX_REFUSED_SENDER_INVALID;
	if (header->sequence >> NX_SEQUENCE_BITS)
		return NX_REFUSED_SEQUENCE_RANGE;
	return -1;
}

static __always_inline int refuse(struct nx_control *control, __u32 reason)
{
	__sync_fetch_and_add(&control->refused_datagrams[reason & 15], 1);
	return DROP;
}

static __always_inline int pass(struct nx_control *control, struct nx_header *header)
{
	__sync_fetch_and_add(&control->passed_datagrams, 1);
	__sync_fetch_and_add(&control->passed_records, header->count);
	return KEEP_ALL;
}

static __always_inline int aggregate(struct run *run, struct nx_header *header)
{
	struct nx_control *control = run->control;
	int verdict = DROP;

	/* A full fence: the epoch below is read after busy can be seen. */
	if (__sync_lock_test_and_set(&control->busy, 1)) {
		__sync_fetch_and_add(&control->reentered, 1);
		return pass(control, header);
	}
	run->epoch = *(volatile __u64 *)&run->shared->epoch & 1;
	run->fullest = control->fullest[run->epoch & 1];
	/* The worst case is a log record for each; one stays free for the unconditional write. */
	if (run->fullest + header->count >= 1U << log_part_shift ||
	    control->epoch_records[run->epoch & 1] > NX_EPOCH_RECORDS_MAX) {
		verdict = pass(control, header);
	} else {
		bpf_loop(CHUNKS_MAX, add_chunk, run, 0);
		control->fullest[run->epoch & 1] = run->fullest;
		control->epoch_records[run->epoch & 1] += header->count;
		control->datagrams += 1;
		control->records += header->count - run->refused;
	}
	/* Exchanges, because stores may pass each other on some machines. */
	__sync_lock_test_and_set(&control->runs, control->runs + 1);
	__sync_lock_test_and_set(&control->busy, 0);
	return verdict;
}

SEC("socket")
int nx_aggregate(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0;
	struct nx_control *control = bpf_map_lookup_elem(&nx_controls, &cpu);
	struct nx_shared *shared = bpf_map_lookup_elem(&nx_shared, &zero);
	struct nx_sender *senders = bpf_map_lookup_elem(&nx_senders, &zero);
	struct nx_header header;

	if (!control || !shared || !senders)
		return KEEP_ALL;
	if (skb->len < UDP_HEADER_BYTES + sizeof(header) ||
	    bpf_skb_load_bytes(skb, UDP_HEADER_BYTES, &header, sizeof(header)))
		return refuse(control, NX_REFUSED_TRUNCATED);
	int reason = check_header(&header, skb->len - UDP_HEADER_BYTES);
	if (reason >= 0)
		return refuse(control, reason);
	__s32 sender = find_sender(header.sender, shared->multiplier);
	if (sender < 0)
		return refuse(control, NX_REFUSED_SENDER_LIMIT);
	struct nx_sender *books = &senders[sender & (NX_SENDERS - 1)];
	__u64 met = *(volatile __u64 *)&books->state;

	if (!book(books, &header, control, shared->epoch))
		return refuse(control, NX_REFUSED_SEQUENCE_REPEATED);
	if (header.kind == NX_KIND_DICTIONARY) {
		__sync_fetch_and_add(&control->dictionaries, 1);
		return KEEP_ALL;
	}
	if (!met)
		return pass(control, &header);
	struct run run = {
		.skb = skb,
		.control = control,
		.shared = shared,
		.sender_key = (__u64)(sender & (NX_SENDERS - 1)) << NX_SENDER_SHIFT,
		.cpu = cpu,
		.offset = UDP_HEADER_BYTES + sizeof(header),
		.left = header.count,
	};
	return aggregate(&run, &header);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
