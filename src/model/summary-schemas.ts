/** The JSON of summaries, conversations and merges as JSON Schema. See schemas.ts. */
import { type TObject, type TSchema, Type } from "typebox";
import { CONSULTATION_FAILURES } from "./consultation.ts";
import { WINDOWS } from "./window.ts";

const count = (description: string): TSchema => Type.Integer({ minimum: 0, description });
const number = (description: string): TSchema => Type.Number({ description });
const epochMs = (description: string): TSchema => number(`${description}, epoch milliseconds`);
const errorOf = "Relative standard error; 0: exact";
const word = <T extends string>(texts: readonly T[], description: string): TSchema =>
  Type.Unsafe<T>({ type: "string", enum: [...texts], description });
const orNull = (description: string): TSchema =>
  Type.Union([Type.Number(), Type.Null()], { description });

const WindowSchema = Type.Object({
  name: word(WINDOWS, "Which window"),
  startMs: epochMs("Start"),
  endMs: epochMs("End"),
});

const quantile = (name: string): TSchema =>
  Type.Object({
    value: number("Within the relative error of the sample at this rank"),
    low: orNull("The true quantile is at least this, with high, in 95 of 100 cases; null: open"),
    high: orNull("and at most this; null: the samples set no bound"),
    label: word([name, "max"], "What value is; max: of too few samples no more can be said"),
  });

const MetricSchema = Type.Object({
  count: count("Samples"),
  sum: orNull("Of the samples; null: beyond what a number holds"),
  mean: orNull("Of the samples"),
  stddev: orNull("Standard deviation of the samples (squares divided by n)"),
  min: number("Least sample, exact"),
  max: number("Greatest sample, exact"),
  relativeError: number("Of every quantile above collapsedBelow: 0.01 is 1 %"),
  collapsedBelow: Type.Optional(number("Quantiles up to here are only known to be at most this")),
  shortened: Type.Boolean({
    description: "Older samples are missing: for want of room, or from before the window was kept",
  }),
  n: count("Samples that the quantiles stand on"),
  p50: quantile("p50"),
  p90: quantile("p90"),
  p99: quantile("p99"),
  p999: quantile("p999"),
});

const MetricsSchema = Type.Record(Type.String(), MetricSchema, {
  description: "By name; those without a sample in the window are not there",
});

const TermSchema = Type.Object({
  term: Type.String(),
  count: count("Weight of the events with the term, repeats left out; the lower bound"),
  countLow: count("The true count is at least this"),
  countHigh: orNull("The true count is at most this; null: no bound is known"),
  exact: Type.Boolean({ description: "Whether count is the true count" }),
});

const LineSchema = Type.Object({
  kind: word(["said", "question", "decision"], "How the line reads"),
  user: Type.Optional(Type.String({ description: "Who said it" })),
  eventId: Type.Optional(Type.String({ description: "The event that is quoted" })),
  tsMs: epochMs("When it was said"),
  text: Type.String(),
});

const TextSchema = Type.Object({
  text: Type.String({ description: "Who said what, as one paragraph; the same in every window" }),
  lines: Type.Array(LineSchema, { description: "What the text stands on, in order of time" }),
  openQuestions: Type.Array(LineSchema),
  decisions: Type.Array(LineSchema),
  revision: count("Rises with every change of the text"),
  generatedBy: word(["extractive"], "Who wrote it"),
  degraded: Type.Boolean(),
});

const LateSchema = Type.Object({
  count: count("Events whose 60 s window had passed when they came, since the tenant began"),
  lateByMsMax: number("How late the latest of them was, milliseconds"),
  byLateness: Type.Array(
    Type.Object({ upToMs: orNull("null: later than all before"), count: count("Events") }),
  ),
  countedInLonger: count(
    "Of them: those that the 24 h still held; the others count in `all` alone",
  ),
  examples: Type.Array(
    Type.Object({
      eventId: Type.Optional(Type.String()),
      tsMs: epochMs("What it said"),
      lateByMs: number("Behind the watermark, milliseconds"),
    }),
  ),
});

export const SummarySchema = Type.Object(
  {
    tenant: Type.String(),
    asOfMs: epochMs("The tenant's clock"),
    watermarkMs: epochMs("The newest event time that moved the window"),
    window: WindowSchema,
    eventCount: count("Events in the window"),
    weightSum: number("Of the weights of the events"),
    userCount: number("Distinct users in the window"),
    userCountError: number(errorOf),
    duplicateCount: count("Since the tenant began: an id seen lately"),
    repeatedCount: count("Since the tenant began: the same user lately said the same"),
    rates: Type.Array(
      Type.Object({
        spanMs: number("Time constant, milliseconds"),
        overMs: number("What it is over: spanMs, or the age of the stream while that is less"),
        perSecond: number("Events a second, exponentially weighted"),
      }),
    ),
    metrics: MetricsSchema,
    metricsRefused: count("Samples of one metric name too many, since the tenant began"),
    topTerms: Type.Array(TermSchema),
    text: TextSchema,
    late: LateSchema,
  },
  { $id: "Summary" },
);

const CONVERSATION = {
  id: Type.String(),
  eventCount: count("Events since it was first seen"),
  userCount: count("Distinct users"),
  userCountError: number(errorOf),
  firstMs: epochMs("First event"),
  lastMs: epochMs("Newest event"),
  late: Type.Boolean({ description: "Whether it has had events that came late" }),
};

export const ConversationListSchema = Type.Object(
  {
    tenant: Type.String(),
    conversations: Type.Array(Type.Object(CONVERSATION), { description: "Newest event first" }),
  },
  { $id: "ConversationList" },
);

const RefinedSchema = Type.Object(
  {
    text: Type.Optional(Type.String({ description: "Left out: there is none yet" })),
    revision: Type.Optional(count("Revision of the text above that it was written from")),
    upToMs: Type.Optional(epochMs("The newest event that it knows of")),
    generatedBy: Type.Optional(Type.String({ description: "The model that wrote it" })),
    degraded: Type.Boolean({ description: "Whether the last try to write one failed" }),
    reason: Type.Optional(word(CONSULTATION_FAILURES, "Why")),
  },
  {
    description: `The conversation in the words of a language model, beside the text above, which
stands whatever becomes of it. Left out where none is asked`,
  },
);

export const ConversationSchema = Type.Object(
  {
    tenant: Type.String(),
    ...CONVERSATION,
    participants: Type.Array(
      Type.Object({
        user: Type.String(),
        eventCount: count("Events of theirs; if not exact, at least so many"),
        exact: Type.Boolean({ description: "Whether eventCount is the true count" }),
      }),
      { description: "At most 8, who is known to have said most first" },
    ),
    text: TextSchema,
    refined: Type.Optional(RefinedSchema),
  },
  { $id: "Conversation" },
);

export const MergedSummarySchema = Type.Object(
  {
    window: Type.Object({
      name: word(WINDOWS, "Which window"),
      startMs: orNull("Earliest start, epoch milliseconds; null: nothing was merged"),
      endMs: orNull("Latest end, epoch milliseconds; null: nothing was merged"),
    }),
    tenantCount: count("Tenants in the merge"),
    tenants: Type.Array(Type.String(), { description: "The first 100 of them" }),
    unknown: Type.Array(Type.String(), { description: "Tenants that there are not" }),
    omittedCount: count("Tenants that could not be merged"),
    omitted: Type.Array(Type.Object({ tenant: Type.String(), code: Type.String() }), {
      description: "The first 100 of them, each with the code of its problem",
    }),
    sketchCount: count("Sketches of the request in the merge"),
    eventCount: count("Events in the windows"),
    weightSum: number("Of the weights of the events"),
    userCount: number("Distinct users over all; one who is in two tenants counts once"),
    userCountError: number(errorOf),
    lateCount: count("Events that came late"),
    duplicateCount: count("An id seen lately"),
    repeatedCount: count("The same user lately said the same"),
    metrics: MetricsSchema,
    metricsRefused: count("Samples of one metric name too many"),
    topTerms: Type.Array(TermSchema, { description: "Intervals are sums of intervals" }),
  },
  { $id: "MergedSummary" },
);

export const SUMMARY_SCHEMAS: readonly TObject[] = [
  SummarySchema,
  ConversationListSchema,
  ConversationSchema,
  MergedSummarySchema,
];
