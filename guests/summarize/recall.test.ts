// The top ten of a busy tenant against the exact top ten: recall, intervals, memory.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { Summarizer } from "./testing/summarizer.ts";

const TERMS = 100_000;
const PANES = 12;
const PANE_MS = 5_000;
const SECONDS = 90;
const START_MS = 1_700_000_000_000;
const EVENT_BYTES = 48;
const BATCH_EVENTS = 500;

test("the top ten are found at 1,000 and 10,000 events a second, Zipf 0.8 to 1.2", () => {
  for (const perSecond of [1_000, 10_000]) {
    for (const skew of [0.8, 1, 1.2]) {
      const { recall, violations, checks, pages } = simulate(perSecond, skew);
      const where = `${perSecond}/s, Zipf ${skew}: recall ${recall}`;
      assert.ok(recall >= 0.98, where);
      assert.equal(violations, 0, where);
      assert.ok(checks >= 300, where);
      assert.ok(pages <= 16, `${pages} pages`);
      if (process.env["SHOW"] === "1") process.stdout.write(`${where}, ${checks} checks\n`);
    }
  }
});

function simulate(perSecond: number, skew: number) {
  const random = new Random(perSecond + skew * 10);
  const guest = new Summarizer("wall", { checks: false });
  const draw = zipf(random, skew);
  const counts = Array.from({ length: PANES }, () => new Uint32Array(TERMS));
  const sums = new Uint32Array(TERMS);
  const batch = new Uint8Array(16 + BATCH_EVENTS * EVENT_BYTES);
  let found = 0;
  let wanted = 0;
  let violations = 0;
  let checks = 0;
  for (let pane = 0; pane < (SECONDS * 1000) / PANE_MS; pane++) {
    const gone = counts[pane % PANES]!;
    for (let term = 0; term < TERMS; term++) sums[term] = sums[term]! - gone[term]!;
    gone.fill(0);
    for (let start = 0; start < perSecond * 5; start += BATCH_EVENTS) {
      const nowMs = START_MS + pane * PANE_MS + Math.floor((start * 1000) / perSecond);
      writeTerms(batch, nowMs, () => {
        const term = draw();
        gone[term]!++;
        sums[term]!++;
        return term;
      });
      guest.ingestBytes(batch);
    }
    if (pane < PANES - 1) continue;
    const report = guest.trending(50, "count");
    const top = topOf(sums);
    const least = sums[top.at(-1)!]!;
    wanted += top.length;
    found += report.items
      .slice(0, top.length)
      .filter(({ term }) => sums[idOf(term)]! >= least).length;
    for (const { term, countLow, countHigh } of report.items) {
      const truth = sums[idOf(term)]!;
      if (countLow > truth || truth > countHigh) violations++;
      checks++;
    }
  }
  return { recall: found / wanted, violations, checks, pages: guest.imagePages };
}

/** Draws term numbers; the ranks are shuffled over them. */
function zipf(random: Random, skew: number): () => number {
  const cumulative = new Float64Array(TERMS);
  let sum = 0;
  for (let rank = 0; rank < TERMS; rank++) cumulative[rank] = sum += (rank + 1) ** -skew;
  return () => {
    const wanted = random.unit() * sum;
    let low = 0;
    let high = TERMS - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return (low * 7919) % TERMS;
  };
}

function topOf(sums: Uint32Array): number[] {
  const top: number[] = [];
  for (let term = 0; term < TERMS; term++) {
    if (top.length === 10 && sums[term]! <= sums[top[9]!]!) continue;
    top.push(term);
    top.sort((left, right) => sums[right]! - sums[left]!);
    if (top.length > 10) top.pop();
  }
  return top;
}

/** A term is the eight digits of its number. */
function idOf(term: string): number {
  return Number(term);
}

/** Fills the batch with BATCH_EVENTS events of one explicit term each; faster than writeBatch. */
function writeTerms(batch: Uint8Array, nowMs: number, draw: () => number): void {
  const view = new DataView(batch.buffer);
  view.setUint32(0, BATCH_EVENTS, true);
  view.setFloat64(8, nowMs, true);
  for (let index = 0; index < BATCH_EVENTS; index++) {
    const at = 16 + index * EVENT_BYTES;
    view.setUint32(at, EVENT_BYTES, true);
    view.setUint32(at + 4, 1, true);
    view.setFloat64(at + 8, nowMs, true);
    view.setUint16(at + 22, 1, true);
    view.setUint16(at + 32, 8, true);
    let rest = draw();
    for (let digit = 7; digit >= 0; digit--) {
      batch[at + 34 + digit] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
}
