// Lies about what a question other than `trending` returned: each breaks the canonical ABI, or the
// world, in one place.
import { ConversationItem, ConversationReport, LateExample, MetricSummary } from "./world.gen";
import { Participant, SummaryReport, TEXT_LINE_BYTES, TermCount, TextLine } from "./world.gen";
import { MEMORY_BYTES, alloc } from "./arena";
import { LIE_TERM_CUT, LIE_TERM_SURROGATE, LIE_TERM_UTF8, badText } from "./lie";

const LIE_SPAN_OTHER: u32 = 60;
const LIE_SPAN_UNKNOWN: u32 = 61;
const LIE_SUMMARY_TERM: u32 = 62;
const LIE_SUMMARY_TERMS: u32 = 63;
const LIE_METRICS: u32 = 64;
const LIE_QUANTILES: u32 = 65;
const LIE_EXAMPLES_MISALIGNED: u32 = 66;
/** The list of numbers times 8 passes 2^32 and comes out small. */
const LIE_LATENESS_OVERFLOW: u32 = 67;
const LIE_LINE_KIND: u32 = 68;
const LIE_TEXT: u32 = 69;
const LIE_LINE_OPTION: u32 = 70;
/** Every line is the same 48 KiB of text: little memory, much to read. */
const LIE_LINES_AMPLIFY: u32 = 71;
const LIE_SUMMARY_WILD: u32 = 72;
const LIE_SUMMARY_MISALIGNED: u32 = 73;
/** The report begins within the memory and ends beyond it. */
const LIE_SUMMARY_EDGE: u32 = 74;
const LIE_EXAMPLE_OPTION: u32 = 75;

const LIE_LIST_WILD: u32 = 80;
const LIE_LIST_LENGTH: u32 = 81;
const LIE_LIST_MISALIGNED: u32 = 82;
const LIE_LIST_ID: u32 = 83;
/** The list of items times 56 passes 2^32 and comes out as 24. */
const LIE_LIST_OVERFLOW: u32 = 84;

const LIE_CONVERSATION_OPTION: u32 = 90;
const LIE_PARTICIPANTS: u32 = 91;
const LIE_CONVERSATION_EDGE: u32 = 92;
const LIE_PARTICIPANT_USER: u32 = 93;

const LIE_SKETCH_LENGTH: u32 = 100;
const LIE_SKETCH_POINTER: u32 = 101;
const LIE_SKETCH_MISALIGNED: u32 = 102;
const LIE_SKETCH_EDGE: u32 = 103;

export function twistSummary(lie: u32, address: usize): usize {
  const report = changetype<SummaryReport>(address);
  if (lie == LIE_SPAN_OTHER) report.span = (report.span + 1) % 5;
  if (lie == LIE_SPAN_UNKNOWN) report.span = 5;
  if (lie == LIE_SUMMARY_TERM) {
    const term = changetype<TermCount>(<usize>report.termsPtr);
    term.termPtr = <u32>badText(LIE_TERM_UTF8);
    term.termLen = 4;
  }
  if (lie == LIE_SUMMARY_TERMS) report.termsLen = 0x00ffffff;
  if (lie == LIE_METRICS) report.metricsPtr = 0xfffffff8;
  if (lie == LIE_QUANTILES) {
    changetype<MetricSummary>(<usize>report.metricsPtr).quantilesLen = 0x7fffffff;
  }
  if (lie == LIE_EXAMPLES_MISALIGNED) report.lateExamplesPtr += 4;
  if (lie == LIE_EXAMPLE_OPTION) {
    changetype<LateExample>(<usize>report.lateExamplesPtr).eventIdSome = 0xff;
  }
  if (lie == LIE_LATENESS_OVERFLOW) report.lateByLatenessLen = 0x20000001;
  if (lie == LIE_LINE_KIND) changetype<TextLine>(<usize>report.textLinesPtr).kind = 3;
  if (lie == LIE_LINE_OPTION) changetype<TextLine>(<usize>report.textLinesPtr).userSome = 2;
  if (lie == LIE_TEXT) report.textTextPtr = <u32>MEMORY_BYTES - 1;
  if (lie == LIE_TEXT) report.textTextLen = 2;
  if (lie == LIE_LINES_AMPLIFY) amplify(report);
  if (lie == LIE_SUMMARY_WILD) return <usize>0x7ffffff8;
  if (lie == LIE_SUMMARY_MISALIGNED) return address + 4;
  if (lie == LIE_SUMMARY_EDGE) return MEMORY_BYTES - 192;
  return address;
}

/** A list in the memory: where it is and how long. */
export function twistConversations(lie: u32, list: usize): usize {
  if (lie == LIE_LIST_WILD) store<u32>(list, 0xfffffff8);
  if (lie == LIE_LIST_LENGTH) store<u32>(list, 0xffffffff, 4);
  if (lie == LIE_LIST_MISALIGNED) store<u32>(list, load<u32>(list) + 4);
  if (lie == LIE_LIST_OVERFLOW) store<u32>(list, 76695845, 4);
  if (lie == LIE_LIST_ID) {
    const item = changetype<ConversationItem>(<usize>load<u32>(list));
    item.idPtr = <u32>badText(LIE_TERM_CUT);
    item.idLen = 4;
  }
  return list;
}

export function twistConversation(lie: u32, option: usize): usize {
  const report = changetype<ConversationReport>(option + 8);
  if (lie == LIE_CONVERSATION_OPTION) store<u8>(option, 2);
  if (lie == LIE_PARTICIPANTS) report.participantsPtr = 0xfffffff0;
  if (lie == LIE_CONVERSATION_EDGE) return MEMORY_BYTES - 8;
  if (lie == LIE_PARTICIPANT_USER) {
    const participant = changetype<Participant>(<usize>report.participantsPtr);
    participant.userPtr = <u32>badText(LIE_TERM_SURROGATE);
    participant.userLen = 4;
  }
  return option;
}

export function twistSketch(lie: u32, list: usize): usize {
  if (lie == LIE_SKETCH_LENGTH) store<u32>(list, 0xffffffff, 4);
  if (lie == LIE_SKETCH_POINTER) store<u32>(list, 0xfffffff0);
  if (lie == LIE_SKETCH_MISALIGNED) return list + 2;
  if (lie == LIE_SKETCH_EDGE) return MEMORY_BYTES - 4;
  return list;
}

function amplify(report: SummaryReport): void {
  const count: u32 = 64;
  const lines = alloc(count * TEXT_LINE_BYTES, 8);
  for (let index: u32 = 0; index < count; index++) {
    const line = changetype<TextLine>(lines + index * TEXT_LINE_BYTES);
    line.textPtr = 65536 + 12288;
    line.textLen = 48 * 1024;
  }
  report.textLinesPtr = <u32>lines;
  report.textLinesLen = count;
}
