import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { Random } from "#std/random.ts";
import { BLOCK_BYTES, bitCount, Images, NO_BLOCK } from "./images.ts";
import { packedBytesMax } from "./scanner.ts";

const TENANTS = 40;
const IMAGE_BYTES_MAX = 12_000;
const BLOCKS_MAX = 800;

function newImages(slotCount = 0): Images {
  const imageBytesMax = BLOCKS_MAX * BLOCK_BYTES;
  return new Images({ tenantCountMax: TENANTS, imageBytesMax, slotCount });
}

/** So many bytes that say how many they are. */
function imageOf(random: Random, byteCount: number): Buffer {
  const bytes = Buffer.alloc(byteCount, random.u32() | 1);
  for (let at = 0; at < byteCount; at += 61) bytes[at] = random.below(256);
  bytes.writeUInt32LE(byteCount, 0);
  return bytes;
}

function readOf(images: Images, tenant: number): Buffer {
  const packed = Buffer.alloc(packedBytesMax(32));
  return packed.subarray(0, images.read(tenant, packed));
}

test("bits are counted", () => {
  for (const [mask, count] of [
    [0, 0],
    [1, 1],
    [0x80000000, 1],
    [0xffffffff, 32],
    [0xf0f0_1001, 10],
  ] as const) {
    assert.equal(bitCount(mask), count);
  }
});

test("images come back as they were stored, and never take more than the limit", () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
  const random = new Random(seed);
  const images = newImages();
  const model = new Map<number, Buffer>();
  let fullCount = 0;
  for (let round = 0; round < 4000; round++) {
    const tenant = random.below(TENANTS);
    const before = images.head(tenant);
    if (random.chance(1, 5)) {
      images.free(tenant);
      model.delete(tenant);
    } else if (random.chance(1, 20)) {
      // A memory that equals its base.
      assert.ok(images.store(tenant, Buffer.alloc(0), 0));
      model.set(tenant, Buffer.alloc(0));
    } else {
      const edges = [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 4];
      const byteCount = random.chance(1, 4)
        ? edges[random.below(edges.length)]!
        : 4 + random.below(IMAGE_BYTES_MAX);
      const image = imageOf(random, byteCount);
      if (images.store(tenant, image, byteCount)) {
        model.set(tenant, image);
        const blocks = Math.ceil(byteCount / BLOCK_BYTES);
        assert.equal(images.bytesOf(tenant), blocks * BLOCK_BYTES, `SEED=${seed}`);
        assert.notEqual(images.head(tenant), before, `SEED=${seed}`);
      } else fullCount += 1;
    }
    if (round % 97 === 0) images.recover((each) => model.has(each));
    let bytes = 0;
    for (const each of model.values()) bytes += Math.ceil(each.length / BLOCK_BYTES) * BLOCK_BYTES;
    assert.equal(images.bytes, bytes, `SEED=${seed}`);
    assert.ok(images.bytes <= BLOCKS_MAX * BLOCK_BYTES);
    const expected = model.get(tenant) ?? Buffer.alloc(0);
    assert.ok(readOf(images, tenant).equals(expected), `SEED=${seed}`);
  }
  assert.ok(fullCount > 0, `SEED=${seed}: the limit was never met`);
  for (const [tenant, expected] of model) {
    assert.ok(readOf(images, tenant).equals(expected), `SEED=${seed} tenant ${tenant}`);
  }
});

test("images longer than what a chunk has left go on in the next", () => {
  const bytesMax = packedBytesMax(32);
  const images = new Images({ tenantCountMax: 300, imageBytesMax: 40 << 20, slotCount: 0 });
  const random = new Random(3);
  const stored = Array.from({ length: 300 }, () => imageOf(random, bytesMax - random.below(99)));
  for (const [tenant, image] of stored.entries()) {
    assert.ok(images.store(tenant, image, image.length));
  }
  assert.ok(images.bytes > 2 * (16 << 20));
  for (const [tenant, image] of stored.entries()) assert.ok(readOf(images, tenant).equals(image));
});

/** Bytes that stop at the given call of `copy`, as the guard may at any. */
function interrupted(bytes: Buffer, calls: number): Buffer {
  let left = calls;
  const torn = Buffer.from(bytes);
  torn.copy = (...range: Parameters<Buffer["copy"]>): number => {
    if (left === 0) throw new Error("interrupted");
    left -= 1;
    return bytes.copy(...range);
  };
  return torn;
}

test("an image replaced half way is the old one, and its blocks are not lost", () => {
  const images = newImages();
  const random = new Random(7);
  // Holes, so that what is written next is written in many pieces.
  for (let tenant = 10; tenant < 30; tenant++) {
    assert.ok(images.store(tenant, imageOf(random, 3 * BLOCK_BYTES), 3 * BLOCK_BYTES));
  }
  for (let tenant = 10; tenant < 30; tenant += 2) images.free(tenant);
  const old = imageOf(random, 5000);
  assert.ok(images.store(3, old, old.length));
  const isOpen = (tenant: number): boolean => tenant === 3 || tenant % 2 === 1;
  const before = images.bytes;
  const hashBefore = hashOf(images, 3);
  const next = imageOf(random, 9000);
  let interruptions = 0;
  for (let stopAt = 0; stopAt < 4; stopAt++) {
    assert.throws(() => images.store(3, interrupted(next, stopAt), 9000), /interrupted/);
    interruptions += 1;
    images.recover(isOpen);
    assert.equal(images.bytes, before);
    assert.equal(hashOf(images, 3), hashBefore);
  }
  assert.equal(interruptions, 4);
  assert.ok(readOf(images, 3).equals(old));
  // All the blocks are still to be had.
  images.recover((tenant) => tenant === 3);
  const rest = BLOCKS_MAX - images.bytes / BLOCK_BYTES;
  const half = Math.floor(rest / 2) * BLOCK_BYTES;
  for (const tenant of [4, 5]) assert.ok(images.store(tenant, imageOf(random, half), half));
  images.recover((tenant) => tenant === 3);
  assert.equal(images.head(4), NO_BLOCK);
  assert.ok(readOf(images, 3).equals(old));
});

function hashOf(images: Images, tenant: number): string {
  const hash = createHash("sha256");
  images.hash(tenant, hash);
  return hash.digest("hex");
}
