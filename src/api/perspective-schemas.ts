/** What the reference says of `comments:analyze` and `comments:suggestscore`. */
import { TEXT_BYTES_MAX } from "#model/limits.ts";
import { ATTRIBUTE_NAMES } from "#model/perspective.ts";
import { foreignErrors } from "./openai-schema.ts";

const TEXT_ENTRY = {
  type: "object",
  required: ["text"],
  properties: {
    text: { type: "string", description: `At most ${TEXT_BYTES_MAX} bytes of UTF-8` },
    type: { type: "string", enum: ["PLAIN_TEXT", "HTML"] },
  },
} as const;

const SCORE = {
  type: "object",
  properties: { value: { type: "number" }, type: { type: "string" } },
} as const;

const ATTRIBUTE_SCORES = {
  type: "object",
  description: "By attribute",
  additionalProperties: {
    type: "object",
    properties: {
      summaryScore: SCORE,
      spanScores: {
        type: "array",
        items: {
          type: "object",
          properties: {
            begin: { type: "integer", description: "UTF-16 code units of the original text" },
            end: { type: "integer", description: "The same, exclusive" },
            score: SCORE,
          },
        },
      },
    },
  },
} as const;

const CONTEXT = {
  type: "object",
  description: "What was said before, the oldest first. It is read",
  properties: { entries: { type: "array", items: TEXT_ENTRY } },
} as const;

const COMMON = {
  comment: TEXT_ENTRY,
  context: CONTEXT,
  languages: { type: "array", items: { type: "string" }, description: "Left out: detected" },
  communityId: { type: "string", description: "Whose it is: the tenant" },
  clientToken: { type: "string", description: "Sent back as it came" },
  sessionId: { type: "string" },
} as const;

const ERROR = { type: "object" };

export const ANALYZE_SCHEMA = {
  tags: ["moderation"],
  summary: "Judge a comment, in the form of Perspective",
  description: `For Perspective's clients, by their address alone; \`?key=\` is accepted and neither
checked nor logged. The tenant is that of the path, else \`communityId\`, else \`default\`.
Attributes:
${ATTRIBUTE_NAMES.join(", ")}. Unknown fields are ignored. Errors are in
the form of Google's APIs. See docs/migrate-from-perspective.md.`,
  body: {
    type: "object",
    required: ["comment", "requestedAttributes"],
    properties: {
      ...COMMON,
      requestedAttributes: {
        type: "object",
        additionalProperties: {
          type: "object",
          properties: {
            scoreType: { type: "string", enum: ["PROBABILITY"] },
            scoreThreshold: { type: "number", description: "Lower scores are left out" },
          },
        },
      },
      spanAnnotations: { type: "boolean", description: "Which words carry the scores" },
      doNotStore: { type: "boolean", description: "It leaves no trace" },
      dropUnsupportedAttributes: { type: "boolean", description: "Left out instead of refused" },
    },
    examples: [
      {
        comment: { text: "you are an idiot" },
        languages: ["en"],
        requestedAttributes: { TOXICITY: {} },
      },
    ],
  },
  response: {
    200: {
      description: "The scores",
      content: {
        "application/json": {
          schema: {
            type: "object",
            properties: {
              attributeScores: ATTRIBUTE_SCORES,
              languages: { type: "array", items: { type: "string" } },
              detectedLanguages: { type: "array", items: { type: "string" } },
              clientToken: { type: "string" },
            },
          },
          example: {
            attributeScores: {
              TOXICITY: {
                spanScores: [{ begin: 0, end: 16, score: { value: 0.93, type: "PROBABILITY" } }],
                summaryScore: { value: 0.93, type: "PROBABILITY" },
              },
            },
            languages: ["en"],
            detectedLanguages: ["en"],
          },
        },
      },
    },
    ...foreignErrors(ERROR),
  },
};

export const SUGGEST_SCHEMA = {
  tags: ["moderation"],
  summary: "Say what a comment should have scored, in the form of Perspective",
  description: "A label for the tenant's moderators; nothing learns from it by itself.",
  body: {
    type: "object",
    required: ["comment", "attributeScores"],
    properties: { ...COMMON, attributeScores: ATTRIBUTE_SCORES },
    examples: [
      {
        comment: { text: "get busy living, or get busy dying" },
        attributeScores: { TOXICITY: { summaryScore: { value: 0 } } },
        communityId: "/forum/movies",
        clientToken: "comment-53922",
      },
    ],
  },
  response: {
    200: {
      description: "Taken",
      content: {
        "application/json": {
          schema: { type: "object", properties: { clientToken: { type: "string" } } },
          example: { clientToken: "comment-53922" },
        },
      },
    },
    ...foreignErrors(ERROR),
  },
};
