/** `POST /v1/tenants/{tenant}/moderate`: verdicts on one message or many. */
import type { EngineDoor } from "#engine/door.ts";
import { MODERATE_BODY_BYTES_MAX, MODERATE_COUNT_MAX, TEXT_BYTES_MAX } from "#model/limits.ts";
import { isObject, messageOf } from "#model/moderation-input.ts";
import type { ModerationRequest } from "#model/moderation.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import {
  messageProblem,
  verdictAnswer,
  type VerdictAnswer,
  type VerdictsAnswer,
} from "#model/verdict-answer.ts";
import type { FastifyPluginAsync, FastifyRequest } from "fastify";
import { bodyOf, linesOf, mediaTypeOf, parseJson, sayLimit, takeBytes } from "./json-body.ts";
import {
  DEGRADED_VERDICT_EXAMPLE,
  MESSAGE_EXAMPLE,
  REVIEWED_EXAMPLE,
  VERDICT_EXAMPLE,
} from "./moderation-examples.ts";

const NDJSON_TYPES = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
  "application/jsonlines",
]);

export function moderateRoutes(engine: EngineDoor): FastifyPluginAsync {
  return async (server) => {
    takeBytes(server);
    sayLimit(server, MODERATE_BODY_BYTES_MAX);
    server.post<TenantParams>(
      "/v1/tenants/:tenant/moderate",
      {
        bodyLimit: MODERATE_BODY_BYTES_MAX,
        config: { access: "judge" },
        schema: SCHEMA,
        onRequest: async (request) => engine.checkQuota(requireTenantId(request.params.tenant)),
      },
      async (request, reply) => {
        const { tenant } = request.params;
        const { single, entries } = entriesOf(request);
        const answer = single
          ? await judgeOne(engine, tenant, entries[0]!)
          : await judgeMany(engine, tenant, entries);
        return reply.header("cache-control", "no-store").send(answer);
      },
    );
  };
}

/** What stands for one message: the value, or what was wrong with it before it was one. */
type Entry = { readonly value: unknown } | { readonly problem: Problem };

type Entries = { readonly single: boolean; readonly entries: readonly Entry[] };

function entriesOf(request: FastifyRequest): Entries {
  const body = bodyOf(request);
  const mediaType = mediaTypeOf(request);
  if (NDJSON_TYPES.has(mediaType)) return ofLines(body);
  if (mediaType === "application/json" || mediaType.endsWith("+json")) {
    return ofValue(parseJson(body));
  }
  if (mediaType !== "" && mediaType !== "text/plain") throw unsupported(mediaType);
  // It does not say what it is: one JSON value, or one a line.
  try {
    return ofValue(parseJson(body));
  } catch (error) {
    const lines = linesOf(body);
    if (!(error instanceof Problem) || error.code !== "malformedJson" || lines.length < 2) {
      throw error;
    }
    return ofLines(body);
  }
}

function unsupported(mediaType: string): Problem {
  const hint =
    mediaType === "application/x-www-form-urlencoded"
      ? " (curl -d says so by itself: add -H 'content-type: application/json')"
      : "";
  const known = "application/json or application/x-ndjson";
  return new Problem("mediaTypeUnsupported", `${mediaType} is not taken${hint}; use ${known}.`);
}

function ofLines(body: Buffer): Entries {
  const lines = linesOf(body);
  checkCount(lines.length);
  return {
    single: false,
    entries: lines.map((line) => {
      try {
        return { value: parseJson(line, "The line") };
      } catch (error) {
        return { problem: ownProblem(error) };
      }
    }),
  };
}

function ofValue(value: unknown): Entries {
  const messages = Array.isArray(value) ? value : batchOf(value);
  if (messages === undefined) return { single: true, entries: [{ value }] };
  checkCount(messages.length);
  return { single: false, entries: messages.map((each: unknown) => ({ value: each })) };
}

/** Of `{"messages": […]}`; undefined: it is one message. */
function batchOf(value: unknown): unknown[] | undefined {
  if (!isObject(value) || !Object.hasOwn(value, "messages")) return undefined;
  const strangers = Object.keys(value).filter((name) => name !== "messages");
  if (strangers.length > 0) {
    const list = strangers.map((name) => JSON.stringify(name)).join(", ");
    throw new Problem("badRequest", `Beside messages there is no field ${list}.`);
  }
  const { messages } = value;
  if (Array.isArray(messages)) return messages;
  throw new Problem("badRequest", "In the body: /messages must be an array.");
}

function checkCount(count: number): void {
  if (count === 0) throw new Problem("badRequest", "There is no message to judge; send one.");
  if (count <= MODERATE_COUNT_MAX) return;
  const detail = `These are ${count} messages; send at most ${MODERATE_COUNT_MAX} at once.`;
  throw new Problem("messageLimit", detail, { members: { messagesMax: MODERATE_COUNT_MAX } });
}

async function judgeOne(engine: EngineDoor, tenant: string, entry: Entry): Promise<VerdictAnswer> {
  const request = requestOf(entry, Date.now());
  const [outcome] = await engine.moderate(tenant, [request]);
  if (outcome === undefined) throw new Problem("internal", "The engine gave no verdict.");
  if ("verdict" in outcome) return verdictAnswer(outcome.verdict, request);
  throw new Problem(outcome.problem.code, outcome.problem.detail);
}

async function judgeMany(
  engine: EngineDoor,
  tenant: string,
  entries: readonly Entry[],
): Promise<VerdictsAnswer> {
  const nowMs = Date.now();
  const verdicts: VerdictsAnswer["verdicts"][number][] = [];
  const requests: ModerationRequest[] = [];
  /** Where each request stood. */
  const indexes: number[] = [];
  for (const [index, entry] of entries.entries()) {
    try {
      requests.push(requestOf(entry, nowMs));
      indexes.push(index);
    } catch (error) {
      verdicts[index] = messageProblem(index, ownProblem(error));
    }
  }
  const outcomes = requests.length === 0 ? [] : await engine.moderate(tenant, requests);
  for (const [n, outcome] of outcomes.entries()) {
    const index = indexes[n]!;
    if ("verdict" in outcome) verdicts[index] = verdictAnswer(outcome.verdict, requests[n]!);
    else {
      const { code, detail } = outcome.problem;
      verdicts[index] = messageProblem(index, new Problem(code, detail));
    }
  }
  return { verdicts, problemCount: verdicts.filter((each) => "problem" in each).length };
}

function requestOf(entry: Entry, nowMs: number): ModerationRequest {
  if ("problem" in entry) throw entry.problem;
  return messageOf(entry.value, nowMs);
}

/** A bug is no problem of the message. */
function ownProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  throw error;
}

const SCHEMA = {
  tags: ["moderation"],
  operationId: "moderate",
  summary: "Judge one message, or many",
  description: `One JSON object is one message and answered with its verdict. An array, NDJSON and
\`{"messages": […]}\` are up to ${MODERATE_COUNT_MAX} messages, judged in their order and answered
with \`{"verdicts": […]}\`; one that cannot be judged has a problem in its place, and the others
are judged all the same.

With a \`conversation\`, earlier messages of it are read, and this one is remembered. At most
${TEXT_BYTES_MAX} bytes of text a message, ${MODERATE_BODY_BYTES_MAX} of body. Unknown fields are
refused.`,
  params: TENANT_PARAMS,
  body: {
    content: {
      "application/json": {
        schema: {
          oneOf: [
            { $ref: "Message#" },
            {
              type: "object",
              properties: { messages: { type: "array", items: { $ref: "Message#" } } },
              required: ["messages"],
            },
            { type: "array", items: { $ref: "Message#" } },
          ],
        },
        examples: {
          one: { value: MESSAGE_EXAMPLE },
          many: { value: { messages: [MESSAGE_EXAMPLE, { text: "see you tomorrow" }] } },
        },
      },
      "application/x-ndjson": {
        schema: { type: "string" },
        example: `${JSON.stringify(MESSAGE_EXAMPLE)}\n{"text":"see you tomorrow"}\n`,
      },
    },
  },
  response: {
    200: {
      description: "The verdict; of many messages, the verdicts",
      content: {
        "application/json": {
          schema: { oneOf: [{ $ref: "Verdict#" }, { $ref: "VerdictList#" }] },
          examples: {
            one: { value: VERDICT_EXAMPLE },
            many: { value: { verdicts: [VERDICT_EXAMPLE], problemCount: 0 } },
            secondOpinion: { value: REVIEWED_EXAMPLE },
            degraded: { value: DEGRADED_VERDICT_EXAMPLE },
          },
        },
      },
    },
    ...problemResponses(
      "badRequest",
      "textEmpty",
      "textTooLong",
      "textNotUnicode",
      "conversationIllegal",
      "messageLimit",
      "tenantIllegal",
      "malformedJson",
      "invalidUtf8",
      "crossSite",
      "tenantQuarantined",
      "bodyTooLarge",
      "mediaTypeUnsupported",
      "encodingUnsupported",
      "tenantLimit",
      "busy",
      "overQuota",
      "tenantDeleting",
      "guestFailed",
      "memoryFull",
      "shardRestarting",
      "stopping",
    ),
  },
};
