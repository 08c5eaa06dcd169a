/**
 * How much JavaScript allocates: V8's own running total of all heaps' allocations (it only grows, so a
 * garbage collection in between changes nothing). Bytes outside the JavaScript heap (Wasm memory,
 * buffers) are not in it.
 */
import { getHeapStatistics } from "node:v8";

/** Bytes since the process started, collected or not; NaN where V8 does not tell. */
export function allocatedBytes(): number {
  const statistics = getHeapStatistics() as { total_allocated_bytes?: number };
  return statistics.total_allocated_bytes ?? NaN;
}
