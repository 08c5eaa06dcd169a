/**
 * `GET /v1/tenants/{tenant}/summary` and `…/sketch`: what has happened in a window, as numbers and
 * text, and in the form that can be merged.
 */
import type { EngineDoor } from "#engine/door.ts";
import { SUMMARY_LIMIT_DEFAULT, SUMMARY_LIMIT_MAX } from "#model/limits.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { summaryAnswer } from "#model/summary-answer.ts";
import { requireTenantId } from "#model/tenant.ts";
import { requireWindow, spanOf, WINDOWS } from "#model/window.ts";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { CSV_TYPE, wantsCsv } from "./csv.ts";
import { SUMMARY_EXAMPLE } from "./summary-examples.ts";
import { summaryCsv } from "./summary-csv.ts";

type Format = "json" | "csv";
type SummaryQuery = { window: string; limit: number; format?: Format };

export const WINDOW_PROPERTY = {
  type: "string",
  default: "60s",
  examples: [...WINDOWS],
  description: `One of ${WINDOWS.join(", ")}; all is since the tenant began`,
} as const;

export const FORMAT_PROPERTY = {
  type: "string",
  enum: ["json", "csv"],
  description: "Left out: as `Accept` says, else json",
} as const;

const SUMMARY_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    window: WINDOW_PROPERTY,
    limit: {
      type: "integer",
      minimum: 1,
      maximum: SUMMARY_LIMIT_MAX,
      default: SUMMARY_LIMIT_DEFAULT,
      description: "Terms at most",
    },
    format: FORMAT_PROPERTY,
  },
} as const;

const SKETCH_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: { window: WINDOW_PROPERTY },
} as const;

/** Problems of everything that asks a tenant's component. */
export const TURN_PROBLEMS = [
  "badRequest",
  "tenantIllegal",
  "tenantUnknown",
  "tenantQuarantined",
  "busy",
  "guestFailed",
  "memoryFull",
  "overQuota",
  "shardRestarting",
  "stopping",
] as const;

export function summaryRoutes(engine: EngineDoor): FastifyPluginAsync {
  return async (server) => {
    registerSummary(server, engine);
    registerSketch(server, engine);
  };
}

function registerSummary(server: FastifyInstance, engine: EngineDoor): void {
  server.get<TenantParams & { Querystring: SummaryQuery }>(
    "/v1/tenants/:tenant/summary",
    {
      config: { access: "read" },
      schema: {
        tags: ["summaries"],
        operationId: "summary",
        summary: "What has happened in a window: counts, rates, people, metrics, terms, text",
        description: `Every number comes with its error. A quantile of too few samples is labelled
\`max\`: it is their maximum, and no more can be said.`,
        params: TENANT_PARAMS,
        querystring: SUMMARY_QUERY,
        response: {
          200: {
            description: "The window as it stands",
            content: {
              "application/json": { schema: { $ref: "Summary#" }, example: SUMMARY_EXAMPLE },
              "text/csv": { schema: { type: "string" }, example: summaryCsv(SUMMARY_EXAMPLE) },
            },
          },
          ...problemResponses(...TURN_PROBLEMS, "windowUnknown", "windowOff"),
        },
      },
    },
    async (request, reply) => {
      const tenant = requireTenantId(request.params.tenant);
      const { window, limit, format } = request.query;
      const span = spanOf(requireWindow(window));
      const answer = summaryAnswer(tenant, await engine.summary(tenant, { span, limit }));
      reply.header("cache-control", "no-store").header("vary", "accept");
      if (!wantsCsv(format, request.headers.accept)) return reply.send(answer);
      return reply.serializer(String).type(CSV_TYPE).send(summaryCsv(answer));
    },
  );
}

function registerSketch(server: FastifyInstance, engine: EngineDoor): void {
  server.get<TenantParams & { Querystring: { window: string } }>(
    "/v1/tenants/:tenant/sketch",
    {
      config: { access: "read" },
      schema: {
        tags: ["summaries"],
        operationId: "sketch",
        summary: "A window in the portable form, to be merged with others",
        description: "The form is described in docs/summaries.md. It names no user.",
        params: TENANT_PARAMS,
        querystring: SKETCH_QUERY,
        response: {
          200: {
            description: "The window as it stands",
            content: {
              "application/octet-stream": { schema: { type: "string", format: "binary" } },
            },
          },
          ...problemResponses(...TURN_PROBLEMS, "windowUnknown", "windowOff"),
        },
      },
    },
    async (request, reply) => {
      const tenant = requireTenantId(request.params.tenant);
      const bytes = await engine.sketch(tenant, spanOf(requireWindow(request.query.window)));
      return reply
        .header("cache-control", "no-store")
        .type("application/octet-stream")
        .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );
}
