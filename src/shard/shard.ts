/**
 * All tenants of one thread. A state machine: it never waits, reads no clock but the one that
 * times a turn, and opens no socket. A step takes what waits in the ring, groups the events by
 * tenant, and calls each tenant's component once for its whole group.
 */
import assert from "node:assert/strict";
import type { Batcher } from "#batcher/batcher.ts";
import type { Drain } from "#kernel/drain.ts";
import type { IsolateHost } from "#isolate/host.ts";
import { eventErrorNumber } from "#model/event-error.ts";
import { BATCH_BYTES_MAX, TURN_MS_MAX, WINDOW_MS } from "#model/limits.ts";
import type { SketchMerger } from "#model/merge.ts";
import { OUTCOMES, type Outcome } from "#model/outcome.ts";
import type { JsonLimits } from "#model/quota.ts";
import { WARNING_METRIC_LIMIT } from "#model/warning.ts";
import type { TenantQuota } from "#quota/tenant-quota.ts";
import type { RingReader } from "#std/byte-ring.ts";
import { Delivery } from "./delivery.ts";
import { JudgedBatch } from "./judged-batch.ts";
import { Moderation, type ModerationParts } from "./moderation.ts";
import {
  type Answer,
  type JudgedEvent,
  RECORD_ELEMENTS,
  RECORD_MESSAGES,
  RECORD_POLICY,
  RECORD_QUESTION,
  RecordView,
  type ReviewEnded,
  type ShardCounters,
} from "./protocol.ts";
import { answerQuestion } from "./questions.ts";
import { QuotaGuard, type QuotaRefusal } from "./quota-guard.ts";
import { deletingTenant } from "./refusal.ts";
import { RequestLedger } from "./request-ledger.ts";
import type { TenantCap } from "./tenant-cap.ts";
import { settingsOfFlags, TENANT_DELETING, TENANT_QUARANTINED } from "./tenant-flags.ts";
import { TenantLedger } from "./tenant-ledger.ts";

/** A slice of turns runs under one guard; long enough to make the guard cheap. */
const SLICE_MS = 5;
/** Records of one step: bounds how long an answer waits for its neighbours. */
const STEP_RECORDS_MAX = 64;
/** Idle tenants that are told the time in one step. */
const SWEEP_TENANTS_MAX = 32;

const FATE_LATE = 1;
const FATE_DUPLICATE = 2;
/** Beside any of the fates: a metric of the event was refused. */
const FATE_METRIC_REFUSED = 8;
/** Counted, late, duplicate, repeated, and events with a refused metric. */
const REPORT_NUMBERS = 5;
const EVENT_BYTES_MIN = 32;
/** `{"tenant":"a","text":"b"}` is the shortest event that brings a tenant. */
const EVENT_JSON_BYTES_MIN = 20;

const GUEST_FAILED = eventErrorNumber("guestFailed");
const QUARANTINED = eventErrorNumber("tenantQuarantined");
const MEMORY_FULL = eventErrorNumber("memoryFull");
const DELETING = eventErrorNumber("tenantDeleting");
/** About what a deletion takes. */
const DELETING_WAIT_MS = 5_000;

export type ShardParts = {
  readonly shard: number;
  readonly ring: RingReader;
  readonly batcher: Batcher;
  readonly host: IsolateHost;
  /** Number of the component that tenants run. */
  readonly component: number;
  readonly counters: ShardCounters;
  readonly cap: TenantCap;
  /** Judges messages. */
  readonly moderation?: ModerationParts | undefined;
  /** What tenants may take, and who has limits of their own; left out: all they can. */
  readonly quota?: TenantQuota | undefined;
  readonly quotas?: ReadonlyMap<string, JsonLimits> | undefined;
  /** Makes one window of those of many tenants. */
  readonly merger?: SketchMerger | undefined;
  /** Where turns are kept; is told what no turn says. */
  readonly log?: ShardTurns | undefined;
  /** This shard's end of the kernel stage, where there is one. */
  readonly drain?: Drain | undefined;
};

/** What a shard asks of the log of its turns (shard-log.ts). */
export type ShardTurns = {
  /** What follows is logged; false: it is kept with snapshots alone. */
  isLogging: boolean;
  /** Whether the turns of a record with so many bytes find room. */
  readonly claim: (bodyBytes: number) => boolean;
  readonly seal: (nowMs: number) => void;
  readonly closed: (tenant: number) => void;
  readonly flagsSet: (tenant: number, flags: number) => void;
  /** Its turns go, and its number, if it is not -1, will be another's. */
  readonly forget: (tenant: number, name: string) => void;
  /** What was forgotten leaves the log soon. */
  readonly hurry: () => void;
  /** Whether what datagrams brought is logged. */
  readonly logsDatagrams: boolean;
};

/** Where batches lie: what both the batcher and the drain offer. */
type BatchSource = Pick<
  Batcher,
  | "memory"
  | "batchTenant"
  | "batchByteOffset"
  | "batchByteCount"
  | "batchEventCount"
  | "batchJoinedCount"
>;

export class Shard {
  readonly parts: ShardParts;
  readonly tenants = new TenantLedger();
  readonly moderation: Moderation | undefined;
  readonly quota: QuotaGuard | undefined;
  readonly #delivery: Delivery | undefined;
  #requests = new RequestLedger();
  #record = new RecordView();
  #answers: Answer[] = [];
  #report = new Uint32Array(REPORT_NUMBERS);
  #fates = new Uint8Array(BATCH_BYTES_MAX / EVENT_BYTES_MIN);
  #source: BatchSource;
  #batch = 0;
  #batchCount = 0;
  /** Turns of the host when the batch at hand began. */
  #turnCount = 0;
  /** How the turn of the batch at hand ended, if that is still to be entered. */
  #unsettled: Outcome | undefined;
  /** Requests that were refused at their first record; the others of it are still to come. */
  readonly #refused = new Set<number>();
  /** Whether events wait whose tenant the address names, and those that name it themselves. */
  #hasNamed = false;
  #hasMixed = false;
  /** Tenants that are being deleted: nothing of them is left but their number. */
  #deletingCount = 0;
  /** Of tenants whose events are judged. */
  readonly #judged: JudgedBatch | undefined;
  #nowMs = 0;
  #sweep = 0;
  #events = 0;
  #rejected = 0;
  /** Bound once: a slice is the same function every time. */
  readonly #slice = (): void => this.#runSlice();
  readonly #idle: number[] = [];
  readonly #advanceIdle = (): void => {
    const { host } = this.parts;
    for (const tenant of this.#idle) if (host.isOpen(tenant)) host.advance(tenant, this.#nowMs);
  };

  constructor(parts: ShardParts) {
    this.parts = parts;
    this.#source = parts.batcher;
    const { drain, moderation, quota, counters, host } = parts;
    if (quota !== undefined) {
      this.quota = new QuotaGuard({ quota, host, moderators: moderation?.host, counters });
      for (const [tenant, limits] of parts.quotas ?? []) this.#keepQuota(tenant, limits);
    }
    if (moderation !== undefined) {
      this.moderation = new Moderation(moderation, counters, this.quota);
      this.#judged = new JudgedBatch(this.moderation, parts.batcher);
    }
    if (drain === undefined) return;
    this.#delivery = new Delivery({
      drain,
      ensure: (tenant) => this.ensure(tenant),
      handOut: (passBatches) => this.#runDrained(drain, passBatches),
    });
  }

  /** Whether there is more to do than waits in the ring. */
  get draining(): boolean {
    const isReviewing = this.moderation?.draining ?? false;
    return isReviewing || (this.#delivery?.pending(this.parts.ring.stopping) ?? false);
  }

  /** Messages about which an upstream is being asked. */
  get openReviewCount(): number {
    return this.moderation?.openReviewCount ?? 0;
  }

  /** Takes what waits, up to a bound; returns the answers that are due. `nowMs`: whole epoch ms. */
  step(nowMs: number): readonly Answer[] {
    const { ring, batcher, counters } = this.parts;
    this.#answers = [];
    this.#nowMs = nowMs;
    counters.set("stepCount", counters.get("stepCount") + 1);
    for (let count = 0; count < STEP_RECORDS_MAX && ring.next(); count++) {
      this.#record.read(ring.view, ring.payloadOffset);
      if (ring.kind === RECORD_QUESTION) this.#answerRecord();
      else if (ring.kind === RECORD_MESSAGES) this.#judgeRecord();
      else if (ring.kind === RECORD_POLICY) this.#policyRecord();
      else this.#parseRecord();
      ring.release();
    }
    this.#flush();
    assert(batcher.eventCount === 0);
    this.#delivery?.step(nowMs, ring.stopping);
    this.#sweepIdle();
    this.moderation?.sweep(nowMs);
    this.moderation?.stepReviews(nowMs);
    this.#count();
    return this.#answers;
  }

  /** Verdicts on events since the last call: what nobody waits for. */
  takeVerdicts(): readonly JudgedEvent[] {
    return this.moderation?.takeEvents() ?? [];
  }

  /** Reviews that ended since the last call. */
  takeReviews(): readonly ReviewEnded[] {
    return this.moderation?.takeReviews() ?? [];
  }

  /** Of tenants that were there before this thread; there was room for them. */
  keepPolicies(policies: ReadonlyMap<string, Uint8Array>): void {
    for (const [tenant, policy] of policies) {
      const number = this.ensure(tenant);
      if (number !== -1) this.moderation?.setPolicy(number, tenant, policy);
    }
  }

  /** Gives a tenant what the kernel stage holds for it, before a question about it is answered. */
  bringUp(tenant: string): void {
    this.#delivery?.bringUp(tenant, this.#nowMs);
  }

  /** Number of a known tenant, or -1. */
  find(tenant: string): number {
    const number = this.parts.batcher.tenantFind(tenant);
    return number === -1 || this.isLive(number) ? number : -1;
  }

  /** Whether there is a tenant of this number, and it is not being deleted. */
  isLive(number: number): boolean {
    const { batcher } = this.parts;
    return batcher.hasTenant(number) && (batcher.tenantFlags(number) & TENANT_DELETING) === 0;
  }

  /** Some tenant began to be deleted, or ended. */
  countDeleting(): void {
    const { batcher } = this.parts;
    this.#deletingCount = 0;
    for (let number = 0; number < batcher.tenantCount; number++) {
      if ((batcher.tenantFlags(number) & TENANT_DELETING) !== 0) this.#deletingCount += 1;
    }
  }

  /** The kernel stage is to ask again for the number of this tenant. */
  unbind(tenant: string): void {
    this.parts.drain?.unbind(tenant);
  }

  /** Whether a tenant of this name is being deleted. */
  isDeleting(tenant: string): boolean {
    if (this.#deletingCount === 0) return false;
    const number = this.parts.batcher.tenantFind(tenant);
    return number !== -1 && !this.isLive(number);
  }

  /** Number of the tenant, made and opened if it is new; -1 when all tenants are taken. */
  ensure(tenant: string): number {
    const { batcher, cap } = this.parts;
    batcher.setTenantCountMax(batcher.liveTenantCount + cap.claim(1));
    const number = batcher.tenantAdd(tenant);
    cap.settle(batcher.liveTenantCount);
    if (number !== -1) this.tenants.reserve(batcher.tenantCount);
    return number;
  }

  /** Opens the tenant's isolate unless it is open. */
  open(tenant: number): Outcome {
    const { host, batcher, component } = this.parts;
    if (host.isOpen(tenant)) return "ok";
    return host.open(tenant, component, settingsOfFlags(batcher.tenantFlags(tenant)));
  }

  /** Runs `turn` under the guard, for the few calls outside a batch. */
  guarded(turn: () => void): "done" | "timedOut" {
    return this.parts.host.runSlice(turn);
  }

  #answerRecord(): void {
    // The question must see every event before it.
    this.#flush();
    const { bytes } = this.parts.ring;
    const { request, bodyOffset, bodyBytes } = this.#record;
    const body = Buffer.from(bytes.slice(bodyOffset, bodyOffset + bodyBytes));
    this.#answers.push(answerQuestion(this, request, body.toString("utf8"), this.#nowMs));
  }

  /** Messages come after the events before them where those are judged, too. */
  #judgeRecord(): void {
    const { moderation } = this;
    assert(moderation !== undefined);
    if (moderation.judgesAnyEvents) this.#flush();
    const tenant = this.#recordTenant();
    if (tenant === -2 || this.#refusesRecord(tenant, "messages")) return;
    const startMs = performance.now();
    const { bytes } = this.parts.ring;
    const { request, bodyOffset, bodyBytes } = this.#record;
    const name = this.parts.batcher.tenantName(tenant);
    const judged = moderation.judgeAll(tenant, name, bytes, bodyOffset, bodyBytes, this.#nowMs);
    this.parts.quota?.took(tenant, judged.length, bodyBytes);
    this.parts.quota?.ran(tenant, performance.now() - startMs);
    this.#answers.push({ type: "value", request, value: JSON.stringify(judged) });
  }

  #policyRecord(): void {
    const { moderation } = this;
    assert(moderation !== undefined);
    // Events before it are under the policy before it.
    this.#flush();
    const tenant = this.#recordTenant();
    if (tenant === -2 || this.#refusesDeleted(tenant)) return;
    const { bytes } = this.parts.ring;
    const { request, bodyOffset, bodyBytes } = this.#record;
    const policy = new Uint8Array(bytes.subarray(bodyOffset, bodyOffset + bodyBytes));
    const name = this.parts.batcher.tenantName(tenant);
    const refusal = moderation.setPolicy(tenant, name, policy);
    this.#answers.push(
      refusal === undefined
        ? { type: "value", request, value: undefined, awaitsDisk: true }
        : { type: "problem", request, code: refusal.code, detail: refusal.detail },
    );
  }

  #keepQuota(tenant: string, limits: JsonLimits): void {
    const number = this.ensure(tenant);
    if (number !== -1) this.quota!.setLimits(number, limits);
  }

  #parseRecord(): void {
    const { batcher, ring, cap } = this.parts;
    const record = this.#record;
    const tenant = this.#recordTenant();
    const isNamed = tenant !== -1;
    if (tenant >= 0 && this.#refusesRecord(tenant, "events")) return;
    if (!this.#findsRoom(record.bodyBytes)) {
      this.#requests.drop(record.request);
      this.#refuse(behindDisk(record.request));
      return;
    }
    const request = this.#requests.open(record.request);
    request.awaitsDisk = !record.isMemory;
    request.isNamed = isNamed;
    if (isNamed) this.#hasNamed = true;
    else this.#hasMixed = true;
    let offset = record.bodyOffset;
    const end = offset + record.bodyBytes;
    if (tenant === -2) offset = end;
    while (offset < end) {
      const byteCount = Math.min(end - offset, batcher.input.length);
      batcher.input.set(ring.bytes.subarray(offset, offset + byteCount));
      // Events of a tenant that is named by the address bring no other.
      const room = cap.claim(tenant === -1 ? Math.ceil(byteCount / EVENT_JSON_BYTES_MIN) : 0);
      batcher.setTenantCountMax(batcher.liveTenantCount + room);
      const kind = ring.kind === RECORD_ELEMENTS ? "elements" : "lines";
      const startMs = isNamed ? performance.now() : 0;
      batcher.parse(kind, byteCount, tenant, record.request, request.elements, this.#nowMs);
      if (isNamed) {
        this.parts.quota?.took(tenant, batcher.elementCount, batcher.consumedBytes);
        this.parts.quota?.ran(tenant, performance.now() - startMs);
      }
      cap.settle(batcher.liveTenantCount);
      this.tenants.reserve(batcher.tenantCount);
      request.elements += batcher.elementCount;
      request.accepted += batcher.acceptedCount;
      this.#reject(request, tenant);
      offset += batcher.consumedBytes;
      if (batcher.full) this.#flush();
      else assert(batcher.consumedBytes > 0);
    }
    if (record.last) this.#requests.close(request);
  }

  /**
   * Before anything of the record is looked at: who is over the quota costs next to nothing. A
   * request is refused at its first record or not at all.
   */
  #refusesRecord(tenant: number, of: "events" | "messages"): boolean {
    const { request, last } = this.#record;
    if (this.#refused.has(request)) {
      if (last) this.#refused.delete(request);
      return true;
    }
    if (this.#refusesDeleted(tenant)) return true;
    if (this.quota === undefined || this.#requests.has(request)) return false;
    const refusal =
      of === "events"
        ? this.quota.refusal(tenant, this.#nowMs)
        : this.quota.judgeRefusal(tenant, this.#nowMs);
    if (refusal === undefined) return false;
    this.#refuse(quotaProblem(request, refusal));
    return true;
  }

  #refusesDeleted(tenant: number): boolean {
    if (this.#deletingCount === 0) return false;
    if ((this.parts.batcher.tenantFlags(tenant) & TENANT_DELETING) === 0) return false;
    const { code, detail } = deletingTenant(this.parts.batcher.tenantName(tenant));
    const { request } = this.#record;
    this.#refuse({ type: "problem", request, code, detail, waitMs: DELETING_WAIT_MS });
    return true;
  }

  #refuse(problem: Answer): void {
    this.#answers.push(problem);
    if (!this.#record.last) this.#refused.add(this.#record.request);
  }

  /** Whether the turns that the record makes can be logged without a wait for the disk. */
  #findsRoom(bodyBytes: number): boolean {
    const { log } = this.parts;
    if (log === undefined || log.claim(bodyBytes)) return true;
    // What was parsed is counted at what it may take at most: as turns it is less.
    this.#flush();
    log.seal(this.#nowMs);
    return log.claim(bodyBytes);
  }

  /** Tenant of the record's events; -1: each names its own; -2: none left, all are rejected. */
  #recordTenant(): number {
    const { tenantOffset, tenantBytes } = this.#record;
    if (tenantBytes === 0) return -1;
    const { ring, batcher } = this.parts;
    const name = ring.bytes.subarray(tenantOffset, tenantOffset + tenantBytes);
    const known = batcher.tenantFind(name);
    if (known !== -1) return known;
    const number = this.ensure(Buffer.from(name).toString("latin1"));
    if (number !== -1) return number;
    this.#answers.push({
      type: "problem",
      request: this.#record.request,
      code: "tenantLimit",
      detail: `All ${this.parts.cap.countMax} tenants are taken.`,
    });
    return -2;
  }

  #reject(request: ReturnType<RequestLedger["open"]>, tenant: number): void {
    const { batcher } = this.parts;
    if (batcher.rejectedCount === 0) return;
    this.#rejected += batcher.rejectedCount;
    if (tenant >= 0) this.tenants.rejected[tenant]! += batcher.rejectedCount;
    for (let i = 0; i < batcher.errorCount; i++) {
      this.#requests.rejected(request, batcher.errorIndex(i), batcher.errorCode(i));
    }
    request.rejected += batcher.rejectedCount - batcher.errorCount;
  }

  /** Hands every parsed event to its tenant. */
  #flush(): void {
    const { batcher } = this.parts;
    if (batcher.eventCount > 0) {
      this.#batchCount = batcher.group(this.#nowMs);
      this.#runBatches(batcher);
      batcher.clear();
      this.#hasNamed = false;
      this.#hasMixed = false;
    }
    this.#requests.takeAnswers(this.#answers);
  }

  /** Runs what the drain has written, of about so many tenants one after the other. */
  #runDrained(drain: Drain, passBatches: number): void {
    const { host, log } = this.parts;
    this.#batchCount = drain.batchCount;
    if (log !== undefined) log.isLogging = log.logsDatagrams;
    host.pass(passBatches);
    this.#runBatches(drain);
    host.pass(0);
    if (log !== undefined) log.isLogging = true;
  }

  /** Hands every batch to its tenant, slice by slice, each under the guard. */
  #runBatches(source: BatchSource): void {
    const { host } = this.parts;
    this.#source = source;
    this.#batch = 0;
    this.#turnCount = host.stats.turns;
    if (this.#judged !== undefined) this.#judged.batch = -1;
    while (this.#batch < this.#batchCount) {
      if (this.#refusesBatch()) continue;
      if (source === this.parts.batcher) this.#judge();
      this.quota?.beginSlice();
      const end = host.runSlice(this.#slice);
      this.quota?.endSlice();
      if (this.#unsettled !== undefined) this.#settle(this.#unsettled);
      else if (end === "timedOut") this.#settleTimeout();
    }
  }

  /**
   * Turns until the slice is over. The guard may end it at any call and in any loop, never within a
   * straight line: so a turn and its entry in the books are one straight line, and what needs
   * more than that (a failure, late events) leaves the slice first.
   */
  #runSlice(): void {
    const { host, counters } = this.parts;
    const source = this.#source;
    const { events, repeated, lastEventMs, advancedMs } = this.tenants;
    const report = this.#report;
    const { quota } = this.parts;
    const isPaidHere = this.#isPaidHere;
    let nowMs = performance.now();
    const endMs = nowMs + SLICE_MS;
    while (this.#batch < this.#batchCount && nowMs < endMs) {
      const tenant = source.batchTenant(this.#batch);
      const isJudged = this.#awaitsJudging(tenant);
      if (isJudged && !this.#isJudged) return;
      if (isPaidHere && this.#isOver(tenant) && !this.#hasPaid(this.#batch)) return;
      const joined = source.batchJoinedCount(this.#batch);
      const outcome = this.#turn(tenant);
      const doneMs = performance.now();
      counters.turns.add(doneMs - nowMs);
      quota?.ran(tenant, doneMs - nowMs);
      if (isPaidHere) this.#pay(tenant);
      nowMs = doneMs;
      if (outcome !== "ok" || isJudged || report[1]! + report[2]! + report[4]! > 0) {
        this.#unsettled = outcome;
        return;
      }
      events[tenant]! += report[0]! + joined;
      repeated[tenant]! += report[3]!;
      lastEventMs[tenant] = this.#nowMs;
      advancedMs[tenant] = this.#nowMs;
      this.#events += report[0]! + report[3]! + joined;
      this.#batch += 1;
      this.#turnCount = host.stats.turns;
    }
  }

  /** Of the batches at hand some were not paid for when they were parsed. */
  get #isPaidHere(): boolean {
    const isDrained = this.#source !== this.parts.batcher;
    if (isDrained && this.#deletingCount > 0) return true;
    return this.quota !== undefined && (isDrained || this.#hasMixed);
  }

  #isOver(tenant: number): boolean {
    if (this.#deletingCount > 0) {
      if ((this.parts.batcher.tenantFlags(tenant) & TENANT_DELETING) !== 0) return true;
    }
    return this.quota?.isOver(tenant, this.#nowMs) ?? false;
  }

  /** Some of the batch came with a request that was let in as it stood. */
  #hasPaid(batch: number): boolean {
    const { batcher } = this.parts;
    if (this.#source !== batcher || !this.#hasNamed) return false;
    return this.#paidCount(batch) > 0;
  }

  /** Events of a batch that were paid for when they were parsed. */
  #paidCount(batch: number): number {
    const { batcher } = this.parts;
    const eventCount = batcher.batchEventCount(batch);
    let count = 0;
    let origin = -1;
    let isNamed = false;
    for (let event = 0; event < eventCount; event++) {
      const request = batcher.eventOrigin(batch, event);
      if (request !== origin) isNamed = this.#requests.isNamed(request);
      origin = request;
      if (isNamed) count += 1;
    }
    return count;
  }

  /** Hot. For the batch at hand. */
  #pay(tenant: number): void {
    const source = this.#source;
    const eventCount = source.batchEventCount(this.#batch);
    let paid = 0;
    if (this.#hasNamed && source === this.parts.batcher) paid = this.#paidCount(this.#batch);
    if (paid === eventCount) return;
    const bytes = source.batchByteCount(this.#batch) * (1 - paid / eventCount);
    const events = eventCount - paid + source.batchJoinedCount(this.#batch);
    this.parts.quota?.took(tenant, events, bytes);
  }

  /** Whether the batch at hand is refused for what its tenant has taken; then it is entered. */
  #refusesBatch(): boolean {
    const source = this.#source;
    const tenant = source.batchTenant(this.#batch);
    if (!this.#isPaidHere || !this.#isOver(tenant) || this.#hasPaid(this.#batch)) return false;
    const { batcher } = this.parts;
    const eventCount = source.batchEventCount(this.#batch);
    const count = eventCount + source.batchJoinedCount(this.#batch);
    const isDeleting = (batcher.tenantFlags(tenant) & TENANT_DELETING) !== 0;
    const error = isDeleting ? DELETING : this.quota!.refuseEvents(tenant, count, this.#nowMs);
    for (let event = 0; source === batcher && event < eventCount; event++) {
      const origin = batcher.eventOrigin(this.#batch, event);
      this.#requests.lost(origin, batcher.eventIndex(this.#batch, event), error);
    }
    this.#rejected += count;
    this.tenants.rejected[tenant]! += count;
    this.#batch += 1;
    this.#turnCount = this.parts.host.stats.turns;
    return true;
  }

  /** The batch at hand, if its tenant's events are judged. */
  #judge(): void {
    const judged = this.#judged;
    if (judged === undefined || this.moderation?.judgesAnyEvents !== true) return;
    const startMs = performance.now();
    judged.judge(this.#batch, this.#nowMs);
    if (!this.#isJudged) return;
    const tenant = this.#source.batchTenant(this.#batch);
    this.parts.quota?.ran(tenant, performance.now() - startMs);
  }

  #awaitsJudging(tenant: number): boolean {
    const { moderation } = this;
    if (moderation === undefined || this.#source !== this.parts.batcher) return false;
    return moderation.judgesEventsOf(tenant);
  }

  #turn(tenant: number): Outcome {
    const source = this.#source;
    const opened = this.open(tenant);
    if (opened !== "ok") return opened;
    if (this.#isJudged) {
      const { bytes, byteCount } = this.#judged!.kept;
      return this.parts.host.ingest(tenant, bytes, 0, byteCount, this.#report, this.#fates);
    }
    return this.parts.host.ingest(
      tenant,
      source.memory,
      source.batchByteOffset(this.#batch),
      source.batchByteCount(this.#batch),
      this.#report,
      this.#fates,
    );
  }

  /**
   * Either the tenant is to blame, or its turn was over and only the entry is missing, or nothing
   * was.
   */
  #settleTimeout(): void {
    const { host } = this.parts;
    const tenant = this.#source.batchTenant(this.#batch);
    if (host.stats.turns > this.#turnCount) this.#settle("ok");
    else if (host.timedOutTenant === tenant) this.#settle("exceededTime");
  }

  /** Enters the turn of the batch at hand, outside the guard, and goes on to the next. */
  #settle(outcome: Outcome): void {
    const { host } = this.parts;
    const tenant = this.#source.batchTenant(this.#batch);
    if (outcome === "exceededTime") this.parts.quota?.ran(tenant, TURN_MS_MAX);
    if (outcome === "ok") this.#settleCounted(tenant);
    else this.#settleFailure(tenant, outcome);
    this.#unsettled = undefined;
    this.#batch += 1;
    this.#turnCount = host.stats.turns;
  }

  #settleCounted(tenant: number): void {
    const { batcher } = this.parts;
    const ledger = this.tenants;
    const report = this.#report;
    const counted = report[0]! + this.#source.batchJoinedCount(this.#batch);
    ledger.events[tenant]! += counted;
    ledger.late[tenant]! += report[1]!;
    ledger.duplicates[tenant]! += report[2]!;
    ledger.repeated[tenant]! += report[3]!;
    ledger.lastEventMs[tenant] = this.#nowMs;
    ledger.advancedMs[tenant] = this.#nowMs;
    this.#events += counted + report[3]!;
    // What the kernel stage hands on belongs to no request.
    if (this.#source !== batcher) return;
    const isJudged = this.#isJudged;
    if (isJudged) {
      const warn = (event: number, warning: number): void => {
        const index = batcher.eventIndex(this.#batch, event);
        this.#requests.warn(batcher.eventOrigin(this.#batch, event), index, warning);
      };
      this.#judged!.settle(this.#fates, warn, (event) => {
        this.#requests.hold(batcher.eventOrigin(this.#batch, event));
      });
    }
    const kept = isJudged ? this.#judged!.kept : undefined;
    const eventCount = kept?.eventCount ?? batcher.batchEventCount(this.#batch);
    for (let handed = 0; handed < eventCount; handed++) {
      const fate = this.#fates[handed]!;
      if (fate === 0) continue;
      const event = kept?.indexOf(handed) ?? handed;
      const origin = batcher.eventOrigin(this.#batch, event);
      const kind = fate & ~FATE_METRIC_REFUSED;
      if (kind === FATE_LATE) this.#requests.late(origin);
      else if (kind === FATE_DUPLICATE) this.#requests.duplicate(origin);
      if (kind === fate) continue;
      const index = batcher.eventIndex(this.#batch, event);
      this.#requests.warn(origin, index, WARNING_METRIC_LIMIT);
    }
  }

  /** The batch at hand was judged, and its tenant is handed what was kept of it. */
  get #isJudged(): boolean {
    return this.#judged?.batch === this.#batch;
  }

  #settleFailure(tenant: number, outcome: Outcome): void {
    const { batcher, host } = this.parts;
    const error =
      outcome === "quarantined" ? QUARANTINED : outcome === "refused" ? MEMORY_FULL : GUEST_FAILED;
    const eventCount = this.#source.batchEventCount(this.#batch);
    for (let event = 0; this.#source === batcher && event < eventCount; event++) {
      const origin = batcher.eventOrigin(this.#batch, event);
      this.#requests.lost(origin, batcher.eventIndex(this.#batch, event), error);
    }
    this.#rejected += eventCount;
    this.tenants.rejected[tenant]! += eventCount;
    if (host.quarantined(tenant)) {
      batcher.tenantFlagsSet(tenant, batcher.tenantFlags(tenant) | TENANT_QUARANTINED);
    }
  }

  /** Tells the time to tenants that went quiet, so that they give their memory back. */
  #sweepIdle(): void {
    const { batcher } = this.parts;
    const count = Math.min(SWEEP_TENANTS_MAX, batcher.tenantCount);
    this.#idle.length = 0;
    for (let i = 0; i < count; i++) {
      this.#sweep = this.#sweep + 1 < batcher.tenantCount ? this.#sweep + 1 : 0;
      const advancedMs = this.tenants.advancedMs[this.#sweep]!;
      if (advancedMs === 0 || this.#nowMs - advancedMs < 2 * WINDOW_MS) continue;
      // Once is enough: an empty window stays empty until the next event.
      this.tenants.advancedMs[this.#sweep] = 0;
      this.#idle.push(this.#sweep);
    }
    if (this.#idle.length > 0) this.guarded(this.#advanceIdle);
  }

  #count(): void {
    const { counters, host, batcher } = this.parts;
    counters.set("tenantCount", batcher.liveTenantCount);
    counters.set("eventCount", this.#events);
    counters.set("rejectedCount", this.#rejected);
    counters.set("turnCount", host.stats.turns);
    counters.set("slotHitCount", host.stats.slotHits);
    counters.set("slotMissCount", host.stats.slotMisses);
    counters.set("imageBytes", host.stats.imageBytes);
    this.moderation?.count();
    this.quota?.count();
    const outcomes = counters.outcomes;
    for (let i = 0; i < OUTCOMES.length; i++) outcomes[i] = host.stats.outcomes[OUTCOMES[i]!];
  }
}

function quotaProblem(request: number, { quota, limit, waitMs }: QuotaRefusal): Answer {
  const over = { quota, limit };
  if (quota !== "memory") {
    const detail = `The tenant is over its quota of ${quota}.`;
    return { type: "problem", request, code: "overQuota", detail, waitMs, over };
  }
  const detail = `The tenant's state takes the ${limit} bytes that it may take; questions go on.`;
  return { type: "problem", request, code: "tenantMemoryFull", detail, waitMs, over };
}

/** Nothing of the record was taken. */
function behindDisk(request: number): Answer {
  const detail = "The disk is behind: what waits for it has no room for these events. Try again.";
  return { type: "problem", request, code: "busy", detail };
}
