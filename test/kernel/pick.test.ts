/**
 * What waits for one tenant is taken out of its turn: wherever it stands, once, and nothing of
 * anybody else's. Against a tally of what was sent; the seed is printed with a failure.
 */
import assert from "node:assert/strict";
import test from "node:test";
import type { Drain, EmitStatus } from "#kernel/drain.ts";
import { INDEX_TERM } from "#model/datagram.ts";
import { Random } from "#std/random.ts";
import { tenantIndexes, TestSender, weightRecord } from "#testing/datagrams.ts";
import { tally, type TenantBatch, TestStage, wayMissing } from "#testing/stage.ts";

const TENANTS = Array.from({ length: 300 }, (_, i) => `tenant-${i}`);
const TERMS = Array.from({ length: 200 }, (_, i) => `term-${i}`);
/** Enough different pairs that one output does not take them. */
const RECORDS = 60_000;

for (const way of ["kernel", "dgram"] as const) {
  test(`${way}: picks come out of the middle of a delivery`, { skip: wayMissing(way) }, (t) => {
    const seed = 7;
    t.diagnostic(`seed ${seed}`);
    using stage = new TestStage(way, { shardCount: 1 });
    const random = new Random(seed);
    const expected = new Map<string, number>();
    const senders = [new TestSender(7n), new TestSender(9n)];
    // Each sender has indexes of its own.
    const orders = [TENANTS, TENANTS.toReversed()].map((names) => {
      const indexes = tenantIndexes(names);
      return new Map(names.map((name, i) => [name, indexes[i]!]));
    });
    for (const [i, sender] of senders.entries()) {
      stage.send(sender.dictionary([...orders[i]!].map(([name, index]) => [index, name] as const)));
      stage.send(sender.dictionary(TERMS.map((name, term) => [INDEX_TERM + term, name] as const)));
    }
    const send = (count: number): void => {
      for (let sent = 0; sent < count; sent += 1_000) {
        const which = random.below(2);
        const records = Array.from({ length: 1_000 }, () => {
          const tenant = TENANTS[random.below(TENANTS.length)]!;
          const term = random.below(TERMS.length);
          const weight = random.chance(1, 100) ? 3_500_000 : 1;
          for (let left = weight; left > 0; left -= 1_000_000) {
            const part = Math.min(left, 1_000_000);
            const key = `${tenant} ${TERMS[term]!}`;
            expected.set(key, (expected.get(key) ?? 0) + part);
          }
          return Array.from({ length: Math.ceil(weight / 1_000_000) }, (_, part) =>
            weightRecord(
              orders[which]!.get(tenant)!,
              term,
              Math.min(1_000_000, weight - part * 1_000_000),
            ),
          );
        }).flat();
        stage.send(senders[which]!.records(records));
      }
      stage.read();
    };
    const [drain] = stage.drains as [Drain];
    const batches: TenantBatch[] = [];
    for (let round = 0; round < 3; round++) {
      send(RECORDS);
      assert(stage.receiver.turn());
      drain.collect();
      assert(drain.deliver() > 0);
      // More gathers while these are handed out.
      send(RECORDS / 10);
      assert(stage.receiver.turn());
      drain.collect();
      let status = emit(stage, drain, () => drain.emit(0));
      assert.equal(status, "full", "one output does not take it all");
      while (status !== "done") {
        stage.take(drain, batches);
        const tenant = TENANTS[random.below(TENANTS.length)]!;
        pickOne(stage, drain, tenant, batches);
        assert.equal(drain.pick(tenant), 0, "nothing is left of it");
        status = emit(stage, drain, () => drain.emit(0));
      }
      stage.take(drain, batches);
    }
    batches.push(...stage.drainShard(drain));
    assert.deepEqual(Object.fromEntries(tally(batches)), Object.fromEntries(expected));
    const { kernel, user, shards } = stage.stats;
    assert.equal(kernel.records + user.records, shards.deliveredCount);
    assert.equal(shards.deliveredCount, shards.drainedCount);
  });
}

test("a tenant that nobody named, or nobody sent to, has nothing to pick", () => {
  using stage = new TestStage("dgram", { shardCount: 1 });
  const sender = new TestSender(7n);
  const [acme, idle] = tenantIndexes(["acme", "idle"]) as [number, number];
  stage.send(
    sender.dictionary([
      [acme, "acme"],
      [idle, "idle"],
      [INDEX_TERM, "pizza"],
    ]),
  );
  stage.send(sender.records([weightRecord(acme, 0, 1)]));
  const [drain] = stage.drains as [Drain];
  assert.equal(drain.summing, true);
  assert(stage.receiver.turn());
  assert.equal(drain.summing, false);
  drain.collect();
  for (const tenant of ["idle", "nobody", "", "a".repeat(65)]) assert.equal(drain.pick(tenant), 0);
  assert.equal(drain.gathered, 1);
  assert.equal(drain.pick("acme"), 1);
  assert.equal(drain.gathered, 0);
});

test("more than a pick has room for comes out in several", () => {
  using stage = new TestStage("dgram", { shardCount: 1 });
  const sender = new TestSender(7n);
  const [acme] = tenantIndexes(["acme"]) as [number];
  const terms = Array.from({ length: 20_000 }, (_, term) => term);
  stage.send(sender.dictionary([[acme, "acme"]]));
  for (let term = 0; term < terms.length; term += 2_000) {
    const some = terms.slice(term, term + 2_000);
    stage.send(sender.dictionary(some.map((n) => [INDEX_TERM + n, `term-${n}`] as const)));
    stage.send(sender.records(some.map((n) => weightRecord(acme, n, 1))));
  }
  const [drain] = stage.drains as [Drain];
  assert(stage.receiver.turn());
  drain.collect();
  const batches: TenantBatch[] = [];
  assert.equal(pickOne(stage, drain, "acme", batches), 16_384);
  assert.equal(pickOne(stage, drain, "acme", batches), terms.length - 16_384);
  assert.equal(tally(batches).size, terms.length);
});

function pickOne(stage: TestStage, drain: Drain, tenant: string, batches: TenantBatch[]): number {
  const picked = drain.pick(tenant);
  if (picked === 0) return 0;
  const from = batches.length;
  for (let status: EmitStatus = "full"; status !== "done";) {
    status = emit(stage, drain, () => drain.emitPicked(0));
    stage.take(drain, batches);
  }
  assert(batches.slice(from).every((batch) => batch.tenant === tenant));
  return picked;
}

function emit(stage: TestStage, drain: Drain, write: () => EmitStatus): EmitStatus {
  let status = write();
  for (; status === "name"; status = write()) stage.bindName(drain);
  return status;
}
