import assert from "node:assert/strict";
import test from "node:test";
import type { TokenUsage } from "#model/consultation.ts";
import { Random } from "#std/random.ts";
import { Budgets, type BudgetLimits } from "./budget.ts";

const PRICES = { promptMicros: 2, cachedMicros: 1, completionMicros: 10 };
const OPEN: BudgetLimits = {
  callsPerMinute: Number.POSITIVE_INFINITY,
  tokensPerMinute: Number.POSITIVE_INFINITY,
  microsPerDay: Number.POSITIVE_INFINITY,
};
const START_MS = 1_700_000_000_000;

function budgets(limits: Partial<BudgetLimits>): Budgets {
  return new Budgets({ tenantCountMax: 4, limits: { ...OPEN, ...limits }, prices: PRICES });
}

function usage(promptTokens: number, completionTokens = 0, cachedTokens = 0): TokenUsage {
  return { promptTokens, completionTokens, cachedTokens };
}

test("calls beyond the minute's are refused, and come back evenly", () => {
  const of = budgets({ callsPerMinute: 6 });
  for (let n = 0; n < 6; n++) assert.equal(of.reserve(0, usage(1), START_MS), undefined);
  assert.equal(of.reserve(0, usage(1), START_MS), "calls");
  assert.equal(of.waitMs(0, usage(1), START_MS), 10_000);
  assert.equal(of.reserve(0, usage(1), START_MS + 9_999), "calls");
  assert.equal(of.reserve(0, usage(1), START_MS + 10_000), undefined);
  assert.equal(of.reserve(1, usage(1), START_MS), undefined, "another tenant's are its own");
});

test("what was used counts, not what was estimated", () => {
  const of = budgets({ tokensPerMinute: 1_000 });
  assert.equal(of.reserve(0, usage(900), START_MS), undefined);
  assert.equal(of.reserve(0, usage(200), START_MS), "tokens");
  of.settle(0, usage(900), usage(100), START_MS);
  assert.equal(of.reserve(0, usage(900), START_MS), undefined);
  of.settle(0, usage(900), usage(1_500), START_MS);
  assert.equal(of.waitMs(0, usage(400), START_MS), 60_000);
});

test("what is cached costs less, and money is counted a day", () => {
  const of = budgets({ microsPerDay: 1_000 });
  assert.equal(of.micros(usage(100, 20, 50)), 100 + 50 + 200);
  assert.equal(of.reserve(0, usage(400), START_MS), undefined);
  assert.equal(of.reserve(0, usage(200), START_MS), "money");
  assert.equal(of.reserve(0, usage(200), START_MS + 6 * 3_600_000), undefined);
});

test("a call that was never sent costs nothing", () => {
  const of = budgets({ callsPerMinute: 1, tokensPerMinute: 100, microsPerDay: 200 });
  for (let n = 0; n < 5; n++) {
    assert.equal(of.reserve(0, usage(100), START_MS), undefined);
    of.cancel(0, usage(100), START_MS);
  }
});

test("a budget of zero allows nothing, ever", () => {
  for (const limits of [{ callsPerMinute: 0 }, { tokensPerMinute: 0 }, { microsPerDay: 0 }]) {
    const of = budgets(limits);
    assert.notEqual(of.reserve(0, usage(10), START_MS), undefined, JSON.stringify(limits));
    assert.equal(of.waitMs(0, usage(10), START_MS), Number.POSITIVE_INFINITY);
    assert.notEqual(of.reserve(0, usage(10), START_MS + 1e9), undefined);
  }
});

test("an upstream that costs nothing needs no money", () => {
  const free = { promptMicros: 0, cachedMicros: 0, completionMicros: 0 };
  const of = new Budgets({
    tenantCountMax: 1,
    limits: { ...OPEN, microsPerDay: 0 },
    prices: free,
  });
  assert.equal(of.reserve(0, usage(1_000), START_MS), undefined);
});

test("a tenant's own limits replace the default, and what it spent stays spent", () => {
  const of = budgets({ callsPerMinute: 10 });
  for (let n = 0; n < 5; n++) of.reserve(0, usage(1), START_MS);
  of.setLimits(0, { ...OPEN, callsPerMinute: 5 });
  assert.equal(of.reserve(0, usage(1), START_MS), "calls");
  of.setLimits(0, undefined);
  assert.equal(of.reserve(0, usage(1), START_MS), undefined);
});

test("a clock that goes back neither fills nor empties a bucket", () => {
  const of = budgets({ callsPerMinute: 1 });
  of.reserve(0, usage(1), START_MS);
  assert.equal(of.reserve(0, usage(1), START_MS - 1e6), "calls");
  assert.equal(of.reserve(0, usage(1), START_MS + 60_000), undefined);
});

test("at random: no minute sees more than twice the budget", () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const of = budgets({ tokensPerMinute: 1_000 });
  const spent: { atMs: number; tokens: number }[] = [];
  let nowMs = START_MS;
  for (let step = 0; step < 5_000; step++) {
    nowMs += random.below(2_000);
    const wanted = usage(random.below(400));
    if (of.reserve(0, wanted, nowMs) !== undefined) continue;
    const used = usage(random.below(wanted.promptTokens + 1));
    of.settle(0, wanted, used, nowMs);
    spent.push({ atMs: nowMs, tokens: used.promptTokens });
    const minute = spent.filter(({ atMs }) => atMs > nowMs - 60_000);
    const tokens = minute.reduce((sum, each) => sum + each.tokens, 0);
    assert.ok(tokens <= 2_000, `SEED=${seed} step ${step}: ${tokens}`);
  }
});
