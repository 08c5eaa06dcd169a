/** The thread of a shard: sleeps on the ring, steps the shard, posts the answers. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { Batcher } from "#batcher/batcher.ts";
import { bindClassifier } from "#classifier/classifier.ts";
import type { SqliteStore } from "#durable/sqlite-store.ts";
import { IsolateHost } from "#isolate/host.ts";
import { ModeratorHost } from "#isolate/moderator-host.ts";
import { Drain } from "#kernel/drain.ts";
import { Merger } from "#merger/merger.ts";
import { REVIEWS_STOP_MS_MAX } from "#model/limits.ts";
import { VerdictIds } from "#model/verdict-id.ts";
import { TenantQuota } from "#quota/tenant-quota.ts";
import { RingReader } from "#std/byte-ring.ts";
import { SEND_MS } from "./consultations.ts";
import {
  ShardCounters,
  type ShardControl,
  type ShardLog,
  type ShardMessage,
  type ShardSettings,
} from "./protocol.ts";
import { Shard } from "./shard.ts";
import { LoggedTurns } from "./shard-log.ts";
import { lastNumberOf, openKept, recoverShard } from "./shard-recovery.ts";
import { MODERATOR_WORLD, SUMMARIZER_WORLD } from "./replay.ts";
import { TenantCap } from "./tenant-cap.ts";
import { Upgrades, type UpgradingWorld } from "./upgrades.ts";

/** How long the thread sleeps at most; idle tenants are looked after that often. */
const IDLE_MS = 250;
/** The same with a kernel stage, whose turns wake nobody. */
const STAGE_IDLE_MS = 20;

/** Instances that run moderators, of those that run the tenants' other components. */
const MODERATOR_SLOTS_SHARE = 1 / 4;

run(workerData as ShardSettings);

function run(settings: ShardSettings): void {
  const ring = new RingReader(settings.ring);
  const { tenantCountMax, stage, quota, log: shared } = settings;
  const idleMs = stage === undefined ? IDLE_MS : STAGE_IDLE_MS;
  const batcher = new Batcher({ tenantCountMax });
  const store = shared === undefined ? undefined : openKept(shared, settings.shard);
  const log = store === undefined ? undefined : turnsOf(settings, shared!, store, batcher);
  const host = new IsolateHost({
    sink: log?.summarizer,
    slotCount: settings.slotCount,
    imageBytesMax: settings.imageBytesMax,
    tenantCountMax,
    guarded: !settings.trusted,
  });
  const moderators = new ModeratorHost(
    {
      slotCount: Math.ceil(settings.slotCount * MODERATOR_SLOTS_SHARE),
      imageBytesMax: settings.imageBytesMax,
      tenantCountMax,
      guarded: !settings.moderatorTrusted,
      sharesWith: host,
      sink: log?.moderator,
    },
    bindClassifier(settings.classifier),
  );
  const imports = settings.classifier.model;
  const shard = new Shard({
    shard: settings.shard,
    ring,
    batcher,
    host,
    component: host.admit(settings.component),
    counters: new ShardCounters(settings.counters),
    cap: new TenantCap(settings.tenantsTaken, settings.shard, tenantCountMax),
    moderation: {
      host: moderators,
      component: moderators.admit(settings.moderator, imports),
      ids: new VerdictIds(settings),
      gateway: settings.gateway,
    },
    quota: quota === undefined ? undefined : new TenantQuota({ tenantCountMax, limits: quota }),
    quotas: settings.quotas,
    log,
    merger: new Merger(),
    drain: stage === undefined ? undefined : new Drain(stage, settings),
  });
  const recovery =
    log === undefined
      ? undefined
      : recoverShard({ shared: shared!, shard, turns: log, store: store!, imports });
  shard.keepPolicies(settings.policies);
  post({ type: "ready", recovery });
  const toldBy = serveRing(shard, ring, log, upgradesOf(shard, log), idleMs);
  // What was told just before the ring stopped may have come after the last look.
  const stopBy = takeControl(shard, log) ?? toldBy;
  shard.moderation?.stopReviews(Date.now());
  postReviews(shard);
  log?.finish(shard, stopBy);
  post({ type: "stopped" });
}

/** Until the ring stops and is empty; returns by when the thread is to have ended, epoch ms. */
function serveRing(
  shard: Shard,
  ring: RingReader,
  log: LoggedTurns | undefined,
  upgrades: Upgrades,
  idleMs: number,
): number {
  let stopMsMax = Infinity;
  let stopBy = 0;
  for (;;) {
    ring.look();
    stopBy = takeControl(shard, log) ?? stopBy;
    step(shard, log, upgrades);
    if (ring.bytesUsed > 0 || shard.draining) continue;
    if (ring.stopping && !(log?.isHolding ?? false)) {
      if (shard.openReviewCount === 0) break;
      stopMsMax = Math.min(stopMsMax, performance.now() + REVIEWS_STOP_MS_MAX);
      if (performance.now() >= stopMsMax) break;
    }
    ring.wait(shard.moderation?.hasUnsent === true ? SEND_MS : idleMs);
  }
  return stopBy;
}

/** The log of a shard's turns, which goes on from what is kept. */
function turnsOf(
  { shard, tenantCountMax }: ShardSettings,
  shared: ShardLog,
  store: SqliteStore,
  batcher: Batcher,
): LoggedTurns {
  return new LoggedTurns({
    shared,
    shard,
    tenantCountMax,
    nameOf: (tenant) => batcher.tenantName(tenant),
    lastNumber: lastNumberOf(store, shared.stream),
  });
}

/** Tenants that a start brought back on an older component. */
function upgradesOf(shard: Shard, log: LoggedTurns | undefined): Upgrades {
  const { host, component, moderation, batcher } = shard.parts;
  const worlds: UpgradingWorld[] = [{ world: "summarizer", host, component }];
  if (moderation !== undefined) worlds.push({ ...moderation, world: "moderator" });
  return new Upgrades({
    worlds,
    tenantCount: () => batcher.tenantCount,
    moved: (tenant, world, number) => {
      const of = world === "summarizer" ? SUMMARIZER_WORLD : MODERATOR_WORLD;
      log?.upgraded(tenant, of, number);
    },
  });
}

function step(shard: Shard, log: LoggedTurns | undefined, upgrades: Upgrades): void {
  const nowMs = Date.now();
  const startMs = performance.now();
  const made = shard.step(nowMs);
  if (!upgrades.isOver) upgrades.step(nowMs, () => log?.claim(0) ?? true);
  let answers = made;
  if (log !== undefined) {
    log.seal(nowMs);
    log.snapshot(shard, performance.now() - startMs);
    answers = log.release(made, nowMs);
  }
  // Before the answers: who is told of a request's events has been told of their verdicts.
  const verdicts = shard.takeVerdicts();
  if (verdicts.length > 0) post({ type: "verdicts", json: JSON.stringify(verdicts) });
  if (answers.length > 0) post({ type: "answers", answers });
  postReviews(shard);
  const components = upgrades.news(nowMs);
  if (components !== undefined) post({ type: "components", stats: components });
}

/** After the verdicts that they are the reviews of. */
function postReviews(shard: Shard): void {
  const reviews = shard.takeReviews();
  if (reviews.length > 0) post({ type: "reviews", json: JSON.stringify(reviews) });
}

/** Returns by when the thread is to have ended, if that was told. */
function takeControl(shard: Shard, log: LoggedTurns | undefined): number | undefined {
  let stopBy: number | undefined;
  for (;;) {
    const received = receiveMessageOnPort(parentPort!) as { message: ShardControl } | undefined;
    if (received === undefined) return stopBy;
    const { message } = received;
    if (message.type === "gateway") shard.moderation?.attachGateway(message.port);
    else if (message.type === "endReviews") shard.moderation?.stopReviews(Date.now());
    else if (message.type === "stopBy") stopBy = message.deadlineMs;
    else for (const tenant of message.tenants) log?.changed(shard.find(tenant));
  }
}

function post(message: ShardMessage): void {
  parentPort!.postMessage(message);
}
