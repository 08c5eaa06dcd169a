// The answer of `trending`: the ranking and the sentences as records of the world.
import { alloc } from "../../sdk/assembly/arena";
import { expectedOf } from "../../sdk/assembly/sketches/trend";
import { paneEndMs } from "./clock";
import { digest } from "./digest";
import { Exhibits, findExhibits } from "./exhibits";
import { orderByCount, rankByTrend, Ranking, Row } from "./ranking";
import { eventsInWindow, ledger, state, table, users } from "./state";
import {
  ORDER_COUNT, SPAN_MINUTE, TREND_ITEM_BYTES, TrendItem, TRENDING_REPORT_BYTES, TrendingReport,
} from "./world.gen";

const LIMIT_MAX: u32 = 50;
const WINDOW_MS: f64 = 60_000;

export function report(limit: u32, order: u32): usize {
  const it = state();
  const answer = changetype<TrendingReport>(alloc(TRENDING_REPORT_BYTES));
  answer.duplicateCount = it.duplicateCount;
  answer.repeatedCount = it.repeatedCount;
  answer.asOfMs = it.asOfMs;
  if (it.started) {
    answer.windowEndMs = paneEndMs(table().pane);
    answer.windowStartMs = max<f64>(0, answer.windowEndMs - WINDOW_MS);
  }
  answer.eventCount = eventsInWindow();
  if (it.version == 0) return changetype<usize>(answer);
  answer.lateCount = <u32>min<f64>(ledger().count, 4294967295);
  const pane = table().pane;
  const userCount = users().count(SPAN_MINUTE, pane);
  answer.userCount = <u32>min<f64>(nearest<f64>(userCount), 4294967295);
  answer.userCountError = users().errorOf(SPAN_MINUTE, pane, userCount);

  const ranking = rankByTrend(answer.userCountError == 0 ? answer.userCount : 0xffffffff);
  const exhibits = findExhibits(ranking);
  digest(answer, ranking, exhibits);
  if (order == ORDER_COUNT) orderByCount(ranking);
  writeItems(answer, ranking, exhibits, min(limit, LIMIT_MAX), order);
  return changetype<usize>(answer);
}

function writeItems(
  answer: TrendingReport, ranking: Ranking, exhibits: Exhibits, limit: u32, order: u32,
): void {
  const items = alloc(<usize>min(limit, ranking.count) * TREND_ITEM_BYTES);
  let count: u32 = 0;
  for (let rank: u32 = 0; rank < ranking.count && count < limit; rank++) {
    const row = ranking.at(rank);
    if (row.leftOut && order != ORDER_COUNT) break;
    writeItem(changetype<TrendItem>(items + <usize>count * TREND_ITEM_BYTES), row, exhibits);
    count += 1;
  }
  answer.itemsPtr = <u32>items;
  answer.itemsLen = count;
}

function writeItem(item: TrendItem, row: Row, exhibits: Exhibits): void {
  const slots = table();
  item.termPtr = <u32>row.term;
  item.termLen = row.termLen;
  item.count = row.count;
  item.countLow = row.count;
  item.countHigh = slots.upper(row.slot);
  item.exact = <u8>(item.countHigh == item.countLow);
  item.trending = <u8>row.trending;
  item.expected = row.expected;
  item.significance = row.significance;
  item.userCount = row.named;
  item.userCountError = row.namedError;
  const record = slots.record(row.slot);
  item.firstSeenMs = max<f64>(0, paneEndMs(record.inserted) - <f64>record.firstSeen);
  const sample = exhibits.sampleOf(row);
  if (sample == null) return;
  item.samplePtr = <u32>sample.text;
  item.sampleLen = <u32>sample.textLen;
}
