// Who sends: ids in buckets of eight, searched and claimed in place, and the books of each, as in
// bpf/aggregate.bpf.c. Senders that are silent for long give their number and their dictionary back.
import { freeDictionary } from "./dictionary";
import {
  BUCKET_BITS,
  BUCKET_SENDERS,
  SENDER_BYTES,
  SENDER_DATAGRAMS,
  SENDER_EPOCH,
  SENDER_LOST,
  SENDER_RECORDS,
  SENDER_RECOVERED,
  SENDER_REPEATED,
  SENDER_STATE,
  SENDERS,
  WINDOW_BITS,
} from "./layout.gen";
import { count, epoch, multiplier, receiverCounters, senderIds, senderRoot, senders } from "./stage";

const EVICTED_SENDERS: usize = 64;

/** Number of a known sender, or -1. */
export function findSender(id: u64): i32 {
  const first = bucketOf(id);
  for (let i: u32 = 0; i < BUCKET_SENDERS; i++) {
    if (load<u64>(senderIds + (<usize>(first + i) << 3)) == id) return first + i;
  }
  return -1;
}

/** Number of the sender, known or new; -1 when its bucket is full. */
export function claimSender(id: u64): i32 {
  const known = findSender(id);
  if (known >= 0) return known;
  const first = bucketOf(id);
  for (let i: u32 = 0; i < BUCKET_SENDERS; i++) {
    const at = senderIds + (<usize>(first + i) << 3);
    if (load<u64>(at) != 0) continue;
    store<u64>(at, id);
    return first + i;
  }
  return -1;
}

/** Books a datagram with its sender; false if its sequence number was there before. */
export function book(number: u32, sequence: u64, records: u32, now: u32): bool {
  const sender = senders + <usize>number * SENDER_BYTES;
  const state = load<u64>(sender, SENDER_STATE);
  const next = state >> WINDOW_BITS;
  let seen = state & ((1 << WINDOW_BITS) - 1);
  let after: u64;
  if (state == 0) {
    after = ((sequence + 1) << WINDOW_BITS) | 1;
  } else if (sequence >= next) {
    const ahead = sequence - next + 1;
    seen = ahead < WINDOW_BITS ? (seen << ahead) | 1 : 1;
    after = ((sequence + 1) << WINDOW_BITS) | (seen & ((1 << WINDOW_BITS) - 1));
    count(sender + SENDER_LOST, ahead - 1);
  } else {
    const age = next - 1 - sequence;
    if (age >= WINDOW_BITS || ((seen >> age) & 1) != 0) {
      count(sender + SENDER_REPEATED, 1);
      return false;
    }
    after = state | (<u64>1 << age);
    count(sender + SENDER_RECOVERED, 1);
  }
  store<u64>(sender, after, SENDER_STATE);
  count(sender + SENDER_DATAGRAMS, 1);
  count(sender + SENDER_RECORDS, records);
  store<u64>(sender, now, SENDER_EPOCH);
  return true;
}

/**
 * Forgets senders from which nothing came for that many epochs: `idle`, or `idleUnnamed` if they never
 * sent a dictionary, as the senders of forged datagrams do. No shard holds a record of theirs any more:
 * it would have given it up long before.
 */
export function evictSenders(idle: u32, idleUnnamed: u32): void {
  const now = epoch();
  for (let number: u32 = 0; number < SENDERS; number++) {
    const id = senderIds + (<usize>number << 3);
    if (load<u64>(id) == 0) continue;
    const sender = senders + <usize>number * SENDER_BYTES;
    const age = now - <u32>load<u64>(sender, SENDER_EPOCH);
    if (age <= (senderRoot(number) == 0 ? idleUnnamed : idle)) continue;
    freeDictionary(number);
    memory.fill(sender, 0, SENDER_BYTES);
    atomic.store<u64>(id, 0);
    count(receiverCounters + EVICTED_SENDERS, 1);
  }
}

function bucketOf(id: u64): u32 {
  return <u32>((id * multiplier()) >> (64 - BUCKET_BITS)) * BUCKET_SENDERS;
}
