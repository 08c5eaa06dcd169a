/** What a gateway counts, by job. */
import {
  CONSULTATION_FAILURES,
  type ConsultationFailure,
  type Job,
  type TokenUsage,
} from "#model/consultation.ts";
import { LATENCY_HISTOGRAM_BYTES, LatencyHistogram } from "#std/latency-histogram.ts";

export class JobStats {
  calls = 0;
  cached = 0;
  answered = 0;
  /** Answers that were not of the schema, repaired or not. */
  malformed = 0;
  readonly failures: Record<ConsultationFailure, number>;
  promptTokens = 0;
  cachedTokens = 0;
  completionTokens = 0;
  /** Until a call was sent, and of each request. */
  readonly waits = new LatencyHistogram(new ArrayBuffer(LATENCY_HISTOGRAM_BYTES));
  readonly upstream = new LatencyHistogram(new ArrayBuffer(LATENCY_HISTOGRAM_BYTES));

  constructor() {
    const counts = CONSULTATION_FAILURES.map((each) => [each, 0]);
    this.failures = Object.fromEntries(counts) as Record<ConsultationFailure, number>;
  }

  add({ promptTokens, cachedTokens, completionTokens }: TokenUsage): void {
    this.promptTokens += promptTokens;
    this.cachedTokens += cachedTokens;
    this.completionTokens += completionTokens;
  }
}

/** By job, since the start. */
export class GatewayStats {
  readonly #jobs = { moderation: new JobStats(), tldr: new JobStats(), rolling: new JobStats() };

  of(job: Job): JobStats {
    return this.#jobs[job];
  }
}
