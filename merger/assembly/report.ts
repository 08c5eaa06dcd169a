// What was merged, as numbers for the host (src/merger/merger.ts reads them):
//
//    0 f64 from, to (epoch ms), 6 counts, users, relative standard error of users
//   80 u32 metrics, u32 where their reports are | 88 u32 where the terms are, u32 0
//   96 reports of metrics, METRIC_REPORT_BYTES each (portable-metric.ts)
//
// Terms are a section of the portable form, cut to the limit.
import { reportPortable } from "../../guests/sdk/assembly/sketches/metric-merge";
import {
  METRIC_REPORT_BYTES, MetricReport, SECTION_HEADER_BYTES,
} from "../../guests/sdk/assembly/sketches/portable-metric";
import { TermMerge } from "../../guests/sdk/assembly/sketches/term-merge";
import { OUTPUT, REPORT } from "./layout";
import { COUNTS_BYTES } from "./portable";
import { MergedUsers } from "./users";

const HEAD_BYTES: u32 = 96;

export function writeReport(
  startMs: f64, endMs: f64, counts: usize, users: MergedUsers, metrics: usize, terms: TermMerge,
  limit: u32,
): usize {
  const events = load<f64>(counts);
  store<f64>(REPORT, startMs);
  store<f64>(REPORT, endMs, 8);
  memory.copy(REPORT + 16, counts, COUNTS_BYTES);
  // People are whole, and whoever was there has said something.
  store<f64>(REPORT, min<f64>(nearest<f64>(users.estimate), events), 64);
  store<f64>(REPORT, users.error, 72);
  const count = load<u32>(metrics);
  store<u32>(REPORT, count, 80);
  store<u32>(REPORT, <u32>REPORT + HEAD_BYTES, 84);
  store<u32>(REPORT, <u32>OUTPUT, 88);
  let metric = <u32>metrics + SECTION_HEADER_BYTES;
  for (let index: u32 = 0; index < count; index++) {
    const to = REPORT + HEAD_BYTES + <usize>index * METRIC_REPORT_BYTES;
    memory.fill(to, 0, METRIC_REPORT_BYTES);
    metric = reportPortable(metric, changetype<MetricReport>(to));
  }
  terms.encode(OUTPUT, limit);
  return REPORT;
}
