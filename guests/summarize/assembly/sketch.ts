// The answer of `sketch`: a window in the portable form, to be merged with others (merger/).
//
//    0 u32 magic "NXS1"     8 f64 epoch ms from     24 u32 bytes of the payload
//    4 u16 version          16 f64 epoch ms to       28 u32 FNV-1a of 8 to 27 and the payload
//    6 u8  span, u8 0       32 the payload: sections { u32 kind, u32 bytes, bytes padded to 8 }
//
//   1 counts   f64 events, weights, late, duplicates, repeated, metrics refused
//   2 - 4      users: a list, a bitmap, or an UltraLogLog; see user-spans.ts
//   5 metrics  see portable-metric.ts
//   6 terms    u32 count, u32 0, f64 what any other term may have at most, then
//              { f64 low, f64 high, u16 bytes, u16 0, u32 0, term padded to 8 } each, most
//              frequent first
//
// All of it follows from the state alone. What does not fit the low page is given up where it says
// so itself: the lowest bins of metrics, and the terms of the least counts.
import { alloc } from "../../sdk/assembly/arena";
import { encodeMetrics, metricsBinsMax, metricsEncodedBytes } from "./metrics";
import {
  isKept, ledger, metrics, spanEndMs, spanStartMs, state, table, timeline, users, weights,
} from "./state";
import { SpanTerms, termsOf } from "./summary-terms";

const MAGIC: u32 = 0x3153584e;
const VERSION: u16 = 1;
const HEADER_BYTES: u32 = 32;
const FNV_START: u32 = 0x811c9dc5;
const SECTION_HEADER_BYTES: u32 = 8;
const KIND_COUNTS: u32 = 1;
const KIND_METRICS: u32 = 5;
const KIND_TERMS: u32 = 6;
const COUNTS_BYTES: u32 = 48;
const TERMS_HEADER_BYTES: u32 = 16;
const TERM_HEADER_BYTES: u32 = 24;
const TERMS_MAX: u32 = 64;
const METRICS_BYTES_MAX: u32 = 16384;
const BINS_MAX: u32 = 4096;

/** A list of bytes: its address and length. */
export function sketchOf(span: u32): usize {
  const list = alloc(8, 4);
  const kept = state().version != 0 && isKept(span);
  const out = changetype<Sections>(alloc(offsetof<Sections>()));
  if (kept) out.measure(span);
  const at = alloc(HEADER_BYTES + out.bytes);
  if (kept) out.write(at + HEADER_BYTES, span);
  store<u32>(at, MAGIC);
  store<u16>(at, VERSION, 4);
  store<u8>(at, <u8>span, 6);
  store<f64>(at, spanStartMs(span), 8);
  store<f64>(at, spanEndMs(span), 16);
  store<u32>(at, out.bytes, 24);
  store<u32>(at, fnv1a(fnv1a(FNV_START, at + 8, 20), at + HEADER_BYTES, out.bytes), 28);
  store<u32>(list, <u32>at);
  store<u32>(list, HEADER_BYTES + out.bytes, 4);
  return list;
}

/** Bytes of the sections, and then the sections themselves. */
@unmanaged
class Sections {
  bytes: u32;
  userBytes: u32;
  metricBytes: u32;
  /** Of one metric. */
  binsMax: u32;
  termBytes: u32;
  terms: u32;

  measure(span: u32): void {
    const pane = table().pane;
    this.userBytes = users().encodedBytes(span, pane);
    this.binsMax = BINS_MAX;
    this.metricBytes = metricsEncodedBytes(metrics(), span, this.binsMax);
    if (this.metricBytes > METRICS_BYTES_MAX) {
      this.binsMax = metricsBinsMax(metrics(), span, METRICS_BYTES_MAX);
      this.metricBytes = metricsEncodedBytes(metrics(), span, this.binsMax);
    }
    const terms = termsOf(span, TERMS_MAX);
    this.terms = <u32>changetype<usize>(terms);
    this.termBytes = TERMS_HEADER_BYTES;
    for (let rank: u32 = 0; rank < terms.count; rank++)
      this.termBytes += TERM_HEADER_BYTES + padded(terms.at(rank).keyBytes);
    this.bytes =
      4 * SECTION_HEADER_BYTES + COUNTS_BYTES + padded(this.userBytes) + padded(this.metricBytes) +
      this.termBytes;
  }

  write(at: usize, span: u32): void {
    const pane = table().pane;
    at = open(at, KIND_COUNTS, COUNTS_BYTES);
    writeCounts(at, span);
    at = open(at + COUNTS_BYTES, users().encodedKind(span, pane), this.userBytes);
    users().encode(span, pane, at);
    at = open(at + padded(this.userBytes), KIND_METRICS, this.metricBytes);
    encodeMetrics(metrics(), <u32>at, span, this.binsMax);
    at = open(at + padded(this.metricBytes), KIND_TERMS, this.termBytes);
    writeTerms(at, changetype<SpanTerms>(<usize>this.terms));
  }
}

/** Returns where the section's bytes go. */
function open(at: usize, kind: u32, bytes: u32): usize {
  store<u32>(at, kind);
  store<u32>(at, bytes, 4);
  return at + SECTION_HEADER_BYTES;
}

function writeCounts(at: usize, span: u32): void {
  store<f64>(at, timeline().count(span));
  store<f64>(at, timeline().weight(span, weights()), 8);
  store<f64>(at, ledger().count, 16);
  store<f64>(at, <f64>state().duplicateCount, 24);
  store<f64>(at, <f64>state().repeatedCount, 32);
  store<f64>(at, metrics().refused + metrics().ignored, 40);
}

function writeTerms(at: usize, terms: SpanTerms): void {
  store<u32>(at, terms.count);
  store<f64>(at, terms.untracked, 8);
  at += TERMS_HEADER_BYTES;
  for (let rank: u32 = 0; rank < terms.count; rank++) {
    const term = terms.at(rank);
    store<f64>(at, term.low);
    store<f64>(at, term.high, 8);
    store<u16>(at, <u16>term.keyBytes, 16);
    memory.copy(at + TERM_HEADER_BYTES, term.key, term.keyBytes);
    at += TERM_HEADER_BYTES + padded(term.keyBytes);
  }
}

@inline
function padded(bytes: u32): u32 {
  return (bytes + 7) & ~7;
}

function fnv1a(hash: u32, from: usize, bytes: u32): u32 {
  for (let at: u32 = 0; at < bytes; at++) hash = (hash ^ <u32>load<u8>(from + at)) * 0x01000193;
  return hash;
}
