// Reads a sketch that came from anywhere: every byte is distrusted, and nothing is merged before
// all of it has been read. What passes is merged without a further look; so each rule here is one
// that merging or reporting relies on, or one that no true sketch breaks.
//
// The payload is empty (nothing has happened), or sections of kinds 1 to 6, ascending, each at most
// once, with counts and at most one form of users: that of the span, 3 of windows and 4 of `all`.
// Lists are bounded, name a thing once, and hold no number that is none.
import { checkMetrics } from "../../guests/sdk/assembly/sketches/metric-merge";
import {
  BIN_BYTES, METRIC_PAIRS, METRIC_SHORTENED, PortableMetric, SECTION_HEADER_BYTES,
} from "../../guests/sdk/assembly/sketches/portable-metric";
import { RANK_BITS_BYTES } from "../../guests/sdk/assembly/sketches/aged-bitmap";
import { TERM_HEAD_BYTES, TERMS_HEAD_BYTES } from "../../guests/sdk/assembly/sketches/term-list";
import { isList } from "../../guests/sdk/assembly/sketches/term-merge";
import { ULTRA_BYTES, ULTRA_P } from "../../guests/sdk/assembly/sketches/user-spans";
import { SPAN_ALL } from "../../guests/sdk/assembly/spans";
import { equalBytes } from "../../guests/sdk/assembly/sketches/bytes";
import { isUtf8 } from "../../batcher/assembly/utf8";
import { SEEN } from "./layout";
import { MERGE_TERMS_MAX, SKETCH_USERS_LISTED_MAX } from "./limits.gen";
import {
  checksumOf, COUNT_MAX, COUNT_WEIGHTS, COUNTS, COUNTS_BYTES, fnv1a, HEADER_BYTES, isWhole,
  KIND_COUNTS, KIND_METRICS, KIND_TERMS, KIND_USERS_BITMAP, KIND_USERS_EXACT, KIND_USERS_ULTRA,
  MAGIC, padded, SECTION_BYTES, VERSION,
} from "./portable";

export const FINE: u32 = 0;
export const CORRUPT: u32 = 1;
export const OTHER_VERSION: u32 = 2;
export const OTHER_WINDOW: u32 = 3;

/** 2^910: sums of bins stay finite whatever is claimed, see metrics.ts. */
const BIN_COUNT_MAX: f64 = reinterpret<f64>(<u64>(1023 + 910) << 52);
const MS_MAX: f64 = 9007199254740991;

/** Where the sections of the sketch in hand are; 0: it has none of that kind. */
export let countsAt: usize = 0;
export let usersAt: usize = 0;
export let usersKind: u32 = 0;
export let metricsAt: usize = 0;
export let metricsBytes: u32 = 0;
export let termsAt: usize = 0;
export let termsBytes: u32 = 0;

/** Looks at all of a sketch of `bytes` bytes; `FINE`, or what is wrong with it. */
export function readSketch(at: usize, bytes: u32, span: u32): u32 {
  countsAt = usersAt = metricsAt = termsAt = 0;
  if (bytes < HEADER_BYTES || load<u32>(at) != MAGIC) return CORRUPT;
  if (load<u16>(at, 4) != VERSION) return OTHER_VERSION;
  if (<u32>load<u8>(at, 6) > SPAN_ALL || load<u8>(at, 7) != 0) return CORRUPT;
  const payloadBytes = bytes - HEADER_BYTES;
  if (load<u32>(at, 24) != payloadBytes || (payloadBytes & 7) != 0) return CORRUPT;
  if (load<u32>(at, 28) != checksumOf(at, payloadBytes)) return CORRUPT;
  if (<u32>load<u8>(at, 6) != span) return OTHER_WINDOW;
  const startMs = load<f64>(at, 8);
  const endMs = load<f64>(at, 16);
  if (!(startMs >= 0 && startMs <= endMs && endMs <= MS_MAX)) return CORRUPT;
  return readSections(at + HEADER_BYTES, payloadBytes, span) ? FINE : CORRUPT;
}

function readSections(at: usize, bytes: u32, span: u32): bool {
  if (bytes == 0) return true;
  const end = at + bytes;
  let last: u32 = 0;
  while (at < end) {
    // The payload is a multiple of 8, and so is every step: the header of a section fits.
    const kind = load<u32>(at);
    const sectionBytes = load<u32>(at, 4);
    at += SECTION_BYTES;
    if (kind <= last || sectionBytes > <u32>(end - at)) return false;
    if (!isZero(at + sectionBytes, padded(sectionBytes) - sectionBytes)) return false;
    if (!readSection(kind, at, sectionBytes, span)) return false;
    last = kind;
    at += padded(sectionBytes);
  }
  return countsAt != 0;
}

function readSection(kind: u32, at: usize, bytes: u32, span: u32): bool {
  switch (kind) {
    case KIND_COUNTS:
      countsAt = at;
      return bytes == COUNTS_BYTES && areCounts(at);
    case KIND_USERS_EXACT:
      return readUsers(kind, at) && isUserList(at, bytes);
    case KIND_USERS_BITMAP:
      return readUsers(kind, at) && bytes == RANK_BITS_BYTES && span != SPAN_ALL;
    case KIND_USERS_ULTRA:
      return readUsers(kind, at) && bytes == ULTRA_BYTES && span == SPAN_ALL && areRegisters(at);
    case KIND_METRICS:
      metricsAt = at;
      metricsBytes = bytes;
      return checkMetrics(<u32>at, bytes) && areTidyMetrics(at);
    case KIND_TERMS:
      termsAt = at;
      termsBytes = bytes;
      return isList(at, bytes) && areTidyTerms(at);
    default:
      return false;
  }
}

/** False if the sketch has had another form of users. */
function readUsers(kind: u32, at: usize): bool {
  if (usersAt != 0) return false;
  usersAt = at;
  usersKind = kind;
  return true;
}

function areCounts(at: usize): bool {
  for (let index: u32 = 0; index < COUNTS; index++) {
    const count = load<f64>(at + (index << 3));
    if (index == COUNT_WEIGHTS) {
      if (!(count >= 0 && count <= f64.MAX_VALUE)) return false;
    } else if (!isWhole(count, COUNT_MAX)) {
      return false;
    }
  }
  return true;
}

/** As many hashes as it says, none of them twice, none 0 (which no user has). */
function isUserList(at: usize, bytes: u32): bool {
  if (bytes < 8) return false;
  const count = load<u32>(at);
  if (count > SKETCH_USERS_LISTED_MAX || load<u32>(at, 4) != 0) return false;
  if (bytes != 8 + (count << 2)) return false;
  const mask = openSeen(count);
  for (let hashAt = at + 8; hashAt < at + bytes; hashAt += 4) {
    const hash = load<u32>(hashAt);
    if (hash == 0) return false;
    let place = (hash * 0x9e3779b1 >> 8) & mask;
    while (true) {
      const held = load<u32>(SEEN + (<usize>place << 2));
      if (held == hash) return false;
      if (held == 0) break;
      place = (place + 1) & mask;
    }
    store<u32>(SEEN + (<usize>place << 2), hash);
  }
  return true;
}

/** Whether all registers are such that adding hashes made them; see `pack` of ultra-log-log.ts. */
function areRegisters(at: usize): bool {
  const first = <i8>(4 * ULTRA_P - 4);
  for (const end = at + ULTRA_BYTES; at < end; at += 16) {
    const registers = v128.load(at);
    const zeros = i8x16.eq(registers, i8x16.splat(0));
    const one = i8x16.eq(registers, i8x16.splat(first));
    const two = i8x16.eq(v128.and(registers, i8x16.splat(-3)), i8x16.splat(first + 4));
    const more = i8x16.ge_u(registers, i8x16.splat(first + 8));
    if (!i8x16.all_true(v128.or(v128.or(zeros, one), v128.or(two, more)))) return false;
  }
  return true;
}

/** What `checkMetrics` leaves open: names are text, flags known, counts whole and not beyond all. */
function areTidyMetrics(at: usize): bool {
  let next = at + SECTION_HEADER_BYTES;
  for (let left = load<u32>(at); left > 0; left--) {
    const metric = changetype<PortableMetric>(next);
    if ((<u32>metric.flags & ~(METRIC_SHORTENED | METRIC_PAIRS)) != 0) return false;
    if (!isText(metric.name, metric.nameBytes)) return false;
    if (!isWhole(metric.zeroCount, BIN_COUNT_MAX)) return false;
    for (let bin = metric.bins; bin < metric.end; bin += BIN_BYTES)
      if (!isWhole(load<f64>(bin, 8), BIN_COUNT_MAX)) return false;
    next = metric.end;
  }
  return true;
}

/** What `isList` leaves open: few enough terms, each named once and a text. */
function areTidyTerms(at: usize): bool {
  const count = load<u32>(at);
  if (count > MERGE_TERMS_MAX || load<u32>(at, 4) != 0) return false;
  const mask = openSeen(count);
  let term = at + TERMS_HEAD_BYTES;
  for (let index: u32 = 0; index < count; index++) {
    const keyBytes = <u32>load<u16>(term, 16);
    const key = term + TERM_HEAD_BYTES;
    if (load<u16>(term, 18) != 0 || load<u32>(term, 20) != 0 || !isText(key, keyBytes)) return false;
    let place = fnv1a(key, keyBytes) & mask;
    while (true) {
      const held = <usize>load<u32>(SEEN + (<usize>place << 2));
      if (held == 0) break;
      const isSame = <u32>load<u16>(held, 16) == keyBytes;
      if (isSame && equalBytes(held + TERM_HEAD_BYTES, key, keyBytes)) return false;
      place = (place + 1) & mask;
    }
    store<u32>(SEEN + (<usize>place << 2), <u32>term);
    term = key + padded(keyBytes);
  }
  return true;
}

/** A table of u32 for `count` things, at most half full; returns its mask. */
function openSeen(count: u32): u32 {
  let entries: u32 = 8;
  while (entries < count << 1) entries <<= 1;
  memory.fill(SEEN, 0, entries << 2);
  return entries - 1;
}

/** UTF-8, and zeros up to the next multiple of 8. */
function isText(at: usize, bytes: u32): bool {
  return isUtf8(at, at + bytes) && isZero(at + bytes, padded(bytes) - bytes);
}

function isZero(at: usize, bytes: u32): bool {
  for (let index: u32 = 0; index < bytes; index++) if (load<u8>(at + index) != 0) return false;
  return true;
}
