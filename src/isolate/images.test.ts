import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { IMAGE_PAGE_BYTES } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { Images, MASK_PAGES_MAX, MASK_WORDS, NO_PAGE, bitCount, pageCountOf } from "./images.ts";

const TENANTS = 40;
const PAGES_MAX = 200;

function newImages(): Images {
  const imageBytesMax = PAGES_MAX * IMAGE_PAGE_BYTES;
  return new Images({ tenantCountMax: TENANTS, imageBytesMax, slotCount: 0 });
}

function maskOf(...words: number[]): Uint32Array {
  const mask = new Uint32Array(MASK_WORDS);
  mask.set(words);
  return mask;
}

function pagesOf(random: Random): Buffer[] {
  return Array.from({ length: MASK_PAGES_MAX }, () =>
    Buffer.alloc(IMAGE_PAGE_BYTES, random.below(256)),
  );
}

function memoryOf(mask: Uint32Array, pages: readonly Buffer[]): Buffer {
  const isHeld = (page: number): boolean => (mask[page >>> 5]! & (1 << (page & 31))) !== 0;
  const clean = Buffer.alloc(IMAGE_PAGE_BYTES);
  return Buffer.concat(pages.map((bytes, page) => (isHeld(page) ? bytes : clean)));
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
  const masks = new Map<number, Uint32Array>();
  let fullCount = 0;
  for (let round = 0; round < 4000; round++) {
    const tenant = random.below(TENANTS);
    const before = images.head(tenant);
    if (random.chance(1, 5)) {
      images.free(tenant);
      model.delete(tenant);
      masks.delete(tenant);
    } else {
      const mask = new Uint32Array(MASK_WORDS);
      for (let word = 0; word < MASK_WORDS; word++) {
        if (random.chance(4, 5)) mask[word] = random.u32() & random.u32() & random.u32();
      }
      const pages = pagesOf(random);
      if (images.store(tenant, mask, pages)) {
        model.set(tenant, memoryOf(mask, pages));
        masks.set(tenant, mask);
        assert.equal(images.pageCount(tenant), pageCountOf(mask), `SEED=${seed}`);
        if (pageCountOf(mask) > 0) assert.notEqual(images.head(tenant), before, `SEED=${seed}`);
      } else fullCount += 1;
    }
    if (round % 97 === 0) images.recover((each) => model.has(each));
    const bits = [...masks.values()].reduce((sum, mask) => sum + pageCountOf(mask), 0);
    assert.equal(images.bytes, bits * IMAGE_PAGE_BYTES, `SEED=${seed}`);
    assert.ok(images.bytes <= PAGES_MAX * IMAGE_PAGE_BYTES);
    const memory = Buffer.alloc(MASK_PAGES_MAX * IMAGE_PAGE_BYTES);
    images.load(tenant, memory);
    assert.ok(
      memory.equals(model.get(tenant) ?? memoryOf(new Uint32Array(MASK_WORDS), pagesOf(random))),
      `SEED=${seed}`,
    );
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
  assert.ok(images.store(3, maskOf(0b111), pages));
  const before = images.bytes;
  const hashBefore = hashOf(images, 3);
  const mask = maskOf(0x000003ff, 0x000003ff);
  for (const stopAt of [0, 1, 9, 32, 33, 41]) {
    // A page that throws stands for an interruption between two statements.
    const torn = pages.map((page, bit) =>
      bit === stopAt ? (undefined as unknown as Buffer) : page,
    );
    assert.throws(() => images.store(3, mask, torn), TypeError);
    images.recover((tenant) => tenant === 3);
    assert.equal(images.bytes, before);
    assert.equal(hashOf(images, 3), hashBefore);
  }
  // All the pages are still to be had.
  const all = maskOf(0xffffffff, 0xffffffff);
  for (let tenant = 4; tenant < 7; tenant++) assert.ok(images.store(tenant, all, pages));
  images.recover((tenant) => tenant === 3);
  assert.equal(images.head(4), NO_PAGE);
  assert.equal(images.bytes, before);
});

function hashOf(images: Images, tenant: number): string {
  const hash = createHash("sha256");
  images.hash(tenant, hash);
  return hash.digest("hex");
}
