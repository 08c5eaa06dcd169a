// The users of every span against an exact twin: what is called exact is, what is estimated is
// within its error, and what can be exact is.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";
import { isInSpan, rankBitOf, rankBits, ultraRegisters, widen } from "./testing/user-sketches.ts";

type Probe = {
  memory: WebAssembly.Memory;
  open(capacity: number): void;
  headerBytes(): number;
  add(hash: number, pane: number, current: number): void;
  addRange(first: number, step: number, count: number, pane: number, current: number): void;
  roll(current: number): void;
  isFull(current: number): number;
  fits(capacity: number): number;
  isPoured(): number;
  held(): number;
  rehash(capacity: number, current: number): void;
  count(span: number, current: number): number;
  error(span: number, current: number): number;
  encodedKind(span: number, current: number): number;
  encodedBytes(span: number, current: number): number;
  encode(span: number, current: number): number;
  hashOf(user: number): number;
};

const SEED = Number(process.env["SEED"] ?? 1);
const [MINUTE, TEN_MINUTES, HOUR, DAY, ALL] = [0, 1, 2, 3, 4] as const;
const SPANS = [MINUTE, TEN_MINUTES, HOUR, DAY, ALL];
const MINUTE_PANES = 12;
const DAY_PANES = 12 * 1440;
const START = 350_000_003;
const BITMAP_START = 0x18000;
const ULTRA_P = 13;

const module = await compileGuest("guests/sdk/assembly/probes/user-spans.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;
const memory = new Uint8Array(probe.memory.buffer);
const view = new DataView(probe.memory.buffer);

function limitOf(capacity: number): number {
  return capacity - capacity / 4;
}

/** Everybody, with the pane of the last appearance. */
class ExactUsers {
  readonly #panes = new Map<number, number>();

  add(hash: number, pane: number): void {
    this.#panes.set(hash, Math.max(pane, this.#panes.get(hash) ?? 0));
  }

  /** Hashes of a span. */
  of(span: number, current: number): number[] {
    const users = [...this.#panes];
    if (span === ALL) return users.map(([hash]) => hash);
    return users.filter(([, pane]) => isInSpan(span, pane, current)).map(([hash]) => hash);
  }
}

/** Feeds the twin and the guest alike, and knows when the minute may be an estimate. */
class Pair {
  readonly exact = new ExactUsers();
  current: number;
  capacity: number;
  /** The last pane in which a minute had more users than the list holds. */
  crowded = -Infinity;
  deviations: number[] = [];
  exactChecks = 0;

  constructor(capacity: number, current: number) {
    this.capacity = capacity;
    this.current = current;
    probe.open(capacity);
    probe.roll(current);
  }

  add(user: number, pane: number): void {
    const hash = probe.hashOf(user) >>> 0 || 0x80000000;
    this.exact.add(hash, pane);
    probe.add(hash, pane, this.current);
  }

  roll(panes: number): void {
    this.current += panes;
    probe.roll(this.current);
  }

  rehash(capacity: number): void {
    this.watch();
    this.capacity = capacity;
    this.watch();
    probe.rehash(capacity, this.current);
  }

  minute(): number {
    return this.exact.of(MINUTE, this.current).length;
  }

  /** Has to be called in every pane with events, before the roll and before a change. */
  watch(): void {
    if (this.minute() > limitOf(this.capacity)) this.crowded = this.current;
  }

  check(label: string): void {
    assert.ok(probe.held() <= limitOf(this.capacity), label);
    for (const span of SPANS) {
      const users = this.exact.of(span, this.current);
      const count = probe.count(span, this.current);
      const error = probe.error(span, this.current);
      const shown = `${label}, span ${span}: ${count} +- ${error} of ${users.length}`;
      if (error === 0) {
        assert.equal(count, users.length, shown);
        this.exactChecks++;
      } else {
        assert.ok(probe.isPoured(), shown);
        const off = Math.round(count) - users.length;
        assert.ok(Math.abs(off) <= 6 * error * count, shown);
        this.deviations.push(Math.abs(off) / (error * count));
      }
    }
    if (this.current - this.crowded >= MINUTE_PANES) {
      assert.equal(probe.error(MINUTE, this.current), 0, `${label}: the minute fits`);
    }
    if (probe.isPoured()) return;
    const isTouched = memory.subarray(BITMAP_START).some((byte) => byte !== 0);
    assert.ok(!isTouched, "neither sketch is touched while the list holds everybody");
  }

  checkEncoded(label: string): void {
    for (const span of SPANS) {
      const users = this.exact.of(span, this.current);
      const kind = probe.encodedKind(span, this.current);
      const bytes = probe.encodedBytes(span, this.current);
      const at = probe.encode(span, this.current);
      const payload = memory.slice(at, at + bytes);
      if (kind === 2) {
        assert.equal(probe.error(span, this.current), 0, label);
        assert.equal(bytes, 8 + 4 * users.length, label);
        assert.deepEqual(
          [view.getUint32(at, true), view.getUint32(at + 4, true)],
          [users.length, 0],
        );
        const hashes = users.map((_, index) => view.getUint32(at + 8 + 4 * index, true));
        assert.deepEqual(hashes.toSorted(byValue), users.toSorted(byValue), label);
      } else if (kind === 3) {
        assert.notEqual(span, ALL);
        assert.deepEqual(payload, rankBits(users.map(rankBitOf)), `${label}, span ${span}`);
      } else {
        assert.equal(kind, 4);
        assert.equal(span, ALL);
        assert.deepEqual(payload, ultraRegisters(ULTRA_P, users.map(widen)), label);
      }
      memory.fill(0, at, at + bytes);
    }
  }
}

function byValue(left: number, right: number): number {
  return left - right;
}

/** Panes to go on by: mostly one, at times minutes, hours, days, years. */
function stepOf(random: Random): number {
  const longest = [1, 1, 1, 1, 1, 1, 3, 14, 200, 900, 20_000, 70_000, 200_000, 3_000_000];
  return 1 + random.below(longest[random.below(longest.length)]!);
}

function lateOf(random: Random): number {
  if (random.below(3) > 0) return 0;
  return random.below([12, 150, 1000, 20_000, 100_000][random.below(5)]!);
}

/** A tenant whose crowds come and go, and whose owner changes the capacity now and then. */
function checkStream(seed: number, steps: number): Pair {
  const random = new Random(seed);
  const capacities = [32, 64, 128, 256, 1024];
  const early = random.below(3) === 0;
  const pair = new Pair(capacities[random.below(5)]!, early ? 16 + random.below(40) : START);
  const isLate = random.below(2) === 0;
  let population = 1 + random.below(2 * pair.capacity);
  let events = 1 + random.below(60);
  let first = 0;
  for (let step = 0; step < steps; step++) {
    if (random.below(25) === 0) {
      population = 1 + random.below([10, 40, 300, 3000][random.below(4)]!);
      events = 1 + random.below([5, 40, 40, 600][random.below(4)]!);
      first = random.below(5000);
    }
    for (let event = random.below(events); event >= 0; event--) {
      const late = isLate ? lateOf(random) : 0;
      if (random.below(30) === 0 && probe.isFull(pair.current)) {
        pair.rehash(Math.min(1024, pair.capacity * 2));
      }
      pair.add(first + random.below(population), Math.max(16, pair.current - late));
    }
    pair.watch();
    if (random.below(60) === 0) pair.rehash(capacities[random.below(5)]!);
    if (random.below(8) === 0) pair.check(`seed ${seed}, step ${step}`);
    if (random.below(120) === 0) pair.checkEncoded(`seed ${seed}, step ${step}`);
    pair.roll(stepOf(random));
    if (random.below(8) === 0) pair.check(`seed ${seed}, after step ${step}`);
  }
  return pair;
}

test("windows, late users, jumps, overflow, recovery, growth, shrink: against the twin", (t) => {
  const streams = Number(process.env["STREAMS"] ?? 60);
  const deviations: number[] = [];
  let exactChecks = 0;
  for (let stream = 0; stream < streams; stream++) {
    const pair = checkStream(SEED * 1000 + stream, 300);
    deviations.push(...pair.deviations);
    exactChecks += pair.exactChecks;
  }
  const within = deviations.filter((deviation) => deviation <= 2).length;
  t.diagnostic(
    `seeds ${SEED * 1000} to ${SEED * 1000 + streams - 1}: ${exactChecks} exact answers, ` +
      `${within} of ${deviations.length} estimates within twice their error`,
  );
  assert.ok(deviations.length > 1000 && exactChecks > 1000);
  assert.ok(within >= 0.95 * deviations.length);
});

test("up to 3/4 of the capacity everything is exact since the start; one more pours", () => {
  for (const capacity of [32, 256, 1024]) {
    const pair = new Pair(capacity, START);
    for (let user = 0; user < limitOf(capacity); user++) {
      assert.ok(!probe.isFull(pair.current));
      pair.add(user, pair.current);
      if (user % 8 === 0) pair.roll(1 + (user % 100));
    }
    pair.check(`capacity ${capacity}`);
    assert.ok(!probe.isPoured());
    assert.ok(probe.isFull(pair.current));
    pair.roll(30_000);
    pair.check(`capacity ${capacity}, two days on`);
    assert.equal(probe.count(ALL, pair.current), limitOf(capacity));
    pair.add(limitOf(capacity), pair.current);
    assert.ok(probe.isPoured());
    pair.check(`capacity ${capacity}, poured`);
    assert.equal(probe.count(DAY, pair.current), 1);
    assert.equal(probe.error(DAY, pair.current), 0, "the list still holds the day");
    assert.ok(probe.error(ALL, pair.current) > 0);
  }
});

test("after a crowd each span is exact again once it has left it behind", () => {
  const pair = new Pair(256, START);
  for (let user = 0; user < 5000; user++) pair.add(user, pair.current);
  pair.watch();
  pair.check("in the crowd");
  assert.ok(SPANS.every((span) => probe.error(span, pair.current) > 0));
  for (let pane = 1; pane <= DAY_PANES; pane++) {
    pair.roll(1);
    if (pane > 12 && pane % 7 === 0) pair.add(10_000 + (pane % 40), pair.current);
    const exactSpans = SPANS.filter((span) => probe.error(span, pair.current) === 0);
    const passed = [MINUTE, TEN_MINUTES, HOUR, DAY].filter(
      (span) => !isInSpan(span, START, pair.current),
    );
    assert.deepEqual(exactSpans, passed, `pane ${pane}`);
    if (pane % 977 === 0 || [11, 12, 120, 720].includes(pane)) pair.check(`pane ${pane}`);
  }
  assert.equal(probe.error(DAY, pair.current), 0);
});

test("16 bits of pane do not bring anybody back", () => {
  const pair = new Pair(256, START);
  for (let user = 0; user < 100; user++) pair.add(user, pair.current);
  for (const panes of [65_536 - 5, 5, 11, 65_536, 65_536 * 3 - 6, 1_000_000, 32_768, 32_768]) {
    pair.roll(panes);
    pair.check(`${panes} panes on`);
    assert.equal(probe.count(DAY, pair.current), 0);
    assert.equal(probe.count(ALL, pair.current), 100);
  }
  for (let pane = 0; pane < 140_000; pane += 400) {
    pair.roll(400);
    assert.equal(probe.count(DAY, pair.current), 0, `pane ${pane}`);
  }
  pair.add(5, pair.current);
  pair.check("one is back");
  assert.equal(probe.count(MINUTE, pair.current), 1);
});

test("who is later than a day, or than 2^16 panes, counts since the start only", () => {
  const pair = new Pair(32, START);
  for (const late of [DAY_PANES, 40_000, 65_536, 65_537, 1_000_000, START - 16]) {
    pair.add(late, pair.current - late);
  }
  pair.check("six very late users");
  assert.equal(probe.count(DAY, pair.current), 0);
  assert.equal(probe.count(ALL, pair.current), 6);
  for (let user = 0; user < 40; user++) pair.add(user, pair.current - 65_536 * user);
  pair.check("poured");
  pair.checkEncoded("poured");
});

test("the user whose hash is 0 is a user", () => {
  const pair = new Pair(32, START);
  probe.add(0, START, START);
  assert.equal(probe.count(ALL, START), 1);
  probe.add(0x80000000, START, START);
  assert.equal(probe.count(ALL, START), 1);
  assert.ok(pair.current === START);
});

test("shrinking below the number of users overflows, and the newest stay", () => {
  const pair = new Pair(1024, START);
  for (let user = 0; user < 700; user++) {
    pair.add(user, pair.current);
    if (user % 100 === 99) pair.roll(1);
  }
  for (let user = 0; user < 20; user++) pair.add(user, pair.current);
  assert.ok(!probe.fits(256));
  pair.rehash(32);
  assert.ok(probe.isPoured());
  pair.check("shrunk");
  pair.checkEncoded("shrunk");
  for (let pane = 0; pane < MINUTE_PANES; pane++) {
    pair.roll(1);
    pair.add(pane, pair.current);
  }
  pair.check("a minute later");
  assert.equal(probe.error(MINUTE, pair.current), 0);
  assert.equal(probe.count(MINUTE, pair.current), 12);
});

test("a steady stream of more users than the list holds: each span within its error", (t) => {
  const deviations: number[] = [];
  for (let round = 0; round < 24; round++) {
    const perPane = [80, 200, 480][round % 3]!;
    probe.open(1024);
    // So that `all` holds more than the day, and the day comes from the bitmap.
    probe.add(1, START - 100_000, START - 100_000);
    let current = START;
    let user = Math.imul(round, 0x3504f333) + Math.imul(SEED, 0x9e3779b1);
    const first = user;
    const panes = 2000;
    for (let pane = 0; pane < panes; pane++, current++) {
      probe.roll(current);
      probe.addRange(user, 1, perPane, current, current);
      user += perPane;
    }
    current--;
    const spansPanes = [12, 108 + ((current - 16) % 12) + 1, 660 + ((current - 16) % 60) + 1];
    const expected = [...spansPanes.map((each) => each * perPane), user - first, user - first + 1];
    for (const span of SPANS) {
      const error = probe.error(span, current);
      const off = Math.abs(probe.count(span, current) / expected[span]! - 1);
      assert.ok(error > 0 && error < 0.0235, `round ${round}, span ${span}: ${error}`);
      assert.ok(off < 6 * error, `round ${round}, span ${span}: ${off}, ${error}`);
      deviations.push(off / error);
    }
  }
  const within = deviations.filter((deviation) => deviation <= 2).length;
  t.diagnostic(`${within} of ${deviations.length} within twice their error, seed ${SEED}`);
  assert.ok(within >= 0.93 * deviations.length);
  assert.ok(probe.headerBytes() <= 48);
});

test("a list full of regulars stays exact for every span, however often it is asked", () => {
  const pair = new Pair(32, START);
  for (let user = 0; user < 100; user++) pair.add(1000 + user, pair.current);
  pair.roll(2 * DAY_PANES);
  for (let pane = 0; pane < 800; pane++, pair.roll(1)) {
    for (let user = 0; user < limitOf(32); user++) pair.add(user, pair.current);
    assert.ok(probe.isFull(pair.current));
  }
  for (const span of [MINUTE, TEN_MINUTES, HOUR, DAY]) {
    assert.equal(probe.error(span, pair.current), 0);
    assert.equal(probe.count(span, pair.current), limitOf(32));
  }
});
