/**
 * `/v1/llm` and `…/llm` of a tenant: how the upstream language models are doing, what a tenant
 * takes of them, and what it may.
 */
import type { EngineDoor, LlmDoor } from "#engine/door.ts";
import type { TenantLlmUsage } from "#llm/protocol.ts";
import { SETTINGS_BYTES_MAX, TENANT_COUNT_MAX } from "#model/limits.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { bodyOf, parseJson, sayLimit, takeBytes } from "./json-body.ts";
import { LLM_EXAMPLE, TENANT_LLM_EXAMPLE } from "./llm-examples.ts";
import {
  type LlmDefaults,
  LLM_RUNNING_MAX,
  type LlmLimitsKeeper,
  readLimits,
  shownLimits,
} from "./llm-limits.ts";

export type LlmParts = {
  readonly engine: EngineDoor;
  readonly defaults: LlmDefaults;
  readonly keeper: LlmLimitsKeeper;
};

const PATH = "/v1/tenants/:tenant/llm";
const tags = ["llm"];

export function llmRoutes(parts: LlmParts): FastifyPluginAsync {
  return async (server) => {
    takeBytes(server);
    sayLimit(server, SETTINGS_BYTES_MAX);
    registerStats(server, parts);
    registerUsage(server, parts);
    registerPut(server, parts);
  };
}

function registerStats(server: FastifyInstance, { engine, defaults }: LlmParts): void {
  server.get(
    "/v1/llm",
    {
      config: { access: "watch" },
      schema: {
        tags,
        operationId: "llm",
        summary: "How the upstream language models are doing",
        description: `Counted since the gateway's thread began. Nothing here has a word of a prompt
or of an answer.`,
        response: {
          200: {
            description: "By job, with the newest calls",
            content: { "application/json": { schema: { $ref: "Llm#" }, example: LLM_EXAMPLE } },
          },
          ...problemResponses("llmOff", "llmDown", "stopping"),
        },
      },
    },
    async (_request, reply) => {
      const stats = await answered(llmOf(engine).stats());
      const { budget, runningMax } = defaults;
      return reply
        .header("cache-control", "no-store")
        .send({ defaults: { limits: shownLimits(budget), runningMax }, ...stats });
    },
  );
}

function registerUsage(server: FastifyInstance, { engine, keeper }: LlmParts): void {
  server.get<TenantParams>(
    PATH,
    {
      config: { access: "read" },
      schema: {
        tags,
        operationId: "tenantLlm",
        summary: "What a tenant takes of the upstream, and what it may",
        params: TENANT_PARAMS,
        response: { 200: FOUND, ...problemResponses("tenantIllegal", "llmOff", "llmDown") },
      },
    },
    async (request, reply) => {
      const tenant = requireTenantId(request.params.tenant);
      const usage = await answered(llmOf(engine).usage(tenant));
      return reply.header("cache-control", "no-store").send(usageAnswer(tenant, usage, keeper));
    },
  );
}

function registerPut(server: FastifyInstance, { engine, defaults, keeper }: LlmParts): void {
  server.put<TenantParams>(
    PATH,
    {
      bodyLimit: SETTINGS_BYTES_MAX,
      onRequest: async (request) => void requireTenantId(request.params.tenant),
      config: { access: "operate" },
      schema: {
        tags,
        operationId: "putTenantLlm",
        summary: "Set what a tenant may take of the upstream",
        description: `All of its limits: what is left out is as the operator's default is now, and
\`{}\` is that default again. \`null\` is no bound, 0 is nothing at all. Calls over a limit are not
queued: what is built in answers, with the reason \`overBudget\`. What was spent stays spent.`,
        params: TENANT_PARAMS,
        body: BODY,
        response: { 200: FOUND, ...problemResponses(...PUT_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const llm = llmOf(engine);
      const limits = readLimits(parseJson(bodyOf(request)), defaults);
      if (limits === undefined) await keeper.reset(tenant);
      else {
        checkRoom(keeper, tenant);
        await keeper.put(tenant, limits);
      }
      const usage = await answered(llm.usage(tenant));
      return reply.header("cache-control", "no-store").send(usageAnswer(tenant, usage, keeper));
    },
  );
}

function llmOf({ llm }: EngineDoor): LlmDoor {
  if (llm !== undefined) return llm;
  throw new Problem(
    "llmOff",
    "No upstream language model is configured, so nothing is ever asked of one; " +
      "set NEXUSCORE_LLM_BASE_URL and NEXUSCORE_LLM_MODEL and start anew.",
  );
}

/** Anybody can name tenants without end. */
function checkRoom(keeper: LlmLimitsKeeper, tenant: string): void {
  if (keeper.count < TENANT_COUNT_MAX || keeper.current(tenant) !== undefined) return;
  const detail = `${TENANT_COUNT_MAX} tenants have limits of their own; take some back with {}.`;
  throw new Problem("tenantLimit", detail);
}

async function answered<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "NEXUSCORE_LLM_DOWN") throw error;
    const detail = "The gateway to the upstream ended and begins anew; ask again.";
    throw new Problem("llmDown", detail, { retryAfterSeconds: 1 });
  }
}

function usageAnswer(tenant: string, usage: TenantLlmUsage, keeper: LlmLimitsKeeper): object {
  const source = keeper.current(tenant) === undefined ? "default" : "tenant";
  return { tenant, source, ...usage, limits: shownLimits(usage.limits) };
}

const FOUND = {
  description: "Its limits, what is left of them, and what it took since the start",
  content: { "application/json": { schema: { $ref: "TenantLlm#" }, example: TENANT_LLM_EXAMPLE } },
};

const BUDGET = { type: ["number", "null"], minimum: 0, description: "null: no bound" };
const BODY = {
  content: {
    "application/json": {
      schema: {
        type: "object",
        additionalProperties: false,
        properties: {
          limits: {
            type: "object",
            additionalProperties: false,
            properties: {
              callsPerMinute: BUDGET,
              tokensPerMinute: BUDGET,
              microsPerDay: { ...BUDGET, description: "Millionths of the prices' currency" },
            },
          },
          runningMax: { type: "integer", minimum: 1, maximum: LLM_RUNNING_MAX },
        },
      },
      example: { limits: { callsPerMinute: 60, microsPerDay: 2_000_000 } },
    },
  },
};

const PUT_PROBLEMS: readonly ProblemCode[] = [
  "tenantDeleting",
  "badRequest",
  "tenantIllegal",
  "malformedJson",
  "invalidUtf8",
  "crossSite",
  "llmOff",
  "bodyTooLarge",
  "encodingUnsupported",
  "tenantLimit",
  "storeUnavailable",
  "llmDown",
  "stopping",
];
