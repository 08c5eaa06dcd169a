/** `GET` and `PUT /v1/tenants/{tenant}/quota`: what a tenant may take, and what it takes. */
import type { EngineDoor } from "#engine/door.ts";
import { QUOTA_CPU_MS_DEFAULT, SETTINGS_BYTES_MAX } from "#model/limits.ts";
import { isObject } from "#model/moderation-input.ts";
import { Problem } from "#model/problem.ts";
import { type JsonLimits, QUOTA_LIMIT_NAMES } from "#model/quota.ts";
import { QUOTA_LIMITS } from "#model/quota-schemas.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import type { FastifyPluginAsync } from "fastify";
import { bodyOf, parseJson, sayLimit, takeBytes } from "./json-body.ts";

/** Keeps tenants' own limits over a restart. */
export interface QuotaKeeper {
  /** Resolves once they are kept; nothing at all: it has none of its own any more. */
  put(tenant: string, limits: JsonLimits): Promise<void>;
}

/** Until the process ends: the engine has them. */
export class MemoryQuotas implements QuotaKeeper {
  async put(): Promise<void> {
    // Nothing outlives it.
  }
}

export type QuotaParts = { readonly engine: EngineDoor; readonly keeper: QuotaKeeper };

const PATH = "/v1/tenants/:tenant/quota";
const tags = ["tenants"];
const LIMIT_MAX = 1e15;

export function quotaRoutes({ engine, keeper }: QuotaParts): FastifyPluginAsync {
  return async (server) => {
    takeBytes(server);
    sayLimit(server, SETTINGS_BYTES_MAX);
    server.get<TenantParams>(
      PATH,
      {
        config: { access: "read" },
        schema: {
          tags,
          operationId: "tenantQuota",
          summary: "What a tenant may take, and what it takes",
          params: TENANT_PARAMS,
          response: {
            200: FOUND,
            ...problemResponses("tenantIllegal", "tenantUnknown", "shardRestarting", "stopping"),
          },
        },
      },
      async (request, reply) => {
        const status = await engine.quota(requireTenantId(request.params.tenant));
        return reply.header("cache-control", "no-store").send(status);
      },
    );
    server.put<TenantParams>(
      PATH,
      {
        config: { access: "operate" },
        bodyLimit: SETTINGS_BYTES_MAX,
        onRequest: async (request) => void requireTenantId(request.params.tenant),
        schema: {
          tags,
          operationId: "putTenantQuota",
          summary: "Set what a tenant may take",
          description: `Limits of its own: what is left out is as the server has it, now and when
that changes; \`null\` is no bound, 0 nothing at all, and \`{}\` the server's limits again.
Whoever waits may go on at once. Makes the tenant if there is none.`,
          params: TENANT_PARAMS,
          body: BODY,
          response: { 200: FOUND, ...problemResponses(...PUT_PROBLEMS) },
        },
      },
      async (request, reply) => {
        const { tenant } = request.params;
        const limits = readQuota(parseJson(bodyOf(request)));
        await keeper.put(tenant, limits);
        const status = await engine.putQuota(tenant, limits);
        return reply.header("cache-control", "no-store").send(status);
      },
    );
  };
}

/** All mistakes at once. Problem: badRequest. */
function readQuota(body: unknown): JsonLimits {
  if (!isObject(body)) throw new Problem("badRequest", "The body must be an object.");
  const errors = Object.entries(body).flatMap(([name, value]) => {
    const pointer = `/${name}`;
    if (!(QUOTA_LIMIT_NAMES as readonly string[]).includes(name)) {
      return [{ pointer, message: `is no limit; there are ${QUOTA_LIMIT_NAMES.join(", ")}` }];
    }
    const isRight =
      value === null || (typeof value === "number" && value >= 0 && value <= LIMIT_MAX);
    return isRight ? [] : [{ pointer, message: "must be a number from 0 to 1e15, or null" }];
  });
  if (errors.length === 0) return body as JsonLimits;
  const list = errors.map(({ pointer, message }) => `${pointer} ${message}`).join("; ");
  throw new Problem("badRequest", `In the body: ${list}.`, { members: { errors } });
}

/** Held against the schema by the tests. */
export const QUOTA_EXAMPLE = {
  tenant: "acme",
  limits: {
    eventsPerSecond: 2_000,
    bytesPerSecond: null,
    cpuMsPerSecond: QUOTA_CPU_MS_DEFAULT,
    imageBytes: null,
  },
  own: ["eventsPerSecond"],
  used: { events: 120.5, bytes: 0, cpuMs: 3.25, imageBytes: 24_576 },
  cpuMs: 1_204.031_25,
  refusedCount: 0,
  waitMs: 0,
};

const FOUND = {
  description: "Its limits, and how it stands",
  content: { "application/json": { schema: { $ref: "TenantQuota#" }, example: QUOTA_EXAMPLE } },
};

const BODY = {
  content: {
    "application/json": {
      schema: { type: "object", additionalProperties: false, properties: QUOTA_LIMITS },
      example: { eventsPerSecond: 2_000, cpuMsPerSecond: 250 },
    },
  },
};

const PUT_PROBLEMS = [
  "badRequest",
  "tenantIllegal",
  "malformedJson",
  "invalidUtf8",
  "crossSite",
  "tenantDeleting",
  "bodyTooLarge",
  "encodingUnsupported",
  "tenantLimit",
  "storeUnavailable",
  "shardRestarting",
  "stopping",
] as const;
