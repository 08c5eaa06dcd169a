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
    for (;;) {
      // First of all: or else what ends all at once makes room for as many again, without end.
      const leftMs = this.#untilMs - nowMs();
      if (leftMs <= 0) return JUDGE_SLICE_COUNT_MAX;
      const room = REVIEWS_OPEN_MAX - this.#openCount;
      if (room >= ROOM_MIN) return Math.min(JUDGE_SLICE_COUNT_MAX, room);
      await this.#endWithin(leftMs);
    }
  }

  /** Of a review, or of the time. */
  async #endWithin(ms: number): Promise<void> {
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, ms);
    await Promise.race([this.#ended.promise, over.promise]);
    clearTimeout(timer);
  }
}
