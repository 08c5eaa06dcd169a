// Summaries of all windows through the guest's exports, against a list of all events.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import type { MetricSummary } from "#isolate/world.gen.ts";
import { readPortable } from "./testing/portable.ts";
import { SPANS, Summarizer, type Span } from "./testing/summarizer.ts";
import { countsOf, samplesOf, SummaryOracle, type SummaryEvent } from "./testing/summary-oracle.ts";

const START_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const MINUTE = 1;
const ALL = 16;

type Traffic = {
  readonly clock: "wall" | "event";
  readonly terms: number;
  readonly users: number;
  readonly metrics: number;
  readonly weightMax: number;
  readonly disorderMs: number;
  readonly gapMs: number;
  readonly jumpMs: number;
  readonly batchMax: number;
};

function trafficOf(random: Random): Traffic {
  return {
    clock: random.below(2) === 0 ? "wall" : "event",
    terms: [4, 12, 60, 2000][random.below(4)]!,
    users: [5, 22, 150, 4000][random.below(4)]!,
    metrics: random.below(5),
    weightMax: [1, 1, 9, 1_000_000][random.below(4)]!,
    disorderMs: [0, 40_000, 900_000, 2 * DAY_MS][random.below(4)]!,
    gapMs: [300, 4_000, 40_000, 400_000][random.below(4)]!,
    jumpMs: [0, 7_200_000, 5 * DAY_MS][random.below(3)]!,
    batchMax: [1, 8, 60][random.below(3)]!,
  };
}

function eventOf(random: Random, traffic: Traffic, atMs: number): SummaryEvent {
  const draw = (count: number) => Math.floor(count * random.unit() ** 2);
  const isLate = random.below(3) === 0;
  return {
    tsMs: atMs - (isLate ? random.below(traffic.disorderMs + 1) : 0),
    weight: 1 + random.below(random.below(8) === 0 ? traffic.weightMax : 1),
    user: random.below(6) === 0 ? "" : `user ${draw(traffic.users)}`,
    terms: Array.from({ length: 1 + random.below(3) }, () => `term ${draw(traffic.terms)}`),
    metrics: Array.from({ length: random.below(traffic.metrics + 1) }, (_, index) => ({
      name: `metric ${index}`,
      value: (random.below(20) === 0 ? -1 : 1) * Math.exp(random.unit() * 8 - 2),
    })),
  };
}

/** Runs one stream against the oracle; returns how many windows were checked. */
function checkStream(seed: number, batches: number): number {
  const random = new Random(seed);
  const traffic = trafficOf(random);
  const guest = new Summarizer(traffic.clock);
  const oracle = new SummaryOracle(traffic.clock);
  let nowMs = START_MS;
  let checks = 0;
  for (let batch = 0; batch < batches; batch++) {
    nowMs +=
      random.below(traffic.gapMs) + (random.below(40) === 0 ? random.below(traffic.jumpMs + 1) : 0);
    const events = Array.from({ length: 1 + random.below(traffic.batchMax) }, () =>
      eventOf(random, traffic, nowMs),
    );
    oracle.tell(nowMs);
    const fates = events.map((event) => (oracle.add(event) ? 0 : 1));
    assert.deepEqual(guest.ingest(events, nowMs).fates, fates, `SEED=${seed}, batch ${batch}`);
    if (batch % 15 !== 0) continue;
    for (const span of SPANS)
      checkSpan(guest, oracle, span, `SEED=${seed}, batch ${batch}, ${span}`);
    checks += SPANS.length;
  }
  return checks;
}

function checkSpan(guest: Summarizer, oracle: SummaryOracle, span: Span, where: string): void {
  const before = guest.image.slice();
  const report = guest.summary(span, 50);
  const portable = readPortable(guest.sketch(span));
  assert.ok(Buffer.from(guest.image).equals(before), `${where}: asking changes nothing`);
  const events = oracle.events(span);
  const weightSum = events.reduce((sum, { weight }) => sum + weight, 0);
  assert.deepEqual(
    [report.span, report.eventCount, report.weightSum, report.asOfMs],
    [span, events.length, weightSum, oracle.asOfMs],
    where,
  );
  const { startMs, endMs } = oracle.bounds(span);
  assert.deepEqual([report.windowStartMs, report.windowEndMs], [startMs, endMs], where);
  checkUsers(report.userCount, report.userCountError, events, where);
  const { late } = report;
  assert.deepEqual(
    [late.count, late.lateByMsMax, late.countedInLonger, ...late.byLateness],
    [oracle.lateCount, oracle.lateByMsMax, oracle.countedInLonger, ...oracle.lateness],
    where,
  );
  const counts = countsOf(events);
  for (const { term, countLow, countHigh, exact } of report.terms) {
    const truth = counts.get(term) ?? 0;
    assert.ok(
      countLow <= truth && truth <= countHigh,
      `${where}: ${term} ${countLow}-${countHigh}, ${truth}`,
    );
    assert.equal(exact, countLow === countHigh);
  }
  checkMetrics(report.metrics, events, where);
  assert.deepEqual(
    [portable.span, portable.startMs, portable.endMs],
    [SPANS.indexOf(span), startMs, endMs],
  );
  assert.deepEqual(portable.counts, [events.length, weightSum, late.count, 0, 0, 0], where);
  assert.equal(portable.metricCount, report.metrics.length);
  const listed = new Map(portable.terms.map((each) => [each.term, each]));
  for (const [term, truth] of counts) {
    const { low, high } = listed.get(term) ?? { low: 0, high: portable.untracked };
    assert.ok(low <= truth && truth <= high, `${where}: ${term} ${low}-${high}, ${truth}`);
  }
}

function checkUsers(count: number, error: number, events: readonly SummaryEvent[], where: string) {
  const truth = new Set(events.flatMap(({ user }) => (user === "" ? [] : [user]))).size;
  if (error === 0) assert.equal(count, truth, `${where}: users`);
  else
    assert.ok(
      Math.abs(count - truth) <= 5 * error * truth + 1,
      `${where}: ${count} of ${truth} users`,
    );
}

function checkMetrics(
  metrics: readonly MetricSummary[],
  events: readonly SummaryEvent[],
  where: string,
) {
  const truth = samplesOf(events);
  assert.deepEqual(metrics.map(({ name }) => name).toSorted(), [...truth.keys()].toSorted(), where);
  for (const metric of metrics) {
    const samples = truth.get(metric.name)!;
    const at = `${where}: ${metric.name}`;
    assert.equal(metric.shortened, false, at);
    assert.equal(metric.count, samples.length, at);
    assert.deepEqual([metric.min, metric.max], [samples[0], samples.at(-1)], at);
    const sum = samples.reduce((total, value) => total + value, 0);
    const size = samples.reduce((total, value) => total + Math.abs(value), 0);
    assert.ok(Math.abs(metric.sum - sum) <= 1e-9 * size, `${at}: sum ${metric.sum}, ${sum}`);
    for (const { q, value, isMax } of metric.quantiles) {
      const above = Math.floor(samples.length * Number((1 - q).toFixed(6)) + 1e-9);
      const exact = samples[Math.max(0, samples.length - 1 - above)]!;
      const isNear = Math.abs(value - exact) <= 0.0101 * Math.abs(exact) + 1e-12;
      assert.ok(isNear || value <= metric.collapsedBelow, `${at}: P${q * 100} ${value}, ${exact}`);
      assert.equal(isMax, samples.length * (1 - q) < 1 - 1e-9, at);
    }
  }
}

test("every window counts what a list of all events counts, on both clocks", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const streams = Number(process.env["STREAMS"] ?? 40);
  let checks = 0;
  for (let stream = 0; stream < streams; stream++) checks += checkStream(seed + stream, 150);
  assert.ok(checks >= streams * 50);
});

test("the same calls give the same bytes, in every window's sketch too", () => {
  const run = () => {
    const random = new Random(11);
    const traffic = {
      ...trafficOf(random),
      terms: 60,
      users: 4000,
      metrics: 3,
      disorderMs: DAY_MS,
    };
    const guest = new Summarizer("event");
    for (let batch = 0; batch < 200; batch++) {
      const events = Array.from({ length: 20 }, () => ({
        ...eventOf(random, traffic, START_MS + batch * 20_000),
        conversation: `thread ${random.below(5)}`,
        text: `we talk about thing${random.below(200)}`,
      }));
      guest.ingest(events);
    }
    return [guest.image.slice(), ...SPANS.map((span) => guest.sketch(span))];
  };
  assert.deepEqual(run(), run());
});

test("windows that are left out say nothing, and what is kept goes on when they change", () => {
  const guest = new Summarizer("wall", { spans: MINUTE | ALL });
  const say = (nowMs: number) => {
    guest.ingest(
      [{ tsMs: nowMs, user: "ann", terms: ["rain"], metrics: [{ name: "mm", value: 3 }] }],
      nowMs,
    );
  };
  say(START_MS);
  const hour = guest.summary("hour");
  assert.deepEqual([hour.eventCount, hour.userCount, hour.terms, hour.metrics], [0, 0, [], []]);
  assert.equal(hour.windowEndMs - hour.windowStartMs, 3_600_000);
  assert.deepEqual(readPortable(guest.sketch("hour")).counts, []);
  guest.advance(START_MS + 120_000);
  guest.configure(31);
  say(START_MS + 300_000);
  for (const span of ["hour", "all"] as const) {
    const { eventCount, userCount, terms } = guest.summary(span);
    assert.deepEqual([eventCount, userCount, terms[0]?.count], [2, 1, 2], span);
  }
  assert.equal(guest.summary("all").metrics[0]?.count, 2);
  assert.equal(
    guest.summary("hour").metrics[0]?.count,
    1,
    "a metric's window starts when it is wanted",
  );
  const shortened = (span: Span) => guest.summary(span).metrics[0]?.shortened;
  assert.deepEqual((["minute", "hour", "all"] as const).map(shortened), [false, true, false]);
  for (const minutes of [30, 55, 59]) say(START_MS + minutes * 60_000);
  assert.equal(shortened("hour"), true, "the first sample would still be in the hour");
  say(START_MS + 65 * 60_000);
  assert.deepEqual((["hour", "day", "all"] as const).map(shortened), [false, true, false]);
  guest.configure(MINUTE | ALL);
  assert.equal(guest.summary("hour").eventCount, 0);
  assert.equal(guest.summary("minute").eventCount, 1);
});

test("a metric's name that finds no room is refused with a bit of the event's fate", () => {
  const guest = new Summarizer("wall");
  const event = (index: number, tsMs = START_MS) => ({
    tsMs,
    metrics: [{ name: `m${index}`, value: 1 }],
  });
  const report = guest.ingest(
    Array.from({ length: 18 }, (_, index) => event(index)),
    START_MS,
  );
  assert.deepEqual(report.fates, [...Array.from({ length: 16 }, () => 0), 8, 8]);
  assert.equal(report.counted, 18, "the events count all the same");
  assert.deepEqual(
    guest.ingest([event(17, START_MS - 70_000)], START_MS).fates,
    [9],
    "late, refused",
  );
  const { metrics, metricsRefused, eventCount } = guest.summary("all");
  assert.deepEqual([metrics.length, metricsRefused, eventCount], [16, 3, 19]);
});

test("late events are told by id, the newest first, and count where their time is still held", () => {
  const guest = new Summarizer("wall");
  const backs = [65_000, 500_000, 3_000_000, 80_000_000, 900_000_000, 90_000];
  for (const [index, back] of backs.entries()) {
    const event = {
      id: `late ${index}`,
      tsMs: START_MS - back,
      user: `user ${index}`,
      terms: ["late"],
    };
    assert.deepEqual(guest.ingest([event], START_MS).fates, [1]);
  }
  assert.deepEqual(
    SPANS.map((span) => guest.summary(span).eventCount),
    [0, 3, 4, 5, 6],
  );
  assert.deepEqual(
    SPANS.map((span) => guest.summary(span).userCount),
    [0, 3, 4, 5, 6],
  );
  const { late, terms } = guest.summary("day");
  assert.deepEqual([late.count, late.countedInLonger, late.lateByMsMax], [6, 5, 900_000_000]);
  assert.deepEqual([...late.byLateness], [2, 1, 1, 1, 1]);
  assert.equal(late.examples[0]?.eventId, "late 5");
  assert.equal(late.examples[0]?.lateByMs, 90_000);
  assert.deepEqual([terms[0]?.term, terms[0]?.count, terms[0]?.exact], ["late", 5, true]);
});

test("conversations are counted, found and told, with the tenant's own text", () => {
  const guest = new Summarizer("wall");
  const say = (conversation: string, user: string, text: string, second: number) =>
    guest.ingest(
      [{ tsMs: START_MS + second * 1000, conversation, user, text, id: `m${second}` }],
      START_MS + second * 1000,
    );
  say("deploy", "ann", "does anybody know why the deploy of the billing service fails?", 1);
  say("lunch", "bob", "the pizza place around the corner has a new menu today", 2);
  say("deploy", "cid", "the billing service fails because the migration was never run", 3);
  const items = guest.conversations();
  assert.deepEqual(
    items.map(({ id, eventCount, userCount, userCountError }) => [
      id,
      eventCount,
      userCount,
      userCountError,
    ]),
    [
      ["deploy", 2, 2, 0],
      ["lunch", 1, 1, 0],
    ],
  );
  const deploy = guest.conversation("deploy");
  assert.deepEqual(deploy?.participants.map(({ user }) => user).toSorted(), ["ann", "cid"]);
  assert.ok(
    deploy?.text.lines.some(({ eventId, text }) => eventId === "m1" && text.includes("deploy")),
  );
  assert.equal(guest.conversation("nobody was here"), undefined);
  assert.match(guest.summary("all").text.text, /billing|pizza/);
  assert.ok(guest.summary("all").text.revision > 0);
});

test("before anything has happened there is nothing to tell of any window", () => {
  const guest = new Summarizer("wall");
  for (const span of SPANS) {
    const { eventCount, windowEndMs, text, terms, rates } = guest.summary(span);
    assert.deepEqual([eventCount, windowEndMs, text.text, terms.length], [0, 0, "", 0]);
    assert.deepEqual(
      rates.map(({ perSecond }) => perSecond),
      [0, 0, 0],
    );
    readPortable(guest.sketch(span));
  }
  assert.deepEqual(guest.conversations(), []);
});

test("summaries of a tenant survive its growing and its shrinking", () => {
  const guest = new Summarizer("wall");
  let nowMs = START_MS;
  for (let second = 0; second < 120; second++, nowMs += 1000) {
    const events = Array.from({ length: 40 }, (_, index) => ({
      tsMs: nowMs,
      user: `user ${(second * 40 + index) % 150}`,
      terms: [`term ${index % 3}`, `own ${second}-${index}`],
      metrics: [{ name: "load", value: 1 + index }],
    }));
    guest.ingest(events, nowMs);
  }
  const pages = guest.imagePages;
  guest.advance((nowMs += 600_000));
  assert.ok(guest.imagePages < pages, "it has shrunk");
  const { eventCount, userCount, userCountError, terms, metrics, weightSum } =
    guest.summary("hour");
  assert.deepEqual([eventCount, weightSum, userCount, userCountError], [4800, 4800, 150, 0]);
  assert.equal(metrics[0]?.count, 4800);
  for (const { term, countLow, countHigh } of terms.filter(({ term: each }) =>
    each.startsWith("term"),
  )) {
    const truth = term === "term 0" ? 1680 : 1560;
    assert.ok(
      countLow > 0 && countLow <= truth && truth <= countHigh,
      `${term} ${countLow}-${countHigh}`,
    );
  }
  assert.ok(terms.some(({ term }) => term === "term 0"));
});

test("a rate says over which time it is: the age of a stream that has just begun", () => {
  const guest = new Summarizer("wall");
  const over = () => guest.summary("all").rates.map(({ overMs }) => overMs);
  assert.deepEqual(over(), [0, 0, 0]);
  const events = Array.from({ length: 40 }, (_, index) => ({ tsMs: START_MS + index * 800 }));
  for (const event of events) guest.ingest([event], event.tsMs);
  const [short, middle, long] = guest.summary("minute").rates;
  assert.deepEqual(over(), [10_000, 31_200, 31_200]);
  for (const { perSecond } of [short!, middle!, long!])
    assert.ok(Math.abs(perSecond - 1.25) < 0.1, `${perSecond}`);
  guest.advance(START_MS + 9_000_000);
  assert.deepEqual(over(), [10_000, 60_000, 300_000]);
});
