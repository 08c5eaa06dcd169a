// Sketches that tenants' components really make: each says what the tenant's summary says, and no
// damage to one gets past the merger.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { type Engine, startEngine } from "#engine/engine.ts";
import type { SketchFault } from "#model/merge.ts";
import { type Span, SPANS } from "#model/summary.ts";
import { Merger } from "#merger/merger.ts";
import { Random } from "#std/random.ts";
import { HEADER_BYTES, reseal } from "#testing/portable-sketch.ts";
import { SEED } from "#testing/seed.ts";

const START_MS = 1_699_920_000_000;

/** Event counts and users: a quiet tenant, one with a list of users, and a crowd. */
const TENANTS = [
  { tenant: "quiet", eventCount: 7, userCount: 5 },
  { tenant: "usual", eventCount: 900, userCount: 150 },
  { tenant: "crowd", eventCount: 12_000, userCount: 9_000 },
] as const;

async function fill(t: TestContext, random: Random): Promise<Engine> {
  const engine = await startEngine({
    shardCount: 2,
    slotCount: 4,
    imageBytesMax: 16 * 1024 * 1024,
    tenantCountMax: 16,
  });
  t.after(() => engine.stop());
  for (const { tenant, eventCount, userCount } of TENANTS) {
    await engine.putTenant(tenant, { clock: "event" });
    const lines = Array.from({ length: eventCount }, (_, n) => {
      const user = `u${random.below(userCount)}`;
      const spread = 10 ** (random.unit() * 6);
      const temperature = random.below(60) - 20;
      const metrics = random.chance(1, 2) ? { größe: spread } : { temperature, größe: spread };
      const said = [`wort${random.below(80)}`, "münchen"];
      // Ten hours, so that windows differ; the last hundred within a minute.
      const agoMs = Math.max(0, eventCount - 100 - n) * (36_000_000 / eventCount);
      return JSON.stringify({ user, terms: said, metrics, tsMs: Math.round(START_MS - agoMs + n) });
    });
    for (let i = 0; i < lines.length; i += 1_000) {
      const body = Buffer.from(lines.slice(i, i + 1_000).join("\n"));
      const answer = await engine.offer({ tenant, body, format: "ndjson" });
      assert.equal(answer.accepted, Math.min(1_000, eventCount - i));
    }
  }
  return engine;
}

test(`a merge of one window is that window (SEED=${SEED})`, async (t) => {
  const engine = await fill(t, new Random(SEED));
  const merger = new Merger();
  for (const span of SPANS) {
    for (const { tenant } of TENANTS) {
      const label = `SEED=${SEED} ${tenant} ${span}`;
      const summary = await engine.summary(tenant, { span, limit: 50 });
      merger.open(span);
      assert.equal(merger.add(await engine.sketch(tenant, span)), undefined, label);
      const report = merger.report(50);
      const { eventCount, weightSum, windowStartMs, windowEndMs } = summary;
      assert.deepEqual(
        [report.eventCount, report.weightSum, report.windowStartMs, report.windowEndMs],
        [eventCount, weightSum, windowStartMs, windowEndMs],
        label,
      );
      // A tenant may estimate a window by all there was, where that is the same; a merge may not.
      const slack = 4 * (report.userCountError + summary.userCountError) * summary.userCount;
      assert.ok(Math.abs(report.userCount - summary.userCount) <= slack, label);
      const inOrder = summary.metrics.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      for (const [index, { name, count, min, max, quantiles }] of inOrder.entries()) {
        const found = report.metrics[index]!;
        assert.deepEqual([found.name, found.count], [name, count], label);
        assert.deepEqual([found.min, found.max], [min, max], label);
        assert.deepEqual(found.quantiles, quantiles, label);
      }
      for (const { term, countLow, countHigh } of summary.terms.slice(0, 20)) {
        const found = report.terms.find((one) => one.term === term);
        assert.deepEqual([found?.countLow, found?.countHigh], [countLow, countHigh], label);
      }
    }
  }
});

test(`damage to a real sketch is found, and changes nothing (SEED=${SEED})`, async (t) => {
  const random = new Random(SEED);
  const engine = await fill(t, random);
  for (const { tenant } of TENANTS) {
    for (const span of ["minute", "day", "all"] as const) {
      damage(await engine.sketch(tenant, span), { span, random, tenant });
    }
  }
});

function damage(
  good: Uint8Array,
  { span, random, tenant }: { span: Span; random: Random; tenant: string },
): void {
  const merger = new Merger();
  merger.open(span);
  assert.equal(merger.add(good), undefined);
  const before = merger.sketch();
  const label = `SEED=${SEED} ${tenant} ${span}`;
  // Every length of a small one; of a large one, whose checksum is read each time, every few.
  const step = Math.ceil(good.length / 4_000);
  for (let length = 0; length < good.length; length += step) {
    assert.equal(merger.add(good.subarray(0, length)), "sketchCorrupt", `${label} ${length} bytes`);
  }
  for (let round = 0; round < 1_000; round++) {
    const copy = good.slice();
    const at = random.below(random.chance(1, 4) ? HEADER_BYTES : copy.length);
    copy[at]! ^= 1 << random.below(8);
    assert.equal(merger.add(copy), faultOf(at, copy), `${label} byte ${at}`);
  }
  assert.deepEqual(merger.sketch(), before, label);
  // With a checksum that agrees, a change may be another true window; then it merges on.
  const seen = new Set<SketchFault | undefined>();
  for (let round = 0; round < 500; round++) {
    const copy = good.slice();
    copy[HEADER_BYTES + random.below(copy.length - HEADER_BYTES)]! ^= 1 << random.below(8);
    const fault = merger.add(reseal(copy));
    seen.add(fault);
    if (fault !== undefined) continue;
    const merged = merger.sketch();
    assert.equal(merger.add(merged), undefined, label);
    merger.report(50);
    merger.open(span);
    merger.add(good);
  }
  assert.ok(seen.has("sketchCorrupt"));
  assert.deepEqual(merger.sketch(), before, label);
}

function faultOf(at: number, changed: Uint8Array): SketchFault {
  if (at === 4 || at === 5) return "sketchVersion";
  return at === 6 && changed[at]! < SPANS.length ? "sketchWindow" : "sketchCorrupt";
}
