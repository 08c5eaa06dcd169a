import assert from "node:assert/strict";
import test from "node:test";
import { parse, print } from "@bytecodealliance/jco";
import { IMAGE_PAGE_BYTES } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { hostileComponent } from "#testing/hostile-guest.ts";
import { type AdmittedComponent, admitComponent } from "./admission.ts";
import { GuestInstance } from "./guest-instance.ts";
import { pageCountOf } from "./images.ts";
import { packedBytes } from "./scanner.ts";
import { BasePages, Slot } from "./slot.ts";
import { SUMMARIZER } from "./world.gen.ts";

const instantiate = (component: AdmittedComponent) => new GuestInstance(component);
const base = new BasePages(admitComponent(hostileComponent(), SUMMARIZER), instantiate);

test("every byte that differs from the base is found, in its page and in no other", () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
  const random = new Random(seed);
  const slot = new Slot(0, 0, base);
  const { bytes } = slot.instance.memory;
  for (let round = 0; round < 3000; round++) {
    const changed = new Set<number>();
    const count = random.below(round % 50 === 0 ? 60 : 4);
    for (let change = 0; change < count; change++) {
      const page = random.below(bytes.length / IMAGE_PAGE_BYTES);
      const place = [0, IMAGE_PAGE_BYTES - 1, random.below(IMAGE_PAGE_BYTES)][random.below(3)]!;
      const at = page * IMAGE_PAGE_BYTES + place;
      if (bytes[at] !== base.component.base[at]) continue;
      bytes[at]! ^= 1 << random.below(8);
      changed.add(page);
    }
    slot.compare();
    assert.equal(pageCountOf(slot.dirty), changed.size, `SEED=${seed}`);
    for (const page of changed) {
      assert.ok((slot.dirty[page >>> 5]! & (1 << (page & 31))) !== 0, `SEED=${seed}: ${page}`);
    }
    slot.scrub();
    assert.ok(bytes.equals(base.component.base), `SEED=${seed}`);
  }
});

test("what is packed is written again byte for byte, and says the same of the same memory", () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
  const random = new Random(seed);
  const slot = new Slot(0, 0, base);
  const { bytes } = slot.instance.memory;
  const { zeros } = base;
  for (let round = 0; round < 1000; round++) {
    // Runs of bytes, anywhere, the program's data included; some of them are zeros.
    for (let run = random.below(12); run > 0; run--) {
      const start = random.below(bytes.length);
      const length = 1 + random.below(random.chance(1, 4) ? 9000 : 70);
      bytes.fill(random.below(4), start, Math.min(start + length, bytes.length));
    }
    slot.compare();
    const expected = Buffer.from(bytes);
    const byteCount = slot.pack();
    const packed = Buffer.from(packedBytes.subarray(0, byteCount));
    const lines = linesOf(expected, slot.dirty, zeros);
    const pages = pageCountOf(slot.dirty);
    const headBytes = pages === 0 ? 0 : 16 + ((8 * pages + 15) & ~15);
    assert.equal(byteCount, headBytes + 64 * lines, `SEED=${seed}`);
    if (byteCount > 0) assert.equal(packed.readUInt32LE(0), byteCount, `SEED=${seed}`);
    slot.scrub();
    assert.ok(bytes.equals(base.component.base), `SEED=${seed}`);
    packedBytes.fill(0xa5);
    packed.copy(packedBytes);
    if (byteCount > 0) slot.unpack();
    assert.ok(bytes.equals(expected), `SEED=${seed}`);
    slot.compare();
    assert.equal(slot.pack(), byteCount);
    assert.ok(packedBytes.subarray(0, byteCount).equals(packed), `SEED=${seed}`);
    slot.scrub();
  }
});

/** Lines that an image of the pages must hold: of the program's data all, else what is not zero. */
function linesOf(bytes: Buffer, dirty: Uint32Array, zeros: Int32Array): number {
  const zero = Buffer.alloc(64);
  let count = 0;
  for (let at = 0; at < bytes.length; at += 64) {
    const page = Math.floor(at / IMAGE_PAGE_BYTES);
    const bit = 1 << (page & 31);
    if ((dirty[page >>> 5]! & bit) === 0) continue;
    const isZeroPage = (zeros[page >>> 5]! & bit) !== 0;
    if (!isZeroPage || !bytes.subarray(at, at + 64).equals(zero)) count += 1;
  }
  return count;
}

test("a program whose data lies in two places is compared in both", async () => {
  const text: string = await print(hostileComponent());
  const memory = /\(memory \(;0;\) \d \d\)/.exec(text)![0];
  const edited = text
    .replace(memory, "(memory (;0;) 2 2)")
    .replace("    (@producers", `    (data (i32.const 131068) "abcd")\n    (@producers`);
  const twoPlaces = new BasePages(admitComponent(await parse(edited), SUMMARIZER), instantiate);
  assert.equal(twoPlaces.pages.length, 32);
  assert.ok(twoPlaces.dataRuns.length >= 1);
  const slot = new Slot(0, 0, twoPlaces);
  const { bytes } = slot.instance.memory;
  slot.compare();
  assert.equal(pageCountOf(slot.dirty), 0);
  bytes[131_068] = 0;
  bytes[131_000] = 1;
  bytes[70_000] = 1;
  slot.compare();
  assert.deepEqual([...slot.dirty], [((1 << 31) | (1 << 17)) >>> 0, 0]);
  slot.scrub();
  assert.ok(bytes.equals(twoPlaces.component.base));
});
