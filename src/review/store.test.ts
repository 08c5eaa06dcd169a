import { PAST_VERDICTS_MAX, POLICY_VERSIONS_MAX } from "#model/limits.ts";
import type { Turn } from "#model/moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import type { ReviewItem } from "#model/review.ts";
import { flaggedVerdict, START_MS, tempFolder, verdictId } from "#testing/reviewing.ts";
import { Random } from "#std/random.ts";
import { SEED } from "#testing/seed.ts";
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { IN_MEMORY, isNewer, StoreError } from "./database.ts";
import { MIGRATIONS } from "./migrations.ts";
import { type AnswerOf, type CommandName, type RequestOf, ReviewStore } from "./store.ts";

const LEASE_MS = 60_000;

function open(path = IN_MEMORY) {
  const store = new ReviewStore(path);
  /** Runs one command; a refusal is its code. */
  const run = <Name extends CommandName>(name: Name, request: RequestOf<Name>): AnswerOf<Name> => {
    const [reply] = store.runAll([{ name, request } as never]);
    assert(reply !== undefined && "answer" in reply, JSON.stringify(reply));
    return reply.answer as AnswerOf<Name>;
  };
  const refused = <Name extends CommandName>(name: Name, request: RequestOf<Name>): string => {
    const [reply] = store.runAll([{ name, request } as never]);
    assert(reply !== undefined && "problem" in reply, JSON.stringify(reply));
    return reply.problem.code;
  };
  /** Null: texts are not kept. */
  const flag = (number: number, more = {}, said: string | null = `text ${number}`): void => {
    const text = said ?? undefined;
    run("takeFlagged", { verdict: flaggedVerdict(number, more), text, context: [] });
  };
  const claim = (moderator: string, nowMs: number, count = 1): readonly ReviewItem[] =>
    run("claim", { tenant: "acme", moderator, count, leaseMs: LEASE_MS, filter: {}, nowMs });
  const decide = (
    id: string,
    moderator: string,
    decision: "approve" | "remove" | "escalate" | "ignore",
    nowMs: number,
  ): ReviewItem => run("decide", { tenant: "acme", id, moderator, decision, nowMs });
  const list = (nowMs = START_MS): readonly ReviewItem[] =>
    run("list", { tenant: "acme", filter: {}, limit: 100, nowMs }).items;
  return { store, run, refused, flag, claim, decide, list };
}

test("queue: the worst first, then the oldest; a claim is one person's until it ends", (t) => {
  const { store, flag, claim, refused, run, list } = open();
  t.after(() => store.close());
  flag(1, { severity: 50 });
  flag(2, { severity: 90 });
  flag(3, { severity: 90 });
  assert.deepEqual(
    list().map(({ verdictId: id }) => id),
    [verdictId(2), verdictId(3), verdictId(1)],
  );
  const [first] = claim("grace", START_MS);
  assert.equal(first?.verdictId, verdictId(2));
  assert.deepEqual(first?.claim, { moderator: "grace", endsAtMs: START_MS + LEASE_MS });
  const [second] = claim("alan", START_MS);
  assert.equal(second?.verdictId, verdictId(3));
  const ofAlan = { tenant: "acme", id: first.id, moderator: "alan", nowMs: START_MS + 1 };
  assert.equal(refused("claimOne", { ...ofAlan, leaseMs: LEASE_MS }), "reviewTaken");
  assert.equal(refused("release", ofAlan), "reviewTaken");
  assert.equal(refused("decide", { ...ofAlan, decision: "remove" }), "reviewTaken");
  // Renewed shortly before its end, it ends later.
  const renewedMs = START_MS + LEASE_MS - 1;
  const mine = { tenant: "acme", id: first.id, moderator: "grace", nowMs: renewedMs };
  const renewed = run("claimOne", { ...mine, leaseMs: LEASE_MS });
  assert.equal(renewed.claim?.endsAtMs, renewedMs + LEASE_MS);
  assert.deepEqual(
    claim("alan", START_MS + LEASE_MS, 5).map(({ verdictId: id }) => id),
    [verdictId(3), verdictId(1)],
    "Alan's own claim ended; Grace's did not",
  );
  const endedMs = renewedMs + LEASE_MS;
  assert.equal(refused("decide", { ...mine, decision: "remove", nowMs: endedMs }), "reviewState");
  assert.equal(claim("carol", endedMs)[0]?.id, first.id);
});

test("queue: nobody is given what another has, whatever the order of claims", (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const { store, flag, claim, run, decide } = open();
  t.after(() => store.close());
  const random = new Random(SEED);
  for (let number = 1; number <= 60; number++) flag(number, { severity: random.below(100) });
  const people = ["grace", "alan", "carol", "dora"];
  const held = new Map<string, { who: string; endsMs: number }>();
  let decidedCount = 0;
  let nowMs = START_MS + 100;
  for (let step = 0; step < 600; step++) {
    nowMs += random.below(LEASE_MS / 8);
    for (const [id, { endsMs }] of held) if (endsMs <= nowMs) held.delete(id);
    const who = people[random.below(people.length)]!;
    if (random.chance(1, 2)) {
      for (const item of claim(who, nowMs, 1 + random.below(4))) {
        assert.ok(!held.has(item.id), `step ${step}: ${item.id} was handed out twice`);
        held.set(item.id, { who, endsMs: nowMs + LEASE_MS });
      }
      continue;
    }
    const mine = [...held].filter(([, holder]) => holder.who === who).map(([id]) => id);
    const id = mine[random.below(Math.max(1, mine.length))];
    if (id === undefined) continue;
    held.delete(id);
    if (random.chance(1, 3)) run("release", { tenant: "acme", id, moderator: who, nowMs });
    else {
      decide(id, who, random.chance(1, 2) ? "remove" : "approve", nowMs);
      decidedCount += 1;
    }
  }
  const { states } = run("stats", { tenant: "acme", nowMs });
  assert.equal(states.decided, decidedCount);
  assert.equal(states.decided + states.pending + states.claimed, 60);
});

test("queue: an appeal goes to somebody else, and the label follows the decision", (t) => {
  const { store, flag, claim, decide, run, refused } = open();
  t.after(() => store.close());
  flag(1);
  flag(2);
  const [item] = claim("grace", START_MS);
  const { id } = item!;
  const removed = decide(id, "grace", "remove", START_MS + 1);
  assert.equal(removed.state, "decided");
  const again = { tenant: "acme", id, moderator: "grace", nowMs: START_MS + 2 } as const;
  assert.deepEqual(run("decide", { ...again, decision: "remove" }), removed, "sent twice");
  assert.equal(refused("decide", { ...again, decision: "approve" }), "reviewState");
  const before = run("stats", { tenant: "acme", nowMs: START_MS });
  assert.deepEqual(before.precision, {
    insult: { removedCount: 1, approvedCount: 0, precision: 1 },
  });
  const appeal = { tenant: "acme", id, by: "user1", reason: "a joke", nowMs: START_MS + 3 };
  assert.equal(run("appeal", appeal).state, "appealed");
  assert.equal(refused("appeal", appeal), "reviewState");
  assert.equal(refused("claimOne", { ...again, leaseMs: 1 }), "reviewTaken");
  assert.deepEqual(
    claim("grace", START_MS + 4, 5).map((each) => each.verdictId),
    [verdictId(2)],
  );
  const [appealed] = claim("alan", START_MS + 5);
  assert.equal(appealed?.id, id);
  const approved = decide(id, "alan", "approve", START_MS + 6);
  assert.equal(approved.decision?.moderator, "alan");
  const { precision, overturnedCount } = run("stats", { tenant: "acme", nowMs: START_MS });
  assert.equal(overturnedCount, 1);
  assert.deepEqual(precision, { insult: { removedCount: 0, approvedCount: 1, precision: 0 } });
  const labels = run("labels", { tenant: "acme", limit: 10, after: 0 });
  assert.deepEqual(
    labels.map(({ itemId, value, score, text }) => ({ itemId, value, score, text })),
    [{ itemId: id, value: 0, score: 0.9, text: "text 1" }],
  );
  const detail = run("detail", { tenant: "acme", id, nowMs: START_MS + 7 });
  assert.deepEqual(
    detail.audit.map(({ action, actor }) => [action, actor]),
    [
      ["queued", undefined],
      ["claimed", "grace"],
      ["decided", "grace"],
      ["appealed", undefined],
      ["claimed", "alan"],
      ["decided", "alan"],
    ],
  );
  assert.deepEqual(
    detail.decisions.map(({ decision }) => decision),
    ["remove", "approve"],
  );
});

test("queue: what is escalated waits for somebody else, and is not decided", (t) => {
  const { store, flag, claim, decide } = open();
  t.after(() => store.close());
  flag(1);
  const [item] = claim("grace", START_MS);
  const escalated = decide(item!.id, "grace", "escalate", START_MS + 1);
  assert.deepEqual([escalated.state, escalated.escalated], ["pending", true]);
  assert.equal(escalated.decision, undefined);
  assert.deepEqual(claim("grace", START_MS + 2), []);
  assert.equal(claim("alan", START_MS + 2)[0]?.id, item!.id);
});

test("queue: a version that is not the item's any more changes nothing", (t) => {
  const { store, flag, claim, refused, run } = open();
  t.after(() => store.close());
  flag(1);
  const [item] = claim("grace", START_MS);
  const { id, version } = item!;
  const stale = { tenant: "acme", id, moderator: "grace", nowMs: START_MS + 1 };
  const decision = "remove" as const;
  assert.equal(refused("decide", { ...stale, decision, version: version - 1 }), "reviewChanged");
  assert.equal(run("decide", { ...stale, decision, version }).version, version + 1);
  assert.equal(refused("release", { ...stale, id: "r_NOTHERE" }), "reviewUnknown");
  const other = { ...stale, tenant: "other", decision };
  assert.equal(refused("decide", other), "reviewUnknown", "another tenant's item is not there");
});

test("intake: the same text of the same author is one item until it is decided", (t) => {
  const { store, flag, claim, decide, run, list } = open();
  t.after(() => store.close());
  flag(1, { user: "ada" }, "same");
  flag(2, { user: "ada", severity: 80, action: "block" }, "same");
  flag(3, { user: "bob" }, "same");
  flag(4, { user: undefined, messageId: "m9" }, null);
  flag(5, { user: undefined, messageId: "m9" }, null);
  const merged = list().map(({ user, verdictCount, severity, action }) => {
    return { user, verdictCount, severity, action };
  });
  assert.deepEqual(merged, [
    { user: "ada", verdictCount: 2, severity: 80, action: "block" },
    { user: "bob", verdictCount: 1, severity: 60, action: "flag" },
    { user: undefined, verdictCount: 2, severity: 60, action: "flag" },
  ]);
  // A verdict that is handed in again, after a batch of unknown fate, counts once.
  flag(2, { user: "ada" }, "same");
  assert.equal(list()[0]?.verdictCount, 2);
  const report = { tenant: "acme", nowMs: START_MS, verdictId: verdictId(1) };
  run("report", { ...report, reporter: "carl", reason: "rude" });
  run("report", { ...report, reporter: "carl" });
  const { item, isNew } = run("report", { ...report, reporter: "dan" });
  assert.deepEqual([item.reportCount, isNew], [2, false]);
  const [taken] = claim("grace", START_MS);
  decide(taken!.id, "grace", "remove", START_MS + 1);
  flag(6, { user: "ada" }, "same");
  assert.equal(
    list().filter(({ user }) => user === "ada").length,
    2,
    "said again later: a new one",
  );
  const foreign = run("report", { tenant: "acme", nowMs: START_MS, text: "odd", user: "eve" });
  assert.deepEqual(
    [foreign.isNew, foreign.item.action, foreign.item.text],
    [true, undefined, "odd"],
  );
});

test("list: pages by cursor hold every item once, and filters hold", (t) => {
  const { store, flag, claim, decide, run } = open();
  t.after(() => store.close());
  const random = new Random(SEED);
  for (let number = 1; number <= 57; number++) {
    flag(number, { severity: random.below(5) * 20, user: `user${number % 3}` });
  }
  const seen: ReviewItem[] = [];
  for (let cursor: string | undefined; ;) {
    const [severity, seq] = (cursor ?? "").split(".").map(Number);
    const after = cursor === undefined ? undefined : { severity: severity!, seq: seq! };
    const request = { tenant: "acme", filter: {}, limit: 10, after, nowMs: START_MS };
    const { items, nextCursor, total } = run("list", request);
    assert.equal(total, 57);
    seen.push(...items);
    cursor = nextCursor;
    if (cursor === undefined) break;
  }
  assert.equal(new Set(seen.map(({ id }) => id)).size, 57, `SEED=${SEED}`);
  const severities = seen.map(({ severity }) => severity);
  assert.deepEqual(
    severities,
    severities.toSorted((a, b) => b - a),
  );
  const [item] = claim("grace", START_MS);
  decide(item!.id, "grace", "remove", START_MS + 1);
  const count = (filter: object): number =>
    run("list", { tenant: "acme", filter, limit: 1, nowMs: START_MS + 1 }).total;
  assert.equal(count({ states: ["decided"] }), 1);
  assert.equal(count({ states: ["pending", "claimed"] }), 56);
  assert.equal(count({ user: "user1" }), 19);
  assert.equal(count({ category: "insult" }), 57);
  assert.equal(count({ category: "threat" }), 0);
  assert.equal(count({ moderator: "grace", decision: "remove" }), 1);
  assert.equal(count({ severityMin: 80 }), severities.filter((each) => each >= 80).length);
});

test("store: one refused command harms none of its batch", (t) => {
  const { store, list } = open();
  t.after(() => store.close());
  const entry = (number: number) => {
    const verdict = flaggedVerdict(number);
    return { name: "takeFlagged", request: { verdict, text: "t", context: [] } } as const;
  };
  const lost = { tenant: "acme", id: "r_X", moderator: "grace", nowMs: START_MS };
  const broken = { ...entry(2), request: { ...entry(2).request, verdict: {} } } as never;
  const replies = store.runAll([entry(1), { name: "release", request: lost }, broken, entry(3)]);
  assert.deepEqual(
    replies.map((reply) => Object.keys(reply)[0]),
    ["answer", "problem", "failure", "answer"],
  );
  assert.equal(list().length, 2);
});

test("store: what was committed is there after the file is opened again", (t) => {
  const path = join(tempFolder(t), "moderation.db");
  const first = open(path);
  first.flag(1);
  const record = { version: 3, setAtMs: 5, note: "why", policy: POLICY_DEFAULT };
  first.run("putPolicy", { tenant: "acme", record });
  first.store.close();
  const second = open(path);
  t.after(() => second.store.close());
  assert.equal(second.list().length, 1);
  assert.deepEqual(second.run("policyHeads", {}), [{ tenant: "acme", lastVersion: 3, record }]);
  second.run("resetPolicy", { tenant: "acme", nowMs: 6 });
  assert.deepEqual(second.run("policyHeads", {}), [
    { tenant: "acme", lastVersion: 3, record: undefined },
  ]);
  assert.deepEqual(second.run("policyVersions", { tenant: "acme" }), [record]);
});

test("store: a damaged file, a newer one and one in use are refused with a way out", (t) => {
  const folder = tempFolder(t);
  const refusal = (name: string): string => {
    try {
      new ReviewStore(join(folder, name)).close();
    } catch (error) {
      assert(error instanceof StoreError, String(error));
      return error.message;
    }
    return "opened";
  };
  const junk = Buffer.alloc(4_096, 7);
  writeFileSync(join(folder, "junk.db"), junk);
  assert.match(refusal("junk.db"), /is damaged .* Put a copy back/);
  assert.deepEqual(readFileSync(join(folder, "junk.db")), junk, "it was not touched");
  // A page in the middle is overwritten: the header is fine, the content is not.
  const { store, flag } = open(join(folder, "torn.db"));
  for (let number = 1; number <= 200; number++) flag(number);
  store.close();
  const torn = readFileSync(join(folder, "torn.db"));
  torn.fill(0xff, 4_096 * 3, 4_096 * 12);
  writeFileSync(join(folder, "torn.db"), torn);
  assert.match(refusal("torn.db"), /is damaged/);
  const newer = new DatabaseSync(join(folder, "newer.db"));
  newer.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
  newer.close();
  assert.match(refusal("newer.db"), /written by a newer NexusCore/);
  const ofNewer = ["newer.db", "junk.db", "torn.db", "none.db"];
  const found = ofNewer.filter((name) => isNewer(join(folder, name)));
  assert.deepEqual(found, ["newer.db"]);
  const holder = new ReviewStore(join(folder, "held.db"));
  assert.match(refusal("held.db"), /in use by another process/);
  holder.close();
  assert.equal(refusal("held.db"), "opened");
  writeFileSync(join(folder, "file"), "");
  assert.match(refusal(join("file", "x.db")), /cannot be written/);
});

test("history: the newest thousand of a tenant, the newest first", (t) => {
  const { store, run } = open();
  t.after(() => store.close());
  const count = PAST_VERDICTS_MAX + 600;
  const commands = Array.from({ length: count }, (_, number) => {
    const { id, asOfMs, scores, thresholds, proposedAction } = flaggedVerdict(number);
    const past = { id, asOfMs, scores, thresholds, proposedAction, listEntry: undefined };
    return { name: "takeRecent", request: { tenant: "a", past: { ...past, policyVersion: 0 } } };
  });
  store.runAll(commands as never);
  const recent = run("recent", { tenant: "a", limit: 5_000 });
  assert.equal(recent[0]?.id, verdictId(count - 1));
  assert.ok(recent.length >= PAST_VERDICTS_MAX && recent.length <= PAST_VERDICTS_MAX + 256);
  assert.deepEqual(run("recent", { tenant: "b", limit: 10 }), []);
});

test("policies: only so many versions are kept", (t) => {
  const { store, run } = open();
  t.after(() => store.close());
  for (let version = 1; version <= POLICY_VERSIONS_MAX + 5; version++) {
    const record = { version, setAtMs: 5, note: undefined, policy: POLICY_DEFAULT };
    run("putPolicy", { tenant: "acme", record });
  }
  const versions = run("policyVersions", { tenant: "acme" }).map(({ version }) => version);
  assert.deepEqual(
    [versions.length, versions[0], versions.at(-1)],
    [POLICY_VERSIONS_MAX, POLICY_VERSIONS_MAX + 5, 6],
  );
});

test("audit: no line can be changed or deleted, and pages go back", (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "audit.db");
  const { store, flag, run } = open(path);
  for (let number = 1; number <= 7; number++) flag(number);
  const first = run("audit", { tenant: "acme", limit: 4 });
  const second = run("audit", { tenant: "acme", limit: 4, before: first.at(-1)!.seq });
  assert.deepEqual(
    [...first, ...second].map(({ seq }) => seq),
    [7, 6, 5, 4, 3, 2, 1],
  );
  assert.ok(!JSON.stringify([...first, ...second]).includes("user1"), "no author is named");
  store.close();
  const raw = new DatabaseSync(path);
  t.after(() => raw.close());
  assert.throws(() => raw.exec("UPDATE audit SET actor = 'x'"), /append only/);
  assert.throws(() => raw.exec("DELETE FROM audit"), /append only/);
});

test("deletion: an author's data is gone, from others' contexts and the file", (t) => {
  const folder = tempFolder(t);
  const { store, run, claim, decide, list } = open(join(folder, "moderation.db"));
  const turn = (user: string, text: string): Turn => {
    const zero = { id: undefined, role: undefined, tsMs: 1, toxicity: 0, action: "allow" as const };
    return { ...zero, user, text };
  };
  const put = (number: number, user: string, text: string, context: Turn[]): void => {
    const verdict = flaggedVerdict(number, { user, conversation: "c" });
    run("takeFlagged", { verdict, text, context });
  };
  put(1, "ada", "xyzzy-own", []);
  put(2, "bob", "plugh", [turn("ada", "xyzzy-context"), turn("bob", "before")]);
  const [item] = claim("grace", START_MS);
  decide(item!.id, "grace", "remove", START_MS + 1);
  const scope = { column: "author", value: "ada" } as const;
  const counts = run("erase", { tenant: "acme", scope, nowMs: START_MS + 2 });
  assert.deepEqual(counts, { verdictCount: 1, itemCount: 1, labelCount: 1 });
  const [left] = list();
  const { context } = run("detail", { tenant: "acme", id: left!.id, nowMs: START_MS + 3 });
  assert.deepEqual(
    context.map(({ text }) => text),
    ["before"],
  );
  assert.equal(run("author", { tenant: "acme", user: "ada" }).flaggedCount, 0);
  assert.deepEqual(run("labels", { tenant: "acme", limit: 9, after: 0 }), []);
  for (const file of readdirSync(folder)) {
    assert.ok(!readFileSync(join(folder, file), "latin1").includes("xyzzy"), file);
  }
  store.close();
  const again = open(join(folder, "moderation.db"));
  t.after(() => again.store.close());
  const conversation = { column: "conversation", value: "c" } as const;
  again.run("erase", { tenant: "acme", scope: conversation, nowMs: START_MS });
  assert.deepEqual(again.list(), []);
});

test("retention: what is decided, judged or logged too long ago goes; what waits stays", (t) => {
  const { store, run, flag, claim, decide, list } = open();
  t.after(() => store.close());
  const dayMs = 24 * 3_600_000;
  run("setRetention", {
    tenant: "acme",
    retention: { verdicts: 1, decided: 2, audit: 3 },
    nowMs: START_MS,
  });
  flag(1, { severity: 90 });
  flag(2);
  const [item] = claim("grace", START_MS);
  decide(item!.id, "grace", "remove", START_MS);
  const sweep = (days: number): void => {
    assert.equal(run("sweep", { nowMs: START_MS + days * dayMs + 1_000 }), false);
  };
  sweep(1);
  assert.equal(list().length, 2);
  sweep(2);
  assert.deepEqual(
    list().map(({ verdictId: id }) => id),
    [verdictId(2)],
    "the decided one is gone",
  );
  assert.deepEqual(run("labels", { tenant: "acme", limit: 9, after: 0 }), []);
  assert.ok(run("audit", { tenant: "acme", limit: 9 }).length > 0);
  sweep(3);
  assert.deepEqual(run("audit", { tenant: "acme", limit: 9 }), []);
  const [left] = list();
  const { verdict } = run("detail", { tenant: "acme", id: left!.id, nowMs: START_MS });
  assert.equal(verdict?.id, verdictId(2), "an item that waits keeps its verdict");
});

test("store: a file of the version before is brought to this one, with what is in it", (t) => {
  const path = join(tempFolder(t), "moderation.db");
  const before = new DatabaseSync(path);
  before.exec(`${MIGRATIONS[0]!}; PRAGMA user_version = 1;
    INSERT INTO items (tenant, id, version, state, waits_as, escalated, severity, categories,
      context, verdict_count, report_count, appeal_count, created_ms, updated_ms)
    VALUES ('acme', 'r_OLD', 1, 'pending', 'pending', 0, 50, '[]', '[]', 0, 1, 0, 1, 1)`);
  before.close();
  const { store, list, flag, run } = open(path);
  t.after(() => store.close());
  flag(1, { degraded: true });
  assert.deepEqual(
    list().map(({ id, degraded }) => [id, degraded]),
    [
      [`r_${verdictId(1).slice(2)}`, true],
      ["r_OLD", false],
    ],
  );
  assert.equal(run("stats", { tenant: "acme", nowMs: START_MS }).notReviewedCount, 1);
});
