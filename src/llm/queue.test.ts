import assert from "node:assert/strict";
import test from "node:test";
import { JOB_COUNT } from "#model/consultation.ts";
import { CALL_TOKENS_MAX } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { FairQueue, NO_TICKET, QUEUE_FULL, TENANT_QUEUE_FULL } from "./queue.ts";

const MODERATION = 0;
const TLDR = 1;
const QUANTUM = 1_000;

function queue(options: Partial<ConstructorParameters<typeof FairQueue>[0]> = {}): FairQueue {
  return new FairQueue({
    ticketCountMax: 4_096,
    tenantCountMax: 64,
    tenantWaitingMax: 1_000,
    tenantRunningMax: 1_000,
    quantum: QUANTUM,
    ...options,
  });
}

/** Tenants of the next calls, which end at once. */
function serve(of: FairQueue, count: number): number[] {
  return Array.from({ length: count }, () => {
    const ticket = of.next();
    const tenant = of.tenantOf(ticket);
    of.end(ticket);
    return tenant;
  });
}

test("calls of one tenant run in their order", () => {
  const calls = queue();
  const tickets = [1, 2, 3].map(() => calls.push(0, MODERATION, 10, 0));
  assert.deepEqual([calls.next(), calls.next(), calls.next()], tickets);
  assert.equal(calls.next(), NO_TICKET);
});

test("a flood of one tenant delays another's call by one turn", () => {
  const calls = queue();
  for (let n = 0; n < 1_000; n++) calls.push(0, MODERATION, QUANTUM, 0);
  serve(calls, 10);
  calls.push(1, MODERATION, QUANTUM, 0);
  assert.ok(serve(calls, 2).includes(1));
});

test("tenants get the same tokens, whether their calls are short or long", () => {
  const calls = queue();
  const costs = [100, 1_900];
  for (const [tenant, cost] of costs.entries()) {
    for (let n = 0; n < 900; n++) calls.push(tenant, MODERATION, cost, 0);
  }
  const tokens = [0, 0];
  for (const tenant of serve(calls, 600)) tokens[tenant]! += costs[tenant]!;
  const difference = Math.abs(tokens[0]! - tokens[1]!);
  assert.ok(difference <= QUANTUM + 1_900, tokens.join(" "));
});

test("at random: a tenant's own limit of calls at once holds, and keeps nobody waiting", () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const calls = queue({ tenantCountMax: 4, tenantRunningMax: 3 });
  const maxes = [3, 3, 3, 3];
  let running: number[] = [];
  for (let step = 0; step < 20_000; step++) {
    const tenant = random.below(4);
    const kind = random.below(8);
    if (kind < 3) calls.push(tenant, random.below(JOB_COUNT), 1 + random.below(3_000), 0);
    else if (kind === 3) {
      const own = random.chance(1, 3) ? undefined : 1 + random.below(5);
      maxes[tenant] = own ?? 3;
      calls.setRunningMax(tenant, own);
    } else if (kind < 6 && running.length > 0) {
      const ticket = running[random.below(running.length)]!;
      calls.end(ticket);
      running = running.filter((each) => each !== ticket);
    } else {
      const before = maxes.map((_, each) => calls.runningOf(each));
      const ticket = calls.next();
      const may = maxes.some((max, each) => before[each]! < max && calls.waitingOf(each) > 0);
      const where = `SEED=${seed} step ${step}`;
      if (ticket === NO_TICKET) assert.equal(may, false, where);
      else {
        const chosen = calls.tenantOf(ticket);
        assert.ok(before[chosen]! < maxes[chosen]!, where);
        running.push(ticket);
      }
    }
  }
});

test("moderation goes before a TL;DR, which does not starve", () => {
  const calls = queue();
  for (let n = 0; n < 200; n++) {
    calls.push(0, TLDR, 10, 0);
    calls.push(1, MODERATION, 10, 0);
  }
  const first = serve(calls, 100);
  const tldrs = first.filter((tenant) => tenant === 0).length;
  assert.equal(first[0], 1);
  assert.ok(tldrs >= 4 && tldrs <= 8, `${tldrs} of 100`);
});

test("a tenant has no more calls at the upstream than it may", () => {
  const calls = queue({ tenantRunningMax: 2 });
  for (let n = 0; n < 4; n++) calls.push(0, MODERATION, 10, 0);
  const [first, second] = [calls.next(), calls.next()];
  assert.equal(calls.next(), NO_TICKET);
  calls.push(1, MODERATION, 10, 0);
  assert.equal(calls.tenantOf(calls.next()), 1);
  calls.end(first);
  assert.equal(calls.tenantOf(calls.next()), 0);
  calls.end(second);
  assert.equal(calls.runningOf(0), 1);
  assert.equal(calls.waitingOf(0), 1);
});

test("a queue that is full says so, and whose fault it is", () => {
  const calls = queue({ ticketCountMax: 3, tenantWaitingMax: 2 });
  const ticket = calls.push(0, MODERATION, 10, 0);
  calls.push(0, MODERATION, 10, 0);
  assert.equal(calls.push(0, MODERATION, 10, 0), TENANT_QUEUE_FULL);
  calls.push(1, MODERATION, 10, 0);
  assert.equal(calls.push(2, MODERATION, 10, 0), QUEUE_FULL);
  calls.end(ticket);
  assert.ok(calls.push(2, MODERATION, 10, 0) >= 0);
});

test("calls of one tenant that go together are paid for by its next turns", () => {
  const calls = queue();
  for (let n = 0; n < 20; n++) calls.push(0, MODERATION, QUANTUM, 0);
  const first = calls.next();
  for (let n = 0; n < 7; n++) assert.equal(calls.tenantOf(calls.nextLike(first)), 0);
  for (let n = 0; n < 20; n++) calls.push(1, MODERATION, QUANTUM, 0);
  assert.deepEqual(
    serve(calls, 7),
    Array.from({ length: 7 }, () => 1),
  );
});

test("a cost beyond all measure is counted as the greatest", () => {
  const calls = queue();
  calls.push(0, MODERATION, Number.POSITIVE_INFINITY, 0);
  calls.push(1, MODERATION, CALL_TOKENS_MAX * 2, 0);
  assert.deepEqual(
    serve(calls, 2).toSorted((a, b) => a - b),
    [0, 1],
  );
});

/** The same, as plainly as can be: which calls wait and run is all that it knows. */
class Model {
  readonly waiting = new Map<number, { tenant: number; job: number; order: number }>();
  readonly running = new Map<number, { tenant: number; job: number }>();
  order = 0;

  runningOf(tenant: number): number {
    return [...this.running.values()].filter((each) => each.tenant === tenant).length;
  }

  eligible(tenantRunningMax: number): number {
    const may = (tenant: number): boolean => this.runningOf(tenant) < tenantRunningMax;
    return [...this.waiting.values()].filter(({ tenant }) => may(tenant)).length;
  }

  /** Nothing of the same line came before it. */
  isOldest(ticket: number): boolean {
    const { tenant, job, order } = this.waiting.get(ticket)!;
    return [...this.waiting.values()].every(
      (each) => each.tenant !== tenant || each.job !== job || each.order >= order,
    );
  }
}

test("at random: no call is lost, none runs twice, none passes another of its line", () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const tenantRunningMax = 3;
  const calls = queue({ ticketCountMax: 60, tenantWaitingMax: 12, tenantRunningMax });
  const model = new Model();
  for (let step = 0; step < 20_000; step++) {
    const where = `SEED=${seed} step ${step}`;
    const kind = random.below(10);
    if (kind < 4) {
      const [tenant, job] = [random.below(8), random.below(JOB_COUNT)];
      const isFull = model.waiting.size + model.running.size >= 60;
      const ticket = calls.push(tenant, job, 1 + random.below(3 * QUANTUM), step);
      if (ticket >= 0) {
        assert.ok(!model.waiting.has(ticket) && !model.running.has(ticket), where);
        model.waiting.set(ticket, { tenant, job, order: model.order++ });
      } else if (ticket === QUEUE_FULL) assert.ok(isFull, where);
      else assert.equal(calls.waitingOf(tenant), 12, where);
    } else if (kind < 7) {
      const ticket = calls.next();
      if (ticket === NO_TICKET) assert.equal(model.eligible(tenantRunningMax), 0, where);
      else {
        assert.ok(model.isOldest(ticket), where);
        model.running.set(ticket, model.waiting.get(ticket)!);
        model.waiting.delete(ticket);
        assert.ok(calls.runningOf(calls.tenantOf(ticket)) <= tenantRunningMax, where);
      }
    } else {
      const pool = random.chance(1, 4) ? model.waiting : model.running;
      const ticket = [...pool.keys()][random.below(Math.max(pool.size, 1))];
      if (ticket !== undefined) {
        calls.end(ticket);
        pool.delete(ticket);
      }
    }
    assert.equal(calls.runningCount, model.running.size, where);
  }
});

test("what a tenant took ahead is owed even if it asked for nothing in between", () => {
  const calls = queue();
  const tickets = Array.from({ length: 8 }, () => calls.push(0, MODERATION, QUANTUM, 0));
  const first = calls.next();
  for (let n = 1; n < 8; n++) calls.nextLike(first);
  for (const ticket of tickets) calls.end(ticket);
  for (let n = 0; n < 20; n++)
    for (const tenant of [0, 1]) calls.push(tenant, MODERATION, QUANTUM, 0);
  assert.deepEqual(
    serve(calls, 7),
    Array.from({ length: 7 }, () => 1),
  );
});
