/**
 * When the tables of the kernel stage change hands. Quiet: every `turnMs`, so that tenants see what
 * is sent at once. Busy: a table that sums for longer sums more, and each turn is a look at every
 * slot: so as long as there is room, every `busyTurnMs`. At once, whatever the load, when a log is
 * half full, and when a shard asks because somebody asked it.
 */

/** What the turns need of the receiver. */
export type TurnedReceiver = {
  /** Records taken since the last turn, and how full what they went to is: 1 takes no more. */
  readonly epochRecords: number;
  readonly fullness: number;
  /** A shard asks for a turn. */
  readonly turnWanted: boolean;
  /** Turns if every shard has read the epoch before; returns whether it did. */
  turn(): boolean;
  requestNames(nowMs: number): void;
  forgetIdleSenders(nowMs: number): void;
};

/** More records than this in a quiet interval is load: half a million a second at 100 ms. */
const BUSY_RECORDS = 50_000;
/** Between two looks under load: 40 million events a second on one CPU fill a log in 150 ms. */
const BUSY_LOOK_MS = 20;
const FULLNESS_MAX = 0.5;
/** A turn that must wait for a shard is tried again so much later. */
const RETRY_MS = 2;
/** Between two turns that were asked for; shards have a budget for asking. */
const WANTED_MS_MIN = 2;
const FORGET_MS = 1_000;

export class Turns {
  readonly #receiver: TurnedReceiver;
  readonly #turnMs: number;
  readonly #busyTurnMs: number;
  #turnedMs: number;
  #lookMs: number;
  #namesMs = -Infinity;
  #forgetMs = -Infinity;

  constructor(
    receiver: TurnedReceiver,
    options: { readonly turnMs: number; readonly busyTurnMs: number },
    nowMs: number,
  ) {
    this.#receiver = receiver;
    this.#turnMs = options.turnMs;
    this.#busyTurnMs = Math.max(options.turnMs, options.busyTurnMs);
    this.#turnedMs = nowMs;
    this.#lookMs = nowMs + options.turnMs;
  }

  /** Milliseconds until there is something to do. */
  dueMs(nowMs: number): number {
    return Math.max(0, this.#lookMs - nowMs);
  }

  tick(nowMs: number): void {
    const { turnWanted } = this.#receiver;
    if (nowMs < this.#lookMs && !turnWanted && this.#receiver.fullness < 1) return;
    if (this.#isDue(nowMs, turnWanted)) this.#turn(nowMs);
    else this.#lookMs = nowMs + this.#untilLook(nowMs, turnWanted);
    if (nowMs >= this.#namesMs) {
      this.#namesMs = nowMs + this.#turnMs;
      this.#receiver.requestNames(nowMs);
    }
    if (nowMs < this.#forgetMs) return;
    this.#forgetMs = nowMs + FORGET_MS;
    this.#receiver.forgetIdleSenders(nowMs);
  }

  #isDue(nowMs: number, turnWanted: boolean): boolean {
    const ageMs = nowMs - this.#turnedMs;
    if (ageMs >= this.#busyTurnMs || this.#receiver.fullness >= FULLNESS_MAX) return true;
    if (turnWanted && ageMs >= WANTED_MS_MIN) return true;
    return ageMs >= this.#turnMs && this.#receiver.epochRecords < BUSY_RECORDS;
  }

  #untilLook(nowMs: number, turnWanted: boolean): number {
    const ageMs = nowMs - this.#turnedMs;
    if (turnWanted) return WANTED_MS_MIN - ageMs;
    return BUSY_LOOK_MS;
  }

  /** Shards that are behind keep the turn waiting: that is the back pressure. */
  #turn(nowMs: number): void {
    const busy = this.#receiver.epochRecords >= BUSY_RECORDS;
    if (!this.#receiver.turn()) {
      this.#lookMs = nowMs + RETRY_MS;
      return;
    }
    this.#turnedMs = nowMs;
    this.#lookMs = nowMs + (busy ? Math.min(this.#turnMs, BUSY_LOOK_MS) : this.#turnMs);
  }
}
