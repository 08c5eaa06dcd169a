// Counts and weights of every span, against a list of all events.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";

type Probe = {
  open(): void;
  add(events: number, weight: number, pane: number, current: number): void;
  roll(current: number): void;
  count(span: number): number;
  weight(span: number): number;
  startMs(span: number): number;
  isTidy(): number;
};

const module = await compileGuest("guests/sdk/assembly/probes/timeline.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;

const BIAS = 16;
const ALL = 4;
/** Panes of a level pane, level panes of a span. */
const SHAPES = [
  [1, 12],
  [12, 10],
  [60, 12],
  [1440, 12],
] as const;

type Event = { readonly events: number; readonly weight: number; readonly pane: number };

function sum(list: readonly Event[], what: "events" | "weight", span: number, current: number) {
  let total = 0;
  for (const event of list) {
    if (span !== ALL && event.pane < firstPane(span, current)) continue;
    total += event[what];
  }
  return total;
}

/** The oldest pane that a span still holds. */
function firstPane(span: number, current: number): number {
  const [panes, levels] = SHAPES[span]!;
  return (Math.floor((current - BIAS) / panes) - levels + 1) * panes + BIAS;
}

/** Runs one stream; returns how many counts were compared. */
function checkStream(seed: number): number {
  const random = new Random(seed);
  const jumpMax = [2, 30, 400, 4000, 40_000][random.below(5)]!;
  const backMax = [1, 12, 200, 20_000][random.below(4)]!;
  const weighs = random.below(3) !== 0;
  const list: Event[] = [];
  let current = BIAS + (random.below(2) === 0 ? random.below(20) : random.below(400_000_000));
  let checks = 0;
  probe.open();
  for (let step = 0; step < 400; step++) {
    if (random.below(4) === 0) current += random.below(jumpMax);
    const events = random.below(20) === 0 ? random.below(50) : 1;
    const weight = weighs && step > 50 && random.below(3) === 0 ? random.below(1_000_000) : events;
    const pane = Math.max(BIAS, current - (random.below(3) === 0 ? random.below(backMax) : 0));
    const ahead = random.below(50) === 0 ? random.below(100) : 0;
    list.push({ events, weight, pane: ahead > 0 ? current : pane });
    probe.add(events, weight, ahead > 0 ? current + ahead : pane, current);
    if (step % 7 !== 0) continue;
    probe.roll((current += random.below(jumpMax)));
    for (let span = 0; span <= ALL; span++, checks += 2) {
      const shown = `SEED=${seed}, step ${step}, span ${span}`;
      assert.equal(probe.count(span), sum(list, "events", span, current), shown);
      assert.equal(probe.weight(span), sum(list, "weight", span, current), shown);
      if (span === ALL) continue;
      const startMs = Math.max(0, (firstPane(span, current) - BIAS) * 5000);
      assert.equal(probe.startMs(span), startMs, shown);
    }
    assert.equal(probe.isTidy(), 1, `SEED=${seed}, step ${step}`);
  }
  return checks;
}

test("every span counts what its window holds, however late events are and however long a gap", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const streams = Number(process.env["STREAMS"] ?? 120);
  let checks = 0;
  for (let stream = 0; stream < streams; stream++) checks += checkStream(seed + stream);
  assert.ok(checks > streams * 500, `${checks} counts`);
});

test("a cell that is full stays full, and the sums since the start go on", () => {
  probe.open();
  for (let times = 0; times < 3; times++) probe.add(0xffffffff, 0xffffffff, 1000, 1000);
  for (let span = 0; span < ALL; span++) assert.equal(probe.count(span), 0xffffffff);
  assert.equal(probe.count(ALL), 3 * 0xffffffff);
});

test("time that goes back moves no window", () => {
  probe.open();
  probe.add(1, 1, 5000, 5000);
  probe.roll(16);
  probe.add(1, 1, 5000, 4000);
  assert.equal(probe.count(0), 2);
});
