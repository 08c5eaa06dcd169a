/** `GET /v1/tenants/{tenant}/trending`: the window of a tenant, as of now. */
import type { EngineDoor } from "#engine/door.ts";
import type { Retellings } from "#engine/retellings.ts";
import {
  TLDR_WAIT_MS_MAX,
  TRENDING_LIMIT_DEFAULT,
  TRENDING_LIMIT_MAX,
  WINDOW_MS,
} from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import { EXTRACTIVE, trendingAnswer, type TrendingAnswer } from "#model/trending-answer.ts";
import type { TrendOrder } from "#model/trending.ts";
import type { FastifyPluginAsync } from "fastify";

export const WINDOW_NAME = `${WINDOW_MS / 1_000}s`;

type TrendingQuery = { window: string; limit: number; order: TrendOrder; tldrWaitMs: number };

const QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    window: {
      type: "string",
      default: WINDOW_NAME,
      examples: [WINDOW_NAME],
      description: `Length of the sliding window; known: ${WINDOW_NAME}`,
    },
    limit: {
      type: "integer",
      minimum: 1,
      maximum: TRENDING_LIMIT_MAX,
      default: TRENDING_LIMIT_DEFAULT,
      description: "Items at most",
    },
    order: {
      type: "string",
      enum: ["trend", "count"],
      default: "trend",
      description: "What stands out first, or by count alone",
    },
    tldrWaitMs: {
      type: "integer",
      minimum: 0,
      maximum: TLDR_WAIT_MS_MAX,
      default: 0,
      description: `How long the answer may wait for a TL;DR that a language model is writing,
where one is configured; the next answer has it in any case`,
    },
  },
} as const;

/** `retellings`: undefined: no upstream writes TL;DRs, and nothing is done for them. */
export function trendingRoutes(engine: EngineDoor, retellings?: Retellings): FastifyPluginAsync {
  return async (server) => {
    server.get<TenantParams & { Querystring: TrendingQuery }>(
      "/v1/tenants/:tenant/trending",
      {
        config: { access: "read" },
        schema: {
          tags: ["trending"],
          operationId: "trending",
          summary: "What is trending now, with a TL;DR",
          params: TENANT_PARAMS,
          querystring: QUERY,
          response: {
            200: {
              description: "The window as it stands",
              content: {
                "application/json": {
                  schema: { $ref: "Trending#" },
                  examples: {
                    extractive: { value: EXAMPLE },
                    retold: { value: RETOLD_EXAMPLE },
                    degraded: { value: DEGRADED_EXAMPLE },
                  },
                },
              },
            },
            ...problemResponses(
              "badRequest",
              "tenantIllegal",
              "windowUnknown",
              "tenantUnknown",
              "tenantQuarantined",
              "busy",
              "guestFailed",
              "memoryFull",
              "overQuota",
              "shardRestarting",
              "stopping",
            ),
          },
        },
      },
      async (request, reply) => {
        const tenant = requireTenantId(request.params.tenant);
        const { window, limit, order, tldrWaitMs } = request.query;
        if (window !== WINDOW_NAME) {
          const detail = `There is no window ${JSON.stringify(window)}; use ${WINDOW_NAME}.`;
          throw new Problem("windowUnknown", detail);
        }
        // What is retold is of the window, however few of its items were asked for.
        const limitRead =
          retellings === undefined ? limit : Math.max(limit, TRENDING_LIMIT_DEFAULT);
        const looked = { limit: limitRead, order };
        const read = async (): Promise<TrendingAnswer> => {
          const report = await engine.trending(tenant, looked);
          const retelling = retellings?.tldr(tenant, report, looked);
          const items = report.items.slice(0, limit);
          return trendingAnswer(tenant, { ...report, items }, retelling);
        };
        let answer = await read();
        const isWorth = tldrWaitMs > 0 && answer.tldr.generatedBy === EXTRACTIVE;
        // It is of the window as it is by then.
        if (isWorth && (await retellings?.tldrEnded(tenant, tldrWaitMs))) answer = await read();
        return reply.header("cache-control", "no-store").send(answer);
      },
    );
  };
}

/** Held against `TrendingSchema` by the tests. */
export const EXAMPLE = {
  tenant: "acme",
  asOfMs: 1_795_197_660_000,
  window: { startMs: 1_795_197_600_000, endMs: 1_795_197_660_000 },
  eventCount: 214,
  userCount: 61,
  userCountError: 0,
  lateCount: 0,
  duplicateCount: 2,
  repeatedCount: 5,
  items: [
    {
      term: "boss fight",
      count: 42,
      countLow: 42,
      countHigh: 42,
      exact: true,
      trending: true,
      expected: 3.5,
      significance: 11.2,
      userCount: 27,
      userCountError: 0,
      firstSeenMs: 1_795_197_612_000,
      sample: "the boss fight is on!",
    },
  ],
  tldr: {
    text: '"boss fight" is up: 42 of 214 messages from 27 people. "the boss fight is on!"',
    sentences: [
      { text: '"boss fight" is up: 42 of 214 messages from 27 people.' },
      { text: '"the boss fight is on!"', eventId: "m1" },
    ],
    generatedBy: "extractive",
    degraded: false,
  },
};

/** A language model wrote it. */
export const RETOLD_EXAMPLE = {
  ...EXAMPLE,
  tldr: {
    text: "The boss fight has begun: 27 people speak of it, 42 times so far.",
    sentences: [{ text: "The boss fight has begun: 27 people speak of it, 42 times so far." }],
    generatedBy: "qwen3-8b",
    degraded: false,
  },
};

/** It should have. */
export const DEGRADED_EXAMPLE = {
  ...EXAMPLE,
  tldr: { ...EXAMPLE.tldr, degraded: true, reason: "timedOut" },
};
