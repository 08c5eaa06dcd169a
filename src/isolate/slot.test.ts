import assert from "node:assert/strict";
import test from "node:test";
import { parse, print } from "@bytecodealliance/jco";
import { IMAGE_PAGE_BYTES } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { hostileComponent } from "#testing/hostile-guest.ts";
import { admitComponent } from "./admission.ts";
import { pageCountOf } from "./images.ts";
import { BasePages, Slot } from "./slot.ts";
import { SUMMARIZER } from "./world.gen.ts";

const base = new BasePages(admitComponent(hostileComponent(), SUMMARIZER));

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

test("a program whose data lies in two places is compared in both", async () => {
  const text: string = await print(hostileComponent());
  const memory = /\(memory \(;0;\) \d \d\)/.exec(text)![0];
  const edited = text
    .replace(memory, "(memory (;0;) 2 2)")
    .replace("    (@producers", `    (data (i32.const 131068) "abcd")\n    (@producers`);
  const twoPlaces = new BasePages(admitComponent(await parse(edited), SUMMARIZER));
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
