/**
 * What an upstream may answer, a schema a job, and the reading of it: JSON of that schema about
 * exactly the cases that were asked, and nothing else. What is wrong is said in words of the
 * schema, never of the answer, so that the one repair that is tried repeats nothing a text may
 * have dictated.
 */
import { type Static, type TSchema, Type } from "typebox";
import { Compile } from "typebox/compile";
import type { Job } from "#model/consultation.ts";
import { eachCategory } from "#model/moderation.ts";
import type { StructuredOutput } from "./settings.ts";

const REASON_CHARACTERS_MAX = 300;
const SENTENCE_CHARACTERS_MAX = 240;
const SENTENCES_MAX = 3;
const SUMMARY_CHARACTERS_MAX = 1_200;
const CASE_ID_CHARACTERS_MAX = 16;

const FENCE = "```";

const closed = { additionalProperties: false } as const;
const id = Type.String({ maxLength: CASE_ID_CHARACTERS_MAX });

/** `each`: what is said of one case. */
const answersOf = <Each extends TSchema>(each: Each) =>
  Type.Object({ answers: Type.Array(each) }, closed);

export const JudgementSchema = Type.Object(
  {
    id,
    scores: Type.Object(
      eachCategory(() => Type.Number({ minimum: 0, maximum: 1 })),
      closed,
    ),
    reason: Type.String({ maxLength: REASON_CHARACTERS_MAX }),
  },
  closed,
);
export type Judgement = Static<typeof JudgementSchema>;

const TldrSchema = Type.Object(
  {
    id,
    sentences: Type.Array(Type.String({ minLength: 1, maxLength: SENTENCE_CHARACTERS_MAX }), {
      minItems: 1,
      maxItems: SENTENCES_MAX,
    }),
  },
  closed,
);
export type Tldr = Static<typeof TldrSchema>;

const RollingSchema = Type.Object(
  { id, summary: Type.String({ minLength: 1, maxLength: SUMMARY_CHARACTERS_MAX }) },
  closed,
);
export type Rolling = Static<typeof RollingSchema>;

export type AnswerOf = {
  readonly moderation: Judgement;
  readonly tldr: Tldr;
  readonly rolling: Rolling;
};

const SCHEMAS = {
  moderation: answersOf(JudgementSchema),
  tldr: answersOf(TldrSchema),
  rolling: answersOf(RollingSchema),
} as const;

const VALIDATORS = {
  moderation: Compile(SCHEMAS.moderation),
  tldr: Compile(SCHEMAS.tldr),
  rolling: Compile(SCHEMAS.rolling),
} as const;

/**
 * As they are sent: without the lengths of texts, which some hosted servers refuse in a strict
 * schema, and which others make a grammar of that is slow or too large. They are checked here.
 */
const SENT = {
  moderation: withoutLengths(SCHEMAS.moderation),
  tldr: withoutLengths(SCHEMAS.tldr),
  rolling: withoutLengths(SCHEMAS.rolling),
} as const;

function withoutLengths(schema: TSchema): object {
  const text = JSON.stringify(schema, (name, value: unknown) => {
    return name === "minLength" || name === "maxLength" ? undefined : value;
  });
  return JSON.parse(text) as object;
}

/** `response_format` of a request; undefined: it has none. */
export function responseFormat(job: Job, kind: StructuredOutput): object | undefined {
  if (kind === "none") return undefined;
  if (kind === "object") return { type: "json_object" };
  return { type: "json_schema", json_schema: { name: job, strict: true, schema: SENT[job] } };
}

/** `problem`: what is wrong with it, for the upstream and for the log. */
export type Reading<J extends Job> =
  | { readonly answers: readonly AnswerOf[J][] }
  | { readonly problem: string };

/**
 * `ids`: the cases that were asked; at most a few. The answers are theirs, one each and in their
 * order. A server that knows nothing of structured output (`none`) may put the JSON in a fenced
 * block of code, with nothing around it.
 */
export function readAnswers<J extends Job>(
  job: J,
  content: string,
  ids: readonly string[],
  kind: StructuredOutput = "schema",
): Reading<J> {
  let value: unknown;
  try {
    value = JSON.parse(kind === "none" ? unfenced(content) : content);
  } catch {
    return { problem: "The answer is not JSON. Answer with one JSON object and nothing else." };
  }
  const validator = VALIDATORS[job];
  if (!validator.Check(value)) return { problem: problemOf(validator.Errors(value)) };
  // No Map: a text that is looked up in one is entered in V8's table of all texts first.
  const answers = ids.map((): AnswerOf[J] | undefined => undefined);
  for (const answer of value.answers) {
    const place = ids.indexOf(answer.id);
    if (place === -1) return { problem: "An answer has an id that is no case's." };
    if (answers[place] !== undefined) {
      return { problem: `The case ${answer.id} has two answers.` };
    }
    answers[place] = answer as unknown as AnswerOf[J];
  }
  const missing = answers.indexOf(undefined);
  if (missing !== -1) return { problem: `The case ${ids[missing]} has no answer.` };
  return { answers: answers as AnswerOf[J][] };
}

function unfenced(content: string): string {
  const text = content.trim();
  const from = text.indexOf("\n");
  if (!text.endsWith(FENCE) || from === -1) return content;
  const opening = text.slice(0, from).trim();
  return opening === FENCE || opening === `${FENCE}json`
    ? text.slice(from, -FENCE.length)
    : content;
}

/** The first error, by its place in the schema. */
function problemOf(errors: readonly { readonly schemaPath: string; readonly keyword: string }[]) {
  const first = errors[0];
  if (first === undefined) return "The answer is not of the schema.";
  const place = first.schemaPath.replace(/^#\/?/, "") || "the whole";
  return `The answer is not of the schema: "${first.keyword}" fails at ${place}.`;
}
