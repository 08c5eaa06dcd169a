// The served process with a real moderator and a real file: what it answered survives `kill -9`,
// and a second process on the same folder does not start and says why.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { ReviewItem, ReviewPage } from "#model/review.ts";
import { Served } from "../durability/served.ts";

const TENANT = "/v1/tenants/acme";

async function serve(t: TestContext, folder: string): Promise<Served> {
  const served = await Served.start({ folder, shardCount: 1 });
  t.after(async () => served.kill());
  return served;
}

/** Of the tenant, what must go well. */
async function ask<Body>(served: Served, path: string, method = "GET", sent?: object) {
  const { status, body } = await served.ask<Body>(TENANT + path, method, sent);
  assert.equal(status, 200, `${method} ${path}: ${JSON.stringify(body)}`);
  return body;
}

test("reviews: what was answered survives kill -9, policies are in force again", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-crash-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const first = await serve(t, folder);
  const blockList = [{ term: "zorblax", action: "block" }];
  await ask(first, "/policy", "PUT", { blockList });
  await ask(first, "/moderate", "POST", { text: "well, hello", conversation: "c", user: "bob" });
  for (const id of ["m1", "m2"]) {
    const message = { id, text: `zorblax ${id}`, conversation: "c", user: "ada" };
    const { action } = await ask<{ action: string }>(first, "/moderate", "POST", message);
    assert.equal(action, "block");
  }
  type Claim = { items: ReviewItem[] };
  const claim = { moderator: "grace", leaseMs: 3_600_000 };
  const { items } = await ask<Claim>(first, "/reviews:claim", "POST", claim);
  const id = items[0]?.id ?? assert.fail("nothing to claim");
  const detail = await ask<{ context: { text: string }[] }>(first, `/reviews/${id}`);
  assert.equal(detail.context[0]?.text, "well, hello");
  const decision = { moderator: "grace", decision: "remove" };
  const decided = await ask<ReviewItem>(first, `/reviews/${id}:decide`, "POST", decision);
  await first.kill();

  const second = await serve(t, folder);
  const listed = await ask<ReviewPage>(second, "/reviews?state=decided");
  assert.deepEqual(listed.items, [decided]);
  assert.equal((await ask<ReviewPage>(second, "/reviews?state=pending")).total, 1);
  type Judged = { action: string; policy: { version: number } };
  const message = { text: "a zorblax once more", user: "eve" };
  const judged = await ask<Judged>(second, "/moderate", "POST", message);
  assert.deepEqual([judged.action, judged.policy.version], ["block", 1]);

  const third = await Served.begin({ folder, shardCount: 1 });
  t.after(async () => third.kill());
  assert.equal(await third.ended(), 1);
  assert.match(
    third.words,
    /is in use by another process; stop that one, or use another --data-dir/,
  );
  assert.equal(await second.stop(), 0);
});
