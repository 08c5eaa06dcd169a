/**
 * An engine for tests of what stands before it: it counts events and words with plain maps and does
 * what the door's comments promise. `failNext` makes the next call fail with a problem.
 */
import assert from "node:assert/strict";
import type {
  EngineDoor,
  LlmDoor,
  Offer,
  OfferAnswer,
  QuotaRefusals,
  ShardStats,
  TenantList,
} from "#engine/door.ts";
import type { VerdictListener } from "#engine/door.ts";
import { Merges } from "#engine/merges.ts";
import { ERRORS_LISTED_MAX } from "#model/limits.ts";
import type { InspectedTenant } from "#model/inspection.ts";
import type { MergeOmission, MergeRequest, SummaryMerge } from "#model/merge.ts";
import type { ConversationItem, ConversationReport, Span, SummaryReport } from "#model/summary.ts";
import { WARNING_METRIC_LIMIT, type WarningCode, WARNINGS } from "#model/warning.ts";
import {
  hasSpan,
  spansOf,
  type Window,
  windowOf,
  windowOffDetail,
  WINDOWS,
  windowsOf,
  withAlways,
} from "#model/window.ts";
import { type ModerationOutcome, type ReviewEnd, reviewedVerdict } from "#model/verdict.ts";
import type { Question } from "#shard/protocol.ts";
import { eventsOf, type FakeEvent } from "./fake-events.ts";
import { FakeMerger } from "./fake-merger.ts";
import { FakeModerator } from "./fake-moderation.ts";
import { FakeQuotas } from "./fake-quotas.ts";
import {
  conversationItem,
  type FakeConversation,
  fakeConversation,
  fakeSketch,
  fakeSummary,
  type FakeSummaries,
  takeMetrics,
  takeTurn,
} from "./fake-summaries.ts";
import { EVENT_ERRORS, type EventErrorCode } from "#model/event-error.ts";
import type { ModerationRequest, ModeratorUsage, Turn } from "#model/moderation.ts";
import type { PolicyRecord } from "#model/policy.ts";
import type { JsonLimits, QuotaLimits, QuotaStatus } from "#model/quota.ts";
import { Problem } from "#model/problem.ts";
import { NO_STORAGE, type StorageStats } from "#model/storage.ts";
import { isTenantId, type Clock, type TenantStatus } from "#model/tenant.ts";
import type { TrendingReport, TrendOrder } from "#model/trending.ts";

type FakeTenant = FakeSummaries & {
  clock: Clock;
  windows: readonly Window[];
  state: "live" | "quarantined";
  eventCount: number;
  ids: Set<string>;
  duplicateCount: number;
  words: Map<string, number>;
  users: Set<string>;
  lastText: string;
  lastMs: number;
};

/** Small, so that a test with a few tenants needs several slices. */
const SLICE_TENANTS = 2;

export class FakeEngine implements EngineDoor {
  ready = true;
  stopped = false;
  readonly quotas = new FakeQuotas();
  /** Closed, and not free yet. */
  readonly deleting = new Set<string>();
  /** What it waits for until files are clean; for tests to set. */
  erasing: Promise<void> | undefined;
  readonly #closedListeners = new Set<(tenant: string) => void>();
  /** For tests to set. */
  llm: LlmDoor | undefined;
  /** What an upstream says of every message, for tests to set; undefined: it is not asked. */
  reviewEnd: ReviewEnd | undefined;
  /** What was offered, in order. */
  readonly offers: Offer[] = [];
  /** For tests to set. */
  storageStats: StorageStats = NO_STORAGE;
  trendingCalls = 0;
  summaryCalls = 0;
  /** Offers that came in, also those that are held. */
  offerCalls = 0;
  #tenants = new Map<string, FakeTenant>();
  #merges = new Merges([{ ask: this.#ask.bind(this), restartCount: () => 0 }], () => {
    return new FakeMerger();
  });
  #problem: Problem | undefined;
  readonly #moderators = new Map<string, FakeModerator>();
  readonly #listeners = new Set<VerdictListener>();
  readonly #actions = { allow: 0, flag: 0, block: 0 };
  /** The time of verdicts whose messages have none. */
  nowMs = 1_700_000_000_000;
  /** A message with this text fails, as if the tenant's moderator had. */
  failingText: string | undefined;
  #gate: Promise<void> | undefined;

  failNext(problem: Problem): void {
    this.#problem = problem;
  }

  /** Offers wait until the returned function is called. */
  holdOffers(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return resolve;
  }

  quarantine(tenant: string): void {
    this.#openTenant(tenant).state = "quarantined";
  }

  async offer(offer: Offer): Promise<OfferAnswer> {
    this.offerCalls += 1;
    this.#mayFail();
    if (this.stopped) throw new Problem("stopping", "The engine has stopped.");
    await this.#gate;
    this.offers.push({ ...offer, body: Buffer.from(offer.body) });
    const { ack: serverAck } = this.storageStats;
    const ack = serverAck === "none" ? serverAck : (offer.ack ?? serverAck);
    const answer = { ack, accepted: 0, rejected: 0, late: 0, duplicates: 0 };
    const errors: { index: number; code: EventErrorCode; message: string }[] = [];
    const warnings: { index: number; code: WarningCode; message: string }[] = [];
    for (const [index, value] of eventsOf(offer).entries()) {
      const fate = this.#take(value, offer.tenant);
      if (fate === "counted" || fate === "duplicate" || fate === "metricRefused") {
        answer.accepted += 1;
        if (fate === "duplicate") answer.duplicates += 1;
        if (fate === "metricRefused") warnings.push({ index, ...WARNINGS[WARNING_METRIC_LIMIT] });
        continue;
      }
      answer.rejected += 1;
      const message = EVENT_ERRORS.find(({ code }) => code === fate)?.message ?? fate;
      if (errors.length < ERRORS_LISTED_MAX) errors.push({ index, code: fate, message });
    }
    return warnings.length === 0 ? { ...answer, errors } : { ...answer, errors, warnings };
  }

  async closeTenant(tenant: string): Promise<void> {
    this.#mayFail();
    this.#tenants.delete(tenant);
    this.deleting.add(tenant);
    for (const listener of this.#closedListeners) listener(tenant);
  }

  async tenantErased(tenant: string): Promise<void> {
    await this.erasing;
    assert.ok(this.deleting.has(tenant));
  }

  async freeTenant(tenant: string): Promise<void> {
    this.deleting.delete(tenant);
  }

  onClosed(listener: (tenant: string) => void): () => void {
    this.#closedListeners.add(listener);
    return () => this.#closedListeners.delete(listener);
  }

  checkQuota(tenant: string): void {
    this.quotas.check(tenant);
  }

  async quota(tenant: string): Promise<QuotaStatus> {
    this.#find(tenant);
    return this.quotas.status(tenant);
  }

  async putQuota(tenant: string, limits: JsonLimits): Promise<QuotaStatus> {
    this.#mayFail();
    this.#openTenant(tenant);
    this.quotas.put(tenant, limits);
    return this.quotas.status(tenant);
  }

  async setQuotaDefaults(limits: QuotaLimits): Promise<void> {
    this.quotas.setDefaults(limits);
  }

  async topCpu(count: number): Promise<readonly { tenant: string; cpuMs: number }[]> {
    return this.quotas.top.slice(0, count);
  }

  quotaRefusals(): QuotaRefusals {
    return this.quotas.refusals();
  }

  async trending(
    tenant: string,
    { limit }: { limit: number; order: TrendOrder },
  ): Promise<TrendingReport> {
    this.trendingCalls += 1;
    this.#mayFail();
    const found = this.#find(tenant);
    const words = [...found.words].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const asOfMs = found.lastMs;
    return {
      asOfMs,
      windowStartMs: asOfMs - 60_000,
      windowEndMs: asOfMs,
      eventCount: found.eventCount,
      userCount: found.users.size,
      userCountError: 0,
      lateCount: 0,
      duplicateCount: found.duplicateCount,
      repeatedCount: 0,
      items: words.slice(0, limit).map(([term, count]) => ({
        term,
        count,
        countLow: count,
        countHigh: count,
        exact: true,
        trending: count >= 3,
        expected: 0.5,
        significance: count,
        userCount: found.users.size,
        userCountError: 0,
        firstSeenMs: asOfMs,
        sample: found.lastText,
      })),
      sentences:
        found.eventCount === 0
          ? []
          : [
              { text: `${found.eventCount} messages.`, eventId: undefined },
              { text: `"${found.lastText}"`, eventId: "last" },
            ],
    };
  }

  async tenants(options: { offset: number; limit: number; prefix: string }): Promise<TenantList> {
    const { offset, limit, prefix } = options;
    const names = [...this.#tenants.keys()].filter((name) => name.startsWith(prefix));
    const page = names.slice(offset, offset + limit).map((name) => this.#status(name));
    return { total: names.length, tenants: page };
  }

  async tenant(tenant: string): Promise<TenantStatus> {
    this.#mayFail();
    this.#find(tenant);
    return this.#status(tenant);
  }

  async inspect(tenant: string): Promise<InspectedTenant> {
    this.#mayFail();
    this.#find(tenant);
    return { status: this.#status(tenant), components: [] };
  }

  async summary(
    tenant: string,
    { span, limit }: { span: Span; limit: number },
  ): Promise<SummaryReport> {
    this.summaryCalls += 1;
    this.#mayFail();
    return fakeSummary(this.#findWindow(tenant, span), span, limit);
  }

  async conversations(
    tenant: string,
    { limit }: { limit: number },
  ): Promise<readonly ConversationItem[]> {
    this.#mayFail();
    const items = [...this.#find(tenant).conversations.values()].map(conversationItem);
    return items.toSorted((a, b) => b.lastMs - a.lastMs).slice(0, limit);
  }

  async conversation(tenant: string, id: string): Promise<ConversationReport> {
    this.#mayFail();
    const found = this.#find(tenant).conversations.get(id);
    if (found !== undefined) return fakeConversation(found);
    throw new Problem("conversationUnknown", `${tenant} remembers no conversation ${id}.`);
  }

  async sketch(tenant: string, span: Span): Promise<Uint8Array> {
    this.#mayFail();
    return fakeSketch(this.#findWindow(tenant, span), span);
  }

  async mergeSummaries(request: MergeRequest): Promise<SummaryMerge> {
    this.#mayFail();
    return this.#merges.run(request);
  }

  async putTenant(
    tenant: string,
    { clock, windows }: { clock: Clock; windows?: readonly Window[] },
  ): Promise<TenantStatus> {
    this.#mayFail();
    const found = this.#openTenant(tenant);
    found.clock = clock;
    if (windows !== undefined) found.windows = windowsOf(withAlways(spansOf(windows)));
    found.state = "live";
    return this.#status(tenant);
  }

  async moderate(
    tenant: string,
    requests: readonly ModerationRequest[],
  ): Promise<readonly ModerationOutcome[]> {
    this.#mayFail();
    const moderator = this.#moderator(tenant);
    return requests.map((request) => {
      if (request.text === this.failingText) {
        return { problem: { code: "guestFailed", detail: `The moderator of ${tenant} failed.` } };
      }
      const embedded = moderator.judge(tenant, request, this.nowMs);
      const { reviewEnd } = this;
      const verdict =
        reviewEnd === undefined ? embedded : reviewedVerdict(embedded, reviewEnd, "fake-upstream");
      this.#actions[verdict.action] += 1;
      const leavesTrace = request.doNotStore !== true;
      const isStored = leavesTrace && !moderator.record.policy.doNotStore;
      const text = isStored ? request.text : undefined;
      for (const listener of this.#listeners) listener(verdict, text, leavesTrace);
      return { verdict };
    });
  }

  async putPolicy(tenant: string, record: PolicyRecord): Promise<void> {
    this.#mayFail();
    this.#moderator(tenant).record = record;
  }

  async turns(tenant: string, conversation: string): Promise<readonly Turn[]> {
    this.#mayFail();
    return this.#moderator(tenant).conversations.get(conversation) ?? [];
  }

  async forgetConversation(tenant: string, conversation: string): Promise<boolean> {
    this.#mayFail();
    return this.#moderator(tenant).conversations.delete(conversation);
  }

  async moderatorUsage(tenant: string): Promise<ModeratorUsage> {
    this.#mayFail();
    const found = this.#moderators.get(tenant);
    if (found !== undefined) return found.usage;
    throw new Problem("tenantUnknown", `There is no tenant ${tenant}.`);
  }

  onVerdict(listener: VerdictListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  holdLog(): void {
    assert.fail("nothing is kept");
  }

  storage(): StorageStats {
    return this.storageStats;
  }

  stats(): readonly ShardStats[] {
    return [
      {
        shard: 0,
        tenantCount: this.#tenants.size,
        eventCount: [...this.#tenants.values()].reduce((sum, t) => sum + t.eventCount, 0),
        rejectedCount: 0,
        turnCount: 0,
        slotHitCount: 0,
        slotMissCount: 0,
        imageBytes: 0,
        ringBytesUsed: 0,
        outcomes: { ok: 0 },
        turnUs: { p50: 0, p99: 0, p999: 0 },
        moderation: {
          judgedCount: this.#actions.allow + this.#actions.flag + this.#actions.block,
          flaggedCount: this.#actions.flag,
          blockedCount: this.#actions.block,
          slotHitCount: 0,
          slotMissCount: 0,
          imageBytes: 0,
          outcomes: { ok: 0 },
          reviews: { begunCount: 0, endedCount: 0, degradedCount: 0, openCount: 0, unkeptCount: 0 },
          judgeUs: { p50: 0, p99: 0, p999: 0 },
        },
      },
    ];
  }

  beginStop(): void {
    // Nothing of it waits.
  }

  async stop(): Promise<void> {
    this.ready = false;
    this.stopped = true;
  }

  #mayFail(): void {
    const problem = this.#problem;
    this.#problem = undefined;
    if (problem !== undefined) throw problem;
  }

  #moderator(tenant: string): FakeModerator {
    let found = this.#moderators.get(tenant);
    if (found === undefined) this.#moderators.set(tenant, (found = new FakeModerator()));
    return found;
  }

  #find(tenant: string): FakeTenant {
    const found = this.#tenants.get(tenant);
    if (found === undefined) throw new Problem("tenantUnknown", `There is no tenant ${tenant}.`);
    if (found.state === "live") return found;
    throw new Problem("tenantQuarantined", `${tenant} is in quarantine.`);
  }

  #findWindow(tenant: string, span: Span): FakeTenant {
    const found = this.#find(tenant);
    const spans = spansOf(found.windows);
    if (hasSpan(spans, span)) return found;
    throw new Problem("windowOff", windowOffDetail(tenant, windowOf(span), spans));
  }

  /** As a shard answers the questions of a merge. */
  async #ask(question: Question): Promise<unknown> {
    if (question.type === "tenants") return this.tenants({ ...question, offset: 0 });
    assert(question.type === "merge");
    const { span, from } = question;
    const names =
      "tenants" in question
        ? question.tenants
        : [...this.#tenants.keys()].filter((name) => name.startsWith(question.prefix));
    const slice = {
      tenants: [] as string[],
      unknown: [] as string[],
      omitted: [] as MergeOmission[],
    };
    const merger = new FakeMerger();
    merger.open(span);
    for (const name of names.slice(from, from + SLICE_TENANTS)) {
      const found = this.#tenants.get(name);
      if (found === undefined) slice.unknown.push(name);
      else if (!hasSpan(spansOf(found.windows), span)) {
        slice.omitted.push({ tenant: name, code: "windowOff" });
      } else {
        merger.add(fakeSketch(found, span));
        slice.tenants.push(name);
      }
    }
    const next = from + SLICE_TENANTS < names.length ? from + SLICE_TENANTS : -1;
    return { ...slice, sketch: slice.tenants.length > 0 ? merger.sketch() : undefined, next };
  }

  #status(tenant: string): TenantStatus {
    const found = this.#openTenant(tenant);
    const { clock, windows, state, eventCount, duplicateCount, lastMs: lastEventMs } = found;
    const zero = { lateCount: 0, repeatedCount: 0, rejectedCount: 0, imageBytes: 4096 };
    const failures = { component: "5f1d0c8b7a0e", strikeCount: 0, lastFailure: undefined };
    const counts = { eventCount, duplicateCount, lastEventMs };
    return { tenant, shard: 0, clock, windows, state, ...counts, ...zero, ...failures };
  }

  #openTenant(tenant: string): FakeTenant {
    let found = this.#tenants.get(tenant);
    if (found === undefined) {
      const counts = { eventCount: 0, duplicateCount: 0, lastMs: 0 };
      const sets = { ids: new Set<string>(), users: new Set<string>() };
      const words = new Map<string, number>();
      const conversations = new Map<string, FakeConversation>();
      const summaries = { conversations, metrics: new Map<string, number[]>(), metricsRefused: 0 };
      const settings = { clock: "wall", windows: WINDOWS, state: "live" } as const;
      found = { ...settings, lastText: "", words, ...counts, ...sets, ...summaries };
      this.#tenants.set(tenant, found);
    }
    return found;
  }

  #take(
    value: unknown,
    path: string | undefined,
  ): EventErrorCode | "counted" | "duplicate" | "metricRefused" {
    if (value === undefined) return "malformedJson";
    if (typeof value !== "object" || value === null || Array.isArray(value)) return "notAnObject";
    const envelope = value as { specversion?: string; id?: string; data?: FakeEvent };
    const event: FakeEvent =
      envelope.specversion === undefined
        ? (value as FakeEvent)
        : { ...(envelope.id === undefined ? {} : { id: envelope.id }), ...envelope.data };
    const tenant = path ?? event.tenant;
    if (tenant === undefined) return "tenantMissing";
    if (!isTenantId(tenant)) return "tenantIllegal";
    if (event.tenant !== undefined && event.tenant !== tenant) return "tenantMismatch";
    if (event.text === undefined && event.metrics === undefined) return "eventEmpty";
    const { text = "" } = event;
    if (typeof text !== "string") return "textInvalid";
    const found = this.#openTenant(tenant);
    if (event.id !== undefined && found.ids.has(event.id)) {
      found.duplicateCount += 1;
      return "duplicate";
    }
    if (event.id !== undefined) found.ids.add(event.id);
    found.eventCount += 1;
    found.lastText = text;
    found.lastMs = event.tsMs ?? found.lastMs + 1;
    if (event.user !== undefined) found.users.add(event.user);
    for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
      found.words.set(word, (found.words.get(word) ?? 0) + 1);
    }
    takeTurn(found, event, found.lastMs);
    return takeMetrics(found, event) ? "counted" : "metricRefused";
  }
}
