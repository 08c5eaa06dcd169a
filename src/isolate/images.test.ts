import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { IMAGE_PAGE_BYTES } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { Images, MASK_PAGES_MAX, NO_PAGE, bitCount } from "./images.ts";

const TENANTS = 40;
const PAGES_MAX = 100;

function newImages(): Images {
  return new Images({ tenantCountMax: TENANTS, imageBytesMax: PAGES_MAX * IMAGE_PAGE_BYTES });
}

function pagesOf(random: Random): Buffer[] {
  return Array.from({ length: MASK_PAGES_MAX }, () =>
    Buffer.alloc(IMAGE_PAGE_BYTES, random.below(256)),
  );
}

function memoryOf(mask: number, pages: readonly Buffer[]): Buffer {
  return Buffer.concat(
    pages.map((page, bit) => ((mask & (1 << bit)) === 0 ? Buffer.alloc(IMAGE_PAGE_BYTES) : page)),
  );
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
  const masks = new Map<number, number>();
  let fullCount = 0;
  for (let round = 0; round < 4000; round++) {
    const tenant = random.below(TENANTS);
    const before = images.head(tenant);
    if (random.chance(1, 5)) {
      images.free(tenant);
      model.delete(tenant);
      masks.delete(tenant);
    } else {
      const mask = (random.u32() & random.u32() & random.u32()) >>> 0;
      const pages = pagesOf(random);
      if (images.store(tenant, mask, pages)) {
        model.set(tenant, memoryOf(mask, pages));
        masks.set(tenant, mask);
        if (mask !== 0) assert.notEqual(images.head(tenant), before, `SEED=${seed}`);
      } else fullCount += 1;
    }
    if (round % 97 === 0) images.recover((each) => model.has(each));
    const bits = [...masks.values()].reduce((sum, mask) => sum + bitCount(mask), 0);
    assert.equal(images.bytes, bits * IMAGE_PAGE_BYTES, `SEED=${seed}`);
    assert.ok(images.bytes <= PAGES_MAX * IMAGE_PAGE_BYTES);
    const memory = Buffer.alloc(MASK_PAGES_MAX * IMAGE_PAGE_BYTES);
    images.load(tenant, memory);
    assert.ok(memory.equals(model.get(tenant) ?? memoryOf(0, pagesOf(random))), `SEED=${seed}`);
  }
  assert.ok(fullCount > 0, `SEED=${seed}: the limit was never met`);
  for (const [tenant, expected] of model) {
    const memory = Buffer.alloc(expected.length);
    images.load(tenant, memory);
    assert.ok(memory.equals(expected), `SEED=${seed} tenant ${tenant}`);
  }
});

test("an image replaced half way is the old one, and its pages are not lost", () => {
  const images = newImages();
  const random = new Random(7);
  const pages = pagesOf(random);
  assert.ok(images.store(3, 0b111, pages));
  const before = images.bytes;
  const hashBefore = hashOf(images, 3);
  for (let stopAt = 0; stopAt < 20; stopAt++) {
    // A page that throws stands for an interruption between two statements.
    const torn = pages.map((page, bit) =>
      bit === stopAt ? (undefined as unknown as Buffer) : page,
    );
    assert.throws(() => images.store(3, 0x000fffff, torn), TypeError);
    images.recover((tenant) => tenant === 3);
    assert.equal(images.bytes, before);
    assert.equal(hashOf(images, 3), hashBefore);
  }
  // All the pages are still to be had.
  assert.ok(images.store(4, 0xffffffff, pages));
  for (let tenant = 5; tenant < 7; tenant++) assert.ok(images.store(tenant, 0xffffffff, pages));
  images.recover((tenant) => tenant === 3);
  assert.equal(images.head(4), NO_PAGE);
  assert.equal(images.bytes, before);
});

function hashOf(images: Images, tenant: number): string {
  const hash = createHash("sha256");
  images.hash(tenant, hash);
  return hash.digest("hex");
}
