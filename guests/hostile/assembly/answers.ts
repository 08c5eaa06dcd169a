// What the hostile guest answers where the world asks for more than `trending`: numbers that follow from
// every byte it ever saw, and its texts, as long as it is well.
import { ConversationItem, Participant, RollingText, SummaryReport, TermCount } from "./world.gen";
import { CONVERSATION_ITEM_BYTES, CONVERSATION_REPORT_BYTES, ConversationReport } from "./world.gen";
import { PARTICIPANT_BYTES, SUMMARY_REPORT_BYTES, TERM_COUNT_BYTES } from "./world.gen";
import { TEXT_LINE_BYTES, TextLine } from "./world.gen";
import { LATE_EXAMPLE_BYTES, LateExample, METRIC_SUMMARY_BYTES, MetricSummary } from "./world.gen";
import { QUANTILE_BYTES, Quantile, RATE_BYTES, Rate } from "./world.gen";
import { alloc } from "./arena";
import { TEXT_COUNT, TEXT_SLOT_BYTES, TEXTS } from "./texts";

export function summaryOf(hash: u32, events: u32, span: u32, limit: u32): usize {
  const report = changetype<SummaryReport>(alloc(SUMMARY_REPORT_BYTES, 8));
  report.span = <u8>span;
  report.asOfMs = <f64>hash * 1.7976931348623157e298;
  report.windowStartMs = -Infinity;
  report.windowEndMs = reinterpret<f64>((<u64>hash << 32) | hash); // Any double, NaN too.
  report.watermarkMs = -0.0;
  report.eventCount = <f64>events;
  report.weightSum = f64.MIN_VALUE;
  report.userCount = <f64>hash;
  report.lateCount = <f64>~hash;
  report.ratesLen = 3;
  report.ratesPtr = <u32>alloc(report.ratesLen * RATE_BYTES, 8);
  store<f64>(<usize>report.ratesPtr + offsetof<Rate>("perSecond"), <f64>hash / 3);
  report.lateByLatenessLen = 5;
  report.lateByLatenessPtr = <u32>alloc(report.lateByLatenessLen * 8, 8);
  store<f64>(<usize>report.lateByLatenessPtr + 16, <f64>hash);
  fillLate(report, hash);
  fillMetrics(report, hash);
  report.termsLen = min(limit, TEXT_COUNT);
  report.termsPtr = <u32>alloc(report.termsLen * TERM_COUNT_BYTES, 4);
  for (let index: u32 = 0; index < report.termsLen; index++) {
    const term = changetype<TermCount>(<usize>report.termsPtr + index * TERM_COUNT_BYTES);
    term.termPtr = textAt(index);
    term.termLen = textBytes(index);
    term.count = hash * (index + 1);
    term.exact = <u8>(index & 1);
  }
  const text = changetype<RollingText>(changetype<usize>(report) + offsetof<SummaryReport>("textTextPtr"));
  fillText(text, hash);
  return changetype<usize>(report);
}

function fillLate(report: SummaryReport, hash: u32): void {
  report.lateExamplesLen = 4;
  report.lateExamplesPtr = <u32>alloc(report.lateExamplesLen * LATE_EXAMPLE_BYTES, 8);
  for (let index: u32 = 0; index < report.lateExamplesLen; index++) {
    const at = <usize>report.lateExamplesPtr + index * LATE_EXAMPLE_BYTES;
    const example = changetype<LateExample>(at);
    example.eventIdSome = <u8>((hash >> index) & 1);
    example.eventIdPtr = textAt(index);
    example.eventIdLen = textBytes(index);
    example.tsMs = -(<f64>hash);
    example.lateByMs = <f64>index;
  }
}

function fillMetrics(report: SummaryReport, hash: u32): void {
  report.metricsLen = 3;
  report.metricsPtr = <u32>alloc(report.metricsLen * METRIC_SUMMARY_BYTES, 8);
  for (let index: u32 = 0; index < report.metricsLen; index++) {
    const at = <usize>report.metricsPtr + index * METRIC_SUMMARY_BYTES;
    const metric = changetype<MetricSummary>(at);
    metric.namePtr = textAt(index);
    metric.nameLen = textBytes(index);
    metric.mean = NaN;
    metric.collapsedBelow = -Infinity;
    metric.quantilesLen = index + 1;
    metric.quantilesPtr = <u32>alloc(metric.quantilesLen * QUANTILE_BYTES, 8);
    const quantile = changetype<Quantile>(<usize>metric.quantilesPtr);
    quantile.value = <f64>hash * 0.5;
    quantile.isMax = <u8>(hash & 1);
  }
}

/** A list in the memory: where it is and how long. */
export function conversationsOf(hash: u32, limit: u32): usize {
  const list = alloc(8, 4);
  const count = min(limit, TEXT_COUNT);
  const items = alloc(count * CONVERSATION_ITEM_BYTES, 8);
  for (let index: u32 = 0; index < count; index++)
    fillItem(changetype<ConversationItem>(items + index * CONVERSATION_ITEM_BYTES), hash, index);
  store<u32>(list, <u32>items);
  store<u32>(list, count, 4);
  return list;
}

/** Some, under the name that was asked for, or none, as the id's length will have it. */
export function conversationOf(hash: u32, id: u32, idBytes: u32): usize {
  const option = alloc(8 + CONVERSATION_REPORT_BYTES, 8);
  if ((idBytes & 1) == 0) return option;
  store<u8>(option, 1);
  const report = changetype<ConversationReport>(option + 8);
  const item = changetype<ConversationItem>(changetype<usize>(report));
  fillItem(item, hash, idBytes % TEXT_COUNT);
  item.idPtr = id;
  item.idLen = idBytes;
  report.participantsLen = TEXT_COUNT;
  report.participantsPtr = <u32>alloc(TEXT_COUNT * PARTICIPANT_BYTES, 8);
  for (let index: u32 = 0; index < TEXT_COUNT; index++) {
    const at = <usize>report.participantsPtr + index * PARTICIPANT_BYTES;
    const participant = changetype<Participant>(at);
    participant.userPtr = textAt(index);
    participant.userLen = textBytes(index);
    participant.eventCount = <f64>(hash ^ index);
  }
  const text = changetype<usize>(report) + offsetof<ConversationReport>("textTextPtr");
  fillText(changetype<RollingText>(text), hash);
  return option;
}

/** A portable form that no merger takes: the bytes that this guest keeps of everything. */
export function sketchOf(hash: u32, span: u32): usize {
  const list = alloc(8, 4);
  const bytes = alloc(64, 8);
  for (let at: usize = 0; at < 64; at += 4) store<u32>(bytes + at, hash * (<u32>at + span + 1));
  store<u32>(list, <u32>bytes);
  store<u32>(list, 64, 4);
  return list;
}

function fillItem(item: ConversationItem, hash: u32, index: u32): void {
  item.idPtr = textAt(index);
  item.idLen = textBytes(index);
  item.eventCount = <f64>hash / 7;
  item.userCount = <f64>index;
  item.firstMs = -Infinity;
  item.lastMs = Infinity;
  item.late = <u8>(hash & 1);
}

function fillText(text: RollingText, hash: u32): void {
  text.textPtr = textAt(0);
  text.textLen = textBytes(0);
  text.revision = <f64>hash;
  text.linesLen = TEXT_COUNT;
  text.linesPtr = linesOf(TEXT_COUNT, hash);
  text.openQuestionsLen = hash & 3;
  text.openQuestionsPtr = linesOf(text.openQuestionsLen, hash + 1);
  text.decisionsLen = 1;
  text.decisionsPtr = linesOf(text.decisionsLen, hash + 2);
}

function linesOf(count: u32, hash: u32): u32 {
  const lines = alloc(count * TEXT_LINE_BYTES, 8);
  for (let index: u32 = 0; index < count; index++) {
    const line = changetype<TextLine>(lines + index * TEXT_LINE_BYTES);
    line.kind = <u8>(index % 3);
    line.userSome = <u8>(index & 1);
    line.userPtr = textAt(index);
    line.userLen = textBytes(index);
    line.tsMs = <f64>(hash >> index);
    line.eventIdSome = <u8>((hash >> index) & 1);
    line.eventIdPtr = textAt(index);
    line.eventIdLen = 0; // An empty text is a text.
    line.textPtr = textAt(index);
    line.textLen = textBytes(index);
  }
  return <u32>lines;
}

@inline
function textAt(index: u32): u32 {
  return <u32>(TEXTS + index * TEXT_SLOT_BYTES) + 4;
}

@inline
function textBytes(index: u32): u32 {
  return load<u32>(TEXTS + index * TEXT_SLOT_BYTES);
}
