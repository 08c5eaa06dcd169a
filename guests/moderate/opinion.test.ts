// When the upstream is asked about a message, and what its answer makes of the verdict: against a
// plain twin, and answer by answer.
import assert from "node:assert/strict";
import test from "node:test";
import { CONSULTATION_FAILURES, judgementBytes, type Opinion } from "#model/consultation.ts";
import { type Action, CATEGORIES, eachCategory } from "#model/moderation.ts";
import type { ModerationRequest } from "#model/moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { CONSULT_MODES, type Policy } from "#model/policy.ts";
import { Random } from "#std/random.ts";
import { compileModerator, Moderator } from "./testing/moderator.ts";
import { type About, isAsked, mergedWith } from "./testing/opinion-twin.ts";

const module = await compileModerator("stand-in");
const SEED = Number(process.env["SEED"] ?? 1);
const NOTHING = CATEGORIES.map(() => 0);
const ALL: Pick<Policy, "consult"> = { consult: { ...POLICY_DEFAULT.consult, mode: "all" } };

/** Scores of an upstream that sees nothing but this. */
const seen = (scores: Partial<Record<(typeof CATEGORIES)[number], number>>): number[] =>
  CATEGORIES.map((category) => scores[category] ?? 0);

function moderatorOf(policy?: Partial<Policy>): Moderator {
  const moderator = new Moderator(module);
  if (policy !== undefined) moderator.configure(policy, 7);
  return moderator;
}

/** Judges, asks, and tells the answer. */
function opinionOn(
  moderator: Moderator,
  request: Partial<ModerationRequest> & { readonly text: string },
  scores: readonly number[],
  reason = "",
): Opinion {
  moderator.ask(1, { tsMs: 1_000, ...request });
  return moderator.endReview(1, judgementBytes(scores, reason));
}

function consulted(text: string, policy?: Partial<Policy>, role?: string): boolean {
  return moderatorOf(policy).judge({ text, tsMs: 1_000, role }).consult;
}

test("in doubt is what scores near a threshold that is on; the edges count", () => {
  // insult: 0.65 - 0.25 to 0.65 + 0.15 by default.
  assert.deepEqual(
    ["insult39", "insult40", "insult65", "insult80", "insult81"].map((each) => consulted(each)),
    [false, true, true, true, false],
  );
  assert.equal(consulted("hello there"), false);
  assert.equal(consulted("profane60"), false, "profanity is off");
  const consult = { ...POLICY_DEFAULT.consult, below: 0, above: 0 };
  assert.equal(consulted("insult65", { consult }), true);
  assert.equal(consulted("insult66 threat40", { consult }), false);
  const wide = { ...POLICY_DEFAULT.consult, below: 1, above: 1 };
  assert.equal(consulted("hello there", { consult: wide }), true);
  const never = { ...POLICY_DEFAULT.consult, mode: "never" } as const;
  assert.equal(consulted("insult65", { consult: never }), false);
  assert.equal(consulted("hello there", ALL), true);
});

test("nobody is asked where no answer could change what is done", () => {
  const policy = {
    ...ALL,
    roles: [
      { role: "vip", leniency: 0.2 },
      { role: "mod", leniency: 0, exempt: true },
    ],
    blockList: [{ term: "badword", action: "block" as const }, { term: "listed" }],
  };
  assert.equal(consulted("badword", policy), false);
  assert.equal(consulted("listed", policy), true);
  assert.equal(consulted("insult65", policy, "mod"), false);
  assert.equal(consulted("badword", policy, "mod"), false);
  assert.equal(consulted("insult65", policy, "vip"), true);
  const unsure = { ...policy, consult: POLICY_DEFAULT.consult };
  assert.equal(consulted("insult59", unsure, "vip"), false, "0.85 is the threshold");
  assert.equal(consulted("insult60", unsure, "vip"), true);
});

/** Hundredths, often at the edges of things. */
function share(random: Random): number {
  const edges = [0, 1, 0.5, 0.65, 0.6];
  return random.chance(1, 4) ? edges[random.below(edges.length)]! : random.below(101) / 100;
}

function policyOf(random: Random): Policy {
  return {
    ...POLICY_DEFAULT,
    categories: eachCategory(() => {
      const flagAt = random.chance(1, 4) ? null : share(random);
      const blockAt = random.chance(1, 2) ? null : Math.max(flagAt ?? 0, share(random));
      return { flagAt: flagAt ?? blockAt, blockAt };
    }),
    observeOnly: random.chance(1, 4),
    blockList: [{ term: "flagword" }, { term: "blockword", action: "block" }],
    roles: [
      { role: "vip", leniency: random.below(61) / 100 - 0.3 },
      { role: "mod", leniency: 0.1, exempt: true },
    ],
    consult: {
      ...POLICY_DEFAULT.consult,
      mode: CONSULT_MODES[random.below(CONSULT_MODES.length)]!,
      below: share(random),
      above: share(random),
      weight: [0, 0.25, 0.5, 0.7, 1][random.below(5)]!,
    },
  };
}

function messageOf(random: Random, policy: Policy): { request: ModerationRequest; about: About } {
  const lanes = [
    "toxic",
    "hate",
    "insult",
    "profane",
    "threat",
    "sexual",
    "selfharm",
    "slur1 aimed",
  ];
  const words = lanes.filter(() => random.chance(1, 2)).map((lane) => lane + random.below(101));
  const listed = (["allow", "allow", "flag", "block"] as const)[random.below(4)]!;
  if (listed !== "allow") words.push(`${listed}word`);
  const role = [undefined, "vip", "mod", "nobody"][random.below(4)];
  const isExempt = role === "mod";
  const leniency = policy.roles.find((each) => each.role === role)?.leniency ?? 0;
  const request = { text: words.join(" "), role, tsMs: 1_000 };
  return {
    request,
    about: { policy, leniency, isExempt, listed: isExempt ? "allow" : listed, history: 0 },
  };
}

test("whatever is judged and answered, the twin asks and counts it in the same way", () => {
  const random = new Random(SEED);
  const ends: Record<string, number> = {};
  for (let round = 0; round < 250; round++) {
    const policy = policyOf(random);
    const moderator = moderatorOf(policy);
    for (let step = 0; step < 16; step++) {
      const what = `seed ${SEED}, round ${round}, step ${step}`;
      const { request, about } = messageOf(random, policy);
      const report = moderator.judge(request);
      assert.equal(report.consult, isAsked(report, about), what);
      if (!report.consult) continue;
      const begun = moderator.beginReview(1, request);
      assert.ok(begun.prompt !== undefined, what);
      const upstream = CATEGORIES.map(() => (random.chance(1, 3) ? random.unit() : share(random)));
      const { reason, ...opinion } = moderator.endReview(1, judgementBytes(upstream, "so it is"));
      assert.deepEqual(opinion, mergedWith(report, upstream, about), what);
      assert.match(reason, /^(Allowed|Flagged|Blocked).* The upstream says: “so it is”$/, what);
      const end = `${report.proposedAction} ${opinion.proposedAction}`;
      ends[end] = (ends[end] ?? 0) + 1;
    }
  }
  const order: readonly Action[] = ["allow", "flag", "block"];
  for (const from of order) {
    for (const to of order) {
      const isPossible = order.indexOf(to) >= order.indexOf(from) - 1;
      assert.equal(
        (ends[`${from} ${to}`] ?? 0) > 0,
        isPossible,
        `${from} to ${to}: ${JSON.stringify(ends)}`,
      );
    }
  }
});

test("the upstream raises what is done by any step, and lowers it by one", () => {
  const of = (text: string, scores: number[]): Opinion =>
    opinionOn(moderatorOf(ALL), { text }, scores);
  const raised = of("threat85", seen({ threat: 1 }));
  assert.deepEqual([raised.action, raised.scores[4]], ["block", 0.925]);
  const threatened = { ...ALL, consult: { ...ALL.consult, weight: 1 } };
  const fromNothing = opinionOn(moderatorOf(threatened), { text: "hello" }, seen({ threat: 0.95 }));
  assert.equal(fromNothing.action, "block");
  assert.equal(of("insult70", NOTHING).action, "allow");
  const held = of("threat95", NOTHING);
  assert.deepEqual([held.action, held.flagged, held.severity], ["flag", 0, 45]);
  assert.equal(
    held.reason,
    "Flagged: the upstream, which sees less in it, lowers what is done by one step at most.",
  );
});

test("a listed word counts as before; a policy that only observes allows", () => {
  const blockList = [{ term: "badword" }];
  const listed = opinionOn(moderatorOf({ ...ALL, blockList }), { text: "badword" }, NOTHING);
  assert.deepEqual([listed.action, listed.severity], ["flag", 50]);
  assert.equal(listed.reason, "Flagged: an entry of the block list is met.");
  const watched = moderatorOf({ ...ALL, observeOnly: true });
  const observed = opinionOn(watched, { text: "threat85" }, seen({ threat: 1 }), "a threat");
  assert.deepEqual([observed.action, observed.proposedAction], ["allow", "block"]);
  assert.equal(
    observed.reason,
    "Allowed, as the policy only observes; it would be blocked for threat: 0.92, of 0.85 embedded " +
      "and 1.00 of the upstream, reaches the threshold for blocking of 0.90. The upstream says: " +
      "“a threat”",
  );
});

test("earlier hostility raises the severity as before", () => {
  const moderator = moderatorOf(ALL);
  const said = { conversation: "c", user: "eve" };
  for (const id of ["1", "2"]) moderator.judge({ ...said, id, text: "toxic90", tsMs: 1_000 });
  const { severity } = moderator.judge({ ...said, id: "3", text: "insult60", tsMs: 1_000 });
  assert.equal(severity, 39 + 8);
  const opinion = opinionOn(moderator, { ...said, id: "3", text: "insult60" }, seen({ insult: 1 }));
  assert.equal(opinion.severity, 52 + 8);
});

test("a reason has the numbers of both, and the upstream's words in one line", () => {
  const of = (text: string, scores: number[], reason?: string): string =>
    opinionOn(moderatorOf(ALL), { text }, scores, reason).reason;
  assert.equal(
    of("insult60", seen({ insult: 0.9 }), "calls\nthe other\u0000 a name"),
    "Flagged for insult: 0.75, of 0.60 embedded and 0.90 of the upstream, reaches the threshold of " +
      "0.65. The upstream says: “calls the other a name”",
  );
  assert.equal(
    of("insult60", seen({ insult: 0.2 })),
    "Allowed: 0.40 for insult, of 0.60 embedded and 0.20 of the upstream, is below the threshold " +
      "of 0.65.",
  );
  assert.equal(
    of("profane99", seen({ profanity: 1 })),
    "Allowed: 0.99 for profanity, of 0.99 embedded and 1.00 of the upstream, is of a category that " +
      "is off.",
  );
});

test("whatever the upstream says, it is text of at most 300 characters without controls", () => {
  const random = new Random(SEED);
  const pieces = [
    "so ",
    "ü",
    "漢",
    "👋🏽",
    "\u202e",
    "\u0000",
    "\u001b[31m",
    "\u2028",
    "\r\n",
    "\u0085",
  ];
  const moderator = moderatorOf(ALL);
  const wordsOf = (bytes: Buffer): string => {
    moderator.ask(1, { text: "hello", tsMs: 1_000 });
    const head = judgementBytes(NOTHING, "");
    head.writeUInt16LE(bytes.length, head.length - 2);
    const { reason, applied } = moderator.endReview(1, Buffer.concat([head, bytes]));
    assert.ok(applied && reason.isWellFormed(), reason);
    const words = reason.match(/ The upstream says: “(.*)”$/s)?.[1] ?? "";
    assert.ok(Array.from(words).length <= 300, words);
    assert.doesNotMatch(reason, /[\p{Cc}\u2028\u2029\u202a-\u202e]/u, `seed ${SEED}`);
    return words;
  };
  assert.equal(wordsOf(Buffer.from("👋".repeat(300))), "👋".repeat(300));
  assert.equal(wordsOf(Buffer.from("👋".repeat(301))), `${"👋".repeat(299)}…`);
  assert.equal(wordsOf(Buffer.from([0xff, 0x41, 0xe2, 0x80])), "\ufffdA\ufffd\ufffd");
  for (let step = 0; step < 300; step++) {
    const text = Array.from({ length: random.below(400) }, () => pieces[random.below(10)]).join("");
    const bytes = Buffer.from(text);
    for (let count = random.below(4); count > 0 && bytes.length > 0; count--) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    wordsOf(bytes);
  }
});

test("where texts are not stored, what the upstream says of them is not either", () => {
  const moderator = moderatorOf({ ...ALL, doNotStore: true });
  const { reason } = opinionOn(
    moderator,
    { text: "insult70" },
    seen({ insult: 1 }),
    "says insult70",
  );
  assert.match(reason, /0\.65\. What the upstream says of it is not kept\.$/);
});

/** Every way in which bytes are no judgement. */
function malformed(random: Random): Uint8Array {
  const good = judgementBytes(
    CATEGORIES.map(() => random.unit()),
    "a reason ü",
  );
  const wrong = [Number.NaN, -0.0001, 1.0001, Infinity, -Infinity, 2, -1, 1e30];
  switch (random.below(5)) {
    case 0:
      return good.subarray(0, random.below(good.length));
    case 1:
      return Buffer.concat([good, Buffer.alloc(1 + random.below(100), random.below(256))]);
    case 2:
      good.writeFloatLE(wrong[random.below(wrong.length)]!, 4 * random.below(CATEGORIES.length));
      return good;
    case 3: {
      const bytes = random.below(65_536);
      good.writeUInt16LE(bytes === 11 ? 12 : bytes, 36);
      return good;
    }
    default: {
      // Whatever: that its length is told right does not happen.
      const bytes = Buffer.from(
        Array.from({ length: random.below(2_000) }, () => random.below(256)),
      );
      if (bytes.length >= 38) bytes.writeUInt16LE((bytes.length + 1) & 0xffff, 36);
      return bytes;
    }
  }
}

test("an answer that is no judgement does not count, whatever is wrong with it", () => {
  const random = new Random(SEED);
  const moderator = moderatorOf(ALL);
  for (let step = 0; step < 1_500; step++) {
    const text = `insult${random.below(101)} threat${random.below(101)}`;
    const { consult, ...report } = moderator.judge({ text, tsMs: 1_000 });
    assert.ok(consult);
    moderator.beginReview(1, { text, tsMs: 1_000 });
    const bytes = malformed(random);
    const { reason, ...opinion } = moderator.endReview(1, bytes);
    const { action, proposedAction, flagged, scores, severity } = report;
    assert.deepEqual(
      opinion,
      { action, proposedAction, flagged, scores, severity, applied: false },
      `seed ${SEED}, step ${step}: ${Buffer.from(bytes).toString("hex").slice(0, 120)}`,
    );
    assert.match(reason, /^As judged without the upstream, whose answer has not the form/);
  }
});

test("zero is a score with either sign; an empty reason is one", () => {
  const moderator = moderatorOf(ALL);
  const minus = CATEGORIES.map(() => -0);
  assert.equal(opinionOn(moderator, { text: "insult60" }, minus).applied, true);
});

for (const failure of CONSULTATION_FAILURES) {
  test(`without an answer (${failure}) all is as it was judged`, () => {
    const moderator = moderatorOf();
    const said = { text: "insult70", conversation: "c", user: "eve", tsMs: 1_000 };
    const { action, proposedAction, flagged, scores, severity } = moderator.judge(said);
    moderator.beginReview(1, said);
    const { reason, ...opinion } = moderator.endReview(1, failure);
    const judged = { action, proposedAction, flagged, scores, severity };
    assert.deepEqual(opinion, { ...judged, applied: false });
    assert.equal(reason, "As judged without the upstream, which gave no answer.");
    const [turn] = moderator.conversation("c");
    assert.deepEqual([turn?.action, turn?.toxicity], ["flag", 0]);
  });
}
