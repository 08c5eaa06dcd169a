// The batcher's calls: a record of lines or elements in, events in the arena, errors in a list.
import { ACCEPTED, acceptEvent } from "./event";
import { arenaFull, arenaInit, eventCount } from "./arena";
import { ERROR_EVENT_TOO_LARGE, ERROR_INVALID_UTF8 } from "./errors.gen";
import { FIELDS_OK, readElement } from "./fields";
import {
  allocate,
  ERROR_LIST,
  INPUT_BYTES,
  RESULT_ACCEPTED,
  RESULT_CONSUMED,
  RESULT_ELEMENTS,
  RESULT_ERRORS,
  RESULT_EVENTS,
  RESULT_FULL,
  RESULT_REJECTED,
  RESULT_TENANTS,
  RESULTS,
  scratchStart,
} from "./layout";
import { ERRORS_LISTED_MAX, LINE_BYTES_MAX } from "./limits.gen";
import { findLineEnd, isBlankLine, lineHasHighBits, skipByteOrderMark, trimReturn } from "./lines";
import { tenantCount, tenantsInit } from "./tenants";
import { hasHighBits, isUtf8 } from "./utf8";

/** In place of an element's count of bytes: too large, and left out. */
const TOO_LARGE: u32 = u32.MAX_VALUE;
/** In place of an element's index: one more than the one before. */
const INDEX_NEXT: u32 = u32.MAX_VALUE;

let input: usize = 0;
let elementCount: u32 = 0;
let rejectedCount: u32 = 0;
let errorCount: u32 = 0;

/** Lays out the memory; returns the address of the input. The seed is to be hard to guess. */
export function batcherInit(tenantCountMax: u32, arenaBytes: u32, hashSeed: u32): usize {
  scratchStart();
  input = allocate(INPUT_BYTES);
  tenantsInit(tenantCountMax, hashSeed);
  arenaInit(arenaBytes);
  return input;
}

/** `lines`: NDJSON. See src/batcher/batcher.ts for the contract. */
export function parseLines(
  bytes: u32,
  tenant: i32,
  origin: u32,
  firstIndex: u32,
  nowMs: f64,
): void {
  begin();
  const end = input + bytes;
  let at = input;
  if (firstIndex == 0) at = skipByteOrderMark(at, end);
  while (at < end && !arenaFull()) {
    const lineEnd = findLineEnd(at, end);
    const contentEnd = trimReturn(at, lineEnd);
    const start = at;
    at = min(lineEnd + 1, end);
    if (isBlankLine(start, contentEnd)) continue;
    if (contentEnd - start > LINE_BYTES_MAX) {
      reject(firstIndex + elementCount, ERROR_EVENT_TOO_LARGE);
    } else if (lineHasHighBits && !isUtf8(start, contentEnd)) {
      reject(firstIndex + elementCount, ERROR_INVALID_UTF8);
    } else {
      take(start, contentEnd, tenant, origin, firstIndex + elementCount, nowMs);
    }
  }
  finish(at, end);
}

/**
 * `elements`: { u32 index, u32 bytes, the bytes, padded to 4 } each; false if the record is torn.
 */
export function parseElements(
  bytes: u32,
  tenant: i32,
  origin: u32,
  firstIndex: u32,
  nowMs: f64,
): bool {
  begin();
  const end = input + bytes;
  let at = input;
  while (at < end && !arenaFull()) {
    if (end - at < 8) return false;
    let index = load<u32>(at);
    const elementBytes = load<u32>(at, 4);
    if (index == INDEX_NEXT) index = firstIndex + elementCount;
    at += 8;
    if (elementBytes == TOO_LARGE) {
      reject(index, ERROR_EVENT_TOO_LARGE);
      continue;
    }
    if (elementBytes > <u32>(end - at)) return false;
    const elementEnd = at + elementBytes;
    if (elementBytes > LINE_BYTES_MAX) {
      reject(index, ERROR_EVENT_TOO_LARGE);
    } else if (hasHighBits(at, elementEnd) && !isUtf8(at, elementEnd)) {
      reject(index, ERROR_INVALID_UTF8);
    } else {
      take(at, elementEnd, tenant, origin, index, nowMs);
    }
    at += (<usize>elementBytes + 3) & ~3;
  }
  finish(min(at, end), end);
  return true;
}

function begin(): void {
  elementCount = 0;
  rejectedCount = 0;
  errorCount = 0;
}

function finish(at: usize, end: usize): void {
  store<u32>(RESULTS, <u32>(at - input), RESULT_CONSUMED);
  store<u32>(RESULTS, elementCount, RESULT_ELEMENTS);
  store<u32>(RESULTS, elementCount - rejectedCount, RESULT_ACCEPTED);
  store<u32>(RESULTS, rejectedCount, RESULT_REJECTED);
  store<u32>(RESULTS, errorCount, RESULT_ERRORS);
  store<u32>(RESULTS, at < end ? 1 : 0, RESULT_FULL);
  store<u32>(RESULTS, eventCount, RESULT_EVENTS);
  store<u32>(RESULTS, tenantCount, RESULT_TENANTS);
}

/** One element of valid UTF-8: accepted, or rejected with one error. */
function take(
  start: usize,
  end: usize,
  tenant: i32,
  origin: u32,
  index: u32,
  nowMs: f64,
): void {
  // The scanner stops at this 0 wherever it is; see json.ts.
  const behind = load<u8>(end);
  store<u8>(end, 0);
  let error = readElement(start, end);
  if (error == FIELDS_OK) error = acceptEvent(tenant, origin, index, nowMs);
  store<u8>(end, behind);
  if (error != ACCEPTED) return reject(index, error);
  elementCount++;
}

function reject(index: u32, error: i32): void {
  elementCount++;
  rejectedCount++;
  if (errorCount == ERRORS_LISTED_MAX) return;
  store<u32>(ERROR_LIST + (<usize>errorCount << 3), index);
  store<u32>(ERROR_LIST + (<usize>errorCount << 3), error, 4);
  errorCount++;
}
