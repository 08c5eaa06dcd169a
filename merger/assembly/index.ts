// Merges windows of many tenants, in the portable form, into one.
//
// `open` begins a group, `add` takes a sketch that the host put at `input`, `encode` writes what
// was added so far in the portable form again, `report` writes it as numbers. So a merge may be
// merged: sums and unions commute and associate, and every part bounds itself in a way that does
// (users.ts, metrics.ts), but for what the files of the sketches say of rounding and of the
// intervals of terms once their table is full.
//
// Any byte may be a lie. A sketch is read whole before anything of it is added (sections.ts), so
// one that is refused leaves no trace. Memory is that of layout.ts and never grows.
import { TermMerge } from "../../guests/sdk/assembly/sketches/term-merge";
import {
  addMetrics, metricsSection, metricsSectionBytes, openMetrics,
} from "./metrics";
import { INPUT, MERGED, OUTPUT, TERMS } from "./layout";
import { MERGE_TERMS_MAX } from "./limits.gen";
import {
  checksumOf, COUNT_MAX, COUNT_METRICS_REFUSED, COUNT_WEIGHTS, COUNTS, COUNTS_BYTES, HEADER_BYTES,
  KIND_COUNTS, KIND_METRICS, KIND_TERMS, MAGIC, padded, SECTION_BYTES, VERSION,
} from "./portable";
import { writeReport } from "./report";
import {
  countsAt, FINE, metricsAt, readSketch, termsAt, termsBytes, usersAt, usersKind,
} from "./sections";
import { MergedUsers } from "./users";

@unmanaged
class Merged {
  span: u32;
  /** Whether anything has happened in what was added. */
  started: u32;
  /** From the earliest start to the latest end; both 0 if there is none. */
  startMs: f64;
  endMs: f64;
  // f64 counts[COUNTS], then the users.

  @inline
  get counts(): usize {
    return changetype<usize>(this) + offsetof<Merged>();
  }

  @inline
  get users(): MergedUsers {
    return changetype<MergedUsers>(this.counts + COUNTS_BYTES);
  }
}

/** Where the host puts a sketch, at most SKETCH_BYTES_MAX; and where `encode` puts one. */
export function inputAddress(): usize {
  return INPUT;
}

export function open(span: u32): void {
  const it = merged();
  memory.fill(MERGED, 0, offsetof<Merged>() + COUNTS_BYTES);
  it.span = span;
  it.users.open(span);
  openMetrics();
  terms().open(MERGE_TERMS_MAX);
}

/** 0: it is in. Else what is wrong with it: 1 corrupt, 2 another version, 3 another window. */
export function add(bytes: u32): u32 {
  const it = merged();
  const fault = readSketch(INPUT, bytes, it.span);
  if (fault != FINE) return fault;
  addWindow(it, load<f64>(INPUT, 8), load<f64>(INPUT, 16));
  if (countsAt == 0) return FINE;
  it.started = 1;
  for (let index: u32 = 0; index < COUNTS; index++)
    addCount(it, index, load<f64>(countsAt + (index << 3)));
  if (usersAt != 0) it.users.add(usersKind, usersAt);
  if (metricsAt != 0) addCount(it, COUNT_METRICS_REFUSED, addMetrics(metricsAt));
  if (termsAt != 0) terms().add(termsAt, termsBytes);
  return FINE;
}

/** Writes the merge where the input was; returns its bytes. */
export function encode(): u32 {
  const it = merged();
  let at = OUTPUT + HEADER_BYTES;
  if (it.started) {
    at = openSection(at, KIND_COUNTS, COUNTS_BYTES);
    memory.copy(at, it.counts, COUNTS_BYTES);
    at += COUNTS_BYTES;
    const users = it.users;
    at = openSection(at, users.encodedKind, users.encodedBytes);
    users.encode(at);
    at += padded(users.encodedBytes);
    at = openSection(at, KIND_METRICS, metricsSectionBytes());
    memory.copy(at, metricsSection(), metricsSectionBytes());
    at += metricsSectionBytes();
    terms().sort();
    const termBytes = terms().encodedBytes(MERGE_TERMS_MAX);
    at = openSection(at, KIND_TERMS, termBytes);
    terms().encode(at, MERGE_TERMS_MAX);
    at += termBytes;
  }
  const payloadBytes = <u32>(at - OUTPUT) - HEADER_BYTES;
  store<u32>(OUTPUT, MAGIC);
  store<u16>(OUTPUT, VERSION, 4);
  store<u16>(OUTPUT, <u16>it.span, 6);
  store<f64>(OUTPUT, it.startMs, 8);
  store<f64>(OUTPUT, it.endMs, 16);
  store<u32>(OUTPUT, payloadBytes, 24);
  store<u32>(OUTPUT, checksumOf(OUTPUT, payloadBytes), 28);
  return HEADER_BYTES + payloadBytes;
}

/** Writes the merge as numbers, with `limit` terms at most; returns where, see report.ts. */
export function report(limit: u32): usize {
  const it = merged();
  terms().sort();
  return writeReport(it.startMs, it.endMs, it.counts, it.users, metricsSection(), terms(), limit);
}

// @ts-ignore: decorator
@inline
function merged(): Merged {
  return changetype<Merged>(MERGED);
}

// @ts-ignore: decorator
@inline
function terms(): TermMerge {
  return changetype<TermMerge>(TERMS);
}

/** A window that ends at 0 is that of a tenant without events: of no time. */
function addWindow(it: Merged, startMs: f64, endMs: f64): void {
  if (endMs == 0) return;
  it.startMs = it.endMs == 0 ? startMs : min<f64>(it.startMs, startMs);
  it.endMs = max<f64>(it.endMs, endMs);
}

function addCount(it: Merged, index: u32, count: f64): void {
  const at = it.counts + (index << 3);
  const most = index == COUNT_WEIGHTS ? f64.MAX_VALUE : COUNT_MAX;
  store<f64>(at, min<f64>(load<f64>(at) + count, most));
}

/** Begins a section; returns where its bytes go, with zeros in the last eight of them. */
function openSection(at: usize, kind: u32, bytes: u32): usize {
  store<u32>(at, kind);
  store<u32>(at, bytes, 4);
  at += SECTION_BYTES;
  if (bytes != 0) store<u64>(at + padded(bytes) - 8, 0);
  return at;
}
