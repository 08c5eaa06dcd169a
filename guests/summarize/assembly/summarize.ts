// The reference summarizer: what is trending in a tenant's last 60 seconds and a TL;DR of it, and
// what has happened in the last minute, ten minutes, hour, day and since the start.
//
// This file is what a guest author writes: the functions of the world, over the tenant's state
// (state.ts). The way of an event from the batch into the state is intake.ts, time is clock.ts; what
// the 60 s window says is report.ts (ranking) and digest.ts (sentences), what all windows say is
// summary-report.ts, conversation-answer.ts and, to be merged with others, sketch.ts. How a tenant
// moves to another version of this component: portable.ts.
import { alloc } from "../../sdk/assembly/arena";
import { BATCH_HEADER_BYTES, EVENT_HEADER_BYTES } from "../../sdk/assembly/batch";
import { forgetText } from "../../sdk/assembly/text/tokenize";
import { panesBehind, tell } from "./clock";
import { FATE_COUNTED, FATE_DUPLICATE, FATE_LATE, FATE_MASK, take } from "./intake";
import { report } from "./report";
import { keepSpans, SPANS_ALL, state } from "./state";
import { conversationReport, conversationsReport } from "./conversation-answer";
import { sketchOf } from "./sketch";
import { summaryReport } from "./summary-report";
import { createState } from "./tiers";
import { theTurn } from "./turn";
import { CLOCK_WALL, INGEST_REPORT_BYTES, IngestReport } from "./world.gen";

export { exportState, importState } from "./portable";

export function configure(clock: u32, spans: u32): void {
  if (state().version == 0) createState(clock, spans);
  else keepSpans(spans);
}

export function ingest(batch: usize, bytes: usize): usize {
  if (state().version == 0) createState(CLOCK_WALL, SPANS_ALL);
  const turn = theTurn();
  const report = changetype<IngestReport>(alloc(INGEST_REPORT_BYTES));
  const count = load<u32>(batch);
  report.fatesPtr = <u32>alloc(count, 1);
  report.fatesLen = count;
  turn.open();
  tell(load<f64>(batch, 8));
  turn.panesBehind = panesBehind(load<f64>(batch, 8));
  let event = batch + BATCH_HEADER_BYTES;
  const end = batch + bytes;
  for (let index: u32 = 0; index < count && event + EVENT_HEADER_BYTES <= end; index++) {
    const all = take(turn, event);
    store<u8>(report.fatesPtr + index, <u8>all);
    const fate = all & FATE_MASK;
    if (fate == FATE_COUNTED) report.counted += 1;
    else if (fate == FATE_LATE) report.late += 1;
    else if (fate == FATE_DUPLICATE) report.duplicate += 1;
    else report.repeated += 1;
    event += max(load<u32>(event), EVENT_HEADER_BYTES);
  }
  turn.close();
  forgetText();
  state().duplicateCount += report.duplicate;
  state().repeatedCount += report.repeated;
  return changetype<usize>(report);
}

export function advance(nowMs: f64): void {
  if (state().version == 0) createState(CLOCK_WALL, SPANS_ALL);
  tell(nowMs);
}

export function trending(limit: u32, order: u32): usize {
  return report(limit, order);
}

export function summary(span: u32, limit: u32): usize {
  return summaryReport(span, limit);
}

export function conversations(limit: u32): usize {
  return conversationsReport(limit);
}

export function conversation(id: usize, bytes: usize): usize {
  return conversationReport(id, <u32>bytes);
}

export function sketch(span: u32): usize {
  return sketchOf(span);
}
