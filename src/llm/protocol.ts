/**
 * The door of the gateway's thread. Each shard has a port to it, and the engine has one; on every
 * port the caller numbers its calls itself. Calls of a step go in one message, and so do the ends
 * of a tick: a message costs ten times what a call in it costs. Bytes should lie in buffers of
 * their own, or all of a message in one: what is posted is the whole buffer behind a view. Who may
 * be asleep is woken by its ring.
 */
import type { MessagePort } from "node:worker_threads";
import type { ConsultationFailure, Job, TokenUsage } from "#model/consultation.ts";
import type { BudgetLimits } from "./budget.ts";
import type { LlmSettings } from "./settings.ts";

/** One call; its prompt (model/prompt-parts.ts) is the gateway's from now on. */
export type AskedCall = {
  /** Unique among those of the port that wait. */
  readonly request: number;
  readonly tenant: string;
  readonly job: Job;
  readonly prompt: Uint8Array;
  /** Of the tenant's policy: an answer that is cached is of one version. */
  readonly policyVersion: number;
  /** The longest it waits from now. */
  readonly waitMsMax: number;
};

/** `answer`: of moderation, `judgementBytes`; of the other jobs, JSON of the job's answer. */
export type CallEnd =
  | { readonly answer: Uint8Array; readonly isCached: boolean }
  | { readonly failure: ConsultationFailure; readonly detail: string };

export type EndedCall = {
  readonly request: number;
  readonly end: CallEnd;
  /** From its arrival in the gateway to its end. */
  readonly waitMs: number;
};

/** On any port: calls, and what nobody waits for any more. */
export type CallMessage =
  | { readonly type: "ask"; readonly calls: readonly AskedCall[] }
  | { readonly type: "cancel"; readonly requests: readonly number[] };

/** On any port. The end of a call that was cancelled is told, too. */
export type EndMessage = { readonly type: "ends"; readonly ends: readonly EndedCall[] };

/** A tenant's own limits; undefined: the default ones. */
export type TenantLimits = {
  readonly budget?: BudgetLimits | undefined;
  readonly runningMax?: number | undefined;
  /** What was spent of the day's money, as `TenantSpending` said; undefined: as it is. */
  readonly spent?: Omit<TenantSpending, "tenant"> | undefined;
};

/** To be kept over a restart: the day's money is not there again because the process is. */
export type TenantSpending = {
  readonly tenant: string;
  /** Millionths that are taken of the day's budget; they come back evenly from then on. */
  readonly spentMicros: number;
  readonly atMs: number;
};

/** From the engine to the thread, beside calls. `ask` numbers answers of another kind. */
export type ControlMessage =
  /** A shard's port; `ring`: wakes it. A port that closes cancels its calls. */
  | { readonly type: "attach"; readonly port: MessagePort; readonly ring: SharedArrayBuffer }
  | { readonly type: "limits"; readonly tenant: string; readonly limits: TenantLimits }
  /** The tenant is deleted. */
  | { readonly type: "forget"; readonly tenant: string }
  | { readonly type: "stats"; readonly request: number }
  | { readonly type: "usage"; readonly request: number; readonly tenant: string }
  /** Of whom it changed since it was asked last. */
  | { readonly type: "spending"; readonly request: number }
  | { readonly type: "stop" };

/** From the thread to the engine, beside ends. */
export type GatewayMessage =
  | EndMessage
  | { readonly type: "ready" }
  | { readonly type: "stats"; readonly request: number; readonly stats: LlmStats }
  | { readonly type: "usage"; readonly request: number; readonly usage: TenantLlmUsage }
  | {
      readonly type: "spending";
      readonly request: number;
      readonly spending: readonly TenantSpending[];
    }
  | { readonly type: "stopped" };

/**
 * Of the thread. Whatever waits outlives a collection, so that it copies all that is young: with
 * V8's 96 MB each holds up the calls for 5 ms (14 at most), with 12 MB for 1.2 (6), and all of them
 * together take two fifths longer.
 */
export const GATEWAY_HEAP = { maxYoungGenerationSizeMb: 12 } as const;

/** What the thread is started with. */
export type GatewayThreadSettings = {
  readonly settings: LlmSettings;
  readonly tenantCountMax: number;
};

export type Quantiles = { readonly p50: number; readonly p99: number; readonly max: number };

/** Of one job, since the start. */
export type JobReport = {
  readonly job: Job;
  readonly model: string;
  /** Where it goes, without path or key. */
  readonly origin: string;
  readonly waiting: number;
  readonly running: number;
  readonly calls: number;
  readonly answered: number;
  readonly cached: number;
  /** Calls that waited for the same question of the same tenant instead of asking again. */
  readonly joined: number;
  readonly failures: Readonly<Record<ConsultationFailure, number>>;
  readonly malformed: number;
  readonly retries: number;
  readonly hedges: number;
  readonly tokens: TokenUsage;
  readonly costMicros: number;
  /** From arrival to the request, and from the request to its answer. */
  readonly waitMs: Quantiles;
  readonly upstreamMs: Quantiles;
};

/** One call that ended, without a word of it. */
export type CallTrace = {
  readonly tenant: string;
  readonly job: Job;
  readonly arrivedMs: number;
  readonly queuedMs: number;
  readonly upstreamMs: number;
  readonly tries: number;
  readonly promptBytes: number;
  readonly tokens: number;
  readonly outcome: "answered" | "cached" | ConsultationFailure;
  readonly detail: string | undefined;
};

export type LlmStats = {
  readonly jobs: readonly JobReport[];
  readonly breakers: readonly {
    readonly origin: string;
    readonly state: "closed" | "open" | "halfOpen";
  }[];
  readonly exchanges: number;
  readonly cacheBytes: number;
  /** The newest calls, the newest first; LLM_TRACES_MAX at most. */
  readonly traces: readonly CallTrace[];
  /** The tenants with the most tokens, since the start; LLM_TOP_TENANTS_MAX at most. */
  readonly top: readonly {
    readonly tenant: string;
    readonly tokens: number;
    readonly costMicros: number;
  }[];
  /** CPU time of the thread, ms, since it began. */
  readonly cpuMs: number;
};

export type TenantLlmUsage = {
  readonly limits: BudgetLimits;
  readonly runningMax: number;
  /** What is left now of each budget; null: no bound. */
  readonly left: {
    readonly calls: number | null;
    readonly tokens: number | null;
    readonly micros: number | null;
  };
  readonly jobs: readonly {
    readonly job: Job;
    readonly calls: number;
    readonly answered: number;
    readonly cached: number;
    readonly failures: Readonly<Partial<Record<ConsultationFailure, number>>>;
    readonly tokens: TokenUsage;
    readonly costMicros: number;
  }[];
};
