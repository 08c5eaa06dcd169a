import assert from "node:assert/strict";
import test from "node:test";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { VerdictIds } from "#model/verdict-id.ts";
import { GlassModeratorHost, moderatorComponent, requestBytes } from "#testing/moderating.ts";
import { Moderation } from "./moderation.ts";
import { ShardCounters } from "./protocol.ts";
import { Refusal } from "./refusal.ts";

const NOW_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
/** Steps after which every tenant was looked at, of those a ledger has room for at first. */
const ROUND_STEPS = 8;

function newModeration(options: ConstructorParameters<typeof GlassModeratorHost>[0] = {}) {
  const host = new GlassModeratorHost(options);
  const component = host.admit(moderatorComponent("moderate"));
  const counters = new ShardCounters(new SharedArrayBuffer(ShardCounters.BYTES));
  const ids = new VerdictIds({ shard: 0, incarnation: 0, salt: 0 });
  const moderation = new Moderation({ host, component, ids }, counters);
  const say = (tenant: number, nowMs: number, ...texts: string[]) => {
    const parts = texts.flatMap((text) => {
      const bytes = requestBytes({ text, conversation: "c", tsMs: nowMs });
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32LE(bytes.length);
      return [prefix, bytes];
    });
    const record = Buffer.concat([Buffer.alloc(5), ...parts]);
    return moderation.judgeAll(tenant, `t${tenant}`, record, 5, record.length - 5, nowMs);
  };
  const turnCount = (tenant: number): number => {
    const turns = moderation.ask(tenant, "", [], (each) => each.conversation(tenant, "c"));
    assert.ok(!(turns instanceof Refusal));
    return turns.length;
  };
  const sweep = (nowMs: number): void => {
    for (let step = 0; step < ROUND_STEPS; step++) moderation.sweep(nowMs);
  };
  return { host, moderation, counters, say, turnCount, sweep };
}

test("what was judged is counted, and has its id and its time", () => {
  const { moderation, counters, say } = newModeration();
  const judged = say(3, NOW_MS, "hello", "and again");
  assert.deepEqual(
    judged.map((each) => "id" in each && each.id),
    [
      "v_01HF7YAT0000000000000000000".slice(0, 12) + "0".repeat(16),
      "v_01HF7YAT00" + "000001" + "0".repeat(10),
    ],
  );
  moderation.count();
  assert.equal(counters.get("judgedCount"), 2);
  assert.equal(counters.get("judgeSlotMissCount"), 1);
});

test("a quiet tenant is told the time once what it remembers is too old", () => {
  const { moderation, say, turnCount, sweep } = newModeration();
  const context = { ...POLICY_DEFAULT.context, ageMsMax: 60_000 };
  const policy = { ...POLICY_DEFAULT, context };
  const bytes = policyBytes({ version: 1, setAtMs: 0, note: undefined, policy })!;
  assert.equal(moderation.setPolicy(1, "t1", bytes), undefined);
  for (const tenant of [0, 1]) say(tenant, NOW_MS, "hello");
  sweep(NOW_MS + 59_999);
  assert.deepEqual([turnCount(0), turnCount(1)], [1, 1]);
  sweep(NOW_MS + 60_001);
  assert.deepEqual([turnCount(0), turnCount(1)], [1, 0]);
  sweep(NOW_MS + HOUR_MS + 1);
  assert.equal(turnCount(0), 0);
});

test("with memory full messages are judged and not remembered, and nobody new begins", () => {
  const { say, turnCount } = newModeration({ imageBytesMax: 4096, slotCount: 1 });
  let tenant = 0;
  for (; "id" in say(tenant, NOW_MS, "hello")[0]!; tenant++) assert.ok(tenant < 31);
  assert.ok(tenant > 1);
  const [refused] = say(tenant, NOW_MS, "hello");
  assert.ok("code" in refused!);
  assert.equal(refused.code, "memoryFull");
  const [judged] = say(0, NOW_MS, "hello");
  assert.ok("report" in judged!);
  assert.equal(judged.report.contextUsed.length, 1);
  assert.equal(turnCount(0), 1);
});
