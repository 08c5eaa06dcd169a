/**
 * The summarizer's twin: the same window counted exactly, with memory for everything. It knows
 * terms, times and clocks; it does not know ids, repeats or text.
 */
const PANE_MS = 5_000;
const PANES = 12;
/** An event on the event clock that is further ahead is doubted; see clock.ts of the guest. */
const DOUBT_PANES = 17_280;

export type OracleEvent = {
  readonly tsMs: number;
  readonly weight: number;
  readonly user: string;
  readonly terms: readonly string[];
};

type Pane = {
  events: number;
  readonly counts: Map<string, number>;
  readonly users: Set<string>;
};

export class WindowOracle {
  lateCount = 0;
  asOfMs = 0;
  readonly #clock: "wall" | "event";
  readonly #panes = new Map<number, Pane>();
  #pane: number | undefined;
  #doubted: number | undefined;

  constructor(clock: "wall" | "event") {
    this.#clock = clock;
  }

  /** Returns whether the event is in the window; else it was late. */
  add(event: OracleEvent): boolean {
    let pane = Math.floor(event.tsMs / PANE_MS);
    if (this.#clock === "event" && this.#believes(pane)) this.#moveTo(pane, event.tsMs);
    if (pane <= this.pane - PANES) {
      this.lateCount += 1;
      return false;
    }
    pane = Math.min(pane, this.pane);
    const held = this.#panes.get(pane) ?? { events: 0, counts: new Map(), users: new Set() };
    held.events += 1;
    if (event.user !== "") held.users.add(event.user);
    for (const term of new Set(event.terms)) {
      held.counts.set(term, (held.counts.get(term) ?? 0) + event.weight);
    }
    this.#panes.set(pane, held);
    return true;
  }

  tell(nowMs: number): void {
    if (this.#clock === "wall") this.#moveTo(Math.floor(nowMs / PANE_MS), nowMs);
  }

  get pane(): number {
    return this.#pane ?? 0;
  }

  get started(): boolean {
    return this.#pane !== undefined;
  }

  get windowEndMs(): number {
    return (this.pane + 1) * PANE_MS;
  }

  get eventCount(): number {
    return this.#open.reduce((sum, { events }) => sum + events, 0);
  }

  get userCount(): number {
    return this.#open.reduce((all, { users }) => all.union(users), new Set<string>()).size;
  }

  get counts(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { counts } of this.#open) {
      for (const [term, count] of counts) sums.set(term, (sums.get(term) ?? 0) + count);
    }
    return sums;
  }

  /** The `count` largest counts; where the last one ties, all that tie. */
  top(count: number): Map<string, number> {
    const sorted = [...this.counts].toSorted((left, right) => right[1] - left[1]);
    const least = sorted[Math.min(count, sorted.length) - 1]?.[1] ?? 0;
    return new Map(sorted.filter(([, each]) => each >= least));
  }

  get #open(): Pane[] {
    return [...this.#panes].flatMap(([pane, held]) => (pane > this.pane - PANES ? [held] : []));
  }

  /** One event more than a day ahead moves nothing, a second in a row to the earlier of the two. */
  #believes(pane: number): boolean {
    if (this.#pane !== undefined && pane - this.#pane > DOUBT_PANES) {
      const earlier = Math.min(this.#doubted ?? 0, pane);
      this.#doubted = pane;
      if (earlier === 0) return false;
      this.#moveTo(earlier, earlier * PANE_MS);
      if (pane - earlier > DOUBT_PANES) return false;
    }
    this.#doubted = undefined;
    return true;
  }

  #moveTo(pane: number, ms: number): void {
    this.#pane = Math.max(this.#pane ?? pane, pane);
    this.asOfMs = Math.max(this.asOfMs, ms);
    for (const held of this.#panes.keys()) {
      if (held <= this.#pane - PANES) this.#panes.delete(held);
    }
  }
}
