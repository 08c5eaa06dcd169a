/** `POST /v1/moderations`, as OpenAI's clients send it, for the default tenant or another. */
import type { EngineDoor } from "#engine/door.ts";
import { tenantFor } from "#keys/access-hooks.ts";
import type { Log } from "#observe/log.ts";
import { MODERATE_BODY_BYTES_MAX, MODERATE_COUNT_MAX } from "#model/limits.ts";
import { isObject, messageOf } from "#model/moderation-input.ts";
import type { ModerationRequest, Verdict } from "#model/moderation.ts";
import { openAiResult, type OpenAiResult } from "#model/openai-moderation.ts";
import { Problem } from "#model/problem.ts";
import { TENANT_PARAMS } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { bodyOf, parseJson, takeBytes } from "./json-body.ts";
import { answerAsOpenAi, openAiProblem } from "./openai-errors.ts";
import { OPENAI_SCHEMA } from "./openai-schema.ts";

/** Of requests that name none. */
export const TENANT_DEFAULT = "default";

export type OpenAiAnswer = {
  readonly id: string;
  readonly model: string;
  readonly results: readonly OpenAiResult[];
};

type Fields = Readonly<Record<string, unknown>>;

export function openAiModerationRoutes(engine: EngineDoor, log: Log): FastifyPluginAsync {
  return async (server) => {
    takeBytes(server);
    answerAsOpenAi(server, { log, bodyBytesMax: MODERATE_BODY_BYTES_MAX });
    const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const tenant = tenantOf(request);
      const requests = requestsOf(parseJson(bodyOf(request)));
      const verdicts = await judge(engine, tenant, requests);
      const { id, model } = verdicts[0]!;
      const moderation: OpenAiAnswer = {
        id: `modr-${id.replace(/^v_/, "")}`,
        // What judged, and not what was asked for: nobody should take our scores for theirs.
        model,
        results: verdicts.map(openAiResult),
      };
      return reply
        .header("cache-control", "no-store")
        .header("x-request-id", moderation.id)
        .send(moderation);
    };
    const options = { bodyLimit: MODERATE_BODY_BYTES_MAX, config: { access: "judge" } } as const;
    server.post("/v1/moderations", { ...options, schema: OPENAI_SCHEMA }, answer);
    const schema = {
      ...OPENAI_SCHEMA,
      operationId: "openAiTenantModerations",
      summary: "The same, for the tenant of the path",
      params: TENANT_PARAMS,
    };
    server.post("/v1/tenants/:tenant/moderations", { ...options, schema }, answer);
  };
}

/** Of the path, else of a header; projects are what OpenAI's clients can be told by themselves. */
function tenantOf(request: FastifyRequest): string {
  const { params, headers } = request;
  const { tenant } = params as { tenant?: string };
  const header = headers["x-nexuscore-tenant"] ?? headers["openai-project"];
  const named = tenant ?? (Array.isArray(header) ? header[0] : header);
  const meant = named === undefined || named === "" ? undefined : requireTenantId(named);
  return tenantFor(request, meant) ?? TENANT_DEFAULT;
}

/** All or nothing, as their form has no place for a text that could not be judged. */
async function judge(
  engine: EngineDoor,
  tenant: string,
  requests: readonly ModerationRequest[],
): Promise<readonly Verdict[]> {
  const outcomes = await engine.moderate(tenant, requests);
  return outcomes.map((outcome) => {
    if ("verdict" in outcome) return outcome.verdict;
    throw new Problem(outcome.problem.code, outcome.problem.detail);
  });
}

function requestsOf(body: unknown): readonly ModerationRequest[] {
  if (!isObject(body)) throw invalid("input", "The body must be an object with an input.");
  const { input, model } = body;
  if (model !== undefined && model !== null && typeof model !== "string") {
    throw invalid("model", "Invalid type for 'model': expected a string.");
  }
  const extras = extrasOf(body);
  const nowMs = Date.now();
  return textsOf(input).map(({ text, param }) => {
    try {
      return messageOf({ ...extras, text }, nowMs);
    } catch (error) {
      throw withParam(error, param);
    }
  });
}

type Input = { readonly text: unknown; readonly param: string };

function textsOf(input: unknown): readonly Input[] {
  if (typeof input === "string") return [{ text: input, param: "input" }];
  if (input === undefined || input === null) {
    const message = "Missing required parameter: 'input'.";
    throw openAiProblem({ message, param: "input", code: "missing_required_parameter" });
  }
  if (!Array.isArray(input)) {
    throw invalid("input", "Invalid type for 'input': expected a string or an array.");
  }
  if (input.length === 0) {
    const message = "Invalid 'input': the array is empty; send at least one text.";
    throw openAiProblem({ message, param: "input", code: "empty_array" });
  }
  if (input.length > MODERATE_COUNT_MAX) {
    const message = `Invalid 'input': ${input.length} texts are over ${MODERATE_COUNT_MAX}.`;
    throw openAiProblem({ message, param: "input", code: "array_above_max_length" });
  }
  if (input.every((text) => typeof text === "string")) {
    return input.map((text, index) => ({ text, param: `input[${index}]` }));
  }
  return [{ text: input.map(partOf).join("\n"), param: "input" }];
}

/** Parts of one message: together they are one text, with one result. */
function partOf(part: unknown, index: number): string {
  const param = `input[${index}]`;
  if (!isObject(part)) {
    throw invalid(param, `Invalid type for '${param}': expected all strings, or all parts.`);
  }
  if (part["type"] === "text" && typeof part["text"] === "string") return part["text"];
  if (part["type"] === "image_url") {
    const message = `Images are not judged here, and '${param}' is one; send its text alone.`;
    throw openAiProblem({ message, param, code: "image_not_supported" });
  }
  throw invalid(`${param}.type`, `Invalid '${param}': expected {"type": "text", "text": "…"}.`);
}

const EXTRAS = ["conversation", "user", "role", "replyTo", "language", "doNotStore"] as const;

/** Fields of ours that a caller may add; what else there is is ignored, as theirs would be. */
function extrasOf(body: Fields): Fields {
  const extras: Record<string, unknown> = {};
  for (const name of EXTRAS) {
    // What is empty is not set: many write it so.
    if (body[name] !== undefined && body[name] !== "") extras[name] = body[name];
  }
  const { context } = body;
  if (context !== undefined)
    extras["context"] = Array.isArray(context) ? turnsOf(context) : context;
  return extras;
}

/** Texts alone will do. */
export function turnsOf(context: readonly unknown[]): readonly unknown[] {
  return context.map((turn) => {
    if (typeof turn === "string") return { text: turn };
    if (!isObject(turn)) return turn;
    const { id, user, text } = turn;
    return { id, user, text };
  });
}

function invalid(param: string, message: string): Problem {
  return openAiProblem({ message, param, code: "invalid_type" });
}

/** Names the parameter in their way: `context[0].text` for `/context/0/text`. */
function withParam(error: unknown, input: string): unknown {
  if (!(error instanceof Problem)) return error;
  const [first] = (error.members["errors"] ?? []) as { pointer: string; message: string }[];
  if (first === undefined) return error;
  const { pointer, message } = first;
  const path = pointer
    .slice(1)
    .replaceAll(/\/(\d+)/g, "[$1]")
    .replaceAll("/", ".");
  const param = pointer === "/text" ? input : path;
  const detail = `Invalid '${param}': it ${message}.`;
  return new Problem(error.code, detail, { members: { param } });
}
