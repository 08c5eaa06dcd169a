/**
 * What a shard's moderators have asked of the upstream and wait for. A review begins in the turn
 * after its message was judged (judging.ts); here it has a number at the gateway, goes there with
 * those of the same step in one message, and ends in another turn of its moderator:
 *
 *   begun -> outbox -> sent -> due -> told     (due: its end is known, its turn is still to come)
 *
 * A message wakes the gateway's thread, which takes as long as ten calls. So one goes at once, and
 * the next not before `sendMs` have passed: who is alone does not wait, and a crowd goes together.
 *
 * Whatever comes, a review is told once, and the embedded verdict stands where there is no answer.
 * An end that is late, or comes twice, finds no review any more. A gateway that began anew has
 * forgotten what it was asked: those reviews are interrupted. Of a moderator in quarantine, or a
 * tenant that is gone, no turn follows, and its calls are cancelled.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { AskedReview, EndedReview, ModeratorHost } from "#isolate/moderator-host.ts";
import type { AskedCall, CallEnd, CallMessage, EndMessage } from "#llm/protocol.ts";
import { CONSULTATION_FAILURES, type ConsultationFailure } from "#model/consultation.ts";
import { CALL_NUMBER_MAX } from "#isolate/review-turn.ts";
import { JUDGEMENT_BYTES_MAX } from "#model/limits.ts";
import { isFailure, type ReviewEnd } from "#model/verdict.ts";
import type { ReviewEnded } from "./protocol.ts";

/** Ends of one step: bounds how long what is in the ring waits for them. */
const ENDS_STEP_MAX = 128;
/** A slice of turns runs under one guard. */
const SLICE_MS = 5;
/** The gateway keeps the time itself; what it has not ended by then, it has lost. */
const LATE_MS = 500;
const LATE_SCAN_MS = 250;
const COUNT_INITIAL = 256;
const GONE: EndedReview = { outcome: "refused", opinion: undefined };
const EXCEEDED_TIME: EndedReview = { outcome: "exceededTime", opinion: undefined };
const UNUSABLE: CallEnd = { failure: "malformed", detail: "" };
const NOT_WANTED: CallEnd = { failure: "cancelled", detail: "" };
const INTERRUPTED: CallEnd = {
  failure: "interrupted",
  detail: "The gateway to the upstream began anew.",
};
const LATE: CallEnd = { failure: "timedOut", detail: "The gateway has not answered in time." };

/** Between two messages to the gateway at least, as between two of its own. */
export const SEND_MS = 2;

/** A review as its turn and its verdict make it. */
export type NewReview = {
  readonly tenant: number;
  readonly name: string;
  /** Of the verdict. */
  readonly id: string;
  /** The moderator's number of it. */
  readonly call: number;
  readonly asked: AskedReview;
  readonly policyVersion: number;
  readonly waitMsMax: number;
};

export type Review = Omit<NewReview, "asked"> & {
  /** The gateway's number of it. */
  readonly request: number;
  readonly resultAt: number;
  readonly begunMs: number;
  isSent: boolean;
  /** Somebody is to be told of its end. */
  isWanted: boolean;
};

/** A review whose end is known, and what its moderator made of it. */
type Due = { readonly review: Review; readonly end: CallEnd; result: EndedReview };

export class Consultations {
  readonly #host: ModeratorHost;
  readonly #sendMs: number;
  /** Is told what a tenant's turn took. */
  readonly #ran: (tenant: number, turnMs: number) => void;
  #sentMs = Number.NEGATIVE_INFINITY;
  #port: MessagePort | undefined;
  /** By number at the gateway; without those that are due. */
  readonly #open = new Map<number, Review>();
  /** By number of the tenant; with those that are due. */
  readonly #ofTenant = new Map<number, Review[]>();
  /** By number of the tenant: the call that it began last. */
  #lastCalls = new Uint16Array(COUNT_INITIAL);
  #request = 0;
  #outbox: { readonly review: Review; readonly prompt: Uint8Array }[] = [];
  #cancels: number[] = [];
  #due: Due[] = [];
  #ended: ReviewEnded[] = [];
  #scannedMs = 0;
  begunCount = 0;
  endedCount = 0;
  degradedCount = 0;
  // The ends at hand, and the one whose turn is next.
  #batch: Due[] = [];
  #at = 0;
  /** Bound once: a slice is the same function every time. */
  readonly #slice = (): void => this.#runSlice();

  /** `sendMs`: between two messages at least; 0: every step sends what it has. */
  constructor(
    host: ModeratorHost,
    port: MessagePort | undefined,
    sendMs = SEND_MS,
    ran: (tenant: number, turnMs: number) => void = () => undefined,
  ) {
    this.#host = host;
    this.#ran = ran;
    this.#port = port;
    this.#sendMs = sendMs;
  }

  /** There is somebody to ask. */
  get isOn(): boolean {
    return this.#port !== undefined;
  }

  /** Reviews that are not told yet. */
  get openCount(): number {
    return this.#open.size + this.#due.length;
  }

  /** There are ends whose turns are for the next step. */
  get hasDue(): boolean {
    return this.#due.length > 0;
  }

  /** There is something to send in `sendMs` at the latest. */
  get hasUnsent(): boolean {
    return this.#outbox.length > 0 || this.#cancels.length > 0;
  }

  /** What the tenant's moderator waits for. */
  openOf(tenant: number): readonly Review[] {
    return this.#ofTenant.get(tenant) ?? [];
  }

  openCountOf(tenant: number): number {
    return this.#ofTenant.get(tenant)?.length ?? 0;
  }

  /** The call that the tenant began last. */
  lastCallOf(tenant: number): number {
    return this.#lastCalls[tenant] ?? 0;
  }

  /** The number after that one which no open call of the tenant has: it follows from its calls. */
  callAfter(tenant: number, last: number): number {
    const reviews = this.#ofTenant.get(tenant);
    let call = last;
    do {
      call = call === CALL_NUMBER_MAX ? 1 : call + 1;
    } while (reviews?.some((each) => each.call === call) === true);
    return call;
  }

  /** Another gateway in place of the one before, which has forgotten what it was asked. */
  attach(port: MessagePort): void {
    this.#receive();
    this.#port?.close();
    this.#port = port;
    for (const review of this.#open.values()) {
      if (review.isSent) this.#end(review.request, INTERRUPTED);
    }
    this.#cancels = [];
  }

  /** A review has begun; it is sent at the end of the step, or of one soon after it. */
  begin({ asked, ...begun }: NewReview, nowMs: number): Review {
    this.#request += 1;
    const review: Review = {
      ...begun,
      request: this.#request,
      resultAt: asked.resultAt,
      begunMs: nowMs,
      isSent: false,
      isWanted: true,
    };
    const { tenant } = review;
    this.#open.set(review.request, review);
    const others = this.#ofTenant.get(tenant);
    if (others === undefined) this.#ofTenant.set(tenant, [review]);
    else others.push(review);
    this.#reserve(tenant);
    this.#lastCalls[tenant] = review.call;
    this.#outbox.push({ review, prompt: asked.prompt });
    this.begunCount += 1;
    return review;
  }

  /** An upstream was to be asked about a message, and is not. */
  countRefused(): void {
    this.begunCount += 1;
    this.endedCount += 1;
    this.degradedCount += 1;
  }

  /** A review of this step is wanted no more: it is not sent, and nobody is told of it. */
  drop(review: Review): void {
    if (!this.#open.has(review.request)) return;
    review.isWanted = false;
    this.begunCount -= 1;
    this.#end(review.request, NOT_WANTED);
  }

  /** A turn of the tenant's moderator failed: if there will be none for now, nothing waits. */
  checkTenant(tenant: number): void {
    const host = this.#host;
    if (host.isOpen(tenant) && !host.quarantined(tenant)) return;
    for (const review of this.#ofTenant.get(tenant)?.slice() ?? []) {
      if (!this.#open.delete(review.request)) continue;
      if (review.isSent) this.#cancels.push(review.request);
      this.#forget(review);
      const detail = `The moderator of ${review.name} failed too often.`;
      this.#tell(review, failed("cancelled", detail), review.begunMs);
    }
  }

  /** The tenant is deleted: nothing of it waits, and its number is another's from now on. */
  forget(tenant: number, nowMs: number): void {
    const reviews = this.#ofTenant.get(tenant) ?? [];
    this.#ofTenant.delete(tenant);
    for (const review of reviews) {
      if (this.#open.delete(review.request) && review.isSent) this.#cancels.push(review.request);
      if (review.isWanted)
        this.#tell(review, failed("cancelled", "The tenant was deleted."), nowMs);
    }
    this.#due = this.#due.filter(({ review }) => review.tenant !== tenant);
    if (tenant < this.#lastCalls.length) this.#lastCalls[tenant] = 0;
  }

  /** Takes the ends that have come, has their turns, and sends what was begun and cancelled. */
  step(nowMs: number): void {
    if (this.#port === undefined) return;
    this.#receive();
    this.#endLate(nowMs);
    if (this.#due.length > 0) this.#runDue(nowMs);
    // A clock that was set back holds nothing up.
    if (this.hasUnsent && Math.abs(nowMs - this.#sentMs) >= this.#sendMs) this.#send(nowMs);
  }

  /** The process ends: who waits is told so. No turns: what they change ends, too. */
  stop(nowMs: number): void {
    const due = this.#due.map(({ review }) => review);
    this.#due = [];
    for (const review of [...due, ...this.#open.values()]) {
      if (review.isWanted) {
        this.#tell(review, failed("interrupted", "The server stopped meanwhile."), nowMs);
      }
    }
    this.#open.clear();
    this.#ofTenant.clear();
    this.#outbox = [];
    this.#cancels = [];
    this.#port?.close();
    this.#port = undefined;
  }

  /** Reviews that ended since the last call. */
  takeEnded(): readonly ReviewEnded[] {
    const ended = this.#ended;
    if (ended.length > 0) this.#ended = [];
    return ended;
  }

  #receive(): void {
    const port = this.#port;
    if (port === undefined) return;
    for (;;) {
      const received = receiveMessageOnPort(port) as { message: EndMessage } | undefined;
      if (received === undefined) return;
      for (const { request, end } of received.message.ends) this.#end(request, end);
    }
  }

  /** The end of a review is known, unless it was before. */
  #end(request: number, end: CallEnd): void {
    const review = this.#open.get(request);
    if (review === undefined) return;
    this.#open.delete(request);
    this.#due.push({ review, end: usable(end), result: GONE });
  }

  #endLate(nowMs: number): void {
    if (Math.abs(nowMs - this.#scannedMs) < LATE_SCAN_MS) return;
    this.#scannedMs = nowMs;
    for (const review of this.#open.values()) {
      if (nowMs - review.begunMs < review.waitMsMax + LATE_MS) continue;
      if (review.isSent) this.#cancels.push(review.request);
      this.#end(review.request, LATE);
    }
  }

  /** A tenant's ends come one after the other, and in their order: it enters its slot once. */
  #runDue(nowMs: number): void {
    const batch = this.#due.splice(0, ENDS_STEP_MAX);
    batch.sort((a, b) => a.review.tenant - b.review.tenant);
    this.#run(batch);
    const again = batch.filter((due) => this.#isToldAgain(due));
    this.#run(again.map(({ review }) => ({ review, end: UNUSABLE, result: GONE })));
    for (const { review } of batch) this.#forget(review);
    for (const { review, end, result } of batch) {
      if (review.isWanted) this.#tell(review, this.#endOf(review, end, result), nowMs);
      if (result.outcome !== "ok") this.checkTenant(review.tenant);
    }
  }

  /** A moderator that failed at an answer still waits, and is told that there is none. */
  #isToldAgain({ review, end, result }: Due): boolean {
    const { tenant } = review;
    if (result.outcome === "ok" || "failure" in end) return false;
    return this.#host.isOpen(tenant) && !this.#host.quarantined(tenant);
  }

  #run(batch: Due[]): void {
    const host = this.#host;
    this.#batch = batch;
    this.#at = 0;
    while (this.#at < batch.length) {
      if (host.runSlice(this.#slice) === "done") continue;
      const due = batch[this.#at];
      if (due === undefined || host.timedOutTenant !== due.review.tenant) continue;
      due.result = EXCEEDED_TIME;
      this.#at += 1;
    }
  }

  /**
   * Turns until the slice is over. The guard may end it at any call and in any loop, never within a
   * straight line: so a turn's end and its entry are one.
   */
  #runSlice(): void {
    const host = this.#host;
    const batch = this.#batch;
    let nowMs = performance.now();
    const endMs = nowMs + SLICE_MS;
    while (this.#at < batch.length && nowMs < endMs) {
      const due = batch[this.#at]!;
      const { tenant } = due.review;
      const result = host.isOpen(tenant) ? this.#turn(due) : GONE;
      due.result = result;
      this.#at += 1;
      const doneMs = performance.now();
      this.#ran(tenant, doneMs - nowMs);
      nowMs = doneMs;
    }
  }

  #turn({ review: { tenant, call, resultAt }, end }: Due): EndedReview {
    if ("answer" in end) {
      return this.#host.endReview(tenant, call, resultAt, undefined, end.answer);
    }
    const failure = CONSULTATION_FAILURES.indexOf(end.failure);
    return this.#host.endReview(tenant, call, resultAt, failure);
  }

  #endOf(
    { name }: Review,
    end: CallEnd,
    { outcome, opinion }: EndedReview,
  ): Omit<ReviewEnd, "waitMs"> {
    if ("failure" in end) return failed(end.failure, end.detail);
    if (outcome === "ok" && opinion?.applied === true) {
      return { outcome: end.isCached ? "cached" : "answered", detail: undefined, opinion };
    }
    if (outcome === "ok") {
      const detail =
        `The moderator of ${name} kept to its own verdict: its policy changed meanwhile, ` +
        "or the answer is not on its scales.";
      return failed("cancelled", detail);
    }
    if (outcome === "refused") {
      return failed("interrupted", `The moderator of ${name} is gone, or memory is full.`);
    }
    if (outcome === "quarantined") {
      return failed("cancelled", `The moderator of ${name} failed too often.`);
    }
    return failed("malformed", `The moderator of ${name} ended at the answer: ${outcome}.`);
  }

  #tell(review: Review, end: Omit<ReviewEnd, "waitMs">, nowMs: number): void {
    this.endedCount += 1;
    if (isFailure(end.outcome)) this.degradedCount += 1;
    const waitMs = Math.max(0, nowMs - review.begunMs);
    this.#ended.push({ id: review.id, waitMs, ...end });
  }

  /** Its number at the moderator is free. */
  #forget(review: Review): void {
    const others = this.#ofTenant.get(review.tenant);
    const at = others?.indexOf(review) ?? -1;
    if (others === undefined || at === -1) return;
    if (others.length === 1) this.#ofTenant.delete(review.tenant);
    else others.splice(at, 1);
  }

  /** One message, and one buffer in it: what is posted is the whole buffer behind a view. */
  #send(nowMs: number): void {
    const port = this.#port!;
    this.#sentMs = nowMs;
    if (this.#outbox.length > 0) {
      const calls = this.#packed();
      this.#outbox = [];
      const message: CallMessage = { type: "ask", calls };
      if (calls.length > 0) port.postMessage(message, [calls[0]!.prompt.buffer as ArrayBuffer]);
    }
    if (this.#cancels.length > 0) {
      const message: CallMessage = { type: "cancel", requests: this.#cancels };
      port.postMessage(message);
      this.#cancels = [];
    }
  }

  /** The outbox, without what has ended since. */
  #packed(): readonly AskedCall[] {
    const wanted = this.#outbox.filter(({ review }) => this.#open.has(review.request));
    const byteCount = wanted.reduce((sum, { prompt }) => sum + prompt.length, 0);
    const bytes = new Uint8Array(byteCount);
    let end = 0;
    return wanted.map(({ review, prompt }) => {
      const { request, name: tenant, policyVersion, waitMsMax } = review;
      review.isSent = true;
      bytes.set(prompt, end);
      end += prompt.length;
      const own = bytes.subarray(end - prompt.length, end);
      return { request, tenant, job: "moderation", prompt: own, policyVersion, waitMsMax };
    });
  }

  #reserve(tenant: number): void {
    if (tenant < this.#lastCalls.length) return;
    const lastCalls = new Uint16Array(Math.max(tenant + 1, 2 * this.#lastCalls.length));
    lastCalls.set(this.#lastCalls);
    this.#lastCalls = lastCalls;
  }
}

function failed(outcome: ConsultationFailure, detail: string): Omit<ReviewEnd, "waitMs"> {
  return { outcome, detail, opinion: undefined };
}

/** No gateway of ours answers more than a moderator takes. */
function usable(end: CallEnd): CallEnd {
  if ("failure" in end || end.answer.length <= JUDGEMENT_BYTES_MAX) return end;
  const detail = `The answer has ${end.answer.length} bytes; at most ${JUDGEMENT_BYTES_MAX}.`;
  return { failure: "malformed", detail };
}
