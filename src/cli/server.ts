/** All routes on one engine: the server before it listens, and how it closes. */
import { backupRoutes, type BackupSource } from "#api/backups.ts";
import { conversationTurnRoutes } from "#api/conversation-turns.ts";
import { conversationRoutes } from "#api/conversations.ts";
import { healthRoutes } from "#api/health.ts";
import { keyRoutes } from "#api/keys.ts";
import { kernelRoutes } from "#api/kernel.ts";
import { llmRoutes } from "#api/llm.ts";
import { inspectRoutes } from "#api/inspect.ts";
import { mergeRoutes } from "#api/merge.ts";
import { metricsRoutes } from "#api/metrics.ts";
import { notReviewedRoutes } from "#api/not-reviewed.ts";
import { moderateRoutes } from "#api/moderate.ts";
import { openAiModerationRoutes } from "#api/openai-moderations.ts";
import { perspectiveRoutes } from "#api/perspective.ts";
import { policyRoutes } from "#api/policies.ts";
import { deletionRoutes } from "#api/deletions.ts";
import { MemoryQuotas, quotaRoutes } from "#api/quotas.ts";
import { reviewRecordRoutes } from "#api/review-records.ts";
import { reviewRoutes } from "#api/reviews.ts";
import { buildServer } from "#api/server.ts";
import { storageRoutes } from "#api/storage.ts";
import { summaryRoutes } from "#api/summaries.ts";
import { tenantRoutes } from "#api/tenants.ts";
import { trendingRoutes } from "#api/trending.ts";
import { webhookRoutes } from "#api/webhooks.ts";
import { liveRoutes } from "#egress/live.ts";
import { eventRoutes } from "#ingest/http.ts";
import type { Deletions } from "#engine/deletions.ts";
import type { EngineDoor } from "#engine/door.ts";
import { Retellings } from "#engine/retellings.ts";
import type { UdpIngest } from "#ingest/udp.ts";
import { noTelemetry, type TelemetrySource } from "#model/kernel-telemetry.ts";
import type { Log } from "#observe/log.ts";
import type { Tracing } from "#observe/tracing.ts";
import type { ReviewDesk } from "#review/desk.ts";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { datagramFacts } from "./datagrams.ts";
import { Guard } from "./guard.ts";
import {
  deskOf,
  keepVerdicts,
  limitsInMemory,
  moderationInMemory,
  type ModerationParts,
  NO_QUEUE,
} from "./moderation-parts.ts";
import { deletionsOf } from "./tenant-care.ts";
import { VERSION } from "./version.ts";

/** What stands behind the routes beside the engine; what is left out is not there, or in memory. */
export type ServerParts = {
  readonly udp?: UdpIngest | string;
  readonly telemetry?: TelemetrySource;
  readonly moderation?: ModerationParts;
  readonly guard?: Guard;
  readonly backups?: BackupSource;
  readonly slowRequestMs?: () => number;
  readonly tracing?: Tracing | undefined;
};

export type AssembledServer = {
  readonly server: FastifyInstance;
  readonly beginStop: () => void;
  readonly deletions: Deletions;
};

/** The server before it listens: all routes on one engine. Tests inject into it. */
export async function assembleServer(
  engine: EngineDoor,
  log: Log,
  parts: ServerParts = {},
): Promise<AssembledServer> {
  const { moderation = moderationInMemory(), guard = Guard.open(log) } = parts;
  const { slowRequestMs, tracing } = parts;
  let isStopping = false;
  const stopping = (): boolean => isStopping;
  const retellings = Retellings.of(engine);
  const deletions = deletionsOf({ engine, moderation, retellings, guard, log });
  const server = await buildServer({
    log,
    version: VERSION,
    stopping,
    access: guard.access,
    slowRequestMs,
    tracing,
    corsOrigins: guard.corsOrigins,
    routes: [
      ...tenantDoors(engine, retellings),
      ...moderationDoors(engine, log, moderation),
      quotaRoutes({ engine, keeper: moderation.quotas ?? new MemoryQuotas() }),
      deletionRoutes(deletions),
      keyRoutes(guard.desk),
      ...operationDoors(engine, { ...parts, moderation, guard }, stopping),
    ],
  });
  keepVerdicts(engine, moderation);
  const beginStop = (): void => {
    isStopping = true;
    deletions.stop();
  };
  return { server, beginStop, deletions };
}

type Routes = readonly FastifyPluginAsync[];

/** What a tenant sends and asks. */
function tenantDoors(engine: EngineDoor, retellings: Retellings | undefined): Routes {
  return [
    eventRoutes(engine),
    trendingRoutes(engine, retellings),
    summaryRoutes(engine),
    conversationRoutes(engine, retellings),
    mergeRoutes(engine),
    liveRoutes(engine, retellings),
    tenantRoutes(engine),
  ];
}

function moderationDoors(engine: EngineDoor, log: Log, parts: ModerationParts): Routes {
  const { policies, history, onFeedback, reviews = NO_QUEUE, llm = limitsInMemory(engine) } = parts;
  const desk = (): ReviewDesk => deskOf(reviews);
  return [
    inspectRoutes({ engine, policies, reviews }),
    moderateRoutes(engine),
    policyRoutes({ engine, policies, history }),
    conversationTurnRoutes(engine),
    openAiModerationRoutes(engine, log),
    perspectiveRoutes({ engine, log, onFeedback }),
    reviewRoutes(desk),
    notReviewedRoutes(desk),
    reviewRecordRoutes(desk),
    webhookRoutes(desk),
    llmRoutes({ engine, ...llm }),
  ];
}

/** For whoever runs the server. */
function operationDoors(
  engine: EngineDoor,
  parts: ServerParts & { readonly moderation: ModerationParts; readonly guard: Guard },
  stopping: () => boolean,
): Routes {
  const {
    udp = "not started",
    telemetry = () => noTelemetry(undefined),
    backups = "this process keeps nothing",
    moderation: { reviews = NO_QUEUE },
    guard,
  } = parts;
  const store = typeof reviews === "string" ? undefined : () => reviews.counts;
  const stage = typeof udp === "string" ? undefined : () => udp.stats();
  const backupCounts = typeof backups === "string" ? undefined : () => backups.counts();
  const datagrams = datagramFacts(udp);
  const startedAtMs = Date.now();
  return [
    backupRoutes(backups),
    healthRoutes({ engine, version: VERSION, startedAtMs, stopping, datagrams }),
    kernelRoutes(datagrams, stage, telemetry),
    storageRoutes(engine),
    metricsRoutes({ engine, stage, telemetry, store, guard, backups: backupCounts }),
  ];
}

/**
 * Answers what has come in whole. Who is still sending after `clientsMsMax` is cut off: nothing of
 * theirs was accepted, and one stuck upload must not cost all others an orderly end.
 */
export async function closeServer(server: FastifyInstance, clientsMsMax: number): Promise<void> {
  const cut = setTimeout(() => server.server.closeAllConnections(), clientsMsMax);
  await server.close();
  clearTimeout(cut);
}
