import assert from "node:assert/strict";
import test from "node:test";
import { SEED } from "#testing/seed.ts";
import { createRing, RingReader, RingWriter, wakeRing } from "./byte-ring.ts";
import { Random } from "./random.ts";

test("a ring delivers every record, in order, through thousands of laps", () => {
  const random = new Random(SEED);
  const buffer = createRing(1024);
  const writer = new RingWriter(buffer);
  const reader = new RingReader(buffer);
  const expected: number[][] = [];
  let written = 0;
  for (let step = 0; step < 50_000; step++) {
    if (random.chance(1, 2)) {
      const byteCount = random.below(200);
      const offset = writer.reserve(written, byteCount);
      if (offset === -1) continue;
      for (let i = 0; i < byteCount; i++) writer.bytes[offset + i] = (written + i) & 0xff;
      writer.publish();
      expected.push([written, byteCount]);
      written += 1;
    } else if (reader.next()) {
      const [kind, byteCount] = expected.shift()!;
      assert.equal(reader.kind, kind, `SEED=${SEED}`);
      for (let i = 0; i < byteCount!; i++) {
        assert.equal(reader.bytes[reader.payloadOffset + i], (kind! + i) & 0xff);
      }
      reader.release();
    } else {
      assert.equal(expected.length, 0);
      assert.equal(reader.bytesUsed, 0);
    }
  }
  assert(written > 10_000);
});

test("fits never promises what reserve then refuses", () => {
  const random = new Random(11);
  let promisedCount = 0;
  let refusedCount = 0;
  for (let round = 0; round < 2_000; round++) {
    const writer = new RingWriter(createRing(4096));
    const reader = new RingReader((writer.bytes as Uint8Array<SharedArrayBuffer>).buffer);
    const usedBefore = random.below(30);
    for (let i = 0; i < usedBefore; i++) {
      if (writer.reserve(1, random.below(300)) === -1) break;
      writer.publish();
      if (random.chance(3, 4) && reader.next()) reader.release();
    }
    // Of any sizes: a few small ones must not make the waste before a large one look small.
    const sizes = Array.from({ length: 1 + random.below(6) }, () => random.below(1_000));
    const byteCount = sizes.reduce((sum, bytes) => sum + bytes, 0);
    const promise = writer.fits(sizes.length, byteCount, Math.max(...sizes));
    if (promise !== "now") {
      refusedCount += 1;
      continue;
    }
    promisedCount += 1;
    for (const bytes of sizes) {
      assert.notEqual(writer.reserve(2, bytes), -1);
      writer.publish();
    }
  }
  assert(promisedCount > 100 && refusedCount > 100, "both answers were met");
});

test("fits counts on the largest record meeting the end, however small the others are", () => {
  const buffer = createRing(1024);
  const writer = new RingWriter(buffer);
  const reader = new RingReader(buffer);
  writer.reserve(1, 400);
  writer.publish();
  assert(reader.next());
  reader.release();
  writer.reserve(1, 144);
  writer.publish();
  // 476 bytes are left to the end and 408 before the tail: 500 find no place in one piece.
  assert.notEqual(writer.fits(4, 8 + 8 + 8 + 500, 500), "now");
});

test("fits tells what has to wait from what can never be", () => {
  const writer = new RingWriter(createRing(1024));
  assert.equal(writer.fits(1, 400, 400), "now");
  writer.reserve(1, 400);
  writer.publish();
  assert.equal(writer.fits(1, 400, 400), "later");
  assert.equal(writer.fits(4, 800, 200), "never");
});

test("a full ring refuses, and takes again once the reader has freed", () => {
  const buffer = createRing(64);
  const writer = new RingWriter(buffer);
  const reader = new RingReader(buffer);
  assert.notEqual(writer.reserve(1, 40), -1);
  writer.publish();
  assert.equal(writer.reserve(1, 40), -1);
  assert(reader.next());
  reader.release();
  assert.notEqual(writer.reserve(1, 40), -1);
});

test("what comes after a look ends the wait that follows, so that no wake is slept through", () => {
  const buffer = createRing(1024);
  const writer = new RingWriter(buffer);
  const reader = new RingReader(buffer);
  const wakes = [
    () => wakeRing(buffer),
    () => writer.wake(),
    () => {
      writer.reserve(1, 8);
      writer.publish();
    },
    () => writer.stop(),
  ];
  for (const wake of wakes) {
    reader.look();
    assert.equal(reader.wait(0), false, "nothing has come");
    wake();
    assert(reader.wait(60_000));
    assert(reader.wait(60_000), "until it looks again");
    reader.look();
    assert.equal(reader.wait(0), false);
  }
});
