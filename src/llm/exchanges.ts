/**
 * Requests to one upstream: sent, sent again, sent twice, and how each exchange ends.
 *
 * An exchange has one request at the upstream, or two (hedges.ts); the first good answer wins and
 * the other request is cancelled. A failure that may pass is tried again later (retries.ts);
 * an answer that is not of the schema is asked for once more with what is wrong about it. Whether
 * the upstream is asked at all is up to the breaker (breaker.ts) and to what it said itself when it
 * was asked too often: then nothing is sent until the time it named.
 *
 * Nothing here waits: what comes back comes to `#take`, and what is due is found by `tick`.
 */
import { type ConsultationFailure, type Job, NO_USAGE } from "#model/consultation.ts";
import { type Budgets, costOf } from "./budget.ts";
import type { Breaker } from "./breaker.ts";
import { Attempt, type Exchange } from "./call.ts";
import { type UpstreamAnswer, type UpstreamFailure, withoutPrompt } from "./completion.ts";
import { sumOf } from "./gateway-stats.ts";
import type { JobRules } from "./job-rules.ts";
import { afterFailure, RetryBudget } from "./retries.ts";
import { numberBeyond } from "./number-check.ts";
import { type AnswerOf, readAnswers } from "./structured-output.ts";
import type { TenantUsage } from "./tenant-usage.ts";
import type { Upstream } from "./upstream.ts";

/** In the order of the cases. */
export type Answers = readonly AnswerOf[Job][];

export type ExchangesOptions = {
  readonly upstream: Pick<Upstream, "send">;
  readonly breaker: Breaker;
  readonly budgets: Budgets;
  readonly usage: TenantUsage;
  /** By job; undefined: none of it comes here. */
  readonly rules: readonly (JobRules | undefined)[];
  /** Requests at once; the upstream has as many connections. */
  readonly countMax: number;
  readonly tenantCountMax: number;
  readonly nowMs: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** All of its cases. */
  readonly answered: (exchange: Exchange, answers: Answers) => void;
  readonly failed: (exchange: Exchange, failure: ConsultationFailure, detail: string) => void;
  /** Connections are free. */
  readonly freed: () => void;
};

const ALONE_DETAIL = "The upstream failed too often and is left alone for a while.";
/** Retries that a tenant which had one in the last second leaves to the others. */
const RETRIES_KEPT = 50;
const RETRY_MS = 1_000;
/**
 * Who gives up sooner, or before a request takes as long as 95 of 100 do, knows nothing of the
 * upstream: its patience is its own affair, and must not close the upstream to the others.
 */
const LATE_MS_MIN = 1_000;
const LATE_QUANTILE = 0.95;
/** Time that a second request needs to make sense. */
const HEDGE_MS_MIN = 50;

export class Exchanges {
  readonly #options: ExchangesOptions;
  readonly #retries = new RetryBudget();
  /** By tenant: when it was sent again last. */
  readonly #retriedMs: Float64Array;
  #again: { readonly exchange: Exchange; readonly atMs: number }[] = [];
  /** Nothing is sent until then: the upstream asked for it. */
  pausedUntilMs = 0;
  /** Since when, if it does. */
  pausedSinceMs = 0;
  /** Requests at the upstream. */
  count = 0;

  constructor(options: ExchangesOptions) {
    this.#options = options;
    this.#retriedMs = new Float64Array(options.tenantCountMax).fill(Number.NEGATIVE_INFINITY);
  }

  /** Hot. Whether a request may be sent now. */
  hasRoom(nowMs: number): boolean {
    if (this.count >= this.#options.countMax || nowMs < this.pausedUntilMs) return false;
    return !this.#options.breaker.makesAllWait;
  }

  /** Sends it, or ends it if the tenant's calls are not to be sent. */
  start(exchange: Exchange, nowMs: number): void {
    const admission = this.#options.breaker.admit(exchange.tenant, nowMs);
    if (admission === "refuse") {
      return this.#options.failed(exchange, "unavailable", ALONE_DETAIL);
    }
    if (exchange.tries === 0) this.#retries.save();
    const attempt = this.#send(exchange, admission === "try", nowMs);
    if (exchange.tries === 1) this.#rulesOf(exchange).hedges?.sent(attempt);
  }

  /** Sends again what is due, and a second time what takes long. */
  tick(nowMs: number): void {
    this.#sendAgain(nowMs);
    for (const rules of this.#options.rules) {
      if (rules?.hedges !== undefined) this.#hedge(rules.hedges, nowMs);
    }
  }

  /** None of its calls waits any more; `isLate`: their time is over. */
  abandon(exchange: Exchange, isLate: boolean): void {
    const nowMs = this.#options.nowMs();
    for (const attempt of exchange.attempts) this.#cancel(attempt, isLate, nowMs);
    exchange.attempts = [];
  }

  #rulesOf({ job }: Exchange): JobRules {
    return this.#options.rules[job]!;
  }

  #send(exchange: Exchange, isTry: boolean, nowMs: number): Attempt {
    const { form, answerTokens } = this.#rulesOf(exchange);
    const { prompt, problem } = exchange;
    const attempt = new Attempt(exchange, nowMs, isTry);
    exchange.tries += 1;
    exchange.attempts.push(attempt);
    this.count += 1;
    const user = problem === undefined ? prompt : `${prompt}\n\n${problem}`;
    const tokensMax = answerTokens * exchange.cases.length;
    attempt.sending = this.#options.upstream.send({ form, user, tokensMax }, (answer) => {
      this.#take(attempt, answer);
    });
    return attempt;
  }

  #take(attempt: Attempt, answer: UpstreamAnswer): void {
    if (attempt.isOver) return;
    const { exchange } = attempt;
    const { stats, hedges } = this.#rulesOf(exchange);
    const nowMs = this.#options.nowMs();
    this.#end(attempt);
    exchange.attempts.splice(exchange.attempts.indexOf(attempt), 1);
    stats.upstream.add(nowMs - attempt.sentMs);
    this.#count(exchange, answer);
    this.#tellBreaker(attempt, answer, nowMs);
    if (answer.kind === "content") hedges?.took(nowMs - attempt.sentMs, nowMs);
    // The other one may do better.
    const isLost = answer.kind === "failed" && exchange.attempts.length > 0;
    if (!isLost) this.#decide(exchange, answer, nowMs);
    this.#options.freed();
  }

  #decide(exchange: Exchange, answer: UpstreamAnswer, nowMs: number): void {
    const { hedges } = this.#rulesOf(exchange);
    for (const loser of exchange.attempts) {
      hedges?.took(nowMs - loser.sentMs, nowMs);
      this.#cancel(loser, false, nowMs);
    }
    exchange.attempts = [];
    if (answer.kind === "failed") this.#retryOrEnd(exchange, answer, nowMs);
    else this.#read(exchange, answer.content, nowMs);
  }

  #read(exchange: Exchange, content: string, nowMs: number): void {
    const { job, structuredOutput, stats } = this.#rulesOf(exchange);
    const ids = exchange.cases.map(idOf);
    const reading = readAnswers(job, content, ids, structuredOutput);
    const problem =
      "problem" in reading ? reading.problem : numberProblem(job, reading.answers, exchange);
    if (problem === undefined && "answers" in reading) {
      return this.#options.answered(exchange, reading.answers);
    }
    stats.malformed += 1;
    if (exchange.problem !== undefined)
      return this.#options.failed(exchange, "malformed", problem!);
    exchange.problem = problem;
    this.start(exchange, nowMs);
  }

  #retryOrEnd(exchange: Exchange, failed: UpstreamFailure, nowMs: number): void {
    if (failed.failure === "malformed") this.#rulesOf(exchange).stats.malformed += 1;
    if (failed.failure === "rateLimited" && failed.retryAfterMs !== undefined) {
      if (nowMs >= this.pausedUntilMs) this.pausedSinceMs = nowMs;
      this.pausedUntilMs = Math.max(this.pausedUntilMs, nowMs + failed.retryAfterMs);
    }
    const tries = { count: exchange.tries, deadlineMs: exchange.deadlineMs };
    // All that one tenant asks may fail: it does not take the last retry from the others.
    const kept = nowMs - this.#retriedMs[exchange.tenant]! < RETRY_MS ? RETRIES_KEPT : 0;
    const budget = { take: () => this.#retries.take(kept) };
    const next = afterFailure(failed, tries, budget, nowMs, this.#options.random);
    if (next.step === "again") {
      this.#retriedMs[exchange.tenant] = nowMs;
      this.#again.push({ exchange, atMs: next.atMs });
    } else {
      const detail = withoutPrompt(next.detail, exchange.prompt);
      this.#options.failed(exchange, next.failure, detail);
    }
  }

  #sendAgain(nowMs: number): void {
    if (this.#again.length === 0) return;
    const due = this.#again.filter(({ exchange, atMs }) => exchange.openCount > 0 && atMs <= nowMs);
    this.#again = this.#again.filter(
      ({ exchange, atMs }) => exchange.openCount > 0 && atMs > nowMs,
    );
    for (const each of due) {
      if (each.exchange.openCount === 0) continue;
      if (this.hasRoom(nowMs)) {
        this.#rulesOf(each.exchange).stats.retries += 1;
        this.start(each.exchange, nowMs);
      } else this.#again.push(each);
    }
  }

  #hedge(hedges: NonNullable<JobRules["hedges"]>, nowMs: number): void {
    for (let late = hedges.nextLate(nowMs); late !== undefined; late = hedges.nextLate(nowMs)) {
      const { exchange } = late;
      const isWorth = exchange.deadlineMs - nowMs > HEDGE_MS_MIN;
      const isClosed = this.#options.breaker.state(nowMs) === "closed";
      if (!isWorth || !isClosed || !this.hasRoom(nowMs) || !hedges.take()) continue;
      if (!this.#reserve(exchange, nowMs)) continue;
      this.#rulesOf(exchange).stats.hedges += 1;
      this.#send(exchange, false, nowMs);
    }
  }

  /** What a second request takes, which is no call more. What it was is never known. */
  #reserve(exchange: Exchange, nowMs: number): boolean {
    const rules = this.#rulesOf(exchange);
    const usage = {
      promptTokens: rules.promptTokens(exchange.prompt.length),
      completionTokens: rules.answerTokens * exchange.cases.length,
      cachedTokens: 0,
    };
    const cost = costOf(usage, rules.prices, 0);
    return this.#options.budgets.reserve(exchange.tenant, cost, nowMs) === undefined;
  }

  #count(exchange: Exchange, answer: UpstreamAnswer): void {
    const { usage } = answer;
    if (usage === undefined) exchange.isUsageKnown = false;
    if (usage === undefined || usage === NO_USAGE) return;
    const { stats, prices } = this.#rulesOf(exchange);
    const { micros } = costOf(usage, prices, 0);
    stats.tokens = sumOf(stats.tokens, usage);
    stats.costMicros += micros;
    this.#options.usage.add(exchange.tenant, exchange.job, usage, micros);
    exchange.used = sumOf(exchange.used, usage);
  }

  #tellBreaker({ exchange, isTry }: Attempt, answer: UpstreamAnswer, nowMs: number): void {
    const { breaker } = this.#options;
    const isUnwell = answer.kind === "failed" && answer.opensBreaker;
    if (isUnwell) breaker.failed(exchange.tenant, isTry, nowMs);
    else breaker.succeeded(exchange.tenant, isTry, nowMs);
  }

  #cancel(attempt: Attempt, isLate: boolean, nowMs: number): void {
    const { sending, exchange, isTry } = attempt;
    this.#end(attempt);
    sending?.cancel();
    const isUnwell = isLate && this.#isLong(exchange, nowMs - attempt.sentMs);
    if (isUnwell) this.#options.breaker.failed(exchange.tenant, isTry, nowMs);
    else if (isTry) this.#options.breaker.gaveUp();
  }

  /** Whether an upstream that is well would have answered by now. */
  #isLong(exchange: Exchange, sentForMs: number): boolean {
    if (sentForMs < LATE_MS_MIN) return false;
    return sentForMs >= this.#rulesOf(exchange).stats.upstream.quantileMs(LATE_QUANTILE);
  }

  #end(attempt: Attempt): void {
    attempt.isOver = true;
    attempt.sending = undefined;
    this.count -= 1;
  }
}

/** What the schema does not say of an answer: its numbers are the record's. */
function numberProblem(job: Job, answers: Answers, { cases }: Exchange): string | undefined {
  if (job === "moderation") return undefined;
  for (let place = 0; place < cases.length; place++) {
    const { parts } = cases[place]!;
    const answer = answers[place] as AnswerOf["tldr"] | AnswerOf["rolling"];
    const text = "summary" in answer ? answer.summary : answer.sentences.join(" ");
    const record = parts.map((part) => `${part.name} ${part.text}`);
    if (numberBeyond(text, record) !== undefined) {
      return "A number of the answer is not in the record. Say none such.";
    }
  }
  return undefined;
}

function idOf({ id }: { readonly id: string }): string {
  return id;
}
