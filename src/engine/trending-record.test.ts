import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { numberBeyond, quantitiesOf } from "#llm/number-check.ts";
import { trendingAnswer } from "#model/trending-answer.ts";
import type { TrendingReport, TrendItem } from "#model/trending.ts";
import { BoundRetelling, plainText, TrendingRecord } from "./trending-record.ts";

type Talk = {
  readonly term: string;
  readonly count: number;
  readonly people: number;
  readonly expected?: number;
  readonly trending?: boolean;
};

function reportOf(talks: readonly Talk[], more: Partial<TrendingReport> = {}): TrendingReport {
  const items = talks.map(itemOf);
  const [lead, ...others] = talks;
  const also = others.map(({ term, count }) => `“${term}” (${count})`).join(" and ");
  const statement =
    lead === undefined
      ? "No messages in the last 60 seconds."
      : `“${lead.term}” leads: ${lead.count} mentions by ${lead.people} people${
          also === "" ? "" : `; also ${also}`
        }.`;
  return {
    asOfMs: 60_000,
    windowStartMs: 0,
    windowEndMs: 60_000,
    eventCount: 200 + talks.reduce((sum, { count }) => sum + count, 0),
    userCount: 150,
    userCountError: 0,
    lateCount: 0,
    duplicateCount: 0,
    repeatedCount: 0,
    items,
    sentences: [
      { text: statement, eventId: undefined },
      { text: "ada: “patch 9 broke it”", eventId: "m1" },
    ],
    ...more,
  };
}

function itemOf({ term, count, people, expected = 3.46, trending = true }: Talk): TrendItem {
  return {
    term,
    count,
    countLow: count,
    countHigh: count,
    exact: true,
    trending,
    expected,
    significance: count,
    userCount: people,
    userCountError: 0,
    firstSeenMs: 1,
    sample: "",
  };
}

const BOSS = { term: "boss fight", count: 42, people: 27 };
const LOGIN = { term: "login", count: 12, people: 9 };

function told(
  sentences: readonly string[],
  before: TrendingReport,
  after: TrendingReport,
): readonly string[] | "refused" | undefined {
  const bound = BoundRetelling.bind(sentences, new TrendingRecord(before), "small-1");
  return bound === undefined ? "refused" : bound.of(new TrendingRecord(after))?.sentences;
}

test("the record says the answer's numbers, each with what it is of", () => {
  const exact = reportOf([BOSS, LOGIN]);
  const [boss, login] = exact.items;
  const report = {
    ...exact,
    items: [boss!, { ...login!, exact: false, countHigh: 15, userCountError: 0.02 }],
  };
  assert.deepEqual(new TrendingRecord(report).parts, [
    fact("all", "254 messages by 150 people in the last 60 seconds"),
    fact("“boss fight”", "42 mentions by 27 people, usually 3.5; it stands out"),
    fact(
      "“login”",
      "at least 12 and at most 15 mentions by about 9 people, usually 3.5; it stands out",
    ),
    fact("somebody said", "ada: “patch 9 broke it”"),
  ]);
});

test("a number that the record has not refuses all of it", () => {
  const report = reportOf([BOSS, LOGIN]);
  for (const text of [
    "About 40 speak of it.",
    "43 mentions",
    "It doubled.",
    "Half of them agree.",
  ]) {
    assert.equal(told(["The boss fight is on.", text], report, report), "refused", text);
  }
  assert.equal(told([" \n "], report, report), "refused");
  assert.deepEqual(told(["42 say\n\u001b boss fight, after patch 9."], report, report), [
    "42 say boss fight, after patch 9.",
  ]);
});

test("numbers that have changed are said as they are now", () => {
  const before = reportOf([BOSS, LOGIN]);
  const after = reportOf([
    { ...BOSS, count: 1045, people: 31 },
    { ...LOGIN, count: 14 },
  ]);
  const said = ["27 people say “boss fight” 42 times,", "“login” comes 12 times after patch 9."];
  assert.deepEqual(told(said, before, after), [
    "31 people say “boss fight” 1045 times,",
    "“login” comes 14 times after patch 9.",
  ]);
  assert.deepEqual(told(["A boss fight is on."], before, after), ["A boss fight is on."]);
});

test("a number that has moved to another place is not taken for the same", () => {
  // The people are as many now as the mentions were.
  const before = reportOf([{ term: "boss fight", count: 5, people: 4 }]);
  const after = reportOf([{ term: "boss fight", count: 6, people: 5 }]);
  assert.deepEqual(told(["5 mentions by 4 people."], before, after), ["6 mentions by 5 people."]);
});

test("where it might be the one or the other number, it is not shown", () => {
  const before = reportOf([{ ...BOSS, people: 12 }, LOGIN]);
  const same = reportOf([
    { ...BOSS, people: 13 },
    { ...LOGIN, count: 13 },
  ]);
  const parted = reportOf([{ ...BOSS, people: 13 }, LOGIN]);
  assert.deepEqual(told(["12 of them."], before, same), ["13 of them."]);
  assert.equal(told(["12 of them."], before, parted), undefined);
});

test("a count that is known less well is not taken for the people beside it", () => {
  const before = reportOf([BOSS]);
  const [boss] = before.items;
  const after = { ...before, items: [{ ...boss!, exact: false, countHigh: 45 }] };
  assert.equal(told(["27 people speak of it."], before, after), undefined);
  assert.equal(told(["42 times."], before, after), undefined);
  assert.deepEqual(told(["A fight."], before, after), ["A fight."]);
});

test("what cannot be said in another number is not shown with one", () => {
  const before = reportOf([BOSS, LOGIN]);
  const one = reportOf([BOSS, { ...LOGIN, people: 1 }]);
  const more = reportOf([BOSS, { ...LOGIN, count: 14 }]);
  const quieter = reportOf([BOSS, LOGIN], {
    sentences: reportOf([BOSS, LOGIN]).sentences.slice(0, 1),
  });
  assert.deepEqual(told(["login: twelve times"], before, before), ["login: twelve times"]);
  assert.equal(told(["login: twelve times"], before, more), undefined);
  assert.equal(told(["login: a dozen times"], before, more), undefined);
  assert.equal(told(["9 people cannot log in."], before, one), undefined);
  assert.equal(told(["Patch 9 broke it."], before, quieter), undefined);
});

test("it is shown only while the same leads and what it names is there as it was", () => {
  const before = reportOf([BOSS, LOGIN]);
  const said = ["The boss fight and a login."];
  assert.deepEqual(told(said, before, reportOf([{ ...BOSS, count: 50 }, LOGIN])), said);
  assert.equal(told(said, before, reportOf([LOGIN, BOSS])), undefined);
  assert.equal(told(said, before, reportOf([BOSS])), undefined);
  const { sentences } = before;
  const calm = reportOf([BOSS, { ...LOGIN, trending: false }], { sentences });
  assert.equal(told(said, before, calm), undefined);
  assert.deepEqual(told(["The boss fight."], before, calm), ["The boss fight."]);
});

test("who leads is the same in a report that is in the order of counts", () => {
  const quiet = { term: "lol", count: 60, people: 30, trending: false };
  const before = reportOf([BOSS, LOGIN, quiet]);
  const items = before.items.toSorted((a, b) => b.count - a.count);
  assert.equal(items[0]!.term, "lol");
  const said = ["The boss fight leads, then the login, with 12."];
  const bound = BoundRetelling.bind(said, new TrendingRecord(before), "small-1");
  const counted = new TrendingRecord({ ...before, items }, "count");
  assert.deepEqual(bound?.of(counted)?.sentences, said);
  assert.equal(bound?.of(new TrendingRecord({ ...before, items })), undefined);
});

test("a term that has fallen in rank is found where it is", () => {
  const others = Array.from({ length: 8 }, (_, n) => ({ term: `t${n}`, count: 100, people: 99 }));
  const before = reportOf([LOGIN, ...others]);
  const after = reportOf([...others.slice(0, 8), { ...LOGIN, count: 13 }]);
  const told = new TrendingRecord(after).parts.map(({ name }) => name);
  assert.ok(!told.includes("“login”"));
  const bound = BoundRetelling.bind(["12 times."], new TrendingRecord(before), "small-1");
  assert.deepEqual(bound?.of(new TrendingRecord(after))?.sentences, ["13 times."]);
});

test("terms and quotations of any size fit in a prompt", () => {
  const talks = Array.from({ length: 50 }, (_, n) => ({
    term: `${n} ${"é".repeat(4_000)}`,
    count: n,
    people: n,
  }));
  const sentences = talks.flatMap(({ term }) => [
    { text: term, eventId: undefined },
    { text: `“${term}”`, eventId: term },
  ]);
  const { parts } = new TrendingRecord(reportOf(talks, { sentences }));
  const bytes = parts.map(({ name, text }) => Buffer.byteLength(name + text) + 8);
  assert.ok(parts.length <= 32);
  assert.ok(bytes.reduce((sum, each) => sum + each, 0) < 12_000);
});

const TERMS = ["boss", "login", "patch 9", "7"];
/** Of small numbers: those of different things are often the same. */
const small = fc.integer({ min: 0, max: 20 });
/** Without people a record says none. */
const some = fc.integer({ min: 1, max: 20 });
const talk = fc.record({ count: small, people: some, expected: small, trending: fc.boolean() });
/** What a number becomes: often what it was, often what another one was. */
const change = fc.constantFrom(0, 0, 0, 0, 1, 1, -1, 2);
const isRare = fc.constantFrom(true, false, false, false, false, false, false, false);
/** A window, and what it may be a while later. */
const windows = fc
  .record({
    talks: fc.array(talk, { minLength: 1, maxLength: TERMS.length }),
    eventCount: small,
    changes: fc.array(change, { minLength: 13, maxLength: 13 }),
    isTurned: isRare,
    isCalmed: isRare,
  })
  .map(({ talks, eventCount, changes, isTurned, isCalmed }) => {
    const before = talks.map((each, index) => ({ ...each, term: TERMS[index]! }));
    const changed = before.map((each, index) => ({
      ...each,
      trending: isCalmed && index === 1 ? !each.trending : each.trending,
      count: Math.max(each.count + changes[index]!, 0),
      people: Math.max(each.people + changes[4 + index]!, 1),
      expected: Math.max(each.expected + changes[8 + index]! / 10, 0),
    }));
    const after = isTurned ? changed.toReversed() : changed;
    const later = { eventCount: Math.max(eventCount + changes[12]!, 0) };
    return [reportOf(before, { eventCount }), reportOf(after, later)] as const;
  });

test("whatever becomes of a window, a number shown is what the answer says of its thing", () => {
  let shown = 0;
  let changed = 0;
  const property = fc.property(windows, ([before, after]) => {
    // What a model would say that reads well, in a form that can be read back.
    const said = before.items.slice(0, 2).map(({ term, count, userCount }) => {
      return `“${term}” has ${count} mentions by ${userCount} people`;
    });
    const texts = told(said, before, after);
    assert.notEqual(texts, "refused");
    for (const text of texts ?? []) {
      const [, term, count, people] = /^“(.+)” has (\d+) mentions by (\d+) people$/.exec(text)!;
      const item = after.items.find((each) => each.term === term);
      assert.ok(item !== undefined, text);
      assert.deepEqual([item.count, item.userCount], [Number(count), Number(people)], text);
      shown += 1;
      if (!said.includes(text)) changed += 1;
    }
  });
  fc.assert(property, { numRuns: 3_000 });
  assert.ok(shown > 200 && changed > 50, `${shown} were shown, ${changed} in other numbers`);
});

test("no text is shown with a number that is not in the answer", () => {
  const piece = fc.oneof(
    fc.constantFrom("boss", "login", "half", "most", "twelve", "dozen", "%", "k", "-", ".", ","),
    { arbitrary: fc.integer({ min: -2, max: 21 }).map(String), weight: 2 },
    fc.string({ maxLength: 4, unit: "grapheme" }),
  );
  const text = fc
    .record({ pieces: fc.array(piece, { maxLength: 4 }), glue: fc.constantFrom(" ", " ", "") })
    .map(({ pieces, glue }) => pieces.join(glue));
  const texts = fc.array(text, { minLength: 1, maxLength: 3 });
  let shown = 0;
  const property = fc.property(windows, texts, ([before, after], said) => {
    const bound = BoundRetelling.bind(said, new TrendingRecord(before), "small-1");
    const retelling = bound?.of(new TrendingRecord(after));
    if (retelling === undefined) return;
    const answer = trendingAnswer("acme", after, retelling);
    const { text: whole } = answer.tldr;
    if ([...quantitiesOf(whole)].length > 0) shown += 1;
    // The answer's own numbers, not the record's: of the terms, in the text, and as it is rounded.
    const own = [
      ...answer.items.map((item) => Object.values(item).join(" ; ")),
      ...answer.items.map(({ expected }) => expected.toFixed(1)),
      ...answer.items.map(({ term }) => term),
      ...after.sentences.map(({ text: each }) => each),
      `${answer.eventCount} ${answer.userCount} 60`,
    ];
    assert.equal(numberBeyond(whole, own), undefined, whole);
  });
  fc.assert(property, { numRuns: 4_000 });
  assert.ok(shown > 50, `${shown} were shown`);
});

test("a text that is told has nothing in it that hides or turns around", () => {
  assert.equal(plainText(" a\u001B[m\u0000\r\n\u2028b\u202Ec\u2066d\u2069 "), "a[m bcd");
});

function fact(name: string, text: string): object {
  return { kind: "fact", name, text };
}
