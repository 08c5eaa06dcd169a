/** The running product: engine and HTTP together. Used by serve, demo and replay. */
import { limitConnections } from "#api/connection-limits.ts";
import { backupRoutes, type BackupSource } from "#api/backups.ts";
import { conversationTurnRoutes } from "#api/conversation-turns.ts";
import { conversationRoutes } from "#api/conversations.ts";
import { type DatagramFacts, healthRoutes } from "#api/health.ts";
import { keyRoutes } from "#api/keys.ts";
import { kernelRoutes } from "#api/kernel.ts";
import { type LlmDefaults, type LlmLimitsKeeper, MemoryLlmLimits } from "#api/llm-limits.ts";
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
import { MemoryQuotas, type QuotaKeeper, quotaRoutes } from "#api/quotas.ts";
import { reviewRecordRoutes } from "#api/review-records.ts";
import { reviewRoutes } from "#api/reviews.ts";
import { buildServer } from "#api/server.ts";
import { storageRoutes } from "#api/storage.ts";
import { summaryRoutes } from "#api/summaries.ts";
import { tenantRoutes } from "#api/tenants.ts";
import { trendingRoutes } from "#api/trending.ts";
import { webhookRoutes } from "#api/webhooks.ts";
import { LiveConfig } from "#config/live.ts";
import type { Config } from "#config/options.ts";
import { liveRoutes } from "#egress/live.ts";
import { Backups, type Hold } from "#engine/backups.ts";
import type { Deletions } from "#engine/deletions.ts";
import type { EngineDoor } from "#engine/door.ts";
import type { Engine } from "#engine/engine.ts";
import type { EngineSettings } from "#engine/engine-settings.ts";
import { Retellings } from "#engine/retellings.ts";
import { eventRoutes } from "#ingest/http.ts";
import type { UdpIngest } from "#ingest/udp.ts";
import type { Stage } from "#kernel/stage.ts";
import type { Telemetry } from "#kernel/telemetry.ts";
import type { LlmSettings } from "#llm/settings.ts";
import type { FeedbackListener } from "#model/feedback.ts";
import { noTelemetry, type TelemetryLevel, type TelemetrySource } from "#model/kernel-telemetry.ts";
import { HTTP_BACKLOG_MAX, STOP_CLIENTS_MS_MAX } from "#model/limits.ts";
import {
  MemoryPolicyStore,
  MemoryVerdictHistory,
  type PolicyStore,
  type VerdictHistory,
} from "#model/policy-store.ts";
import { Problem } from "#model/problem.ts";
import type { AckWish } from "#model/storage.ts";
import type { PendingReview } from "#model/verdict.ts";
import type { Log } from "#observe/log.ts";
import type { Tracing } from "#observe/tracing.ts";
import { IN_MEMORY, StoreError } from "#review/database.ts";
import { ReviewDesk } from "#review/desk.ts";
import type { WebhookTargets } from "#review/webhook-target.ts";
import type { FastifyInstance } from "fastify";
import { join, resolve } from "node:path";
import { datagramsOff, Guard } from "./guard.ts";
import { dataFilesOf } from "./data-files.ts";
import { llmSettingsOf, llmWarnings } from "./llm-settings.ts";
import { deletionsOf, quotaOf, resumeDeletions } from "./tenant-care.ts";
import { OpenRequests } from "./open-requests.ts";
import { StorageTraces, traced, tracingOf } from "./traces.ts";
import { beReady } from "./ready.ts";
import { urlHost } from "./url.ts";
import { VERSION } from "./version.ts";

export type Application = {
  readonly url: string;
  readonly engine: EngineDoor;
  /** Event datagrams; or, in words, why none are taken. */
  readonly udp: UdpIngest | string;
  /** Where policies and the review queue are kept; or, in words, why they are not. */
  readonly store: { readonly path: string } | string;
  /** Upstream language models, if there are any. */
  readonly llm: LlmSettings | undefined;
  /** The options in force. */
  readonly live: LiveConfig;
  readonly guard: Guard;
  /**
   * Refuses new events, answers what is in flight, closes the streams, ends the engine. Until
   * `deadlineMs`, of performance.now(), work is done that the next start would have to do again.
   */
  readonly stop: (this: void, deadlineMs?: number) => Promise<void>;
};

export type AssembledServer = {
  readonly server: FastifyInstance;
  readonly beginStop: () => void;
  readonly deletions: Deletions;
};

/** What moderation keeps beside the tenants' components. */
export type ModerationParts = {
  readonly policies: PolicyStore;
  readonly history: VerdictHistory;
  readonly onFeedback: FeedbackListener;
  /** The queue; or, in words, why there is none. */
  readonly reviews?: ReviewDesk | string;
  readonly llm?: LlmLimits;
  readonly quotas?: QuotaKeeper;
};

/** What tenants may take of language models. */
export type LlmLimits = { readonly defaults: LlmDefaults; readonly keeper: LlmLimitsKeeper };

/** Of an engine that has no upstream, or one of a test. */
function limitsInMemory(engine: EngineDoor): LlmLimits {
  const unlimited = Number.POSITIVE_INFINITY;
  const budget = {
    callsPerMinute: unlimited,
    tokensPerMinute: unlimited,
    microsPerDay: unlimited,
  };
  return { defaults: { budget, runningMax: 1 }, keeper: new MemoryLlmLimits(engine) };
}

/** Kept until the process ends; there is no queue, and nobody who would read a label. */
function moderationInMemory(): ModerationParts {
  return {
    policies: new MemoryPolicyStore(),
    history: new MemoryVerdictHistory(),
    onFeedback: () => undefined,
  };
}

/** How requests are watched. */
export type Watch = {
  readonly slowRequestMs?: () => number;
  readonly tracing?: Tracing | undefined;
};

/** The server before it listens: all routes on one engine. Tests inject into it. */
export async function assembleServer(
  engine: EngineDoor,
  log: Log,
  udp: UdpIngest | string = "not started",
  telemetry: TelemetrySource = () => noTelemetry(undefined),
  moderation: ModerationParts = moderationInMemory(),
  guard: Guard = Guard.open(log),
  backups: BackupSource = "this process keeps nothing",
  watch: Watch = {},
): Promise<AssembledServer> {
  let stopping = false;
  const { policies, history, onFeedback, reviews = "this process keeps none" } = moderation;
  const { llm = limitsInMemory(engine) } = moderation;
  const desk = (): ReviewDesk => deskOf(reviews);
  const store = typeof reviews === "string" ? undefined : () => reviews.counts;
  const stage = typeof udp === "string" ? undefined : () => udp.stats();
  const backupCounts = typeof backups === "string" ? undefined : () => backups.counts();
  const health = {
    engine,
    version: VERSION,
    startedAtMs: Date.now(),
    stopping: () => stopping,
    datagrams: datagramFacts(udp),
  };
  const retellings = Retellings.of(engine);
  const deletions = deletionsOf({ engine, moderation, retellings, guard, log });
  const server = await buildServer({
    log,
    version: VERSION,
    stopping: () => stopping,
    access: guard.access,
    slowRequestMs: watch.slowRequestMs,
    tracing: watch.tracing,
    corsOrigins: guard.corsOrigins,
    routes: [
      eventRoutes(engine),
      trendingRoutes(engine, retellings),
      summaryRoutes(engine),
      conversationRoutes(engine, retellings),
      mergeRoutes(engine),
      liveRoutes(engine, retellings),
      tenantRoutes(engine),
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
      quotaRoutes({ engine, keeper: moderation.quotas ?? new MemoryQuotas() }),
      deletionRoutes(deletions),
      keyRoutes(guard.desk),
      backupRoutes(backups),
      healthRoutes(health),
      kernelRoutes(health.datagrams, stage, telemetry),
      storageRoutes(engine),
      metricsRoutes({ engine, stage, telemetry, store, guard, backups: backupCounts }),
    ],
  });
  keepVerdicts(engine, history, reviews);
  const beginStop = (): void => {
    stopping = true;
    deletions.stop();
  };
  return { server, beginStop, deletions };
}

function deskOf(reviews: ReviewDesk | string): ReviewDesk {
  if (typeof reviews !== "string") return reviews;
  throw new Problem("storeUnavailable", `There is no review queue: ${reviews}`, {
    retryAfterSeconds: 60,
  });
}

/**
 * What must not be stored comes without its text, and leaves no trace here either. Also after the
 * server closed: reviews of its last messages may end while the engine stops.
 */
function keepVerdicts(
  engine: EngineDoor,
  history: VerdictHistory,
  reviews: ReviewDesk | string,
): void {
  engine.onVerdict((verdict, text, leavesTrace) => {
    if (text !== undefined) history.add(verdict);
    if (typeof reviews !== "string") reviews.takeVerdict(verdict, text, leavesTrace);
  });
}

export async function startApplication(config: Config, log: Log): Promise<Application> {
  const guard = Guard.ofConfig(config, log);
  try {
    const application = await startGuarded(config, log, guard);
    const stop = async (deadlineMs?: number): Promise<void> => {
      await application.stop(deadlineMs);
      guard.close();
    };
    return { ...application, stop };
  } catch (error) {
    guard.close();
    throw error;
  }
}

async function startGuarded(config: Config, log: Log, guard: Guard): Promise<Application> {
  // Loaded here, so that commands that need no engine do not wait for one.
  const { beginEngine } = await import("#engine/engine.ts");
  const { openStage } = await import("#kernel/stage.ts");
  const { shardCount, slotCount, imageBytesMax, tenantCountMax, kernelStage } = config;
  const slotBits = config.kernelSlotBits;
  const stage = openStage({
    shardCount,
    ...(kernelStage === "off" ? { path: "user" } : {}),
    ...(slotBits === 0 ? {} : { slotBits }),
  });
  try {
    const llm = llmSettingsOf(config, process.env);
    const pending = new PendingReviews();
    const tracing = await tracingOf(config);
    const begun = await beginEngine({
      shardCount,
      slotCount,
      imageBytesMax,
      tenantCountMax,
      durability: durabilityOf(config),
      quota: quotaOf(config),
      stage: stage.handle,
      llm,
      keepPending: async (reviews) => pending.keep(reviews),
      verdictsWritten: async () => pending.desk?.written(),
    });
    const engine = tracing === undefined ? begun : await traced(begun, tracing);
    try {
      const parts = { engine, stage, config, log, llm, pending, guard, tracing };
      return await openApplication(parts);
    } catch (error) {
      await engine.stop();
      throw error;
    }
  } catch (error) {
    stage.close();
    throw error;
  }
}

/** The engine has them kept from its first message on; the store is opened after it. */
class PendingReviews {
  /** Undefined: there is none, and they end with the process. */
  desk: ReviewDesk | undefined;

  async keep(reviews: readonly PendingReview[]): Promise<void> {
    await this.desk?.keepPending(reviews);
  }
}

type OpenParts = {
  readonly engine: Engine;
  readonly stage: Stage;
  readonly config: Config;
  readonly log: Log;
  readonly llm: LlmSettings | undefined;
  readonly pending: PendingReviews;
  readonly guard: Guard;
  readonly tracing: Tracing | undefined;
};

async function openApplication(parts: OpenParts): Promise<Application> {
  const { engine, stage, config, log, llm, pending, guard, tracing } = parts;
  const live = liveConfigOf(config, engine, log);
  guard.follow(live);
  // Datagrams carry no key: with the first one they end, unless somebody asked for them.
  guard.desk.onFirst = () => {
    const reason = datagramsOff(config, guard);
    if (typeof udp === "string" || reason === undefined) return;
    log.warn({ reason }, "no event datagrams from now on");
    void udp.stop();
  };
  for (const { what, fix } of llm === undefined ? [] : llmWarnings(llm)) log.warn({ fix }, what);
  const udp = datagramsOff(config, guard) ?? (await openUdp(stage, config, log));
  const telemetry = await startTelemetry(udp, config);
  const reviews = await openReviews(engine, config, log);
  if (typeof reviews !== "string") pending.desk = reviews;
  const moderation = moderationOn(reviews, engine, llm);
  const backups = backupsOf(live, engine, reviews, log);
  const { server, beginStop, deletions } = await assembleServer(
    engine,
    log,
    udp,
    telemetry.report,
    moderation,
    guard,
    backups,
    { slowRequestMs: () => live.current.slowRequestMs, tracing },
  );
  limitConnections(server.server, config);
  const requests = new OpenRequests(server.server);
  let storageTraces: StorageTraces | undefined;
  const closeReviews = async (): Promise<void> => {
    if (typeof reviews !== "string") await reviews.close();
  };
  try {
    const { httpHost: host, httpPort: port } = config;
    await server.listen({ host, port, backlog: HTTP_BACKLOG_MAX });
    await beReady(engine, reviews, log, async () => resumeDeletions(deletions, log));
    if (tracing !== undefined) storageTraces = new StorageTraces(() => engine.storage(), tracing);
  } catch (error) {
    await server.close();
    await closeReviews();
    telemetry.close();
    if (typeof udp !== "string") await udp.stop();
    throw error;
  }
  return {
    url: urlOf(server, config),
    engine,
    udp,
    store: typeof reviews === "string" ? reviews : { path: dataPath(config) },
    llm,
    live,
    guard,
    stop: async (deadlineMs) => {
      beginStop();
      storageTraces?.close();
      engine.beginStop();
      // Who is slow to send must not take the time that the log and the snapshots need.
      const clientsMsMax = Math.min(STOP_CLIENTS_MS_MAX, live.current.drainMsMax / 4);
      await requests.idle(clientsMsMax);
      await closeServer(server, clientsMsMax);
      await stopSenders(udp, backups);
      // What was spent is asked of the engine, and the last of its verdicts are taken of it.
      if (typeof reviews !== "string") await reviews.llmLimits.close();
      await engine.stop({ deadlineMs });
      await closeReviews();
      stage.close();
      telemetry.close();
    },
  };
}

function urlOf({ server }: FastifyInstance, { httpHost, httpPort }: Config): string {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : httpPort;
  return `http://${urlHost(httpHost)}:${port}`;
}

/** What a reload changes of engine and log. */
function liveConfigOf(config: Config, engine: Engine, log: Log): LiveConfig {
  const live = new LiveConfig(config);
  live.onChange(({ logLevel }) => void (log.level = logLevel));
  live.onChange((changed) => {
    engine.ack = changed.ack as AckWish;
    engine.setQuotaDefaults(quotaOf(changed)).catch((error: Error) => {
      log.error({ reason: error.message }, "the new quotas are not in force in all shards");
    });
  });
  return live;
}

async function stopSenders(udp: UdpIngest | string, backups: Backups | string): Promise<void> {
  if (typeof udp !== "string") await udp.stop();
  if (typeof backups !== "string") await backups.stop();
}

/** Of all that is kept; or, in words, why there is nothing. */
function backupsOf(
  live: LiveConfig,
  engine: EngineDoor,
  reviews: ReviewDesk | string,
  log: Log,
): Backups | string {
  const files = dataFilesOf(live.current);
  if (files === undefined) return "this process keeps nothing";
  const { all: paths, backups: folder } = files;
  const holds: Hold[] = [(gate) => engine.holdLog(gate)];
  if (typeof reviews !== "string") holds.push((gate) => reviews.hold(gate));
  const product = `NexusCore ${VERSION}`;
  const keepCount = (): number => live.current.backupKeep;
  return new Backups({ paths, folder, keepCount, product, holds, log });
}

/** Messages are judged without it, too: by policies that are kept until the process ends. */
async function openReviews(
  engine: EngineDoor,
  config: Config,
  log: Log,
): Promise<ReviewDesk | string> {
  try {
    const reviews = await ReviewDesk.open({
      path: dataPath(config),
      log,
      targets: config.webhookTargets as WebhookTargets,
      turns: async (tenant, conversation) => engine.turns(tenant, conversation),
    });
    return reviews;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const { message: reason } = error;
    log.warn({ reason }, "no review queue, and policies are kept until the process ends only");
    return reason;
  }
}

/** In the data directory: log and snapshots. */
const STATE_FILE = "state.db";

/** How tenants outlive the process; undefined: they do not. */
function durabilityOf(config: Config): EngineSettings["durability"] {
  const { dataDir, ack, logBytesMax, recoveryMsMax, datagramLog } = config;
  if (dataDir === IN_MEMORY) return undefined;
  return {
    path: join(resolve(dataDir), STATE_FILE),
    ack: ack as AckWish,
    logBytesMax,
    recoveryMsMax,
    datagramLog: datagramLog === "on",
  };
}

function dataPath({ dataDir }: Config): string {
  return dataDir === IN_MEMORY ? IN_MEMORY : join(resolve(dataDir), "moderation.db");
}

function moderationOn(
  reviews: ReviewDesk | string,
  engine: EngineDoor,
  llm: LlmSettings | undefined,
): ModerationParts {
  const inMemory = limitsInMemory(engine);
  const defaults =
    llm === undefined
      ? inMemory.defaults
      : { budget: llm.budget, runningMax: llm.tenantRunningMax };
  if (typeof reviews === "string") {
    return { ...moderationInMemory(), reviews, llm: { ...inMemory, defaults } };
  }
  const { policies, history, quotas, llmLimits: keeper } = reviews;
  if (engine.llm !== undefined) keeper.attach(engine.llm);
  const onFeedback: FeedbackListener = (feedback) => reviews.takeFeedback(feedback);
  return { policies, history, onFeedback, reviews, quotas, llm: { defaults, keeper } };
}

/** Whatever of it is not to be had is left out, and told by `/v1/system/kernel`. */
async function startTelemetry(udp: UdpIngest | string, config: Config): Promise<Telemetry> {
  const { openTelemetry } = await import("#kernel/telemetry.ts");
  const udpPort = typeof udp === "string" ? 0 : udp.port;
  return openTelemetry({ level: config.kernelTelemetry as TelemetryLevel, udpPort });
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

/** Without its port the server goes on, over HTTP alone, and says so. */
async function openUdp(stage: Stage, config: Config, log: Log): Promise<UdpIngest | string> {
  const { udpHost: host, udpPort: port, turnMs, busyTurnMs } = config;
  try {
    const { startUdpIngest } = await import("#ingest/udp.ts");
    return await startUdpIngest(stage, { host, port, turnMs, busyTurnMs });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const place = `${host}:${port}`;
    const reason =
      code === "EADDRINUSE"
        ? `UDP ${place} is taken by another program; choose another with --udp-port`
        : `UDP ${place} cannot be had: ${message}`;
    log.warn({ udpHost: host, udpPort: port, code }, `no event datagrams: ${reason}`);
    return reason;
  }
}

function datagramFacts(udp: UdpIngest | string): DatagramFacts {
  if (typeof udp === "string") return { status: "off", reason: udp };
  const { host, port, facts } = udp;
  return { status: "on", host, port, ...facts, missing: [...facts.missing] };
}
