/** A call, what it asks, and the request that asks it: what the gateway holds of each. */
import type { TokenUsage } from "#model/consultation.ts";
import type { PromptPart } from "#model/prompt-parts.ts";
import type { Cost } from "./budget.ts";
import type { Case } from "./fence.ts";
import type { CallEnd } from "./protocol.ts";
import type { Sending } from "./upstream.ts";

/** Who asked; each of its calls ends once. */
export interface CallOwner {
  deliver(call: Call, end: CallEnd, nowMs: number): void;
}

type CallOptions = {
  readonly owner: CallOwner;
  readonly request: number;
  readonly tenant: number;
  readonly job: number;
  readonly arrivedMs: number;
  readonly deadlineMs: number;
  readonly promptBytes: number;
};

export class Call {
  readonly owner: CallOwner;
  /** The owner's own number of it. */
  readonly request: number;
  readonly tenant: number;
  readonly job: number;
  readonly arrivedMs: number;
  readonly deadlineMs: number;
  readonly promptBytes: number;
  /** Of its deadline. */
  slot = -1;
  /** Until it has ended. */
  question: Question | undefined = undefined;
  /** Another one that asks the same. */
  next: Call | undefined = undefined;

  constructor(options: CallOptions) {
    this.owner = options.owner;
    this.request = options.request;
    this.tenant = options.tenant;
    this.job = options.job;
    this.arrivedMs = options.arrivedMs;
    this.deadlineMs = options.deadlineMs;
    this.promptBytes = options.promptBytes;
  }
}

/** What is asked, once for all calls that ask the same of one tenant. */
export class Question {
  readonly key: string;
  readonly tenant: number;
  readonly job: number;
  readonly promptBytes: number;
  /** As reserved. */
  readonly cost: Cost;
  /** Of the last of its calls. */
  deadlineMs: number;
  /** Until they are a part of an exchange's prompt. */
  parts: readonly PromptPart[];
  /** Its first call; the others follow it. */
  calls: Call | undefined;
  ticket = -1;
  exchange: Exchange | undefined = undefined;
  /** Its calls have their end, or are told it now. */
  isOver = false;
  /** Which of its exchange's cases it is. */
  place = 0;

  constructor(call: Call, key: string, cost: Cost, parts: readonly PromptPart[]) {
    this.key = key;
    this.tenant = call.tenant;
    this.job = call.job;
    this.promptBytes = call.promptBytes;
    this.cost = cost;
    this.deadlineMs = call.deadlineMs;
    this.parts = parts;
    this.calls = call;
  }
}

/** A request that is at the upstream. */
export class Attempt {
  readonly exchange: Exchange;
  readonly sentMs: number;
  /** Whether the breaker closes by it. */
  readonly isTry: boolean;
  sending: Sending | undefined = undefined;
  /** Its answer came, or nobody needs it. */
  isOver = false;

  constructor(exchange: Exchange, sentMs: number, isTry: boolean) {
    this.exchange = exchange;
    this.sentMs = sentMs;
    this.isTry = isTry;
  }
}

/** Questions of one tenant and job that are asked in one prompt, until all have ended. */
export class Exchange {
  readonly tenant: number;
  readonly job: number;
  /** In the order of the cases; undefined: it has ended. */
  readonly questions: (Question | undefined)[];
  openCount: number;
  readonly cases: readonly Case[];
  readonly prompt: string;
  readonly firstMs: number;
  /** What is wrong with its answer, to be told with the next try. */
  problem: string | undefined = undefined;
  attempts: Attempt[] = [];
  tries = 0;
  /** Of all tries so far, as far as they said. */
  used: TokenUsage;
  isUsageKnown = true;

  constructor(
    questions: Question[],
    prompt: { readonly text: string; readonly cases: readonly Case[] },
    used: TokenUsage,
    nowMs: number,
  ) {
    this.tenant = questions[0]!.tenant;
    this.job = questions[0]!.job;
    this.questions = questions;
    this.openCount = questions.length;
    this.cases = prompt.cases;
    this.prompt = prompt.text;
    this.used = used;
    this.firstMs = nowMs;
  }

  /** Of the last of its calls that wait. */
  get deadlineMs(): number {
    let deadlineMs = Number.NEGATIVE_INFINITY;
    for (const question of this.questions) {
      if (question !== undefined && question.deadlineMs > deadlineMs) {
        deadlineMs = question.deadlineMs;
      }
    }
    return deadlineMs;
  }
}
