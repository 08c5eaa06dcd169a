// The TL;DR and the trends of small conversations, word for word, and of real IRC logs.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import test from "node:test";
import type { TrendingReport } from "#model/trending.ts";
import { Summarizer } from "./testing/summarizer.ts";

const START_MS = 1_700_000_000_000;
/** Laid beside the project where it is developed; not a part of it. */
const IRC_FOLDER = resolve(import.meta.dirname, "../../../shared/data/irc_disentanglement");

type Line = readonly [user: string, text: string];

const USUAL: readonly (readonly Line[])[] = [
  [
    ["ann", "good morning everyone"],
    ["bob", "hey ann how are you"],
    ["cid", "anyone playing tonight?"],
  ],
  [
    ["dee", "my cat is asleep again"],
    ["ann", "lol cute"],
    ["bob", "what's for lunch"],
  ],
  [
    ["eve", "the new episode was great"],
    ["cid", "no spoilers please"],
  ],
];

/** A tenant with `minutes` of small talk behind it, then the lines within one minute. */
function after(minutes: number, lines: readonly Line[]): Summarizer {
  const guest = new Summarizer("event");
  for (let minute = 0; minute < minutes; minute++) {
    say(guest, USUAL[minute % USUAL.length]!, START_MS + minute * 60_000);
  }
  say(guest, lines, START_MS + minutes * 60_000);
  return guest;
}

function say(guest: Summarizer, lines: readonly Line[], fromMs: number): void {
  for (const [index, [user, text]] of lines.entries()) {
    guest.ingest([{ tsMs: fromMs + Math.floor((index * 55_000) / lines.length), user, text }]);
  }
}

function termsOf(report: TrendingReport): string[] {
  return report.items.map(({ term }) => term);
}

test("an outage is the news, in the words of those who met it", () => {
  const guest = after(30, [
    ["ann", "is the login page down for anyone else?"],
    ["bob", "yes login page gives me a 502"],
    ["cid", "same here, login page broken"],
    ["dee", "502 on the login page since 10:31"],
    ["eve", "status page says they are investigating the login issue"],
    ["fay", "can't log in either, 502"],
    ["gus", "lol"],
    ["ann", "refreshing the login page does nothing"],
  ]);
  assert.equal(
    guest.tldr(),
    "“login page” stands out: 5 mentions by 4 people in the last 60 seconds, " +
      "where usually there is less than one.\n" +
      "ann: “is the login page down for anyone else?”\n" +
      "cid: “same here, login page broken”",
  );
  const [first] = guest.trending().items;
  assert.equal(first?.term, "login page");
  assert.equal(first.trending, true);
  assert.equal(first.userCount, 4);
  assert.equal(first.sample, "same here, login page broken");
});

test("small talk is said to be small talk", () => {
  assert.equal(
    after(10, [
      ["ann", "morning all"],
      ["bob", "hi ann"],
      ["cid", "coffee time"],
      ["ann", "did anybody see the game?"],
    ]).tldr(),
    "4 messages by 3 people in the last 60 seconds, nothing out of the ordinary.\n" +
      "cid: “coffee time”\n" +
      "ann: “did anybody see the game?”",
  );
});

test("a new tenant claims nothing about what is usual", () => {
  const lines: Line[] = [
    ["a", "GOAL!!!"],
    ["b", "what a strike by Messi"],
    ["c", "Messi again! unreal goal"],
    ["d", "that goal from messi was insane"],
    ["e", "goal of the season"],
  ];
  const [headline] = after(0, lines).trending().sentences;
  assert.equal(
    headline?.text,
    "5 messages by 5 people in the last 60 seconds; most mentioned: “goal” (4) and “messi” (3).",
  );
});

test("one message is one message by one person", () => {
  assert.equal(
    after(0, [["ann", "hello?"]]).tldr(),
    "1 message by 1 person in the last 60 seconds.\nann: “hello?”",
  );
});

test("one user shouting 500 times is not a trend", () => {
  const guest = after(10, []);
  const fromMs = START_MS + 600_000;
  for (let index = 0; index < 500; index++) {
    const text = `pills for ${"abcdefghij"[index % 10]}${index.toString(26)} people`;
    guest.ingest([{ tsMs: fromMs + index * 100, user: "spam", text, terms: ["pills"] }]);
  }
  guest.ingest([{ tsMs: fromMs + 50_000, user: "ann", text: "can someone ban this guy" }]);
  const byTrend = guest.trending(50);
  assert.ok(!termsOf(byTrend).includes("pills"));
  assert.ok(byTrend.items.every(({ trending }) => !trending));
  assert.ok(!byTrend.sentences[0]?.text.includes("pills"));
  const byCount = guest.trending(50, "count");
  assert.equal(byCount.items[0]?.term, "pills");
  assert.ok(byCount.items[0].count > 0);
});

test("three people make a trend of what two cannot", () => {
  for (const [people, expected] of [
    [2, false],
    [3, true],
  ] as const) {
    const guest = after(20, []);
    for (let index = 0; index < 12; index++) {
      guest.ingest([
        { tsMs: START_MS + 1_200_000 + index, user: `user ${index % people}`, terms: ["comet"] },
      ]);
    }
    assert.equal(guest.trending().items[0]?.trending, expected, `${people} people`);
  }
});

test("what is said every minute is no trend, however much it is", () => {
  const guest = new Summarizer("event");
  for (let second = 0; second < 1200; second++) {
    guest.ingest([
      { tsMs: START_MS + second * 1000, user: `user ${second % 9}`, terms: ["weather"] },
      { tsMs: START_MS + second * 1000, user: `user ${second % 7}`, terms: ["lunch", "noon"] },
    ]);
  }
  const report = guest.trending();
  assert.ok(report.items.every(({ trending }) => !trending));
  const weather = report.items.find(({ term }) => term === "weather");
  assert.equal(weather?.count, 60);
  assert.ok(Math.abs(weather.expected - 60) < 8, `${weather.expected} are usual`);
  for (let index = 0; index < 200; index++) {
    guest.ingest([{ tsMs: START_MS + 1_200_000, user: `user ${index}`, terms: ["weather"] }]);
  }
  const burst = guest.trending();
  assert.equal(burst.items[0]?.term, "weather");
  assert.equal(burst.items[0].trending, true);
  assert.match(
    burst.sentences[0]!.text,
    /^“weather” stands out: 25\d mentions by about \d+ people/,
  );
  assert.match(burst.sentences[0]!.text, /about 5 times the usual 5\d\.$/);
});

test("a pair that is always said together is one topic", () => {
  const guest = after(20, [
    ["ann", "my hard drive is making noises"],
    ["bob", "which hard drive do you have"],
    ["cid", "hard drive noises are never good"],
    ["dee", "back up the hard drive now"],
    ["eve", "rip hard drive"],
  ]);
  const terms = termsOf(guest.trending(50));
  assert.equal(terms[0], "hard drive");
  assert.ok(!terms.includes("hard") && !terms.includes("drive"));
  assert.ok(termsOf(guest.trending(50, "count")).includes("hard"), "but it is counted");
});

test("who is spoken to is not what is spoken about", () => {
  const guest = after(
    20,
    ["bob", "cid", "dee", "eve", "fay", "gus"].map((user): Line => [
      user,
      "@ann thank you so much!",
    ]),
  );
  const report = guest.trending(50);
  assert.equal(report.items.at(-1)?.term, "@ann");
  assert.equal(report.items.at(-1)?.trending, false);
  assert.ok(!report.sentences[0]?.text.includes("@ann"));
});

test("a quote carries its event's id, or the number of the event", () => {
  const guest = new Summarizer("event");
  guest.ingest([
    { tsMs: START_MS, id: "message-77", user: "ann", text: "the train is late again today" },
    { tsMs: START_MS, user: "bob", text: "which train do you mean?" },
  ]);
  const [, ...quotes] = guest.trending().sentences;
  assert.deepEqual(quotes, [
    { text: "ann: “the train is late again today”", eventId: "message-77" },
    { text: "bob: “which train do you mean?”", eventId: "e2" },
  ]);
});

test("a long message is quoted up to a word, and on one line", () => {
  const text = `first line of many\n\tsecond\u0000line ${"très ".repeat(60)}end`;
  const guest = after(0, [["a name that is longer than anybody could want it to be", text]]);
  const quote = guest.trending().sentences[1]!.text;
  assert.match(quote, /^a name that is longer than…: “first line of many second line très /);
  assert.match(quote, /très…”$/);
  assert.ok(Buffer.byteLength(quote) < 220);
});

test("quotes leave with their window", () => {
  const guest = after(0, [["ann", "the harbour bridge is closed"]]);
  guest.ingest([{ tsMs: START_MS + 120_000, user: "bob", terms: ["thing"] }]);
  assert.equal(guest.tldr(), "1 event by 1 person in the last 60 seconds.");
});

test("every number of the TL;DR is in the report", () => {
  for (const count of [3, 9, 30, 90]) {
    const lines = Array.from({ length: count }, (_, index): Line => [
      `user${"abcdefghijkl"[index % 12]}`,
      `earthquake number ${index} again`,
    ]);
    const report = after(15, lines).trending(50);
    const known = new Set(
      [
        60,
        report.eventCount,
        report.userCount,
        ...report.items.flatMap((item) => [
          item.count,
          item.userCount,
          Math.round(item.expected),
          Math.round(item.count / item.expected),
        ]),
      ].map(String),
    );
    const headline = report.sentences[0]!.text.replaceAll(/about \d+ people/g, "");
    for (const [number] of headline.matchAll(/\d+/g)) assert.ok(known.has(number), headline);
  }
});

function replay(name: string, toMinute: string): TrendingReport | undefined {
  const path = join(IRC_FOLDER, name);
  const guest = new Summarizer("event");
  const minutes = new Map<string, Line[]>();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const [, minute, user, text] = /^\[(\d\d:\d\d)\] <([^>]+)> (.*)$/.exec(line) ?? [];
    if (minute === undefined || user === undefined || text === undefined) continue;
    minutes.set(minute, [...(minutes.get(minute) ?? []), [user, text]]);
  }
  let dayMs = Date.UTC(2020, 0, 1);
  let last = -1;
  for (const [minute, lines] of minutes) {
    const [hours, rest] = minute.split(":").map(Number) as [number, number];
    if (hours * 60 + rest < last) dayMs += 86_400_000;
    last = hours * 60 + rest;
    say(guest, lines, dayMs + last * 60_000);
    if (minute === toMinute) return guest.trending();
  }
  return undefined;
}

const hasIrc = existsSync(IRC_FOLDER);
const skip = hasIrc ? false : "the IRC logs are not here";

test("#ubuntu at 01:15 is amazed at a door that runs Ubuntu", { skip }, () => {
  const report = replay("dev/2011-11-13_02.ascii.txt", "01:15")!;
  assert.equal(report.items[0]?.term, "door");
  assert.equal(report.items[0].trending, true);
  assert.match(report.sentences[0]!.text, /^“door” stands out: 5 mentions by 3 people/);
  assert.match(report.sentences[1]!.text, /^pnorman: “.* I tried upgrading my door/);
});

test("#ubuntu at 19:00 is looking for a newer Asterisk", { skip }, () => {
  const report = replay("dev/2016-12-19_20.ascii.txt", "19:00")!;
  assert.equal(report.items[0]?.term, "asterisk");
  assert.equal(report.items[0].trending, true);
});
