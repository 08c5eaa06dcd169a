// The merger's memory: 5.5 MiB that never grow. What is not touched is never backed by the system.
//
//   0x000000   64 KiB  statics, and the scratch of the sketches (guests/sdk/assembly/arena.ts)
//   0x010000    1 MiB  input: the sketch to be added; and output: what is handed out
//   0x110000  256 KiB  seen: table of what a list names, while it is checked; room to sort in
//   0x150000   64 KiB  users of all sketches: counts, list, bitmap, registers
//   0x160000   64 KiB  terms of all sketches
//   0x170000   64 KiB  report
//   0x180000    4 MiB  metrics of all sketches, and, in the other half, of them and one more
import {
  MERGE_METRIC_BINS_MAX, MERGE_METRIC_NAMES_MAX, METRIC_NAME_BYTES_MAX, SKETCH_BYTES_MAX,
} from "./limits.gen";

export const INPUT: usize = 0x10000;
export const OUTPUT: usize = INPUT;
export const SEEN: usize = 0x110000;
export const SEEN_BYTES: u32 = 0x40000;
export const MERGED: usize = 0x150000;
export const TERMS: usize = 0x160000;
export const REPORT: usize = 0x170000;
export const METRICS: usize = 0x180000;
/** Of each half: the metrics merged so far and those of one sketch. */
export const METRICS_BYTES: u32 = 0x200000;

/** Bytes of the metrics that are kept, at most. */
export const METRICS_KEPT_BYTES: u32 =
  8 + MERGE_METRIC_NAMES_MAX * (72 + METRIC_NAME_BYTES_MAX + MERGE_METRIC_BINS_MAX * 16);

// Whoever raises a limit beyond these places is told by a trap at once, not by wrong sums.
if (METRICS_KEPT_BYTES + SKETCH_BYTES_MAX > METRICS_BYTES) unreachable();
if (SKETCH_BYTES_MAX > <u32>(SEEN - INPUT)) unreachable();
