// Time: what moves the window, and which pane an event belongs to.
//
// A tenant on the wall clock is moved by the host's time, and an event ahead of it counts as now.
// If the host's clock is set back, the window waits for it where it is, and events keep their
// distance to the host's time: what comes in time is never late for that.
//
// A tenant on the event clock is moved by its newest event. One event with a broken clock would
// then move it for good, years ahead, and make all that follow late. So an event more than a day
// ahead is doubted: it counts as now, in the newest pane, and the window moves only if the very
// next event to be counted is that far ahead as well; then it moves to the earlier of the two. A
// stream that was silent for longer than a day thus puts its first event into the old window, and
// goes on with the second.
import { rollPeople } from "../../sdk/assembly/sketches/people";
import { PANES, SLOT_RECORD_BYTES } from "../../sdk/assembly/sketches/space-saving";
import {
  fadeHistory, fadePast, fadeWindows, rollHistory, rollWindows,
} from "../../sdk/assembly/sketches/trend";
import { levelStartMs, PANE_BIAS, PANE_MS, SPAN_MINUTE } from "../../sdk/assembly/spans";
import { rollMetrics } from "./metrics";
import { beginText, isTextBegun } from "./own-text";
import { hasPastQuote, rollQuotes } from "./quotes";
import { metrics, state, table, termSpans, timeline, users, weights } from "./state";
import { fitTerms, shrink } from "./tiers";
import { Turn } from "./turn";
import { CLOCK_WALL } from "./world.gen";

/** The year 2286: later times are taken for this one, so that pane numbers keep to 32 bits. */
const TS_MS_MAX: f64 = 1e13;
/** Panes of a day. */
const DOUBT_PANES: u32 = 17_280;

/** Epoch ms at which a pane ends. */
export function paneEndMs(pane: u32): f64 {
  return levelStartMs(SPAN_MINUTE, pane + 1);
}

/** Tells the host's time. */
export function tell(nowMs: f64): void {
  const it = state();
  if (<u32>it.clock != CLOCK_WALL) return;
  const pane = paneOf(nowMs);
  if (!it.started || pane > table().pane) moveTo(pane);
  if (nowMs > it.asOfMs) it.asOfMs = min<f64>(nowMs, TS_MS_MAX);
}

/** How many panes the host's clock is behind the window, for the events of one batch. */
export function panesBehind(nowMs: f64): u32 {
  if (<u32>state().clock != CLOCK_WALL) return 0;
  const pane = paneOf(nowMs);
  return pane < table().pane ? table().pane - pane : 0;
}

/**
 * Hot. Finds the pane of an event, moving the window if the clock is the event's. False: it is too
 * old for the 60 s window.
 */
@inline
export function place(turn: Turn, tsMs: f64): bool {
  // Most events of a batch are of the pane of the one before.
  if (!(tsMs >= turn.paneMs && tsMs < turn.paneMs + PANE_MS)) {
    turn.timePane = paneOf(tsMs);
    turn.paneMs = levelStartMs(SPAN_MINUTE, turn.timePane);
  }
  const it = state();
  let pane = turn.timePane;
  if (<u32>it.clock == CLOCK_WALL) pane += turn.panesBehind;
  else if (!follow(turn, pane, tsMs)) return true;
  turn.pane = min(pane, table().pane);
  // Not f64's min and max, which branch, and do so badly where both are equal.
  const told = tsMs < it.asOfMs ? tsMs : it.asOfMs;
  turn.tsMs = told > 0 ? told : 0;
  return pane >= table().low;
}

/** The event's clock: moves the window. False: the event is not believed, and counts as now. */
function follow(turn: Turn, pane: u32, tsMs: f64): bool {
  const it = state();
  if (!it.started) moveTo(pane);
  const now = table().pane;
  if (pane > now) {
    turn.settle();
    turn.giveBack();
    if (pane - now > DOUBT_PANES && isDoubtful(pane)) {
      turn.pane = table().pane;
      turn.tsMs = it.asOfMs;
      return false;
    }
    if (pane > table().pane) moveTo(pane);
  }
  it.doubtedPane = 0;
  if (tsMs > it.asOfMs) it.asOfMs = min<f64>(tsMs, TS_MS_MAX);
  return true;
}

/**
 * Whether an event so far ahead is not believed. A second one in a row moves the window to the
 * earlier of the two; from there it may still be doubted.
 */
function isDoubtful(pane: u32): bool {
  const it = state();
  const doubted = it.doubtedPane;
  it.doubtedPane = pane;
  if (doubted == 0) return true;
  const earlier = min(doubted, pane);
  moveTo(earlier);
  it.asOfMs = max<f64>(it.asOfMs, levelStartMs(SPAN_MINUTE, earlier));
  return pane - earlier > DOUBT_PANES;
}

function paneOf(ms: f64): u32 {
  if (!(ms > 0)) return PANE_BIAS;
  return <u32>(floor<f64>(min<f64>(ms, TS_MS_MAX)) / PANE_MS) + PANE_BIAS;
}

/** Moves the window's newest pane to `pane`, however far that is. */
function moveTo(pane: u32): void {
  const it = state();
  const slots = table();
  if (!it.started) {
    it.started = 1;
    it.firstPane = pane;
    slots.pane = pane;
    timeline().roll(pane, weights());
    users().roll(pane);
    termSpans().advance(slots, pane);
    return;
  }
  // A tenant that rests has its rows packed: they catch up when it wakes.
  if (it.rest == 0) {
    if (termSpans().endsMinute(pane)) fitTerms();
    termSpans().advance(slots, pane);
  }
  const gap = pane - slots.pane;
  const single = min(gap, PANES);
  for (let step: u32 = 0; step < single; step++) rollOne();
  if (gap > PANES) {
    const rest = gap - PANES;
    it.windows = fadeWindows(it.windows, rest);
    fadeHistory(it.past, it.recent, it.spread, slots.count, it.windows, rest);
    fadePast(it.baseline, it.baselineCells, rest);
    slots.roll(rest);
  }
  timeline().roll(pane, weights());
  users().roll(pane);
  rollMetrics(metrics(), pane);
  if (!isTextBegun() && hasPastQuote()) beginText();
  rollQuotes();
  shrink();
}

function rollOne(): void {
  const it = state();
  const slots = table();
  const next = slots.pane + 1;
  const leaving = slots.cell(next, 0);
  rollPeople(
    slots.record(0).people, SLOT_RECORD_BYTES, it.peopleLevels, leaving, slots.isWhole, slots.count,
    next,
  );
  rollHistory(it.past, it.recent, it.spread, leaving, slots.capacity, it.windows);
  fadePast(it.baseline, it.baselineCells, 1);
  if (next - PANES >= it.firstPane) it.windows = rollWindows(it.windows);
  slots.roll(1);
}
