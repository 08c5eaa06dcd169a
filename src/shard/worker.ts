/** The thread of a shard: sleeps on the ring, steps the shard, posts the answers. */
import { parentPort, workerData } from "node:worker_threads";
import { Batcher } from "#batcher/batcher.ts";
import { IsolateHost } from "#isolate/host.ts";
import { Drain } from "#kernel/drain.ts";
import { Merger } from "#merger/merger.ts";
import { RingReader } from "#std/byte-ring.ts";
import { ShardCounters, type ShardMessage, type ShardSettings } from "./protocol.ts";
import { Shard } from "./shard.ts";
import { TenantCap } from "./tenant-cap.ts";

/** How long the thread sleeps at most; idle tenants are looked after that often. */
const IDLE_MS = 250;
/** The same with a kernel stage, whose turns wake nobody. */
const STAGE_IDLE_MS = 20;

run(workerData as ShardSettings);

function run(settings: ShardSettings): void {
  const ring = new RingReader(settings.ring);
  const { tenantCountMax, stage } = settings;
  const idleMs = stage === undefined ? IDLE_MS : STAGE_IDLE_MS;
  const host = new IsolateHost({
    slotCount: settings.slotCount,
    imageBytesMax: settings.imageBytesMax,
    tenantCountMax,
    guarded: !settings.trusted,
  });
  const shard = new Shard({
    shard: settings.shard,
    ring,
    batcher: new Batcher({ tenantCountMax }),
    host,
    component: host.admit(settings.component),
    counters: new ShardCounters(settings.counters),
    cap: new TenantCap(settings.tenantsTaken, settings.shard, tenantCountMax),
    merger: new Merger(),
    drain: stage === undefined ? undefined : new Drain(stage, settings),
  });
  post({ type: "ready" });
  while (!ring.stopping || ring.bytesUsed > 0 || shard.draining) {
    const answers = shard.step(Date.now());
    if (answers.length > 0) post({ type: "answers", answers });
    if (ring.bytesUsed === 0 && !shard.draining) ring.wait(idleMs);
  }
  post({ type: "stopped" });
}

function post(message: ShardMessage): void {
  parentPort!.postMessage(message);
}
