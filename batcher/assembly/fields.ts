// Finds the fields of an event. One pass over an element checks all of its JSON and notes, for each
// field we know, what kind of value it has and where; nothing is converted yet, so that of
// duplicate keys the last wins at no cost, as with JSON.parse.
//
// A set of fields: 16 kinds (u8), then 16 pairs { u32 address, u32 bytes }. Of a string these are
// its decoded bytes, of any other value its text.
//
// An object with a `specversion` is a CloudEvent in structured mode: `data` holds the fields, and
// what it leaves out is taken from the envelope, where `time` and `subject` stand for tsMs and
// conversation.
import { ERROR_DATA_UNSUPPORTED, ERROR_MALFORMED_JSON, ERROR_NOT_AN_OBJECT } from "./errors.gen";
import {
  COLON,
  COMMA,
  KIND_ARRAY,
  KIND_BOOLEAN,
  KIND_NONE,
  KIND_NUMBER,
  KIND_OBJECT,
  KIND_STRING,
  ARRAY_OPEN,
  OBJECT_CLOSE,
  OBJECT_OPEN,
  QUOTE,
  readString,
  resetScratch,
  skipNumber,
  skipScalar,
  skipSpaces,
  skipValue,
  stringBytes,
  stringStart,
  stringStop,
} from "./json";

export const ID: i32 = 0;
export const TENANT: i32 = 1;
export const CONVERSATION: i32 = 2;
export const USER: i32 = 3;
export const TS: i32 = 4;
export const TEXT: i32 = 5;
export const TERMS: i32 = 6;
export const METRICS: i32 = 7;
export const WEIGHT: i32 = 8;
/** Fields of an event end here; what follows belongs to the envelope of a CloudEvent. */
const EVENT_FIELDS: i32 = 9;
const SPECVERSION: i32 = 9;
export const TIME: i32 = 10;
const SUBJECT: i32 = 11;
const DATA: i32 = 12;
const DATA_BASE64: i32 = 13;
const UNKNOWN: i32 = -1;

const FIELDS: usize = memory.data(144, 16);
const INNER: usize = memory.data(144, 16);

/** No error: the element is an object and its fields are noted. */
export const FIELDS_OK: i32 = -1;

// @ts-ignore: decorator
@inline
export function fieldKind(field: i32): u8 {
  return load<u8>(FIELDS + field);
}

// @ts-ignore: decorator
@inline
export function fieldStart(field: i32): usize {
  return load<u32>(FIELDS + 16 + (<usize>field << 3));
}

// @ts-ignore: decorator
@inline
export function fieldBytes(field: i32): u32 {
  return load<u32>(FIELDS + 20 + (<usize>field << 3));
}

/** Reads the whole element [start, end), behind which a 0 byte stands. FIELDS_OK or an error. */
export function readElement(start: usize, end: usize): i32 {
  resetScratch();
  const at = skipSpaces(start);
  if (load<u8>(at) != OBJECT_OPEN) {
    const behind = skipValue(at, 0);
    return behind != 0 && skipSpaces(behind) == end ? ERROR_NOT_AN_OBJECT : ERROR_MALFORMED_JSON;
  }
  const behind = readFields(at, FIELDS);
  if (behind == 0 || skipSpaces(behind) != end) return ERROR_MALFORMED_JSON;
  return fieldKind(SPECVERSION) == KIND_NONE ? FIELDS_OK : openEnvelope();
}

/**
 * Reads the object at `at` for its tenant; returns what is behind it, or 0 where it is malformed.
 * Decides as `readElement` and the checks of an event do, or two shards would hold one tenant.
 */
export function readTenant(at: usize): usize {
  resetScratch();
  const behind = readFields(at, FIELDS);
  if (behind != 0 && fieldKind(SPECVERSION) != KIND_NONE) openEnvelope();
  return behind;
}

/** Notes the fields of the object at `at` in `set`. */
function readFields(at: usize, set: usize): usize {
  v128.store(set, i8x16.splat(0));
  at = skipSpaces(at + 1);
  if (load<u8>(at) == OBJECT_CLOSE) return at + 1;
  while (true) {
    if (load<u8>(at) != QUOTE) return 0;
    let field = usualField(at + 1);
    if (field != UNKNOWN) {
      at = skipSpaces(at + usualBytes(field));
    } else {
      at = readString(at + 1);
      if (at == 0) return 0;
      field = fieldOf(stringStart, stringBytes);
      at = skipSpaces(at);
      if (load<u8>(at) != COLON) return 0;
      at = skipSpaces(at + 1);
    }
    at = field == UNKNOWN ? skipValue(at, 1) : readValue(at, set, field);
    if (at == 0) return 0;
    at = skipSpaces(at);
    const next = load<u8>(at);
    if (next == OBJECT_CLOSE) return at + 1;
    if (next != COMMA) return 0;
    at = skipSpaces(at + 1);
  }
}

// @ts-ignore: decorator
@inline
function readValue(at: usize, set: usize, field: i32): usize {
  const first = load<u8>(at);
  if (first == QUOTE) {
    const stop = stringStop(at + 1);
    if (load<u8>(stop) == QUOTE) {
      note(set, field, KIND_STRING, at + 1, <u32>(stop - at) - 1);
      return stop + 1;
    }
    const behind = readString(at + 1);
    note(set, field, KIND_STRING, stringStart, stringBytes);
    return behind;
  }
  let kind: u8;
  let behind: usize;
  if (first == OBJECT_OPEN || first == ARRAY_OPEN) {
    kind = first == OBJECT_OPEN ? KIND_OBJECT : KIND_ARRAY;
    behind = skipValue(at, 1);
  } else if (first <= 0x39) {
    kind = KIND_NUMBER;
    behind = skipNumber(at);
  } else {
    kind = first == 0x6e /* n */ ? KIND_NONE : KIND_BOOLEAN;
    behind = skipScalar(at);
  }
  note(set, field, kind, at, <u32>(behind - at));
  return behind;
}

// @ts-ignore: decorator
@inline
function note(set: usize, field: i32, kind: u8, start: usize, bytes: u32): void {
  store<u8>(set + field, kind);
  store<u64>(set + 16 + (<usize>field << 3), <u64>start | (<u64>bytes << 32));
}

/**
 * The field whose key, closing quote and colon are what most writers put here, without a space or
 * an escape; UNKNOWN says nothing. Hot: it spares five scans an event.
 */
// @ts-ignore: decorator
@inline
function usualField(start: usize): i32 {
  const word = load<u64>(start);
  if (<u32>word == 0x3a226469 /* id": */) return ID;
  if (word == 0x3a22746e616e6574 /* tenant": */) return TENANT;
  const six = word & 0xffffffffffff;
  if (six == 0x3a2272657375 /* user": */) return USER;
  if (six == 0x3a22734d7374 /* tsMs": */) return TS;
  if (six == 0x3a2274786574 /* text": */) return TEXT;
  const conversation = word == 0x61737265766e6f63 && load<u64>(start, 6) == 0x3a226e6f69746173;
  return conversation ? CONVERSATION : UNKNOWN;
}

/** From the quote before a usual key to its value. */
// @ts-ignore: decorator
@inline
function usualBytes(field: i32): usize {
  // Bytes of id, tenant, conversation, user, tsMs, text, in order of their numbers, plus "":.
  return <usize>((0x07_07_07_0f_09_05 >> (<u64>field << 3)) & 0xff);
}

/** Field of a key, by its first eight bytes. */
function fieldOf(start: usize, bytes: u32): i32 {
  const word = load<u64>(start);
  switch (bytes) {
    case 2:
      return (word & 0xffff) == 0x6469 /* id */ ? ID : UNKNOWN;
    case 4:
      switch (<u32>word) {
        case 0x72657375 /* user */:
          return USER;
        case 0x74786574 /* text */:
          return TEXT;
        case 0x734d7374 /* tsMs */:
          return TS;
        case 0x656d6974 /* time */:
          return TIME;
        case 0x61746164 /* data */:
          return DATA;
        default:
          return UNKNOWN;
      }
    case 5:
      return (word & 0xffffffffff) == 0x736d726574 /* terms */ ? TERMS : UNKNOWN;
    case 6:
      if ((word & 0xffffffffffff) == 0x746e616e6574 /* tenant */) return TENANT;
      return (word & 0xffffffffffff) == 0x746867696577 /* weight */ ? WEIGHT : UNKNOWN;
    case 7:
      if ((word & 0xffffffffffffff) == 0x7363697274656d /* metrics */) return METRICS;
      return (word & 0xffffffffffffff) == 0x7463656a627573 /* subject */ ? SUBJECT : UNKNOWN;
    case 11:
      if (word == 0x7372657663657073 && load<u32>(start, 7) == 0x6e6f6973 /* specversion */) {
        return SPECVERSION;
      }
      return word == 0x7361625f61746164 && load<u32>(start, 7) == 0x34366573 /* data_base64 */
        ? DATA_BASE64
        : UNKNOWN;
    case 12:
      return word == 0x61737265766e6f63 && load<u32>(start, 8) == 0x6e6f6974 /* conversation */
        ? CONVERSATION
        : UNKNOWN;
    default:
      return UNKNOWN;
  }
}

/** Lays the fields in `data` over those of the envelope. */
function openEnvelope(): i32 {
  const data = fieldKind(DATA);
  if (data == KIND_OBJECT) {
    readFields(fieldStart(DATA), INNER);
    for (let field: i32 = 0; field < EVENT_FIELDS; field++) {
      if (load<u8>(INNER + field) != KIND_NONE) copyField(field, INNER, field);
    }
  } else if (data == KIND_STRING) {
    copyField(TEXT, FIELDS, DATA);
  }
  if (fieldKind(CONVERSATION) == KIND_NONE) copyField(CONVERSATION, FIELDS, SUBJECT);
  const unread = data != KIND_NONE && data != KIND_OBJECT && data != KIND_STRING;
  return unread || fieldKind(DATA_BASE64) != KIND_NONE ? ERROR_DATA_UNSUPPORTED : FIELDS_OK;
}

function copyField(to: i32, set: usize, from: i32): void {
  store<u8>(FIELDS + to, load<u8>(set + from));
  store<u64>(
    FIELDS + 16 + (<usize>to << 3),
    load<u64>(set + 16 + (<usize>from << 3)),
  );
}

/** Whether the element is a CloudEvent: only then `time` counts. */
export function isEnvelope(): bool {
  return fieldKind(SPECVERSION) != KIND_NONE;
}
