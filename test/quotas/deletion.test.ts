// A tenant that is deleted over HTTP, with the process killed at any moment of it: then no file of
// the data folder has anything of it, and its neighbours are all there.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "#std/random.ts";
import { SEED } from "#testing/seed.ts";
import { type Reply, Served } from "../durability/served.ts";

/** Words, since texts are kept as words, too; and not what any list or model knows. */
const CANARIES = ["quuxbarzel", "vlornetix"];
const NEIGHBOURS = Array.from({ length: 5 }, (_, n) => `neighbour-${n}`);
const LIVES = Number(process.env.DELETION_LIVES ?? 2);
const DONE_MS_MAX = 60_000;

type Deletion = { readonly state: string; readonly remains: readonly string[] };

test(
  `a deletion outlives kills, and nothing is left of the tenant (SEED=${SEED})`,
  {
    timeout: 240_000,
  },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "nexuscore-deletion-"));
    const random = new Random(SEED);
    let served = await Served.start({ folder, shardCount: 2 });
    t.after(async () => {
      await served.kill();
      rmSync(folder, { recursive: true, force: true });
    });
    await fill(served);
    await settled(folder);
    for (const canary of CANARIES)
      assert.ok(filesWith(folder, canary).length > 0, `${canary} is kept`);
    const begun = await served.ask<Deletion>("/v1/tenants/gone", "DELETE");
    assert.deepEqual([begun.status, begun.body.state], [202, "deleting"]);
    for (let life = 0; life < LIVES; life++) {
      await sleep(random.below(40));
      await served.kill();
      served = await Served.start({ folder, shardCount: 1 + random.below(2) });
      const { status } = await served.ask("/v1/tenants/gone");
      assert.equal(status, 404, "it does not come back");
    }
    await untilDone(served);
    for (const canary of CANARIES) assert.deepEqual(filesWith(folder, canary), [], canary);
    for (const name of NEIGHBOURS) await assertThere(served, name);
    assert.equal((await served.send("gone", [{ text: "a new life" }])).status, 202);
    const fresh = await served.get<{ eventCount: number }>("/v1/tenants/gone");
    assert.equal(fresh.eventCount, 1);
    const { body: policy } = await served.ask<{ version: number }>("/v1/tenants/gone/policy");
    assert.equal(policy.version, 0);
    const reviews = await served.get<{ items: unknown[] }>("/v1/tenants/gone/reviews");
    assert.deepEqual(reviews.items, []);
  },
);

async function fill(served: Served): Promise<void> {
  for (const name of NEIGHBOURS) {
    const sent = await served.send(name, [{ text: "hello there" }, { text: "and again" }]);
    assert.equal(sent.status, 202);
  }
  const events = CANARIES.flatMap((canary) => [
    { id: `id-${canary}`, user: `user-${canary}`, text: `the ${canary} was here, and ${canary}` },
    { conversation: `talk-${canary}`, text: `who has seen the ${canary}?`, terms: [canary] },
  ]);
  assert.equal((await served.send("gone", events)).status, 202);
  for (const canary of CANARIES) {
    // What is blocked is kept in the review queue, with its text.
    const message = { text: `I will kill you, ${canary}, you idiot`, conversation: canary };
    const judged = await served.ask("/v1/tenants/gone/moderate", "POST", message);
    assert.equal(judged.status, 200, JSON.stringify(judged.body));
  }
  const quota = await served.ask("/v1/tenants/gone/quota", "PUT", { eventsPerSecond: 500 });
  assert.equal(quota.status, 200);
}

async function assertThere(served: Served, name: string): Promise<void> {
  const { eventCount } = await served.get<{ eventCount: number }>(`/v1/tenants/${name}`);
  assert.equal(eventCount, 2, name);
}

async function untilDone(served: Served): Promise<void> {
  const endMs = performance.now() + DONE_MS_MAX;
  for (;;) {
    const { body }: Reply<Deletion> = await served.ask<Deletion>("/v1/tenants/gone/deletion");
    if (body.state === "done") return;
    assert.ok(performance.now() < endMs, `${JSON.stringify(body)} ${served.words}`);
    await sleep(100);
  }
}

/** The review queue is written a moment after the answer. */
async function settled(folder: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const names = filesWith(folder, CANARIES[0]!).join();
    if (names.includes("moderation.db") && names.includes("state.db")) return;
    await sleep(50);
  }
  assert.fail(`the canary is in ${filesWith(folder, CANARIES[0]!).join()} alone`);
}

/** In any of the encodings that we write texts in. */
function filesWith(folder: string, text: string): readonly string[] {
  const forms = [Buffer.from(text), Buffer.from(text, "utf16le"), Buffer.from(text.toUpperCase())];
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => {
    const path = join(folder, name);
    if (!statSync(path).isFile()) return false;
    const bytes = readFileSync(path);
    return forms.some((form) => bytes.includes(form));
  });
}
