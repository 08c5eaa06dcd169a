// Checks the fields of one element and writes the event in the layout of
// guests/sdk/assembly/batch.ts. The first thing that is wrong, in the order of `acceptEvent`, is
// what the caller hears.
import { EVENT_HEADER_BYTES, arenaKeep, arenaTop } from "./arena";
import {
  ERROR_CONVERSATION_INVALID,
  ERROR_EVENT_EMPTY,
  ERROR_ID_INVALID,
  ERROR_METRICS_INVALID,
  ERROR_TENANT_DELETING,
  ERROR_TENANT_ILLEGAL,
  ERROR_TENANT_LIMIT,
  ERROR_TENANT_MISMATCH,
  ERROR_TENANT_MISSING,
  ERROR_TENANT_QUARANTINED,
  ERROR_TERMS_INVALID,
  ERROR_TERM_INVALID,
  ERROR_TEXT_INVALID,
  ERROR_TEXT_TOO_LONG,
  ERROR_TS_INVALID,
  ERROR_TS_IN_FUTURE,
  ERROR_USER_INVALID,
  ERROR_WEIGHT_INVALID,
} from "./errors.gen";
import {
  CONVERSATION,
  fieldBytes,
  fieldKind,
  fieldStart,
  ID,
  isEnvelope,
  METRICS,
  TENANT,
  TERMS,
  TEXT,
  TIME,
  TS,
  USER,
  WEIGHT,
} from "./fields";
import {
  ARRAY_CLOSE,
  COMMA,
  isDigit,
  KIND_ARRAY,
  KIND_NONE,
  KIND_NUMBER,
  KIND_OBJECT,
  KIND_STRING,
  QUOTE,
  readString,
  skipSpaces,
  stringBytes,
  stringStart,
} from "./json";
import { copyShort } from "./layout";
import {
  CONVERSATION_BYTES_MAX,
  EVENT_ID_BYTES_MAX,
  FUTURE_MS_MAX,
  TENANT_ID_BYTES_MAX,
  TERM_BYTES_MAX,
  TERM_COUNT_MAX,
  TEXT_BYTES_MAX,
  TS_MS_MAX,
  USER_BYTES_MAX,
  WEIGHT_MAX,
} from "./limits.gen";
import { METRICS_INVALID, metricsRead, metricsWrite } from "./metrics";
import { parseNumber } from "./number";
import {
  FLAG_DELETING,
  FLAG_EVENT_CLOCK,
  FLAGS_REFUSED,
  isTenantName,
  tableHash,
  tenantAdd,
  tenantFind,
  tenantFlags,
  tenantIs,
} from "./tenants";
import { parseTime } from "./time";
import { tailMask } from "./utf8";

/** No error: the event is in the arena. */
export const ACCEPTED: i32 = -1;

/** Takes the element whose fields were read; `fixed` is the tenant of all events or -1. */
export function acceptEvent(fixed: i32, origin: u32, index: u32, nowMs: f64): i32 {
  const tenantError = findTenant(fixed);
  if (tenantError >= 0) return tenantError;
  let tenant = foundTenant;
  const flags: u8 = tenant < 0 ? 0 : tenantFlags(tenant);
  if ((flags & FLAGS_REFUSED) != 0) {
    return (flags & FLAG_DELETING) != 0 ? ERROR_TENANT_DELETING : ERROR_TENANT_QUARANTINED;
  }

  if (!isId()) return ERROR_ID_INVALID;
  if (!isName(USER, USER_BYTES_MAX)) return ERROR_USER_INVALID;
  if (!isName(CONVERSATION, CONVERSATION_BYTES_MAX)) return ERROR_CONVERSATION_INVALID;
  const tsMs = readTime(nowMs);
  if (!(tsMs >= 0 && tsMs <= TS_MS_MAX)) return ERROR_TS_INVALID;
  if ((flags & FLAG_EVENT_CLOCK) == 0 && tsMs > nowMs + FUTURE_MS_MAX) return ERROR_TS_IN_FUTURE;
  const textKind = fieldKind(TEXT);
  if (textKind != KIND_NONE) {
    if (textKind != KIND_STRING) return ERROR_TEXT_INVALID;
    if (fieldBytes(TEXT) > TEXT_BYTES_MAX) return ERROR_TEXT_TOO_LONG;
  }
  const termsError = writeEvent(tsMs);
  if (termsError >= 0) return termsError;
  if (tenant < 0) {
    // Only an event that is right in itself makes a tenant.
    tenant = tenantAdd(fieldStart(TENANT), fieldBytes(TENANT), foundHash);
    if (tenant < 0) return ERROR_TENANT_LIMIT;
  }
  arenaKeep(tenant, load<u32>(arenaTop), origin, index);
  return ACCEPTED;
}

/** Number of the event's tenant, -1 if it is new; then `foundHash` is its hash. */
let foundTenant: i32 = 0;
let foundHash: u32 = 0;

function findTenant(fixed: i32): i32 {
  foundTenant = fixed;
  const kind = fieldKind(TENANT);
  if (kind == KIND_NONE) return fixed < 0 ? ERROR_TENANT_MISSING : ACCEPTED;
  const start = fieldStart(TENANT);
  const bytes = fieldBytes(TENANT);
  if (kind != KIND_STRING || bytes > TENANT_ID_BYTES_MAX) return ERROR_TENANT_ILLEGAL;
  // The name of a tenant we have is legal: most names need no look at their letters.
  if (fixed >= 0) {
    if (tenantIs(fixed, start, bytes)) return ACCEPTED;
    return isTenantName(start, bytes) ? ERROR_TENANT_MISMATCH : ERROR_TENANT_ILLEGAL;
  }
  foundHash = tableHash(start, bytes);
  foundTenant = tenantFind(start, bytes, foundHash);
  return foundTenant >= 0 || isTenantName(start, bytes) ? ACCEPTED : ERROR_TENANT_ILLEGAL;
}

/** A string as `isName`, or an integer, whose digits are the id. */
function isId(): bool {
  if (fieldKind(ID) != KIND_NUMBER) return isName(ID, EVENT_ID_BYTES_MAX);
  const start = fieldStart(ID);
  const bytes = fieldBytes(ID);
  if (bytes > EVENT_ID_BYTES_MAX) return false;
  for (let i: usize = 1; i < <usize>bytes; i++) if (!isDigit(load<u8>(start + i))) return false;
  return true;
}

/** Absent, or a string of 1 to `bytesMax` bytes without controls. */
// @ts-ignore: decorator
@inline
function isName(field: i32, bytesMax: u32): bool {
  const kind = fieldKind(field);
  if (kind == KIND_NONE) return true;
  return kind == KIND_STRING && isPlain(fieldStart(field), fieldBytes(field), bytesMax);
}

// @ts-ignore: decorator
@inline
function isPlain(start: usize, bytes: u32, bytesMax: u32): bool {
  return bytes - 1 < bytesMax && !hasControls(start, bytes);
}

/** Whether a byte is below 0x20 or 0x7f; `bytes` > 0. */
function hasControls(start: usize, bytes: u32): bool {
  for (; bytes > 16; bytes -= 16, start += 16) {
    if (v128.any_true(controls(v128.load(start)))) return true;
  }
  return v128.any_true(v128.and(controls(v128.load(start)), tailMask(bytes)));
}

// @ts-ignore: decorator
@inline
function controls(block: v128): v128 {
  return v128.or(
    i8x16.lt_u(block, i8x16.splat(0x20)),
    i8x16.eq(block, i8x16.splat(0x7f)),
  );
}

/** Epoch ms of the event; NaN where it is wrong. */
function readTime(nowMs: f64): f64 {
  const kind = fieldKind(TS);
  if (kind == KIND_NUMBER) {
    // Adding 0 turns -0 into 0.
    return parseNumber(fieldStart(TS), fieldStart(TS) + fieldBytes(TS)) + 0;
  }
  if (kind != KIND_NONE) return NaN;
  if (!isEnvelope() || fieldKind(TIME) == KIND_NONE) return nowMs;
  if (fieldKind(TIME) != KIND_STRING) return NaN;
  return parseTime(fieldStart(TIME), fieldBytes(TIME));
}

/** Writes the event at `arenaTop`, where EVENT_BYTES_MAX are free, without keeping it yet. */
function writeEvent(tsMs: f64): i32 {
  const event = arenaTop;
  let at = event + EVENT_HEADER_BYTES;
  const idBytes = presentBytes(ID);
  const userBytes = presentBytes(USER);
  const conversationBytes = presentBytes(CONVERSATION);
  const textBytes = presentBytes(TEXT);
  copyShort(at, fieldStart(ID), idBytes);
  at += idBytes;
  copyShort(at, fieldStart(USER), userBytes);
  at += userBytes;
  copyShort(at, fieldStart(CONVERSATION), conversationBytes);
  at += conversationBytes;
  copyShort(at, fieldStart(TEXT), textBytes);
  const textStart = at;
  at += textBytes;

  let termCount: u32 = 0;
  if (fieldKind(TERMS) != KIND_NONE) {
    const error = writeTerms(at);
    if (error >= 0) return error;
    termCount = termsCount;
    at = termsEnd;
  }
  let metricCount: u32 = 0;
  if (fieldKind(METRICS) != KIND_NONE) {
    if (fieldKind(METRICS) != KIND_OBJECT) return ERROR_METRICS_INVALID;
    const count = metricsRead(fieldStart(METRICS));
    if (count == METRICS_INVALID) return ERROR_METRICS_INVALID;
    metricCount = count;
    at = metricsWrite(at);
  }
  const weight = readWeight();
  if (weight == 0) return ERROR_WEIGHT_INVALID;
  if ((termCount | metricCount) == 0 && isBlank(textStart, textBytes)) return ERROR_EVENT_EMPTY;

  v128.store(at, i8x16.splat(0));
  const bytes = (<u32>(at - event) + 7) & ~7;
  store<u32>(event, bytes);
  store<u32>(event, weight, 4);
  store<f64>(event, tsMs, 8);
  store<u16>(event, <u16>idBytes, 16);
  store<u16>(event, <u16>userBytes, 18);
  store<u16>(event, <u16>conversationBytes, 20);
  store<u16>(event, <u16>termCount, 22);
  store<u32>(event, textBytes, 24);
  store<u32>(event, metricCount, 28);
  return ACCEPTED;
}

// @ts-ignore: decorator
@inline
function presentBytes(field: i32): u32 {
  return fieldKind(field) == KIND_NONE ? 0 : fieldBytes(field);
}

let termsCount: u32 = 0;
let termsEnd: usize = 0;

/** The JSON is known to be right: only what the terms are is checked. */
function writeTerms(to: usize): i32 {
  if (fieldKind(TERMS) != KIND_ARRAY) return ERROR_TERMS_INVALID;
  let at = skipSpaces(fieldStart(TERMS) + 1);
  let count: u32 = 0;
  while (load<u8>(at) != ARRAY_CLOSE) {
    if (count == TERM_COUNT_MAX || load<u8>(at) != QUOTE) return ERROR_TERMS_INVALID;
    at = readString(at + 1);
    const start = stringStart;
    const bytes = stringBytes;
    if (!isPlain(start, bytes, TERM_BYTES_MAX)) return ERROR_TERM_INVALID;
    store<u16>(to, <u16>bytes);
    copyShort(to + 2, start, bytes);
    to += 2 + bytes;
    count++;
    at = skipSpaces(at);
    if (load<u8>(at) == COMMA) at = skipSpaces(at + 1);
  }
  termsCount = count;
  termsEnd = to;
  return ACCEPTED;
}

/** 1 if absent, 0 if wrong. */
function readWeight(): u32 {
  const kind = fieldKind(WEIGHT);
  if (kind == KIND_NONE) return 1;
  if (kind != KIND_NUMBER) return 0;
  const value = parseNumber(fieldStart(WEIGHT), fieldStart(WEIGHT) + fieldBytes(WEIGHT));
  return value >= 1 && value <= <f64>WEIGHT_MAX && floor(value) == value ? <u32>value : 0;
}

/** Whether there is nothing but what String.prototype.trim takes away. */
function isBlank(at: usize, bytes: u32): bool {
  const end = at + bytes;
  while (at < end) {
    const first = load<u8>(at);
    if (first == 0x20 || <u8>(first - 0x09) <= 4) {
      at++;
    } else if (first == 0xc2 && load<u8>(at, 1) == 0xa0 /* U+00A0 */) {
      at += 2;
    } else if (first >= 0xe1 && isWideSpace(load<u32>(at) & 0xffffff)) {
      at += 3;
    } else {
      return false;
    }
  }
  return true;
}

/** A space of three bytes, read as a little-endian number. */
function isWideSpace(bytes: u32): bool {
  switch (bytes) {
    case 0x809ae1 /* U+1680 */:
    case 0xa880e2 /* U+2028 */:
    case 0xa980e2 /* U+2029 */:
    case 0xaf80e2 /* U+202F */:
    case 0x9f81e2 /* U+205F */:
    case 0x8080e3 /* U+3000 */:
    case 0xbfbbef /* U+FEFF */:
      return true;
    default:
      // U+2000 to U+200A
      return (bytes & 0xffff) == 0x80e2 && bytes >= 0x8080e2 && bytes <= 0x8a80e2;
  }
}
