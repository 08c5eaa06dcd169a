/**
 * The public JSON shapes as JSON Schema: what the API reference shows, what the tests hold the
 * answers to. Each has an `$id`, its name in `#/components/schemas`.
 */
import { BACKUP_SCHEMAS } from "./backup.ts";
import { CONSULTATION_FAILURES } from "./consultation.ts";
import { EVENT_ERRORS } from "./event-error.ts";
import {
  CONVERSATION_BYTES_MAX,
  EVENT_ID_BYTES_MAX,
  METRIC_COUNT_MAX,
  TENANT_ID_BYTES_MAX,
  TERM_COUNT_MAX,
  TEXT_BYTES_MAX,
  TS_MS_MAX,
  USER_BYTES_MAX,
  WEIGHT_MAX,
} from "./limits.ts";
import { INSPECTION_SCHEMAS } from "./inspection.ts";
import { LLM_SCHEMAS } from "./llm-schemas.ts";
import { MODERATION_SCHEMAS } from "./moderation-schemas.ts";
import { PROBLEMS, type ProblemCode } from "./problem.ts";
import { QUOTA_SCHEMAS } from "./quota-schemas.ts";
import { REVIEW_SCHEMAS } from "./review-schemas.ts";
import { ACK_MODES } from "./storage.ts";
import { SUMMARY_SCHEMAS } from "./summary-schemas.ts";
import { WINDOWS } from "./window.ts";
import { WARNINGS } from "./warning.ts";
import { Type, type TObject, type TSchema } from "typebox";

const count = (description: string): TSchema => Type.Integer({ minimum: 0, description });
const epochMs = (description: string): TSchema =>
  Type.Number({ description: `${description}, epoch milliseconds` });
const words = <T extends string>(texts: readonly T[], options: object = {}): TSchema =>
  Type.Unsafe<T>({ type: "string", enum: [...texts], ...options });

export const TenantIdSchema = Type.String({
  pattern: `^[A-Za-z0-9._:-]{1,${TENANT_ID_BYTES_MAX}}$`,
  description: `1 to ${TENANT_ID_BYTES_MAX} of A-Z a-z 0-9 . _ : -`,
  examples: ["acme.general"],
});

/** Of a path; `requireTenantId` checks it, so that its problem has the code `tenantIllegal`. */
export const TENANT_PARAMS = {
  type: "object",
  properties: {
    tenant: {
      type: "string",
      description: `1 to ${TENANT_ID_BYTES_MAX} of A-Z a-z 0-9 . _ : -`,
      examples: ["acme"],
    },
  },
  required: ["tenant"],
} as const;

export type TenantParams = { Params: { tenant: string } };

const EventErrorSchema = Type.Object({
  index: count("Which event of the request, from 0"),
  code: words(EVENT_ERRORS.map((error) => error.code)),
  message: Type.String(),
});

const WarningSchema = Type.Object({
  index: count("Which event of the request, from 0"),
  code: words(WARNINGS.map((warning) => warning.code)),
  message: Type.String(),
});

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: "about:blank; `code` tells the kind" }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "What is wrong, which, and what would be right" }),
    instance: Type.String({ description: "The path of the request" }),
    code: words(Object.keys(PROBLEMS), { description: "Stable; branch on this" }),
    errors: Type.Optional(Type.Array(Type.Object({}, { additionalProperties: true }))),
  },
  { $id: "Problem", description: "RFC 9457 problem document", additionalProperties: true },
);

export const EventSchema = Type.Object(
  {
    id: Type.Optional(
      Type.String({ maxLength: EVENT_ID_BYTES_MAX, description: "Sent twice, counted once" }),
    ),
    tenant: Type.Optional(TenantIdSchema),
    conversation: Type.Optional(Type.String({ maxLength: CONVERSATION_BYTES_MAX })),
    user: Type.Optional(Type.String({ maxLength: USER_BYTES_MAX })),
    tsMs: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: TS_MS_MAX,
        description: "When it was said, epoch milliseconds; without it: now",
      }),
    ),
    text: Type.Optional(Type.String({ maxLength: TEXT_BYTES_MAX })),
    terms: Type.Optional(Type.Array(Type.String(), { maxItems: TERM_COUNT_MAX })),
    metrics: Type.Optional(
      Type.Record(Type.String(), Type.Number(), { maxProperties: METRIC_COUNT_MAX }),
    ),
    weight: Type.Optional(Type.Integer({ minimum: 1, maximum: WEIGHT_MAX })),
  },
  {
    $id: "Event",
    additionalProperties: true,
    description: "At least one of text, terms and metrics. Unknown fields are ignored.",
    examples: [{ id: "m1", user: "ada", conversation: "general", text: "the boss fight is on!" }],
  },
);

export const EventsAnswerSchema = Type.Object(
  {
    ack: words(ACK_MODES, {
      description: "Where they are: on disk, in memory and soon on disk, or in memory alone",
    }),
    accepted: count("Events taken, late and duplicate ones included"),
    rejected: count("Events refused, each for the reason in `errors`"),
    late: count("Of the accepted: older than the 60 s window, counted in the longer ones"),
    duplicates: count("Of the accepted: an id seen lately, not counted again"),
    errors: Type.Array(EventErrorSchema, { description: "The first 100" }),
    warnings: Type.Optional(
      Type.Array(WarningSchema, {
        description: "Of accepted events: what of them did not count. The first 100",
      }),
    ),
  },
  {
    $id: "EventsAnswer",
    examples: [
      {
        ack: "disk",
        accepted: 2,
        rejected: 1,
        late: 0,
        duplicates: 0,
        errors: [{ index: 1, code: "malformedJson", message: "Not valid JSON" }],
      },
    ],
  },
);

const TrendItemSchema = Type.Object({
  term: Type.String(),
  count: count("Events of the window with the term; the lower bound"),
  countLow: count("The true count is at least this"),
  countHigh: count("The true count is at most this"),
  exact: Type.Boolean({ description: "Whether count is the true count" }),
  trending: Type.Boolean({ description: "Stands out from its past, said by several users" }),
  expected: Type.Number({ description: "What the window would hold at the term's usual rate" }),
  significance: Type.Number({ description: "(count - expected) in usual deviations" }),
  userCount: count("Distinct users of the term"),
  userCountError: Type.Number({ description: "Relative standard error; 0: exact" }),
  firstSeenMs: epochMs("First seen"),
  sample: Type.String({ description: "A recent message with the term, or empty" }),
});

export const TrendingSchema = Type.Object(
  {
    tenant: TenantIdSchema,
    asOfMs: epochMs("The tenant's clock"),
    window: Type.Object({ startMs: epochMs("Start"), endMs: epochMs("End") }),
    eventCount: count("Events in the window"),
    userCount: count("Distinct users in the window"),
    userCountError: Type.Number({ description: "Relative standard error; 0: exact" }),
    lateCount: count("Since the tenant began: too old for the window"),
    duplicateCount: count("Since the tenant began: an id seen lately"),
    repeatedCount: count("Since the tenant began: the same user lately said the same"),
    items: Type.Array(TrendItemSchema),
    tldr: Type.Object({
      text: Type.String({ description: "The sentences, joined" }),
      sentences: Type.Array(
        Type.Object({
          text: Type.String(),
          eventId: Type.Optional(Type.String({ description: "The event that is quoted" })),
        }),
      ),
      generatedBy: Type.String({
        description: "extractive: chosen from what was said; else the model that wrote it",
      }),
      degraded: Type.Boolean({ description: "Whether a model should have written it and did not" }),
      reason: Type.Optional(words(CONSULTATION_FAILURES, { description: "Why; with degraded" })),
    }),
  },
  { $id: "Trending" },
);

export const TenantSchema = Type.Object(
  {
    tenant: TenantIdSchema,
    shard: count("The thread that holds the tenant"),
    clock: words(["wall", "event"]),
    windows: Type.Array(words(WINDOWS), { description: "The windows of its summaries" }),
    state: words(["live", "quarantined"]),
    eventCount: count("Events counted since the tenant began"),
    lateCount: count("Too old for the window"),
    duplicateCount: count("An id seen lately"),
    repeatedCount: count("The same user lately said the same"),
    rejectedCount: count("Refused"),
    lastEventMs: epochMs("Host time of the last accepted event, 0 before the first"),
    imageBytes: count("Bytes of memory"),
    component: Type.String({ description: "SHA-256 of the component it runs, 12 digits of it" }),
    strikeCount: count("Failed turns of its component"),
    lastFailure: Type.Optional(Type.String({ description: "How the last failed turn ended" })),
  },
  { $id: "Tenant" },
);

export const TenantListSchema = Type.Object(
  { total: count("Tenants that match"), tenants: Type.Array(Type.Ref("Tenant#")) },
  { $id: "TenantList" },
);

export const SCHEMAS: readonly TObject[] = [
  ProblemSchema,
  EventSchema,
  EventsAnswerSchema,
  TrendingSchema,
  TenantSchema,
  TenantListSchema,
  ...SUMMARY_SCHEMAS,
  ...MODERATION_SCHEMAS,
  ...REVIEW_SCHEMAS,
  ...LLM_SCHEMAS,
  ...BACKUP_SCHEMAS,
  ...QUOTA_SCHEMAS,
  ...INSPECTION_SCHEMAS,
];

/** Documents the problems of a route, grouped by status, with one example a code. */
export function problemResponses(...codes: readonly ProblemCode[]): Record<string, object> {
  const responses: Record<string, object> = {};
  for (const status of new Set(codes.map((code) => PROBLEMS[code].status))) {
    const here = codes.filter((code) => PROBLEMS[code].status === status);
    responses[status] = {
      description: here.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join(". "),
      content: {
        "application/problem+json": {
          schema: { $ref: "Problem#" },
          examples: Object.fromEntries(here.map((code) => [code, { value: exampleOf(code) }])),
        },
      },
    };
  }
  return responses;
}

function exampleOf(code: ProblemCode): object {
  const { status, title } = PROBLEMS[code];
  const instance = "/v1/tenants/acme/events";
  return { type: "about:blank", title, status, detail: `${title}.`, instance, code };
}
