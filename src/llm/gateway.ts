/**
 * All calls to one upstream: who asks when, what is asked together, and how each call ends.
 *
 * A call goes down the ladder: answered before (cache.ts)? asked already and not answered yet? Then
 * it waits for that answer, too. Within the tenant's budgets (budget.ts)? Room to wait (queue.ts)?
 * Then its question waits for its turn, is sent with others of its tenant and job if there are any
 * (exchanges.ts), and its answer is handed to all that ask it. At every step a call may end
 * instead, with the reason; then the embedded answer stands. Each call ends once: by its answer, a
 * failure, its deadline or a cancel.
 *
 * It never waits: `ask` and `tick` return at once. A call that waits is a record and its bytes; no
 * promise, no timer.
 */
import assert from "node:assert/strict";
import {
  type ConsultationFailure,
  type Job,
  judgementBytes,
  NO_USAGE,
  type TokenUsage,
} from "#model/consultation.ts";
import { UPSTREAM_BATCH_BYTES_MAX, UPSTREAM_BATCH_MAX } from "#model/limits.ts";
import { CATEGORIES } from "#model/moderation.ts";
import { type PromptPart, readPromptParts } from "#model/prompt-parts.ts";
import type { Breaker } from "./breaker.ts";
import { type BudgetName, type Budgets, type Cost, costOf } from "./budget.ts";
import { type AnswerCache, answerKey, numberOfKey } from "./cache.ts";
import { type Call, Exchange, Question } from "./call.ts";
import { DEADLINE_STEP_MS, Deadlines } from "./deadlines.ts";
import { type Answers, Exchanges } from "./exchanges.ts";
import { fence } from "./fence.ts";
import type { CallTraces, Outcome } from "./gateway-stats.ts";
import type { JobRules } from "./job-rules.ts";
import { FairQueue, NO_TICKET, QUEUE_FULL, TENANT_QUEUE_FULL } from "./queue.ts";
import type { AnswerOf } from "./structured-output.ts";
import type { TenantUsage } from "./tenant-usage.ts";
import type { Upstream } from "./upstream.ts";

export type GatewayOptions = {
  readonly upstream: Pick<Upstream, "send">;
  /** By job; undefined: none of it comes here. */
  readonly rules: readonly (JobRules | undefined)[];
  readonly breaker: Breaker;
  readonly budgets: Budgets;
  /** Undefined: nothing is answered twice, but what is asked twice at once still is. */
  readonly cache: AnswerCache | undefined;
  readonly usage: TenantUsage;
  readonly traces: CallTraces;
  readonly nameOf: (tenant: number) => string;
  /** Calls that are open, of all tenants. */
  readonly ticketCountMax: number;
  readonly tenantCountMax: number;
  readonly tenantWaitingMax: number;
  readonly tenantRunningMax: number;
  readonly promptsBytesMax: number;
  /** Requests at once; the upstream has as many connections. */
  readonly exchangeCountMax: number;
  readonly nowMs: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** For fences; see fence.ts. */
  readonly drawKey: () => string;
};

/** A call that asks what is asked already takes no tokens. */
const JOINED_COST: Cost = { calls: 1, tokens: 0, micros: 0 };
const PAUSED_DETAIL = "The upstream wants no requests for longer than the call can wait.";
const NO_PARTS: readonly PromptPart[] = [];
/** Questions of these jobs go together: their answers are short. */
const isBatched: Readonly<Record<Job, boolean>> = { moderation: true, tldr: false, rolling: false };

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #queue: FairQueue;
  readonly #exchanges: Exchanges;
  readonly #deadlines: Deadlines;
  /** By slot, of calls that wait; places of the others. */
  readonly #calls: (Call | undefined)[] = [];
  readonly #slots: number[] = [];
  /** By ticket. */
  readonly #questions: (Question | undefined)[] = [];
  /** By number of the key: questions that may be joined. */
  readonly #asked = new Map<number, Question>();
  /** By tenant: calls that joined one and wait. */
  readonly #joined: Int32Array;
  #isStopped = false;
  #promptBytes = 0;
  #step = 0;
  readonly #due = (slot: number): void => this.#endLate(this.#calls[slot]!);

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#queue = new FairQueue(options);
    this.#exchanges = new Exchanges({
      ...options,
      countMax: options.exchangeCountMax,
      answered: (exchange, answers) => this.#answerAll(exchange, answers),
      failed: (exchange, failure, detail) => this.#failAll(exchange, failure, detail),
      freed: () => this.#sendNext(options.nowMs()),
    });
    this.#deadlines = new Deadlines(options.ticketCountMax, options.nowMs());
    this.#joined = new Int32Array(options.tenantCountMax);
  }

  /** Requests at the upstream. */
  get exchangeCount(): number {
    return this.#exchanges.count;
  }

  waitingCount(job: number): number {
    return this.#queue.waitingCount(job);
  }

  runningCount(job: number): number {
    return this.#queue.runningOfJob(job);
  }

  setRunningMax(tenant: number, runningMax: number | undefined): void {
    this.#queue.setRunningMax(tenant, runningMax);
  }

  /** Hot. The call's end comes to its owner, perhaps before this returns. */
  ask(call: Call, prompt: Uint8Array, policyVersion: number): void {
    const { budgets, cache, nameOf } = this.#options;
    const { tenant, job, arrivedMs } = call;
    this.#rulesOf(job).stats.calls += 1;
    if (this.#isStopped) return this.#refuse(call, "interrupted", "The server stops.");
    const parts = readPromptParts(prompt);
    if (parts === undefined) return this.#refuse(call, "malformed", "The prompt has no parts.");
    const key = answerKey({ tenant, job, policyVersion, prompt, parts });
    const cached = cache?.find(nameOf(tenant), key, arrivedMs);
    if (cached !== undefined) return this.#deliver(call, cached, "cached", arrivedMs);
    const number = numberOfKey(key);
    const asked = this.#asked.get(number);
    if (asked?.key === key) return this.#join(call, asked);
    if (this.#exchanges.pausedUntilMs >= call.deadlineMs) {
      return this.#refuse(call, "rateLimited", PAUSED_DETAIL);
    }
    const cost = this.#estimate(call);
    const spent = budgets.reserve(tenant, cost, arrivedMs);
    if (spent !== undefined) return this.#refuseSpent(call, spent, cost);
    const ticket = this.#push(call, cost.tokens);
    if (ticket < 0) {
      budgets.cancel(tenant, cost, arrivedMs);
      const whose = ticket === TENANT_QUEUE_FULL ? "of this tenant" : "in all";
      return this.#refuse(call, "queueFull", `Too many calls wait ${whose}.`);
    }
    const question = new Question(call, key, cost, parts);
    question.ticket = ticket;
    this.#questions[ticket] = question;
    // Of two keys with one number, the newer one is found.
    this.#asked.set(number, question);
    this.#promptBytes += call.promptBytes;
    this.#wait(call, question);
  }

  /** Nobody waits for the call any more. It has its end, unless it had one. */
  cancel(call: Call): void {
    if (waits(call)) this.#fail(call, "cancelled", "The call was cancelled.");
  }

  /** Sends what may be sent, and ends what is over. To be called after `ask`s, and every 8 ms. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    const step = Math.floor(nowMs / DEADLINE_STEP_MS);
    if (step !== this.#step) {
      this.#step = step;
      this.#deadlines.advance(nowMs, this.#due);
      this.#exchanges.tick(nowMs);
    }
    this.#sendNext(nowMs);
  }

  /** Everything that waits ends as `interrupted`, and so does what comes. */
  stop(): void {
    this.#isStopped = true;
    for (const call of this.#calls) {
      if (call !== undefined && waits(call)) {
        this.#fail(call, "interrupted", "The server stops.");
      }
    }
  }

  #rulesOf(job: number): JobRules {
    const rules = this.#options.rules[job];
    assert(rules !== undefined, "the job comes here");
    return rules;
  }

  #estimate({ job, promptBytes }: Call): Cost {
    const rules = this.#rulesOf(job);
    const promptTokens = rules.promptTokens(promptBytes);
    const usage = { promptTokens, completionTokens: rules.answerTokens, cachedTokens: 0 };
    return costOf(usage, rules.prices, 1);
  }

  #push({ tenant, job, promptBytes, arrivedMs }: Call, tokens: number): number {
    const isFull = this.#promptBytes + promptBytes > this.#options.promptsBytesMax;
    if (isFull || this.#slotCount >= this.#options.ticketCountMax) return QUEUE_FULL;
    return this.#queue.push(tenant, job, tokens, arrivedMs);
  }

  get #slotCount(): number {
    return this.#calls.length - this.#slots.length;
  }

  #join(call: Call, question: Question): void {
    const { tenant, arrivedMs } = call;
    const spent = this.#options.budgets.reserve(tenant, JOINED_COST, arrivedMs);
    if (spent !== undefined) return this.#refuseSpent(call, spent, JOINED_COST);
    const isFull = this.#slotCount >= this.#options.ticketCountMax;
    if (isFull || this.#joined[tenant]! >= this.#options.tenantWaitingMax) {
      this.#options.budgets.cancel(tenant, JOINED_COST, arrivedMs);
      return this.#refuse(call, "queueFull", "Too many calls wait for the same answer.");
    }
    this.#rulesOf(call.job).stats.joined += 1;
    this.#joined[tenant]! += 1;
    call.next = question.calls;
    question.calls = call;
    if (call.deadlineMs > question.deadlineMs) question.deadlineMs = call.deadlineMs;
    this.#wait(call, question);
  }

  #wait(call: Call, question: Question): void {
    const slot = this.#slots.pop() ?? this.#calls.length;
    this.#calls[slot] = call;
    call.slot = slot;
    call.question = question;
    this.#deadlines.set(slot, call.deadlineMs);
  }

  #sendNext(nowMs: number): void {
    while (this.#exchanges.hasRoom(nowMs)) {
      const ticket = this.#queue.next();
      if (ticket === NO_TICKET) return;
      this.#exchanges.start(this.#exchangeOf(ticket, nowMs), nowMs);
    }
  }

  /** A question whose turn it is, and those of its tenant and job that go with it. */
  #exchangeOf(first: number, nowMs: number): Exchange {
    const questions = [this.#questions[first]!];
    const rules = this.#rulesOf(questions[0]!.job);
    const countMax = isBatched[rules.job] ? UPSTREAM_BATCH_MAX : 1;
    let bytes = questions[0]!.promptBytes;
    while (questions.length < countMax && bytes < UPSTREAM_BATCH_BYTES_MAX) {
      const ticket = this.#queue.nextLike(first);
      if (ticket === NO_TICKET) break;
      const question = this.#questions[ticket]!;
      questions.push(question);
      bytes += question.promptBytes;
    }
    const { text, cases } = fence(questions.map(partsOf), this.#options.drawKey);
    // Only numbers are looked up in them, which a judgement has none of.
    const kept = rules.job === "moderation" ? cases.map(withoutParts) : cases;
    const exchange = new Exchange(questions, { text, cases: kept }, NO_USAGE, nowMs);
    for (let place = 0; place < questions.length; place++) {
      const question = questions[place]!;
      question.exchange = exchange;
      question.place = place;
      question.parts = NO_PARTS;
      rules.stats.waits.add(nowMs - this.#queue.sinceMs(question.ticket));
    }
    return exchange;
  }

  #answerAll(exchange: Exchange, answers: Answers): void {
    for (let place = 0; place < exchange.questions.length; place++) {
      // Who is told of one end may have cancelled another.
      const question = exchange.questions[place];
      if (question === undefined) continue;
      const answer = bytesOf(this.#rulesOf(exchange.job).job, answers[place]!);
      const name = this.#options.nameOf(question.tenant);
      const nowMs = this.#options.nowMs();
      this.#options.cache?.add(name, question.key, answer, nowMs);
      this.#leave(question);
      for (let call = question.calls; call !== undefined; call = call.next) {
        this.#deliver(call, answer, "answered", nowMs);
      }
    }
  }

  #failAll(exchange: Exchange, failure: ConsultationFailure, detail: string): void {
    for (let place = 0; place < exchange.questions.length; place++) {
      const question = exchange.questions[place];
      if (question === undefined) continue;
      this.#leave(question);
      for (let call = question.calls; call !== undefined; call = call.next) {
        this.#deliverFailure(call, failure, detail);
      }
    }
  }

  #endLate(call: Call): void {
    const hasWaited = call.question!.exchange === undefined;
    if (hasWaited && this.#hasPaused(call)) {
      return this.#fail(call, "rateLimited", PAUSED_DETAIL);
    }
    this.#fail(call, "timedOut", hasWaited ? "Its turn did not come." : "No answer in time.");
  }

  /** Whether a call waits because the upstream wants no requests, rather than for its turn. */
  #hasPaused({ arrivedMs }: Call): boolean {
    const { pausedSinceMs, pausedUntilMs } = this.#exchanges;
    const nowMs = this.#options.nowMs();
    return nowMs < pausedUntilMs && 2 * (nowMs - pausedSinceMs) >= nowMs - arrivedMs;
  }

  /** One call ends, for a reason of its own; others may still wait for the same answer. */
  #fail(call: Call, failure: ConsultationFailure, detail: string): void {
    const question = call.question!;
    if (question.calls === call && call.next === undefined) {
      const isLate = failure === "timedOut";
      const { exchange } = question;
      this.#leave(question);
      if (exchange?.openCount === 0) this.#exchanges.abandon(exchange, isLate);
    } else {
      unlink(question, call);
      this.#joined[call.tenant]! -= 1;
    }
    this.#deliverFailure(call, failure, detail);
  }

  /** The question is over; its calls are to be told. */
  #leave(question: Question): void {
    const { tenant, exchange } = question;
    question.isOver = true;
    this.#settle(question);
    this.#questions[question.ticket] = undefined;
    const number = numberOfKey(question.key);
    if (this.#asked.get(number) === question) this.#asked.delete(number);
    this.#promptBytes -= question.promptBytes;
    this.#queue.end(question.ticket);
    for (let call = question.calls!.next; call !== undefined; call = call.next) {
      this.#joined[tenant]! -= 1;
    }
    if (exchange === undefined) return;
    exchange.questions[question.place] = undefined;
    exchange.openCount -= 1;
  }

  #settle({ tenant, job, cost, exchange }: Question): void {
    const { budgets, nowMs } = this.#options;
    if (exchange === undefined || exchange.tries === 0) {
      return budgets.cancel(tenant, cost, nowMs());
    }
    // What is at the upstream may be used, and nobody will tell: the estimate stands.
    if (!exchange.isUsageKnown || exchange.attempts.length > 0) return;
    const used = shareOf(exchange.used, exchange.questions.length);
    budgets.settle(tenant, cost, costOf(used, this.#rulesOf(job).prices, 1), nowMs());
  }

  #deliver(call: Call, answer: Uint8Array, outcome: "answered" | "cached", nowMs: number): void {
    this.#count(call, outcome, undefined, nowMs);
    call.owner.deliver(call, { answer, isCached: outcome === "cached" }, nowMs);
  }

  #deliverFailure(call: Call, failure: ConsultationFailure, detail: string): void {
    const nowMs = this.#options.nowMs();
    this.#count(call, failure, detail, nowMs);
    call.owner.deliver(call, { failure, detail }, nowMs);
  }

  /** Before it waited for anything. */
  #refuse(call: Call, failure: ConsultationFailure, detail: string): void {
    this.#deliverFailure(call, failure, detail);
  }

  #refuseSpent(call: Call, budget: BudgetName, cost: Cost): void {
    const waitMs = this.#options.budgets.waitMs(call.tenant, cost, call.arrivedMs);
    const again = Number.isFinite(waitMs) ? `; again in ${Math.ceil(waitMs / 1_000)} s` : "";
    this.#refuse(call, "overBudget", `The budget of ${budget} is spent${again}.`);
  }

  #count(call: Call, outcome: Outcome, detail: string | undefined, endedMs: number): void {
    const { tenant, job, arrivedMs, promptBytes } = call;
    const { usage, traces, nameOf } = this.#options;
    const exchange = call.question?.exchange;
    if (call.slot !== -1) {
      this.#deadlines.clear(call.slot);
      this.#calls[call.slot] = undefined;
      this.#slots.push(call.slot);
      call.slot = -1;
    }
    call.question = undefined;
    this.#rulesOf(job).stats.count(outcome);
    usage.count(tenant, job, outcome);
    const used = exchange?.used ?? NO_USAGE;
    const tokens = used.promptTokens + used.completionTokens;
    traces.add({
      tenant: nameOf(tenant),
      job,
      arrivedMs,
      sentMs: exchange?.firstMs,
      endedMs,
      tries: exchange?.tries ?? 0,
      promptBytes,
      tokens: exchange === undefined ? 0 : Math.ceil(tokens / exchange.cases.length),
      outcome,
      detail,
    });
  }
}

function bytesOf(job: Job, answer: Answers[number]): Uint8Array {
  if (job === "moderation") {
    const { scores, reason } = answer as AnswerOf["moderation"];
    return judgementBytes(
      CATEGORIES.map((category) => scores[category]),
      reason,
    );
  }
  return Buffer.from(JSON.stringify({ ...answer, id: undefined }));
}

/** If not, it has its end, or will be told it with the others of its question. */
function waits({ question }: Call): boolean {
  return question !== undefined && !question.isOver;
}

/** Others wait for the same, so it has a next or a previous one. */
function unlink(question: Question, call: Call): void {
  if (question.calls === call) question.calls = call.next;
  else {
    let previous = question.calls!;
    while (previous.next !== call) previous = previous.next!;
    previous.next = call.next;
  }
}

function partsOf({ parts }: Question): readonly PromptPart[] {
  return parts;
}

function withoutParts({ id }: { readonly id: string }): { id: string; parts: typeof NO_PARTS } {
  return { id, parts: NO_PARTS };
}

/** Of an exchange's tokens, what one of its questions has to bear. */
function shareOf(usage: TokenUsage, questionCount: number): TokenUsage {
  return {
    promptTokens: Math.ceil(usage.promptTokens / questionCount),
    completionTokens: Math.ceil(usage.completionTokens / questionCount),
    cachedTokens: Math.floor(usage.cachedTokens / questionCount),
  };
}
