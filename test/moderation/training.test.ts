// The parts of training, each against what it must be; `npm run train` itself takes minutes.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { curveOf, regress } from "../../scripts/classifier/calibration.ts";
import { disguise } from "../../scripts/classifier/disguise.ts";
import { BEHAVIOURS } from "../../scripts/classifier/frames.ts";
import {
  isHeldFrame,
  writeBehaviours,
  Writer,
  writeExchanges,
} from "../../scripts/classifier/grammar.ts";
import { auc, bestF1, f1At } from "../../scripts/classifier/metrics.ts";
import { Examples, meanTable, Trainer, unsafeLogit } from "../../scripts/classifier/trainer.ts";
import { Weights } from "../../scripts/classifier/weights.ts";

const SCHEDULE = { epochs: 5, rate: 0.3, decay: 1e-6, drop: 0.2, seed: 3 };
const module = await Trainer.compile();

/** Bucket 1 means yes, bucket 2 means no; the others mean nothing. */
function toy(lanes: number, count = 400): Examples {
  const random = new Random(5);
  const examples = new Examples();
  for (let index = 0; index < count; index++) {
    const label = random.below(2);
    examples.entry(label === 1 ? 1 : 2, 0.5);
    for (let other = 0; other < 4; other++) examples.entry(3 + random.below(40), 0.5);
    examples.end(lanes === 8 ? [label, -1, 1 - label] : [label], 1, lanes === 8 ? -1 : label);
  }
  return examples;
}

test("adagrad finds which features matter, and unlabelled heads learn nothing", () => {
  const examples = toy(8);
  const trainer = new Trainer(module, examples, 6, 8);
  const { cells } = trainer.train(SCHEDULE);
  const weight = (bucket: number, lane: number) => cells[bucket * 8 + lane]!;
  assert(weight(1, 0) > 2 && weight(2, 0) < -2);
  assert(weight(1, 2) < -2 && weight(2, 2) > 2, "the head with the opposite label");
  for (let bucket = 3; bucket < 43; bucket++) assert(Math.abs(weight(bucket, 0)) < 1.5);
  for (let bucket = 0; bucket < 64; bucket++) assert.equal(weight(bucket, 1), 0);
});

test("the gate learns the kinds, and answers are ranked", () => {
  const examples = toy(16);
  const trainer = new Trainer(module, examples, 6, 16);
  trainer.load(trainer.train(SCHEDULE));
  const sums = Array.from({ length: examples.count }, (_, index) => trainer.sums(index));
  const labels = sums.map((_, index) => examples.labels[index * 16]!);
  assert.equal(auc(sums.map(unsafeLogit), labels), 1);
  const right = sums.filter((row, index) => row[2]! > row[1]! === (examples.kinds[index] === 1));
  assert(right.length / sums.length > 0.95);
});

test("the same seed gives the same weights, another seed others, and a mean lies between", () => {
  const trainer = new Trainer(module, toy(8), 6, 8);
  const one = trainer.train(SCHEDULE);
  const again = trainer.train(SCHEDULE);
  const other = trainer.train({ ...SCHEDULE, seed: 4 });
  assert.deepEqual(one.cells, again.cells);
  assert.notDeepEqual(one.cells, other.cells);
  const mean = meanTable([one, other]).cells[8]!;
  const bounds = [one.cells[8]!, other.cells[8]!];
  assert(mean >= Math.min(...bounds) && mean <= Math.max(...bounds));
});

test("rounding to bytes keeps every weight within half a step", () => {
  const cells = new Float32Array((2 ** 17 + 1) * 16);
  const random = new Random(9);
  for (let cell = 0; cell < 1_600; cell++) cells[cell] = random.unit() - 0.5;
  const weights = new Weights();
  weights.setTable({ lanes: 16, log2: 17, cells });
  const rowsAt = 16 + 512 * 8 + 2 ** 19 * 8;
  const rows = new Int8Array(weights.bytes.buffer, rowsAt);
  for (let cell = 0; cell < 1_600; cell++) {
    const scale = weights.parameter(16 + (cell % 16));
    const error = Math.abs(rows[cell]! * scale - cells[cell]!);
    assert(error <= scale / 2 + 1e-6, `cell ${cell}: ${error}`);
  }
});

test("a curve rises, and is right about how often", () => {
  const random = new Random(11);
  const rated = Array.from({ length: 4_000 }, () => {
    const raw = 6 * random.unit() - 3;
    const isHarm = random.unit() < 1 / (1 + Math.exp(-(2 * raw + 1)));
    return { inputs: [raw], label: Number(isHarm), weight: 1 };
  });
  const points = curveOf(rated);
  for (let index = 1; index < points.length; index++) {
    assert(points[index]![0] > points[index - 1]![0]);
    assert(points[index]![1] > points[index - 1]![1]);
  }
  const [low, high] = [points[3]!, points[4]!];
  const half = low[0] + ((0.5 - low[1]) / (high[1] - low[1])) * (high[0] - low[0]);
  assert(Math.abs(half + 0.5) < 0.1, `one half at ${half}, wanted -0.5`);
  const [slope, shift] = regress(rated.map((row) => ({ ...row, inputs: [row.inputs[0]!, 1] })));
  assert(Math.abs(slope! - 2) < 0.3 && Math.abs(shift! - 1) < 0.3);
});

test("figures of a ranking, by hand", () => {
  assert.equal(auc([1, 2, 3, 4], [0, 0, 1, 1]), 1);
  assert.equal(auc([1, 1, 1, 1], [0, 1, 0, 1]), 0.5);
  assert.equal(auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 0.75);
  assert.equal(f1At([0.9, 0.6, 0.2], [1, 0, 1], 0.5).f1, 0.5);
  assert.equal(bestF1([0.9, 0.6, 0.2], [1, 0, 1]), 0.8);
});

test("a seed writes the same sentences; held-back words and frames are not in training", () => {
  assert.deepEqual(writeBehaviours(1, 3, "train"), writeBehaviours(1, 3, "train"));
  assert.deepEqual(writeExchanges(1, 3, "train"), writeExchanges(1, 3, "train"));
  assert.notDeepEqual(writeBehaviours(1, 3, "train"), writeBehaviours(2, 3, "train"));
  const words = (isHeld: boolean) => {
    const writer = new Writer(1, isHeld);
    return new Set(Array.from({ length: 3_000 }, () => writer.fill("{insult}")));
  };
  const known = words(false);
  const held = words(true);
  assert(known.size > 60 && held.size > 10);
  assert.equal([...held].filter((word) => known.has(word)).length, 0);
  const frames = BEHAVIOURS.flatMap((behaviour) => behaviour.frames);
  const share = frames.filter(isHeldFrame).length / frames.length;
  assert(share > 0.05 && share < 0.2, `${share}`);
});

test("every frame can be filled, and every slot and bracket is closed", () => {
  const writer = new Writer(2, false);
  for (const { frames, name } of BEHAVIOURS) {
    for (const frame of frames) {
      for (let round = 0; round < 5; round++) {
        const text = writer.fill(frame);
        assert(text.length > 0, `${name}: ${frame}`);
        assert(!/[{}|]/.test(text), `${name}: ${text}`);
      }
    }
  }
});

test("a disguise leaves other words alone", () => {
  const writer = new Writer(3, false);
  let changed = 0;
  for (let round = 0; round < 200; round++) {
    const text = disguise("the awful printer idiot stopped", writer, (word) => word === "idiot");
    assert(text.startsWith("the awful printer "), text);
    assert(text.endsWith(" stopped"), text);
    if (!text.includes(" idiot ")) changed++;
  }
  // A few ways have nothing to change in this word.
  assert(changed > 150 && changed < 200, `${changed}`);
});

/** What was said is bucket 1 or 2, the answer 3 or 4; harmful where they do not fit. */
function exchanges(): Examples {
  const random = new Random(21);
  const examples = new Examples();
  for (let index = 0; index < 600; index++) {
    const [before, answer] = [random.below(2), random.below(2)];
    examples.entry(((1 + before) | 0x80000000) >>> 0, 1);
    examples.entry(3 + answer, 1);
    examples.end([Number(before !== answer)], 1);
  }
  return examples;
}

test("which answer fits which turn is learned, though neither tells anything alone", () => {
  const examples = exchanges();
  const trainer = new Trainer(module, examples, 6, 16);
  const schedules = [3, 4, 5].map((seed) => ({ ...SCHEDULE, epochs: 20, seed }));
  const tables = trainer.trainEach(schedules);
  trainer.load(meanTable(tables));
  const scores = Array.from({ length: examples.count }, (_, index) => {
    return unsafeLogit(trainer.sums(index));
  });
  const labels = scores.map((_, index) => examples.labels[index * 16]!);
  assert.equal(auc(scores, labels), 1);
  const factors = ({ cells }: (typeof tables)[number]): number[] =>
    [...cells].filter((_, cell) => cell % 16 >= 11);
  assert(factors(tables[0]!).some((cell) => cell !== 0));
  assert.deepEqual(factors(tables[1]!), factors(tables[0]!));
  assert.deepEqual(factors(tables[2]!), factors(tables[0]!));
  assert.notDeepEqual(tables[1]!.cells, tables[0]!.cells);
});
