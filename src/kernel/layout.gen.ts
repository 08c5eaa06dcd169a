// Generated from bpf/aggregate.h by scripts/kernel-layout.ts; do not edit.
export const MAGIC = 826628174;
export const VERSION = 1;
export const KIND_RECORDS = 1;
export const KIND_DICTIONARY = 2;
export const FLAG_METRIC = 1;
export const INDEX_TERM = 2147483648;
export const TERM_BITS = 22;
export const METRIC_SHIFT = 22;
export const TENANT_SHIFT = 23;
export const TENANT_BITS = 20;
export const SENDER_SHIFT = 43;
export const SENDER_BITS = 12;
export const PLACEMENT_BITS = 8;
export const PLACEMENTS = 256;
export const WAYS = 2;
export const COUNT_SHIFT = 40;
export const ONE = 1099511627776;
export const SLOT_VALUE_MAX = 65536;
export const WEIGHT_MAX = 1000000;
export const EPOCH_RECORDS_MAX = 8388608;
export const RECORDS_MAX = 4092;
export const RECORD_REFUSED_INDEX_RANGE = 0;
export const RECORD_REFUSED_FLAGS_UNKNOWN = 1;
export const RECORD_REFUSED_WEIGHT_INVALID = 2;
export const REFUSED_TRUNCATED = 0;
export const REFUSED_MAGIC_WRONG = 1;
export const REFUSED_VERSION_UNSUPPORTED = 2;
export const REFUSED_KIND_UNSUPPORTED = 3;
export const REFUSED_RESERVED_SET = 4;
export const REFUSED_LENGTH_WRONG = 5;
export const REFUSED_SENDER_INVALID = 6;
export const REFUSED_SENDER_LIMIT = 7;
export const REFUSED_SEQUENCE_RANGE = 8;
export const REFUSED_SEQUENCE_REPEATED = 9;
export const REFUSED_DICTIONARY_MALFORMED = 10;
export const SENDERS = 4096;
export const BUCKET_BITS = 9;
export const BUCKET_SENDERS = 8;
export const SEQUENCE_BITS = 44;
export const WINDOW_BITS = 20;

/** struct nx_header */
export const HEADER_BYTES = 32;
export const HEADER_MAGIC = 0;
export const HEADER_VERSION = 4;
export const HEADER_KIND = 5;
export const HEADER_COUNT = 6;
export const HEADER_SENDER = 8;
export const HEADER_SEQUENCE = 16;
export const HEADER_RESERVED = 24;

/** struct nx_record */
export const RECORD_BYTES = 16;
export const RECORD_TENANT = 0;
export const RECORD_TERM = 4;
export const RECORD_VALUE = 8;
export const RECORD_FLAGS = 12;

/** struct nx_slot */
export const SLOT_BYTES = 16;
export const SLOT_KEY = 0;
export const SLOT_AGGREGATE = 8;

/** struct nx_shared */
export const SHARED_BYTES = 320;
export const SHARED_EPOCH = 0;
export const SHARED_MULTIPLIER = 8;
export const SHARED_PART_OF = 64;

/** struct nx_control */
export const CONTROL_BYTES = 352;
export const CONTROL_BUSY = 0;
export const CONTROL_RUNS = 8;
export const CONTROL_FULLEST = 16;
export const CONTROL_EPOCH_RECORDS = 24;
export const CONTROL_DATAGRAMS = 32;
export const CONTROL_RECORDS = 40;
export const CONTROL_PASSED_DATAGRAMS = 48;
export const CONTROL_PASSED_RECORDS = 56;
export const CONTROL_DICTIONARIES = 64;
export const CONTROL_REENTERED = 72;
export const CONTROL_UNSEQUENCED = 80;
export const CONTROL_REFUSED_RECORDS = 96;
export const CONTROL_REFUSED_DATAGRAMS = 128;

/** struct nx_fills */
export const FILLS_BYTES = 2048;
export const FILLS_RECORDS = 0;

/** struct nx_sender */
export const SENDER_BYTES = 64;
export const SENDER_STATE = 0;
export const SENDER_DATAGRAMS = 8;
export const SENDER_RECORDS = 16;
export const SENDER_LOST = 24;
export const SENDER_RECOVERED = 32;
export const SENDER_REPEATED = 40;
export const SENDER_EPOCH = 48;
export const SENDER_WANTED = 56;

/** Reasons for which a record is refused, by number. */
export const RECORD_REFUSED_REASONS = [
  "indexRange",
  "flagsUnknown",
  "weightInvalid",
] as const;

/** Reasons for which a datagram is refused, by number. */
export const REFUSED_REASONS = [
  "truncated",
  "magicWrong",
  "versionUnsupported",
  "kindUnsupported",
  "reservedSet",
  "lengthWrong",
  "senderInvalid",
  "senderLimit",
  "sequenceRange",
  "sequenceRepeated",
  "dictionaryMalformed",
] as const;
