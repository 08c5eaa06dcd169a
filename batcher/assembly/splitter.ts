// The splitter, on the I/O thread: finds the elements of a body and scatters them over the shards.
//
// A body is a JSON object, a JSON array of events, or NDJSON. An element is read by the very code
// that the batcher will read it with: the two cannot disagree on a tenant, whatever the escapes and
// duplicate keys, so a tenant is in one shard only; and that code is also the fastest way to an
// element's end. An element that it does not accept has no tenant. Its end is found by strings and
// brackets alone, and it goes to shard 0, where the batcher says what is wrong with it.
//
//   element: u32 index · u32 bytes, or TOO_LARGE and none follow · the bytes, padded to 4
//   chunk:   elements of one shard, back to back; at most CHUNK_BYTES unless one element is longer
//   chunk table: { u32 shard, u32 address, u32 bytes }
import { fieldBytes, fieldKind, fieldStart, readTenant, TENANT } from "./fields";
import {
  ARRAY_CLOSE,
  ARRAY_OPEN,
  BACKSLASH,
  COMMA,
  KIND_STRING,
  OBJECT_CLOSE,
  OBJECT_OPEN,
  QUOTE,
  stringStop,
} from "./json";
import {
  allocate,
  release,
  RESULT_CHUNK_TABLE,
  RESULT_CHUNKS,
  RESULT_ELEMENTS,
  RESULT_MALFORMED_AT,
  RESULTS,
  scratchStart,
} from "./layout";
import { LINE_BYTES_MAX } from "./limits.gen";
import { findLineEnd, isBlankLine, skipByteOrderMark, trimReturn } from "./lines";
import { placementHash } from "./tenants";

const CHUNK_BYTES: u32 = 64 * 1024;
const CHUNK_COUNT_MAX: u32 = 8192;
const CHUNK_ENTRY_BYTES: usize = 12;
const ELEMENT_HEADER_BYTES: u32 = 8;
const TOO_LARGE: u32 = u32.MAX_VALUE;

let shardCount: u32 = 0;
let chunkTable: usize = 0;
let chunkCount: u32 = 0;
/** Of each shard: the chunk that is being filled, + 1. */
let openChunks: usize = 0;
let body: usize = 0;
let elementCount: u32 = 0;
/** Where the structure of the body is broken; `scanElement` and `scanString` set it. */
let malformedAt: usize = 0;

export function splitterInit(shards: u32): void {
  scratchStart();
  shardCount = shards;
  chunkTable = allocate(<usize>CHUNK_COUNT_MAX * CHUNK_ENTRY_BYTES);
  openChunks = allocate(<usize>shards << 2);
  body = allocate(0);
}

/** Room for a body; returns its address. */
export function splitterReserve(bytes: u32): usize {
  release(body);
  body = allocate(bytes);
  return body;
}

/** Splits an object or an array; false if the body is not structurally one of them. */
export function splitJson(bytes: u32, fixedShard: i32): bool {
  begin();
  const end = body + bytes;
  store<u8>(end, 0);
  let at = skipSpacesUpTo(skipByteOrderMark(body, end), end);
  if (load<u8>(at) == OBJECT_OPEN) {
    const behind = takeElement(at, end, fixedShard, false);
    at = behind == 0 ? malformedAt : skipSpacesUpTo(behind, end);
    return finish(behind != 0 && at == end, at);
  }
  if (load<u8>(at) != ARRAY_OPEN) return finish(false, at);
  at = skipSpacesUpTo(at + 1, end);
  if (load<u8>(at) != ARRAY_CLOSE) {
    while (true) {
      const behind = takeElement(at, end, fixedShard, true);
      if (behind == 0) return finish(false, malformedAt);
      at = skipSpacesUpTo(behind, end);
      if (load<u8>(at) == ARRAY_CLOSE) break;
      // A comma; takeElement stops at nothing else.
      at = skipSpacesUpTo(at + 1, end);
    }
  }
  at = skipSpacesUpTo(at + 1, end);
  return finish(at == end, at);
}

/** Splits NDJSON, which cannot be malformed as a whole. */
export function splitLines(bytes: u32, fixedShard: i32): void {
  begin();
  const end = body + bytes;
  let at = skipByteOrderMark(body, end);
  while (at < end) {
    const lineEnd = findLineEnd(at, end);
    const contentEnd = trimReturn(at, lineEnd);
    if (!isBlankLine(at, contentEnd)) {
      let shard: u32 = fixedShard;
      if (fixedShard < 0) {
        const behind = load<u8>(contentEnd);
        store<u8>(contentEnd, 0);
        const start = skipSpacesUpTo(at, contentEnd);
        shard = load<u8>(start) == OBJECT_OPEN && readTenant(start) != 0 ? tenantShard() : 0;
        store<u8>(contentEnd, behind);
      }
      put(shard, at, <u32>(contentEnd - at));
    }
    at = lineEnd + 1;
  }
  finish(true, 0);
}

function begin(): void {
  chunkCount = 0;
  elementCount = 0;
  memory.fill(openChunks, 0, <usize>shardCount << 2);
}

function finish(whole: bool, at: usize): bool {
  store<u32>(RESULTS, elementCount, RESULT_ELEMENTS);
  store<u32>(RESULTS, chunkCount, RESULT_CHUNKS);
  store<u32>(RESULTS, <u32>chunkTable, RESULT_CHUNK_TABLE);
  store<u32>(RESULTS, <u32>(at - body), RESULT_MALFORMED_AT);
  return whole;
}

/**
 * Puts the element at `at` into its shard's chunk. Returns what is behind it: in an array the comma
 * or bracket; 0 where the structure is broken.
 */
function takeElement(at: usize, end: usize, fixedShard: i32, inArray: bool): usize {
  if (load<u8>(at) == OBJECT_OPEN) {
    const behind = readTenant(at);
    if (behind != 0) {
      const next = skipSpacesUpTo(behind, end);
      const byte = load<u8>(next);
      // Otherwise something stands between the object and the next comma, and belongs to the
      // element.
      if (!inArray || byte == COMMA || byte == ARRAY_CLOSE) {
        put(fixedShard < 0 ? tenantShard() : fixedShard, at, <u32>(behind - at));
        return behind;
      }
    }
  }
  const behind = scanElement(at, end, inArray);
  if (behind == 0) return 0;
  let contentEnd = behind;
  while (contentEnd > at && isSpace(load<u8>(contentEnd - 1))) contentEnd--;
  if (contentEnd == at) {
    malformedAt = at;
    return 0;
  }
  put(max(fixedShard, 0), at, <u32>(contentEnd - at));
  return behind;
}

/** Behind the object at `at`, or in an array: the comma or bracket that ends the element. */
function scanElement(at: usize, end: usize, inArray: bool): usize {
  let braces: u32 = 0;
  let brackets: u32 = 0;
  while (true) {
    const block = v128.load(at);
    // Setting bit 5 turns [ into { and ] into }.
    const folded = v128.or(block, i8x16.splat(0x20));
    let stops = v128.or(
      i8x16.eq(block, i8x16.splat(QUOTE)),
      v128.or(
        i8x16.eq(folded, i8x16.splat(OBJECT_OPEN)),
        i8x16.eq(folded, i8x16.splat(OBJECT_CLOSE)),
      ),
    );
    const outside = (braces | brackets) == 0;
    if (outside) stops = v128.or(stops, i8x16.eq(block, i8x16.splat(COMMA)));
    const mask = i8x16.bitmask(stops);
    at += mask == 0 ? 16 : ctz(mask);
    if (at >= end) return broken(end);
    if (mask == 0) continue;
    const byte = load<u8>(at);
    if (byte == QUOTE) {
      at = scanString(at + 1, end);
      if (at == 0) return 0;
      continue;
    }
    if (byte == COMMA) return at;
    if (byte == OBJECT_OPEN) braces++;
    else if (byte == ARRAY_OPEN) brackets++;
    else if (byte == ARRAY_CLOSE) {
      if (outside && inArray) return at;
      if (brackets-- == 0) return broken(at);
    } else if (braces-- == 0) return broken(at);
    at++;
    if (!inArray && (braces | brackets) == 0) return at;
  }
}

/** Behind the string's closing quote. Raw controls are the batcher's business. */
function scanString(at: usize, end: usize): usize {
  while (true) {
    at = stringStop(at);
    if (at >= end) return broken(end);
    const byte = load<u8>(at);
    if (byte == QUOTE) return at + 1;
    at += byte == BACKSLASH ? 2 : 1;
  }
}

function broken(at: usize): usize {
  malformedAt = at;
  return 0;
}

/** Shard of the element that `readTenant` read. An illegal tenant is rejected wherever it comes. */
function tenantShard(): u32 {
  if (fieldKind(TENANT) != KIND_STRING) return 0;
  return (placementHash(fieldStart(TENANT), fieldBytes(TENANT)) & 255) % shardCount;
}

function put(shard: u32, start: usize, bytes: u32): void {
  const index = elementCount++;
  const tooLarge = bytes > LINE_BYTES_MAX;
  const size = ELEMENT_HEADER_BYTES + (tooLarge ? 0 : (bytes + 3) & ~3);
  const open = openChunks + (<usize>shard << 2);
  const opened = load<u32>(open);
  let entry = chunkTable + <usize>max(opened, 1) * CHUNK_ENTRY_BYTES - CHUNK_ENTRY_BYTES;
  if (opened == 0 || load<u32>(entry, 8) + size > CHUNK_BYTES) {
    if (chunkCount == CHUNK_COUNT_MAX) unreachable();
    entry = chunkTable + <usize>chunkCount * CHUNK_ENTRY_BYTES;
    store<u32>(open, ++chunkCount);
    store<u32>(entry, shard);
    store<u32>(entry, <u32>allocate(max(size, CHUNK_BYTES)), 4);
    store<u32>(entry, 0, 8);
  }
  const used = load<u32>(entry, 8);
  const at = <usize>load<u32>(entry, 4) + used;
  store<u32>(at, index);
  store<u32>(at, tooLarge ? TOO_LARGE : bytes, 4);
  if (!tooLarge) {
    // Zeros for the padding first; no element is empty, so this is behind the header.
    store<u32>(at + size - 4, 0);
    memory.copy(at + ELEMENT_HEADER_BYTES, start, bytes);
  }
  store<u32>(entry, used + size, 8);
}

// @ts-ignore: decorator
@inline
function isSpace(byte: u8): bool {
  return byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09;
}

function skipSpacesUpTo(at: usize, end: usize): usize {
  while (at < end && isSpace(load<u8>(at))) at++;
  return at;
}
