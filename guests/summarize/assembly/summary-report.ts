// The answers of `summary`, `conversations`, `conversation` and `sketch`.
import { alloc } from "../../sdk/assembly/arena";
import { levelPane, levelPanes, levelStartMs } from "../../sdk/assembly/spans";
import { eventsInWindow, state, table, users } from "./state";
import { SPAN_ALL, SPAN_MINUTE, SUMMARY_REPORT_BYTES, SummaryReport } from "./world.gen";

export function summaryReport(span: u32, _limit: u32): usize {
  const it = state();
  const answer = changetype<SummaryReport>(alloc(SUMMARY_REPORT_BYTES));
  answer.span = <u8>span;
  answer.asOfMs = it.asOfMs;
  if (it.started && span < SPAN_ALL) {
    const newest = levelPane(span, table().pane);
    answer.windowStartMs = max<f64>(0, levelStartMs(span, newest + 1 - levelPanes(span)));
    answer.windowEndMs = levelStartMs(span, newest + 1);
  }
  answer.lateCount = <f64>it.lateCount;
  answer.duplicateCount = <f64>it.duplicateCount;
  answer.repeatedCount = <f64>it.repeatedCount;
  if (it.version == 0 || span != SPAN_MINUTE) return changetype<usize>(answer);
  answer.eventCount = <f64>eventsInWindow();
  answer.userCount = users().estimate(table().pane);
  answer.userCountError = users().error(table().pane);
  return changetype<usize>(answer);
}
