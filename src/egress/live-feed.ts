/**
 * One tenant's window, polled once for all who listen, and only while somebody does.
 *
 * Latest state wins: a listener that is still busy with one update gets the newest one next and
 * never those in between, so a slow listener holds one update, not a queue. One that takes nothing
 * at all for LIVE_STALL_MS_MAX is cut off.
 */
import { LIVE_HEARTBEAT_MS, LIVE_STALL_MS_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { TrendingAnswer } from "#model/trending-answer.ts";

export type LiveUpdate = {
  /** Rises with every change, also over restarts of the server: it starts from the time. */
  readonly id: number;
  /** The answer as JSON, once for all listeners. */
  readonly json: string;
};

export interface LiveListener {
  /** Resolves once the listener can take another. */
  send(update: LiveUpdate): Promise<void>;
  heartbeat(): void;
  /** The feed ends; `problem` says why, if it is not simply the server's stop. */
  end(problem: Problem | undefined): void;
  /** Ends it without waiting for what it has not taken. */
  cut(): void;
}

type Seat = {
  readonly listener: LiveListener;
  sentId: number;
  sending: boolean;
  progressMs: number;
};

export class LiveFeed {
  #read: () => Promise<TrendingAnswer>;
  #seats = new Set<Seat>();
  #latest: LiveUpdate | undefined;
  #shown = "";
  #polling = false;

  constructor(read: () => Promise<TrendingAnswer>) {
    this.#read = read;
  }

  get listenerCount(): number {
    return this.#seats.size;
  }

  /** `seenId`: what the listener saw last, before it lost the connection; 0: nothing. */
  join(listener: LiveListener, options: { seenId: number; nowMs: number }): () => void {
    const { seenId, nowMs } = options;
    const seat = { listener, sentId: seenId, sending: false, progressMs: nowMs };
    this.#seats.add(seat);
    this.#serve(seat, nowMs);
    return () => {
      this.#seats.delete(seat);
    };
  }

  /** Reads the window and sends it where it is news. Called about once a second. */
  async poll(nowMs: number): Promise<void> {
    this.#tend(nowMs);
    if (this.#polling || this.#seats.size === 0) return;
    this.#polling = true;
    try {
      this.#publish(await this.#read(), nowMs);
    } catch (error) {
      if (error instanceof Problem && isFinal(error)) this.end(error);
      // Anything else passes: the next poll finds the tenant again, or says that it is gone.
    } finally {
      this.#polling = false;
    }
  }

  end(problem: Problem | undefined): void {
    for (const seat of this.#seats) seat.listener.end(problem);
    this.#seats.clear();
  }

  #publish(answer: TrendingAnswer, nowMs: number): void {
    // The clock moves every second; only what a reader would call a change counts as one.
    const { asOfMs: _asOfMs, window: _window, ...rest } = answer;
    const shown = JSON.stringify({ ...rest, items: rest.items.map(visiblePart) });
    if (shown !== this.#shown) {
      this.#shown = shown;
      const id = Math.max(nowMs, (this.#latest?.id ?? 0) + 1);
      this.#latest = { id, json: JSON.stringify(answer) };
    }
    for (const seat of this.#seats) this.#serve(seat, nowMs);
  }

  #serve(seat: Seat, nowMs: number): void {
    const update = this.#latest;
    if (update === undefined || seat.sending || seat.sentId === update.id) return;
    seat.sending = true;
    seat.sentId = update.id;
    seat.progressMs = nowMs;
    // A listener that fails while sending closes by itself, and leaves.
    const sent = (): void => void (seat.sending = false);
    seat.listener.send(update).then(sent, sent);
  }

  #tend(nowMs: number): void {
    for (const seat of this.#seats) {
      const silentMs = nowMs - seat.progressMs;
      if (seat.sending && silentMs > LIVE_STALL_MS_MAX) {
        this.#seats.delete(seat);
        seat.listener.cut();
      } else if (!seat.sending && silentMs >= LIVE_HEARTBEAT_MS) {
        seat.progressMs = nowMs;
        seat.listener.heartbeat();
      }
    }
  }
}

/** What the expected rate does by itself from second to second is no news. */
function visiblePart(item: TrendingAnswer["items"][number]): object {
  const { expected: _expected, significance, ...rest } = item;
  return { ...rest, significance: Math.round(significance) };
}

function isFinal(problem: Problem): boolean {
  return problem.status === 404 || problem.code === "tenantQuarantined";
}
