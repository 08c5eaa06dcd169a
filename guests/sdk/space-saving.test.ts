// The interval of every count, against an exact count of every key.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";

const PANES = 12;
const NO_SLOT = 0xffffffff;

type Probe = {
  open(capacity: number, slotsUsable: number, indexed: number, pane: number): void;
  add(key: number, hashBits: number, pane: number, weight: number): void;
  remove(slot: number): void;
  roll(panes: number): void;
  slotOf(key: number, hashBits: number): number;
  low(key: number, hashBits: number): number;
  high(key: number, hashBits: number): number;
  priorityOf(slot: number): number;
  leastPriority(): number;
};

const module = await compileGuest("guests/sdk/assembly/probes/space-saving.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;

/** Exact counts by key and pane. */
class ExactWindow {
  pane: number;
  #counts = new Map<number, Map<number, number>>();

  constructor(pane: number) {
    this.pane = pane;
  }

  add(key: number, pane: number, weight: number): void {
    const panes = this.#counts.get(key) ?? new Map<number, number>();
    panes.set(pane, (panes.get(pane) ?? 0) + weight);
    this.#counts.set(key, panes);
  }

  count(key: number): number {
    let sum = 0;
    for (const [pane, count] of this.#counts.get(key) ?? []) {
      if (pane > this.pane - PANES) sum += count;
    }
    return sum;
  }
}

type Shape = {
  readonly slots: number;
  readonly keys: number;
  readonly skew: number;
  readonly lateShare: number;
  readonly weightMax: number;
  readonly hashBits: number;
  readonly jumpShare: number;
  readonly removeShare: number;
};

function shapeOf(random: Random): Shape {
  const slots = random.below(4) === 0 ? [16, 48, 96, 256][random.below(4)]! : 1 + random.below(15);
  return {
    slots,
    keys: 1 + random.below(slots * 6),
    skew: [0, 0.5, 1, 1.5][random.below(4)]!,
    lateShare: [0, 0.15, 0.9][random.below(3)]!,
    weightMax: [1, 1, 5, 1_000_000, 0x40000000][random.below(5)]!,
    hashBits: [32, 32, 6][random.below(3)]!,
    jumpShare: [0, 0.1][random.below(2)]!,
    removeShare: [0, 0, 0.01][random.below(3)]!,
  };
}

/** Runs one stream; returns how many intervals were checked. */
function checkStream(seed: number, steps: number): number {
  const random = new Random(seed);
  const shape = shapeOf(random);
  const capacity = Math.ceil(shape.slots / 4) * 4;
  const indexed = random.below(2);
  const exact = new ExactWindow(1000);
  probe.open(capacity, shape.slots, indexed, exact.pane);
  let checks = 0;
  for (let step = 0; step < steps; step++) {
    const key = Math.floor(shape.keys * (random.below(1e6) / 1e6) ** (1 + shape.skew * 2));
    const late = random.below(1000) < shape.lateShare * 1000;
    const pane = exact.pane - (late ? random.below(PANES) : 0);
    const weight = 1 + random.below(random.below(10) === 0 ? shape.weightMax : 1);
    exact.add(key, pane, weight);
    probe.add(key, shape.hashBits, pane, weight);
    if (random.below(1000) < shape.removeShare * 1000) probe.remove(random.below(shape.slots));
    if (random.below(40) === 0) {
      const jump = random.below(1000) < shape.jumpShare * 1000;
      const panes = jump ? 2 + random.below(40) : 1;
      exact.pane += panes;
      probe.roll(panes);
    }
    if (step % 23 !== 0) continue;
    for (let other = 0; other <= shape.keys; other++, checks++) {
      const count = exact.count(other);
      const low = probe.low(other, shape.hashBits) >>> 0;
      const high = probe.high(other, shape.hashBits) >>> 0;
      const shown = `seed ${seed}, step ${step}, key ${other}: ${low} <= ${count} <= ${high}`;
      assert.ok(low <= count && (count <= high || high === 0xffffffff), shown);
    }
  }
  return checks;
}

test("every interval holds the true count, in tables of any size, with late, heavy and rare events", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const streams = Number(process.env["STREAMS"] ?? 300);
  let checks = 0;
  for (let stream = 0; stream < streams; stream++) checks += checkStream(seed + stream, 900);
  assert.ok(checks > streams * 100, `${checks} checks`);
});

test("a table that never ran full counts exactly, late events too", () => {
  const random = new Random(7);
  const exact = new ExactWindow(1000);
  probe.open(48, 48, 0, exact.pane);
  for (let step = 0; step < 5000; step++) {
    const key = random.below(48);
    const pane = exact.pane - random.below(PANES);
    exact.add(key, pane, 1);
    probe.add(key, 32, pane, 1);
    if (step % 50 === 0) {
      probe.roll(1);
      exact.pane++;
    }
    assert.equal(probe.low(key, 32), exact.count(key));
    assert.equal(probe.high(key, 32), exact.count(key));
  }
});

test("a key tracked for a whole window is exact whatever else happens", () => {
  probe.open(8, 8, 1, 1000);
  for (let pane = 1000; pane < 1040; pane++) {
    for (let other = 0; other < 50; other++) probe.add(100 + (other % 37), 32, pane, 1);
    for (let times = 0; times < 50; times++) probe.add(1, 32, pane, 1);
    if (pane >= 1020) {
      assert.equal(probe.low(1, 32), 600);
      assert.equal(probe.high(1, 32), 600);
    }
    probe.roll(1);
  }
});

test("credit fades by ceil(credit / 12) a pane, a gap of days included", () => {
  probe.open(4, 1, 0, 1000);
  probe.add(1, 32, 1000, 1000);
  probe.add(2, 32, 1000, 1); // Inherits 1000 as credit.
  assert.equal(probe.priorityOf(0), 1001);
  let credit = 1000;
  for (let pane = 0; pane < 30; pane++) {
    probe.roll(1);
    credit -= Math.ceil(credit / 12);
    assert.equal(probe.priorityOf(0), credit + (pane < 11 ? 1 : 0), `pane ${pane}`);
  }
  probe.roll(100_000);
  assert.equal(probe.priorityOf(0), 0);
});

test("an impossible claim would be caught", () => {
  probe.open(4, 1, 0, 1000);
  probe.add(1, 32, 1000, 5);
  probe.add(2, 32, 1000, 1);
  assert.equal(probe.slotOf(1, 32) >>> 0, NO_SLOT);
  assert.equal(probe.low(2, 32), 1);
  assert.equal(probe.high(2, 32), 6, "what the slot held before bounds what was missed");
  assert.equal(probe.high(1, 32), 5);
});
