// Sums, calibration, traces and spans, against the same arithmetic over the probe's lists.
import assert from "node:assert/strict";
import fc from "fast-check";
import test from "node:test";
import { openProbe, type ClassifierRows } from "./testing/probe.ts";

const LANES = 8;
const REPLY_LANES = 16;
const SPAN_BYTES = 28;
const WANT_ALL = 3;
const mix = (value: number): number => Math.imul(value ^ 0x5bd1e995, 0x9e3779b1) >>> 0;
/** Made-up weights: a lane of a bucket. */
const weight = (bucket: number, lane: number): number => ((mix(bucket * 31 + lane) >> 8) % 41) - 20;
const packed = (bucket: number, from: number): bigint =>
  Array.from({ length: 8 }, (_, lane) => BigInt(weight(bucket, from + lane) & 0xff)).reduce(
    (row, byte, lane) => row | (byte << BigInt(lane * 8)),
    0n,
  );
const parameters = new Float64Array(512);
for (let lane = 0; lane < LANES; lane++) {
  parameters[lane] = 0.02 + lane * 0.001;
  parameters[8 + lane] = lane * 0.1 - 0.3;
}
for (let lane = 0; lane < REPLY_LANES; lane++) {
  parameters[16 + lane] = 0.01 + lane * 0.001;
  parameters[32 + lane] = 0.05 * lane - 0.2;
}
parameters.set([1, 0.8, 1.2], 256);
parameters.set([1, 0.7, 1.1, 0.6, 0.4, 0.7, 0.8], 264);
parameters.set([0.1, 1, 2, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, -0.8, -0.9, 0.3, 0.1], 272);
const ROWS: ClassifierRows = {
  "message-row": (bucket) => BigInt.asUintN(64, packed(bucket, 0)),
  "reply-row": (bucket, half) => BigInt.asUintN(64, packed(bucket + 7, half * 8)),
  parameter: (index) => parameters[index]!,
};
const probe = await openProbe(ROWS);
const encoder = new TextEncoder();

const put = (text: string): number =>
  encoder.encodeInto(text, new Uint8Array(probe.memory.buffer, probe.textAt(), 65_536)).written;
const listed = (count: number): Uint32Array =>
  new Uint32Array(probe.memory.buffer, probe.listAt(), count).slice();
const floats = (at: number, count: number): Float32Array =>
  new Float32Array(probe.memory.buffer, at, count).slice();

/** Sum of a lane over groups, as the guest is to do it. */
function sum(list: Uint32Array, groupScales: number, rowOf: (hash: number) => number): number {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const feature of list) {
    const group = feature >>> 24;
    const entry = sums.get(group) ?? { sum: 0, count: 0 };
    entry.sum += rowOf(feature & 0xffffff);
    entry.count++;
    sums.set(group, entry);
  }
  let total = 0;
  for (const [group, entry] of sums) {
    total += (entry.sum / Math.sqrt(entry.count)) * parameters[groupScales + group]!;
  }
  return total;
}

const WORDS = [
  "you",
  "are",
  "a",
  "moron",
  "not",
  "muslims",
  "printer",
  "hate",
  "i",
  "said",
  '"',
  ".",
  "?",
  "kill",
  "🤡",
  "yes",
  "exactly",
  "no",
  "that",
  "is",
  "lovely",
  "k i l l",
  "f*ck",
  "don't",
  ",",
  "go back",
  "日本",
];
const texts = fc
  .array(fc.constantFrom(...WORDS), { maxLength: 40 })
  .map((words) => words.join(" "));

/** Words and marks at which no sentence and no clause begins: such a message has one part. */
const UNPARTED = WORDS.filter((word) => ![".", "?", ",", "i", "that", "no", "yes"].includes(word));
const wholes = fc
  .array(fc.constantFrom(...UNPARTED), { maxLength: 40 })
  .map((words) => words.join(" "));

test("a message's logits are the sums of its listed features", () => {
  fc.assert(
    fc.property(wholes, (text) => {
      const bytes = put(text);
      const list = listed(probe.messageFeatureList(bytes));
      const raw = floats(probe.scoreMessage(bytes, WANT_ALL), 2 * LANES);
      for (let lane = 0; lane < LANES; lane++) {
        const expected =
          sum(list, 256, (hash) => weight(hash & 0x7ffff, lane)) * parameters[lane]! +
          parameters[8 + lane]!;
        assert.ok(Math.abs(raw[lane]! - expected) < 1e-4, `lane ${lane}: ${raw[lane]} ${expected}`);
        const score = 1 / (1 + Math.exp(-raw[lane]!));
        assert.ok(Math.abs(raw[LANES + lane]! - score) < 1e-5);
      }
    }),
    { numRuns: 300 },
  );
});

test("a message with parts has no lower logits than the sums of all of its features", () => {
  fc.assert(
    fc.property(texts, (text) => {
      const bytes = put(text);
      const list = listed(probe.messageFeatureList(bytes));
      const raw = floats(probe.scoreMessage(bytes, WANT_ALL), LANES);
      for (let lane = 0; lane < LANES; lane++) {
        const whole =
          sum(list, 256, (hash) => weight(hash & 0x7ffff, lane)) * parameters[lane]! +
          parameters[8 + lane]!;
        assert.ok(raw[lane]! > whole - 1e-4, `lane ${lane}: ${raw[lane]} ${whole}`);
      }
    }),
    { numRuns: 300 },
  );
});

test("an answer's logit is of its own features, of what was before, and of relations", () => {
  fc.assert(
    fc.property(texts, texts, (before, text) => {
      const beforeList = listed(probe.contextFeatureList(put(before)));
      probe.traceTo(0, put(before));
      const bytes = put(text);
      const own = listed(probe.messageFeatureList(bytes));
      const relations = listed(probe.replyFeatureList(bytes, 1, 0));
      const rowOf =
        (index: number) =>
        (hash: number): number =>
          weight((hash & 0x1ffff) + 7, index);
      const context = (index: number): number =>
        (Math.round(4 * sum(beforeList, 264, rowOf(index))) / 4) * parameters[16 + index]!;
      const answer = (index: number): number => {
        const total = sum(own, 264, rowOf(index)) + sum(relations, 264, rowOf(index));
        return total * parameters[16 + index]! + parameters[32 + index]!;
      };
      const lane = (index: number): number => answer(index) + context(index);
      const products = [11, 12, 13, 14, 15].map((index) => answer(index) * context(index));
      const gates = [1, 2, 3, 4, 5].map(lane);
      const shares = gates.map((gate) => Math.exp(gate - Math.max(...gates)));
      const all = shares.reduce((a, b) => a + b);
      const experts = shares.reduce((a, share, kind) => a + (share / all) * lane(6 + kind), 0);
      const reply = floats(probe.scoreReply(bytes, 1, 0), 9);
      // A trace keeps quarters: a rounding at the edge may differ by one.
      const expected = products.reduce((a, b) => a + b, lane(0) + experts);
      const error = Math.abs(reply[0]! - expected);
      assert.ok(error < 0.02 + Math.abs(expected) / 100, `${reply[0]} is not ${expected}`);
      assert.ok(Math.abs(reply.slice(4).reduce((a, b) => a + b) - 1) < 1e-5);
    }),
    { numRuns: 200 },
  );
});

test("the same message gives the same bytes, whatever came before it", () => {
  fc.assert(
    fc.property(texts, texts, (one, other) => {
      const first = floats(probe.scoreMessage(put(one), WANT_ALL), 24);
      probe.clearScratch();
      probe.scoreMessage(put(other), WANT_ALL);
      const again = floats(probe.scoreMessage(put(one), WANT_ALL), 24);
      assert.deepEqual(again, first);
    }),
    { numRuns: 200 },
  );
});

test("nothing of a message is left in the guest's memory", () => {
  probe.clearScratch();
  const guest = new Uint8Array(probe.memory.buffer, 0, 0x40000);
  const base = guest.slice();
  fc.assert(
    fc.property(fc.oneof(texts, fc.string({ unit: "grapheme", maxLength: 400 })), (text) => {
      probe.scoreMessage(put(text.toWellFormed().repeat(3)), WANT_ALL);
      probe.spans(0);
      probe.clearScratch();
      assert.ok(Buffer.compare(guest, base) === 0);
    }),
    { numRuns: 300 },
  );
});

test("the curve of a head is linear between its points, and flat outside", async () => {
  const points = [-4, -2, -1, 0, 1, 2, 3, 4, 0.01, 0.05, 0.2, 0.4, 0.6, 0.9, 0.95, 0.99];
  const curved = new Float64Array(parameters);
  curved.set(points, 64);
  const own = await openProbe({ ...ROWS, parameter: (index: number) => curved[index]! });
  fc.assert(
    fc.property(texts, (text) => {
      const { written } = encoder.encodeInto(
        text,
        new Uint8Array(own.memory.buffer, own.textAt(), 65_536),
      );
      const at = own.scoreMessage(written, 0);
      const raw = new Float32Array(own.memory.buffer, at, 1)[0]!;
      const score = new Float32Array(own.memory.buffer, at + 32, 1)[0]!;
      const index = points.slice(0, 8).findIndex((point) => raw < point);
      const share = (raw - points[index - 1]!) / (points[index]! - points[index - 1]!);
      const expected =
        index === 0
          ? points[8]!
          : index < 0
            ? points[15]!
            : points[7 + index]! + share * (points[8 + index]! - points[7 + index]!);
      assert.ok(Math.abs(score - expected) < 1e-4, `${raw}: ${score} is not ${expected}`);
    }),
    { numRuns: 200 },
  );
});

test("spans are where JavaScript finds them, in bytes, units and points", () => {
  const filler = fc.constantFrom("né ", "😀 ", "שלום ", "\u200b", "ok ", "\n", "— ", "&amp; ");
  fc.assert(
    fc.property(fc.array(filler, { maxLength: 12 }), fc.array(filler, { maxLength: 6 }), (a, b) => {
      const before = `${a.join("")} `;
      for (const word of ["idiot", "1d1ot", "i d i o t", "ïdiот"]) {
        const text = `${before}${word} ${b.join("")}`;
        probe.scoreMessage(put(text), 0);
        const count = probe.spans(2);
        assert.ok(count > 0, text);
        const found = Array.from({ length: count }, (_, index) => {
          const view = new DataView(probe.memory.buffer, probe.spansAt() + index * SPAN_BYTES);
          return Array.from({ length: 6 }, (_, field) => view.getUint32(field * 4, true));
        });
        const span = found.find(([start]) => start === encoder.encode(before).length);
        assert.ok(span !== undefined, JSON.stringify([text, found]));
        const end = before + word;
        if (span[1] !== encoder.encode(end).length) continue;
        assert.deepEqual(span.slice(2), [
          before.length,
          end.length,
          Array.from(before).length,
          Array.from(end).length,
        ]);
      }
    }),
    { numRuns: 200 },
  );
});

test("an allowed word means nothing, in whatever spelling", () => {
  const hashes = new BigUint64Array(probe.memory.buffer, probe.allowedAt(), 1);
  probe.clearScratch();
  probe.read(put("idiot"));
  hashes[0] = new DataView(probe.memory.buffer).getBigUint64(probe.tokenAddress(0), true);
  const hotCount = (text: string): number =>
    new DataView(probe.memory.buffer, probe.scoreMessage(put(text), 0)).getUint32(84, true);
  assert.equal(hotCount("you idiot"), 1);
  probe.setAllowed(1);
  for (const text of ["you idiot", "you i d i o t", "you 1d10t", "you id*ot"]) {
    assert.equal(hotCount(text), 0, text);
  }
  probe.clearScratch();
});

test("of allowed words the classifier sees no letter: one is as good as another", () => {
  const hashes = new BigUint64Array(probe.memory.buffer, probe.allowedAt(), 2);
  for (const [index, word] of ["idiot", "printer"].entries()) {
    probe.clearScratch();
    probe.read(put(word));
    const at = probe.tokenAddress(0);
    hashes[index] = new DataView(probe.memory.buffer).getBigUint64(at, true);
  }
  const features = (text: string, allowed: number): string => {
    probe.clearScratch();
    probe.setAllowed(allowed);
    return JSON.stringify(listed(probe.messageFeatureList(put(text))));
  };
  assert.notEqual(features("you are an idiot", 0), features("you are an printer", 0));
  assert.equal(features("you are an idiot", 2), features("you are an printer", 2));
  assert.equal(features("lovely day", 2), features("lovely day", 0));
  probe.clearScratch();
});

test("words of other languages' lists are told apart from English ones", () => {
  const foreign = (text: string): number =>
    new DataView(probe.memory.buffer, probe.scoreMessage(put(text), 0)).getUint32(80, true);
  assert.equal(foreign("hello my friend"), 0);
  assert.equal(foreign("du bist ein Arschloch") & 4, 4);
  assert.equal(foreign("Quelle connerie de merde") & 1, 1);
});
