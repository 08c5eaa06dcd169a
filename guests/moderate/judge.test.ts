// What the judge makes of scores: thresholds, roles, lists, severity, context, reason. The scores
// themselves are a stand-in's, see assembly/stand-in.ts.
import assert from "node:assert/strict";
import test from "node:test";
import type { ModerationRequest, VerdictReport } from "#model/moderation.ts";
import { CATEGORIES } from "#model/moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import type { Policy } from "#model/policy.ts";
import { compileModerator, Moderator } from "./testing/moderator.ts";

const module = await compileModerator("stand-in");

function moderatorOf(policy?: Partial<Policy>): Moderator {
  const moderator = new Moderator(module);
  if (policy !== undefined) moderator.configure(policy, 7);
  return moderator;
}

function judged(text: string, policy?: Partial<Policy>, more?: Partial<ModerationRequest>) {
  return moderatorOf(policy).judge({ text, tsMs: 1_000, ...more });
}

/** A policy by which only the given categories count. */
function only(thresholds: Partial<Policy["categories"]>): Partial<Policy> {
  const off = CATEGORIES.map((each) => [each, { flagAt: null, blockAt: null }]);
  return { categories: { ...Object.fromEntries(off), ...thresholds } as Policy["categories"] };
}

function flaggedOf({ flagged }: VerdictReport): string[] {
  return CATEGORIES.filter((_, bit) => ((flagged >> bit) & 1) === 1);
}

/** A policy's thresholds as a verdict tells them. */
function flagAtOf(policy: Policy): number[] {
  return CATEGORIES.map((each) => policy.categories[each].flagAt ?? 2);
}

test("the default policy is the host's, to the digit", () => {
  const own = judged("hello there");
  assert.deepEqual(own.thresholds, flagAtOf(POLICY_DEFAULT));
  const set = judged("hello there", {});
  assert.deepEqual(set.thresholds, own.thresholds);
  assert.deepEqual([own.policyVersion, set.policyVersion], [0, 7]);
  for (const each of CATEGORIES) {
    const { flagAt, blockAt } = POLICY_DEFAULT.categories[each];
    assert.ok((blockAt ?? 2) >= (flagAt ?? 2), each);
  }
});

test("a score that reaches its threshold is flagged, one below is not", () => {
  assert.deepEqual(flaggedOf(judged("toxic60")), ["toxicity"]);
  assert.deepEqual(flaggedOf(judged("toxic59")), []);
  assert.deepEqual(flaggedOf(judged("insult65 sexual70 selfharm69")), ["insult", "sexual"]);
  assert.equal(judged("threat89").action, "flag");
  assert.equal(judged("threat90").action, "block");
  assert.deepEqual(flaggedOf(judged("profane99")), [], "profanity is off by default");
});

test("severe toxicity is toxic and a threat, an attack or an aimed slur", () => {
  const severe = (text: string): number => judged(text).scores[1]!;
  assert.equal(severe("toxic90 insult90"), 0);
  assert.equal(severe("toxic90 threat70"), 0.7);
  assert.equal(severe("toxic60 hate95"), 0.6);
  assert.equal(severe("toxic90 insult80 slur1"), 0);
  assert.equal(severe("toxic90 insult80 slur1 aimed1"), 0.8);
});

test("a policy that only observes allows, and says what it would do", () => {
  const verdict = judged("threat95", { observeOnly: true });
  assert.equal(verdict.action, "allow");
  assert.equal(verdict.proposedAction, "block");
  assert.match(
    verdict.reason,
    /^Allowed, as the policy only observes; it would be blocked for threat: /,
  );
});

test("roles have their thresholds, or none", () => {
  const roles = [
    { role: "vip", leniency: 0.1 },
    { role: "new", leniency: -0.2 },
    { role: "moderator", leniency: 0, exempt: true },
  ];
  const of = (role: string, text: string): VerdictReport => judged(text, { roles }, { role });
  assert.equal(of("vip", "insult74").action, "allow");
  assert.equal(of("vip", "insult75").action, "flag");
  assert.equal(of("vip", "insult75").thresholds[2], 0.75);
  assert.equal(of("vip", "profane99").thresholds[3], 2, "what is off stays off");
  assert.equal(of("new", "insult45").action, "flag");
  assert.equal(of("nobody", "insult65").action, "flag");
  const exempt = of("moderator", "insult99 threat99");
  assert.equal(exempt.action, "allow");
  assert.deepEqual(
    exempt.thresholds,
    CATEGORIES.map(() => 2),
  );
  assert.equal(exempt.scores[2], 0.99, "it is scored all the same");
  assert.match(exempt.reason, /^Allowed: the role “moderator” is exempt; its highest score is /);
  const listed = judged(
    "badword",
    { roles, blockList: [{ term: "badword" }] },
    { role: "moderator" },
  );
  assert.equal(listed.action, "allow");
});

test("a leniency that lifts a threshold over 1 turns it off", () => {
  const roles = [{ role: "vip", leniency: 0.9 }];
  const verdict = judged("toxic99 insult99", { roles }, { role: "vip" });
  assert.equal(verdict.action, "allow");
  assert.equal(verdict.thresholds[0], 2);
});

const BLOCKED: Pick<Policy, "blockList"> = {
  blockList: [
    { term: "badword", action: "block" },
    { term: "ass" },
    { term: "two words" },
    { term: "fail" },
    { term: "Straße" },
    { term: "🦄" },
    { term: "!!!" },
    { term: "free nitro" },
    { term: "the rapist" },
    { term: "spam.example" },
    { term: "@pest" },
    { term: "5550123" },
    { term: "hell" },
    { term: "kkk" },
    { term: "كلب" },
    { term: "ילד" },
    { term: "バカ" },
    { term: "傻瓜", action: "block" },
    { term: "ควาย" },
  ],
};

const MEETS: readonly { text: string; entry: string | undefined }[] = [
  { text: "what a badword that is", entry: "badword" },
  { text: "BADWORD!", entry: "badword" },
  { text: "b4dw0rd", entry: "badword" },
  { text: "b a d w o r d", entry: "badword" },
  { text: "you b.a.d.w.o.r.d!", entry: "badword" },
  { text: "bad-word", entry: "badword" },
  { text: "ba\u200bdword", entry: "badword" },
  { text: "ｂａｄｗｏｒｄ", entry: "badword" },
  { text: "bаdwоrd", entry: "badword" },
  { text: "baaaadword", entry: "badword" },
  { text: "x y b a d w o r d z", entry: "badword" },
  { text: "class and grass", entry: undefined },
  { text: "a s s", entry: "ass" },
  { text: "assess", entry: undefined },
  { text: "two words", entry: "two words" },
  { text: "two, words", entry: "two words" },
  { text: "two other words", entry: undefined },
  { text: "it may fall", entry: undefined },
  { text: "it may f4il", entry: "fail" },
  { text: "strasse", entry: undefined },
  { text: "die STRAßE", entry: "Straße" },
  { text: "a 🦄 here", entry: "🦄" },
  { text: "wow!!!", entry: undefined },
  { text: "bad wording", entry: undefined },
  { text: "fr33 n1tr0", entry: "free nitro" },
  { text: "get FREE - n!tro now", entry: "free nitro" },
  { text: "f r e e  n i t r o", entry: "free nitro" },
  { text: "fr33 of n1tr0", entry: undefined },
  { text: "my therapist", entry: undefined },
  { text: "as 5 of us", entry: undefined },
  { text: `${"x y ".repeat(40)}b a d w o r d`, entry: "badword" },
  { text: "see spam.example", entry: "spam.example" },
  { text: "see https://spam.example/x?y=1 now", entry: "spam.example" },
  { text: "www.spam.example", entry: "spam.example" },
  { text: "https://fine.example/x", entry: undefined },
  { text: "hello @pest!", entry: "@pest" },
  { text: "hello @pester", entry: undefined },
  { text: "call 5550123", entry: "5550123" },
  { text: "call 5550124", entry: undefined },
  { text: "he'll see", entry: undefined },
  { text: "h'ell with it", entry: "hell" },
  { text: "kk", entry: undefined },
  { text: "كَلْب", entry: "كلب" },
  { text: "يا كـلـب", entry: "كلب" },
  { text: "יֶלֶד", entry: "ילד" },
  { text: "كلام", entry: undefined },
  { text: "お前はバカだ", entry: "バカ" },
  { text: "バ", entry: undefined },
  { text: "你真是个傻瓜啊", entry: "傻瓜" },
  { text: "傻人傻福的瓜", entry: undefined },
  { text: "มึงเป็นควายหรือ", entry: "ควาย" },
  { text: "KKK", entry: "kkk" },
  { text: "kkkk", entry: "kkk" },
  { text: "k k k", entry: "kkk" },
];

for (const { text, entry } of MEETS) {
  test(`the block list ${entry === undefined ? "has nothing" : `has "${entry}"`} in: ${text}`, () => {
    const verdict = judged(text, BLOCKED);
    assert.equal(verdict.listEntry, entry);
    const { action = "flag" } = BLOCKED.blockList.find(({ term }) => term === entry) ?? {
      action: "allow" as const,
    };
    assert.equal(verdict.action, action);
  });
}

test("of several entries the one that blocks is told, wherever it stands", () => {
  const verdict = judged("ass and badword", BLOCKED);
  assert.equal(verdict.listEntry, "badword");
  assert.equal(verdict.reason, "Blocked: “badword” is on the block list.");
  assert.equal(judged(`${"word ".repeat(2_000)}badword`, BLOCKED).listEntry, "badword");
});

test("allowed words mean nothing, in whatever spelling, and so do allowed phrases", () => {
  const allowList = [{ term: "toxic90" }, { term: "insult80 thing" }];
  const of = (text: string): VerdictReport => judged(text, { allowList });
  assert.equal(of("a toxic90 day").scores[0], 0);
  assert.equal(of("a TOXIC90 day").scores[0], 0);
  assert.equal(of("a toxic90 day").listEntry, "toxic90");
  assert.equal(of("a toxic80 day").scores[0], 0.8);
  assert.equal(of("an insult80 thing").scores[2], 0);
  assert.equal(of("an insult80 other thing").scores[2], 0.8);
  assert.deepEqual(of("an insult80 thing").spans, []);
});

test("an allowed word in letters that stand alone is met, and the message judged", () => {
  for (const text of ["you complete b a d w o r d", "b a d w o r d ".repeat(40)]) {
    const verdict = judged(text, { allowList: [{ term: "badword" }, { term: "free nitro" }] });
    assert.equal(verdict.listEntry, "badword");
    assert.equal(verdict.action, "allow");
  }
  assert.equal(judged("你好傻瓜", { allowList: [{ term: "傻瓜" }] }).listEntry, "傻瓜");
  const allowList = [{ term: "insult80 thing" }];
  assert.equal(judged("an 1nsult80 thing, toxic70", { allowList }).listEntry, "insult80 thing");
});

test("an allowed phrase is remembered as it was said", () => {
  const moderator = moderatorOf({ allowList: [{ term: "insult80 thing" }] });
  moderator.judge({ text: "an insult80 thing, toxic70", conversation: "c", tsMs: 1 });
  assert.equal(moderator.conversation("c")[0]!.text, "an insult80 thing, toxic70");
});

test("severity is how bad it is, whatever the thresholds", () => {
  assert.equal(judged("nothing").severity, 0);
  assert.equal(judged("profane100 really").severity, 35);
  assert.equal(judged("threat100").severity, 95);
  assert.equal(judged("threat100", only({})).severity, 95);
  assert.equal(judged("badword", BLOCKED).severity, 80);
  assert.equal(judged("ass", BLOCKED).severity, 50);
});

test("earlier hostility raises severity a little, and alone never flags", () => {
  const moderator = moderatorOf();
  const say = (user: string, text: string, id: string, replyTo?: string): VerdictReport =>
    moderator.judge({ text, user, id, replyTo, conversation: "c", tsMs: 1_000 });
  assert.equal(say("anna", "insult60", "1").severity, 39);
  say("anna", "toxic90", "2");
  assert.equal(say("anna", "insult60", "3").severity, 43);
  say("anna", "toxic90", "4");
  say("anna", "toxic90", "5");
  say("anna", "toxic90", "6");
  const fifth = say("anna", "insult60", "7");
  assert.equal(fifth.severity, 39 + 12);
  assert.equal(fifth.action, "allow");
  assert.equal(say("anna", "good morning", "8").severity, 0);
  assert.equal(say("ben", "insult60", "9").severity, 39, "ben has done nothing");
  say("anna", "toxic90", "10", "9");
  assert.equal(say("ben", "insult60", "11").severity, 41, "and was attacked once");
});

test("the conversation raises and lowers, and insult and threat go down with toxicity", () => {
  const moderator = moderatorOf();
  const judge = (text: string): VerdictReport =>
    moderator.judge({ text, conversation: "c", user: "u", tsMs: 1_000 });
  assert.equal(judge("toxic40 raise80").scores[0], 0.4, "nothing was said before");
  const raised = judge("toxic40 raise80");
  assert.deepEqual([raised.toxicityAlone, raised.scores[0]], [0.4, 0.8]);
  assert.match(raised.reason, /; the conversation raised its toxicity from 0\.40 to 0\.80\.$/);
  const lowered = judge("toxic80 raise20 insult80 threat80");
  assert.deepEqual([lowered.scores[0], lowered.scores[2], lowered.scores[4]], [0.2, 0.2, 0.2]);
  assert.match(lowered.reason, /; the conversation lowered its toxicity from 0\.80 to 0\.20\.$/);
});

test("the scoring is told of each turn how it stands to the message", () => {
  const moderator = moderatorOf();
  const say = (fields: Partial<ModerationRequest>): VerdictReport =>
    moderator.judge({ text: "relation", conversation: "c", tsMs: 1_000, ...fields });
  say({ id: "1", user: "anna" });
  assert.equal(say({ id: "2", user: "ben" }).scores[8], 0.01, "previous");
  assert.equal(say({ id: "3", user: "ben" }).scores[8], 0.05, "and of the same author");
  assert.equal(say({ id: "4", user: "ben", replyTo: "3" }).scores[8], 0.07, "and replied to");
  const seen = say({ id: "5", user: "cleo", text: "seen", replyTo: "1" });
  assert.equal(seen.scores[8], 0.04);
  assert.deepEqual(
    seen.contextUsed.map(({ id, relation }) => `${id} ${relation}`),
    ["4 previous", "3 previous", "2 previous", "1 repliedTo"],
  );
});

test("given context is read in place of what is remembered, the newest first", () => {
  const moderator = moderatorOf();
  moderator.judge({ text: "remembered", id: "r", conversation: "c", tsMs: 1_000 });
  const context = [
    { text: "toxic30", id: "old" },
    { text: "toxic70", id: "new", user: "anna" },
  ];
  const verdict = moderator.judge({ text: "echo", conversation: "c", tsMs: 2_000, context });
  assert.deepEqual(verdict.contextUsed, [
    { id: "new", ageMs: 0, relation: "given", toxicity: 0.7 },
    { id: "old", ageMs: 0, relation: "given", toxicity: 0.3 },
  ]);
  assert.equal(verdict.scores[0], 0.7);
  assert.deepEqual(
    moderator.conversation("c").map(({ text }) => text),
    ["remembered", "echo"],
    "it is not remembered itself",
  );
  assert.equal(
    judged("echo", { context: { ...POLICY_DEFAULT.context, turnsMax: 0 } }, { context }).contextUsed
      .length,
    0,
  );
});

test("turns that are too old are not read, nor are those of another conversation", () => {
  const moderator = moderatorOf({ context: { ...POLICY_DEFAULT.context, ageMsMax: 500 } });
  const say = (text: string, tsMs: number, conversation = "c"): VerdictReport =>
    moderator.judge({ text, tsMs, conversation, id: `${tsMs}` });
  say("one", 1_000);
  say("two", 1_400);
  assert.deepEqual(
    say("three", 1_600).contextUsed.map(({ id, ageMs }) => [id, ageMs]),
    [["1400", 200]],
  );
  assert.equal(say("four", 1_600, "another").contextUsed.length, 0);
});

test("two who were friendly so far are told of, until somebody joins or is not", () => {
  const moderator = moderatorOf();
  const say = (user: string, text = "nice"): VerdictReport =>
    moderator.judge({ text, user, conversation: "c", tsMs: 1_000 });
  for (const user of ["anna", "ben", "anna", "ben"]) say(user);
  assert.equal(say("anna", "banter").scores[8], 1);
  say("ben", "toxic70");
  assert.equal(say("anna", "banter").scores[8], 0);
});

test("spans are in code units and code points of the text as it came", () => {
  const { spans } = judged("👋🏽 ünd insult80 – 😀 insult70");
  assert.deepEqual(
    spans.map(({ category, start, end, startCodePoint, endCodePoint, score }) => ({
      category,
      at: [start, end, startCodePoint, endCodePoint],
      score,
    })),
    [
      { category: "insult", at: [9, 17, 7, 15], score: 0.8 },
      { category: "insult", at: [23, 31, 20, 28], score: 0.8 },
    ],
  );
});

test("reasons name what decided, in one sentence", () => {
  const reasons: readonly (readonly [string, Partial<Policy>, string])[] = [
    ["good morning all", {}, "Allowed: no category has any score."],
    [
      "insult31 hi",
      {},
      "Allowed: 0.31 for insult, the nearest to being flagged, is below the threshold of 0.65.",
    ],
    [
      "profane90",
      {},
      "Allowed: its highest score, 0.90 for profanity, is of a category that is off.",
    ],
    [
      "you insult91",
      {},
      "Flagged for insult: 0.91 reaches the threshold of 0.65, resting on “insult91”.",
    ],
    [
      "toxic70 insult80",
      {},
      "Flagged for insult: 0.80 reaches the threshold of 0.65, resting on “insult80”.",
    ],
    [
      "insult99 threat91",
      {},
      "Blocked for threat: 0.91 reaches the threshold for blocking of 0.90, resting on “threat91”.",
    ],
    [
      "insult60",
      only({ insult: { flagAt: 0.6001, blockAt: null } }),
      "Allowed: 0.6000 for insult, the nearest to being flagged, is below the threshold of 0.6001.",
    ],
    [
      "ass toxic90",
      { blockList: [{ term: "ass" }], observeOnly: true },
      "Allowed, as the policy only observes; it would be flagged: “ass” is on the block list.",
    ],
  ];
  for (const [text, policy, reason] of reasons) assert.equal(judged(text, policy).reason, reason);
});

test("what a reason quotes is one line of at most 40 characters that stay where they are", () => {
  const long = judged(`insult90${"ä".repeat(60)}`).reason;
  assert.match(long, /resting on “insult90ä{31}…”\.$/);
  const whole = judged(`insult90${"ä".repeat(32)}`).reason;
  assert.match(whole, /resting on “insult90ä{32}”\.$/);
  assert.match(judged("insult90\u202eabc\u200b\u0085d").reason, /resting on “insult90abcd”\.$/);
});

test("where texts are not stored, reasons quote none of them", () => {
  const quoting = judged("insult80 secret99 thing");
  assert.match(quoting.reason, /resting on “/);
  const silent = judged("insult80 secret99 thing", { doNotStore: true });
  assert.match(
    silent.reason,
    /^Flagged for insult: .*, resting on the words that its spans mark\.$/,
  );
  assert.deepEqual(silent.spans, quoting.spans);
  const listed = judged("secret99 badword", { ...BLOCKED, doNotStore: true });
  assert.equal(listed.reason, "Blocked: “badword” is on the block list.");
});

test("the numbers of a reason are the verdict's", () => {
  for (let percent = 0; percent <= 100; percent++) {
    const verdict = judged(`threat${percent}`, only({ threat: { flagAt: 0.29, blockAt: 0.57 } }));
    const said = percent === 100 ? "1.00" : `0.${String(percent).padStart(2, "0")}`;
    if (percent > 0) assert.ok(verdict.reason.includes(said), `${percent}: ${verdict.reason}`);
    assert.equal(verdict.action, percent >= 57 ? "block" : percent >= 29 ? "flag" : "allow");
  }
});

test("words of other languages' lists decide where nothing else does", () => {
  const german = judged("foreign5 foreign5", {}, { language: "de-AT" });
  assert.deepEqual(
    [german.language, german.languageSource, german.languageSupport],
    ["de", "given", "lists"],
  );
  assert.deepEqual(german.scores, [0.7, 0, 0.75, 0.75, 0, 0, 0, 0, 0]);
  assert.match(german.reason, /, by the word list of its language alone, resting on /);
  const mixed = judged("toxic99 foreign2", {}, { language: "de" });
  assert.deepEqual(mixed.scores, [0, 0, 0, 0, 0, 0, 0.75, 0, 0], "the classifier is not asked");
  const unknown = judged("toxic99 foreign7", {}, { language: "xx" });
  assert.deepEqual(
    unknown.scores,
    CATEGORIES.map(() => 0),
  );
  assert.equal(unknown.languageSupport, "none");
  assert.equal(
    unknown.reason,
    "Allowed: nothing here knows its language, and no entry of the block list is in it.",
  );
  assert.equal(judged("badword", BLOCKED, { language: "xx" }).action, "block");
});

test("what is empty or blank is allowed and remembered", () => {
  const moderator = moderatorOf();
  for (const text of ["", " ", "\n\t \u200b", "\u0000"]) {
    const verdict = moderator.judge({ text, conversation: "c", tsMs: 1 });
    assert.equal(verdict.action, "allow");
    assert.equal(verdict.reason, "Allowed: no category has any score.");
  }
  assert.equal(moderator.conversation("c").length, 4);
});

test("times that are no numbers are those of the message before; clocks may jump", () => {
  const moderator = moderatorOf();
  const say = (tsMs: number): VerdictReport =>
    moderator.judge({ text: "hi", tsMs, conversation: "c" });
  say(Number.NaN);
  say(5_000);
  say(Number.NaN);
  say(Number.POSITIVE_INFINITY);
  const back = say(1_000);
  assert.deepEqual(
    moderator.conversation("c").map(({ tsMs }) => tsMs),
    [0, 5_000, 5_000, 5_000, 1_000],
  );
  assert.deepEqual(
    back.contextUsed.map(({ ageMs }) => ageMs),
    [0, 0, 0, 1_000],
    "what lies ahead is as old as the message",
  );
  moderator.advance(Number.NaN);
  moderator.advance(Number.NEGATIVE_INFINITY);
  assert.equal(moderator.conversation("c").length, 5);
});

test("a policy whose lengths do not add up traps, and the one before stays", () => {
  const good = policyBytes({
    version: 3,
    setAtMs: 0,
    note: undefined,
    policy: {
      ...POLICY_DEFAULT,
      blockList: [{ term: "badword" }],
      roles: [{ role: "r", leniency: 0 }],
    },
  })!;
  const bad = [good.subarray(0, 115), good.subarray(0, good.length - 1)];
  for (const [at, value] of [
    [14, 9],
    [16, 2],
    [116, 200],
    [117, 3],
    [20, 3],
    [12, 1],
  ] as const) {
    const copy = good.slice();
    copy[at] = value;
    bad.push(copy);
  }
  bad.push(new Uint8Array(8_193));
  const moderator = moderatorOf();
  moderator.configureBytes(good);
  const before = moderator.image.slice();
  for (const [index, bytes] of bad.entries()) {
    const broken = moderatorOf();
    broken.configureBytes(good);
    assert.throws(() => broken.configureBytes(bytes), WebAssembly.RuntimeError, `policy ${index}`);
    assert.ok(Buffer.from(broken.image).equals(before), `policy ${index}`);
  }
});

test("a request whose lengths exceed it traps", () => {
  const good = moderatorOf().encode({ text: "hello", conversation: "c", context: [{ text: "x" }] });
  for (const [at, value] of [
    [14, 200],
    [28, 250],
    [12, 3],
    [16, 255],
  ] as const) {
    const bytes = good.slice();
    bytes[at] = value;
    assert.throws(() => moderatorOf().judgeBytes(bytes), WebAssembly.RuntimeError, `byte ${at}`);
  }
  assert.throws(() => moderatorOf().judgeBytes(good.subarray(0, 20)), WebAssembly.RuntimeError);
});
