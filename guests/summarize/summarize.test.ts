// What the summarizer counts, against the exact window; fates, clocks, ids, repeats, users.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { Random } from "#std/random.ts";
import { BATCH_BYTES_MAX } from "#model/limits.ts";
import { type BatchEvent, writeBatch } from "#testing/batch.ts";
import { Summarizer } from "./testing/summarizer.ts";
import { WindowOracle } from "./testing/window-oracle.ts";

const START_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;

type Traffic = {
  readonly clock: "wall" | "event";
  readonly terms: number;
  readonly skew: number;
  readonly weightMax: number;
  readonly disorderMs: number;
  readonly gapMs: number;
  /** One event in so many has a clock that is up to a month ahead; 0: none. */
  readonly rogues: number;
  readonly batchMax: number;
};

function trafficOf(random: Random): Traffic {
  return {
    clock: random.below(2) === 0 ? "wall" : "event",
    terms: [5, 14, 40, 90, 240, 5000][random.below(6)]!,
    skew: random.unit() * 3,
    weightMax: [1, 1, 9, 1_000_000][random.below(4)]!,
    disorderMs: [0, 0, 20_000, 90_000][random.below(4)]!,
    gapMs: [20, 300, 3_000, 40_000][random.below(4)]!,
    rogues: [0, 0, 40, 8][random.below(4)]!,
    batchMax: [1, 8, 120][random.below(3)]!,
  };
}

function eventOf(random: Random, traffic: Traffic, atMs: number): BatchEvent {
  const terms = Array.from(
    { length: 1 + random.below(3) },
    () => `term ${Math.floor(traffic.terms * random.unit() ** (1 + traffic.skew))}`,
  );
  const isRogue = traffic.rogues > 0 && random.below(traffic.rogues) === 0;
  const rogueMs = isRogue ? random.below(30 * DAY_MS) : 0;
  return {
    tsMs: atMs - random.below(traffic.disorderMs + 1) + rogueMs,
    weight: 1 + random.below(random.below(8) === 0 ? traffic.weightMax : 1),
    id: "",
    user: random.below(5) === 0 ? "" : `user ${random.below(30)}`,
    conversation: "",
    text: "",
    terms,
    metrics: [],
  };
}

/** Runs one stream against the oracle; returns how many intervals were checked. */
function checkStream(seed: number, batches: number): number {
  const random = new Random(seed);
  const traffic = trafficOf(random);
  const guest = new Summarizer(traffic.clock);
  const oracle = new WindowOracle(traffic.clock);
  let nowMs = START_MS;
  let checks = 0;
  for (let batch = 0; batch < batches; batch++) {
    nowMs += random.below(60) === 0 ? random.below(3 * DAY_MS) : random.below(traffic.gapMs);
    const events = Array.from({ length: 1 + random.below(traffic.batchMax) }, () =>
      eventOf(random, traffic, nowMs),
    );
    oracle.tell(nowMs);
    const fates = events.map((event) => (oracle.add(event) ? 0 : 1));
    const report = guest.ingest(events, nowMs);
    assert.deepEqual(report.fates, fates, `seed ${seed}, batch ${batch}`);
    assert.equal(report.late, fates.filter((fate) => fate === 1).length);
    if (batch % 5 !== 0) continue;
    checks += checkReport(guest, oracle, traffic.disorderMs === 0, `seed ${seed}, batch ${batch}`);
  }
  return checks;
}

function checkReport(
  guest: Summarizer,
  oracle: WindowOracle,
  inOrder: boolean,
  where: string,
): number {
  const before = guest.image.slice();
  const report = guest.trending(50, "count");
  assert.ok(Buffer.from(guest.image).equals(before), `${where}: asking changes nothing`);
  assert.equal(report.eventCount, oracle.eventCount, where);
  assert.equal(report.lateCount, oracle.lateCount, where);
  assert.equal(report.asOfMs, oracle.asOfMs, where);
  assert.equal(report.windowEndMs, oracle.windowEndMs, where);
  assert.equal(report.windowStartMs, oracle.windowEndMs - 60_000, where);
  if (report.userCountError === 0) assert.equal(report.userCount, oracle.userCount, where);
  const counts = oracle.counts;
  for (const { term, count, countLow, countHigh, exact } of report.items) {
    const truth = counts.get(term) ?? 0;
    const shown = `${where}: ${term} ${countLow} <= ${truth} <= ${countHigh}`;
    assert.equal(count, countLow);
    assert.ok(countLow <= truth && truth <= countHigh, shown);
    assert.equal(exact, countLow === countHigh, shown);
  }
  const ordered = report.items.map(({ count }) => count);
  assert.deepEqual(
    ordered,
    ordered.toSorted((left, right) => right - left),
    "by count alone",
  );
  // Out of order, a term of an old pane may push out one that outlives it.
  if (inOrder && counts.size <= 12)
    assert.equal(report.items.length, counts.size, `${where}: all of few`);
  return report.items.length;
}

test("every reported interval holds the true count; fates, totals and times are exact", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const streams = Number(process.env["STREAMS"] ?? 60);
  let checks = 0;
  for (let stream = 0; stream < streams; stream++) checks += checkStream(seed + stream, 250);
  assert.ok(checks > streams * 500, `${checks} checks`);
});

test("the same calls give the same bytes", () => {
  const run = () => {
    const random = new Random(5);
    const guest = new Summarizer("event");
    for (let batch = 0; batch < 200; batch++) {
      const traffic = { ...trafficOf(new Random(9)), terms: 400 };
      const events = Array.from({ length: 20 }, () => ({
        ...eventOf(random, traffic, START_MS + batch * 900),
        id: `id ${random.below(2000)}`,
        text: `we talk about thing${random.below(200)} and thing${random.below(20)}`,
      }));
      guest.ingest(events);
    }
    return { image: guest.image.slice(), report: guest.trending(50) };
  };
  assert.deepEqual(run(), run());
});

test("an id is counted once, also when it comes again in a later batch", () => {
  const guest = new Summarizer("event");
  const event = { id: "message 1", tsMs: START_MS, user: "ann", terms: ["rain"] };
  assert.deepEqual(guest.ingest([event, event]).fates, [0, 2]);
  assert.deepEqual(guest.ingest([{ ...event, id: "message 2" }, event]).fates, [0, 2]);
  const report = guest.trending();
  assert.equal(report.eventCount, 2);
  assert.equal(report.duplicateCount, 2);
  assert.equal(report.items[0]?.count, 2);
});

test("the last ids are remembered, across growing and shrinking", () => {
  const guest = new Summarizer("event");
  let duplicates = 0;
  for (let index = 0; index < 3000; index++) {
    const id = `id ${index % 3 === 2 ? index - 2 : index}`;
    guest.ingest([{ id, tsMs: START_MS + index * 50, terms: [`term ${index % 700}`] }]);
    if (index % 3 === 2) duplicates++;
  }
  assert.equal(guest.trending().duplicateCount, duplicates);
});

test("who says the same again is not counted again, whoever else says it is", () => {
  const guest = new Summarizer("event");
  const say = (user: string, text: string, tsMs: number) =>
    guest.ingest([{ user, text, tsMs }]).fates[0];
  assert.equal(say("bot", "buy cheap watches at my shop today", START_MS), 0);
  assert.equal(say("bot", "buy cheap watches at my shop today!!", START_MS + 1000), 3);
  assert.equal(say("bot", "BUY cheap watches at my shop today", START_MS + 2000), 3);
  assert.equal(say("ann", "buy cheap watches at my shop today", START_MS + 3000), 0);
  assert.equal(say("bot", "who has seen the football match", START_MS + 4000), 0);
  const report = guest.trending(50, "count");
  assert.equal(report.repeatedCount, 2);
  assert.equal(report.eventCount, 5);
  assert.equal(report.userCount, 2);
  assert.equal(report.items.find(({ term }) => term === "watches")?.count, 2);
  assert.equal(say("bot", "buy cheap watches at my shop today", START_MS + 90_000), 0);
});

test("explicit terms are taken as they are, with their weight, once an event", () => {
  const guest = new Summarizer("event");
  guest.ingest([
    { tsMs: START_MS, weight: 7, terms: ["The", "THE", "the", "the", "日本 ", "x".repeat(40)] },
    { tsMs: START_MS, weight: 3, terms: ["the"], text: "umbrella umbrella" },
  ]);
  const counts = Object.fromEntries(
    guest.trending(50, "count").items.map(({ term, count }) => [term, count]),
  );
  assert.deepEqual(counts, {
    the: 10,
    The: 7,
    THE: 7,
    "日本 ": 7,
    ["x".repeat(40)]: 7,
    umbrella: 3,
  });
});

test("on the wall clock silence moves the window and the future counts as now", () => {
  const guest = new Summarizer("wall");
  guest.ingest([{ tsMs: START_MS + 30_000, terms: ["early"] }], START_MS);
  assert.equal(guest.trending().items[0]?.count, 1);
  assert.equal(guest.trending().asOfMs, START_MS);
  guest.advance(START_MS + 54_999);
  assert.equal(guest.trending().eventCount, 1);
  guest.advance(START_MS + 60_000);
  assert.equal(guest.trending().eventCount, 0);
  assert.deepEqual(
    guest.trending().sentences.map(({ text }) => text),
    ["No messages in the last 60 seconds."],
  );
  guest.advance(START_MS - 1e9);
  assert.equal(guest.trending().asOfMs, START_MS + 60_000, "time does not go back");
});

test("on the event clock the host's time changes nothing", () => {
  const guest = new Summarizer("event");
  guest.ingest([{ tsMs: START_MS, terms: ["a"] }], START_MS + 1e9);
  guest.advance(START_MS + 1e9);
  assert.equal(guest.trending().asOfMs, START_MS);
  assert.equal(guest.trending().eventCount, 1);
});

test("on the event clock one event far ahead moves nothing, a second one in a row does", () => {
  const guest = new Summarizer("event");
  const say = (tsMs: number) => guest.ingest([{ tsMs, terms: ["t"] }]).fates[0];
  say(START_MS);
  assert.equal(say(START_MS + 400 * DAY_MS), 0, "it counts as now");
  assert.equal(say(START_MS + 1000), 0);
  assert.equal(guest.trending().eventCount, 3);
  assert.equal(guest.trending().asOfMs, START_MS + 1000);
  assert.equal(say(START_MS + 500 * DAY_MS), 0);
  assert.equal(say(START_MS + 2000), 0, "a doubt ends with the next event that is believed");
  assert.equal(say(START_MS + 600 * DAY_MS), 0);
  assert.equal(guest.trending().asOfMs, START_MS + 2000);
  assert.equal(say(START_MS + 600 * DAY_MS + 3000), 0);
  assert.equal(guest.trending().asOfMs, START_MS + 600 * DAY_MS + 3000, "the stream has moved on");
  assert.equal(guest.trending().eventCount, 1);
  assert.equal(say(START_MS + 3000), 1, "now this is late");
});

test("a stream of an event every other day goes on, one event behind", () => {
  const guest = new Summarizer("event");
  for (let index = 0; index < 20; index++) {
    guest.ingest([{ tsMs: START_MS + index * 2 * DAY_MS, terms: ["t"] }]);
    const behind = index === 0 ? 0 : index - 1;
    const { asOfMs } = guest.trending();
    assert.equal(asOfMs, START_MS + behind * 2 * DAY_MS, `event ${index}`);
  }
});

test("a host's clock that is set back makes nothing late, nor anything new", () => {
  const guest = new Summarizer("wall");
  guest.ingest([{ tsMs: START_MS + 3_600_000, terms: ["ahead"] }], START_MS + 3_600_000);
  for (let second = 0; second < 30; second++) {
    const nowMs = START_MS + second * 1000;
    assert.equal(guest.ingest([{ tsMs: nowMs, terms: ["back"] }], nowMs).counted, 1);
    assert.equal(guest.ingest([{ tsMs: nowMs - 70_000 }], nowMs).late, 1);
  }
  assert.equal(guest.trending().asOfMs, START_MS + 3_600_000);
  assert.equal(guest.trending().eventCount, 31);
});

test("times that make no sense harm nothing", () => {
  for (const clock of ["wall", "event"] as const) {
    const guest = new Summarizer(clock);
    for (const tsMs of [NaN, -Infinity, -5, 0, 8.64e15, Infinity, 3, NaN]) {
      guest.ingest([{ tsMs, user: "u", text: "does this break anything", terms: ["t"] }], tsMs);
      guest.advance(tsMs);
      guest.trending(50);
    }
  }
});

test("few users are counted exactly, many within their error", () => {
  for (const users of [20, 90, 700, 5_000, 60_000]) {
    const guest = new Summarizer("event", { checks: false });
    for (let start = 0; start < users; start += 400) {
      const batch = Array.from({ length: Math.min(400, users - start) }, (_, index) => ({
        user: `user ${start + index}`,
        tsMs: START_MS + Math.floor(((start + index) / users) * 55_000),
        terms: [`term ${index}`],
      }));
      guest.ingest(batch);
    }
    const { userCount, userCountError } = guest.trending();
    if (users <= 700) assert.deepEqual([userCount, userCountError], [users, 0]);
    else assert.ok(userCountError > 0 && userCountError < 0.06, `${userCountError}`);
    assert.ok(
      Math.abs(userCount - users) <= users * userCountError * 4,
      `${userCount} of ${users}`,
    );
    guest.ingest([{ user: "late comer", tsMs: START_MS + 300_000, terms: ["t"] }]);
    assert.equal(guest.trending().userCount, 1);
    assert.equal(guest.trending().userCountError, 0, "exact again after a quiet window");
  }
});

test("a term is never said by more people than it was said, estimated or not", () => {
  const guest = new Summarizer("wall");
  // Many terms of about twenty people each: past what a term remembers of people exactly.
  for (let round = 0; round < 20; round++) {
    const events = Array.from({ length: 60 }, (_, term) => ({
      user: `user-${round}-${term}`,
      terms: [`term-${term}`],
      tsMs: 1_000,
    }));
    guest.ingest(events, 1_000);
  }
  const { items } = guest.trending(50, "count");
  assert.ok(
    items.some(({ userCountError }) => userCountError > 0),
    "some are estimates",
  );
  for (const { term, userCount, countHigh } of items) {
    assert.ok(userCount <= countHigh, `${term}: ${userCount} people of ${countHigh}`);
  }
});

test("an anonymous event has no user, and still is somebody", () => {
  const guest = new Summarizer("event");
  guest.ingest(Array.from({ length: 9 }, () => ({ tsMs: START_MS, terms: ["goal"] })));
  const report = guest.trending();
  assert.equal(report.userCount, 0);
  assert.equal(report.items[0]?.userCount, 0);
  assert.equal(report.items[0]?.trending, true, "nine people without a name are enough");
});

test("before anything was said there is nothing to tell", () => {
  const report = new Summarizer("wall").trending(50);
  assert.equal(report.eventCount, 0);
  assert.deepEqual(report.items, []);
  assert.deepEqual(report.sentences, [
    { text: "No messages in the last 60 seconds.", eventId: undefined },
  ]);
});

const textArbitrary = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.lorem({ maxCount: 40 }),
  fc.constantFrom(
    "",
    " ",
    "\u0000",
    "…".repeat(5000),
    "👨‍👩‍👧‍👦".repeat(400),
    "http://a.b/c?d=e",
    "#a @b",
  ),
);

test("no valid batch breaks anything, and what comes back is valid UTF-8", () => {
  const eventArbitrary = fc.record({
    tsMs: fc.oneof(fc.integer({ min: START_MS - 70_000, max: START_MS + 70_000 }), fc.double()),
    weight: fc.integer({ min: 1, max: 1_000_000 }),
    id: fc.string({ unit: "grapheme", maxLength: 8 }),
    user: fc.string({ unit: "binary", maxLength: 30 }),
    text: textArbitrary,
    terms: fc.array(fc.string({ unit: "binary", maxLength: 10 }), { maxLength: 6 }),
  });
  const batchesArbitrary = fc.array(fc.array(eventArbitrary, { maxLength: 12 }), { maxLength: 6 });
  fc.assert(
    fc.property(
      fc.constantFrom("wall" as const, "event" as const),
      batchesArbitrary,
      (clock, all) => {
        const guest = new Summarizer(clock);
        for (const [index, drawn] of all.entries()) {
          const events = [...drawn];
          while (writeBatch(events).byteLength > BATCH_BYTES_MAX) events.pop();
          const report = guest.ingest(events, START_MS + index * 20_000);
          assert.equal(report.fates.length, events.length);
          const { counted, late, duplicate, repeated } = report;
          assert.equal(counted + late + duplicate + repeated, events.length);
          for (const order of ["trend", "count"] as const) {
            const { items, sentences } = guest.trending(50, order);
            assert.ok(items.length <= 50 && sentences.length >= 1 && sentences.length <= 3);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});
