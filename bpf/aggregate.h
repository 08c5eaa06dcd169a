/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Wire format of the event datagrams, and the memory that the aggregator and user space share.
 * The one definition: `npm run generate` writes its TypeScript and AssemblyScript twins, and
 * layout.gen.h, whose assertions stop the build if the twins and the compiler disagree.
 * Little-endian only. A #define is a number, or 1ULL << a number.
 */
#ifndef NX_AGGREGATE_H
#define NX_AGGREGATE_H
#include <linux/types.h>

/* ---- datagram: a header, then `count` records or dictionary entries ---- */

#define NX_MAGIC 0x3145584e /* "NXE1" */
#define NX_VERSION 1
#define NX_KIND_RECORDS 1
#define NX_KIND_DICTIONARY 2

/* Of a record. The value is a sample of the metric that the term names, an integer, not a weight. */
#define NX_FLAG_METRIC 1
/* Of the index of a dictionary entry: it names a term, not a tenant. */
#define NX_INDEX_TERM 0x80000000

struct nx_header {
	__u32 magic;
	__u8 version;
	__u8 kind;
	__u16 count;
	__u64 sender;
	__u64 sequence;
	__u64 reserved;
};

struct nx_record {
	__u32 tenant;
	__u32 term;
	__u32 value;
	__u32 flags;
};

/* ---- key of a slot: sender's number, tenant, kind, term; equal keys are one (tenant, term) ---- */

#define NX_TERM_BITS 22
#define NX_METRIC_SHIFT 22
#define NX_TENANT_SHIFT 23
#define NX_TENANT_BITS 20
#define NX_SENDER_SHIFT 43
#define NX_SENDER_BITS 12
/* The low bits of a tenant index are those of the hash of its name: they say which part it is in. */
#define NX_PLACEMENT_BITS 8
#define NX_PLACEMENTS 256

/* ---- shared memory ---- */

/* aggregate = count << 40 | sum: one addition updates both. 0: the slot is empty. */
struct nx_slot {
	__u64 key;
	__u64 aggregate;
};

/* Slots of a set, side by side in one line of the cache: a key may stand in either. */
#define NX_WAYS 2
#define NX_COUNT_SHIFT 40
#define NX_ONE (1ULL << 40)
/* Larger weights take a record of the log for themselves. */
#define NX_SLOT_VALUE_MAX 65536
#define NX_WEIGHT_MAX 1000000
/* Records of one column and epoch: keeps count < 2^24 and sum < 2^40. */
#define NX_EPOCH_RECORDS_MAX 8388608
#define NX_RECORDS_MAX 4092

struct nx_shared {
	__u64 epoch; /* its lowest bit says which table and log are written */
	__u64 multiplier; /* odd and random, drawn before anything is attached */
	__u64 reserved[6];
	__u8 part_of[256]; /* part of a placement */
};

/* Of one column. A column is a CPU, or the user-space receiver: one writer each. */
struct nx_control {
	__u64 busy; /* 1 while the program runs on this CPU */
	__u64 runs; /* how often it has run to its end */
	__u32 fullest[2]; /* by epoch: records in the fullest part of the log, or more */
	__u32 epoch_records[2];
	__u64 datagrams; /* aggregated here, and their records */
	__u64 records;
	__u64 passed_datagrams; /* good, but left to the socket: no room, or re-entered */
	__u64 passed_records;
	__u64 dictionaries;
	__u64 reentered;
	__u64 unsequenced; /* accepted without a look at the sequence: too many at once */
	__u64 reserved;
	__u64 refused_records[4];
	__u64 refused_datagrams[16];
	__u64 reserved_end[12];
};

/* Why a record is refused; the rest of its datagram counts. */
#define NX_RECORD_REFUSED_INDEX_RANGE 0
#define NX_RECORD_REFUSED_FLAGS_UNKNOWN 1
#define NX_RECORD_REFUSED_WEIGHT_INVALID 2

/* Why a datagram is refused. */
#define NX_REFUSED_TRUNCATED 0
#define NX_REFUSED_MAGIC_WRONG 1
#define NX_REFUSED_VERSION_UNSUPPORTED 2
#define NX_REFUSED_KIND_UNSUPPORTED 3
#define NX_REFUSED_RESERVED_SET 4
#define NX_REFUSED_LENGTH_WRONG 5
#define NX_REFUSED_SENDER_INVALID 6
#define NX_REFUSED_SENDER_LIMIT 7
#define NX_REFUSED_SEQUENCE_RANGE 8
#define NX_REFUSED_SEQUENCE_REPEATED 9
#define NX_REFUSED_DICTIONARY_MALFORMED 10

/* Records in each part of the log, by epoch. */
struct nx_fills {
	__u32 records[512]; /* [epoch * 256 + part] */
};

/*
 * Senders: buckets of eight, chosen by a hash of the sender's id, are searched and claimed in place;
 * nobody inserts or deletes through a system call. The number of a sender is its position.
 */
#define NX_SENDERS 4096
#define NX_BUCKET_BITS 9
#define NX_BUCKET_SENDERS 8
#define NX_SEQUENCE_BITS 44
#define NX_WINDOW_BITS 20

struct nx_sender {
	__u64 state; /* next sequence << 20 | which of the 20 before it were seen; 0: none yet */
	__u64 datagrams;
	__u64 records;
	__u64 lost; /* sequence numbers skipped */
	__u64 recovered; /* of those, arrived late */
	__u64 repeated;
	__u64 epoch; /* of the newest datagram */
	__u64 wanted; /* epoch in which a shard last missed names of it; 0: never */
};

_Static_assert(sizeof(struct nx_header) == 32, "header");
_Static_assert(sizeof(struct nx_record) == 16, "record");
_Static_assert(sizeof(struct nx_slot) == 16, "slot");
_Static_assert(sizeof(struct nx_shared) == 320, "shared");
_Static_assert(sizeof(struct nx_control) == 352, "control");
_Static_assert(sizeof(struct nx_fills) == 2048, "fills");
_Static_assert(sizeof(struct nx_sender) == 64, "sender");
#endif
