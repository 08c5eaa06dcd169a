// The `metrics` object of an event. Of duplicate names the last counts, a null takes a metric away,
// so names are gathered first and written afterwards.
import {
  COMMA,
  OBJECT_CLOSE,
  isDigit,
  readString,
  skipSpaces,
  skipValue,
  stringBytes,
  stringStart,
} from "./json";
import { copyShort } from "./layout";
import { METRIC_COUNT_MAX, METRIC_NAME_BYTES_MAX } from "./limits.gen";
import { parseNumber } from "./number";

export const METRICS_INVALID: u32 = u32.MAX_VALUE;

/** { u32 start of name, u32 bytes of name, u32 start of value, u32 end of value; 0: null } */
const TABLE: usize = memory.data(16 * 16, 16);
/** Values, f64, by the same number. */
const VALUES: usize = memory.data(16 * 8, 16);
let nameCount: u32 = 0;

/**
 * Reads the object at `at`, whose JSON is known to be right; count of metrics or METRICS_INVALID.
 */
export function metricsRead(at: usize): u32 {
  nameCount = 0;
  at = skipSpaces(at + 1);
  while (load<u8>(at) != OBJECT_CLOSE) {
    at = readString(at + 1);
    if (stringBytes - 1 >= METRIC_NAME_BYTES_MAX) return METRICS_INVALID;
    const entry = entryOf(stringStart, stringBytes);
    if (entry == 0) return METRICS_INVALID;
    // A colon follows, with or without spaces.
    at = skipSpaces(skipSpaces(at) + 1);
    const value = at;
    at = skipValue(at, 0);
    store<u32>(entry, <u32>value, 8);
    store<u32>(entry, load<u8>(value) == 0x6e /* n */ ? 0 : <u32>at, 12);
    at = skipSpaces(at);
    if (load<u8>(at) == COMMA) at = skipSpaces(at + 1);
  }
  return readValues();
}

/** Writes what `metricsRead` read; returns the address behind it. */
export function metricsWrite(to: usize): usize {
  for (let i: u32 = 0; i < nameCount; i++) {
    const entry = TABLE + (<usize>i << 4);
    if (load<u32>(entry, 12) == 0) continue;
    const bytes = load<u32>(entry, 4);
    store<f64>(to, load<f64>(VALUES + (<usize>i << 3)));
    store<u16>(to, <u16>bytes, 8);
    copyShort(to + 10, load<u32>(entry), bytes);
    to += 10 + bytes;
  }
  return to;
}

/** The entry of a name, new or not; 0 when there are too many. */
function entryOf(start: usize, bytes: u32): usize {
  for (let i: u32 = 0; i < nameCount; i++) {
    const entry = TABLE + (<usize>i << 4);
    if (load<u32>(entry, 4) == bytes && memory.compare(load<u32>(entry), start, bytes) == 0) {
      return entry;
    }
  }
  if (nameCount == METRIC_COUNT_MAX) return 0;
  const entry = TABLE + (<usize>nameCount << 4);
  nameCount++;
  store<u32>(entry, <u32>start);
  store<u32>(entry, bytes, 4);
  return entry;
}

function readValues(): u32 {
  let count: u32 = 0;
  for (let i: u32 = 0; i < nameCount; i++) {
    const entry = TABLE + (<usize>i << 4);
    const end = <usize>load<u32>(entry, 12);
    if (end == 0) continue;
    const start = <usize>load<u32>(entry, 8);
    const first = load<u8>(start);
    if (first != 0x2d && !isDigit(first)) return METRICS_INVALID;
    const value = parseNumber(start, end);
    if (!isFinite(value)) return METRICS_INVALID;
    store<f64>(VALUES + (<usize>i << 3), value);
    count++;
  }
  return count;
}
