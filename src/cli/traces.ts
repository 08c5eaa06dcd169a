/** Spans, where somebody wants them. */
import type { Config } from "#config/options.ts";
import type { Engine } from "#engine/engine.ts";
import type { StorageStats } from "#model/storage.ts";
import type { Tracing } from "#observe/tracing.ts";
import { VERSION } from "./version.ts";

const LOOK_MS = 1_000;

/** Who traces nothing loads nothing of it. */
export async function tracingOf({ traces }: Config): Promise<Tracing | undefined> {
  if (traces === "off") return undefined;
  const { Tracing } = await import("#observe/tracing.ts");
  return new Tracing(VERSION);
}

export async function traced(engine: Engine, tracing: Tracing): Promise<Engine> {
  const { tracedEngine } = await import("#engine/traced-engine.ts");
  return tracedEngine(engine, tracing);
}

/**
 * What the disk is asked for without anybody's request: the recovery of a start, and runs of
 * snapshots, which are seen from their counters once a second.
 */
export class StorageTraces {
  readonly #storage: () => StorageStats;
  readonly #tracing: Tracing;
  readonly #timer: NodeJS.Timeout;
  #run: { readonly startMs: number; readonly count: number; readonly bytes: number } | undefined;
  #count: number;
  #bytes: number;

  /** The engine has come back. */
  constructor(storage: () => StorageStats, tracing: Tracing, nowMs: number = Date.now()) {
    this.#storage = storage;
    this.#tracing = tracing;
    const stats = storage();
    this.#count = stats.snapshotCount;
    this.#bytes = stats.snapshotBytes;
    this.#tellRecovery(stats, nowMs);
    this.#timer = setInterval(() => this.look(Date.now()), LOOK_MS).unref();
  }

  #tellRecovery({ recovery }: StorageStats, nowMs: number): void {
    if (recovery === undefined || !("summary" in recovery)) return;
    const { readySeconds, tenants, snapshots, replayedTurns, lostCount } = recovery.summary;
    this.#tracing.past("nexuscore.recovery", nowMs - readySeconds * 1_000, nowMs, {
      "nexuscore.tenants": tenants,
      "nexuscore.snapshots": snapshots,
      "nexuscore.replayed_turns": replayedTurns,
      "nexuscore.lost_tenants": lostCount,
    });
  }

  /** A run lasts while each look finds more of them. */
  look(nowMs: number): void {
    const { snapshotCount, snapshotBytes } = this.#storage();
    const isMore = snapshotCount > this.#count;
    if (isMore) {
      this.#run ??= { startMs: nowMs - LOOK_MS, count: this.#count, bytes: this.#bytes };
    } else if (this.#run !== undefined) {
      const { startMs, count, bytes } = this.#run;
      this.#tracing.past("nexuscore.snapshots", startMs, nowMs - LOOK_MS, {
        "nexuscore.snapshots": snapshotCount - count,
        "nexuscore.bytes": snapshotBytes - bytes,
      });
      this.#run = undefined;
    }
    this.#count = snapshotCount;
    this.#bytes = snapshotBytes;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
