/**
 * How many messages of one request may follow those that an upstream is still asked about: a tenant
 * has only so many reviews open at once, and one request should not refuse its own. It holds the
 * rest back for as long as a verdict may wait, and no longer.
 */
import { JUDGE_SLICE_COUNT_MAX, REVIEWS_OPEN_MAX } from "#model/limits.ts";

/** Fewer at a time are not worth a slice. */
const ROOM_MIN = 16;

export class ReviewWindow {
  #openCount = 0;
  #untilMs = 0;
  #ended = Promise.withResolvers<void>();

  /** `end`: settles at the end of a review, which always comes. */
  add(end: Promise<unknown>, waitMsMax: number, nowMs: number): void {
    if (this.#untilMs === 0) this.#untilMs = nowMs + waitMsMax;
    this.#openCount += 1;
    void end.then(() => {
      this.#openCount -= 1;
      this.#ended.resolve();
      this.#ended = Promise.withResolvers<void>();
    });
  }

  /** Resolves with how many messages may follow, once there are enough. */
  async room(nowMs: () => number): Promise<number> {
    while (REVIEWS_OPEN_MAX - this.#openCount < ROOM_MIN) {
      if (nowMs() >= this.#untilMs) return JUDGE_SLICE_COUNT_MAX;
      await this.#ended.promise;
    }
    return Math.min(JUDGE_SLICE_COUNT_MAX, REVIEWS_OPEN_MAX - this.#openCount);
  }
}
