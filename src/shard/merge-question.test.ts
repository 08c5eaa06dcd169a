import assert from "node:assert/strict";
import test from "node:test";
import { MERGE_SLICE_TENANTS_MAX } from "#model/limits.ts";
import type { Outcome } from "#model/outcome.ts";
import { ALL_SPANS, withAlways } from "#model/window.ts";
import { encodeFakeSketch, FakeMerger } from "#testing/fake-merger.ts";
import { mergeSlice } from "./merge-question.ts";
import type { MergeQuestion, MergeSlice } from "./protocol.ts";
import type { Shard } from "./shard.ts";
import { flagsOfSettings, TENANT_QUARANTINED } from "./tenant-flags.ts";

type Fake = {
  readonly name: string;
  readonly spans?: number;
  readonly outcome?: Outcome;
  readonly sketch?: Uint8Array;
};

/** A shard as far as a merge looks at it; tenant n is `tenants[n]`, with one event by itself. */
function shardOf(tenants: readonly Fake[]) {
  const flags = tenants.map(({ spans = ALL_SPANS }) => flagsOfSettings({ clock: "wall", spans }));
  const asked: number[] = [];
  const sketchOf = (number: number): Uint8Array => {
    const window = { startMs: 0, endMs: 60_000, events: 1, metrics: [], terms: [] };
    const { name, sketch } = tenants[number]!;
    return sketch ?? encodeFakeSketch("hour", { ...window, users: [name] });
  };
  const host = {
    timedOutTenant: -1,
    pass: () => undefined,
    advance: () => "ok",
    quarantined: (number: number) => tenants[number]!.outcome === "quarantined",
    sketch: (number: number) => {
      asked.push(number);
      const { outcome = "ok" } = tenants[number]!;
      return { outcome, report: outcome === "ok" ? sketchOf(number) : undefined };
    },
  };
  const batcher = {
    tenantCount: tenants.length,
    tenantName: (number: number) => tenants[number]!.name,
    tenantFlags: (number: number) => flags[number],
    tenantFlagsSet: (number: number, value: number) => void (flags[number] = value),
  };
  const shard = {
    parts: { merger: new FakeMerger(), host, batcher },
    isLive: () => true,
    find: (name: string) => tenants.findIndex((tenant) => tenant.name === name),
    open: () => "ok",
    guarded: (turn: () => void) => {
      turn();
      return "done";
    },
  };
  return { shard: shard as unknown as Shard, asked, flags };
}

function all(shard: Shard, question: MergeQuestion): { slices: MergeSlice[]; users: string[] } {
  const slices: MergeSlice[] = [];
  const merger = new FakeMerger();
  merger.open(question.span);
  let from = 0;
  while (from !== -1) {
    const slice = mergeSlice(shard, { ...question, from }, 1_000);
    assert.ok(slice.next === -1 || slice.next > from, "each slice goes on");
    slices.push(slice);
    if (slice.sketch !== undefined) assert.equal(merger.add(slice.sketch), undefined);
    from = slice.next;
  }
  return { slices, users: slices.flatMap(({ tenants }) => tenants) };
}

test("slices take every tenant of a prefix once, a bounded number each", () => {
  const tenants = Array.from({ length: 3_000 }, (_, i) => ({
    name: `${i % 3 ? "us" : "eu"}.${i}`,
  }));
  const { shard, asked } = shardOf(tenants);
  const { slices, users } = all(shard, { type: "merge", span: "hour", from: 0, prefix: "eu." });
  assert.equal(users.length, 1_000);
  assert.equal(new Set(users).size, 1_000);
  assert.equal(asked.length, 1_000);
  for (const slice of slices) assert.ok(slice.tenants.length <= MERGE_SLICE_TENANTS_MAX);
  assert.ok(slices.length >= 1_000 / MERGE_SLICE_TENANTS_MAX);
});

test("named tenants are taken in their order, and those that are not there are said", () => {
  const { shard } = shardOf([{ name: "a" }, { name: "b" }]);
  const names = ["b", "x", "a", ...Array.from({ length: 600 }, (_, i) => `y${i}`)];
  const { slices, users } = all(shard, { type: "merge", span: "hour", from: 0, tenants: names });
  assert.deepEqual(users, ["b", "a"]);
  assert.equal(slices.flatMap(({ unknown }) => unknown).length, 601);
});

test("who cannot be merged is left out with the reason, and the others are not disturbed", () => {
  const { shard, asked, flags } = shardOf([
    { name: "off", spans: withAlways(0) },
    { name: "good" },
    { name: "bad", outcome: "quarantined" },
    { name: "traps", outcome: "trapped" },
    { name: "full", outcome: "refused" },
    { name: "liar", sketch: new Uint8Array([1, 2, 3]) },
    { name: "last" },
  ]);
  const { slices, users } = all(shard, { type: "merge", span: "hour", from: 0, prefix: "" });
  assert.deepEqual(users, ["good", "last"]);
  assert.deepEqual(
    slices.flatMap(({ omitted }) => omitted),
    [
      { tenant: "off", code: "windowOff" },
      { tenant: "bad", code: "tenantQuarantined" },
      { tenant: "traps", code: "guestFailed" },
      { tenant: "full", code: "memoryFull" },
      { tenant: "liar", code: "guestFailed" },
    ],
  );
  assert.ok(!asked.includes(0), "who does not keep the window is not asked");
  assert.equal(flags[2]! & TENANT_QUARANTINED, TENANT_QUARANTINED);
});

test("nobody there: no sketch, and the end", () => {
  const { shard } = shardOf([{ name: "a" }]);
  const slice = mergeSlice(shard, { type: "merge", span: "hour", from: 0, prefix: "z" }, 0);
  assert.deepEqual(slice, { sketch: undefined, tenants: [], unknown: [], omitted: [], next: -1 });
});
