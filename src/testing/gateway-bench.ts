/** A gateway whose upstream, clock and chance are the test's. */
import assert from "node:assert/strict";
import { type Job, JOBS, NO_USAGE } from "#model/consultation.ts";
import { writePromptParts } from "#model/prompt-parts.ts";
import { Breaker } from "#llm/breaker.ts";
import { type BudgetLimits, Budgets } from "#llm/budget.ts";
import { AnswerCache } from "#llm/cache.ts";
import { Call } from "#llm/call.ts";
import type { UpstreamAnswer, UpstreamFailure } from "#llm/completion.ts";
import { Gateway, type GatewayOptions } from "#llm/gateway.ts";
import { CallTraces, type JobStats } from "#llm/gateway-stats.ts";
import { JobRules } from "#llm/job-rules.ts";
import type { CallEnd } from "#llm/protocol.ts";
import type { UpstreamSettings } from "#llm/settings.ts";
import { TenantUsage } from "#llm/tenant-usage.ts";
import type { ChatRequest, Sending } from "#llm/upstream.ts";
import { answerTo } from "#stand-in/answers.ts";

export const OPEN: BudgetLimits = {
  callsPerMinute: Number.POSITIVE_INFINITY,
  tokensPerMinute: Number.POSITIVE_INFINITY,
  microsPerDay: Number.POSITIVE_INFINITY,
};
export const SETTINGS: UpstreamSettings = {
  baseUrl: "http://127.0.0.1:1/v1",
  model: "small-1",
  structuredOutput: "schema",
  connectionsMax: 4,
  hedges: false,
  prices: { promptMicros: 1, cachedMicros: 1, completionMicros: 1 },
};
export const USAGE = { promptTokens: 100, completionTokens: 20, cachedTokens: 0 };

const START_MS = 1_700_000_000_000;
const TENANTS = 64;
/** By the job's index: what the beginning of its system message says. */
const TASKS = ["You judge", "You tell", "You keep"];

type Sent = {
  readonly request: ChatRequest;
  readonly answer: (answer: UpstreamAnswer) => void;
  isCancelled: boolean;
};

export type AskOptions = {
  readonly tenant?: number;
  readonly job?: Job;
  readonly policyVersion?: number;
  readonly waitMs?: number;
  readonly prompt?: Uint8Array;
};

export type BenchOptions = Partial<GatewayOptions> & {
  readonly breakerOpenMs?: number;
  readonly settings?: Partial<UpstreamSettings>;
  /** Told of each end, when it comes. */
  readonly delivered?: (request: number, end: CallEnd) => void;
};

export class GatewayBench {
  readonly sent: Sent[] = [];
  readonly ends = new Map<number, CallEnd>();
  readonly calls = new Map<number, Call>();
  readonly budgets: Budgets;
  readonly breaker: Breaker;
  readonly usage = new TenantUsage();
  readonly traces = new CallTraces();
  readonly rules: readonly JobRules[];
  readonly gateway: Gateway;
  nowMs = START_MS;
  readonly #delivered: (request: number, end: CallEnd) => void;
  #request = 0;
  #keys = 0;

  constructor(options: BenchOptions = {}, limits: Partial<BudgetLimits> = {}) {
    const { breakerOpenMs, settings, delivered = () => undefined, ...own } = options;
    this.#delivered = delivered;
    this.budgets = new Budgets({ tenantCountMax: TENANTS, limits: { ...OPEN, ...limits } });
    this.breaker = new Breaker(TENANTS, breakerOpenMs);
    this.rules = JOBS.map((_, job) => new JobRules(job, { ...SETTINGS, ...settings }));
    this.gateway = new Gateway({
      upstream: { send: (request, deliver) => this.#send(request, deliver) },
      rules: this.rules,
      breaker: this.breaker,
      budgets: this.budgets,
      cache: new AnswerCache(),
      usage: this.usage,
      traces: this.traces,
      nameOf: (tenant) => `tenant ${tenant}`,
      ticketCountMax: 512,
      tenantCountMax: TENANTS,
      tenantWaitingMax: 64,
      tenantRunningMax: 32,
      promptsBytesMax: 1024 * 1024,
      exchangeCountMax: 4,
      nowMs: () => this.nowMs,
      random: () => 0.5,
      drawKey: () => (0xa91f44c0 + this.#keys++).toString(16).padEnd(20, "0"),
      ...own,
    });
  }

  stats(job: Job): JobStats {
    return this.rules[JOBS.indexOf(job)]!.stats;
  }

  /** Number of the call. */
  ask(text: string, options: AskOptions = {}): number {
    const { tenant = 0, job = "moderation", policyVersion = 1, waitMs = 2_000 } = options;
    this.#request += 1;
    const request = this.#request;
    const kind = job === "moderation" ? "subject" : "fact";
    const prompt = options.prompt ?? writePromptParts([{ kind, name: "ann", text }]);
    const call = new Call({
      owner: this,
      request,
      tenant,
      job: JOBS.indexOf(job),
      arrivedMs: this.nowMs,
      deadlineMs: this.nowMs + waitMs,
      promptBytes: prompt.length,
    });
    this.calls.set(request, call);
    this.gateway.ask(call, prompt, policyVersion);
    return request;
  }

  deliver(call: Call, end: CallEnd): void {
    assert.ok(!this.ends.has(call.request), `${call.request} ended twice`);
    this.ends.set(call.request, end);
    this.#delivered(call.request, end);
  }

  cancel(request: number): void {
    this.gateway.cancel(this.calls.get(request)!);
  }

  tick(passedMs = 0): void {
    this.nowMs += passedMs;
    this.gateway.tick();
  }

  /** Answers the n-th request as it should be. */
  answer(index: number, content?: string): void {
    const { request, answer } = this.sent[index]!;
    const text = content ?? answerTo(jobOf(request), request.user);
    answer({ kind: "content", content: text, usage: USAGE });
    this.tick();
  }

  fail(index: number, failed: Partial<UpstreamFailure>): void {
    this.sent[index]!.answer({
      kind: "failed",
      failure: "unavailable",
      mayRetry: true,
      opensBreaker: true,
      retryAfterMs: undefined,
      detail: "It answered 500.",
      usage: NO_USAGE,
      ...failed,
    });
    this.tick();
  }

  failureOf(request: number): string | undefined {
    const end = this.ends.get(request);
    return end !== undefined && "failure" in end ? end.failure : undefined;
  }

  detailOf(request: number): string {
    const end = this.ends.get(request);
    assert.ok(end !== undefined && "failure" in end);
    return end.detail;
  }

  toxicityOf(request: number): number | undefined {
    const end = this.ends.get(request);
    if (end === undefined || !("answer" in end)) return undefined;
    const score = Buffer.from(end.answer).readFloatLE(0);
    return Math.round(score * 1_000) / 1_000;
  }

  #send(request: ChatRequest, answer: (answer: UpstreamAnswer) => void): Sending {
    const sent: Sent = { request, answer, isCancelled: false };
    this.sent.push(sent);
    return { cancel: () => (sent.isCancelled = true) };
  }
}

export function jobOf({ form }: ChatRequest): Job {
  return JOBS[TASKS.findIndex((task) => form.after.includes(task))]!;
}
