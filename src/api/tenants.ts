/** `GET /v1/tenants`, `GET` and `PUT /v1/tenants/{tenant}`: who is there, on which clock. */
import type { EngineDoor } from "#engine/door.ts";
import { requirePrefix } from "#keys/access-hooks.ts";
import { TENANT_ID_BYTES_MAX, TENANT_PAGE_DEFAULT, TENANT_PAGE_MAX } from "#model/limits.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId, type Clock } from "#model/tenant.ts";
import { requireWindow, WINDOWS, WINDOWS_ALWAYS } from "#model/window.ts";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";

const LIST_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    offset: { type: "integer", minimum: 0, default: 0, description: "Tenants to skip" },
    limit: {
      type: "integer",
      minimum: 1,
      maximum: TENANT_PAGE_MAX,
      default: TENANT_PAGE_DEFAULT,
      description: "Tenants at most",
    },
    prefix: {
      type: "string",
      maxLength: TENANT_ID_BYTES_MAX,
      default: "",
      description: "Only tenants whose id begins so",
    },
  },
} as const;

const SETTINGS = {
  type: "object",
  additionalProperties: false,
  required: ["clock"],
  properties: {
    clock: {
      type: "string",
      enum: ["wall", "event"],
      description: "wall: the window ends now. event: it ends at the newest event, for replays.",
    },
    windows: {
      type: "array",
      items: { type: "string" },
      maxItems: 2 * WINDOWS.length,
      description: `Windows of its summaries, of ${WINDOWS.join(", ")}.
${WINDOWS_ALWAYS.join(" and ")} are always kept. Left out: as they are, at first all.`,
    },
  },
  examples: [{ clock: "event" }, { clock: "wall", windows: ["60s", "1h", "all"] }],
} as const;

type TenantBody = { clock: Clock; windows?: string[] };

type ListQuery = { offset: number; limit: number; prefix: string };

export function tenantRoutes(engine: EngineDoor): FastifyPluginAsync {
  return async (server) => {
    registerList(server, engine);
    registerOne(server, engine);
  };
}

function registerList(server: FastifyInstance, engine: EngineDoor): void {
  server.get<{ Querystring: ListQuery }>(
    "/v1/tenants",
    {
      config: { access: "read" },
      schema: {
        tags: ["tenants"],
        operationId: "listTenants",
        summary: "Tenants, the one with the newest event first",
        querystring: LIST_QUERY,
        response: {
          200: {
            description: "One page",
            content: {
              "application/json": {
                schema: { $ref: "TenantList#" },
                example: { total: 1, tenants: [TENANT_EXAMPLE] },
              },
            },
          },
          ...problemResponses("badRequest", "shardRestarting", "stopping"),
        },
      },
    },
    async (request, reply) => {
      const { prefix } = request.query;
      requirePrefix(request, prefix);
      return reply.header("cache-control", "no-store").send(await engine.tenants(request.query));
    },
  );
}

function registerOne(server: FastifyInstance, engine: EngineDoor): void {
  const found = {
    description: "The tenant as it stands",
    content: { "application/json": { schema: { $ref: "Tenant#" }, example: TENANT_EXAMPLE } },
  };
  server.get<TenantParams>(
    "/v1/tenants/:tenant",
    {
      config: { access: "read" },
      schema: {
        tags: ["tenants"],
        operationId: "getTenant",
        summary: "One tenant",
        params: TENANT_PARAMS,
        response: {
          200: found,
          ...problemResponses("tenantIllegal", "tenantUnknown", "shardRestarting", "stopping"),
        },
      },
    },
    async (request, reply) =>
      reply
        .header("cache-control", "no-store")
        .send(await engine.tenant(requireTenantId(request.params.tenant))),
  );
  server.put<TenantParams & { Body: TenantBody }>(
    "/v1/tenants/:tenant",
    {
      config: { access: "manage" },
      schema: {
        tags: ["tenants"],
        operationId: "putTenant",
        summary: "Create a tenant, set its clock and windows, or release it from quarantine",
        description: `Not needed before the first event. Changing the clock starts the windows anew;
changing the windows leaves those that stay as they are.`,
        params: TENANT_PARAMS,
        body: SETTINGS,
        response: {
          200: found,
          ...problemResponses(
            "badRequest",
            "tenantIllegal",
            "windowUnknown",
            "malformedJson",
            "crossSite",
            "bodyTooLarge",
            "mediaTypeUnsupported",
            "tenantDeleting",
            "tenantLimit",
            "guestFailed",
            "memoryFull",
            "shardRestarting",
            "stopping",
          ),
        },
      },
    },
    async (request, reply) => {
      const tenant = requireTenantId(request.params.tenant);
      const { clock, windows } = request.body;
      const settings = windows === undefined ? {} : { windows: windows.map(requireWindow) };
      const status = await engine.putTenant(tenant, { clock, ...settings });
      return reply.header("cache-control", "no-store").send(status);
    },
  );
}

/** Held against `TenantSchema` by the tests. */
export const TENANT_EXAMPLE = {
  tenant: "acme",
  shard: 0,
  clock: "wall",
  windows: ["60s", "10m", "1h", "24h", "all"],
  state: "live",
  eventCount: 214,
  lateCount: 0,
  duplicateCount: 2,
  repeatedCount: 5,
  rejectedCount: 0,
  lastEventMs: 1_795_197_659_120,
  imageBytes: 24_576,
  component: "5f1d0c8b7a0e",
  strikeCount: 0,
};
