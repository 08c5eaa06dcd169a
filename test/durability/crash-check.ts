/** Whether a server that came back holds what its clients were told. */
import assert from "node:assert/strict";
import type { ReviewItem, ReviewPage } from "#model/review.ts";
import type { Random } from "#std/random.ts";
import { JUDGED_TENANTS, type Knowledge } from "./crash-load.ts";
import { NOTHING, type SentRequest, type Tally, type TenantOracle } from "./oracle.ts";
import type { Served } from "./served.ts";

/** What was found, beyond that it is right. */
export type Found = {
  events: number;
  unsureThere: number;
  unsureLost: number;
  /** Requests; of those that were there, the ones that were recognised whole. */
  resent: number;
  recognised: number;
};

type Summary = {
  eventCount: number;
  weightSum: number;
  metrics: { serial?: { count: number; sum: number } };
};
type Status = { eventCount: number; duplicateCount: number };
type Page = { total: number; tenants: { tenant: string; eventCount: number }[] };
type Sent = { accepted: number; duplicates: number };

const REVIEWS_PAGE = 200;

/** `random`: which requests without an answer are sent again. */
export async function checkAll(served: Served, known: Knowledge, random: Random): Promise<Found> {
  const found: Found = { events: 0, unsureThere: 0, unsureLost: 0, resent: 0, recognised: 0 };
  for (const [tenant, oracle] of known.tenants) {
    const { there, lost } = oracle.settle(await tallyOf(served, tenant));
    found.unsureThere += there.length;
    found.unsureLost += lost.length;
    await resend(served, tenant, oracle, { there, lost, random, found });
    found.events += oracle.settled.count;
  }
  const list = await served.get<Page>("/v1/tenants?limit=1000&prefix=t");
  const counts = new Map(list.tenants.map(({ tenant, eventCount }) => [tenant, eventCount]));
  for (const [tenant, { settled }] of known.tenants) {
    assert.equal(counts.get(tenant) ?? 0, settled.count, `${tenant} in the list`);
  }
  for (const tenant of JUDGED_TENANTS) {
    await checkWindows(served, tenant, known);
    await checkPolicy(served, tenant, known);
    await checkQueue(served, tenant, known);
  }
  return found;
}

/** What is counted of a tenant; its ledger and all numbers of its summary must agree. */
async function tallyOf(served: Served, tenant: string): Promise<Tally> {
  const status = await served.ask<Status>(`/v1/tenants/${tenant}`);
  if (status.status === 404) return NOTHING;
  assert.equal(status.status, 200, `${tenant}: ${JSON.stringify(status.body)}`);
  const summary = await served.get<Summary>(`/v1/tenants/${tenant}/summary?window=all`);
  const { count, sum } = summary.metrics.serial ?? NOTHING;
  const { eventCount, weightSum } = summary;
  assert.deepEqual({ eventCount, weightSum }, { eventCount: count, weightSum: count }, tenant);
  assert.equal(status.body.eventCount, count, `${tenant}: its ledger`);
  return { count, sum };
}

/**
 * Whoever got no answer sends again: what is new counts, and what was there is recognised by its
 * ids, as far as those are remembered (docs/summaries.md), and then counts once.
 */
async function resend(
  served: Served,
  tenant: string,
  oracle: TenantOracle,
  parts: {
    readonly there: readonly SentRequest[];
    readonly lost: readonly SentRequest[];
    readonly random: Random;
    readonly found: Found;
  },
): Promise<void> {
  const { there, lost, random, found } = parts;
  const unanswered = [...there, ...lost].filter(({ fate }) => fate === "unknown");
  const request = unanswered[random.below(Math.max(1, unanswered.length))];
  if (request === undefined) return;
  const { status, body } = await served.send<Sent>(tenant, request.events);
  const { count } = request.tally;
  const { accepted, duplicates } = body;
  assert.deepEqual([status, accepted], [202, count], `${tenant}, sent again`);
  if (lost.includes(request)) assert.equal(duplicates, 0, `${tenant}: nothing of it was there`);
  oracle.sentAgain(await tallyOf(served, tenant), count - duplicates);
  found.resent += 1;
  if (duplicates === count) found.recognised += 1;
}

/** They are those that were acknowledged last, or some that were sent after them. */
async function checkWindows(served: Served, tenant: string, known: Knowledge): Promise<void> {
  const told = known.windows.get(tenant)!;
  if (told.known === undefined) {
    told.sent = [];
    return;
  }
  const { windows } = await served.get<{ windows: string[] }>(`/v1/tenants/${tenant}`);
  const could = [told.known, ...told.sent];
  assert(
    could.includes(windows.join()),
    `${tenant} has ${windows.join()}, not ${could.join(" or ")}`,
  );
  told.known = windows.join();
  told.sent = [];
}

/** It is one that was set, none older than what was acknowledged, and the one that judges. */
async function checkPolicy(served: Served, tenant: string, known: Knowledge): Promise<void> {
  type Policy = { version: number; policy: { blockList: { term: string }[] } };
  const { version, policy } = await served.get<Policy>(`/v1/tenants/${tenant}/policy`);
  const told = known.policies.get(tenant)!;
  const term = policy.blockList[0]?.term;
  const could = [...(told.known === undefined ? [] : [told.known]), ...told.sent];
  if (could.length === 0 || (told.known === undefined && version === 0)) return;
  const one = could.find((each) => each.term === term);
  assert(one !== undefined, `${tenant}: a policy that was not the last: ${version} ${term}`);
  told.known = { version, term: one.term };
  told.sent = [];
  for (const [text, flagged] of [
    [`well, ${one.term} it is, said as m${known.messageCount}`, true],
    ["well played, see you tomorrow", false],
  ] as const) {
    const id = `m${known.messageCount++}`;
    type Verdict = { flagged: boolean; policy: { version: number } };
    const { body } = await served.ask<Verdict>(`/v1/tenants/${tenant}/moderate`, "POST", {
      id,
      conversation: "general",
      user: "ada",
      text,
    });
    const got = { flagged: body.flagged, version: body.policy.version };
    assert.deepEqual(got, { flagged, version }, `${tenant}: judged by its policy`);
    if (flagged) known.perhapsFlagged.set(id, tenant);
  }
}

/** Every flagged message is in the queue, once. */
async function checkQueue(served: Served, tenant: string, known: Knowledge): Promise<void> {
  const queued = new Set<string>();
  for (let cursor = ""; ;) {
    const path = `/v1/tenants/${tenant}/reviews?limit=${REVIEWS_PAGE}${cursor}`;
    const page: ReviewPage = await served.get<ReviewPage>(path);
    for (const item of page.items as readonly ReviewItem[]) {
      const id = item.messageId ?? assert.fail("an item without its message");
      assert(!queued.has(id), `${id} is queued twice`);
      assert.equal(item.verdictCount, 1, `${id} has as many verdicts`);
      const isOurs = (known.flagged.get(id) ?? known.perhapsFlagged.get(id)) === tenant;
      assert(isOurs, `${id} is queued, and nobody sent it`);
      queued.add(id);
    }
    if (page.nextCursor === undefined) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  for (const [id, of] of known.flagged) {
    assert(of !== tenant || queued.has(id), `${tenant}: ${id} is not in the queue`);
  }
}
