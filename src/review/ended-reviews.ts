/**
 * Ends of reviews that leave nothing behind, on their way to the store. Each waits a little, so
 * that its answer is out before the row that stands for it is gone: a crash in between would leave
 * neither. There is one timer and no clock: what came before it ran is due when it has run again.
 */
import { STORE_ENDED_MS_MIN } from "#model/limits.ts";
import type { PendingId } from "./pending-table.ts";

export class EndedReviews {
  readonly #whenDue: () => void;
  #due: PendingId[] = [];
  #ripening: PendingId[] = [];
  #fresh: PendingId[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(whenDue: () => void) {
    this.#whenDue = whenDue;
  }

  add(id: PendingId): void {
    this.#fresh.push(id);
    this.#timer ??= setTimeout(() => this.#ripen(), STORE_ENDED_MS_MIN).unref();
  }

  takeDue(): readonly PendingId[] {
    return this.#due.splice(0);
  }

  /** They were not written, and are due still. */
  putBack(ids: readonly PendingId[]): void {
    this.#due = [...ids, ...this.#due];
  }

  /** Everybody was answered. */
  hurry(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due.push(...this.#ripening.splice(0), ...this.#fresh.splice(0));
  }

  #ripen(): void {
    this.#due.push(...this.#ripening);
    this.#ripening = this.#fresh;
    this.#fresh = [];
    const waits = this.#ripening.length > 0;
    this.#timer = waits ? setTimeout(() => this.#ripen(), STORE_ENDED_MS_MIN).unref() : undefined;
    if (this.#due.length > 0) this.#whenDue();
  }
}
