/**
 * How much JavaScript allocates: V8's own running total (it only grows, so a collection in between
 * hides nothing). A collection that moves young objects counts them once more, so make none young
 * before measuring: `collectGarbage`. V8 counts whole areas of 256 KiB, so measure over many
 * events. Bytes outside the JavaScript heap (Wasm memory, buffers) are not in it.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes since the process started, collected or not; NaN where V8 does not tell. */
export function allocatedBytes(): number {
  const statistics = getHeapStatistics() as { total_allocated_bytes?: number };
  return statistics.total_allocated_bytes ?? NaN;
}

/** A full collection: what survives is old from here on. */
export function collectGarbage(): void {
  collect ??= exposeCollector();
  collect();
}

let collect: (() => void) | undefined;

function exposeCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
