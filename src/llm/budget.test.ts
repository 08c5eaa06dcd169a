import assert from "node:assert/strict";
import test from "node:test";
import type { TokenUsage } from "#model/consultation.ts";
import { Random } from "#std/random.ts";
import { Budgets, type BudgetLimits, type Cost, costOf } from "./budget.ts";

const PRICES = { promptMicros: 2, cachedMicros: 1, completionMicros: 10 };
const OPEN: BudgetLimits = {
  callsPerMinute: Number.POSITIVE_INFINITY,
  tokensPerMinute: Number.POSITIVE_INFINITY,
  microsPerDay: Number.POSITIVE_INFINITY,
};
const START_MS = 1_700_000_000_000;

function budgets(limits: Partial<BudgetLimits>): Budgets {
  return new Budgets({ tenantCountMax: 4, limits: { ...OPEN, ...limits } });
}

function cost(promptTokens: number): Cost {
  return costOf(tokens(promptTokens), PRICES, 1);
}

function tokens(promptTokens: number, completionTokens = 0, cachedTokens = 0): TokenUsage {
  return { promptTokens, completionTokens, cachedTokens };
}

test("calls beyond the minute's are refused, and come back evenly", () => {
  const of = budgets({ callsPerMinute: 6 });
  for (let n = 0; n < 6; n++) assert.equal(of.reserve(0, cost(1), START_MS), undefined);
  assert.equal(of.reserve(0, cost(1), START_MS), "calls");
  assert.equal(of.waitMs(0, cost(1), START_MS), 10_000);
  assert.equal(of.reserve(0, cost(1), START_MS + 9_999), "calls");
  assert.equal(of.reserve(0, cost(1), START_MS + 10_000), undefined);
  assert.equal(of.reserve(1, cost(1), START_MS), undefined, "another tenant's are its own");
});

test("what was used counts, not what was estimated", () => {
  const of = budgets({ tokensPerMinute: 1_000 });
  assert.equal(of.reserve(0, cost(900), START_MS), undefined);
  assert.equal(of.reserve(0, cost(200), START_MS), "tokens");
  of.settle(0, cost(900), cost(100), START_MS);
  assert.equal(of.reserve(0, cost(900), START_MS), undefined);
  of.settle(0, cost(900), cost(1_500), START_MS);
  assert.equal(of.waitMs(0, cost(400), START_MS), 60_000);
});

test("what is cached costs less, and money is counted a day", () => {
  const of = budgets({ microsPerDay: 1_000 });
  assert.equal(costOf(tokens(100, 20, 50), PRICES, 1).micros, 100 + 50 + 200);
  assert.equal(of.reserve(0, cost(400), START_MS), undefined);
  assert.equal(of.reserve(0, cost(200), START_MS), "money");
  assert.equal(of.reserve(0, cost(200), START_MS + 6 * 3_600_000), undefined);
});

test("a call that was never sent costs nothing", () => {
  const of = budgets({ callsPerMinute: 1, tokensPerMinute: 100, microsPerDay: 200 });
  for (let n = 0; n < 5; n++) {
    assert.equal(of.reserve(0, cost(100), START_MS), undefined);
    of.cancel(0, cost(100), START_MS);
  }
});

test("a budget of zero allows nothing, ever", () => {
  for (const limits of [{ callsPerMinute: 0 }, { tokensPerMinute: 0 }, { microsPerDay: 0 }]) {
    const of = budgets(limits);
    assert.notEqual(of.reserve(0, cost(10), START_MS), undefined, JSON.stringify(limits));
    assert.equal(of.waitMs(0, cost(10), START_MS), Number.POSITIVE_INFINITY);
    assert.notEqual(of.reserve(0, cost(10), START_MS + 1e9), undefined);
  }
});

test("an upstream that costs nothing needs no money", () => {
  const free = { promptMicros: 0, cachedMicros: 0, completionMicros: 0 };
  const of = budgets({ microsPerDay: 0 });
  assert.equal(of.reserve(0, costOf(tokens(1_000), free, 1), START_MS), undefined);
});

test("a tenant's own limits replace the default, and what it spent stays spent", () => {
  const of = budgets({ callsPerMinute: 10 });
  for (let n = 0; n < 5; n++) of.reserve(0, cost(1), START_MS);
  of.setLimits(0, { ...OPEN, callsPerMinute: 5 });
  assert.equal(of.reserve(0, cost(1), START_MS), "calls");
  of.setLimits(0, undefined);
  assert.equal(of.reserve(0, cost(1), START_MS), undefined);
});

test("a clock that goes back neither fills nor empties a bucket", () => {
  const of = budgets({ callsPerMinute: 1 });
  of.reserve(0, cost(1), START_MS);
  assert.equal(of.reserve(0, cost(1), START_MS - 1e6), "calls");
  assert.equal(of.reserve(0, cost(1), START_MS + 60_000), undefined);
});

test("at random: no minute sees more than twice the budget", () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const of = budgets({ tokensPerMinute: 1_000 });
  const spent: { atMs: number; tokens: number }[] = [];
  let nowMs = START_MS;
  for (let step = 0; step < 5_000; step++) {
    nowMs += random.below(2_000);
    const wanted = cost(random.below(400));
    if (of.reserve(0, wanted, nowMs) !== undefined) continue;
    const used = cost(random.below(wanted.tokens + 1));
    of.settle(0, wanted, used, nowMs);
    spent.push({ atMs: nowMs, tokens: used.tokens });
    const minute = spent.filter(({ atMs }) => atMs > nowMs - 60_000);
    const sum = minute.reduce((all, each) => all + each.tokens, 0);
    assert.ok(sum <= 2_000, `SEED=${seed} step ${step}: ${sum}`);
  }
});

test("the day's money is told of who spent, and is there again after a restart", () => {
  const of = budgets({ microsPerDay: 2_400 });
  of.reserve(1, cost(500), START_MS);
  of.reserve(2, costOf(tokens(0), PRICES, 1), START_MS);
  assert.deepEqual(of.takeSpenders(), [1]);
  assert.deepEqual(of.takeSpenders(), []);
  const spentMicros = of.spentMicros(1, START_MS);
  assert.equal(spentMicros, 1_000);
  const next = budgets({ microsPerDay: 2_400 });
  const laterMs = START_MS + 3_600_000;
  next.setSpent(3, spentMicros, START_MS, laterMs);
  assert.deepEqual(next.left(3, laterMs)[2], 1_500, "an hour's share came back");
  assert.equal(next.reserve(3, cost(751), laterMs), "money");
  assert.equal(next.reserve(3, cost(750), laterMs), undefined);
});

test("a number that is another tenant's begins anew", () => {
  const of = budgets({ callsPerMinute: 1, microsPerDay: 10_000 });
  of.setLimits(0, { ...OPEN, callsPerMinute: 0 });
  assert.equal(of.reserve(0, cost(1), START_MS), "calls");
  of.forget(0);
  assert.equal(of.reserve(0, cost(1), START_MS), undefined);
  of.forget(0);
  assert.deepEqual(of.takeSpenders(), []);
  assert.deepEqual(of.left(0, START_MS), [1, Number.POSITIVE_INFINITY, 10_000]);
  assert.deepEqual(of.limitsOf(0), of.limitsOf(undefined));
});
