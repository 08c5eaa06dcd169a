/**
 * The summaries' twin: every event of a tenant kept in a list, and each window counted from it. It
 * knows times and clocks (window-oracle.ts), terms, users, metrics and lateness; not ids and text.
 */
import { WindowOracle, type OracleEvent } from "./window-oracle.ts";
import { SPANS, type Span } from "./summarizer.ts";

const PANE_MS = 5_000;
/** Panes of a level pane, and level panes, of each span but `all`. */
const SHAPES: readonly (readonly [number, number])[] = [
  [1, 12],
  [12, 10],
  [60, 12],
  [1440, 12],
];
const LATENESS_MS = [120_000, 600_000, 3_600_000, 86_400_000, Infinity];

export type SummaryEvent = OracleEvent & {
  readonly metrics: readonly { readonly name: string; readonly value: number }[];
};

type Kept = { readonly pane: number; readonly event: SummaryEvent };

export class SummaryOracle {
  readonly lateness = [0, 0, 0, 0, 0];
  lateByMsMax = 0;
  countedInLonger = 0;
  readonly #window: WindowOracle;
  readonly #events: Kept[] = [];
  #firstPane: number | undefined;

  constructor(clock: "wall" | "event") {
    this.#window = new WindowOracle(clock);
  }

  get lateCount(): number {
    return this.#window.lateCount;
  }

  get asOfMs(): number {
    return this.#window.asOfMs;
  }

  tell(nowMs: number): void {
    this.#window.tell(nowMs);
    this.#firstPane ??= this.#window.started ? this.#window.pane : undefined;
  }

  /** Returns whether the event is in the 60 s window; else it was late. */
  add(event: SummaryEvent): boolean {
    const isInTime = this.#window.add(event);
    this.#firstPane ??= this.#window.pane;
    const pane = Math.min(Math.floor(event.tsMs / PANE_MS), this.#window.pane);
    this.#events.push({ pane, event });
    if (isInTime) return true;
    const lateByMs = this.asOfMs - event.tsMs;
    this.lateByMsMax = Math.max(this.lateByMsMax, lateByMs);
    this.lateness[LATENESS_MS.findIndex((most) => lateByMs <= most)]! += 1;
    if (this.#holds("day", pane)) this.countedInLonger += 1;
    return false;
  }

  bounds(span: Span): { startMs: number; endMs: number } {
    const [panes, count] = SHAPES[SPANS.indexOf(span)] ?? [1, 0];
    const newest = Math.floor(this.#window.pane / panes);
    const startMs = (newest - count + 1) * panes * PANE_MS;
    return {
      startMs: span === "all" ? this.#firstPane! * PANE_MS : Math.max(0, startMs),
      endMs: (newest + 1) * panes * PANE_MS,
    };
  }

  events(span: Span): readonly SummaryEvent[] {
    return this.#events.flatMap(({ pane, event }) => (this.#holds(span, pane) ? [event] : []));
  }

  #holds(span: Span, pane: number): boolean {
    const shape = SHAPES[SPANS.indexOf(span)];
    if (shape === undefined) return true;
    const [panes, count] = shape;
    return Math.floor(this.#window.pane / panes) - Math.floor(pane / panes) < count;
  }
}

export function countsOf(events: readonly SummaryEvent[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { terms, weight } of events) {
    for (const term of new Set(terms)) counts.set(term, (counts.get(term) ?? 0) + weight);
  }
  return counts;
}

/** The samples of every metric, ascending. */
export function samplesOf(events: readonly SummaryEvent[]): Map<string, number[]> {
  const samples = new Map<string, number[]>();
  for (const { metrics } of events) {
    for (const { name, value } of metrics) {
      const known = samples.get(name);
      if (known === undefined) samples.set(name, [value]);
      else known.push(value);
    }
  }
  for (const values of samples.values()) values.sort((left, right) => left - right);
  return samples;
}
