/**
 * The real isolate host with the built-in component, as the benchmarks of single parts drive it.
 */
import { readFileSync } from "node:fs";
import { IsolateHost } from "#isolate/host.ts";
import { BATCH_BYTES_MAX } from "#model/limits.ts";
import type { Outcome } from "#model/outcome.ts";
import { ALL_SPANS } from "#model/window.ts";
import type { BatchPool } from "../batches.ts";

const COMPONENT = new URL("../../guests/dist/summarize.component.wasm", import.meta.url);
/** Bytes that images may take: not what is measured here. */
const IMAGE_BYTES_MAX = 8 * 2 ** 30;
/** An event header; so many events are at most in a batch. */
const EVENT_BYTES_MIN = 32;
/** The product guards slices of turns, not each turn; so do we. */
const SLICE_TURNS = 128;
/** Wide: on a busy machine the guard must not take an unlucky turn for an endless one. */
const TURN_MS_MAX = 2_000;

/** Any time will do, as long as it is always the same one. */
export const START_MS = Date.UTC(2026, 0, 1);

export class Isolates {
  readonly host: IsolateHost;
  /** Events that the tenants said they counted, and those they took for repeats. */
  counted = 0;
  repeated = 0;
  readonly #component: number;
  readonly #report = new Uint32Array(5);
  readonly #fates = new Uint8Array(BATCH_BYTES_MAX / EVENT_BYTES_MIN);

  constructor(options: { slotCount: number; tenantCountMax: number }) {
    this.host = new IsolateHost({
      ...options,
      imageBytesMax: IMAGE_BYTES_MAX,
      turnMsMax: TURN_MS_MAX,
    });
    this.#component = this.host.admit(readFileSync(COMPONENT));
  }

  open(tenant: number): void {
    mustBeOk(this.host.open(tenant, this.#component, { clock: "wall", spans: ALL_SPANS }));
  }

  /** One turn; runs inside `slices`. */
  ingest(tenant: number, pool: BatchPool, batch: number): void {
    this.ingestBytes(tenant, pool.memory, pool.byteOffset(batch), pool.byteCount(batch));
  }

  ingestBytes(tenant: number, source: Uint8Array, byteOffset: number, byteCount: number): void {
    const report = this.#report;
    const outcome = this.host.ingest(tenant, source, byteOffset, byteCount, report, this.#fates);
    if (outcome !== "ok") mustBeOk(outcome);
    this.counted += report[0]!;
    this.repeated += report[3]!;
  }

  /** Events in the tenant's window now. */
  windowEventCount(tenant: number): number {
    const { outcome, report } = this.host.trending(tenant, 1, "count");
    mustBeOk(outcome);
    return report!.eventCount;
  }

  /** `turn(0)` … `turn(count - 1)`, in guarded slices as a shard runs them. */
  slices(count: number, turn: (index: number) => void): void {
    let next = 0;
    const slice = (): void => {
      const end = Math.min(next + SLICE_TURNS, count);
      for (; next < end; next++) turn(next);
    };
    while (next < count) {
      if (this.host.runSlice(slice) === "timedOut") throw new Error("a turn ran out of time");
    }
  }
}

export function mustBeOk(outcome: Outcome): void {
  if (outcome !== "ok") throw new Error(`a turn ended as ${outcome}`);
}

/** Answers the benchmark's one question with what `measure` finds. */
export function serveMeasurement<Settings, Figures>(
  measure: (settings: Settings) => Figures | Promise<Figures>,
): void {
  process.channel?.ref();
  process.once("message", (message: { settings: Settings }) => {
    void Promise.resolve(measure(message.settings)).then((figures) => {
      process.send!({ type: "measured", figures });
    });
  });
}
