// Verdicts that wait for an upstream, between the shards and whoever asked: what is told when, and
// that each is told once, whatever comes of the review.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Opinion } from "#model/consultation.ts";
import { JUDGE_SLICE_COUNT_MAX, REVIEWS_OPEN_MAX } from "#model/limits.ts";
import { CATEGORIES, type ModerationRequest, type VerdictReport } from "#model/moderation.ts";
import type { ModerationOutcome, PendingReview, ReviewEnd } from "#model/verdict.ts";
import type { Judged, JudgedEvent, JudgedReview } from "#shard/protocol.ts";
import type { KeepPending, VerdictsWritten } from "./door.ts";
import { Moderation } from "./moderation.ts";
import { ReviewWindow } from "./review-window.ts";
import { Reviews } from "./open-reviews.ts";

const AT_MS = 1_700_000_000_000;
const OPEN: JudgedReview = { waitMsMax: 1_000 };
const REPORT: VerdictReport = {
  action: "flag",
  proposedAction: "flag",
  flagged: 1,
  scores: CATEGORIES.map(() => 0.625),
  toxicityAlone: 0.5,
  thresholds: CATEGORIES.map(() => 0.5),
  severity: 60,
  spans: [],
  contextUsed: [],
  reason: "as it seems here",
  language: "en",
  languageSource: "given",
  languageSupport: "full",
  listEntry: undefined,
  policyVersion: 0,
  consult: true,
};
const OPINION: Opinion = {
  action: "block",
  proposedAction: "block",
  flagged: 2,
  scores: CATEGORIES.map(() => 0.75),
  severity: 90,
  reason: "as it seems there",
  applied: true,
};
const ANSWERED: ReviewEnd = {
  outcome: "answered",
  detail: undefined,
  waitMs: 7,
  opinion: OPINION,
};
const FAILED: ReviewEnd = {
  outcome: "timedOut",
  detail: "It took 1 s.",
  waitMs: 1_000,
  opinion: undefined,
};

/** The engine's moderation over shards that judge as `judged` says: a text is the verdict's id. */
function newModeration(
  t: TestContext,
  judge: (text: string) => JudgedReview | undefined,
  keepPending?: KeepPending,
  verdictsWritten?: VerdictsWritten,
  onSend?: (ids: readonly string[]) => void,
) {
  const told: string[] = [];
  const moderation = new Moderation({
    model: "here",
    upstreamModel: "there",
    shardOf: (tenant) => Number(tenant.slice(1)),
    keepPending,
    verdictsWritten,
    send: async (_tenant, _kind, body) => {
      const texts = textsOf(body);
      onSend?.(texts);
      return JSON.stringify(texts.map(judgedOf));
    },
  });
  const judgedOf = (id: string): Judged => {
    const review = judge(id);
    const report: VerdictReport = id === "fine" ? { ...REPORT, action: "allow" } : REPORT;
    return { id, asOfMs: AT_MS, report, ...(review === undefined ? {} : { review }) };
  };
  moderation.onVerdict(({ id, degraded }) => told.push(degraded ? `${id}, degraded` : id));
  const end = (id: string, ended: ReviewEnd): void => {
    moderation.endReviews(JSON.stringify([{ id, ...ended }]));
  };
  const events = (ids: readonly string[], shard = 0) => {
    const judged = ids.map((id): JudgedEvent => {
      const names = { messageId: id, conversation: undefined, user: undefined, text: `of ${id}` };
      return { ...(judgedOf(id) as JudgedEvent), tenant: `t${shard}`, ...names };
    });
    return moderation.takeEvents(shard, JSON.stringify(judged));
  };
  t.after(async () => {
    for (let shard = 0; shard < 3; shard++) moderation.loseReviews(shard);
    await moderation.told();
  });
  return { moderation, told, end, events };
}

/** The messages of a record; each text is at its end, as these have nothing behind it. */
function textsOf(body: Uint8Array): string[] {
  const bytes = Buffer.from(body);
  const texts: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32LE(at);
    texts.push(bytes.toString("latin1", end - bytes.readUInt32LE(at + 4 + 28), end));
    at = end;
  }
  return texts;
}

const messages = (...ids: string[]): ModerationRequest[] => ids.map((text) => ({ text }));

function verdictIn(outcome: ModerationOutcome | undefined) {
  assert.ok(outcome !== undefined && "verdict" in outcome);
  return outcome.verdict;
}

/** Everything that is ready has run. */
async function settled(): Promise<void> {
  for (let n = 0; n < 3; n++) await turn();
}

test("messages of a request wait beside each other, and are told together at last", async (t) => {
  const { moderation, told, end } = newModeration(t, (id) => (id === "b" ? undefined : OPEN));
  let outcomes: readonly ModerationOutcome[] | undefined;
  const asked = moderation.moderate("t0", messages("a", "b", "c")).then((all) => (outcomes = all));
  await settled();
  assert.deepEqual(told, ["b"], "nobody is asked about it");
  end("c", ANSWERED);
  await settled();
  assert.deepEqual(told, ["b"], "what is kept of it stays until it is answered");
  assert.equal(outcomes, undefined);
  end("a", FAILED);
  end("a", ANSWERED);
  await asked;
  assert.deepEqual(told, ["b", "a, degraded", "c"]);
  const [a, b, c] = outcomes!.map(verdictIn);
  assert.deepEqual([a!.id, b!.id, c!.id], ["a", "b", "c"]);
  assert.equal("upstream" in b!, false);
  assert.deepEqual([b!.action, b!.degraded], ["flag", false]);
  assert.deepEqual(c!.upstream, {
    outcome: "answered",
    detail: undefined,
    model: "there",
    waitMs: 7,
  });
  assert.deepEqual([c!.action, c!.flagged, c!.degraded, c!.severity], ["block", true, false, 90]);
  assert.deepEqual([c!.scores.insult, c!.reason, c!.model], [0.75, OPINION.reason, "here"]);
  assert.deepEqual([c!.categories.toxicity, c!.categories.severeToxicity], [false, true]);
  assert.deepEqual([a!.action, a!.degraded, a!.reason], ["flag", true, REPORT.reason]);
  assert.deepEqual(a!.upstream, {
    outcome: "timedOut",
    detail: "It took 1 s.",
    model: "there",
    waitMs: 1_000,
  });
});

test("a request keeps as many waiting as may; the rest follow as those end", async (t) => {
  const sent: number[] = [];
  const { moderation, end } = newModeration(
    t,
    () => OPEN,
    undefined,
    undefined,
    (ids) => {
      sent.push(ids.length);
    },
  );
  const ids = Array.from({ length: 150 }, (_, n) => `m${n}`);
  const asked = moderation.moderate("t0", messages(...ids));
  await settled();
  assert.deepEqual(sent, [REVIEWS_OPEN_MAX]);
  for (let n = 0; n < 15; n++) end(`m${n}`, ANSWERED);
  await settled();
  assert.deepEqual(sent, [REVIEWS_OPEN_MAX], "a few at a time are not worth it");
  end("m63", FAILED);
  await settled();
  assert.deepEqual(sent, [REVIEWS_OPEN_MAX, 16]);
  moderation.loseReviews(0);
  await settled();
  assert.deepEqual(sent, [REVIEWS_OPEN_MAX, 16, 64]);
  moderation.loseReviews(0);
  await settled();
  assert.deepEqual(sent, [REVIEWS_OPEN_MAX, 16, 64, 6]);
  moderation.loseReviews(0);
  const outcomes = await asked;
  assert.deepEqual(
    outcomes.map((outcome) => verdictIn(outcome).id),
    ids,
  );
});

test("a request is not held back for longer than a verdict may wait", async () => {
  const window = new ReviewWindow();
  const { promise, resolve } = Promise.withResolvers<void>();
  for (let n = 0; n < REVIEWS_OPEN_MAX; n++) window.add(promise, 1_000, 5_000);
  let room: number | undefined;
  const asked = window.room(() => 5_999).then((count) => (room = count));
  await settled();
  assert.equal(room, undefined);
  assert.equal(await window.room(() => 6_000), JUDGE_SLICE_COUNT_MAX);
  resolve();
  await asked;
  assert.equal(room, JUDGE_SLICE_COUNT_MAX);
});

test("a request goes on when its time is over, whether anything has ended or not", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const window = new ReviewWindow();
  const { promise, resolve } = Promise.withResolvers<void>();
  for (let n = 0; n < REVIEWS_OPEN_MAX; n++) window.add(promise, 1_000, 5_000);
  let nowMs = 5_400;
  let isOver = false;
  const asked = window.room(() => nowMs).then(() => (isOver = true));
  t.mock.timers.tick(599);
  await settled();
  assert.equal(isOver, false);
  nowMs = 6_000;
  t.mock.timers.tick(1);
  await asked;
  resolve();
});

test("a message that could not be asked about is degraded, and waits for nothing", async (t) => {
  const { moderation, told } = newModeration(t, () => ({ failure: "queueFull", detail: "64" }));
  const [outcome] = await moderation.moderate("t0", messages("a"));
  assert.deepEqual(verdictIn(outcome).upstream, {
    outcome: "queueFull",
    detail: "64",
    model: "there",
    waitMs: 0,
  });
  assert.deepEqual(told, ["a, degraded"]);
});

test("the embedded verdict is kept before its review is told, and never after", async (t) => {
  const kept: PendingReview[] = [];
  const store = Promise.withResolvers<void>();
  const { moderation, told, end } = newModeration(
    t,
    () => OPEN,
    async (pending) => {
      kept.push(...pending);
      return store.promise;
    },
  );
  const asked = moderation.moderate("t0", [{ text: "a" }, { text: "b", doNotStore: true }]);
  await settled();
  assert.deepEqual(
    kept.map(({ verdict, text, leavesTrace, atMs }) => [verdict.id, text, leavesTrace, atMs]),
    [
      ["a", "a", true, AT_MS],
      ["b", undefined, false, AT_MS],
    ],
  );
  assert.equal(kept[0]!.verdict.degraded, false);
  assert.deepEqual(kept[0]!.verdict.upstream?.model, "there", "who was asked");
  end("a", ANSWERED);
  end("b", ANSWERED);
  await settled();
  assert.deepEqual(told, [], "what is kept as pending is kept first");
  store.resolve();
  await asked;
  assert.deepEqual(told, ["a", "b"]);
});

test("events that are flagged or not reviewed wait for the store, others do not", async (t) => {
  const store = Promise.withResolvers<void>();
  let askedCount = 0;
  const { told, events } = newModeration(
    t,
    (id) => (id === "full" ? { failure: "queueFull", detail: "64" } : undefined),
    undefined,
    async () => {
      askedCount += 1;
      return store.promise;
    },
  );
  assert.equal(events(["fine"]), undefined);
  const written = events(["flagged", "full"]);
  assert.deepEqual(told, ["fine", "flagged", "full, degraded"], "they are told at once");
  let isTaken = false;
  void written?.then(() => (isTaken = true));
  await settled();
  assert.equal(isTaken, false);
  store.resolve();
  await written;
  assert.equal(askedCount, 1);
});

test("a store that keeps nothing holds no verdict up, and says so once", async (t) => {
  const warn = t.mock.method(process, "emitWarning", () => undefined);
  const { moderation, told, end, events } = newModeration(
    t,
    () => OPEN,
    async () => Promise.reject(new Error("the disk is full")),
  );
  const asked = moderation.moderate("t1", messages("a", "b"));
  await settled();
  end("a", ANSWERED);
  end("b", FAILED);
  await asked;
  await events(["c"], 2);
  end("c", ANSWERED);
  await settled();
  assert.deepEqual(told, ["a", "b, degraded", "c"]);
  assert.deepEqual(
    [0, 1, 2].map((shard) => moderation.unkeptCount(shard)),
    [0, 2, 1],
  );
  assert.equal(warn.mock.callCount(), 1);
});

test("events are told at their reviews' ends; until they are kept none is answered", async (t) => {
  const store = Promise.withResolvers<void>();
  const { told, end, events } = newModeration(
    t,
    (id) => (id.startsWith("quick") ? undefined : OPEN),
    async () => store.promise,
  );
  assert.equal(events(["quick 1"]), undefined, "nothing is to be waited for");
  const kept = events(["a", "quick 2", "b"]);
  assert.ok(kept !== undefined);
  assert.deepEqual(told, ["quick 1", "quick 2"]);
  let isKept = false;
  void kept.then(() => (isKept = true));
  end("b", ANSWERED);
  await settled();
  assert.equal(isKept, false);
  assert.deepEqual(told.slice(2), []);
  store.resolve();
  await settled();
  assert.ok(isKept);
  assert.deepEqual(told.slice(2), ["b"]);
  end("b", FAILED);
  end("a", FAILED);
  end("unheard of", FAILED);
  await settled();
  assert.deepEqual(told.slice(2), ["b", "a, degraded"]);
});

test("a shard that is gone interrupts its own reviews, and no other's", async (t) => {
  const { moderation, told, end, events } = newModeration(t, () => OPEN);
  const asked = moderation.moderate("t1", messages("a"));
  void events(["b"], 1);
  void events(["c"], 2);
  await settled();
  moderation.loseReviews(1);
  const [outcome] = await asked;
  assert.equal(verdictIn(outcome).upstream?.outcome, "interrupted");
  assert.deepEqual(told.toSorted(), ["a, degraded", "b, degraded"]);
  end("c", ANSWERED);
  await moderation.told();
  assert.deepEqual(told.at(-1), "c");
});

test("who has nobody to tell waits for nobody, unless it is to be kept", async (t) => {
  const moderation = new Moderation({ model: "here", shardOf: () => 0, send: async () => "[]" });
  assert.equal(moderation.takeEvents(0, "not even read"), undefined);
  const { events, end, told } = newModeration(t, () => OPEN);
  void events(["a"]);
  end("a", ANSWERED);
  await settled();
  assert.deepEqual(told, ["a"]);
});

test("a review that no shard ends is ended when it is late", async () => {
  const reviews = new Reviews();
  const ends: string[] = [];
  const open = (id: string, waitMsMax: number, nowMs: number): void => {
    void reviews.open(0, id, waitMsMax, nowMs).then(({ outcome }) => ends.push(`${id} ${outcome}`));
  };
  open("soon", 100, 5_000);
  open("later", 2_000, 5_000);
  open("ended", 100, 5_000);
  reviews.end("ended", ANSWERED);
  reviews.sweep(6_000);
  await settled();
  assert.deepEqual(ends, ["ended answered"]);
  reviews.sweep(6_500);
  await settled();
  assert.deepEqual(ends.slice(1), ["soon timedOut"]);
  reviews.sweep(9_000);
  await settled();
  assert.deepEqual(ends.slice(2), ["later timedOut"]);
  assert.equal(reviews.openCount, 0);
});
