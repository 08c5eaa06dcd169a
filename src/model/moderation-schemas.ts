/** The JSON of messages, verdicts and policies as JSON Schema. See schemas.ts. */
import { type TObject, type TSchema, Type } from "typebox";
import {
  CONSULT_WAIT_MS_MAX,
  CONSULT_WAIT_MS_MIN,
  CONTEXT_AGE_MS_MAX,
  CONTEXT_BYTES_MAX,
  CONTEXT_TURNS_MAX,
  CONVERSATION_BYTES_MAX,
  EVENT_ID_BYTES_MAX,
  GIVEN_TURNS_MAX,
  GUIDANCE_BYTES_MAX,
  LANGUAGE_BYTES_MAX,
  POLICY_NOTE_BYTES_MAX,
  POLICY_TERM_BYTES_MAX,
  ROLE_BYTES_MAX,
  TEXT_BYTES_MAX,
  TS_MS_MAX,
  USER_BYTES_MAX,
} from "./limits.ts";
import { CONSULTATION_FAILURES } from "./consultation.ts";
import { CATEGORIES, eachCategory } from "./moderation.ts";
import { NOT_REPLAYED } from "./policy-dry-run.ts";
import { POLICY_WARNINGS } from "./policy-warnings.ts";
import { CONSULT_MODES } from "./policy.ts";

const ACTIONS = ["allow", "flag", "block"] as const;

const word = <T extends string>(texts: readonly T[], description: string): TSchema =>
  Type.Unsafe<T>({ type: "string", enum: [...texts], description });
const count = (description: string): TSchema => Type.Integer({ minimum: 0, description });
const epochMs = (description: string): TSchema =>
  Type.Number({ description: `${description}, epoch milliseconds` });
const score = (description: string): TSchema =>
  Type.Number({ minimum: 0, maximum: 1, description });
const text = (bytesMax: number, description: string): TSchema =>
  Type.String({ maxLength: bytesMax, description: `${description}; 1 to ${bytesMax} bytes` });
const orNull = (schema: TSchema, description: string): TSchema =>
  Type.Union([schema, Type.Null()], { description });
const byCategory = (schema: TSchema, description: string): TObject =>
  Type.Object(
    eachCategory(() => schema),
    { description },
  );

export const MessageSchema = Type.Object(
  {
    id: Type.Optional(
      text(EVENT_ID_BYTES_MAX, "Of the message; the same id again replaces what was remembered"),
    ),
    conversation: Type.Optional(
      text(CONVERSATION_BYTES_MAX, "Without one nothing is read or remembered but `context`"),
    ),
    user: Type.Optional(text(USER_BYTES_MAX, "Who says it")),
    role: Type.Optional(text(ROLE_BYTES_MAX, "Of the user, as the policy names it")),
    text: text(TEXT_BYTES_MAX, "What is judged, UTF-8"),
    replyTo: Type.Optional(text(EVENT_ID_BYTES_MAX, "Id of the message that this one answers")),
    language: Type.Optional(text(LANGUAGE_BYTES_MAX, "BCP 47, such as en; left out: detected")),
    context: Type.Optional(
      Type.Array(
        Type.Object({
          id: Type.Optional(Type.String()),
          user: Type.Optional(Type.String()),
          text: Type.String(),
        }),
        {
          description: `What was said before, the oldest first; read instead of what is remembered.
The newest are read: at most ${GIVEN_TURNS_MAX}, and as many as the policy's \`context.turnsMax\``,
        },
      ),
    ),
    tsMs: Type.Optional(
      Type.Number({ minimum: 0, maximum: TS_MS_MAX, description: "When, epoch ms; else: now" }),
    ),
    doNotStore: Type.Optional(
      Type.Boolean({ description: "It leaves no trace: not in the conversation, nor in a queue" }),
    ),
  },
  {
    $id: "Message",
    additionalProperties: false,
    description: "A message to be judged. Unknown fields are refused.",
  },
);

const SpanSchema = Type.Object({
  category: word(CATEGORIES, "Which score it carries"),
  start: count("UTF-16 code units"),
  end: count("The same, exclusive"),
  startCodePoint: count("Code points"),
  endCodePoint: count("The same, exclusive"),
  score: score("How much it carries"),
});

const ContextTurnSchema = Type.Object({
  id: Type.Optional(Type.String()),
  ageMs: Type.Number({ description: "Before the message" }),
  relation: word(["previous", "repliedTo", "sameAuthor", "given"], "Why it was read"),
  toxicity: score("As it was judged when it was said"),
});

/** What is not a failure, and what is. */
const UPSTREAM_OUTCOMES = ["answered", "cached", ...CONSULTATION_FAILURES] as const;

const UpstreamSchema = Type.Object(
  {
    outcome: word(UPSTREAM_OUTCOMES, "answered, cached: the verdict counts it in; else why not"),
    detail: Type.Optional(Type.String({ description: "More on why not" })),
    model: Type.String({ description: "Of the upstream" }),
    waitMs: Type.Number({ description: "How long it was waited for" }),
  },
  { description: "What became of asking the upstream; left out where the policy does not ask it" },
);

export const VerdictSchema = Type.Object(
  {
    id: Type.String({ description: "Stable: feedback, appeals and the audit refer to it" }),
    tenant: Type.String(),
    messageId: Type.Optional(Type.String({ description: "The message's own id" })),
    conversation: Type.Optional(Type.String()),
    user: Type.Optional(Type.String()),
    action: word(ACTIONS, "What is to be done"),
    proposedAction: word(ACTIONS, "What would be done if the policy did not only observe"),
    flagged: Type.Boolean({ description: "Whether action is not allow" }),
    categories: byCategory(Type.Boolean(), "Which are at or over their threshold"),
    scores: byCategory(score("0 to 1"), "Probabilities"),
    thresholds: byCategory(
      orNull(Type.Number(), "null: off"),
      "Those that applied, the leniency of the role included",
    ),
    toxicityAlone: score("Of the message without its conversation"),
    severity: Type.Integer({ minimum: 0, maximum: 100 }),
    spans: Type.Array(SpanSchema, { description: "What the scores stand on" }),
    contextUsed: Type.Array(ContextTurnSchema, { description: "Earlier messages that were read" }),
    reason: Type.String({ description: "One sentence" }),
    language: Type.Object({
      tag: Type.String({ description: "BCP 47 primary tag; und: unknown" }),
      source: word(["given", "detected", "unknown"], "How it is known"),
      support: word(
        ["full", "lists", "none"],
        "full: the classifier; lists: word lists alone, weaker; none: nothing of the language",
      ),
    }),
    listEntry: Type.Optional(
      Type.String({ description: "Of the policy's lists: the entry that was met" }),
    ),
    policy: Type.Object({
      version: count("0: the default"),
      source: word(["default", "tenant"], "Whose it is"),
    }),
    model: Type.String({ description: "Name and version of what judged" }),
    asOfMs: epochMs("When"),
    degraded: Type.Boolean({
      description: "An upstream was to be asked, and its answer is not in the verdict",
    }),
    upstream: Type.Optional(UpstreamSchema),
    warnings: Type.Optional(
      Type.Array(
        Type.Object({
          code: word(["languageUnsupported", "contextShortened"], "Stable"),
          message: Type.String(),
        }),
      ),
    ),
  },
  { $id: "Verdict" },
);

const MessageProblemSchema = Type.Object({
  index: count("Which message of the request, from 0"),
  problem: Type.Object(
    {
      title: Type.String(),
      status: Type.Integer(),
      detail: Type.String(),
      code: Type.String({ description: "Stable" }),
    },
    { additionalProperties: true },
  ),
});

export const VerdictListSchema = Type.Object(
  {
    verdicts: Type.Array(Type.Union([Type.Ref("Verdict#"), MessageProblemSchema]), {
      description: "One a message, in order; a message that cannot be judged has a problem instead",
    }),
    problemCount: count("Messages that were not judged"),
  },
  { $id: "VerdictList" },
);

const ThresholdsSchema = Type.Object({
  flagAt: Type.Optional(orNull(score("0 to 1"), "Flagged from this score on; null: never")),
  blockAt: Type.Optional(orNull(score("0 to 1"), "Blocked from this score on; null: never")),
});
const termSchema = text(POLICY_TERM_BYTES_MAX, "A word or a few; obfuscated spellings count");

const POLICY_FIELDS = {
  categories: Type.Partial(byCategory(ThresholdsSchema, "Thresholds")),
  observeOnly: Type.Boolean({ description: "Everything is allowed; verdicts say what would be" }),
  moderateEvents: Type.Boolean({ description: "Messages of …/events are judged, too" }),
  doNotStore: Type.Boolean({ description: "Texts are not kept" }),
  allowList: Type.Array(Type.Object({ term: termSchema })),
  blockList: Type.Array(
    Type.Object({
      term: termSchema,
      action: Type.Optional(word(["flag", "block"], "Left out: flag")),
    }),
  ),
  roles: Type.Array(
    Type.Object({
      role: text(ROLE_BYTES_MAX, "As messages name it"),
      leniency: Type.Number({ minimum: -1, maximum: 1, description: "Added to every threshold" }),
      exempt: Type.Optional(Type.Boolean({ description: "Never flagged; scored all the same" })),
    }),
  ),
  context: Type.Object({
    turnsMax: Type.Integer({
      minimum: 0,
      maximum: CONTEXT_TURNS_MAX,
      description: "Messages that are read; 0: each stands alone",
    }),
    bytesMax: Type.Integer({
      minimum: 0,
      maximum: CONTEXT_BYTES_MAX,
      description: "Bytes of text that a conversation remembers",
    }),
    ageMsMax: Type.Number({
      minimum: 1_000,
      maximum: CONTEXT_AGE_MS_MAX,
      description: "For how long it does",
    }),
  }),
  consult: Type.Partial(
    Type.Object({
      mode: word(
        CONSULT_MODES,
        "Of which messages the upstream is asked; unsure: near a threshold",
      ),
      below: score("How far below its threshold a score is unsure"),
      above: score("How far above its threshold a score is unsure"),
      weight: score("Of the upstream's scores in the mean with the embedded ones"),
      waitMsMax: Type.Integer({
        minimum: CONSULT_WAIT_MS_MIN,
        maximum: CONSULT_WAIT_MS_MAX,
        description: "The longest a verdict waits for the upstream, milliseconds",
      }),
      guidance: Type.String({
        maxLength: GUIDANCE_BYTES_MAX,
        description: `What is to be judged, in your words to the upstream; at most \
${GUIDANCE_BYTES_MAX} bytes`,
      }),
    }),
    { description: "A language model as a second opinion; of no effect where none is configured" },
  ),
};

export const PolicySchema = Type.Partial(Type.Object(POLICY_FIELDS), {
  $id: "Policy",
  additionalProperties: false,
  description: "Whole or partial: what is left out is as in the default",
});

const PolicyWarningSchema = Type.Object({
  code: word(POLICY_WARNINGS, "Stable"),
  pointer: Type.String({ description: "What is meant (RFC 6901)" }),
  message: Type.String(),
});

export const PolicyRecordSchema = Type.Object(
  {
    tenant: Type.String(),
    version: count("0: the default"),
    source: word(["default", "tenant"], "Whose it is"),
    setAtMs: Type.Optional(epochMs("When it was set")),
    note: Type.Optional(text(POLICY_NOTE_BYTES_MAX, "Why")),
    policy: Type.Ref("Policy#"),
    warnings: Type.Optional(Type.Array(PolicyWarningSchema)),
  },
  { $id: "PolicyRecord" },
);

export const PolicyVersionsSchema = Type.Object(
  {
    tenant: Type.String(),
    current: count("The version in force"),
    versions: Type.Array(Type.Ref("PolicyRecord#"), { description: "The newest first" }),
  },
  { $id: "PolicyVersions" },
);

const ActionCountsSchema = Type.Object(
  { allow: count("Allowed"), flag: count("Flagged"), block: count("Blocked") },
  { description: "Verdicts by proposed action" },
);

export const DryRunSchema = Type.Object(
  {
    tenant: Type.String(),
    verdictCount: count("Past verdicts that were looked at"),
    changedCount: count("Of them: another action, or other categories flagged"),
    unknownCount: count("Of them: scores alone do not tell"),
    actions: Type.Object({ before: ActionCountsSchema, after: ActionCountsSchema }),
    categories: byCategory(
      Type.Object({ flaggedBefore: count("Verdicts"), flaggedAfter: count("Verdicts") }),
      "Flagged then and with the new policy",
    ),
    examples: Type.Array(
      Type.Object({
        id: Type.String({ description: "Of the verdict" }),
        asOfMs: epochMs("When"),
        from: word(ACTIONS, "As it was"),
        to: word(ACTIONS, "As it would be"),
        categories: Type.Array(word(CATEGORIES, "That change")),
      }),
    ),
    notReplayed: Type.Array(word(NOT_REPLAYED, "What differs"), {
      description: "Differences of the policy that cannot be tried on scores",
    }),
    upstreamAsked: Type.Literal(false, {
      description:
        "A dry run asks no language model; where one was asked, its answer is in the scores",
    }),
    warnings: Type.Array(PolicyWarningSchema, { description: "Of the policy" }),
  },
  { $id: "PolicyDryRun" },
);

export const TurnsSchema = Type.Object(
  {
    tenant: Type.String(),
    conversation: Type.String(),
    turns: Type.Array(
      Type.Object({
        id: Type.Optional(Type.String()),
        user: Type.Optional(Type.String()),
        role: Type.Optional(Type.String()),
        tsMs: epochMs("When it was said"),
        text: Type.String({ description: "Empty where it must not be kept" }),
        toxicity: score("As judged"),
        action: word(ACTIONS, "As judged"),
      }),
      { description: "The oldest first" },
    ),
  },
  { $id: "ConversationTurns" },
);

export const MODERATION_SCHEMAS: readonly TObject[] = [
  MessageSchema,
  VerdictSchema,
  VerdictListSchema,
  PolicySchema,
  PolicyRecordSchema,
  PolicyVersionsSchema,
  DryRunSchema,
  TurnsSchema,
];
