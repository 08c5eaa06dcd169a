// The state of a tenant: what lies where in its two pages of 64 KiB.
//
// The first page is everybody's: one header, then arrays that grow and shrink with the traffic
// (tiers.ts). The second has a place for each of the things that only some tenants need, all zeros
// until then; a host keeps only the 4 KiB pages that differ from the base.
//
//   0x10000  header, 872 bytes: this struct, the timeline and its weights, rates, users, the bounds
//            of the longer windows' terms, the table of the window's terms
//      368   arrays: 4 KiB for a quiet tenant, 60 KiB for a hot one
//   0x1f000   4 KiB  16 terms more of the longer windows, of a tenant whose arrays have few
//   0x20000  16 KiB  bitmap of users        \  once there have been more users than the list of
//   0x24000   8 KiB  UltraLogLog of users   /  the largest tier it could grow to holds
//   0x26000  20 KiB  the tenant's rolling text, then conversations: once it pays (own-text.ts)
//   0x2b000  20 KiB  metrics: with the first sample
//
// So at rest: one page, also for its text (rest.ts); up to five more with metrics, as many as they
// fill with conversations, six more after a crowd (two of which are left when its day is over).
// Where 97 to 192 people are still counted by name, it is three, and one for the text.
import { STATE_ADDRESS } from "../../sdk/assembly/arena";
import { AGED_BITMAP_BYTES } from "../../sdk/assembly/sketches/aged-bitmap";
import { LateLedger } from "../../sdk/assembly/sketches/late-ledger";
import { Rates, RATES_BYTES } from "../../sdk/assembly/sketches/rates";
import { SpaceSaving } from "../../sdk/assembly/sketches/space-saving";
import { TERM_SPANS_HEAD_BYTES, TermSpans } from "../../sdk/assembly/sketches/term-spans";
import { Timeline, TIMELINE_BYTES, WEIGHTS_BYTES } from "../../sdk/assembly/sketches/timeline";
import { ULTRA_BYTES, UserSpans } from "../../sdk/assembly/sketches/user-spans";
import { levelPane, levelStartMs, SPAN_ALL, SPAN_MINUTE } from "../../sdk/assembly/spans";
import { Conversations } from "./conversations";
import { MetricStore } from "./metric-state";
import { openMetrics, setMetricSpans } from "./metrics";

/** Spans as bits: all there are, and those that nobody can do without. */
export const SPANS_ALL: u32 = 31;
const SPANS_ALWAYS: u32 = 17;

@unmanaged
export class State {
  /** 1 once configured. */
  version: u32;
  clock: u8;
  tier: u8;
  /** Whether the window has a place in time yet. */
  started: u8;
  /** The windows that are kept, bit n for span n. */
  spans: u8;
  /** The host's time, or the newest event's. */
  asOfMs: f64;
  /** The newest time of an event, as far as it was believed. */
  watermarkMs: f64;
  /** Events ever, of whatever fate. */
  eventNumber: u64;
  duplicateCount: u32;
  repeatedCount: u32;
  /** The pane in which the tenant's time began. */
  firstPane: u32;
  /** How much history the baselines rest on; see trend.ts. */
  windows: f32;
  baseline: u32;
  baselineCells: u32;
  /** f32 a slot each; see trend.ts. */
  past: u32;
  recent: u32;
  spread: u32;
  /** u8 a slot: of the people in its record; see people.ts. */
  peopleLevels: u32;
  ids: u32;
  idCapacity: u32;
  sayings: u32;
  sayingCapacity: u32;
  quotes: u32;
  quoteCapacity: u32;
  /** The least score among the quotes, -1 while there is room. */
  quoteScoreLeast: f32;
  /** The pane of an event so far ahead that it was not believed; 0: there is none. See clock.ts. */
  doubtedPane: u32;
  /** The late events: a head, then room for so many examples. */
  ledger: u32;
  lateExamples: u32;
  /** What lies compact while the tenant rests, see rest.ts; 0: it does not. */
  rest: u32;
}

const TIMELINE: usize = STATE_ADDRESS + 128;
const WEIGHTS: usize = TIMELINE + TIMELINE_BYTES;
const RATES: usize = WEIGHTS + WEIGHTS_BYTES;
const USERS: usize = RATES + RATES_BYTES;
const TERMS: usize = USERS + 48;
const TABLE: usize = TERMS + TERM_SPANS_HEAD_BYTES;
/** Up to here, everybody's; the arrays of tiers.ts follow. */
export const HEADER_BYTES: u32 = <u32>(TABLE - STATE_ADDRESS) + 104;

export const BITMAP: usize = STATE_ADDRESS + 0x10000;
export const ULTRA: usize = BITMAP + AGED_BITMAP_BYTES;
const CONVERSATIONS: usize = ULTRA + ULTRA_BYTES;
export const CONVERSATIONS_BYTES: u32 = 20480;
const METRICS: usize = CONVERSATIONS + CONVERSATIONS_BYTES;
export const METRICS_BYTES: u32 = 20480;

@inline
export function state(): State {
  return changetype<State>(STATE_ADDRESS);
}

/** The terms of the 60 s window. */
@inline
export function table(): SpaceSaving {
  return changetype<SpaceSaving>(TABLE);
}

@inline
export function users(): UserSpans {
  return changetype<UserSpans>(USERS);
}

@inline
export function timeline(): Timeline {
  return changetype<Timeline>(TIMELINE);
}

/** Where the timeline keeps its weights. */
@inline
export function weights(): usize {
  return WEIGHTS;
}

@inline
export function rates(): Rates {
  return changetype<Rates>(RATES);
}

@inline
export function ledger(): LateLedger {
  return changetype<LateLedger>(<usize>state().ledger);
}

/** The terms of the longer windows. */
@inline
export function termSpans(): TermSpans {
  return changetype<TermSpans>(TERMS);
}

@inline
export function conversations(): Conversations {
  return changetype<Conversations>(CONVERSATIONS);
}

/** Reading it is fine also where no metric was ever added. */
@inline
export function metrics(): MetricStore {
  return changetype<MetricStore>(METRICS);
}

/** The metrics, ready to be added to. */
@inline
export function openedMetrics(): MetricStore {
  return openMetrics(METRICS, METRICS_BYTES, <u32>state().spans, table().pane);
}

/** Events in the 60 s window. */
export function eventsInWindow(): u32 {
  return <u32>min<f64>(timeline().count(SPAN_MINUTE), 4294967295);
}

/** Other windows from now on; what is known of those that stay is kept. */
export function keepSpans(spans: u32): void {
  state().spans = <u8>((spans & SPANS_ALL) | SPANS_ALWAYS);
  setMetricSpans(metrics(), spans);
}

@inline
export function isKept(span: u32): bool {
  return ((<u32>state().spans >> span) & 1) != 0;
}

/** Epoch ms at which the window of a span begins; 0 while the tenant has no time yet. */
export function spanStartMs(span: u32): f64 {
  if (!state().started) return 0;
  return span == SPAN_ALL
    ? levelStartMs(SPAN_MINUTE, state().firstPane)
    : timeline().startMs(span);
}

export function spanEndMs(span: u32): f64 {
  if (!state().started) return 0;
  const level = span == SPAN_ALL ? SPAN_MINUTE : span;
  return levelStartMs(level, levelPane(level, table().pane) + 1);
}
