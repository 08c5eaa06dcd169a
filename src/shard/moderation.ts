/**
 * The moderators of a shard's tenants: what is judged, under which policy, and what becomes of it.
 * A moderator begins with the first message of its tenant, and is kept apart from the tenant's
 * other component in all but the tenant's number: one of the two may be in quarantine alone.
 */
import type { MessagePort } from "node:worker_threads";
import type { BegunReview, ModeratorHost } from "#isolate/moderator-host.ts";
import type { Answer } from "#isolate/tenant-host.ts";
import { CONSULTATION_FAILURES } from "#model/consultation.ts";
import { REVIEWS_OPEN_MAX } from "#model/limits.ts";
import type { Action } from "#model/moderation.ts";
import { OUTCOMES, type Outcome } from "#model/outcome.ts";
import {
  consultOf,
  contextAgeMsMax,
  moderatesEvents,
  policyBytes,
  storesNothing,
} from "#model/policy-bytes.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import type { VerdictIds } from "#model/verdict-id.ts";
import { Consultations, type Review } from "./consultations.ts";
import { EventRequests, textsOf } from "./event-request.ts";
import { Judging, PREFIX_BYTES, readU32, REVIEW_TOO_MANY } from "./judging.ts";
import type {
  Judged,
  JudgedEvent,
  JudgedMessage,
  JudgedReview,
  ReviewEnded,
  ShardCounters,
} from "./protocol.ts";
import type { QuotaGuard } from "./quota-guard.ts";
import { Refusal } from "./refusal.ts";
import type { OpenReview } from "./replay.ts";

export type ModerationParts = {
  readonly host: ModeratorHost;
  /** Number of the component that judges for all tenants. */
  readonly component: number;
  readonly ids: VerdictIds;
  /** To the gateway of upstream language models, where there is one. */
  readonly gateway?: MessagePort | undefined;
  /** Between two messages to it, at least. */
  readonly sendMs?: number;
};

/** Tenants that are told the time in one step, if nothing of theirs was judged for long. */
const SWEEP_TENANTS_MAX = 32;
const COUNT_INITIAL = 256;
const BATCH_HEAD_BYTES = 16;
const INTERRUPTED = CONSULTATION_FAILURES.indexOf("interrupted");
const POLICY_DEFAULT_BYTES = policyBytes(POLICY_RECORD_DEFAULT)!;

export class Moderation {
  readonly parts: ModerationParts;
  readonly #counters: ShardCounters;
  /** By number of the tenant; of those that set one. */
  readonly #policies = new Map<number, Uint8Array>();
  /** By number of the tenant: whether its events are judged. */
  #judgesEvents = new Uint8Array(COUNT_INITIAL);
  #judgesEventsCount = 0;
  /** By number of the tenant: when something of it was judged last; 0: not since it was told. */
  #judgedMs = new Float64Array(COUNT_INITIAL);
  #sweep = 0;
  readonly #requests = new EventRequests();
  /** Of the batch at hand, by event; and the reviews of those that nobody was told of yet. */
  #held: (JudgedEvent | undefined)[] = [];
  readonly #heldReviews = new Map<number, Review>();
  #events: JudgedEvent[] = [];
  #judged = 0;
  #flagged = 0;
  #blocked = 0;
  readonly #judging: Judging;
  readonly #consultations: Consultations;
  #begun: Review | undefined;

  constructor(parts: ModerationParts, counters: ShardCounters, quota?: QuotaGuard) {
    this.parts = parts;
    this.#counters = counters;
    const { host, gateway } = parts;
    const { judgements } = counters;
    const ran = quota === undefined ? undefined : quota.quota.ran.bind(quota.quota);
    const consultations = new Consultations(host, gateway, parts.sendMs, ran);
    this.#consultations = consultations;
    const open = this.#open.bind(this);
    const isFull = (tenant: number): boolean => host.isFull || quota?.isMemoryFull(tenant) === true;
    this.#judging = new Judging({ host, consultations, open, isFull, judgements });
  }

  /** Some tenant's events are judged: messages must not pass the events before them. */
  get judgesAnyEvents(): boolean {
    return this.#judgesEventsCount > 0;
  }

  judgesEventsOf(tenant: number): boolean {
    return this.#judgesEvents[tenant] === 1;
  }

  /** Reviews that an upstream is being asked for. */
  get openReviewCount(): number {
    return this.#consultations.openCount;
  }

  /** What the tenant's moderator waits for: a start ends it. */
  openReviewsOf(tenant: number): readonly OpenReview[] {
    return this.#consultations.openOf(tenant);
  }

  /**
   * What a moderator waited for when the process before this one ended will not come: it is told
   * so. Nobody else is, since the store lists those messages as not reviewed.
   */
  interruptReviews(tenant: number, reviews: readonly OpenReview[]): void {
    const { host } = this.parts;
    for (const { call, resultAt } of reviews) {
      if (!host.isOpen(tenant)) return;
      this.#guarded(tenant, () => host.endReview(tenant, call, resultAt, INTERRUPTED).outcome);
    }
  }

  /** There is more to do than what comes. */
  get draining(): boolean {
    return this.#consultations.hasDue;
  }

  /** There is something for the gateway that may not be sent yet. */
  get hasUnsent(): boolean {
    return this.#consultations.hasUnsent;
  }

  /** Judges the messages of a record, in order. */
  judgeAll(
    tenant: number,
    name: string,
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
    nowMs: number,
  ): readonly Judged[] {
    const judging = this.#judging;
    judging.run(tenant, source, byteOffset, byteCount);
    const judged: Judged[] = [];
    for (let index = 0; index < judging.count; index++) {
      judged.push(this.#enter(tenant, name, index, nowMs));
    }
    return judged;
  }

  /**
   * Judges the events of a batch that say something. What is to be done with each follows from
   * `actionOf`; their verdicts are told or forgotten with `tellEvents`.
   */
  judgeEvents(
    tenant: number,
    name: string,
    memory: Uint8Array,
    byteOffset: number,
    nowMs: number,
  ): void {
    const view = new DataView(memory.buffer, memory.byteOffset);
    const requests = this.#requests;
    requests.end = 0;
    const eventCount = view.getUint32(byteOffset, true);
    const indexes: number[] = [];
    let offset = byteOffset + BATCH_HEAD_BYTES;
    for (let event = 0; event < eventCount; event++) {
      if (requests.append(view, memory, offset)) indexes.push(event);
      offset += view.getUint32(offset, true);
    }
    this.#judging.run(tenant, requests.bytes, 0, requests.end);
    const policy = this.#policies.get(tenant);
    const isKept = policy === undefined || !storesNothing(policy);
    this.#dropHeld();
    this.#held = Array.from({ length: eventCount }, () => undefined);
    let at = 0;
    for (const [index, event] of indexes.entries()) {
      const judged = this.#enter(tenant, name, index, nowMs);
      const { text, ...names } = textsOf(requests.bytes, at + PREFIX_BYTES);
      at += PREFIX_BYTES + readU32(requests.bytes, at);
      // Of a moderator that fails nobody's message is held up.
      if ("code" in judged) continue;
      this.#held[event] = { ...judged, tenant: name, ...names, text: isKept ? text : undefined };
      if (this.#begun !== undefined) this.#heldReviews.set(event, this.#begun);
    }
  }

  /** Of an event of the batch that was judged last. */
  actionOf(event: number): Action {
    return this.#held[event]?.report.action ?? "allow";
  }

  /** The event's verdict waits for `takeEvents`; whether it is to be kept before the answer. */
  tellEvent(event: number): boolean {
    const judged = this.#held[event];
    if (judged === undefined) return false;
    this.#events.push(judged);
    this.#heldReviews.delete(event);
    return judged.review !== undefined || judged.report.action !== "allow";
  }

  /** Verdicts on events since the last call. */
  takeEvents(): readonly JudgedEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  /** Another gateway: the one before is gone. */
  attachGateway(port: MessagePort): void {
    this.#consultations.attach(port);
  }

  /** Ends the reviews whose ends have come, and asks for those that this step began. */
  stepReviews(nowMs: number): void {
    this.#dropHeld();
    this.#consultations.step(nowMs);
  }

  /** Nothing more comes of the reviews that are open. */
  stopReviews(nowMs: number): void {
    this.#consultations.stop(nowMs);
  }

  /** Reviews that ended since the last call. */
  takeReviews(): readonly ReviewEnded[] {
    return this.#consultations.takeEnded();
  }

  /** The tenant's next verdict is under this policy. */
  setPolicy(tenant: number, name: string, policy: Uint8Array): Refusal | undefined {
    const { host } = this.parts;
    if (host.isOpen(tenant)) {
      const outcome = this.#guarded(tenant, () => host.configure(tenant, policy));
      if (outcome !== "ok") return moderatorFailure(name, outcome);
    }
    this.#policies.set(tenant, policy);
    this.#reserve(tenant);
    const judges = moderatesEvents(policy) ? 1 : 0;
    this.#judgesEventsCount += judges - this.#judgesEvents[tenant]!;
    this.#judgesEvents[tenant] = judges;
    return undefined;
  }

  /** The tenant is deleted: whoever waits for an upstream is told so. */
  forget(tenant: number, nowMs: number): void {
    this.#consultations.forget(tenant, nowMs);
    this.#policies.delete(tenant);
    this.#reserve(tenant);
    this.#judgesEventsCount -= this.#judgesEvents[tenant]!;
    this.#judgesEvents[tenant] = 0;
    this.#judgedMs[tenant] = 0;
  }

  /** A question to a tenant's moderator; one that has not begun is `none`. */
  ask<Report>(
    tenant: number,
    name: string,
    none: Report,
    ask: (host: ModeratorHost) => Answer<Report>,
  ): Report | Refusal {
    const { host } = this.parts;
    if (tenant === -1 || !host.isOpen(tenant)) return none;
    let answer: Answer<Report> | undefined;
    const outcome = this.#guarded(tenant, () => {
      answer = ask(host);
      return answer.outcome;
    });
    return outcome === "ok" ? (answer!.report as Report) : moderatorFailure(name, outcome);
  }

  /** Tells the time to moderators that were not asked for long: they forget what is too old. */
  sweep(nowMs: number): void {
    const judgedMs = this.#judgedMs;
    for (let count = 0; count < SWEEP_TENANTS_MAX; count++) {
      this.#sweep = this.#sweep + 1 < judgedMs.length ? this.#sweep + 1 : 0;
      const tenant = this.#sweep;
      if (judgedMs[tenant] === 0) continue;
      const policy = this.#policies.get(tenant) ?? POLICY_DEFAULT_BYTES;
      if (nowMs - judgedMs[tenant]! < contextAgeMsMax(policy)) continue;
      judgedMs[tenant] = 0;
      const { host } = this.parts;
      if (host.isOpen(tenant)) this.#guarded(tenant, () => host.advance(tenant, nowMs));
    }
  }

  count(): void {
    const counters = this.#counters;
    const { stats } = this.parts.host;
    counters.set("judgedCount", this.#judged);
    counters.set("flaggedCount", this.#flagged);
    counters.set("blockedCount", this.#blocked);
    counters.set("judgeSlotHitCount", stats.slotHits);
    counters.set("judgeSlotMissCount", stats.slotMisses);
    counters.set("judgeImageBytes", stats.imageBytes);
    const { begunCount, endedCount, degradedCount } = this.#consultations;
    counters.set("reviewsBegun", begunCount);
    counters.set("reviewsEnded", endedCount);
    counters.set("reviewsDegraded", degradedCount);
    const outcomes = counters.judgeOutcomes;
    for (let i = 0; i < OUTCOMES.length; i++) outcomes[i] = stats.outcomes[OUTCOMES[i]!];
  }

  /** Of a message that was judged; its review, if one has begun, is in `#begun`. */
  #enter(tenant: number, name: string, index: number, nowMs: number): Judged {
    const { outcome, report } = this.#judging.answerOf(index);
    this.#begun = undefined;
    if (report === undefined) {
      this.#consultations.checkTenant(tenant);
      const { code, detail } = moderatorFailure(name, outcome);
      return { code, detail };
    }
    this.#judged += 1;
    if (report.action === "flag") this.#flagged += 1;
    else if (report.action === "block") this.#blocked += 1;
    this.#reserve(tenant);
    this.#judgedMs[tenant] = nowMs;
    const judged = { id: this.parts.ids.next(nowMs), asOfMs: nowMs, report };
    const begun = this.#judging.begunOf(index);
    if (begun === undefined) return judged;
    return { ...judged, review: this.#enterReview(tenant, name, index, judged, begun) };
  }

  #enterReview(
    tenant: number,
    name: string,
    index: number,
    { id, asOfMs, report }: JudgedMessage,
    begun: BegunReview,
  ): JudgedReview {
    const consultations = this.#consultations;
    const { asked } = begun;
    if (asked === undefined) {
      consultations.countRefused();
      if (begun.outcome !== "ok") consultations.checkTenant(tenant);
      return notAsked(name, begun);
    }
    const { waitMsMax } = consultOf(this.#policies.get(tenant) ?? POLICY_DEFAULT_BYTES);
    const { policyVersion } = report;
    const call = this.#judging.callOf(index);
    const review = { tenant, name, id, call, asked, policyVersion, waitMsMax };
    this.#begun = consultations.begin(review, asOfMs);
    return { waitMsMax };
  }

  /** Of events that count for nothing: their tenant's turn failed, or they had come before. */
  #dropHeld(): void {
    for (const review of this.#heldReviews.values()) this.#consultations.drop(review);
    this.#heldReviews.clear();
  }

  #open(tenant: number): Outcome {
    const { host, component } = this.parts;
    if (host.isOpen(tenant)) return "ok";
    return host.open(tenant, component, this.#policies.get(tenant) ?? POLICY_DEFAULT_BYTES);
  }

  /** One turn that may be had twice. */
  #guarded(tenant: number, turn: () => Outcome): Outcome {
    const { host } = this.parts;
    let outcome = "exceededTime" as Outcome;
    const slice = (): void => {
      outcome = turn();
    };
    while (host.runSlice(slice) === "timedOut" && host.timedOutTenant === -1);
    const ended = host.timedOutTenant === tenant ? "exceededTime" : outcome;
    if (ended !== "ok") this.#consultations.checkTenant(tenant);
    return ended;
  }

  #reserve(tenant: number): void {
    if (tenant < this.#judgedMs.length) return;
    const length = Math.max(tenant + 1, 2 * this.#judgedMs.length);
    const judgedMs = new Float64Array(length);
    judgedMs.set(this.#judgedMs);
    this.#judgedMs = judgedMs;
    const judgesEvents = new Uint8Array(length);
    judgesEvents.set(this.#judgesEvents);
    this.#judgesEvents = judgesEvents;
  }
}

/** Of a moderator's turn that ended otherwise than `ok`. */
export function moderatorFailure(tenant: string, outcome: Outcome): Refusal {
  if (outcome === "quarantined") {
    return new Refusal(
      "tenantQuarantined",
      `The moderator of ${tenant} failed too often. PUT /v1/tenants/${tenant} releases it.`,
    );
  }
  if (outcome === "refused") {
    return new Refusal("memoryFull", "This server's memory for tenants is full.");
  }
  return new Refusal("guestFailed", `The moderator of ${tenant} ended: ${outcome}.`);
}

/** Why an upstream is not asked, though the policy wants it. */
function notAsked(tenant: string, begun: BegunReview): JudgedReview {
  if (begun === REVIEW_TOO_MANY) {
    const detail = `${REVIEWS_OPEN_MAX} messages of ${tenant} wait for the upstream already.`;
    return { failure: "queueFull", detail };
  }
  const { outcome } = begun;
  if (outcome === "refused") {
    return { failure: "queueFull", detail: "This server's memory for tenants is full." };
  }
  if (outcome === "quarantined") {
    return { failure: "cancelled", detail: `The moderator of ${tenant} failed too often.` };
  }
  const detail =
    outcome === "ok"
      ? `The moderator of ${tenant} asked for nothing.`
      : `The moderator of ${tenant} ended as it was to ask: ${outcome}.`;
  return { failure: "malformed", detail };
}
