/**
 * Verdicts that wait for the end of their review, by id. A shard tells the end; if it dies, or says
 * nothing for too long, the review ends here. Deadlines are kept in coarse buckets, so that a
 * review costs no timer.
 */
import type { ReviewEnd } from "#model/verdict.ts";

/** The gateway keeps the time, and the shard after it; this is for neither doing so. */
const LATE_MS = 1_000;
const BUCKET_MS = 250;

type Open = { readonly shard: number; readonly resolve: (end: ReviewEnd) => void };

export class Reviews {
  readonly #open = new Map<string, Open>();
  /** By the number of a quarter of a second: what is late then, unless it has ended. */
  readonly #buckets = new Map<number, string[]>();
  #timer: NodeJS.Timeout | undefined;

  get openCount(): number {
    return this.#open.size;
  }

  /** Always ends. `waitMsMax`: how long the policy lets it wait. */
  open(shard: number, id: string, waitMsMax: number, nowMs: number): Promise<ReviewEnd> {
    const { promise, resolve } = Promise.withResolvers<ReviewEnd>();
    this.#open.set(id, { shard, resolve });
    const bucket = Math.ceil((nowMs + waitMsMax + LATE_MS) / BUCKET_MS);
    const ids = this.#buckets.get(bucket);
    if (ids === undefined) this.#buckets.set(bucket, [id]);
    else ids.push(id);
    this.#timer ??= setInterval(() => this.sweep(performance.now()), BUCKET_MS).unref();
    return promise;
  }

  /** One that has ended already, or nobody waits for, is let go. */
  end(id: string, end: ReviewEnd): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    open?.resolve(end);
  }

  /** The shard is gone, and what it asked with it. */
  lose(shard: number): void {
    for (const [id, open] of this.#open) {
      if (open.shard !== shard) continue;
      this.end(id, failed("interrupted", "The tenant's shard began anew meanwhile."));
    }
  }

  /** Ends what is late. */
  sweep(nowMs: number): void {
    for (const [bucket, ids] of this.#buckets) {
      if (bucket * BUCKET_MS > nowMs) continue;
      this.#buckets.delete(bucket);
      for (const id of ids) this.end(id, failed("timedOut", "The shard has not told in time."));
    }
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#buckets.clear();
  }
}

function failed(outcome: "interrupted" | "timedOut", detail: string): ReviewEnd {
  return { outcome, detail, waitMs: 0, opinion: undefined };
}
