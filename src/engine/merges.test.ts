import assert from "node:assert/strict";
import test from "node:test";
import { ERRORS_LISTED_MAX, MERGE_TENANTS_MAX, MERGES_MAX } from "#model/limits.ts";
import type { MergeRequest, SummaryMerge } from "#model/merge.ts";
import { shardOf } from "#model/placement.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import type { MergeSlice, Question } from "#shard/protocol.ts";
import { encodeFakeSketch, FakeMerger } from "#testing/fake-merger.ts";
import { Merges, type MergeShard } from "./merges.ts";

const SHARD_COUNT = 3;

/** A shard that has `tenants`, each with one event by one user, and merges `slice` at a time. */
class FakeShard implements MergeShard {
  readonly asked: Question[] = [];
  restarts = 0;
  /** Runs before each answer. */
  before: (question: Question) => Promise<void> | void = () => undefined;
  readonly #tenants: readonly string[];
  readonly #slice: number;

  constructor(tenants: readonly string[], slice: number) {
    this.#tenants = tenants;
    this.#slice = slice;
  }

  restartCount = (): number => this.restarts;

  ask = async (question: Question): Promise<unknown> => {
    this.asked.push(question);
    await this.before(question);
    if (question.type === "tenants") return { total: this.#tenants.length, tenants: [] };
    assert(question.type === "merge");
    const { span, from } = question;
    const names = "tenants" in question ? question.tenants : this.#tenants;
    const end = Math.min(from + this.#slice, names.length);
    const here = names.slice(from, end);
    const tenants = here.filter((name) => this.#tenants.includes(name));
    const merger = new FakeMerger();
    merger.open(span);
    for (const name of tenants) merger.add(sketchOf(name));
    const slice: MergeSlice = {
      tenants,
      unknown: here.filter((name) => !this.#tenants.includes(name)),
      omitted: [],
      sketch: tenants.length === 0 ? undefined : merger.sketch(),
      next: end < names.length ? end : -1,
    };
    return slice;
  };
}

function sketchOf(tenant: string): Uint8Array {
  const window = { startMs: 1_000, endMs: 61_000, events: 1, metrics: [] };
  return encodeFakeSketch("minute", { ...window, users: [tenant], terms: [["x", 1]] });
}

function open(tenantCount: number, slice = 7) {
  const names = Array.from({ length: tenantCount }, (_, i) => `t${i}`);
  const shards = Array.from({ length: SHARD_COUNT }, (_, shard) => {
    return new FakeShard(
      names.filter((name) => shardOf(name, SHARD_COUNT) === shard),
      slice,
    );
  });
  let mergerCount = 0;
  const merges = new Merges(shards, () => {
    mergerCount += 1;
    return new FakeMerger();
  });
  const run = async (request: Partial<MergeRequest>): Promise<SummaryMerge> =>
    merges.run({
      span: "minute",
      tenants: [],
      prefix: undefined,
      sketches: [],
      limit: 5,
      ...request,
    });
  return { names, shards, run, merges, mergerCount: () => mergerCount };
}

const refusedWith = (code: ProblemCode) => (error: unknown) =>
  error instanceof Problem && error.code === code;

test("a merge takes every tenant once, over all shards and slices", async () => {
  const { names, run, shards } = open(300);
  const merge = await run({ prefix: "" });
  assert.equal(merge.tenantCount, 300);
  assert.equal(merge.report.eventCount, 300);
  assert.equal(merge.report.userCount, 300);
  assert.equal(merge.tenants.length, ERRORS_LISTED_MAX);
  assert.ok(shards.every(({ asked }) => asked.length > 2));
  const named = await run({ tenants: [...names, ...names, "nobody"] });
  assert.equal(named.report.eventCount, 300);
  assert.deepEqual(named.unknown, ["nobody"]);
});

test("of named tenants only their shards are asked", async () => {
  const { run, shards } = open(30);
  await run({ tenants: ["t3"] });
  const askedCounts = shards.map(({ asked }) => asked.length);
  assert.equal(askedCounts[shardOf("t3", SHARD_COUNT)], 1);
  assert.equal(
    askedCounts.reduce((sum, count) => sum + count, 0),
    1,
  );
});

test("a bad sketch is refused before any shard is asked", async () => {
  const { run, shards } = open(30);
  const sketches = [sketchOf("a"), new Uint8Array(3)];
  await assert.rejects(
    run({ prefix: "", sketches }),
    (error) => error instanceof Problem && error.members["index"] === 1,
  );
  assert.ok(shards.every(({ asked }) => asked.length === 0));
  const merge = await run({ prefix: "", sketches: [sketchOf("a"), sketchOf("t1")] });
  assert.equal(merge.report.eventCount, 32);
  assert.equal(merge.report.userCount, 31);
});

test("too many tenants are refused before any is merged", async () => {
  const { run, shards } = open(MERGE_TENANTS_MAX + 1);
  await assert.rejects(run({ prefix: "" }), refusedWith("mergeLimit"));
  assert.ok(shards.every(({ asked }) => asked.every(({ type }) => type === "tenants")));
});

test("a shard that fails ends the merge on all shards, and the next one starts clean", async () => {
  const { run, shards, mergerCount } = open(300);
  const [first] = shards;
  assert(first !== undefined);
  first.before = ({ type }) => {
    if (type === "merge" && first.asked.length > 3) throw new Problem("busy", "behind");
  };
  await assert.rejects(run({ prefix: "" }), refusedWith("busy"));
  const askedCount = shards.reduce((sum, { asked }) => sum + asked.length, 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(
    shards.reduce((sum, { asked }) => sum + asked.length, 0),
    askedCount,
  );
  assert.ok(askedCount < 3 + Math.ceil(300 / 7), "the others went on to their end");
  first.before = () => undefined;
  assert.equal((await run({ prefix: "" })).report.eventCount, 300);
  assert.equal(mergerCount(), 2, "the merger of a failed merge is not used again");
});

test("a shard that lost its tenants midway is no silent gap in the answer", async () => {
  const { run, shards } = open(300);
  const [first] = shards;
  assert(first !== undefined);
  first.before = () => void (first.restarts = first.asked.length > 2 ? 1 : 0);
  await assert.rejects(run({ prefix: "" }), refusedWith("shardRestarting"));
});

test("merges at once are bounded, and each has a merger for itself", async () => {
  const { run, shards, mergerCount } = open(60);
  const gate = Promise.withResolvers<void>();
  for (const shard of shards) shard.before = () => gate.promise;
  const running = Array.from({ length: MERGES_MAX }, async () => run({ prefix: "" }));
  await assert.rejects(run({ prefix: "" }), refusedWith("busy"));
  gate.resolve();
  for (const merge of await Promise.all(running)) assert.equal(merge.report.eventCount, 60);
  await run({ prefix: "" });
  assert.equal(mergerCount(), MERGES_MAX, "mergers at rest are used again");
});
