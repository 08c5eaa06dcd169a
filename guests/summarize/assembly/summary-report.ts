// The answer of `summary`: a window in numbers, each with its error or interval, and the text.
import { alloc } from "../../sdk/assembly/arena";
import { LATENESS_COUNT, LateExample as Example } from "../../sdk/assembly/sketches/late-ledger";
import { METRIC_REPORT_BYTES, MetricReport } from "../../sdk/assembly/sketches/portable-metric";
import { QUANTILES } from "../../sdk/assembly/sketches/quantile-ranks";
import { RATE_COUNT, tauMs } from "../../sdk/assembly/sketches/rates";
import { openWriter } from "../../sdk/assembly/writer";
import { fillText } from "./conversation-answer";
import { textOf } from "./conversation-report";
import { reportMetric } from "./metrics";
import { ownRecord } from "./own-text";
import {
  isKept, ledger, metrics, rates, spanEndMs, spanStartMs, state, table, timeline,
  users, weights,
} from "./state";
import { termsOf } from "./summary-terms";
import {
  LATE_EXAMPLE_BYTES, LateExample, METRIC_SUMMARY_BYTES, MetricSummary, QUANTILE_BYTES, Quantile,
  Rate, RATE_BYTES, RollingText, SUMMARY_REPORT_BYTES, SummaryReport, TERM_COUNT_BYTES, TermCount,
} from "./world.gen";

const TERMS_MAX: u32 = 50;

export function summaryReport(span: u32, limit: u32): usize {
  const it = state();
  const answer = changetype<SummaryReport>(alloc(SUMMARY_REPORT_BYTES));
  answer.span = <u8>span;
  answer.asOfMs = it.asOfMs;
  answer.windowStartMs = spanStartMs(span);
  answer.windowEndMs = spanEndMs(span);
  answer.watermarkMs = it.watermarkMs;
  if (it.version == 0 || !isKept(span)) return changetype<usize>(answer);
  const pane = table().pane;
  answer.eventCount = timeline().count(span);
  answer.weightSum = timeline().weight(span, weights());
  const userCount = users().count(span, pane);
  answer.userCount = nearest<f64>(userCount);
  answer.userCountError = users().errorOf(span, pane, userCount);
  answer.duplicateCount = <f64>it.duplicateCount;
  answer.repeatedCount = <f64>it.repeatedCount;
  answer.metricsRefused = metrics().refused + metrics().ignored;
  writeRates(answer);
  writeLate(answer);
  writeMetrics(answer, span);
  writeTerms(answer, span, min(limit, TERMS_MAX));
  const text = changetype<usize>(answer) + offsetof<SummaryReport>("textTextPtr");
  fillText(changetype<RollingText>(text), textOf(ownRecord()));
  return changetype<usize>(answer);
}

function writeRates(answer: SummaryReport): void {
  const list = alloc(<usize>RATE_COUNT * RATE_BYTES);
  for (let index: u32 = 0; index < RATE_COUNT; index++) {
    const rate = changetype<Rate>(list + <usize>index * RATE_BYTES);
    rate.spanMs = tauMs(index);
    rate.overMs = rates().overMs(index, state().asOfMs);
    rate.perSecond = rates().perSecond(index, state().asOfMs);
  }
  answer.ratesPtr = <u32>list;
  answer.ratesLen = RATE_COUNT;
}

function writeLate(answer: SummaryReport): void {
  const late = ledger();
  answer.lateCount = late.count;
  answer.lateLateByMsMax = late.lateByMsMax;
  answer.lateCountedInLonger = late.countedInLonger;
  const classes = alloc(LATENESS_COUNT << 3);
  for (let index: u32 = 0; index < LATENESS_COUNT; index++)
    store<f64>(classes + (<usize>index << 3), late.byLateness(index));
  answer.lateByLatenessPtr = <u32>classes;
  answer.lateByLatenessLen = LATENESS_COUNT;
  const count = late.exampleCount(state().lateExamples);
  const examples = alloc(<usize>count * LATE_EXAMPLE_BYTES);
  for (let index: u32 = 0; index < count; index++) {
    const at = examples + <usize>index * LATE_EXAMPLE_BYTES;
    writeExample(changetype<LateExample>(at), late.example(index));
  }
  answer.lateExamplesPtr = <u32>examples;
  answer.lateExamplesLen = count;
}

function writeExample(to: LateExample, example: Example): void {
  to.tsMs = example.tsMs;
  to.lateByMs = example.lateByMs;
  if (example.idBytes == 0) return;
  const id = openWriter(example.idBytes + 3).bytes(example.id, example.idBytes);
  if (example.isCut) id.literal("…");
  to.eventIdSome = 1;
  to.eventIdPtr = id.start;
  to.eventIdLen = id.length;
}

function writeMetrics(answer: SummaryReport, span: u32): void {
  const store = metrics();
  const list = alloc(<usize>store.count * METRIC_SUMMARY_BYTES);
  const found = changetype<MetricReport>(alloc(METRIC_REPORT_BYTES));
  answer.metricsPtr = <u32>list;
  for (let metric: u32 = 0; metric < store.count; metric++) {
    if (!reportMetric(store, metric, span, found)) continue;
    const at = list + <usize>answer.metricsLen * METRIC_SUMMARY_BYTES;
    writeMetric(changetype<MetricSummary>(at), found);
    answer.metricsLen += 1;
  }
}

function writeMetric(to: MetricSummary, from: MetricReport): void {
  to.namePtr = from.name;
  to.nameLen = from.nameBytes;
  to.count = from.count;
  to.sum = from.sum;
  to.mean = from.mean;
  to.stddev = from.deviation;
  to.min = from.min;
  to.max = from.max;
  to.relativeError = from.relativeError;
  to.collapsedBelow = from.collapsedBelow;
  to.shortened = <u8>from.isShortened;
  const list = alloc(<usize>QUANTILES * QUANTILE_BYTES);
  to.quantilesPtr = <u32>list;
  to.quantilesLen = QUANTILES;
  for (let index: u32 = 0; index < QUANTILES; index++) {
    const quantile = changetype<Quantile>(list + <usize>index * QUANTILE_BYTES);
    const answer = from.quantile(index);
    quantile.q = answer.q;
    quantile.value = answer.value;
    quantile.low = answer.low;
    quantile.high = answer.high;
    quantile.isMax = <u8>answer.isMax;
  }
}

function writeTerms(answer: SummaryReport, span: u32, limit: u32): void {
  const terms = termsOf(span, limit);
  const count = terms.count;
  const list = alloc(<usize>count * TERM_COUNT_BYTES);
  for (let rank: u32 = 0; rank < count; rank++) {
    const term = terms.at(rank);
    const to = changetype<TermCount>(list + <usize>rank * TERM_COUNT_BYTES);
    to.termPtr = term.key;
    to.termLen = term.keyBytes;
    to.count = whole(term.low);
    to.countLow = to.count;
    to.countHigh = whole(term.high);
    to.exact = <u8>(to.countLow == to.countHigh);
  }
  answer.termsPtr = <u32>list;
  answer.termsLen = count;
}

@inline
function whole(count: f64): u32 {
  return <u32>min<f64>(count, 4294967295);
}
