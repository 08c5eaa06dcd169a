/** What the reference says of `/v1/moderations`. */
import { MODERATE_COUNT_MAX } from "#model/limits.ts";
import { OPENAI_CATEGORIES } from "#model/openai-moderation.ts";
import { PROBLEMS, type ProblemCode } from "#model/problem.ts";

const ERRORS: readonly ProblemCode[] = [
  "badRequest",
  "textEmpty",
  "textTooLong",
  "textNotUnicode",
  "tenantIllegal",
  "malformedJson",
  "invalidUtf8",
  "crossSite",
  "tenantQuarantined",
  "bodyTooLarge",
  "encodingUnsupported",
  "busy",
  "guestFailed",
  "shardRestarting",
  "stopping",
];

/** Of `application/json`, grouped by status. */
export function foreignErrors(form: { $ref?: string; type?: string }): Record<string, object> {
  const responses: Record<string, object> = {};
  for (const status of new Set(ERRORS.map((code) => PROBLEMS[code].status))) {
    const here = ERRORS.filter((code) => PROBLEMS[code].status === status);
    responses[status] = {
      description: here.map((code) => PROBLEMS[code].title).join(". "),
      content: { "application/json": { schema: form } },
    };
  }
  return responses;
}

const NAMES = Object.keys(OPENAI_CATEGORIES);
const of = (value: (name: string) => unknown): object =>
  Object.fromEntries(NAMES.map((name) => [name, value(name)]));
const maps = (type: object, description: string): object => ({
  type: "object",
  description,
  properties: of(() => type),
  required: NAMES,
});

const EXAMPLE = {
  id: "modr-01KA9Z5N3V8Q2J7R4T6W0X1Y2Z",
  model: "nexuscore-embedded-1+9f2c41d07a3e.51b07c2d",
  results: [
    {
      flagged: true,
      categories: of((name) => name === "harassment"),
      category_scores: of((name) => (name === "harassment" ? 0.93 : 0.02)),
      category_applied_input_types: of((name) => (name.startsWith("illicit") ? [] : ["text"])),
      nexuscore: { action: "flag", reason: 'Insult 0.93 is over the threshold 0.65: "idiot".' },
    },
  ],
};

export const OPENAI_SCHEMA = {
  tags: ["moderation"],
  operationId: "openAiModerations",
  summary: "Judge texts, in the form of OpenAI's moderations",
  description: `For OpenAI's clients, by their base URL alone. The tenant is that of the header
\`x-nexuscore-tenant\`, else of \`OpenAI-Project\`, else \`default\`. Up to ${MODERATE_COUNT_MAX}
texts; images are refused. Beyond the original, \`conversation\`, \`user\` and \`context\` are read,
and each result has \`nexuscore\` with action and reason, and with \`degraded\` where an upstream
was to judge the text and did not. Other fields are ignored. Errors are in OpenAI's form. See
docs/migrate-from-openai.md.`,
  body: {
    type: "object",
    required: ["input"],
    properties: {
      input: {
        oneOf: [
          { type: "string" },
          { type: "array", items: { type: "string" } },
          {
            type: "array",
            items: {
              type: "object",
              properties: { type: { const: "text" }, text: { type: "string" } },
              required: ["type", "text"],
            },
          },
        ],
      },
      model: { type: "string", description: "Any; the answer names what judged" },
      conversation: { type: "string", description: "Read and remembered" },
      user: { type: "string", description: "Who says it" },
      context: {
        type: "array",
        description: "What was said before, the oldest first: texts, or {user, text}",
        items: { oneOf: [{ type: "string" }, { type: "object" }] },
      },
    },
    examples: [{ model: "omni-moderation-latest", input: ["you are an idiot"] }],
  },
  response: {
    200: {
      description: "One result a text",
      content: {
        "application/json": {
          schema: {
            type: "object",
            properties: {
              id: { type: "string" },
              model: { type: "string" },
              results: {
                type: "array",
                items: {
                  type: "object",
                  properties: {
                    flagged: { type: "boolean", description: "By the tenant's policy" },
                    categories: maps({ type: "boolean" }, "Which"),
                    category_scores: maps({ type: "number" }, "0 to 1"),
                    category_applied_input_types: maps(
                      { type: "array", items: { type: "string" } },
                      "Empty: not judged here",
                    ),
                    nexuscore: { type: "object", additionalProperties: true },
                  },
                },
              },
            },
          },
          example: EXAMPLE,
        },
      },
    },
    ...foreignErrors({ type: "object" }),
  },
};
