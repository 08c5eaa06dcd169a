/** What the reference shows of moderation. The tests hold each to its schema. */
import { POLICY_DEFAULT } from "#model/policy-default.ts";

export const MESSAGE_EXAMPLE = {
  id: "m7",
  conversation: "general",
  user: "eve",
  text: "nobody wants you here, you idiot",
  replyTo: "m6",
};

export const VERDICT_EXAMPLE = {
  id: "v_01KA9Z5N3V8Q2J7R4T6W0X1Y2Z",
  tenant: "acme",
  messageId: "m7",
  conversation: "general",
  user: "eve",
  action: "flag",
  proposedAction: "flag",
  flagged: true,
  categories: {
    toxicity: true,
    severeToxicity: false,
    insult: true,
    profanity: false,
    threat: false,
    identityAttack: false,
    sexual: false,
    selfHarm: false,
    harmfulReply: false,
  },
  scores: {
    toxicity: 0.91,
    severeToxicity: 0.12,
    insult: 0.93,
    profanity: 0.08,
    threat: 0.03,
    identityAttack: 0.02,
    sexual: 0.01,
    selfHarm: 0.01,
    harmfulReply: 0.31,
  },
  thresholds: {
    toxicity: 0.6,
    severeToxicity: 0.6,
    insult: 0.65,
    profanity: null,
    threat: 0.6,
    identityAttack: 0.6,
    sexual: 0.7,
    selfHarm: 0.7,
    harmfulReply: 0.75,
  },
  toxicityAlone: 0.88,
  severity: 61,
  spans: [
    { category: "insult", start: 27, end: 32, startCodePoint: 27, endCodePoint: 32, score: 0.93 },
  ],
  contextUsed: [{ id: "m6", ageMs: 4_200, relation: "repliedTo", toxicity: 0.04 }],
  reason: 'Insult 0.93 is over the threshold 0.65: "idiot" is said to the person addressed.',
  language: { tag: "en", source: "detected", support: "full" },
  policy: { version: 0, source: "default" },
  model: "nexuscore-embedded-1+9f2c41d07a3e.51b07c2d",
  asOfMs: 1_795_197_659_120,
  degraded: false,
};

/** A language model was asked, and counts. */
export const REVIEWED_EXAMPLE = {
  ...VERDICT_EXAMPLE,
  scores: { ...VERDICT_EXAMPLE.scores, insult: 0.96 },
  reason:
    "Flagged for insult: 0.96, of 0.93 embedded and 0.99 of the upstream, reaches the threshold " +
    "of 0.65. The upstream says: “It calls the person who asked for help an idiot.”",
  upstream: { outcome: "answered", model: "qwen3:8b", waitMs: 812 },
};

/** One was to be asked, and the embedded verdict stands. */
export const DEGRADED_VERDICT_EXAMPLE = {
  ...VERDICT_EXAMPLE,
  degraded: true,
  upstream: {
    outcome: "timedOut",
    detail: "No answer in time.",
    model: "qwen3:8b",
    waitMs: 5_003,
  },
};

export const POLICY_BODY_EXAMPLE = {
  categories: { insult: { flagAt: 0.7, blockAt: 0.95 }, profanity: { flagAt: 0.9 } },
  blockList: [{ term: "free nitro", action: "block" }],
  roles: [{ role: "moderator", leniency: 0.2 }],
  consult: { mode: "unsure", guidance: "A forum for nurses: anatomy is fine." },
  note: "less strict on insults, after the vote in March",
};

export const POLICY_EXAMPLE = {
  tenant: "acme",
  version: 3,
  source: "tenant",
  setAtMs: 1_795_197_600_000,
  note: "less strict on insults, after the vote in March",
  policy: {
    ...POLICY_DEFAULT,
    categories: {
      ...POLICY_DEFAULT.categories,
      insult: { flagAt: 0.7, blockAt: 0.95 },
      profanity: { flagAt: 0.9, blockAt: null },
    },
    blockList: [{ term: "free nitro", action: "block" }],
    roles: [{ role: "moderator", leniency: 0.2 }],
    consult: { ...POLICY_DEFAULT.consult, guidance: "A forum for nurses: anatomy is fine." },
  },
};

const UNCHANGED = { flaggedBefore: 0, flaggedAfter: 0 };

export const DRY_RUN_EXAMPLE = {
  tenant: "acme",
  verdictCount: 412,
  changedCount: 9,
  unknownCount: 0,
  actions: {
    before: { allow: 395, flag: 16, block: 1 },
    after: { allow: 404, flag: 7, block: 1 },
  },
  categories: {
    toxicity: { flaggedBefore: 8, flaggedAfter: 8 },
    severeToxicity: { flaggedBefore: 1, flaggedAfter: 1 },
    insult: { flaggedBefore: 15, flaggedAfter: 6 },
    profanity: UNCHANGED,
    threat: UNCHANGED,
    identityAttack: UNCHANGED,
    sexual: UNCHANGED,
    selfHarm: UNCHANGED,
    harmfulReply: UNCHANGED,
  },
  examples: [
    {
      id: "v_01KA9Z5N3V8Q2J7R4T6W0X1Y2Z",
      asOfMs: 1_795_197_659_120,
      from: "flag",
      to: "allow",
      categories: ["insult"],
    },
  ],
  notReplayed: ["blockList", "roles"],
  upstreamAsked: false,
  warnings: [],
};

export const TURNS_EXAMPLE = {
  tenant: "acme",
  conversation: "general",
  turns: [
    {
      id: "m6",
      user: "ada",
      tsMs: 1_795_197_654_920,
      text: "I could use some help with the raid",
      toxicity: 0.04,
      action: "allow",
    },
  ],
};
