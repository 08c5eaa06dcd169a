/** What a gateway counts of a job, and the newest calls. */
import {
  CONSULTATION_FAILURES,
  type ConsultationFailure,
  JOBS,
  NO_USAGE,
  type TokenUsage,
} from "#model/consultation.ts";
import { LLM_TRACES_MAX } from "#model/limits.ts";
import { LATENCY_HISTOGRAM_BYTES, LatencyHistogram } from "#std/latency-histogram.ts";
import type { CallTrace, Quantiles } from "./protocol.ts";

/** Durations up to 35 minutes, within 3.2 %: the histogram's nanoseconds are microseconds here. */
export class Durations {
  readonly #histogram = new LatencyHistogram(new ArrayBuffer(LATENCY_HISTOGRAM_BYTES));
  #maxMs = 0;
  count = 0;

  add(durationMs: number): void {
    this.#histogram.add(durationMs / 1_000);
    this.count += 1;
    if (durationMs > this.#maxMs) this.#maxMs = durationMs;
  }

  quantileMs(quantile: number): number {
    return this.#histogram.quantileUs(quantile);
  }

  get quantiles(): Quantiles {
    return { p50: this.quantileMs(0.5), p99: this.quantileMs(0.99), max: this.#maxMs };
  }

  clear(): void {
    this.#histogram.clear();
    this.count = 0;
    this.#maxMs = 0;
  }
}

export type Outcome = CallTrace["outcome"];

export class JobStats {
  calls = 0;
  cached = 0;
  joined = 0;
  answered = 0;
  /** Answers that were not of the schema, repaired or not. */
  malformed = 0;
  retries = 0;
  hedges = 0;
  readonly failures = Object.fromEntries(CONSULTATION_FAILURES.map((each) => [each, 0])) as Record<
    ConsultationFailure,
    number
  >;
  tokens: TokenUsage = NO_USAGE;
  costMicros = 0;
  /** Until a call was sent, and of each request. */
  readonly waits = new Durations();
  readonly upstream = new Durations();

  count(outcome: Outcome): void {
    if (outcome === "answered") this.answered += 1;
    else if (outcome === "cached") this.cached += 1;
    else this.failures[outcome] += 1;
  }
}

export function sumOf(left: TokenUsage, right: TokenUsage): TokenUsage {
  return {
    promptTokens: left.promptTokens + right.promptTokens,
    completionTokens: left.completionTokens + right.completionTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
  };
}

/** What a trace is written of. */
export type Traced = {
  readonly tenant: string;
  readonly job: number;
  readonly arrivedMs: number;
  readonly sentMs: number | undefined;
  readonly endedMs: number;
  readonly tries: number;
  readonly promptBytes: number;
  readonly tokens: number;
  readonly outcome: Outcome;
  readonly detail: string | undefined;
};

/** The newest calls; a ring. */
export class CallTraces {
  readonly #ring: Traced[] = [];
  #next = 0;

  add(traced: Traced): void {
    this.#ring[this.#next] = traced;
    this.#next = (this.#next + 1) % LLM_TRACES_MAX;
  }

  /** The newest first. */
  list(): readonly CallTrace[] {
    const from = this.#ring.length < LLM_TRACES_MAX ? 0 : this.#next;
    const oldestFirst = [...this.#ring.slice(from), ...this.#ring.slice(0, from)];
    return oldestFirst.reverse().map(traceOf);
  }
}

function traceOf({ job, sentMs, endedMs, ...traced }: Traced): CallTrace {
  const untilMs = sentMs ?? endedMs;
  return {
    ...traced,
    job: JOBS[job]!,
    queuedMs: untilMs - traced.arrivedMs,
    upstreamMs: endedMs - untilMs,
  };
}
