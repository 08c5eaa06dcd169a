// A language model that mostly says nothing, and a server that is killed, or asked to stop, while
// messages wait for it: each message that was accepted is answered or listed after the next start,
// and none twice.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { NotReviewed, NotReviewedPage, ReviewItem, ReviewPage } from "#model/review.ts";
import { StandInUpstream } from "#stand-in/stand-in-upstream.ts";
import { Random } from "#std/random.ts";
import { SEED } from "#testing/seed.ts";
import { Served } from "../durability/served.ts";

const TENANTS = ["acme", "birch", "cedar"];
/** On the tenants' list of what is flagged. */
const FLAGGED = "zorblax";
const LIVES = 3;
const CLIENTS = 6;
const PAGE = 200;

/** What the clients know of a message; undefined: nobody answered. */
type Sent = { readonly tenant: string; readonly isFlagged: boolean; answer: Answer | undefined };
type Answer = "taken" | "judged";

async function serve(t: TestContext, folder: string, upstream: string): Promise<Served> {
  const environment = { NEXUSCORE_LLM_BASE_URL: upstream, NEXUSCORE_LLM_MODEL: "stand-in" };
  const served = await Served.start({ folder, shardCount: 1, environment });
  t.after(async () => served.kill());
  return served;
}

async function ask<Body>(url: string, method = "GET", body?: object): Promise<Body> {
  const headers = { "content-type": "application/json" };
  const rest = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  const response = await fetch(url, { method, ...rest });
  assert.ok(response.ok, `${method} ${url}: ${await response.clone().text()}`);
  return (await response.json()) as Body;
}

/** Clients that send until the server is gone; what became of each message is in `sent`. */
class Crowd {
  readonly sent = new Map<string, Sent>();
  /** Messages that waited in the engine before one was taken that was sent after them. */
  readonly surelyWaiting = new Set<string>();
  takenCount = 0;
  /** Of answers that are not as they should be. */
  readonly mistakes: string[] = [];
  readonly #api: string;
  readonly #life: number;
  readonly #random: Random;
  readonly #upstream: StandInUpstream;
  #number = 0;
  #isOver = false;

  constructor(api: string, life: number, upstream: StandInUpstream) {
    this.#api = api;
    this.#life = life;
    this.#random = new Random(SEED + life);
    this.#upstream = upstream;
  }

  /** Sends from several connections at once. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, async () => this.#client()));
  }

  end(): void {
    this.#isOver = true;
  }

  async #client(): Promise<void> {
    while (!this.#isOver) {
      const tenant = TENANTS[this.#random.below(TENANTS.length)]!;
      const messages = Array.from({ length: 1 + this.#random.below(4) }, () => this.#next(tenant));
      try {
        if (this.#random.chance(1, 2)) await this.#sendEvents(tenant, messages);
        // Its answer may never come, and the client has more to say.
        else void this.#moderate(tenant, messages).catch(() => undefined);
      } catch {
        return;
      }
      await sleep(this.#random.below(20));
    }
  }

  #next(tenant: string): object {
    const id = `m-${this.#life}-${this.#number}-m`;
    this.#number += 1;
    const isFlagged = this.#random.chance(1, 3);
    this.sent.set(id, { tenant, isFlagged, answer: undefined });
    return { id, user: "ada", text: `${isFlagged ? FLAGGED : "well"}, said as ${id}` };
  }

  async #sendEvents(tenant: string, events: readonly object[]): Promise<void> {
    // What the upstream has been asked is before these events, and so is what is kept of it.
    const asked = idsSeen(this.#upstream);
    const url = `${this.#api}/${tenant}/events`;
    type Taken = { accepted: number };
    const { accepted } = await ask<Taken>(url, "POST", events);
    if (accepted !== events.length) this.mistakes.push(`${accepted} of ${events.length} taken`);
    this.#answered(events, "taken");
    for (const id of asked) if (this.sent.has(id)) this.surelyWaiting.add(id);
    this.takenCount += accepted;
  }

  async #moderate(tenant: string, messages: readonly object[]): Promise<void> {
    const { verdicts } = await ask<{ verdicts: readonly object[] }>(
      `${this.#api}/${tenant}/moderate`,
      "POST",
      { messages },
    );
    if (verdicts.length !== messages.length) this.mistakes.push(`${verdicts.length} verdicts`);
    this.#answered(messages, "judged");
  }

  #answered(messages: readonly object[], answer: Answer): void {
    for (const message of messages) this.sent.get((message as { id: string }).id)!.answer = answer;
  }
}

/** Ids in the prompts that the upstream was sent; with `answered`: and that it answered. */
function idsSeen(upstream: StandInUpstream, isAnswered = false): Set<string> {
  const ids = new Set<string>();
  for (const { body, fault } of upstream.seen) {
    if (isAnswered && fault !== undefined) continue;
    for (const { content } of body.messages) {
      for (const [id] of content.matchAll(/m-\d+-\d+-m/g)) ids.add(id);
    }
  }
  return ids;
}

/** All of a tenant that is listed or in the queue. */
async function found(api: string) {
  const messages: NotReviewed[] = [];
  for (let before = ""; ;) {
    const url = `${api}/reviews:notReviewed?limit=${PAGE}${before}`;
    const page = await ask<NotReviewedPage>(url);
    messages.push(...page.messages);
    if (page.nextBefore === undefined) break;
    before = `&before=${page.nextBefore}`;
  }
  const items: ReviewItem[] = [];
  for (let cursor = ""; ;) {
    const page = await ask<ReviewPage>(`${api}/reviews?limit=${PAGE}${cursor}`);
    items.push(...page.items);
    if (page.nextCursor === undefined) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  return { messages, items };
}

test("a crash while a language model is asked forgets no message, lists none twice", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const random = new Random(SEED);
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-llm-crash-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const upstream = await StandInUpstream.start({ seed: SEED });
  t.after(async () => upstream.stop());
  const sent = new Map<string, Sent>();
  const surelyWaiting = new Set<string>();
  for (let life = 0; life <= LIVES; life++) {
    // At first it never answers; later some are answered while others wait.
    const stalled = life === 0 ? 1 : 0.7;
    upstream.plan = { latency: { medianMs: 20, spread: 0.5 }, faults: { stalled } };
    const served = await serve(t, folder, upstream.baseUrl);
    const api = `${served.url}/v1/tenants`;
    await check(t, { api, sent, surelyWaiting, upstream });
    if (life === LIVES) {
      await served.kill();
      break;
    }
    if (life === 0) {
      for (const tenant of TENANTS) {
        await ask(`${api}/${tenant}/policy`, "PUT", {
          moderateEvents: true,
          blockList: [{ term: FLAGGED, action: "flag" }],
          consult: { mode: "all", waitMsMax: 60_000 },
        });
      }
    }
    const crowd = new Crowd(api, life, upstream);
    const running = crowd.run();
    const takenCount = 20 + random.below(60);
    while (crowd.takenCount < takenCount) await sleep(1 + random.below(10));
    // The last of them is asked to stop, and forgets no more than those that are killed.
    if (life === LIVES - 1) await served.stop();
    else await served.kill();
    crowd.end();
    await running;
    assert.deepEqual(crowd.mistakes, []);
    for (const [id, message] of crowd.sent) sent.set(id, message);
    for (const id of crowd.surelyWaiting) surelyWaiting.add(id);
  }
});

async function check(
  t: TestContext,
  {
    api,
    sent,
    surelyWaiting,
    upstream,
  }: {
    api: string;
    sent: ReadonlyMap<string, Sent>;
    surelyWaiting: ReadonlySet<string>;
    upstream: StandInUpstream;
  },
): Promise<void> {
  const answered = idsSeen(upstream, true);
  const listed = new Map<string, NotReviewed>();
  const queued = new Map<string, ReviewItem>();
  for (const tenant of TENANTS) {
    const { messages, items } = await found(`${api}/${tenant}`);
    for (const message of messages) {
      const id = message.verdict?.messageId ?? assert.fail("a message without its verdict");
      assert.ok(!listed.has(id), `${id} is listed twice, SEED=${SEED}`);
      assert.equal(message.verdict?.degraded, true);
      assert.equal(sent.get(id)?.tenant, tenant);
      assert.ok(message.text?.includes(id));
      listed.set(id, message);
    }
    for (const item of items) {
      const id = item.messageId ?? assert.fail("an item without its message");
      assert.ok(!queued.has(id) && item.verdictCount === 1, `${id} is queued twice, SEED=${SEED}`);
      assert.equal(item.degraded, listed.has(id), `${id}, SEED=${SEED}`);
      queued.set(id, item);
    }
  }
  let interruptedCount = 0;
  for (const [id, { answer, isFlagged }] of sent) {
    const message = listed.get(id);
    if (message?.outcome === "interrupted") {
      interruptedCount += 1;
      assert.equal(queued.has(id), isFlagged, `${id}, SEED=${SEED}`);
    }
    const isAccepted = answer !== undefined || surelyWaiting.has(id);
    if (!isAccepted || answer === "judged") continue;
    // An event that the upstream found harmless leaves nothing behind; who asked for a verdict and
    // was not answered finds it.
    const isDone = answer === "taken" && answered.has(id);
    const isFound = message !== undefined || queued.has(id);
    assert.ok(isFound || isDone, `${id} (${answer ?? "waiting"}) was forgotten, SEED=${SEED}`);
  }
  const counts = { sent: sent.size, surelyWaiting: surelyWaiting.size, interruptedCount };
  t.diagnostic(JSON.stringify({ ...counts, listed: listed.size, queued: queued.size }));
  if (sent.size === 0) return;
  assert.ok(interruptedCount > 0, "nothing waited when it was killed");
  assert.ok(surelyWaiting.size > 0);
}
