// What a tenant costs at rest, and that growing and shrinking lose nothing that was promised.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import type { BatchEvent } from "#testing/batch.ts";
import { ConversationsProbe } from "./testing/conversations.ts";
import { SPANS, Summarizer } from "./testing/summarizer.ts";

const START_MS = 1_700_000_000_000;
/** What the busiest chat costs, 64 KiB: state, and the page of its text. */
const HOT_PAGES_MAX = 16;
/** More, once there have been more people than the list holds: a bitmap and an UltraLogLog. */
const CROWD_PAGES = 6;

/** `count` events of one term each, of `terms` different ones, within a second. */
function talk(guest: Summarizer, count: number, terms: number, atMs: number, people = 900): void {
  for (let start = 0; start < count; start += 200) {
    const events = Array.from({ length: Math.min(200, count - start) }, (_, index) => ({
      tsMs: atMs,
      user: `user ${(start + index) % people}`,
      id: `id ${atMs} ${start + index}`,
      terms: [`term ${(start + index) % terms}`],
      text: `is the thing${(start + index) % terms} working again`,
    }));
    guest.ingest(events, atMs);
  }
}

test("a tenant that has only been created costs one page", () => {
  assert.equal(new Summarizer("wall").imagePages, 1);
});

test("a tenant without text where little happens stays on one page for ever", () => {
  const guest = new Summarizer("wall");
  for (let hour = 0; hour < 60; hour++) {
    const atMs = START_MS + hour * 3_600_000;
    const user = `user ${hour % 24}`;
    guest.ingest([{ tsMs: atMs, user, weight: 1 + (hour % 3), terms: [`host ${hour % 5}`] }], atMs);
    guest.ingest([{ tsMs: atMs - 120_000, user, id: `late ${hour}`, terms: ["down"] }], atMs);
    assert.equal(guest.imagePages, 1, `hour ${hour}`);
  }
  const { eventCount, userCount, userCountError, late } = guest.summary("all");
  assert.deepEqual([eventCount, userCount, userCountError, late.count], [120, 24, 0, 60]);
});

test("a tenant where little is said stays on three pages for ever, and rests on one", () => {
  const guest = new Summarizer("wall");
  for (let hour = 0; hour < 50; hour++) {
    const atMs = START_MS + hour * 3_600_000;
    guest.ingest(
      [{ tsMs: atMs, user: "ann", id: `id ${hour}`, text: `hello world ${hour}` }],
      atMs,
    );
    guest.ingest(
      [{ tsMs: atMs, user: `bob ${hour % 23}`, text: `number topic${hour} is up` }],
      atMs,
    );
    assert.ok(guest.imagePages <= 3, `${guest.imagePages} pages in hour ${hour}`);
    assert.equal(guest.trending().eventCount, 2);
    guest.advance(atMs + 70_000);
    assert.equal(guest.imagePages, 1, `hour ${hour}`);
  }
});

/** Chat as it comes: `number` makes the message one that was not said before. */
function chat(number: number, conversation = "", people = 7): Partial<BatchEvent> {
  const subjects = ["the build", "lunch", "that release", "my laptop", "the printer", "a kernel"];
  const subject = subjects[(number * 7) % 6]!;
  const ask = number % 5 === 2 ? "does anybody know why" : "I think that";
  const says = `${ask} ${subject} number${number} stopped working today${number % 5 === 2 ? "?" : ""}`;
  return { id: `message-${number}`, user: `person${number % people}`, conversation, text: says };
}

test("what a tenant takes: new, after some messages, at rest, hot", () => {
  for (const [messages, pagesMost] of [
    [1, 2],
    [3, 3],
    [10, 4],
    [40, 8],
  ] as const) {
    const guest = new Summarizer("wall");
    for (let number = 0; number < messages; number++) {
      const atMs = START_MS + number * 500;
      guest.ingest([{ ...chat(number), tsMs: atMs }], atMs);
    }
    assert.ok(guest.imagePages <= pagesMost, `${guest.imagePages} pages, ${messages} messages`);
    guest.advance(START_MS + 90_000);
    assert.equal(guest.imagePages, 1, `${messages} messages, at rest`);
    assert.ok(guest.summary("all").text.lines.length > 0);
  }
  for (const conversation of ["", "general"]) {
    const guest = new Summarizer("wall");
    for (let number = 0; number < 6000; number++) {
      const atMs = START_MS + number * 10;
      const message = chat(number, conversation, 60);
      const terms = [`term ${number % 700}`, `other ${number % 900}`];
      guest.ingest([{ ...message, terms, tsMs: atMs }], atMs);
    }
    const most = HOT_PAGES_MAX + (conversation === "" ? 0 : 1);
    assert.ok(guest.imagePages <= most, `${guest.imagePages} pages`);
    assert.ok(guest.imagePages > 12, "or it is not hot");
    guest.advance(START_MS + 180_000);
    // 60 people are more than a cold list holds; text and conversation keep their two pages.
    assert.equal(guest.imagePages, conversation === "" ? 1 : 3);
  }
});

test("up to 96 people rest on one page; more are not forgotten either", () => {
  for (const [people, pages] of [
    [24, 1],
    [25, 1],
    [96, 1],
    [97, 5],
    [192, 5],
  ] as const) {
    const guest = new Summarizer("wall");
    for (let number = 0; number < people; number++) {
      const atMs = START_MS + number * 4000;
      guest.ingest([{ ...chat(number, "", people), tsMs: atMs }], atMs);
    }
    guest.advance(START_MS + people * 4000 + 90_000);
    assert.equal(guest.imagePages, pages, `${people} people`);
    const { userCount, userCountError } = guest.summary("all");
    assert.deepEqual([userCount, userCountError], [people, 0]);
  }
});

test("the text is the same wherever it lies: as if it had begun at once and never rested", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  let rests = 0;
  for (let stream = 0; stream < 30; stream++) {
    const random = new Random(seed + stream);
    const guest = new Summarizer(stream % 2 === 0 ? "wall" : "event");
    const probe = new ConversationsProbe();
    const gapMs = [1_000, 20_000, 90_000, 700_000][random.below(4)]!;
    let nowMs = START_MS;
    for (let number = 0; number < 60; number++) {
      nowMs += 1 + random.below(gapMs);
      const where = `SEED=${seed + stream}, message ${number}`;
      guest.advance(nowMs - 1);
      if (guest.imagePages === 1) rests++;
      assert.deepEqual(plain(guest.summary("all").text), plain(probe.ownText()), where);
      const message = { ...chat(random.below(1e6), "", 1 + random.below(20)), tsMs: nowMs };
      const long = random.below(9) === 0 ? ` ${"and so on and on ".repeat(12)}` : "";
      const text = `${message.text!}${long}`;
      const { repeated } = guest.ingest([{ ...message, text }], nowMs);
      const said = repeated === 0 ? text : "";
      probe.say({ user: message.user!, id: message.id!, text: said, tsMs: nowMs });
      assert.deepEqual(plain(guest.summary("all").text), plain(probe.ownText()), where);
    }
  }
  assert.ok(rests > 100, `${rests} rests`);
});

type AnyText = {
  readonly text: string;
  readonly revision: number;
  readonly lines: ReadonlyArray<{ readonly eventId?: string | undefined; readonly tsMs: number }>;
};

function plain({ text, revision, lines }: AnyText): unknown {
  return { text, revision, lines: lines.map(({ eventId, tsMs }) => [eventId, tsMs]) };
}

test("a rest changes no answer but the time, and what is usual stays known", () => {
  const [resting, lively] = [new Summarizer("wall"), new Summarizer("wall")];
  const step = (guest: Summarizer, number: number, atMs: number) =>
    guest.ingest(
      [
        { tsMs: atMs, terms: ["usual"], weight: 3 },
        { ...chat(number), tsMs: atMs },
      ],
      atMs,
    );
  for (let number = 0; number < 60; number++) {
    for (const guest of [resting, lively]) step(guest, number, START_MS + number * 5000);
  }
  resting.advance(START_MS + 400_000);
  assert.equal(resting.imagePages, 1);
  const image = Buffer.from(resting.image);
  const before = resting.summary("all");
  assert.deepEqual(resting.summary("all"), before);
  resting.trending();
  resting.sketch("day");
  assert.ok(Buffer.from(resting.image).equals(image), "asking changes nothing");
  for (const guest of [resting, lively]) {
    for (let number = 100; number < 106; number++) step(guest, number, START_MS + 420_000 + number);
  }
  const [one, other] = [resting, lively].map((guest) => ({
    summary: guest.summary("all"),
    expected: guest.trending(50, "count").items.find(({ term }) => term === "usual")?.expected ?? 0,
  }));
  assert.deepEqual(one!.summary, other!.summary);
  assert.ok(one!.expected > 1, "it had been said before");
  assert.ok(Math.abs(one!.expected / other!.expected - 1) < 1e-4);
});

test("a tenant of two messages a minute tells its 18 terms, at rest on one page too", () => {
  const guest = new Summarizer("wall");
  const counts = new Map<string, number>();
  let nowMs = START_MS - (START_MS % 7_200_000);
  for (let number = 0; number < 120; number++, nowMs += 30_000) {
    const terms = [`term ${number % 15}`, `often ${number % 3}`];
    for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
    guest.ingest([{ tsMs: nowMs, user: `person${number % 7}`, terms }], nowMs);
  }
  assert.equal(counts.size, 18);
  // Those that came up before enough had happened for a page have missed a little.
  const told = () => guest.summary("all", 50).terms.map(({ count, ...term }) => term);
  const before = told();
  assert.deepEqual(before.map(({ term }) => term).toSorted(), [...counts.keys()].toSorted());
  for (const { term, countLow, countHigh } of before) {
    const count = counts.get(term)!;
    assert.ok(countLow <= count && count <= countHigh && countHigh - countLow <= 40, term);
  }
  assert.ok(guest.imagePages > 1);
  guest.advance(nowMs + 90_000);
  assert.equal(guest.imagePages, 1);
  assert.deepEqual(told(), before);
  guest.ingest([{ tsMs: nowMs + 100_000, terms: ["again"] }], nowMs + 100_000);
  assert.deepEqual(
    told().filter(({ term }) => term !== "again"),
    before,
  );
  assert.equal(guest.imagePages, 2, "they have their page again");
  for (let day = 1; day < 4; day++) {
    for (let minute = 0; minute < 3; minute++) {
      const atMs = nowMs + day * 86_400_000 + minute * 60_000;
      guest.ingest([{ tsMs: atMs, terms: ["again"] }], atMs);
    }
  }
  assert.equal(guest.imagePages, 1, "the day was quiet");
});

test("tenants that take turns at rest have the bytes of those that do not", () => {
  const images = [1, 4].map((batch) => {
    const guest = new Summarizer("event");
    for (let first = 0; first < 200; first += batch) {
      const events = Array.from({ length: batch }, (_, index) => {
        const number = first + index;
        const gapMs = number % 9 === 0 ? 80_000 : 0;
        return { ...chat(number, "", 40), tsMs: START_MS + number * 3000 + gapMs * number };
      });
      guest.ingest(events, START_MS);
    }
    return Buffer.from(guest.image);
  });
  assert.ok(images[0]!.equals(images[1]!));
});

test("a quiet chat costs four pages at most", () => {
  const guest = new Summarizer("wall");
  for (let minute = 0; minute < 100; minute++) {
    talk(guest, 12, 300 + minute, START_MS + minute * 60_000);
    assert.ok(guest.imagePages <= 4, `${guest.imagePages} pages in minute ${minute}`);
  }
});

test("a chat of a message a second costs eight pages at most", () => {
  const guest = new Summarizer("wall");
  for (let second = 0; second < 200; second++) {
    talk(guest, 1, 3, START_MS + second * 1000 + 1);
    talk(guest, 1, 100, START_MS + second * 1000);
    assert.ok(guest.imagePages <= 8, `${guest.imagePages} pages in second ${second}`);
  }
});

test("the busiest chat costs 64 KiB at most, a crowd 24 KiB more, and both little when quiet", () => {
  for (const people of [700, 3_000]) {
    const guest = new Summarizer("wall");
    const crowd = people > 768 ? CROWD_PAGES : 0;
    for (let second = 0; second < 90; second++) {
      talk(guest, 3000, 5000 + second, START_MS + second * 1000, people);
      assert.ok(guest.imagePages <= HOT_PAGES_MAX + crowd, `${guest.imagePages} pages`);
    }
    assert.ok(guest.imagePages > 13 + crowd, "or this test tests nothing");
    guest.advance(START_MS + 90_000 + 70_000);
    assert.equal(guest.imagePages, 1 + CROWD_PAGES, "people who do not fit are sketched");
    assert.equal(guest.trending().eventCount, 0);
    guest.advance(START_MS + 3 * 86_400_000);
    assert.equal(guest.imagePages, 3, "nobody is left in the windows; `all` remembers");
    const { userCount, userCountError } = guest.summary("all");
    assert.ok(Math.abs(userCount - people) <= people * userCountError * 4, `${userCount} people`);
  }
});

test("what was counted before a table grew is still exact after it", () => {
  const guest = new Summarizer("wall");
  for (let index = 0; index < 250; index++) {
    guest.ingest(
      [{ tsMs: START_MS + index * 100, user: `user ${index}`, terms: ["all", `own ${index}`] }],
      START_MS + index * 100,
    );
    const report = guest.trending(50, "count");
    if (index < 16)
      assert.ok(
        report.items.every(({ exact }) => exact),
        `event ${index}`,
      );
    const all = report.items.find(({ term }) => term === "all");
    assert.equal(all?.count, index + 1);
    assert.equal(all?.exact, true);
    assert.equal(report.userCount, index + 1, `event ${index}`);
    assert.equal(report.userCountError, 0);
  }
});

test("a table that shrinks keeps the terms that are still said", () => {
  const guest = new Summarizer("wall");
  let nowMs = START_MS;
  for (let second = 0; second < 30; second++, nowMs += 1000) talk(guest, 300, 700, nowMs);
  assert.ok(guest.imagePages > 8);
  for (let minute = 0; minute < 10; minute++) {
    for (let times = 0; times < 6; times++, nowMs += 10_000) {
      guest.ingest([{ tsMs: nowMs, user: `user ${times}`, terms: ["kept"] }], nowMs);
    }
    const report = guest.trending();
    const kept = report.items.find(({ term }) => term === "kept");
    assert.ok((kept?.count ?? 0) >= 6 && (kept?.countHigh ?? 0) >= 6, `minute ${minute}`);
    if (minute > 0) assert.equal(kept?.exact, true);
  }
  assert.equal(guest.imagePages, 3 + CROWD_PAGES);
  const hour = guest.summary("hour", 50).terms.find(({ term }) => term === "kept");
  assert.ok(hour !== undefined && hour.countLow >= 50 && hour.countLow <= 60, "the row stays");
  assert.ok(hour.countHigh >= 60);
});

test("the longest text and the fullest batch fit the memory", () => {
  const words = Array.from({ length: 3000 }, (_, index) => `w${index.toString(36)}é`);
  for (const text of [words.join(" "), "a ".repeat(8190), "漢".repeat(5461), "x".repeat(16_384)]) {
    const guest = new Summarizer("wall");
    const long = { tsMs: START_MS, user: "u".repeat(128), text: text.slice(0, 16_000) };
    while (Buffer.byteLength(long.text) > 16_384) long.text = long.text.slice(0, -1);
    guest.ingest([{ ...long, id: "i".repeat(64) }], START_MS);
    guest.ingest([{ ...long, user: "v" }], START_MS);
    const terms = Array.from({ length: 64 }, (_, index) => `${index}`.padEnd(14, "…"));
    for (let nowMs = START_MS; nowMs < START_MS + 180_000; nowMs += 3000) {
      const heavy = Array.from({ length: 8 }, (_, index) => ({
        tsMs: nowMs - index * 4999,
        user: `user ${index}`,
        terms,
      }));
      guest.ingest(heavy, nowMs);
    }
    assert.ok(guest.trending(50).items.length > 0);
  }
  const guest = new Summarizer("event");
  const small = Array.from({ length: 767 }, (_, index) => ({ tsMs: START_MS + index * 700 }));
  assert.equal(guest.ingest(small).counted, 767);
});

test("the fullest events fit the memory with everything a tenant can have", () => {
  for (const clock of ["wall", "event"] as const) {
    const guest = new Summarizer(clock);
    const random = new Random(3);
    const text = Array.from({ length: 2000 }, (_, index) => `w${index.toString(36)}é`).join(" ");
    const full = (atMs: number, number: number) => ({
      tsMs: atMs,
      id: `${number}`.padEnd(64, "i"),
      user: `${number}`.padEnd(128, "u"),
      conversation: `${number % 40}`.padEnd(128, "c"),
      text: `${number} ${text}`.slice(0, 15_000),
      terms: Array.from({ length: 64 }, (_, index) => `${number}-${index}`.padEnd(40, "x")),
      metrics: Array.from({ length: 16 }, (_, index) => ({
        name: `${index}`.padEnd(64, "m"),
        value: (random.below(2) === 0 ? -1 : 1) * Math.exp(random.unit() * 60 - 30),
      })),
    });
    const small = (atMs: number, number: number) => ({
      ...full(atMs, number),
      text: "",
      terms: [],
    });
    let number = 0;
    for (let nowMs = START_MS; nowMs < START_MS + 400_000; nowMs += 2500) {
      guest.ingest([full(nowMs, number++)], nowMs);
      // Panes move in the middle of a batch on the event clock; every third event is late.
      const events = Array.from({ length: 12 }, (_, index) => {
        const lateMs = index % 3 === 0 ? random.below(7_200_000) : 0;
        return small(nowMs + index * 700 - lateMs, number++);
      });
      guest.ingest(events, nowMs);
      if (number % 13 === 0 && nowMs % 50_000 !== 0) continue;
      for (const span of SPANS) {
        assert.equal(guest.summary(span, 50).metrics.length, 16);
        assert.ok(guest.sketch(span).byteLength > 1000);
      }
      for (const { id } of guest.conversations()) guest.conversation(id);
      guest.trending(50);
    }
    assert.ok(guest.imagePages <= 32, `${guest.imagePages} pages`);
  }
});
