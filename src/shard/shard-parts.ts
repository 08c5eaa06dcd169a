/** What a shard is made of, and what it asks of its log. */
import type { Batcher } from "#batcher/batcher.ts";
import type { IsolateHost } from "#isolate/host.ts";
import type { Drain } from "#kernel/drain.ts";
import type { SketchMerger } from "#model/merge.ts";
import type { JsonLimits } from "#model/quota.ts";
import type { TenantQuota } from "#quota/tenant-quota.ts";
import type { RingReader } from "#std/byte-ring.ts";
import type { ModerationParts } from "./moderation.ts";
import type { ShardCounters } from "./protocol.ts";
import type { TenantCap } from "./tenant-cap.ts";

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
export type BatchSource = Pick<
  Batcher,
  | "memory"
  | "batchTenant"
  | "batchByteOffset"
  | "batchByteCount"
  | "batchEventCount"
  | "batchJoinedCount"
>;
