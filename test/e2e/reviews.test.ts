// The served process with a real moderator and a real file: what it answered survives `kill -9`,
// and a second process on the same folder judges without the queue and says why.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { ReviewItem, ReviewPage } from "#model/review.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
/** The very process, so that it can be killed: the launcher would tell it to stop. */
const FLAGS = [
  "--disable-wasm-trap-handler",
  "--external-memory-accounted-in-global-limit",
  "--disable-warning=ExperimentalWarning",
];
const TENANT = "/v1/tenants/acme";

type Served = { readonly url: string; readonly child: ChildProcess };

async function serve(t: TestContext, folder: string): Promise<Served> {
  const args = [...FLAGS, MAIN, "serve", "--http-port", "0", "--udp-port", "0"];
  const child = spawn(process.execPath, [...args, "--data-dir", folder], {
    env: { ...process.env, NEXUSCORE_SHARD_COUNT: "1", NEXUSCORE_KERNEL_TELEMETRY: "off" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(async () => end(child, "SIGKILL"));
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url !== undefined) return { url, child };
  }
  return assert.fail("the server ended");
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}

async function ask<Body>(url: string, method = "GET", body?: object): Promise<Body> {
  const headers = { "content-type": "application/json" };
  const rest = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  const response = await fetch(url, { method, ...rest });
  assert.ok(response.ok, `${method} ${url}: ${await response.clone().text()}`);
  return (await response.json()) as Body;
}

test("reviews: what was answered survives kill -9, policies are in force again", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-crash-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const first = await serve(t, folder);
  const api = `${first.url}${TENANT}`;
  const blockList = [{ term: "zorblax", action: "block" }];
  await ask(`${api}/policy`, "PUT", { blockList });
  await ask(`${api}/moderate`, "POST", { text: "well, hello", conversation: "c", user: "bob" });
  for (const id of ["m1", "m2"]) {
    const message = { id, text: `zorblax ${id}`, conversation: "c", user: "ada" };
    assert.equal(
      (await ask<{ action: string }>(`${api}/moderate`, "POST", message)).action,
      "block",
    );
  }
  type Claim = { items: ReviewItem[] };
  const claim = { moderator: "grace", leaseMs: 3_600_000 };
  const { items } = await ask<Claim>(`${api}/reviews:claim`, "POST", claim);
  const id = items[0]?.id ?? assert.fail("nothing to claim");
  const detail = await ask<{ context: { text: string }[] }>(`${api}/reviews/${id}`);
  assert.equal(detail.context[0]?.text, "well, hello");
  const decision = { moderator: "grace", decision: "remove" };
  const decided = await ask<ReviewItem>(`${api}/reviews/${id}:decide`, "POST", decision);
  await end(first.child, "SIGKILL");

  const second = await serve(t, folder);
  const again = `${second.url}${TENANT}`;
  assert.deepEqual((await ask<ReviewPage>(`${again}/reviews?state=decided`)).items, [decided]);
  assert.equal((await ask<ReviewPage>(`${again}/reviews?state=pending`)).total, 1);
  const judged = await ask<{ action: string; policy: { version: number } }>(
    `${again}/moderate`,
    "POST",
    { text: "a zorblax once more", user: "eve" },
  );
  assert.deepEqual([judged.action, judged.policy.version], ["block", 1]);

  const third = await serve(t, folder);
  const beside = `${third.url}${TENANT}`;
  await ask(`${beside}/moderate`, "POST", { text: "hello" });
  const refused = await fetch(`${beside}/reviews`);
  const { code, detail: why } = (await refused.json()) as { code: string; detail: string };
  assert.deepEqual([refused.status, code], [503, "storeUnavailable"]);
  assert.match(why, /in use by another process/);
  await end(second.child, "SIGTERM");
  assert.equal(second.child.exitCode, 0);
});
