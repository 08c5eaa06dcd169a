/**
 * How often the same line may be logged: what a flood of requests can cause must not fill a disk.
 * Of each message so many lines a second are written; the rest is counted, and the count is written
 * once the second is over. Messages are our own sentences, so there are few; should they ever be
 * many, all beyond a bound share one allowance.
 */

export type LineLimitOptions = {
  readonly linesPerSecond: number;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Calls back after so many milliseconds. */
  readonly later: (action: () => void, ms: number) => void;
};

type Window = { startMs: number; count: number; dropped: number };

const SECOND_MS = 1_000;
const MESSAGES_MAX = 500;
const OTHERS = "(other lines)";

export class LineLimit {
  readonly #options: LineLimitOptions;
  readonly #windows = new Map<string, Window>();

  constructor(options: LineLimitOptions) {
    this.#options = options;
  }

  /** Whether the line is written; if not, `tell` is called once with how many were not. */
  allows(message: string, tell: (dropped: number, message: string) => void): boolean {
    const key = this.#windows.has(message) || this.#windows.size < MESSAGES_MAX ? message : OTHERS;
    const nowMs = this.#options.now();
    let window = this.#windows.get(key);
    if (window === undefined) {
      this.#windows.set(key, (window = { startMs: nowMs, count: 0, dropped: 0 }));
    }
    if (window.dropped === 0 && nowMs - window.startMs >= SECOND_MS) {
      window.startMs = nowMs;
      window.count = 0;
    }
    window.count += 1;
    if (window.count <= this.#options.linesPerSecond) return true;
    window.dropped += 1;
    if (window.dropped === 1) {
      const restMs = Math.max(0, window.startMs + SECOND_MS - nowMs);
      this.#options.later(() => this.#end(key, window, tell), restMs);
    }
    return false;
  }

  #end(key: string, window: Window, tell: (dropped: number, message: string) => void): void {
    const { dropped } = window;
    // Anew with the next line, which is in the next second.
    this.#windows.delete(key);
    tell(dropped, key);
  }
}
