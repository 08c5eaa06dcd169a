/**
 * All calls to one upstream: who asks when, what is asked together, and how each call ends.
 *
 * A call goes down the ladder: answered before (cache.ts)? within the tenant's budgets (budget.ts)?
 * room to wait (queue.ts)? Then it waits for its turn, is sent with others of its tenant and job if
 * there are any (an exchange), perhaps again (ladder.ts), and its answer is read (fence.ts,
 * structured-output.ts). At every step it may end instead, with the reason; then the embedded
 * answer stands. Each call ends once: by its answer, a failure, its deadline or a cancel.
 *
 * It never waits: `ask` and `tick` return at once, and what comes back comes to `deliver`. A call
 * that waits is one record and its bytes; no promise, no timer. While the breaker is open nothing
 * is sent and every call ends at once; a try that goes well closes it.
 */
import assert from "node:assert/strict";
import {
  BrokenCircuitError,
  circuitBreaker,
  CircuitState,
  handleAll,
  SamplingBreaker,
} from "cockatiel";
import {
  type ConsultationFailure,
  type Job,
  JOBS,
  NO_USAGE,
  type TokenUsage,
} from "#model/consultation.ts";
import { PROMPTS_BYTES_MAX, UPSTREAM_BATCH_MAX } from "#model/limits.ts";
import { type PromptPart, readPromptParts } from "#model/prompt-parts.ts";
import type { Budgets } from "./budget.ts";
import { type AnswerCache, answerKey } from "./cache.ts";
import { Deadlines } from "./deadlines.ts";
import { type Case, fence } from "./fence.ts";
import { GatewayStats } from "./gateway-stats.ts";
import { afterFailure, RetryBudget } from "./ladder.ts";
import { numberBeyond } from "./number-check.ts";
import { ANSWER_TOKENS, fixedPrompt, PROMPT_VERSION, systemPrompt } from "./prompts.ts";
import { FairQueue, NO_TICKET, QUEUE_FULL, TENANT_QUEUE_FULL } from "./queue.ts";
import { type AnswerOf, readAnswers } from "./structured-output.ts";
import type { Upstream, UpstreamAnswer, UpstreamFailure } from "./upstream.ts";

export type Call = {
  /** The caller's own number of it; it comes back with the end. */
  readonly request: number;
  readonly tenant: number;
  readonly tenantName: string;
  readonly job: Job;
  /** model/prompt-parts.ts; they are the gateway's from now on. */
  readonly prompt: Uint8Array;
  readonly policyVersion: number;
  readonly deadlineMs: number;
};

export type CallEnd =
  /** JSON of the job's answer. */
  | { readonly answer: Buffer; readonly isCached: boolean }
  | { readonly failure: ConsultationFailure; readonly detail: string };

export type GatewayOptions = {
  readonly upstream: Pick<Upstream, "model" | "send">;
  readonly budgets: Budgets;
  readonly cache: AnswerCache;
  readonly ticketCountMax: number;
  readonly tenantCountMax: number;
  readonly tenantWaitingMax: number;
  readonly tenantRunningMax: number;
  /** Exchanges at once; the upstream has as many connections. */
  readonly exchangeCountMax: number;
  readonly deliver: (request: number, end: CallEnd) => void;
  readonly nowMs: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** For fences; see fence.ts. */
  readonly drawKey: () => string;
  readonly breakerOpenMs?: number;
};

type Waiting = {
  readonly call: Omit<Call, "prompt">;
  readonly promptBytes: number;
  /** Until they are a part of an exchange's prompt. */
  parts: readonly PromptPart[];
  readonly key: string;
  readonly estimate: TokenUsage;
  exchange: Exchange | undefined;
};

/** One request to the upstream, tried and repaired until its calls have ended. */
type Exchange = {
  readonly job: Job;
  readonly tenant: number;
  /** Calls that wait for it. */
  readonly tickets: number[];
  /** All of its calls, in the order of the cases. */
  readonly asked: readonly number[];
  readonly cases: readonly Case[];
  readonly prompt: string;
  readonly deadlineMs: number;
  /** Of all tries so far. */
  used: TokenUsage;
  tries: number;
  isRepaired: boolean;
  sentMs: number;
  /** While it is at the upstream. */
  cancel: (() => void) | undefined;
};

const BREAKER_OPEN_MS = 5_000;
const FAILURE_COUNTED_MS = 1_000;
const BREAKER_WINDOW_MS = 10_000;
const BYTES_A_TOKEN = 3;
const SYSTEM_TOKENS = Math.ceil(systemPrompt("moderation").length / BYTES_A_TOKEN);
/** Calls of these jobs go together: their answers are short. */
const isBatched: Readonly<Record<Job, boolean>> = { moderation: true, tldr: false, rolling: false };

const NO_PARTS: readonly PromptPart[] = [];

/** What the breaker counts. */
class Unwell extends Error {
  readonly answer: UpstreamFailure;

  constructor(answer: UpstreamFailure) {
    super(answer.detail);
    this.answer = answer;
  }
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #queue: FairQueue;
  readonly #deadlines: Deadlines;
  readonly #retries = new RetryBudget();
  /** By ticket. */
  readonly #waiting: (Waiting | undefined)[] = [];
  readonly #tickets = new Map<number, number>();
  readonly #again: { readonly exchange: Exchange; readonly atMs: number }[] = [];
  readonly #breaker;
  /** By tenant: when a failure of its was counted last. */
  readonly #failedMs: Float64Array;
  #isStopped = false;
  #promptBytes = 0;
  #exchangeCount = 0;
  /** The upstream wants to be left alone until then. */
  #pausedUntilMs = 0;
  readonly stats = new GatewayStats();

  constructor(options: GatewayOptions) {
    const { ticketCountMax, breakerOpenMs: halfOpenAfter = BREAKER_OPEN_MS } = options;
    this.#options = options;
    this.#queue = new FairQueue(options);
    this.#failedMs = new Float64Array(options.tenantCountMax).fill(Number.NEGATIVE_INFINITY);
    this.#deadlines = new Deadlines(ticketCountMax, options.nowMs());
    this.#breaker = circuitBreaker(handleAll, {
      halfOpenAfter,
      breaker: new SamplingBreaker({
        threshold: 0.5,
        duration: BREAKER_WINDOW_MS,
        minimumRps: 1,
      }),
    });
  }

  /** Calls that wait, by job, and calls and exchanges at the upstream. */
  get depths(): { readonly waiting: readonly number[]; running: number; exchanges: number } {
    return {
      waiting: JOBS.map((_, job) => this.#queue.waitingCount(job)),
      running: this.#queue.runningCount,
      exchanges: this.#exchangeCount,
    };
  }

  /** The call's end comes to `deliver`, perhaps before this returns. */
  ask(call: Call): void {
    const parts = readPromptParts(call.prompt);
    assert(parts !== undefined, "the host checks the parts");
    const nowMs = this.#options.nowMs();
    this.stats.of(call.job).calls += 1;
    if (this.#isStopped) return this.#refuse(call, "interrupted", "The server stops.");
    const key = this.#keyOf(call, parts);
    const cached = this.#options.cache.find(call.tenantName, key, nowMs);
    if (cached !== undefined) {
      this.stats.of(call.job).cached += 1;
      return this.#options.deliver(call.request, { answer: cached, isCached: true });
    }
    const estimate = estimateOf(call);
    const spent = this.#options.budgets.reserve(call.tenant, estimate, nowMs);
    if (spent !== undefined) {
      return this.#refuse(call, "overBudget", `The budget of ${spent} is spent.`);
    }
    const ticket = this.#push(call, estimate, nowMs);
    if (ticket < 0) {
      this.#options.budgets.cancel(call.tenant, estimate, nowMs);
      const whose = ticket === TENANT_QUEUE_FULL ? "of this tenant" : "in all";
      return this.#refuse(call, "queueFull", `Too many calls wait ${whose}.`);
    }
    const { prompt, ...own } = call;
    const promptBytes = prompt.length;
    this.#waiting[ticket] = { call: own, promptBytes, parts, key, estimate, exchange: undefined };
    this.#tickets.set(call.request, ticket);
    this.#promptBytes += promptBytes;
    this.#deadlines.set(ticket, call.deadlineMs);
  }

  /** Nobody waits for the call any more. It has its end, unless it had one. */
  cancel(request: number): void {
    const ticket = this.#tickets.get(request);
    if (ticket !== undefined) this.#end(ticket, "cancelled", "The call was cancelled.");
  }

  /** Sends what may be sent, and ends what is over. To be called after `ask`s, and every 8 ms. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    this.#deadlines.advance(nowMs, (ticket) => {
      const waited = this.#waiting[ticket]!.exchange === undefined;
      this.#end(ticket, "timedOut", waited ? "Its turn did not come." : "No answer in time.");
    });
    if (nowMs < this.#pausedUntilMs) return;
    this.#sendAgain(nowMs);
    while (this.#exchangeCount < this.#options.exchangeCountMax) {
      const ticket = this.#queue.next();
      if (ticket === NO_TICKET) return;
      this.#send(this.#exchangeOf(ticket, nowMs));
    }
  }

  /** Everything that waits ends as `interrupted`, and so does what comes. */
  stop(): void {
    this.#isStopped = true;
    // A call that ends leaves the map, which an iteration of it allows.
    for (const ticket of this.#tickets.values()) {
      this.#end(ticket, "interrupted", "The server stops.");
    }
  }

  #push(call: Call, estimate: TokenUsage, nowMs: number): number {
    if (this.#promptBytes + call.prompt.length > PROMPTS_BYTES_MAX) return QUEUE_FULL;
    const tokens = estimate.promptTokens + estimate.completionTokens;
    return this.#queue.push(call.tenant, JOBS.indexOf(call.job), tokens, nowMs);
  }

  #keyOf({ tenantName, job, policyVersion }: Call, parts: readonly PromptPart[]): string {
    const subject = parts.findLast(({ kind }) => kind === "subject");
    return answerKey({
      tenant: tenantName,
      job,
      model: this.#options.upstream.model,
      policyVersion,
      promptVersion: PROMPT_VERSION,
      text: subject?.text ?? "",
      context: parts.flatMap((part) =>
        part === subject ? [part.kind, part.name] : [part.kind, part.name, part.text],
      ),
    });
  }

  /** A call whose turn it is, and those of its tenant and job that go with it. */
  #exchangeOf(first: number, nowMs: number): Exchange {
    const { job } = this.#waiting[first]!.call;
    const tickets = [first];
    const countMax = isBatched[job] ? UPSTREAM_BATCH_MAX : 1;
    while (tickets.length < countMax) {
      const ticket = this.#queue.nextLike(first);
      if (ticket === NO_TICKET) break;
      tickets.push(ticket);
    }
    const waiting = tickets.map((ticket) => this.#waiting[ticket]!);
    const { text, cases } = fence(
      waiting.map(({ parts }) => parts),
      this.#options.drawKey,
    );
    const deadlineMs = Math.max(...waiting.map(({ call }) => call.deadlineMs));
    const exchange: Exchange = {
      job,
      tenant: this.#queue.tenantOf(first),
      tickets,
      asked: tickets.slice(),
      // Only numbers are looked up in them, which a judgement has none of.
      cases: job === "moderation" ? cases.map(({ id }) => ({ id, parts: NO_PARTS })) : cases,
      prompt: text,
      deadlineMs,
      used: NO_USAGE,
      tries: 0,
      isRepaired: false,
      sentMs: nowMs,
      cancel: undefined,
    };
    for (const ticket of tickets) {
      const each = this.#waiting[ticket]!;
      each.exchange = exchange;
      each.parts = NO_PARTS;
      this.stats.of(job).waits.add(nowMs - this.#queue.sinceMs(ticket));
    }
    this.#retries.save();
    return exchange;
  }

  #send(exchange: Exchange, problem?: string): void {
    exchange.tries += 1;
    exchange.sentMs = this.#options.nowMs();
    this.#exchangeCount += 1;
    void this.#sendGuarded(exchange, problem).then((answer) => {
      exchange.cancel = undefined;
      this.#exchangeCount -= 1;
      // All of its calls may have ended meanwhile.
      if (exchange.tickets.length > 0) this.#take(exchange, answer);
      this.tick();
    });
  }

  /**
   * The breaker is everybody's, so no tenant has more than one failure a second counted: whose
   * calls fail because of what they ask cannot shut the upstream for the others.
   */
  async #sendGuarded(exchange: Exchange, problem: string | undefined): Promise<UpstreamAnswer> {
    const { tenant } = exchange;
    const isOpen = this.#breaker.state !== CircuitState.Closed;
    const counts = exchange.sentMs - this.#failedMs[tenant]! >= FAILURE_COUNTED_MS;
    try {
      if (!isOpen && !counts) return await this.#sendOnce(exchange, problem);
      return await this.#breaker.execute(() => this.#sendOnce(exchange, problem));
    } catch (error) {
      if (error instanceof Unwell && counts) this.#failedMs[tenant] = this.#options.nowMs();
      if (error instanceof Unwell) return error.answer;
      if (!(error instanceof BrokenCircuitError)) throw error;
      return unavailable("The upstream failed too often and is left alone for a while.");
    }
  }

  #sendOnce(exchange: Exchange, problem: string | undefined): Promise<UpstreamAnswer> {
    const { job, cases, prompt } = exchange;
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
    const cancel = this.#options.upstream.send(
      {
        fixed: fixedPrompt(job),
        user: problem === undefined ? prompt : `${prompt}\n\n${problem}`,
        tokensMax: ANSWER_TOKENS[job] * cases.length,
      },
      (answer) => {
        const isUnwell = answer.kind === "failed" && answer.opensBreaker;
        if (isUnwell) reject(new Unwell(answer));
        else resolve(answer);
      },
    );
    exchange.cancel = () => {
      cancel();
      // None of its calls waits any more. That it took too long is the upstream's doing.
      const isLate = this.#options.nowMs() >= exchange.deadlineMs;
      const end = unavailable("cancelled");
      if (isLate) reject(new Unwell(end));
      else resolve(end);
    };
    return promise;
  }

  #take(exchange: Exchange, answer: UpstreamAnswer): void {
    const { job } = exchange;
    const { nowMs } = this.#options;
    this.stats.of(job).upstream.add(nowMs() - exchange.sentMs);
    this.stats.of(job).add(answer.usage);
    exchange.used = sumOf(exchange.used, answer.usage);
    if (answer.kind === "failed") return this.#retryOrEnd(exchange, answer);
    const ids = exchange.cases.map(({ id }) => id);
    const reading = readAnswers(job, answer.content, ids);
    const problem =
      "problem" in reading ? reading.problem : problemOf(job, reading.answers, exchange.cases);
    if (problem === undefined && "answers" in reading) {
      const share = shareOf(exchange.used, exchange.asked.length);
      for (const ticket of exchange.tickets.slice()) {
        if (this.#waiting[ticket]?.exchange !== exchange) continue;
        const { id } = exchange.cases[exchange.asked.indexOf(ticket)]!;
        this.#answer(ticket, Buffer.from(JSON.stringify(reading.answers.get(id))), share);
      }
      return;
    }
    this.stats.of(job).malformed += 1;
    if (!exchange.isRepaired) {
      exchange.isRepaired = true;
      return this.#send(exchange, problem);
    }
    this.#endAll(exchange, "malformed", problem!);
  }

  #retryOrEnd(exchange: Exchange, failed: UpstreamFailure): void {
    const { nowMs, random } = this.#options;
    if (failed.failure === "rateLimited" && failed.retryAfterMs !== undefined) {
      this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs() + failed.retryAfterMs);
    }
    const tries = { count: exchange.tries, deadlineMs: exchange.deadlineMs };
    const next = afterFailure(failed, tries, this.#retries, nowMs(), random);
    if (next.step === "again") this.#again.push({ exchange, atMs: next.atMs });
    else this.#endAll(exchange, next.failure, next.detail);
  }

  #sendAgain(nowMs: number): void {
    for (let index = this.#again.length - 1; index >= 0; index--) {
      const { exchange, atMs } = this.#again[index]!;
      if (exchange.tickets.length > 0 && atMs > nowMs) continue;
      this.#again.splice(index, 1);
      if (exchange.tickets.length > 0) this.#send(exchange);
    }
  }

  #answer(ticket: number, answer: Buffer, used: TokenUsage): void {
    const { call, key } = this.#waiting[ticket]!;
    const nowMs = this.#options.nowMs();
    this.#options.cache.add(call.tenantName, key, answer, nowMs);
    this.stats.of(call.job).answered += 1;
    this.#leave(ticket, used);
    this.#options.deliver(call.request, { answer, isCached: false });
  }

  #endAll(exchange: Exchange, failure: ConsultationFailure, detail: string): void {
    for (const ticket of exchange.tickets.slice()) {
      // Who is told of one end may have cancelled another, and its ticket be somebody else's.
      if (this.#waiting[ticket]?.exchange === exchange) this.#end(ticket, failure, detail);
    }
  }

  #end(ticket: number, failure: ConsultationFailure, detail: string): void {
    const { call, exchange } = this.#waiting[ticket]!;
    // What was sent may have been used, and nobody will tell: the estimate stands.
    this.#leave(ticket, exchange === undefined ? undefined : "unknown");
    this.#refuse(call, failure, detail);
  }

  #leave(ticket: number, used: TokenUsage | "unknown" | undefined): void {
    const { call, promptBytes, estimate, exchange } = this.#waiting[ticket]!;
    const { budgets, nowMs } = this.#options;
    if (used === undefined) budgets.cancel(call.tenant, estimate, nowMs());
    else if (used !== "unknown") budgets.settle(call.tenant, estimate, used, nowMs());
    this.#waiting[ticket] = undefined;
    this.#tickets.delete(call.request);
    this.#promptBytes -= promptBytes;
    this.#deadlines.clear(ticket);
    this.#queue.end(ticket);
    if (exchange === undefined) return;
    exchange.tickets.splice(exchange.tickets.indexOf(ticket), 1);
    if (exchange.tickets.length === 0) exchange.cancel?.();
  }

  #refuse(call: Pick<Call, "request" | "job">, failure: ConsultationFailure, detail: string): void {
    this.stats.of(call.job).failures[failure] += 1;
    this.#options.deliver(call.request, { failure, detail });
  }
}

/** What the schema does not say of an answer: its numbers are the record's. */
function problemOf<J extends Job>(
  job: J,
  answers: ReadonlyMap<string, AnswerOf[J]>,
  cases: readonly Case[],
): string | undefined {
  if (job === "moderation") return undefined;
  for (const { id, parts } of cases) {
    const answer = answers.get(id) as AnswerOf["tldr"] | AnswerOf["rolling"];
    const text = "summary" in answer ? answer.summary : answer.sentences.join(" ");
    const said = numberBeyond(
      text,
      parts.map((part) => `${part.name} ${part.text}`),
    );
    if (said !== undefined) return "A number of the answer is not in the record. Say none such.";
  }
  return undefined;
}

function estimateOf({ job, prompt }: Call): TokenUsage {
  const promptTokens = SYSTEM_TOKENS + Math.ceil(prompt.length / BYTES_A_TOKEN);
  return { promptTokens, completionTokens: ANSWER_TOKENS[job], cachedTokens: 0 };
}

/** Of an exchange's tokens, what one of its calls has to bear. */
function shareOf(usage: TokenUsage, callCount: number): TokenUsage {
  return {
    promptTokens: Math.ceil(usage.promptTokens / callCount),
    completionTokens: Math.ceil(usage.completionTokens / callCount),
    cachedTokens: Math.floor(usage.cachedTokens / callCount),
  };
}

function sumOf(left: TokenUsage, right: TokenUsage): TokenUsage {
  return {
    promptTokens: left.promptTokens + right.promptTokens,
    completionTokens: left.completionTokens + right.completionTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
  };
}

function unavailable(detail: string): UpstreamFailure {
  return {
    kind: "failed",
    failure: "unavailable",
    mayRetry: false,
    opensBreaker: true,
    retryAfterMs: undefined,
    detail,
    usage: NO_USAGE,
  };
}
