// The twin of bpf/aggregate.bpf.c: the same checks in the same order, the same books, the same table and
// log, in the receiver's own column. It runs where the kernel's program does not, and takes what that
// one leaves to the socket: dictionaries, and records for which the log had no room.
import { takeDictionary } from "./dictionary";
import {
  CONTROL_DATAGRAMS,
  CONTROL_DICTIONARIES,
  CONTROL_EPOCH_RECORDS,
  CONTROL_FULLEST,
  CONTROL_RECORDS,
  CONTROL_REFUSED_DATAGRAMS,
  CONTROL_REFUSED_RECORDS,
  COUNT_SHIFT,
  EPOCH_RECORDS_MAX,
  FLAG_METRIC,
  HEADER_BYTES,
  HEADER_COUNT,
  HEADER_KIND,
  HEADER_MAGIC,
  HEADER_RESERVED,
  HEADER_SENDER,
  HEADER_SEQUENCE,
  HEADER_VERSION,
  KIND_DICTIONARY,
  KIND_RECORDS,
  MAGIC,
  METRIC_SHIFT,
  ONE,
  PLACEMENTS,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_REFUSED_FLAGS_UNKNOWN,
  RECORD_REFUSED_INDEX_RANGE,
  RECORD_REFUSED_WEIGHT_INVALID,
  RECORD_VALUE,
  RECORDS_MAX,
  REFUSED_DICTIONARY_MALFORMED,
  REFUSED_KIND_UNSUPPORTED,
  REFUSED_LENGTH_WRONG,
  REFUSED_MAGIC_WRONG,
  REFUSED_RESERVED_SET,
  REFUSED_SENDER_INVALID,
  REFUSED_SENDER_LIMIT,
  REFUSED_SEQUENCE_RANGE,
  REFUSED_SEQUENCE_REPEATED,
  REFUSED_TRUNCATED,
  REFUSED_VERSION_UNSUPPORTED,
  SENDER_SHIFT,
  SEQUENCE_BITS,
  SLOT_BYTES,
  TENANT_BITS,
  TENANT_SHIFT,
  TERM_BITS,
  VERSION,
  WAYS,
  WEIGHT_MAX,
} from "./layout.gen";
import { book, claimSender, findSender } from "./senders";
import {
  ack,
  columnControl,
  columnFills,
  count,
  cpuCount,
  epoch,
  epochTurn,
  logBits,
  multiplier,
  partBits,
  partLog,
  partOf,
  partSlots,
  receiverCounters,
  shardCount,
  slotBits,
  userControl,
} from "./stage";

export { evictSenders } from "./senders";

// Of the receiver, u64 each; src/kernel/stage-stats.ts reads them.
const RECEIVED_DATAGRAMS: usize = 0;
const RECEIVED_RECORDS: usize = 8;

const RANGE_BITS: u64 = ~(((<u64>1 << TENANT_BITS) - 1) | (((<u64>1 << TERM_BITS) - 1) << 32));

/** Datagrams of the largest size for which there surely is room. */
export function room(): u32 {
  const side = <usize>(epoch() & 1) << 2;
  const capacity = <u32>1 << (logBits - partBits);
  const fullest = load<u32>(userControl + CONTROL_FULLEST + side);
  const left = capacity - 1 > fullest ? (capacity - 1 - fullest) / RECORDS_MAX : 0;
  const taken = load<u32>(userControl + CONTROL_EPOCH_RECORDS + side);
  const leftOfEpoch = EPOCH_RECORDS_MAX > taken ? (EPOCH_RECORDS_MAX - taken) / RECORDS_MAX : 0;
  return min(left, leftOfEpoch);
}

/**
 * Takes one datagram; `passed`: the kernel has checked and booked it already. Returns the number of its
 * sender, or -1 when it is refused.
 */
export function receive(address: usize, bytes: u32, passed: bool): i32 {
  count(receiverCounters + RECEIVED_DATAGRAMS, 1);
  const refused = checkHeader(address, bytes);
  if (refused >= 0) return refuse(refused);
  const id = load<u64>(address, HEADER_SENDER);
  const sender = passed ? findSender(id) : claimSender(id);
  if (sender < 0) return refuse(REFUSED_SENDER_LIMIT);
  const kind = <u32>load<u8>(address, HEADER_KIND);
  const recordCount = <u32>load<u16>(address, HEADER_COUNT);
  if (!passed) {
    const records = kind == KIND_RECORDS ? recordCount : 0;
    if (!book(sender, load<u64>(address, HEADER_SEQUENCE), records, epoch())) {
      return refuse(REFUSED_SEQUENCE_REPEATED);
    }
  }
  if (kind == KIND_DICTIONARY) {
    if (!passed) count(userControl + CONTROL_DICTIONARIES, 1);
    if (!takeDictionary(sender, address + HEADER_BYTES, address + bytes, recordCount)) {
      return refuse(REFUSED_DICTIONARY_MALFORMED);
    }
    return sender;
  }
  count(receiverCounters + RECEIVED_RECORDS, recordCount);
  addRecords(address + HEADER_BYTES, recordCount, <u64>sender << SENDER_SHIFT);
  return sender;
}

/** Whether every shard has read what the last turn gave it. */
export function flipReady(): bool {
  const now = epoch();
  for (let shard: u32 = 0; shard < shardCount; shard++) if (ack(shard) != now) return false;
  return true;
}

/** Turns the epoch; the tables that will be written are empty, or `flipReady` was not asked. */
export function flip(): void {
  const side = <usize>((epoch() + 1) & 1) << 2;
  for (let column: u32 = 0; column <= cpuCount; column++) {
    const control = columnControl(column);
    store<u32>(control + side, 0, CONTROL_FULLEST);
    store<u32>(control + side, 0, CONTROL_EPOCH_RECORDS);
  }
  epochTurn();
}

/** A reason, or -1. */
function checkHeader(address: usize, bytes: u32): i32 {
  if (bytes < <u32>HEADER_BYTES) return REFUSED_TRUNCATED;
  const kind = <u32>load<u8>(address, HEADER_KIND);
  const recordCount = <u32>load<u16>(address, HEADER_COUNT);
  if (load<u32>(address, HEADER_MAGIC) != MAGIC) return REFUSED_MAGIC_WRONG;
  if (<u32>load<u8>(address, HEADER_VERSION) != VERSION) return REFUSED_VERSION_UNSUPPORTED;
  if (kind != KIND_RECORDS && kind != KIND_DICTIONARY) return REFUSED_KIND_UNSUPPORTED;
  if (load<u64>(address, HEADER_RESERVED) != 0) return REFUSED_RESERVED_SET;
  if (kind == KIND_RECORDS) {
    const expected = <u32>HEADER_BYTES + recordCount * <u32>RECORD_BYTES;
    if (recordCount > RECORDS_MAX || expected != bytes) return REFUSED_LENGTH_WRONG;
  }
  if (load<u64>(address, HEADER_SENDER) == 0) return REFUSED_SENDER_INVALID;
  if (load<u64>(address, HEADER_SEQUENCE) >> SEQUENCE_BITS != 0) return REFUSED_SEQUENCE_RANGE;
  return -1;
}

function refuse(reason: u32): i32 {
  count(userControl + CONTROL_REFUSED_DATAGRAMS + (<usize>reason << 3), 1);
  return -1;
}

/** Hot: one record a turn of the loop, nothing but loads, stores and arithmetic. */
function addRecords(start: usize, recordCount: u32, senderKey: u64): void {
  const side = epoch() & 1;
  const control = userControl + (<usize>side << 2);
  const fills = columnFills(cpuCount, side);
  const table = partSlots(cpuCount, side, 0);
  const log = partLog(cpuCount, side, 0);
  const slotShift = 64 - slotBits + partBits;
  const partSlotBits = slotBits - partBits;
  const partLogBits = logBits - partBits;
  const factor = multiplier();
  let fullest = load<u32>(control, CONTROL_FULLEST);
  let refused: u32 = 0;
  for (let i: u32 = 0; i < recordCount; i++) {
    const record = start + <usize>i * RECORD_BYTES;
    const raw = load<u64>(record);
    const value = load<u32>(record, RECORD_VALUE);
    const flags = load<u32>(record, RECORD_FLAGS);
    const tenant = raw & ((<u64>1 << TENANT_BITS) - 1);
    let key = senderKey | (raw >> 32) | (tenant << TENANT_SHIFT);
    const part = partOf(<u32>raw & (PLACEMENTS - 1));
    const fill = fills + (<usize>part << 2);
    const position = load<u32>(fill);
    const entry = log + ((<usize>(part << partLogBits) | <usize>position) << 4);
    if ((raw & RANGE_BITS) != 0 || (flags | ((value - 1) >> 16)) != 0) {
      const reason = rareReason(raw, value, flags);
      if (reason >= 0) {
        count(userControl + CONTROL_REFUSED_RECORDS + (<usize>reason << 3), 1);
        refused++;
        continue;
      }
      key |= <u64>flags << METRIC_SHIFT;
      store<u64>(entry, key);
      store<u64>(entry, ONE + <u64>value, 8);
    } else {
      const home = <usize>((key * factor) >> slotShift) & ~(<usize>WAYS - 1);
      const first = table + (((<usize>part << partSlotBits) | home) << 4);
      const increment = ONE + <u64>value;
      // The way that holds the key, or else the one that has counted less.
      let slot = first;
      if (load<u64>(first) != key) {
        const second = first + SLOT_BYTES;
        if (load<u64>(second) == key || load<u64>(second, 8) < load<u64>(first, 8)) slot = second;
      }
      const slotAggregate = load<u64>(slot, 8);
      if (load<u64>(slot) == key) {
        store<u64>(slot, slotAggregate + increment, 8);
        continue;
      }
      if (slotAggregate >> COUNT_SHIFT < 2) {
        // The resident has counted one at most: it goes to the log, the newcomer stays.
        v128.store(entry, v128.load(slot));
        store<u64>(slot, key);
        store<u64>(slot, increment, 8);
        if (slotAggregate == 0) continue;
      } else {
        store<u64>(entry, key);
        store<u64>(entry, increment, 8);
      }
    }
    store<u32>(fill, position + 1);
    fullest = max(fullest, position + 1);
  }
  store<u32>(control, fullest, CONTROL_FULLEST);
  const taken = load<u32>(control, CONTROL_EPOCH_RECORDS) + recordCount;
  store<u32>(control, taken, CONTROL_EPOCH_RECORDS);
  count(userControl + CONTROL_DATAGRAMS, 1);
  count(userControl + CONTROL_RECORDS, recordCount - refused);
}

/** Why no slot and no log takes the record, or -1. */
function rareReason(raw: u64, value: u32, flags: u32): i32 {
  if ((raw & RANGE_BITS) != 0) return RECORD_REFUSED_INDEX_RANGE;
  if ((flags & ~FLAG_METRIC) != 0) return RECORD_REFUSED_FLAGS_UNKNOWN;
  if (flags == 0 && (value == 0 || value > WEIGHT_MAX)) return RECORD_REFUSED_WEIGHT_INVALID;
  return -1;
}
