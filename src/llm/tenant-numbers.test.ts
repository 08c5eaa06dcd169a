import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { TenantNumbers } from "./tenant-numbers.ts";

test("a name keeps its number; when all are taken, the one idle for the longest gives its", () => {
  const forgotten: number[] = [];
  const numbers = new TenantNumbers(3, (tenant) => forgotten.push(tenant));
  assert.deepEqual(
    ["a", "b", "c", "a"].map((name) => numbers.numberOf(name)),
    [0, 1, 2, 0],
  );
  numbers.open(0);
  assert.equal(numbers.numberOf("d"), 1, "a has something open");
  assert.deepEqual(forgotten, [1]);
  assert.equal(numbers.find("b"), undefined);
  assert.equal(numbers.nameOf(1), "d");
  numbers.close(0);
  numbers.open(2);
  numbers.close(2);
  assert.equal(numbers.numberOf("e"), 1, "d was never used");
  assert.equal(numbers.numberOf("f"), 0);
});

test("none is to be had while all have something open", () => {
  const numbers = new TenantNumbers(2, () => undefined);
  for (const name of ["a", "b"]) numbers.open(numbers.numberOf(name)!);
  assert.equal(numbers.numberOf("c"), undefined);
  numbers.close(1);
  assert.equal(numbers.numberOf("c"), 1);
});

test("at random: the numbers are those of a plain list of names, by when they were idle", () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const countMax = 8;
  const numbers = new TenantNumbers(countMax, () => undefined);
  const opens = new Map<string, number>();
  let idle: string[] = [];
  for (let step = 0; step < 20_000; step++) {
    const name = `tenant ${random.below(14)}`;
    const count = opens.get(name);
    const said = `SEED=${seed} step ${step}`;
    if (count === undefined) {
      const isFull = opens.size === countMax;
      const evicted = isFull ? idle[0] : undefined;
      const tenant = numbers.numberOf(name);
      assert.equal(tenant === undefined, isFull && evicted === undefined, said);
      if (tenant === undefined) continue;
      if (evicted !== undefined) opens.delete(evicted);
      idle = [...idle.filter((each) => each !== evicted), name];
      opens.set(name, 0);
    } else if (count > 0 && random.chance(1, 2)) {
      numbers.close(numbers.find(name)!);
      opens.set(name, count - 1);
      if (count === 1) idle.push(name);
    } else {
      numbers.open(numbers.find(name)!);
      opens.set(name, count + 1);
      idle = idle.filter((each) => each !== name);
    }
    for (const each of opens.keys()) {
      assert.equal(numbers.nameOf(numbers.find(each)!), each, said);
    }
  }
});
