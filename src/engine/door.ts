/** What the engine offers to `ingest`, `egress` and `api`. The engine itself: engine.ts. */
import type { ComponentStats } from "#model/component.ts";
import type { HoldGate } from "#durable/writer-hold.ts";
import type { EventErrorCode } from "#model/event-error.ts";
import type {
  EndedCall,
  LlmStats,
  TenantLimits,
  TenantLlmUsage,
  TenantSpending,
} from "#llm/protocol.ts";
import type { Job } from "#model/consultation.ts";
import type { InspectedTenant } from "#model/inspection.ts";
import type { MergeRequest, SummaryMerge } from "#model/merge.ts";
import type { ModerationRequest, ModeratorUsage, Turn, Verdict } from "#model/moderation.ts";
import type { JsonLimits, QuotaLimits, QuotaName, QuotaStatus, TenantCpu } from "#model/quota.ts";
import type { PolicyRecord } from "#model/policy.ts";
import type { PromptPart } from "#model/prompt-parts.ts";
import type { ConversationItem, ConversationReport, Span, SummaryReport } from "#model/summary.ts";
import type { AckMode, AckWish, StorageStats } from "#model/storage.ts";
import type { Clock, TenantStatus } from "#model/tenant.ts";
import type { TrendingReport, TrendOrder } from "#model/trending.ts";
import type { ModerationOutcome, PendingReview } from "#model/verdict.ts";
import type { WarningCode } from "#model/warning.ts";
import type { Window } from "#model/window.ts";

/** `json`: one value, an event or an array of events. `ndjson`: one event a line. */
export type BodyFormat = "json" | "ndjson";

export type Offer = {
  /** Tenant of all events, already checked; undefined: each event names its own. */
  readonly tenant: string | undefined;
  readonly body: Uint8Array;
  readonly format: BodyFormat;
  /** Left out: as the server is told. Where nothing is kept, it changes nothing. */
  readonly ack?: AckWish | undefined;
};

/** What became of one request's events. `accepted` includes `late` and `duplicates`. */
export type OfferAnswer = {
  /** Where the accepted events are now. */
  readonly ack: AckMode;
  readonly accepted: number;
  readonly rejected: number;
  readonly late: number;
  readonly duplicates: number;
  /** At most ERRORS_LISTED_MAX, by index. */
  readonly errors: readonly { index: number; code: EventErrorCode; message: string }[];
  /** Of accepted events, if there are any; at most ERRORS_LISTED_MAX, by index. */
  readonly warnings?: readonly { index: number; code: WarningCode; message: string }[];
};

export type TenantSettings = {
  readonly clock: Clock;
  /** Windows to keep; left out: as they are, which is all of them for a new tenant. */
  readonly windows?: readonly Window[];
};

export type TenantList = { readonly total: number; readonly tenants: readonly TenantStatus[] };

/**
 * Is told every verdict, whatever door its message came by; `text` is undefined where it must not
 * be stored, and where `leavesTrace` is false nothing at all of it may be kept. It is quick and
 * never throws.
 */
export type VerdictListener = (
  verdict: Verdict,
  text: string | undefined,
  leavesTrace: boolean,
) => void;

/** Resolves once they are where they outlive the process. */
export type KeepPending = (pending: readonly PendingReview[]) => Promise<void>;

/** Resolves once the verdicts that listeners were told are where they outlive the process. */
export type VerdictsWritten = () => Promise<void>;

export type ShardStats = {
  readonly shard: number;
  readonly tenantCount: number;
  readonly eventCount: number;
  readonly rejectedCount: number;
  readonly turnCount: number;
  readonly slotHitCount: number;
  readonly slotMissCount: number;
  readonly imageBytes: number;
  readonly ringBytesUsed: number;
  /** By Outcome. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Quantiles of guest turns, slot miss included, microseconds, since the start. */
  readonly turnUs: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** Which components tenants run; undefined: not known yet. */
  readonly components?: ComponentStats | undefined;
  readonly moderation: ModerationStats;
};

/** What was refused for a quota since the start. */
export type QuotaRefusals = {
  /** Before they were parsed. */
  readonly requests: Readonly<Record<QuotaName, number>>;
  /** Of requests with others' events, or that came as datagrams. */
  readonly events: Readonly<Record<QuotaName, number>>;
};

/** Of a shard's moderators; counts are since the start. */
export type ModerationStats = {
  readonly judgedCount: number;
  /** Of those judged: their action; a message that is blocked is not counted as flagged. */
  readonly flaggedCount: number;
  readonly blockedCount: number;
  readonly slotHitCount: number;
  readonly slotMissCount: number;
  readonly imageBytes: number;
  /** Turns by Outcome. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly reviews: ReviewStats;
  /** Quantiles of the time a message takes to be judged, slot miss included, microseconds. */
  readonly judgeUs: { readonly p50: number; readonly p99: number; readonly p999: number };
};

/** Messages about which an upstream was asked. */
export type ReviewStats = {
  readonly begunCount: number;
  readonly endedCount: number;
  /** Of those ended: without an answer of the upstream. */
  readonly degradedCount: number;
  readonly openCount: number;
  /** Whose embedded verdict could not be kept for the time that they waited. */
  readonly unkeptCount: number;
};

/** The upstream language models, where some are configured. */
export interface LlmDoor {
  /** Of the jobs that have an upstream. */
  readonly models: Readonly<Partial<Record<Job, string>>>;
  /** Since the start; of a gateway that began anew, since then. */
  stats(): Promise<LlmStats>;
  usage(tenant: string): Promise<TenantLlmUsage>;
  /** They hold until the engine ends, also for a gateway that begins anew. */
  putLimits(tenant: string, limits: TenantLimits): void;
  /** Limits, what was counted and cached: all of it. */
  forget(tenant: string): void;
  /** Of whom the day's money changed since it was asked last; given back in `putLimits`. */
  spending(): Promise<readonly TenantSpending[]>;
  /** Always ends: with the upstream's answer, or with why there is none. */
  ask(
    tenant: string,
    job: Job,
    parts: readonly PromptPart[],
    waitMsMax: number,
  ): Promise<EndedCall>;
}

export type StopOptions = { readonly deadlineMs?: number | undefined };

/** Every method that fails does so with a `Problem` (model/problem.ts). */
export interface EngineDoor {
  /**
   * Resolves once the events are in the tenants' windows and where `ack` says. Problems: busy,
   * malformedJson, stopping, recovering, storageFull, storageUnavailable.
   */
  offer(offer: Offer): Promise<OfferAnswer>;
  /** Problems: tenantUnknown, tenantQuarantined, guestFailed. */
  trending(tenant: string, options: { limit: number; order: TrendOrder }): Promise<TrendingReport>;
  /**
   * `limit`: terms at most. Problems: tenantUnknown, tenantQuarantined, windowOff, guestFailed; the
   * three below have the same.
   */
  summary(tenant: string, options: { span: Span; limit: number }): Promise<SummaryReport>;
  /** The conversations that are remembered, newest event first. */
  conversations(tenant: string, options: { limit: number }): Promise<readonly ConversationItem[]>;
  /** One more problem: conversationUnknown. */
  conversation(tenant: string, id: string): Promise<ConversationReport>;
  /** The window in the portable form of docs/summaries.md. */
  sketch(tenant: string, span: Span): Promise<Uint8Array>;
  /**
   * Many windows as one. Tenants that are unknown or cannot answer are left out and listed.
   * Problems: busy, mergeLimit, and of a sketch of the request, with its `index`: sketchCorrupt,
   * sketchVersion, sketchWindow.
   */
  mergeSummaries(request: MergeRequest): Promise<SummaryMerge>;
  /** Sorted by the newest event first; `prefix` of the tenant id. */
  tenants(options: { offset: number; limit: number; prefix: string }): Promise<TenantList>;
  /** For who runs the server. Problem: tenantUnknown. */
  inspect(tenant: string): Promise<InspectedTenant>;
  /** Problem: tenantUnknown. */
  tenant(tenant: string): Promise<TenantStatus>;
  /**
   * Creates the tenant, or releases it from quarantine. Changing the clock starts its windows
   * anew; of changed `windows`, those that stay go on as they are.
   */
  putTenant(tenant: string, settings: TenantSettings): Promise<TenantStatus>;
  /**
   * Judges messages in their order, each with those before it in its conversation; one outcome a
   * message. A tenant needs no events to be judged. Its limits are the caller's to check: what is
   * over them is the outcome `badRequest`. Problems of all: busy, stopping, tenantLimit,
   * shardRestarting; of one message: badRequest, tenantQuarantined, guestFailed, memoryFull.
   */
  moderate(
    tenant: string,
    requests: readonly ModerationRequest[],
  ): Promise<readonly ModerationOutcome[]>;
  /**
   * Throws `overQuota` for a tenant of which that is known: before anything of its request is read.
   * Who is not refused here may be by `offer` and `moderate`, which know.
   */
  checkQuota(tenant: string): void;
  /** Problem: tenantUnknown. */
  quota(tenant: string): Promise<QuotaStatus>;
  /**
   * Makes the tenant if there is none. What is left out is as for everybody, null no bound. It may
   * go on at once. Problem: tenantLimit.
   */
  putQuota(tenant: string, limits: JsonLimits): Promise<QuotaStatus>;
  /** Of everybody without limits of its own, from now on. */
  setQuotaDefaults(limits: QuotaLimits): Promise<void>;
  /** The tenants whose turns took most CPU time since the start. */
  topCpu(count: number): Promise<readonly TenantCpu[]>;
  quotaRefusals(): QuotaRefusals;
  /**
   * Everything of the tenant in its shard goes, and listeners of `onClosed` are told; until
   * `freeTenant` it is unknown, and what comes of it is refused with `tenantDeleting`.
   */
  closeTenant(tenant: string): Promise<void>;
  /** Resolves once no file has anything of what was closed. */
  tenantErased(tenant: string): Promise<void>;
  /** A new tenant of the name may begin. */
  freeTenant(tenant: string): Promise<void>;
  /** What is returned ends it. */
  onClosed(listener: (tenant: string) => void): () => void;
  /** The tenant's next verdict uses it. Problems: tenantLimit, guestFailed, as above. */
  putPolicy(tenant: string, record: PolicyRecord): Promise<void>;
  /** What is remembered of a conversation, the oldest first; nothing, if it is not remembered. */
  turns(tenant: string, conversation: string): Promise<readonly Turn[]>;
  /** Whether there was something to forget. */
  forgetConversation(tenant: string, conversation: string): Promise<boolean>;
  /** Problem: tenantUnknown. */
  moderatorUsage(tenant: string): Promise<ModeratorUsage>;
  /** What is returned ends it. */
  onVerdict(listener: VerdictListener): () => void;
  stats(): readonly ShardStats[];
  /** Nothing is committed while a backup begins; see writer-hold.ts. There is a disk. */
  holdLog(gate: HoldGate): void;
  /** How the disk stands that keeps tenants; from shared memory, never waits. */
  storage(): StorageStats;
  /** Undefined: no upstream is configured. */
  readonly llm: LlmDoor | undefined;
  /** Whether events are taken now. */
  readonly ready: boolean;
  /**
   * A stop is to follow, once who waits was answered: of messages that an upstream is asked about
   * the embedded verdicts stand from REVIEWS_STOP_MS_MAX on.
   */
  beginStop(): void;
  /**
   * Takes nothing new, finishes what was taken, ends the shards. Until `deadlineMs`, of
   * performance.now(), tenants are kept as they are, so that the next start has less to do.
   */
  stop(options?: StopOptions): Promise<void>;
}
