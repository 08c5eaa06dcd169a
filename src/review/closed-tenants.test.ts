// Nothing of a tenant that is being deleted is written any more, whoever brings it, however late.
import { Problem } from "#model/problem.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { openLog } from "#observe/log.ts";
import { flaggedVerdict, START_MS } from "#testing/reviewing.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { IN_MEMORY } from "./database.ts";
import { ReviewDesk } from "./desk.ts";
import { type Command, ReviewStore } from "./store.ts";
import type { StoreMessage, StoreWorker } from "./store-thread.ts";

const NOW = { nowMs: START_MS };
const budget = { callsPerMinute: 1, tokensPerMinute: 1, microsPerDay: 1 };

/** All that writes something of a tenant which a deletion erases. */
function writesOf(tenant: string): Command[] {
  const verdict = flaggedVerdict(7, { tenant });
  const scores = { insult: 1 };
  const feedback = { tenant, text: "t", language: "en", scores, atMs: START_MS } as never;
  const row = { tenant, id: "v_9", atMs: START_MS, text: "kept" } as never;
  const webhook = {
    tenant,
    id: "ours",
    url: "https://a.example/",
    events: ["verdict.flagged"],
    enabled: true,
    secret: "whsec_x",
    rotateSecret: false,
    ...NOW,
  } as const;
  return [
    { name: "takeFlagged", request: { verdict, text: "late", context: [] } },
    { name: "takeNotReviewed", request: { verdict: { ...verdict, id: "v_8" }, text: "late" } },
    { name: "takeFeedback", request: { feedback, keepsText: true } },
    { name: "keepPending", request: { rows: [row] } },
    { name: "report", request: { tenant, ...NOW, text: "late", user: "ada" } },
    { name: "putWebhook", request: webhook },
    { name: "putPolicy", request: { tenant, record: { ...POLICY_RECORD_DEFAULT, version: 2 } } },
    { name: "putQuota", request: { tenant, ...NOW, limits: { eventsPerSecond: 1 } } },
    { name: "putLlmLimits", request: { tenant, ...NOW, limits: { budget, runningMax: 1 } } },
  ];
}

test("deletion: what comes late of a tenant leaves nothing; its neighbour's is written", (t) => {
  for (const write of writesOf("acme")) {
    const store = new ReviewStore(IN_MEMORY);
    t.after(() => store.close());
    const run = (command: Command) => store.runAll([command])[0]!;
    const knows = (tenant: string): unknown => {
      const reply = run({ name: "knowsTenant", request: { tenant } });
      return "answer" in reply && reply.answer;
    };
    run({ name: "beginDeletion", request: { tenant: "acme", ...NOW } });
    run({ name: "eraseTenant", request: { tenant: "acme" } });
    const reply = run(write);
    assert.ok(!("failure" in reply), JSON.stringify(reply));
    if ("problem" in reply) assert.equal(reply.problem.code, "tenantDeleting", write.name);
    assert.equal(knows("acme"), false, write.name);
    const other = writesOf("other").find(({ name }) => name === write.name)!;
    assert.ok("answer" in run(other), `${write.name} of another tenant`);
    assert.equal(knows("other"), true, write.name);
    run({ name: "endDeletion", request: { tenant: "acme", ...NOW } });
    assert.ok("answer" in run(write), `${write.name} after the deletion`);
    assert.equal(knows("acme"), true, `${write.name} after the deletion`);
  }
});

test("deletion: what a tenant spent of the day's money stays spent", (t) => {
  const store = new ReviewStore(IN_MEMORY);
  t.after(() => store.close());
  const run = (command: Command) => store.runAll([command])[0]!;
  const spending = [{ tenant: "acme", atMs: START_MS, spentMicros: 5 }];
  run({ name: "putLlmSpent", request: { spending } });
  run({ name: "beginDeletion", request: { tenant: "acme", ...NOW } });
  run({ name: "eraseTenant", request: { tenant: "acme" } });
  run({ name: "endDeletion", request: { tenant: "acme", ...NOW } });
  assert.deepEqual(run({ name: "llmSpent", request: {} }), { answer: spending });
  const knows = run({ name: "knowsTenant", request: { tenant: "acme" } });
  assert.deepEqual(knows, { answer: false }, "a sum makes no tenant");
  run({ name: "sweep", request: { nowMs: START_MS + 2 * 86_400_000 } });
  assert.deepEqual(run({ name: "llmSpent", request: {} }), { answer: [] });
});

/** On this thread; fails the batches that `isFailing` says. */
class FailingWorker implements StoreWorker {
  readonly #store = new ReviewStore(IN_MEMORY);
  isFailing = false;
  #listener: (message: StoreMessage) => void = () => undefined;
  #end: (reason: string) => void = () => undefined;

  post(wish: Parameters<StoreWorker["post"]>[0]): void {
    if (wish.type === "close") this.#end("closed");
    else if (this.isFailing) this.#tell({ type: "failed", reason: "the disk is full" });
    else this.#tell({ type: "replies", replies: this.#store.runAll(wish.commands) });
  }

  onMessage(listener: (message: StoreMessage) => void): void {
    this.#listener = listener;
    this.#tell({ type: "open" });
  }

  onEnd(listener: (reason: string) => void): void {
    this.#end = listener;
  }

  #tell(message: StoreMessage): void {
    queueMicrotask(() => this.#listener(message));
  }
}

test("deletion: one that could not begin costs the tenant no verdicts afterwards", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const worker = new FailingWorker();
  const desk = await ReviewDesk.open({
    path: "x",
    log: openLog("silent"),
    targets: "https",
    turns: async () => [],
    nowMs: () => START_MS,
    startWorker: () => worker,
  });
  t.after(async () => desk.close());
  worker.isFailing = true;
  await assert.rejects(desk.deletions.begin("acme"), (error: Problem) => {
    return error.code === "storeUnavailable";
  });
  worker.isFailing = false;
  t.mock.timers.tick(60_000);
  desk.takeVerdict(flaggedVerdict(1), "hello", true);
  await desk.written();
  const { total } = await desk.ask("list", { tenant: "acme", filter: {}, limit: 9, ...NOW });
  assert.equal(total, 1);
});
