// Generated from wit/moderator.wit by scripts/generate.ts; do not edit.
import type { AbiFunction, AbiType, AbiWorld } from "./abi-types.ts";

export type Job = "moderation" | "tldr" | "rolling";

export type Failure = "off" | "overBudget" | "queueFull" | "timedOut" | "unavailable" | "rateLimited" | "refused" | "malformed" | "cancelled" | "interrupted";

export type Action = "allow" | "flag" | "block";

export type Category = "toxicity" | "severeToxicity" | "insult" | "profanity" | "threat" | "identityAttack" | "sexual" | "selfHarm" | "harmfulReply";

export type TextSpan = {
  readonly category: Category;
  readonly start: number;
  readonly end: number;
  readonly startCodePoint: number;
  readonly endCodePoint: number;
  readonly score: number;
};

export type Relation = "previous" | "repliedTo" | "sameAuthor" | "given";

export type ContextTurn = {
  readonly id: string | undefined;
  readonly ageMs: number;
  readonly relation: Relation;
  readonly toxicity: number;
};

export type LanguageSource = "given" | "detected" | "unknown";

export type LanguageSupport = "full" | "lists" | "none";

export type Verdict = {
  readonly action: Action;
  readonly proposedAction: Action;
  readonly flagged: number;
  readonly scores: ReadonlyArray<number>;
  readonly toxicityAlone: number;
  readonly thresholds: ReadonlyArray<number>;
  readonly severity: number;
  readonly spans: ReadonlyArray<TextSpan>;
  readonly contextUsed: ReadonlyArray<ContextTurn>;
  readonly reason: string;
  readonly language: string;
  readonly languageSource: LanguageSource;
  readonly languageSupport: LanguageSupport;
  readonly listEntry: string | undefined;
  readonly policyVersion: number;
  readonly consult: boolean;
};

export type Opinion = {
  readonly action: Action;
  readonly proposedAction: Action;
  readonly flagged: number;
  readonly scores: ReadonlyArray<number>;
  readonly severity: number;
  readonly reason: string;
  readonly applied: boolean;
};

export type Turn = {
  readonly id: string | undefined;
  readonly user: string | undefined;
  readonly role: string | undefined;
  readonly tsMs: number;
  readonly text: string;
  readonly toxicity: number;
  readonly action: Action;
};

export type ModeratorUsage = {
  readonly conversationCount: number;
  readonly turnCount: number;
  readonly stateBytes: number;
  readonly evictedCount: number;
  readonly judgedCount: number;
};

const job: AbiType = { kind: "enum", name: "Job", cases: ["moderation", "tldr", "rolling"] };
const failure: AbiType = { kind: "enum", name: "Failure", cases: ["off", "overBudget", "queueFull", "timedOut", "unavailable", "rateLimited", "refused", "malformed", "cancelled", "interrupted"] };
const action: AbiType = { kind: "enum", name: "Action", cases: ["allow", "flag", "block"] };
const category: AbiType = { kind: "enum", name: "Category", cases: ["toxicity", "severeToxicity", "insult", "profanity", "threat", "identityAttack", "sexual", "selfHarm", "harmfulReply"] };
const textSpan: AbiType = {
  kind: "record",
  name: "TextSpan",
  fields: [
    { name: "category", type: category },
    { name: "start", type: { kind: "u32" } },
    { name: "end", type: { kind: "u32" } },
    { name: "startCodePoint", type: { kind: "u32" } },
    { name: "endCodePoint", type: { kind: "u32" } },
    { name: "score", type: { kind: "f64" } },
  ],
};
const relation: AbiType = { kind: "enum", name: "Relation", cases: ["previous", "repliedTo", "sameAuthor", "given"] };
const contextTurn: AbiType = {
  kind: "record",
  name: "ContextTurn",
  fields: [
    { name: "id", type: { kind: "option", value: { kind: "string" } } },
    { name: "ageMs", type: { kind: "f64" } },
    { name: "relation", type: relation },
    { name: "toxicity", type: { kind: "f64" } },
  ],
};
const languageSource: AbiType = { kind: "enum", name: "LanguageSource", cases: ["given", "detected", "unknown"] };
const languageSupport: AbiType = { kind: "enum", name: "LanguageSupport", cases: ["full", "lists", "none"] };
const verdict: AbiType = {
  kind: "record",
  name: "Verdict",
  fields: [
    { name: "action", type: action },
    { name: "proposedAction", type: action },
    { name: "flagged", type: { kind: "u32" } },
    { name: "scores", type: { kind: "list", element: { kind: "f64" } } },
    { name: "toxicityAlone", type: { kind: "f64" } },
    { name: "thresholds", type: { kind: "list", element: { kind: "f64" } } },
    { name: "severity", type: { kind: "u32" } },
    { name: "spans", type: { kind: "list", element: textSpan } },
    { name: "contextUsed", type: { kind: "list", element: contextTurn } },
    { name: "reason", type: { kind: "string" } },
    { name: "language", type: { kind: "string" } },
    { name: "languageSource", type: languageSource },
    { name: "languageSupport", type: languageSupport },
    { name: "listEntry", type: { kind: "option", value: { kind: "string" } } },
    { name: "policyVersion", type: { kind: "u32" } },
    { name: "consult", type: { kind: "bool" } },
  ],
};
const opinion: AbiType = {
  kind: "record",
  name: "Opinion",
  fields: [
    { name: "action", type: action },
    { name: "proposedAction", type: action },
    { name: "flagged", type: { kind: "u32" } },
    { name: "scores", type: { kind: "list", element: { kind: "f64" } } },
    { name: "severity", type: { kind: "u32" } },
    { name: "reason", type: { kind: "string" } },
    { name: "applied", type: { kind: "bool" } },
  ],
};
const turn: AbiType = {
  kind: "record",
  name: "Turn",
  fields: [
    { name: "id", type: { kind: "option", value: { kind: "string" } } },
    { name: "user", type: { kind: "option", value: { kind: "string" } } },
    { name: "role", type: { kind: "option", value: { kind: "string" } } },
    { name: "tsMs", type: { kind: "f64" } },
    { name: "text", type: { kind: "string" } },
    { name: "toxicity", type: { kind: "f64" } },
    { name: "action", type: action },
  ],
};
const moderatorUsage: AbiType = {
  kind: "record",
  name: "ModeratorUsage",
  fields: [
    { name: "conversationCount", type: { kind: "u32" } },
    { name: "turnCount", type: { kind: "u32" } },
    { name: "stateBytes", type: { kind: "u32" } },
    { name: "evictedCount", type: { kind: "f64" } },
    { name: "judgedCount", type: { kind: "f64" } },
  ],
};

export const MESSAGE_ROW: AbiFunction = {
  name: "messageRow",
  coreName: "nexuscore:tenant/classifier@0.1.0#message-row",
  isAsync: false,
  parameters: [
    { name: "bucket", type: { kind: "u32" } },
  ],
  result: { kind: "u64" },
};
export const REPLY_ROW: AbiFunction = {
  name: "replyRow",
  coreName: "nexuscore:tenant/classifier@0.1.0#reply-row",
  isAsync: false,
  parameters: [
    { name: "bucket", type: { kind: "u32" } },
    { name: "half", type: { kind: "u32" } },
  ],
  result: { kind: "u64" },
};
export const PARAMETER: AbiFunction = {
  name: "parameter",
  coreName: "nexuscore:tenant/classifier@0.1.0#parameter",
  isAsync: false,
  parameters: [
    { name: "index", type: { kind: "u32" } },
  ],
  result: { kind: "f64" },
};
export const COMPLETE: AbiFunction = {
  name: "complete",
  coreName: "nexuscore:tenant/llm@0.1.0#complete",
  isAsync: true,
  parameters: [
    { name: "job", type: job },
    { name: "prompt", type: { kind: "list", element: { kind: "u8" } } },
  ],
  result: { kind: "result", ok: { kind: "list", element: { kind: "u8" } }, error: failure },
};
export const CONFIGURE: AbiFunction = {
  name: "configure",
  coreName: "nexuscore:tenant/moderate@0.1.0#configure",
  isAsync: false,
  parameters: [
    { name: "policy", type: { kind: "list", element: { kind: "u8" } } },
  ],
  result: undefined,
};
export const JUDGE: AbiFunction = {
  name: "judge",
  coreName: "nexuscore:tenant/moderate@0.1.0#judge",
  isAsync: false,
  parameters: [
    { name: "request", type: { kind: "list", element: { kind: "u8" } } },
  ],
  result: verdict,
};
export const REVIEW: AbiFunction = {
  name: "review",
  coreName: "nexuscore:tenant/moderate@0.1.0#review",
  isAsync: true,
  parameters: [
    { name: "request", type: { kind: "list", element: { kind: "u8" } } },
  ],
  result: opinion,
};
export const CONVERSATION: AbiFunction = {
  name: "conversation",
  coreName: "nexuscore:tenant/moderate@0.1.0#conversation",
  isAsync: false,
  parameters: [
    { name: "id", type: { kind: "string" } },
  ],
  result: { kind: "list", element: turn },
};
export const FORGET: AbiFunction = {
  name: "forget",
  coreName: "nexuscore:tenant/moderate@0.1.0#forget",
  isAsync: false,
  parameters: [
    { name: "id", type: { kind: "string" } },
  ],
  result: { kind: "bool" },
};
export const USAGE: AbiFunction = {
  name: "usage",
  coreName: "nexuscore:tenant/moderate@0.1.0#usage",
  isAsync: false,
  parameters: [],
  result: moderatorUsage,
};
export const ADVANCE: AbiFunction = {
  name: "advance",
  coreName: "nexuscore:tenant/moderate@0.1.0#advance",
  isAsync: false,
  parameters: [
    { name: "nowMs", type: { kind: "f64" } },
  ],
  result: undefined,
};
export const EXPORT_STATE: AbiFunction = {
  name: "exportState",
  coreName: "nexuscore:tenant/portable@0.1.0#export-state",
  isAsync: false,
  parameters: [
    { name: "part", type: { kind: "u32" } },
  ],
  result: { kind: "option", value: { kind: "list", element: { kind: "u8" } } },
};
export const IMPORT_STATE: AbiFunction = {
  name: "importState",
  coreName: "nexuscore:tenant/portable@0.1.0#import-state",
  isAsync: false,
  parameters: [
    { name: "part", type: { kind: "list", element: { kind: "u8" } } },
  ],
  result: { kind: "result", ok: undefined, error: { kind: "string" } },
};

export const MODERATOR: AbiWorld = {
  name: "nexuscore:tenant/moderator@0.1.0",
  imports: [MESSAGE_ROW, REPLY_ROW, PARAMETER, COMPLETE],
  exports: [CONFIGURE, JUDGE, REVIEW, CONVERSATION, FORGET, USAGE, ADVANCE, EXPORT_STATE, IMPORT_STATE],
};
