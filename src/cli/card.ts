/**
 * A tenant's window as a block of text for people, 80 columns wide: replay, tap and demo show it.
 */
import type { TrendingAnswer } from "#model/trending-answer.ts";
import type { TrendItem } from "#model/trending.ts";
import { COLUMNS, cut, formatCount, harmless, pad, style, widthOf, wrap } from "./terminal.ts";
import { tellerLine } from "./teller.ts";

const TERM_COLUMNS = 30;
const ITEMS_MAX = 6;

export type CardOptions = {
  /** How the window's end is written. */
  readonly time: string;
  readonly itemsMax?: number;
};

export function renderCard(answer: TrendingAnswer, options: CardOptions): string {
  const { time, itemsMax = ITEMS_MAX } = options;
  const head = `${answer.tenant} · ${time} `;
  const size = ` ${messages(answer.eventCount)}, ${people(answer)}`;
  const rule = "─".repeat(Math.max(2, COLUMNS - widthOf(head) - widthOf(size)));
  const lines = [style("bold", head) + style("dim", rule + size)];
  for (const { text } of answer.tldr.sentences) lines.push(wrap(harmless(text), "  "));
  const teller = tellerLine(answer.tldr, "  ");
  if (teller !== undefined) lines.push(teller);
  const shown = answer.items.filter((item) => item.trending).slice(0, itemsMax);
  const rest = shown.length > 0 ? shown : answer.items.slice(0, Math.min(3, itemsMax));
  for (const item of rest) lines.push(itemLine(item));
  return `${lines.join("\n")}\n\n`;
}

function itemLine(item: TrendItem): string {
  const mark = item.trending ? style("green", "▲") : " ";
  const term = pad(cut(harmless(item.term), TERM_COLUMNS), TERM_COLUMNS);
  const interval = item.exact ? "" : ` (${item.countLow}–${item.countHigh})`;
  const about = item.userCountError > 0 ? "~" : "";
  const users = `${about}${item.userCount} ${item.userCount === 1 ? "person" : "people"}`;
  const usual = `usually ${item.expected.toFixed(1)}`;
  return `  ${mark} ${term} ${`${item.count}×${interval}`.padEnd(14)} ${users.padEnd(12)} ${usual}`;
}

function messages(count: number): string {
  return `${formatCount(count)} ${count === 1 ? "message" : "messages"}`;
}

function people({ userCount, userCountError }: TrendingAnswer): string {
  const about = userCountError > 0 ? "~" : "";
  return `${about}${formatCount(userCount)} ${userCount === 1 ? "person" : "people"}`;
}
