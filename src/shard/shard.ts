/**
 * All tenants of one thread. A state machine: it never waits, reads no clock but the one that
 * times a turn, and opens no socket. A step takes what waits in the ring, groups the events by
 * tenant, and calls each tenant's component once for its whole group.
 */
import assert from "node:assert/strict";
import type { Drain } from "#kernel/drain.ts";
import { BATCH_BYTES_MAX, TURN_MS_MAX } from "#model/limits.ts";
import { OUTCOMES, type Outcome } from "#model/outcome.ts";
import type { JsonLimits } from "#model/quota.ts";
import { BatchToll } from "./batch-toll.ts";
import { Delivery } from "./delivery.ts";
import { errorOf, tellFates } from "./fates.ts";
import { IdleSweep } from "./idle-sweep.ts";
import { JudgedBatch } from "./judged-batch.ts";
import { Moderation } from "./moderation.ts";
import {
  type Answer,
  type JudgedEvent,
  RECORD_ELEMENTS,
  RECORD_MESSAGES,
  RECORD_POLICY,
  RECORD_QUESTION,
  RecordView,
  type ReviewEnded,
} from "./protocol.ts";
import { answerQuestion } from "./questions.ts";
import { QuotaGuard } from "./quota-guard.ts";
import { behindDisk, deletingProblem, limitProblem, quotaProblem } from "./record-problems.ts";
import { RequestLedger } from "./request-ledger.ts";
import { type BatchSource, type ShardParts } from "./shard-parts.ts";
import { settingsOfFlags, TENANT_DELETING, TENANT_QUARANTINED } from "./tenant-flags.ts";
import { TenantLedger } from "./tenant-ledger.ts";

/** A slice of turns runs under one guard; long enough to make the guard cheap. */
const SLICE_MS = 5;
/** Records of one step: bounds how long an answer waits for its neighbours. */
const STEP_RECORDS_MAX = 64;

/** Counted, late, duplicate, repeated, and events with a refused metric. */
const REPORT_NUMBERS = 5;
const EVENT_BYTES_MIN = 32;
/** `{"tenant":"a","text":"b"}` is the shortest event that brings a tenant. */
const EVENT_JSON_BYTES_MIN = 20;

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
  readonly #toll: BatchToll;
  /** Of tenants whose events are judged. */
  readonly #judged: JudgedBatch | undefined;
  #nowMs = 0;
  #events = 0;
  #rejected = 0;
  /** Bound once: a slice is the same function every time. */
  readonly #slice = (): void => this.#runSlice();
  readonly #idleSweep: IdleSweep;

  constructor(parts: ShardParts) {
    this.parts = parts;
    this.#source = parts.batcher;
    this.#idleSweep = new IdleSweep(parts, this.tenants);
    const { drain, moderation, quota, counters, host } = parts;
    if (quota !== undefined) {
      this.quota = new QuotaGuard({ quota, host, moderators: moderation?.host, counters });
      for (const [tenant, limits] of parts.quotas ?? []) this.#keepQuota(tenant, limits);
    }
    this.#toll = new BatchToll(parts.batcher, this.quota, this.#requests);
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
    this.#idleSweep.step(nowMs);
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
  countDeleting(change: 1 | -1): void {
    this.#toll.deletingCount += change;
  }

  /** The kernel stage is to ask again for the number of this tenant. */
  unbind(tenant: string): void {
    this.parts.drain?.unbind(tenant);
  }

  /** Whether a tenant of this name is being deleted. */
  isDeleting(tenant: string): boolean {
    if (this.#toll.deletingCount === 0) return false;
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
    if (tenant < 0 ? this.#wasRefused() : this.#refusesRecord(tenant, "events")) return;
    if (!this.#findsRoom(record.bodyBytes)) {
      this.#requests.drop(record.request);
      this.#refuse(behindDisk(record.request));
      return;
    }
    const request = this.#requests.open(record.request);
    request.awaitsDisk = !record.isMemory;
    request.isNamed = isNamed;
    if (isNamed) this.#toll.hasNamed = true;
    else this.#toll.hasMixed = true;
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
    const { request } = this.#record;
    if (this.#wasRefused()) return true;
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

  /** The record is the rest of a request that was refused. */
  #wasRefused(): boolean {
    const { request, last } = this.#record;
    if (!this.#refused.has(request)) return false;
    if (last) this.#refused.delete(request);
    return true;
  }

  #refusesDeleted(tenant: number): boolean {
    if (this.#toll.deletingCount === 0) return false;
    if ((this.parts.batcher.tenantFlags(tenant) & TENANT_DELETING) === 0) return false;
    const name = this.parts.batcher.tenantName(tenant);
    this.#refuse(deletingProblem(this.#record.request, name));
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
    this.#answers.push(limitProblem(this.#record.request, this.parts.cap.countMax));
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
      this.#toll.clear();
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
    const toll = this.#toll.isDue(source) ? this.#toll : undefined;
    let nowMs = performance.now();
    const endMs = nowMs + SLICE_MS;
    while (this.#batch < this.#batchCount && nowMs < endMs) {
      const tenant = source.batchTenant(this.#batch);
      const isJudged = this.#awaitsJudging(tenant);
      if (isJudged && !this.#isJudged) return;
      if (toll?.isRefused(source, this.#batch, this.#nowMs) === true) return;
      const joined = source.batchJoinedCount(this.#batch);
      const outcome = this.#turn(tenant);
      const doneMs = performance.now();
      counters.turns.add(doneMs - nowMs);
      quota?.ran(tenant, doneMs - nowMs);
      toll?.pay(source, this.#batch);
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

  /** Whether the batch at hand is refused for what its tenant has taken; then it is entered. */
  #refusesBatch(): boolean {
    const source = this.#source;
    const toll = this.#toll;
    if (!toll.isDue(source) || !toll.isRefused(source, this.#batch, this.#nowMs)) return false;
    const count = toll.refuse(source, this.#batch, this.#nowMs);
    this.#rejected += count;
    this.tenants.rejected[source.batchTenant(this.#batch)]! += count;
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
    const requests = this.#requests;
    const judged = this.#isJudged ? this.#judged : undefined;
    tellFates({ batcher, requests, judged, fates: this.#fates, batch: this.#batch });
  }

  /** The batch at hand was judged, and its tenant is handed what was kept of it. */
  get #isJudged(): boolean {
    return this.#judged?.batch === this.#batch;
  }

  #settleFailure(tenant: number, outcome: Outcome): void {
    const { batcher, host } = this.parts;
    const error = errorOf(outcome);
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

  #count(): void {
    const { counters, host, batcher } = this.parts;
    counters.set("tenantCount", batcher.liveTenantCount);
    counters.set("eventCount", this.#events);
    counters.set("rejectedCount", this.#rejected);
    countHost(counters, host);
    this.moderation?.count();
    this.quota?.count();
  }
}

function countHost(counters: ShardParts["counters"], { stats }: ShardParts["host"]): void {
  counters.set("turnCount", stats.turns);
  counters.set("slotHitCount", stats.slotHits);
  counters.set("slotMissCount", stats.slotMisses);
  counters.set("imageBytes", stats.imageBytes);
  const { outcomes } = counters;
  for (let i = 0; i < OUTCOMES.length; i++) outcomes[i] = stats.outcomes[OUTCOMES[i]!];
}
