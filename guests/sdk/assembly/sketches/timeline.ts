// How many events came in every span, and what they weighed.
//
// A span is a ring of cells, one for each of its level panes (spans.ts): an event adds one to the
// cell of its level pane in every span whose window holds it, and to two sums since the start. A
// count is the sum of a ring. What leaves a window is written over with zeros when the newest pane
// moves, at most once around each ring however long the gap was, so an idle tenant costs nothing.
//
// Bound: counts are exact, until one cell holds 2^32 - 1 (it stays there) or a sum 2^53.
//
// Weights. Nearly every tenant's events weigh one each, and its weights are its counts. Only with
// the first event for which that is not so (`uneven`) a second set of rings is kept, at an address
// of the owner's choice: it starts as a copy of the counts, which until then are the weights, so
// nothing is lost, and a tenant that never needs it never pays for it.
//
// Layout: zero bytes are an empty timeline. TIMELINE_BYTES = 208; the second set of rings, zeros
// until it is used, WEIGHTS_BYTES = 184. An update is four loads and stores.
// Checked against a list of all events by guests/sdk/timeline.test.ts.
import {
  levelPane, levelPanes, levelStartMs, PANE_BIAS, SPAN_ALL, SPAN_DAY, SPAN_MINUTE,
} from "../spans";
import { saturatingAdd } from "./bytes";

export const TIMELINE_BYTES: u32 = 208;
/** Bytes of the rings of weights: u32[12 + 10 + 12 + 12]. */
export const WEIGHTS_BYTES: u32 = 184;

/** First cell of each span's ring. */
const FIRSTS: usize = memory.data<u8>([0, 12, 22, 34]);

/**
 * Of the first portable form, which knew no weights: f64 events, u32 pane, u32 0, the cells.
 */
export const TIMELINE_FORMER_BYTES: u32 = 16 + WEIGHTS_BYTES;

@unmanaged
export class Timeline {
  /** Events since the start, late ones too. */
  events: f64;
  weights: f64;
  /** The newest pane; 0: there was none yet. */
  pane: u32;
  /** Whether there was an event whose weight was not its count: the rings of weights are in use. */
  uneven: u32;

  /** From its first portable form: every event weighs one. */
  importFormer(from: usize): void {
    this.events = load<f64>(from);
    this.weights = this.events;
    this.pane = load<u32>(from, 8);
    this.uneven = 0;
    memory.copy(this.cells, from + 16, WEIGHTS_BYTES);
  }

  /** Hot. `pane`: where the event belongs; later ones than `current` count as now. */
  add(events: u32, weight: u32, pane: u32, current: u32, weightsAt: usize): void {
    this.roll(current, weightsAt);
    this.events += <f64>events;
    this.weights += <f64>weight;
    if (events != weight && this.uneven == 0) {
      memory.copy(weightsAt, this.cells, WEIGHTS_BYTES);
      this.uneven = 1;
    }
    const uneven = this.uneven != 0;
    const newest = this.pane;
    if (pane > newest) pane = newest;
    for (let span = SPAN_MINUTE; span <= SPAN_DAY; span++) {
      const level = levelPane(span, pane);
      if (levelPane(span, newest) - level >= levelPanes(span)) continue;
      const at = cellOf(span, level);
      store<u32>(this.cells + at, saturatingAdd(load<u32>(this.cells + at), events));
      if (uneven) store<u32>(weightsAt + at, saturatingAdd(load<u32>(weightsAt + at), weight));
    }
  }

  /** Hot. Makes `current` the newest pane: what it pushes out of a window is forgotten. */
  @inline
  roll(current: u32, weightsAt: usize): void {
    if (current > this.pane) this.rollTo(current, weightsAt);
  }

  /** Events of a span; those since the start for SPAN_ALL. */
  count(span: u32): f64 {
    return span == SPAN_ALL ? this.events : sumOf(this.cells, span);
  }

  /** What these events weighed. */
  weight(span: u32, weightsAt: usize): f64 {
    if (span == SPAN_ALL) return this.weights;
    return sumOf(this.uneven != 0 ? weightsAt : this.cells, span);
  }

  /** Epoch ms at which the window of a span below SPAN_ALL begins. */
  startMs(span: u32): f64 {
    const first = max(levelPane(span, max(this.pane, PANE_BIAS)), leastLevel(span));
    return levelStartMs(span, first - (levelPanes(span) - 1));
  }

  @inline
  private get cells(): usize {
    return changetype<usize>(this) + offsetof<Timeline>();
  }

  private rollTo(current: u32, weightsAt: usize): void {
    const from = this.pane;
    this.pane = current;
    if (from == 0) return;
    for (let span = SPAN_MINUTE; span <= SPAN_DAY; span++) {
      const level = levelPane(span, current);
      const moved = min(level - levelPane(span, from), levelPanes(span));
      for (let back: u32 = 0; back < moved; back++) {
        const at = cellOf(span, level - back);
        store<u32>(this.cells + at, 0);
        if (this.uneven != 0) store<u32>(weightsAt + at, 0);
      }
    }
  }
}

/** The newest level pane of the first window of all time. */
@inline
function leastLevel(span: u32): u32 {
  return PANE_BIAS + levelPanes(span) - 1;
}

/** Offset of the cell of a level pane. */
@inline
function cellOf(span: u32, level: u32): usize {
  return <usize>(<u32>load<u8>(FIRSTS + span) + level % levelPanes(span)) << 2;
}

function sumOf(cells: usize, span: u32): f64 {
  let sum: u64 = 0;
  const first = <usize>load<u8>(FIRSTS + span);
  for (let cell: usize = 0; cell < <usize>levelPanes(span); cell++)
    sum += <u64>load<u32>(cells + ((first + cell) << 2));
  return <f64>sum;
}
