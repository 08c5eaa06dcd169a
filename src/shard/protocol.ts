/**
 * The door of a shard: what crosses between the I/O thread and a shard's thread, and nothing else.
 * Events and questions go in through one ring, so a question sees every event before it. Answers
 * come back as messages, one a step. Counters are shared memory that only the shard writes.
 */
import type { ComponentStats } from "#model/component.ts";
import type { MessagePort } from "node:worker_threads";
import type { ClassifierHandle } from "#classifier/classifier.ts";
import type { StageHandle } from "#kernel/stage.ts";
import type { ConsultationFailure } from "#model/consultation.ts";
import type { MergeOmission } from "#model/merge.ts";
import type { VerdictReport } from "#model/moderation.ts";
import { type JsonLimits, type QuotaLimits, type QuotaName, QUOTA_NAMES } from "#model/quota.ts";
import type { AckWish } from "#model/storage.ts";
import type { Span } from "#model/summary.ts";
import type { Clock } from "#model/tenant.ts";
import type { TrendOrder } from "#model/trending.ts";
import type { ProblemCode } from "#model/problem.ts";
import type { ReviewEnd } from "#model/verdict.ts";
import type { Window } from "#model/window.ts";
import type { RingWriter } from "#std/byte-ring.ts";
import { LATENCY_HISTOGRAM_BYTES, LatencyHistogram } from "#std/latency-histogram.ts";
import { OUTCOMES } from "#model/outcome.ts";

/**
 * Kinds of ring records. `lines`: NDJSON. `elements`: as the splitter writes them. `question`:
 * JSON.
 */
export const RECORD_LINES = 1;
export const RECORD_ELEMENTS = 2;
export const RECORD_QUESTION = 3;
/**
 * Messages to judge, of the record's tenant: { u32 bytes, request (model/request-bytes.ts) }. The
 * answer is a JSON text: Judged, one a message.
 */
export const RECORD_MESSAGES = 4;
/** The policy of the record's tenant (model/policy-bytes.ts). */
export const RECORD_POLICY = 5;

/** Set on the last record of a request for this shard: the answer is due after it. */
export const FLAG_LAST = 1;
/** The answer to the request's events does not wait for the disk. */
export const FLAG_MEMORY = 2;

//  0 u32 request · 4 u32 flags · 8 f64 time of arrival, epoch ms · 16 u32 bytes of body
// 20 u32 bytes of tenant (0: each event names its own) · 24 tenant, padded to 8 · body
const HEADER_BYTES = 24;

/** Bytes of payload that a record with this tenant and body takes in the ring. */
export function recordBytes(tenantBytes: number, bodyBytes: number): number {
  return HEADER_BYTES + padded(tenantBytes) + bodyBytes;
}

export type RecordHeader = {
  readonly kind: number;
  readonly request: number;
  readonly flags: number;
  readonly arrivedMs: number;
  /** UTF-8 of the tenant of all events, or empty. */
  readonly tenant: Uint8Array;
};

/** Writes one record; false when the ring has no room. */
export function writeRecord(ring: RingWriter, header: RecordHeader, body: Uint8Array): boolean {
  const offset = ring.reserve(header.kind, recordBytes(header.tenant.length, body.length));
  if (offset === -1) return false;
  ring.view.setUint32(offset, header.request, true);
  ring.view.setUint32(offset + 4, header.flags, true);
  ring.view.setFloat64(offset + 8, header.arrivedMs, true);
  ring.view.setUint32(offset + 16, body.length, true);
  ring.view.setUint32(offset + 20, header.tenant.length, true);
  ring.bytes.set(header.tenant, offset + HEADER_BYTES);
  ring.bytes.set(body, offset + HEADER_BYTES + padded(header.tenant.length));
  ring.publish();
  return true;
}

/** Reads records in place: fields of the record at hand, no object a record. */
export class RecordView {
  request = 0;
  last = false;
  isMemory = false;
  arrivedMs = 0;
  tenantOffset = 0;
  tenantBytes = 0;
  bodyOffset = 0;
  bodyBytes = 0;

  read(view: DataView, offset: number): void {
    this.request = view.getUint32(offset, true);
    const flags = view.getUint32(offset + 4, true);
    this.last = (flags & FLAG_LAST) !== 0;
    this.isMemory = (flags & FLAG_MEMORY) !== 0;
    this.arrivedMs = view.getFloat64(offset + 8, true);
    this.bodyBytes = view.getUint32(offset + 16, true);
    this.tenantBytes = view.getUint32(offset + 20, true);
    this.tenantOffset = offset + HEADER_BYTES;
    this.bodyOffset = this.tenantOffset + padded(this.tenantBytes);
  }
}

export type Question =
  | { readonly type: "trending"; tenant: string; limit: number; order: TrendOrder }
  | { readonly type: "tenant"; tenant: string }
  | { readonly type: "inspect"; tenant: string }
  | { readonly type: "tenants"; limit: number; prefix: string }
  | {
      readonly type: "putTenant";
      tenant: string;
      clock: Clock;
      windows?: readonly Window[] | undefined;
    }
  | { readonly type: "summary"; tenant: string; span: Span; limit: number }
  | { readonly type: "conversations"; tenant: string; limit: number }
  | { readonly type: "conversation"; tenant: string; id: string }
  | { readonly type: "sketch"; tenant: string; span: Span }
  | { readonly type: "turns"; tenant: string; conversation: string }
  | { readonly type: "forgetConversation"; tenant: string; conversation: string }
  | { readonly type: "moderatorUsage"; tenant: string }
  | { readonly type: "closeTenant"; tenant: string }
  | { readonly type: "freeTenant"; tenant: string }
  /** Of all shards: what is forgotten is to leave the log soon. */
  | { readonly type: "hurryLog" }
  | { readonly type: "quota"; tenant: string }
  | { readonly type: "putQuota"; tenant: string; limits: JsonLimits }
  | { readonly type: "quotaDefaults"; limits: JsonLimits }
  | { readonly type: "topCpu"; count: number }
  | MergeQuestion;

/**
 * What became of one message of a record. These cross as JSON: read by a structured clone, objects
 * with so many names take three times as long.
 */
export type Judged = JudgedMessage | { readonly code: ProblemCode; readonly detail: string };

export type JudgedMessage = {
  readonly id: string;
  readonly asOfMs: number;
  readonly report: VerdictReport;
  /** Left out: nobody else is to be asked. */
  readonly review?: JudgedReview | undefined;
};

/** An upstream is being asked, so that an ReviewEnded follows; or why it is not. */
export type JudgedReview =
  | { readonly waitMsMax: number }
  | { readonly failure: ConsultationFailure; readonly detail: string };

/** `id`: of the verdict. */
export type ReviewEnded = ReviewEnd & { readonly id: string };

/** An event that was judged because its tenant's policy asks for it. */
export type JudgedEvent = JudgedMessage & {
  readonly tenant: string;
  readonly messageId: string | undefined;
  readonly conversation: string | undefined;
  readonly user: string | undefined;
  /** Undefined: the policy keeps no texts. */
  readonly text: string | undefined;
};

/**
 * A slice of a merge: of these tenants, or of those whose id begins so, from the number `from` on.
 * The shard takes as many as one step may cost; whoever asks comes back for the rest.
 */
export type MergeQuestion = {
  readonly type: "merge";
  readonly span: Span;
  readonly from: number;
} & ({ readonly tenants: readonly string[] } | { readonly prefix: string });

export type MergeSlice = {
  /** Of the tenants merged; undefined: there are none. */
  readonly sketch: Uint8Array | undefined;
  readonly tenants: readonly string[];
  readonly unknown: readonly string[];
  readonly omitted: readonly MergeOmission[];
  /** Where the next slice begins; -1: this was the last. */
  readonly next: number;
};

/** What became of one request's events in one shard. */
export type OfferAnswer = {
  readonly type: "offer";
  readonly request: number;
  readonly elements: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly late: number;
  readonly duplicates: number;
  /** Pairs: index of the event in the request, number of the error in EVENT_ERRORS. */
  readonly errors: readonly number[];
  /** The same, of WARNINGS. */
  readonly warnings: readonly number[];
  /** Verdicts on some of them are to be kept before anybody is told that they were taken. */
  readonly isHeld: boolean;
  /** The answer waits until what it says is on disk, where there is one. */
  readonly awaitsDisk: boolean;
};

export type Answer =
  | OfferAnswer
  | {
      readonly type: "value";
      readonly request: number;
      readonly value: unknown;
      readonly awaitsDisk?: boolean;
    }
  | {
      readonly type: "problem";
      readonly request: number;
      readonly code: ProblemCode;
      readonly detail: string;
      readonly awaitsDisk?: boolean;
      /** When trying again makes sense, where that is known. */
      readonly waitMs?: number;
      /** Of `overQuota` and `tenantMemoryFull`. */
      readonly over?: { readonly quota: QuotaName; readonly limit: number };
    };

/** What a shard made of what was kept. */
export type ShardRecovery = {
  readonly tenantCount: number;
  readonly snapshotCount: number;
  readonly replayedCount: number;
  readonly skippedCount: number;
  readonly repairedCount: number;
  /** Tenants of whom something is missing. */
  readonly lost: readonly string[];
  readonly gaps: readonly string[];
  readonly tornCount: number;
  /** Numbers in the store of the components that its tenants and its turns needed. */
  readonly components: readonly number[];
};

export type ShardMessage =
  /** `recovery`: undefined where nothing is kept. */
  | { readonly type: "ready"; readonly recovery: ShardRecovery | undefined }
  | { readonly type: "answers"; readonly answers: readonly Answer[] }
  /** JSON: JudgedEvent[]. */
  | { readonly type: "verdicts"; readonly json: string }
  /** JSON: ReviewEnded[]; the verdicts went before. */
  | { readonly type: "reviews"; readonly json: string }
  /** What tenants run has changed. */
  | { readonly type: "components"; readonly stats: ComponentStats }
  | { readonly type: "stopped" };

/** From the engine to a shard's thread, beside what is in its ring; it is woken by that. */
export type ShardControl =
  /** Another gateway: the one before is gone. */
  | { readonly type: "gateway"; readonly port: MessagePort }
  /** The embedded verdicts stand of what is open, and no upstream is asked any more. */
  | { readonly type: "endReviews" }
  /** What is kept of these tenants cannot be read: a new snapshot of each mends it. */
  | { readonly type: "snapshot"; readonly tenants: readonly string[] }
  /** The ring is about to stop: snapshots are taken until then, epoch ms. */
  | { readonly type: "stopBy"; readonly deadlineMs: number };

/** What is promised, and what of it may cost how much. */
export type Durability = {
  /** File of log and snapshots. */
  readonly path: string;
  readonly ack: AckWish;
  /** Bytes of turns that are kept at most. */
  readonly logBytesMax: number;
  /** Time of guests that a start may have to do again, about. */
  readonly recoveryMsMax: number;
  /** Whether what datagrams brought is logged, or kept with snapshots alone. */
  readonly datagramLog: boolean;
};

/** A shard's way to the disk. */
export type ShardLog = Durability & {
  readonly ring: SharedArrayBuffer;
  readonly bell: Int32Array;
  readonly durable: Int32Array;
  readonly stream: number;
  /** Of StorageBoard. */
  readonly board: SharedArrayBuffer;
  /** Another thread of this shard wrote to the stream before: it goes on from its last block. */
  readonly isAgain: boolean;
  /** Numbers in the store of the components that tenants run. */
  readonly components: { readonly summarizer: number; readonly moderator: number };
  readonly shardCount: number;
};

/** What a shard's thread is started with. */
export type ShardSettings = {
  readonly shard: number;
  readonly ring: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Shared by all shards: tenants taken so far, `tenantsTakenBytes` long. */
  readonly tenantsTaken: SharedArrayBuffer;
  readonly tenantCountMax: number;
  readonly slotCount: number;
  readonly imageBytesMax: number;
  /** The component that every tenant of this shard runs. */
  readonly component: Uint8Array;
  /** The component is ours: it needs no time guard. */
  readonly trusted: boolean;
  /** The component that judges every tenant's messages, and what it imports. */
  readonly moderator: Uint8Array;
  readonly moderatorTrusted: boolean;
  readonly classifier: ClassifierHandle;
  /** Policies of tenants that were set before this thread began. */
  readonly policies: ReadonlyMap<string, Uint8Array>;
  /** What tenants may take, and those with limits of their own; left out: all they can. */
  readonly quota?: QuotaLimits | undefined;
  readonly quotas: ReadonlyMap<string, JsonLimits>;
  /** Of ids of verdicts. */
  readonly salt: number;
  /** The kernel stage, and how many threads of this shard there were before. */
  readonly stage?: StageHandle | undefined;
  readonly incarnation: number;
  /** To the gateway of upstream language models; left out: messages are judged here alone. */
  readonly gateway?: MessagePort | undefined;
  /** Where turns are kept; left out: nowhere. */
  readonly log?: ShardLog | undefined;
};

/** Int32: tenants taken in all, then of each shard what it holds of them, and a claim's flag. */
export function tenantsTakenBytes(shardCount: number): number {
  return 4 * (1 + 2 * shardCount);
}

const COUNTERS = [
  /** Steps begun: stands still when the shard is stuck. */
  "stepCount",
  "tenantCount",
  "eventCount",
  "rejectedCount",
  "turnCount",
  "slotHitCount",
  "slotMissCount",
  "imageBytes",
  "judgedCount",
  "flaggedCount",
  "blockedCount",
  "judgeSlotHitCount",
  "judgeSlotMissCount",
  "judgeImageBytes",
  "reviewsBegun",
  "reviewsEnded",
  /** Of those ended: without an answer of the upstream. */
  "reviewsDegraded",
] as const;

type Counter = (typeof COUNTERS)[number];
/** Counters, outcomes of both worlds, and what was refused of requests and of events, by quota. */
const NUMBERS = COUNTERS.length + 2 * OUTCOMES.length + 2 * QUOTA_NAMES.length;

/** A shard's counters in shared memory: the shard writes, anybody reads. */
export class ShardCounters {
  static readonly BYTES = NUMBERS * 8 + 2 * LATENCY_HISTOGRAM_BYTES;
  /** Durations of turns, slot misses included. */
  readonly turns: LatencyHistogram;
  /** And of those of moderators that judge. */
  readonly judgements: LatencyHistogram;
  readonly #numbers: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#numbers = new Float64Array(buffer, 0, NUMBERS);
    const { byteLength } = this.#numbers;
    this.turns = new LatencyHistogram(buffer, byteLength);
    this.judgements = new LatencyHistogram(buffer, byteLength + LATENCY_HISTOGRAM_BYTES);
  }

  get(counter: Counter): number {
    return this.#numbers[COUNTERS.indexOf(counter)]!;
  }

  set(counter: Counter, value: number): void {
    this.#numbers[COUNTERS.indexOf(counter)] = value;
  }

  /** Turns by Outcome, in the order of OUTCOMES. */
  get outcomes(): Float64Array {
    return this.#numbers.subarray(COUNTERS.length, COUNTERS.length + OUTCOMES.length);
  }

  /** The same of moderators. */
  get judgeOutcomes(): Float64Array {
    const start = COUNTERS.length + OUTCOMES.length;
    return this.#numbers.subarray(start, start + OUTCOMES.length);
  }

  /** Requests that were refused before they were parsed, in the order of QUOTA_NAMES. */
  get refusedRequests(): Float64Array {
    const start = COUNTERS.length + 2 * OUTCOMES.length;
    return this.#numbers.subarray(start, start + QUOTA_NAMES.length);
  }

  /** And events whose request had others, or that came as datagrams. */
  get refusedEvents(): Float64Array {
    return this.#numbers.subarray(COUNTERS.length + 2 * OUTCOMES.length + QUOTA_NAMES.length);
  }
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}
