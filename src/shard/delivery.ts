/**
 * Hands what the kernel stage gathered to its tenants, and to a tenant about whom somebody asks at
 * once. A tenant's turn costs most of what there is
 * to pay, and next to nothing more for more records: so the next delivery waits in proportion to
 * what the last one took, and under load fewer and larger batches are handed out; without it they
 * are handed out at once. So that nobody gets an answer seconds old, a question brings its tenant
 * up to date first: the tables are turned, and the tenant's records taken out of all that waits.
 * That looks at every record that waits, so it has a budget; beyond it answers are as old as they
 * are.
 */
import type { Drain, EmitStatus } from "#kernel/drain.ts";

/** Rest after a delivery, in units of what it took, and the longest. */
const DELIVERY_REST = 5;
const DELIVERY_MS_MAX = 2_000;
/** What joining must leave of a full buffer at most, or it is handed out. */
const ROOM_SHARE = 0.7;

/** Of every second, what questions may take to bring their tenants up to date. */
const QUESTION_SHARE = 0.05;
const QUESTION_MS_MAX = 50;
/** How long a question waits for the tables to turn: a shard that is busy may hold that up. */
const TURN_WAIT_MS_MAX = 20;

/** What a delivery needs of its shard. */
export type DeliveryParts = {
  readonly drain: Pick<
    Drain,
    | "pending"
    | "gathered"
    | "summing"
    | "batchCount"
    | "collect"
    | "compact"
    | "deliver"
    | "emit"
    | "emitPicked"
    | "pick"
    | "askTurn"
    | "neededName"
    | "bind"
    | "refuse"
    | "release"
  >;
  /** Number of a tenant, made if it is new; -1 when there is no room for it. */
  readonly ensure: (tenant: string) => number;
  /** Runs the batches that the drain has written; of so many tenants, one after the other. */
  readonly handOut: (passBatches: number) => void;
  /** Milliseconds, to reckon with; tests have their own. */
  readonly clock?: () => number;
};

export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #clock: () => number;
  /** Some of a delivery is not handed out yet. */
  #busy = false;
  /** When the next delivery is due, and how long this one took so far. */
  #dueMs = 0;
  #tookMs = 0;
  /** Batches of this delivery so far, and of the one before: about as many tenants. */
  #batches = 0;
  #passBatches = 0;
  /** What questions may still take, and when that was reckoned. */
  #questionMs = QUESTION_MS_MAX;
  #reckonedMs = 0;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? (() => performance.now());
  }

  /** Whether there is something to do; `stopping`: nothing may be left. */
  pending(stopping: boolean): boolean {
    const { drain } = this.#parts;
    return this.#busy || drain.pending || (stopping && drain.gathered > 0);
  }

  /** Empties the tables, and hands some of what gathered to the tenants. */
  step(nowMs: number, stopping: boolean): void {
    const { drain } = this.#parts;
    const startMs = this.#clock();
    drain.collect();
    if (!this.#busy) {
      if (drain.gathered === 0) return;
      const due = startMs >= this.#dueMs || stopping;
      if (!due && !drain.pending) return;
      if (!due && this.#makeRoom()) return;
      drain.deliver();
      this.#busy = true;
      this.#tookMs = 0;
      this.#passBatches = this.#batches;
      this.#batches = 0;
    }
    this.#emit(nowMs);
    const doneMs = this.#clock();
    this.#tookMs += doneMs - startMs;
    const restMs = Math.min(this.#tookMs * DELIVERY_REST, DELIVERY_MS_MAX);
    if (!this.#busy) this.#dueMs = doneMs + restMs;
  }

  /** Hands a tenant all that was taken of it so far, as far as the budget goes. */
  bringUp(tenant: string, nowMs: number): void {
    const { drain, handOut } = this.#parts;
    const startMs = this.#clock();
    const earnedMs = (startMs - this.#reckonedMs) * QUESTION_SHARE;
    this.#questionMs = Math.min(QUESTION_MS_MAX, this.#questionMs + earnedMs);
    this.#reckonedMs = startMs;
    if (this.#questionMs <= 0) return;
    drain.collect();
    if (!drain.pending && drain.summing) {
      drain.askTurn(TURN_WAIT_MS_MAX);
      drain.collect();
    }
    if (drain.pick(tenant) > 0) {
      for (let more = true; more;) {
        more = this.#write(() => drain.emitPicked(nowMs)) === "full";
        handOut(0);
        drain.release();
      }
    }
    this.#questionMs -= this.#clock() - startMs;
  }

  /** Whether joining equal keys made room enough to go on gathering. */
  #makeRoom(): boolean {
    const { drain } = this.#parts;
    const before = drain.gathered;
    drain.compact();
    if (drain.gathered > before * ROOM_SHARE) return false;
    drain.collect();
    return !drain.pending;
  }

  /** As many batches as the output takes. */
  #emit(nowMs: number): void {
    const { drain, handOut } = this.#parts;
    const status = this.#write(() => drain.emit(nowMs));
    this.#batches += drain.batchCount;
    // The drain hands out tenants in one order every time, each of them once.
    handOut(this.#passBatches);
    drain.release();
    this.#busy = status === "full";
  }
  /** Writes batches with `emit`, and numbers the tenants that have none. */
  #write(emit: () => EmitStatus): EmitStatus {
    const { drain, ensure } = this.#parts;
    let status = emit();
    for (; status === "name"; status = emit()) {
      const number = ensure(drain.neededName());
      if (number === -1) drain.refuse();
      else drain.bind(number);
    }
    return status;
  }
}
