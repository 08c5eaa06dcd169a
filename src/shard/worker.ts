/** The thread of a shard: sleeps on the ring, steps the shard, posts the answers. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { Batcher } from "#batcher/batcher.ts";
import { bindClassifier } from "#classifier/classifier.ts";
import { IsolateHost } from "#isolate/host.ts";
import { ModeratorHost } from "#isolate/moderator-host.ts";
import { Drain } from "#kernel/drain.ts";
import { Merger } from "#merger/merger.ts";
import { REVIEWS_STOP_MS_MAX } from "#model/limits.ts";
import { VerdictIds } from "#model/verdict-id.ts";
import { RingReader } from "#std/byte-ring.ts";
import { SEND_MS } from "./consultations.ts";
import {
  ShardCounters,
  type ShardControl,
  type ShardMessage,
  type ShardSettings,
} from "./protocol.ts";
import { Shard } from "./shard.ts";
import { LoggedTurns } from "./shard-log.ts";
import { TenantCap } from "./tenant-cap.ts";

/** How long the thread sleeps at most; idle tenants are looked after that often. */
const IDLE_MS = 250;
/** The same with a kernel stage, whose turns wake nobody. */
const STAGE_IDLE_MS = 20;

/** Instances that run moderators, of those that run the tenants' other components. */
const MODERATOR_SLOTS_SHARE = 1 / 4;

run(workerData as ShardSettings);

function run(settings: ShardSettings): void {
  const ring = new RingReader(settings.ring);
  const { tenantCountMax, stage } = settings;
  const idleMs = stage === undefined ? IDLE_MS : STAGE_IDLE_MS;
  const batcher = new Batcher({ tenantCountMax });
  const log =
    settings.log === undefined
      ? undefined
      : new LoggedTurns(settings.log, settings.shard, tenantCountMax, (tenant) =>
          batcher.tenantName(tenant),
        );
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
      component: moderators.admit(settings.moderator),
      ids: new VerdictIds(settings),
      gateway: settings.gateway,
    },
    policies: settings.policies,
    log,
    merger: new Merger(),
    drain: stage === undefined ? undefined : new Drain(stage, settings),
  });
  log?.recover(shard);
  post({ type: "ready" });
  const takesControl = settings.gateway !== undefined;
  let stopMsMax = Infinity;
  for (;;) {
    ring.look();
    if (takesControl) takeControl(shard);
    step(shard, log);
    if (ring.bytesUsed > 0 || shard.draining) continue;
    if (ring.stopping && !(log?.isHolding ?? false)) {
      if (shard.openReviewCount === 0) break;
      stopMsMax = Math.min(stopMsMax, performance.now() + REVIEWS_STOP_MS_MAX);
      if (performance.now() >= stopMsMax) break;
    }
    ring.wait(shard.moderation?.hasUnsent === true ? SEND_MS : idleMs);
  }
  shard.moderation?.stopReviews(Date.now());
  postReviews(shard);
  post({ type: "stopped" });
}

function step(shard: Shard, log: LoggedTurns | undefined): void {
  const nowMs = Date.now();
  const made = shard.step(nowMs);
  log?.seal(nowMs);
  log?.snapshot(shard, nowMs);
  const answers = log === undefined ? made : log.release(made);
  // Before the answers: who is told of a request's events has been told of their verdicts.
  const verdicts = shard.takeVerdicts();
  if (verdicts.length > 0) post({ type: "verdicts", json: JSON.stringify(verdicts) });
  if (answers.length > 0) post({ type: "answers", answers });
  postReviews(shard);
}

/** After the verdicts that they are the reviews of. */
function postReviews(shard: Shard): void {
  const reviews = shard.takeReviews();
  if (reviews.length > 0) post({ type: "reviews", json: JSON.stringify(reviews) });
}

function takeControl(shard: Shard): void {
  for (;;) {
    const received = receiveMessageOnPort(parentPort!) as { message: ShardControl } | undefined;
    if (received === undefined) return;
    const { message } = received;
    if (message.type === "gateway") shard.moderation?.attachGateway(message.port);
    else shard.moderation?.stopReviews(Date.now());
  }
}

function post(message: ShardMessage): void {
  parentPort!.postMessage(message);
}
