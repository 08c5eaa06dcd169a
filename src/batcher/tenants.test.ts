import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { Batcher } from "#batcher/batcher.ts";
import { NOW_MS } from "#testing/batcher-driver.ts";

const COUNT_MAX = 24;

/** What it must do: the lowest numbers nobody has had, the newest that somebody gave back first. */
class Twin {
  readonly numbers = new Map<string, number>();
  readonly flags = new Map<string, number>();
  readonly free: number[] = [];
  end = 0;

  add(name: string): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    if (this.numbers.size === COUNT_MAX) return -1;
    const number = this.free.pop() ?? this.end++;
    this.numbers.set(name, number);
    this.flags.set(name, 0);
    return number;
  }

  remove(name: string): void {
    this.free.push(this.numbers.get(name)!);
    this.numbers.delete(name);
    this.flags.delete(name);
  }
}

/** Many that are short, so that a few meet again and again; and some of every length. */
const name = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map((n) => `t${n}`),
  fc
    .tuple(fc.integer({ min: 1, max: 64 }), fc.constantFrom("a", "b", "Z"))
    .map(([length, letter]) => letter.repeat(length)),
);
const step = fc.record({
  do: fc.constantFrom("add", "add", "remove", "flag", "events"),
  name,
  flags: fc.integer({ min: 1, max: 31 }),
});

void test("tenants that come and go have numbers of their own, and nothing of those before", () => {
  const property = fc.property(
    fc.array(step, { maxLength: 200 }),
    fc.integer({ min: 0, max: 0xffff_ffff }),
    (steps, hashSeed) => {
      const batcher = new Batcher({ tenantCountMax: COUNT_MAX, hashSeed });
      const twin = new Twin();
      for (const each of steps) {
        const known = twin.numbers.get(each.name);
        if (each.do === "add") assert.equal(batcher.tenantAdd(each.name), twin.add(each.name));
        else if (each.do === "events") {
          sendEvent(batcher, each.name);
          twin.add(each.name);
        } else if (known !== undefined && each.do === "remove") {
          batcher.tenantRemove(known);
          twin.remove(each.name);
        } else if (known !== undefined && each.do === "flag") {
          batcher.tenantFlagsSet(known, each.flags & ~2);
          twin.flags.set(each.name, each.flags & ~2);
        }
        check(batcher, twin);
      }
    },
  );
  fc.assert(property, { numRuns: 300 });
});

void test("two hundred thousand tenants in turn find room, and memory does not grow", () => {
  const batcher = new Batcher({ tenantCountMax: 1_000 });
  let bytes = 0;
  for (let n = 0; n < 200_000; n++) {
    const number = batcher.tenantAdd(`tenant-${n}`);
    assert.ok(number >= 0 && number < 1_000, `${n} is refused`);
    if (n < 500) continue;
    const oldest = batcher.tenantFind(`tenant-${n - 500}`);
    batcher.tenantRemove(oldest);
    if (n === 10_000) bytes = batcher.memory.length;
  }
  assert.equal(batcher.memory.length, bytes);
  assert.equal(batcher.liveTenantCount, 500);
});

/** One that names its tenant, as a new one does. */
function sendEvent(batcher: Batcher, tenant: string): void {
  const known = batcher.tenantFind(tenant) !== -1;
  const isFull = batcher.liveTenantCount === COUNT_MAX;
  const line = Buffer.from(`{"tenant":"${tenant}","text":"hello"}`);
  batcher.input.set(line);
  batcher.parse("lines", line.length, -1, 1, 0, NOW_MS);
  assert.equal(batcher.acceptedCount, known || !isFull ? 1 : 0);
  if (batcher.acceptedCount === 1) {
    assert.equal(batcher.group(NOW_MS), 1);
    assert.equal(batcher.tenantName(batcher.batchTenant(0)), tenant);
  }
  batcher.clear();
}

function check(batcher: Batcher, twin: Twin): void {
  assert.equal(batcher.liveTenantCount, twin.numbers.size);
  assert.equal(batcher.tenantCount, twin.end);
  for (const [tenant, number] of twin.numbers) {
    assert.equal(batcher.tenantFind(tenant), number, tenant);
    assert.equal(batcher.tenantName(number), tenant);
    assert.equal(batcher.tenantFlags(number), twin.flags.get(tenant), tenant);
    assert.ok(batcher.hasTenant(number));
  }
  for (const number of twin.free) {
    assert.equal(batcher.tenantName(number), "");
    assert.equal(batcher.tenantFlags(number), 0);
    assert.ok(!batcher.hasTenant(number));
  }
  for (const gone of ["t0", "t1", "a", "Z".repeat(64)]) {
    if (!twin.numbers.has(gone)) assert.equal(batcher.tenantFind(gone), -1, gone);
  }
}
