/** The JSON of the review queue and of webhooks as JSON Schema. See schemas.ts. */
import { type TObject, type TSchema, Type } from "typebox";
import { CONSULTATION_FAILURES } from "./consultation.ts";
import { RETENTION_DAYS_MAX } from "./limits.ts";
import { CATEGORIES } from "./moderation.ts";
import { DECISIONS, REVIEW_STATES, WEBHOOK_EVENTS } from "./review.ts";

const word = <T extends string>(texts: readonly T[], description: string): TSchema =>
  Type.Unsafe<T>({ type: "string", enum: [...texts], description });
const count = (description: string): TSchema => Type.Integer({ minimum: 0, description });
const epochMs = (description: string): TSchema =>
  Type.Number({ description: `${description}, epoch milliseconds` });
const maybe = Type.Optional;
const some = (description: string): TSchema => Type.Optional(Type.String({ description }));

const DecisionRecordSchema = Type.Object({
  decision: word(DECISIONS, "What was decided"),
  moderator: Type.String(),
  reason: some("Why"),
  atMs: epochMs("When"),
});

const ITEM_FIELDS = {
  tenant: Type.String(),
  id: Type.String({ description: "Stable" }),
  version: count("Rises with every change; for If-Match"),
  state: word(REVIEW_STATES, "pending and appealed ones wait"),
  escalated: Type.Boolean({ description: "Somebody left it to somebody else" }),
  severity: Type.Integer({ minimum: 0, maximum: 100, description: "Of the worst verdict" }),
  action: maybe(word(["flag", "block"], "Of the verdict; missing: people reported it")),
  categories: Type.Array(word(CATEGORIES, "Flagged by the verdict")),
  verdictId: some("Of the first verdict"),
  messageId: some("Of the message"),
  conversation: some("Of the message"),
  user: some("Who said it"),
  language: some("Of the text"),
  text: some("What was said; missing where the policy keeps no texts"),
  verdictCount: count("Times it was flagged"),
  reportCount: count("People who reported it"),
  appealCount: count("Appeals"),
  degraded: Type.Boolean({ description: "An upstream was to judge a message of it, and did not" }),
  createdAtMs: epochMs("Since when it is in the queue"),
  updatedAtMs: epochMs("Last change"),
  claim: maybe(Type.Object({ moderator: Type.String(), endsAtMs: epochMs("When it waits again") })),
  decision: maybe(DecisionRecordSchema),
};

export const ReviewSchema = Type.Object(ITEM_FIELDS, { $id: "Review" });

const AuthorFields = {
  user: Type.String(),
  flaggedCount: count("Verdicts that flagged"),
  blockedCount: count("Verdicts that blocked"),
  decisions: Type.Record(Type.String(), count("Items"), {
    description: "By the decision that stands",
  }),
  verdicts: Type.Array(Type.Object({}, { additionalProperties: true }), {
    description: "The newest first",
  }),
  items: Type.Array(Type.Object({}, { additionalProperties: true }), {
    description: "The newest first",
  }),
};
export const AuthorHistorySchema = Type.Object(AuthorFields, { $id: "AuthorHistory" });

const AuditLineSchema = Type.Object({
  seq: count("Rises"),
  atMs: epochMs("When"),
  actor: some("A moderator"),
  action: Type.String({ description: "What happened" }),
  itemId: some("To which item"),
  detail: Type.Object({}, { additionalProperties: true }),
});

export const ReviewDetailSchema = Type.Object(
  {
    ...ITEM_FIELDS,
    verdict: maybe(Type.Ref("Verdict#")),
    context: Type.Array(Type.Object({}, { additionalProperties: true }), {
      description: "What was remembered of the conversation before it, the oldest first",
    }),
    reports: Type.Array(
      Type.Object({ reporter: some("Who"), reason: some("Why"), atMs: epochMs("When") }),
    ),
    decisions: Type.Array(DecisionRecordSchema, { description: "All, the oldest first" }),
    appeals: Type.Array(
      Type.Object({ by: Type.String(), reason: Type.String(), atMs: epochMs("When") }),
    ),
    author: maybe(Type.Ref("AuthorHistory#")),
    audit: Type.Array(AuditLineSchema, { description: "The oldest first" }),
  },
  { $id: "ReviewDetail" },
);

export const ReviewPageSchema = Type.Object(
  {
    total: count("Items that match"),
    items: Type.Array(Type.Ref("Review#"), { description: "The worst first, then the oldest" }),
    nextCursor: some("For the next page; missing: this is the last"),
  },
  { $id: "ReviewPage" },
);

export const ReviewClaimSchema = Type.Object(
  { items: Type.Array(Type.Ref("Review#"), { description: "Those you have now" }) },
  { $id: "ReviewClaim" },
);

export const ReviewStatsSchema = Type.Object(
  {
    states: Type.Record(Type.String(), count("Items")),
    oldestWaitingMs: maybe(epochMs("Since when the oldest waits")),
    decisions: Type.Record(Type.String(), count("Items by the decision that stands")),
    overturnedCount: count("Decided otherwise after an appeal"),
    precision: Type.Record(
      Type.String(),
      Type.Object({
        removedCount: count("Flagged, and people removed it"),
        approvedCount: count("Flagged, and people approved it"),
        precision: Type.Union([Type.Number(), Type.Null()]),
      }),
      { description: "By category: how often people agreed with the verdict" },
    ),
    lostCount: count("Flagged verdicts that found no room in the queue"),
    notReviewedCount: count("Messages that an upstream was to judge and did not, as listed"),
  },
  { $id: "ReviewStats" },
);

export const NotReviewedPageSchema = Type.Object(
  {
    total: count("Messages that match"),
    messages: Type.Array(
      Type.Object({
        id: Type.String({ description: "Of the verdict; without one it was to leave no trace" }),
        outcome: word(
          CONSULTATION_FAILURES,
          "Why; interrupted: the process ended meanwhile, so perhaps nobody was answered",
        ),
        asOfMs: epochMs("When it was judged without the upstream"),
        reviewId: some("Its item in the queue, if it was flagged"),
        text: some("What was said; missing where the policy keeps no texts"),
        verdict: maybe(Type.Ref("Verdict#")),
      }),
      { description: "The newest first" },
    ),
    nextBefore: maybe(count("For the next page; missing: this is the last")),
  },
  { $id: "NotReviewedPage" },
);

export const AuditPageSchema = Type.Object(
  {
    lines: Type.Array(AuditLineSchema, { description: "The newest first" }),
    nextBefore: maybe(count("For the next page; missing: this is the last")),
  },
  { $id: "AuditPage" },
);

const days = (description: string): TSchema =>
  Type.Integer({ minimum: 1, maximum: RETENTION_DAYS_MAX, description });

export const RetentionSchema = Type.Object(
  {
    verdicts: days("Days that verdicts and callers' labels are kept"),
    decided: days("Days that decided items and their labels are kept"),
    audit: days("Days that the audit log is kept"),
  },
  { $id: "Retention", additionalProperties: false },
);

export const ErasedSchema = Type.Object(
  {
    verdictCount: count("Verdicts deleted"),
    itemCount: count("Items deleted"),
    labelCount: count("Labels deleted"),
  },
  { $id: "Erased" },
);

const DeliverySchema = Type.Object({
  id: Type.String({ description: "The webhook-id" }),
  event: Type.String(),
  state: word(["waiting", "delivered", "gaveUp"], "What became of it"),
  attemptCount: count("Attempts"),
  createdAtMs: epochMs("When it happened"),
  dueAtMs: maybe(epochMs("When it is tried next")),
  status: maybe(Type.Integer({ description: "Of the last answer" })),
  error: some("Of the last attempt"),
});

export const WebhookSchema = Type.Object(
  {
    id: Type.String(),
    url: Type.String(),
    events: Type.Array(word(WEBHOOK_EVENTS, "What it is told")),
    enabled: Type.Boolean(),
    disabledReason: some("Why it was disabled"),
    failureCount: count("Failed attempts in a row"),
    waitingCount: count("Deliveries that wait"),
    deliveredCount: count("Delivered"),
    gaveUpCount: count("Given up"),
    lostCount: count("Found no room"),
    createdAtMs: epochMs("When it was made"),
    updatedAtMs: epochMs("Last change"),
    deliveries: Type.Array(DeliverySchema, { description: "The newest first" }),
    secret: some("Only in the answer that made it"),
  },
  { $id: "Webhook" },
);

export const WebhookListSchema = Type.Object(
  { webhooks: Type.Array(Type.Ref("Webhook#")) },
  { $id: "WebhookList" },
);

export const WebhookTestSchema = Type.Object(
  {
    status: maybe(Type.Integer({ description: "Of the answer; missing: there was none" })),
    error: some("Missing: it was delivered"),
    tookMs: Type.Number(),
  },
  { $id: "WebhookTest" },
);

export const REVIEW_SCHEMAS: readonly TObject[] = [
  ReviewSchema,
  AuthorHistorySchema,
  ReviewDetailSchema,
  ReviewPageSchema,
  ReviewClaimSchema,
  ReviewStatsSchema,
  NotReviewedPageSchema,
  AuditPageSchema,
  RetentionSchema,
  ErasedSchema,
  WebhookSchema,
  WebhookListSchema,
  WebhookTestSchema,
];
