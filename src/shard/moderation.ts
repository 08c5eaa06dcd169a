/**
 * The moderators of a shard's tenants: what is judged, under which policy, and what becomes of it.
 * A moderator begins with the first message of its tenant, and is kept apart from the tenant's
 * other component in all but the tenant's number: one of the two may be in quarantine alone.
 */
import type { ModeratorHost } from "#isolate/moderator-host.ts";
import type { Answer } from "#isolate/tenant-host.ts";
import { BATCH_BYTES_MAX, JUDGE_SLICE_COUNT_MAX } from "#model/limits.ts";
import type { Action, VerdictReport } from "#model/moderation.ts";
import { OUTCOMES, type Outcome } from "#model/outcome.ts";
import {
  contextAgeMsMax,
  moderatesEvents,
  policyBytes,
  storesNothing,
} from "#model/policy-bytes.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { FLAG_JUDGE_ONLY, FLAGS_AT } from "#model/request-bytes.ts";
import type { VerdictIds } from "#model/verdict-id.ts";
import { EventRequests, textsOf } from "./event-request.ts";
import type { Judged, JudgedEvent, ShardCounters } from "./protocol.ts";
import { Refusal } from "./refusal.ts";

export type ModerationParts = {
  readonly host: ModeratorHost;
  /** Number of the component that judges for all tenants. */
  readonly component: number;
  readonly ids: VerdictIds;
};

/** Tenants that are told the time in one step, if nothing of theirs was judged for long. */
const SWEEP_TENANTS_MAX = 32;
const COUNT_INITIAL = 256;
/** A slice of turns runs under one guard; long enough to make the guard cheap. */
const SLICE_MS = 5;
const BATCH_HEAD_BYTES = 16;
/** Of a message in a record: its bytes. */
const PREFIX_BYTES = 4;
const EVENT_BYTES_MIN = 32;
const ANSWERS_MAX = Math.max(JUDGE_SLICE_COUNT_MAX, BATCH_BYTES_MAX / EVENT_BYTES_MIN);
const EXCEEDED_TIME: Answer<VerdictReport> = { outcome: "exceededTime", report: undefined };
const NONE: Answer<VerdictReport> = { outcome: "refused", report: undefined };
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
  /** Of the batch at hand, by event. */
  #held: (JudgedEvent | undefined)[] = [];
  #events: JudgedEvent[] = [];
  #judged = 0;
  #flagged = 0;
  #blocked = 0;
  // The messages at hand: `#at` is where the next begins, `#count` how many have an answer.
  #tenant = 0;
  #source: Uint8Array = POLICY_DEFAULT_BYTES;
  #at = 0;
  #end = 0;
  #count = 0;
  /** Long enough for any record and any batch, so that it never grows within a slice. */
  readonly #answers: Answer<VerdictReport>[] = Array.from({ length: ANSWERS_MAX }, () => NONE);
  /** Bound once: a slice is the same function every time. */
  readonly #slice = (): void => this.#runSlice();

  constructor(parts: ModerationParts, counters: ShardCounters) {
    this.parts = parts;
    this.#counters = counters;
  }

  /** Some tenant's events are judged: messages must not pass the events before them. */
  get judgesAnyEvents(): boolean {
    return this.#judgesEventsCount > 0;
  }

  judgesEventsOf(tenant: number): boolean {
    return this.#judgesEvents[tenant] === 1;
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
    this.#run(tenant, source, byteOffset, byteCount);
    const judged: Judged[] = [];
    for (let index = 0; index < this.#count; index++) {
      judged.push(this.#enter(tenant, name, this.#answers[index]!, nowMs));
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
    this.#run(tenant, requests.bytes, 0, requests.end);
    const policy = this.#policies.get(tenant);
    const isKept = policy === undefined || !storesNothing(policy);
    this.#held = Array.from({ length: eventCount }, () => undefined);
    let at = 0;
    for (const [index, event] of indexes.entries()) {
      const judged = this.#enter(tenant, name, this.#answers[index]!, nowMs);
      const { text, ...names } = textsOf(requests.bytes, at + PREFIX_BYTES);
      at += PREFIX_BYTES + readU32(requests.bytes, at);
      // Of a moderator that fails nobody's message is held up.
      if ("code" in judged) continue;
      this.#held[event] = { ...judged, tenant: name, ...names, text: isKept ? text : undefined };
    }
  }

  /** Of an event of the batch that was judged last. */
  actionOf(event: number): Action {
    return this.#held[event]?.report.action ?? "allow";
  }

  /** The event's verdict waits for `takeEvents`. */
  tellEvent(event: number): void {
    const judged = this.#held[event];
    if (judged !== undefined) this.#events.push(judged);
  }

  /** Verdicts on events since the last call. */
  takeEvents(): readonly JudgedEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
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
    const outcomes = counters.judgeOutcomes;
    for (let i = 0; i < OUTCOMES.length; i++) outcomes[i] = stats.outcomes[OUTCOMES[i]!];
  }

  /** Judges so many bytes of messages; what came of each is in `#answers`. */
  #run(tenant: number, source: Uint8Array, byteOffset: number, byteCount: number): void {
    const { host } = this.parts;
    this.#tenant = tenant;
    this.#source = source;
    this.#at = byteOffset;
    this.#end = byteOffset + byteCount;
    this.#count = 0;
    while (this.#at < this.#end) {
      if (host.runSlice(this.#slice) === "done" || host.timedOutTenant !== tenant) continue;
      const messageBytes = readU32(source, this.#at);
      this.#answers[this.#count] = EXCEEDED_TIME;
      this.#count += 1;
      this.#at += PREFIX_BYTES + messageBytes;
    }
  }

  /**
   * Turns until the slice is over. The guard may end it at any call and in any loop, never within a
   * straight line: so a turn's end and its entry are one.
   */
  #runSlice(): void {
    const { host } = this.parts;
    const { judgements } = this.#counters;
    let nowMs = performance.now();
    const endMs = nowMs + SLICE_MS;
    while (this.#at < this.#end && nowMs < endMs) {
      const messageBytes = readU32(this.#source, this.#at);
      const opened = this.#open(this.#tenant);
      // With memory full it is judged all the same, and not remembered.
      if (host.isFull) this.#source[this.#at + PREFIX_BYTES + FLAGS_AT]! |= FLAG_JUDGE_ONLY;
      const answer =
        opened === "ok"
          ? host.judge(this.#tenant, this.#source, this.#at + PREFIX_BYTES, messageBytes)
          : { outcome: opened, report: undefined };
      this.#answers[this.#count] = answer;
      this.#count += 1;
      this.#at += PREFIX_BYTES + messageBytes;
      const doneMs = performance.now();
      judgements.add(doneMs - nowMs);
      nowMs = doneMs;
    }
  }

  #enter(
    tenant: number,
    name: string,
    { outcome, report }: Answer<VerdictReport>,
    nowMs: number,
  ): Judged {
    if (report === undefined) {
      const { code, detail } = moderatorFailure(name, outcome);
      return { code, detail };
    }
    this.#judged += 1;
    if (report.action === "flag") this.#flagged += 1;
    else if (report.action === "block") this.#blocked += 1;
    this.#reserve(tenant);
    this.#judgedMs[tenant] = nowMs;
    return { id: this.parts.ids.next(nowMs), asOfMs: nowMs, report };
  }

  #open(tenant: number): Outcome {
    const { host, component } = this.parts;
    if (host.isOpen(tenant)) return "ok";
    return host.open(tenant, component, this.#policies.get(tenant) ?? POLICY_DEFAULT_BYTES);
  }

  /** One turn that may be had twice. */
  #guarded(tenant: number, turn: () => Outcome): Outcome {
    const { host } = this.parts;
    let outcome: Outcome = "exceededTime";
    const slice = (): void => {
      outcome = turn();
    };
    while (host.runSlice(slice) === "timedOut" && host.timedOutTenant === -1);
    return host.timedOutTenant === tenant ? "exceededTime" : outcome;
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

function readU32(bytes: Uint8Array, at: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8);
  return (low | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
