/** The running product: engine and HTTP together. Used by serve, demo and replay. */
import { limitConnections } from "#api/connection-limits.ts";
import { LiveConfig } from "#config/live.ts";
import type { Config } from "#config/options.ts";
import { Backups, type Hold } from "#engine/backups.ts";
import type { EngineDoor } from "#engine/door.ts";
import type { Engine } from "#engine/engine.ts";
import type { EngineSettings } from "#engine/engine-settings.ts";
import type { UdpIngest } from "#ingest/udp.ts";
import type { Stage } from "#kernel/stage.ts";
import type { Telemetry } from "#kernel/telemetry.ts";
import type { LlmSettings } from "#llm/settings.ts";
import { HTTP_BACKLOG_MAX, STOP_CLIENTS_MS_MAX } from "#model/limits.ts";
import type { AckWish } from "#model/storage.ts";
import type { Log } from "#observe/log.ts";
import type { Tracing } from "#observe/tracing.ts";
import type { ReviewDesk } from "#review/desk.ts";
import type { FastifyInstance } from "fastify";
import { dataFilesOf } from "./data-files.ts";
import { openUdp, startTelemetry } from "./datagrams.ts";
import { datagramsOff, Guard } from "./guard.ts";
import { llmSettingsOf, llmWarnings } from "./llm-settings.ts";
import { moderationOn, openReviews, PendingReviews, reviewPathOf } from "./moderation-parts.ts";
import { OpenRequests } from "./open-requests.ts";
import { beReady } from "./ready.ts";
import { type AssembledServer, assembleServer, closeServer } from "./server.ts";
import { quotaOf, resumeDeletions } from "./tenant-care.ts";
import { StorageTraces, traced, tracingOf } from "./traces.ts";
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
  const { engine, config, log, llm, pending, guard, tracing } = parts;
  const live = liveConfigOf(config, engine, log);
  guard.follow(live);
  for (const { what, fix } of llm === undefined ? [] : llmWarnings(llm)) log.warn({ fix }, what);
  const udp = await openDatagrams(parts);
  const telemetry = await startTelemetry(udp, config);
  const reviews = await openReviews(engine, config, log);
  if (typeof reviews !== "string") pending.desk = reviews;
  const backups = backupsOf(live, engine, reviews, log);
  const assembled = await assembleServer(engine, log, {
    udp,
    telemetry: telemetry.report,
    moderation: moderationOn(reviews, engine, llm),
    guard,
    backups,
    slowRequestMs: () => live.current.slowRequestMs,
    tracing,
  });
  const { server, deletions } = assembled;
  limitConnections(server.server, config);
  const requests = new OpenRequests(server.server);
  const opened = { ...parts, live, udp, telemetry, reviews, backups, assembled, requests };
  try {
    const { httpHost: host, httpPort: port } = config;
    await server.listen({ host, port, backlog: HTTP_BACKLOG_MAX });
    await beReady(engine, reviews, log, async () => resumeDeletions(deletions, log));
  } catch (error) {
    await server.close();
    if (typeof reviews !== "string") await reviews.close();
    telemetry.close();
    if (typeof udp !== "string") await udp.stop();
    throw error;
  }
  const storage =
    tracing === undefined ? undefined : new StorageTraces(() => engine.storage(), tracing);
  return {
    url: urlOf(server, config),
    engine,
    udp,
    store: typeof reviews === "string" ? reviews : { path: reviewPathOf(config) },
    llm,
    live,
    guard,
    stop: async (deadlineMs) => {
      storage?.close();
      await stopOpened(opened, deadlineMs);
    },
  };
}

type OpenedParts = OpenParts & {
  readonly live: LiveConfig;
  readonly udp: UdpIngest | string;
  readonly telemetry: Telemetry;
  readonly reviews: ReviewDesk | string;
  readonly backups: Backups | string;
  readonly assembled: AssembledServer;
  readonly requests: OpenRequests;
};

async function stopOpened(parts: OpenedParts, deadlineMs: number | undefined): Promise<void> {
  const { engine, stage, live, udp, telemetry, reviews, backups, assembled, requests } = parts;
  assembled.beginStop();
  engine.beginStop();
  // Who is slow to send must not take the time that the log and the snapshots need.
  const clientsMsMax = Math.min(STOP_CLIENTS_MS_MAX, live.current.drainMsMax / 4);
  await requests.idle(clientsMsMax);
  await closeServer(assembled.server, clientsMsMax);
  if (typeof udp !== "string") await udp.stop();
  if (typeof backups !== "string") await backups.stop();
  // What was spent is asked of the engine, and the last of its verdicts are taken of it.
  if (typeof reviews !== "string") await reviews.llmLimits.close();
  await engine.stop({ deadlineMs });
  if (typeof reviews !== "string") await reviews.close();
  stage.close();
  telemetry.close();
}

/** Datagrams carry no key: with the first one they end, unless somebody asked for them. */
async function openDatagrams({
  stage,
  config,
  log,
  guard,
}: OpenParts): Promise<UdpIngest | string> {
  const udp = datagramsOff(config, guard) ?? (await openUdp(stage, config, log));
  guard.desk.onFirst = () => {
    const reason = datagramsOff(config, guard);
    if (typeof udp === "string" || reason === undefined) return;
    log.warn({ reason }, "no event datagrams from now on");
    void udp.stop();
  };
  return udp;
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

/** How tenants outlive the process; undefined: they do not. */
function durabilityOf(config: Config): EngineSettings["durability"] {
  const { ack, logBytesMax, recoveryMsMax, datagramLog } = config;
  const files = dataFilesOf(config);
  if (files === undefined) return undefined;
  return {
    path: files.state,
    ack: ack as AckWish,
    logBytesMax,
    recoveryMsMax,
    datagramLog: datagramLog === "on",
  };
}
